"""Kinds of commands: client character sets in which the second byte of a letter looks like a quote, a backslash or a backtick."""

from __future__ import annotations

from typing import Final

from tests.integration.steps import Execute, Prepare
from tests.twin.draft import ENCODINGS, Draft, kind

TRICKY: Final = {
    "gbk": ("乗", "乣", "倈", "丂", "繁體"),
    "big5": ("么", "亡", "ヤ", "一", "功"),
    "sjis": ("ソ", "チ", "ポ", "表示", "予"),
    "cp932": ("ソ", "チ", "①", "能", "ァ"),
    "gb18030": ("乗", "乣", "俙", "㘎", "é"),
}
"""Letters whose second byte is a backslash, a backtick, "|", "@"."""


def _choose(d: Draft) -> bool:
    """SET NAMES one of them, unless one is set."""
    if d.encoding in TRICKY:
        return True
    charset = d.one([name for name in TRICKY if name != "gb18030" or d.server == "mysql"])
    d.query(d.one((f"SET NAMES {charset}", f"SET NAMES '{charset}'", f"SET CHARACTER SET {charset}")))
    d.encoding = charset
    return True


def letters(d: Draft) -> str:
    """A few letters that the client's character set has."""
    return d.one(TRICKY[d.encoding])


@kind(8)
def multibyte(d: Draft) -> None:
    _choose(d)
    for _ in range(d.random.randint(1, 4)):
        x = letters(d)
        d.query(
            d.one(
                (
                    f"SELECT '{x}', HEX('{x}'), LENGTH('{x}')",
                    f"SELECT '{x}', 'x' AS `{x}`",
                    f"SELECT '{x}''{x}' AS a, '{x}' AS b",
                    f"SET @a = '{x}', @b = 'x'",
                    f"SELECT '{x}', @a := 5, '{x}'",
                    f"SELECT GET_LOCK('{x}', 0), RELEASE_LOCK('{x}')",
                    f"SELECT 1 /* {x} */, 2 -- {x}",
                    f"SELECT `v{x}` FROM twin.t",
                    f"SET @`{x}` = '{x}'",
                    f"SELECT @`{x}`, @a, CHARSET(@a)",
                    f"INSERT INTO twin.noted (note) VALUES ('{x}')",
                    f"INSERT INTO twin.t (v, s) VALUES ({d.random.randint(9000, 9999)}, '{x}')",
                    "SELECT note FROM twin.noted ORDER BY id",
                    f"SELECT id FROM twin.t WHERE s = '{x}' ORDER BY id",
                    f"SELECT '{x}' AS q, ROW_COUNT() AS n",
                    f"SELECT * FROM twin.`{x}`",
                    f"CREATE TEMPORARY TABLE twin.`{x}` (id INT)",
                    f"DROP TEMPORARY TABLE IF EXISTS twin.`{x}`",
                )
            )
        )


@kind(5)
def multibyte_lexing(d: Draft) -> None:
    """With all that sql_mode makes of quotes and backslashes."""
    _choose(d)
    mode = d.one(("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"))
    d.query(f"SET SESSION sql_mode = '{mode}'")
    d.is_ansi, d.is_raw = "ANSI" in mode, "NO_BACK" in mode
    for _ in range(d.random.randint(1, 3)):
        x = letters(d)
        escaped = f"{x}''" if d.is_raw else f"{x}\\'"
        d.query(
            d.one(
                (
                    f"SELECT '{escaped}', '{x}' AS b",
                    f'SELECT "{x}", \'{x}\' AS "{x}"',
                    f"SELECT '{x}\\\\', 1 AS n",
                    f'SELECT id AS "{x}", \'"{x}\' AS a FROM twin.t ORDER BY id',
                    f"SELECT '{escaped}', @c := '{x}' /* ' */",
                )
            )
        )
    d.query("SELECT @a, @b, HEX(@c), @@sql_mode")


@kind(4)
def multibyte_prepared(d: Draft) -> None:
    _choose(d)
    x = letters(d)
    text = d.one((f"SELECT '{x}', ?", f"SET @a = CONCAT('{x}', ?)", f"SELECT ? AS `{x}`, @a"))
    d.add(Prepare("multibyte", text, ENCODINGS[d.encoding]))
    for _ in range(d.random.randint(1, 2)):
        d.add(Execute("multibyte", (d.one((1, "a", None)),)))
    d.query("SELECT HEX(@a), COLLATION(@a)")
    if d.chance(0.5):
        d.query(f"PREPARE p FROM 'SELECT \"{x}\", 1 AS n'")
        d.query("EXECUTE p")
        d.query("DEALLOCATE PREPARE p")


@kind(5)
def multibyte_results(d: Draft) -> None:
    """What comes back is in another character set than what is sent."""
    _choose(d)
    name, value = d.one(
        (
            ("character_set_results", "utf8mb4"),
            ("character_set_results", "NULL"),
            ("character_set_connection", "utf8mb4"),
            ("collation_connection", "utf8mb4_bin"),
            ("character_set_client", "latin1"),
        )
    )
    d.query(f"SET {d.one(('', 'SESSION ', '@@'))}{name} = {value}")
    if name == "character_set_client":
        d.encoding = value
    d.query("SELECT @@character_set_client, @@character_set_results, @@collation_connection")
    d.query("SELECT s, 'é', HEX('é') FROM twin.t ORDER BY id")
    if d.chance(0.5):
        d.query("SET NAMES utf8mb4")
        d.encoding = "utf8mb4"
