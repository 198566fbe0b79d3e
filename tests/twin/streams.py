"""Kinds of commands: files of the client, commands that do not wait for answers, long statements."""

from __future__ import annotations

from typing import Final

from tests.twin.draft import Draft, kind
from tests.twin.exchanges import LoadLocal, LongQuery, Pipelined

FILES: Final[tuple[tuple[bytes, ...], ...]] = (
    (),
    (b"101,a\n102,b\n",),
    (b"103,a\n10", b"4,b\n", b"105,c"),
    (b"10,again\n20,twice\n106,new\n",),
    (b"107,much too long for the column it goes to\n",),
    (b"word,a\n108\n109,a,b\n,\n",),
    (b"\\N,a\n\\N,b\n",),
    (b"".join(b"%d,row\n" % number for number in range(2000, 2400)),),
)
TARGETS: Final = (
    "INTO TABLE {t} FIELDS TERMINATED BY ',' (v, s)",
    "INTO TABLE {t} FIELDS TERMINATED BY ',' (v, s)",
    "REPLACE INTO TABLE {t} FIELDS TERMINATED BY ',' (v, s)",
    "IGNORE INTO TABLE {t} FIELDS TERMINATED BY ',' (v, s)",
    "INTO TABLE {t} FIELDS TERMINATED BY ',' (v, @s) SET s = LEFT(CONCAT('s', @s), 20)",
    "INTO TABLE {t} FIELDS TERMINATED BY ',' IGNORE 1 LINES (v, s)",
    "INTO TABLE {w} FIELDS TERMINATED BY ',' (v, @ignored)",
    "INTO TABLE twin.never_there",
    "INTO TABLE {t} (never_there)",
)


@kind(6)
def load_local(d: Draft) -> None:
    target = d.one(TARGETS).format(t=d.qualified("t"), w=d.qualified("w"))
    statement = f"LOAD DATA LOCAL INFILE 'any' {target}"
    if d.is_multi and d.chance(0.3):
        statement = d.one(
            (f"{statement}; SELECT ROW_COUNT()", f"SET @a = 3; {statement}", f"{statement}; {statement}")
        )
    d.add(LoadLocal(statement, d.one(FILES)))
    for question in d.some(
        ("SHOW WARNINGS", "SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()", "SELECT @s, @ignored"), 2
    ):
        d.query(question)


@kind(7)
def pipelined(d: Draft) -> None:
    """Texts, pings and closes one after the other, and none waits."""
    texts = (
        "SELECT 1",
        f"INSERT INTO twin.w (v) VALUES ({d.number()})",
        "SELECT LAST_INSERT_ID()",
        "SELECT ROW_COUNT()",
        "SELECT 1/0",
        "SHOW WARNINGS",
        "BEGIN",
        "COMMIT",
        "SET @a = IFNULL(@a, 0) + 1",
        "SELECT @a",
        "SET time_zone = '+02:00'",
        "SELECT @@time_zone",
        "SELECT * FROM twin.never_there",
        "SELEC",
        "SELECT * FROM twin.t ORDER BY id",
        "CALL twin.two_results()" if d.client != "one-result" else "DO 1",
        "CREATE TEMPORARY TABLE twin.passing (id INT)",
        "DROP TEMPORARY TABLE twin.passing",
        "SELECT GET_LOCK('piped', 0)",
        "SELECT RELEASE_LOCK('piped')",
    )
    others = (
        b"\x0e",
        b"\x19\x92\x10\0\0",
        b"\x1f",
        b"\x02twin2",
        b"\x02twin",
        b"\x1b\x01\x00",
        b"\x16SELECT ?",
    )
    chosen = [
        d.one(others) if d.chance(0.2) else b"\x03" + d.one(texts).encode()
        for _ in range(d.random.randint(2, 6))
    ]
    d.add(Pipelined(tuple(chosen)))
    if b"\x1f" in chosen:
        d.was_reset()
    if b"\x1b\x01\x00" in chosen:
        d.is_multi = False
    d.add(Pipelined((b"\x03COMMIT", b"\x02twin", b"\x03SELECT RELEASE_ALL_LOCKS()")))
    d.committed()
    d.has_schema = True


@kind(3)
def long_statement(d: Draft) -> None:
    """What matters is at the end of it."""
    head, filler, tail = d.one(
        (
            ("SELECT 1 /* ", "long ", "*/, "),
            ("SELECT 1 /* ", "@a := 3 ' ", "*/, "),
            ("SELECT 1, ", " ", ""),
            ("SELECT 'y' = '", "x''", "', "),
        )
    )
    last = d.one(("@a := 7", "GET_LOCK('long', 0)", "LAST_INSERT_ID(9)", "1/0"))
    d.add(LongQuery(head, filler, d.random.randint(4000, 9000), tail + last))
    d.query("SELECT @a, LAST_INSERT_ID(), RELEASE_LOCK('long')")
