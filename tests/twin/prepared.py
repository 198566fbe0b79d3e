"""Kinds of commands: prepared statements, by text and by the binary protocol."""

from __future__ import annotations

from typing import Final

from tests.integration.steps import (
    Close,
    Execute,
    ExecuteLong,
    Fetch,
    LongData,
    Prepare,
    ResetStatement,
    Value,
)
from tests.twin.draft import Draft, kind

TEXTS: Final = (
    ("SELECT id, s FROM twin.t WHERE id >= ? ORDER BY id", 1, "rows"),
    ("SELECT * FROM twin.u ORDER BY id", 0, "rows"),
    ("SELECT ?, ? + 1", 2, "rows"),
    ("INSERT INTO twin.t (v, s) VALUES (?, ?)", 2, ""),
    ("INSERT INTO twin.w (v) VALUES (?)", 1, ""),
    ("UPDATE twin.t SET s = ? WHERE id = ?", 2, ""),
    ("DELETE FROM twin.t WHERE id = ?", 1, ""),
    ("SET @a = ?", 1, ""),
    ("SET SESSION group_concat_max_len = ?", 1, ""),
    ("SELECT LAST_INSERT_ID()", 0, "rows"),
    ("SELECT ROW_COUNT(), FOUND_ROWS()", 0, "rows"),
    ("SHOW WARNINGS", 0, "rows"),
    ("SELECT @a, @@sql_mode, DATABASE()", 0, "rows"),
    ("CALL twin.two_results()", 0, ""),
    ("CALL twin.counts(?, @found, @total)", 1, ""),
    ("CREATE TEMPORARY TABLE twin.bound (id INT)", 0, ""),
    ("DROP TEMPORARY TABLE IF EXISTS twin.bound", 0, ""),
    ("SELECT 1/?", 1, "rows"),
    ("INSERT IGNORE INTO twin.t (v) VALUES (?), (10)", 1, ""),
    ("COMMIT", 0, ""),
    ("DO GET_LOCK('bound', ?)", 1, ""),
    ("DO RELEASE_LOCK('bound')", 0, ""),
)
WRONG: Final = (
    "SELEC ?",
    "SELECT * FROM twin.never_there",
    "SELECT never_there FROM twin.t",
    "",
    "USE",
    "SELECT 1; SELECT 2",
)


def values(d: Draft, count: int) -> tuple[Value, ...]:
    return tuple(d.one((d.number(), d.number(), "text", "grün", None, "7")) for _ in range(count))


@kind(16)
def prepare(d: Draft) -> None:
    name = f"s{d.random.randint(1, 4)}"
    text, count, gives = d.one(TEXTS)
    d.add(Prepare(name, text))
    d.statements[name] = (gives, count)
    d.executed.pop(name, None)
    d.cursors = [each for each in d.cursors if each != name]
    if d.chance(0.85):
        _execute(d, name)


@kind(20)
def execute(d: Draft) -> bool:
    if not d.statements:
        return False
    _execute(d, d.one(list(d.statements)))
    return True


def _execute(d: Draft, name: str) -> None:
    _, count = d.statements[name]
    given = values(d, count)
    kept = d.executed.get(name)
    binds = not count or kept is None or d.chance(0.5)
    if not binds and kept is not None:
        # the types stay, so the values have to fit them
        given = tuple(d.one((each, each, None)) for each in kept)
    d.add(Execute(name, given, False, binds))
    d.executed[name] = given if binds else d.executed[name]
    d.cursors = [each for each in d.cursors if each != name]


@kind(8)
def execute_with_cursor(d: Draft) -> None:
    name = "c"
    text, count, _ = d.one([each for each in TEXTS if each[2] == "rows" and "twin" in each[0]])
    d.add(Prepare(name, text))
    if d.server == "mariadb":
        # see exceptions.NOT_GENERATED
        d.statements[name] = ("rows", count)
    d.executed[name] = (1,) * count
    d.add(Execute(name, d.executed[name], True))
    d.cursors.append(name)
    for _ in range(d.random.randint(0, 3)):
        d.add(Fetch(name, d.random.randint(1, 3)))
    if d.chance(0.7):
        d.add(d.one((ResetStatement(name), Close(name), Fetch(name, 100))))


@kind(5)
def fetch(d: Draft) -> None:
    d.add(Fetch(d.one(d.cursors or list(d.statements) or ["nothing"]), 2))


@kind(6)
def long_data(d: Draft) -> None:
    d.add(Prepare("long", "SELECT LENGTH(?)"))
    d.statements.pop("long", None)
    for _ in range(d.random.randint(1, 2)):
        d.add(LongData("long", 0, d.one((b"", b"piece", b"x" * 500))))
    d.add(d.one((ExecuteLong("long"), ExecuteLong("long"), ResetStatement("long"))))
    d.add(Execute("long", (d.text(),)))
    d.add(Close("long"))


@kind(6)
def close(d: Draft) -> bool:
    if not d.statements:
        return False
    name = d.one(list(d.statements))
    d.add(Close(name))
    d.statements.pop(name)
    if d.chance(0.15):
        d.add(Execute(name, ()))
    return True


@kind(4)
def reset_statement(d: Draft) -> bool:
    if not d.statements:
        return False
    d.add(ResetStatement(d.one(list(d.statements))))
    return True


@kind(4)
def prepare_wrong(d: Draft) -> None:
    d.add(Prepare("wrong", d.one(WRONG)))
    if d.chance(0.5):
        d.query("SHOW WARNINGS")


@kind(3)
def unknown_statement(d: Draft) -> None:
    d.add(d.one((Execute("never", (1,)), Fetch("never", 1), ResetStatement("never"), Close("never"))))


@kind(4)
def prepare_twice(d: Draft) -> None:
    text, count, gives = d.one(TEXTS[:6])
    for name in ("s1", "s2"):
        d.add(Prepare(name, text))
        d.statements[name] = (gives, count)
        d.cursors = [each for each in d.cursors if each != name]
    for name in ("s1", "s2", "s1"):
        d.executed[name] = (60,) * count
        d.add(Execute(name, d.executed[name]))


@kind(8)
def prepare_text(d: Draft) -> None:
    name = d.one(("p", "q", "`odd name`"))
    text, count, _ = d.one(TEXTS)
    d.query(f"PREPARE {name} FROM '" + text.replace("'", "''") + "'")
    d.texts[name] = count
    if d.chance(0.8):
        execute_text(d)
    if d.chance(0.6):
        deallocate(d)


@kind(6)
def execute_text(d: Draft) -> bool:
    if not d.texts:
        return False
    name = d.one(list(d.texts))
    count = d.texts[name]
    if count and d.chance(0.7):
        d.query(f"SET @p1 = {d.number()}, @p2 = {d.text()}")
    using = f" USING {', '.join(('@p1', '@p2')[:count])}" if count else ""
    d.query(f"EXECUTE {name}{using}")
    return True


@kind(6)
def deallocate(d: Draft) -> bool:
    if not d.texts:
        return False
    name = d.one(list(d.texts))
    d.query(f"{d.one(('DEALLOCATE', 'DROP'))} PREPARE {name}")
    del d.texts[name]
    return True


@kind(3)
def prepare_text_wrong(d: Draft) -> None:
    d.query("PREPARE p FROM 'SELEC 1'")
    d.texts.pop("p", None)


@kind(3, server="mariadb")
def execute_immediate(d: Draft) -> None:
    d.query(
        d.one(
            (
                "EXECUTE IMMEDIATE 'SELECT 1'",
                "EXECUTE IMMEDIATE 'SET @a = ?' USING 7",
                "EXECUTE IMMEDIATE 'SELEC'",
            )
        )
    )
