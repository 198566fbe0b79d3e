"""What the schemas hold while a program runs: made, read back, and made as new again by as few statements as will do.

Definitions cost a server milliseconds each, so only what a program has changed is renewed: tables whose rows differ are emptied and
filled, new tables and views are dropped. Whatever else differs, everything is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from bench.servers import USER
from tests.integration.running import run
from tests.integration.scripts import CLEAN, CONTENT

_AUTHORED: Final = re.compile(r"\ACREATE (?=PROCEDURE|FUNCTION|TRIGGER|VIEW)")
# root's would write on a reader (README, Limits)
_AUTHOR: Final = f"CREATE DEFINER = {USER}@'%' "
_RENAMED: Final = {"compared": "twin", "other": "twin2"}


def _own(statement: str) -> str:
    return re.sub(r"\b(compared|other)\b", lambda match: _RENAMED[match[0]], statement)


FILLED: Final = (
    *[_own(each) for each in CLEAN if each.startswith("INSERT")],
    "INSERT INTO twin.u (n, d, f, b, at, s) VALUES (1, 1.5, 0.1, x'00FF', '2020-01-02 03:04:05', 'abc'),"
    " (2, NULL, 1e100, NULL, NULL, NULL)",
    'INSERT INTO twin.docs (j) VALUES (\'{"k": 1, "l": ["é", null, 2.50]}\'), (\'"text"\'), (NULL)',
)
"""The rows at the beginning: one statement for each table that has some."""
MADE: Final = (
    "DROP DATABASE IF EXISTS twin3",
    *[_own(each) for each in CONTENT],
    "CREATE TABLE twin.u (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 7, d DECIMAL(10,3), f DOUBLE,"
    " b VARBINARY(20), at DATETIME, s CHAR(5) CHARACTER SET latin1)",
    "CREATE TABLE twin.w (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
    "CREATE TABLE twin.noted (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(100), counted BIGINT)",
    "CREATE TABLE twin.docs (id INT AUTO_INCREMENT PRIMARY KEY, j JSON)",
    *FILLED,
    "CREATE TRIGGER twin.watches BEFORE INSERT ON twin.w FOR EACH ROW"
    " INSERT INTO twin.noted (note, counted) VALUES (CONCAT('v', NEW.v, '/', @@sql_mode), NEW.v)",
    "CREATE TRIGGER twin.reads AFTER UPDATE ON twin.w FOR EACH ROW"
    " INSERT INTO twin.noted (note, counted) VALUES (@note, @counted)",
    "CREATE PROCEDURE twin.locks(IN name VARCHAR(20)) SELECT GET_LOCK(name, 0) AS got",
    "CREATE PROCEDURE twin.warns() INSERT IGNORE INTO twin.t (v) VALUES (10), (41)",
    "CREATE PROCEDURE twin.signals() SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'told', MYSQL_ERRNO = 1644",
    "CREATE PROCEDURE twin.begins() BEGIN START TRANSACTION; INSERT INTO twin.t (v) VALUES (77); END",
    "CREATE PROCEDURE twin.keeps(IN value INT) BEGIN DECLARE x INT; SELECT value + 1 INTO x; SET @kept = x; END",
    "CREATE PROCEDURE twin.makes_and_drops() BEGIN CREATE TEMPORARY TABLE twin.within AS SELECT 5 AS v;"
    " SELECT * FROM twin.within; DROP TEMPORARY TABLE twin.within; END",
    "CREATE PROCEDURE twin.drops_made() DROP TEMPORARY TABLE IF EXISTS twin.made",
    "CREATE PROCEDURE twin.prepares() BEGIN PREPARE inside FROM 'SELECT 6'; EXECUTE inside; END",
    "CREATE PROCEDURE twin.gives(OUT a INT, INOUT b VARCHAR(20), OUT c DECIMAL(10,2))"
    " BEGIN SELECT 'first' AS r; SET a = 3, b = CONCAT(b, '!'), c = 1.5; SELECT 'second' AS r, 2 AS n; END",
    "CREATE FUNCTION twin.last_id() RETURNS BIGINT NO SQL RETURN LAST_INSERT_ID()",
    "CREATE FUNCTION twin.note_of() RETURNS VARCHAR(100) NO SQL RETURN @note",
    "CREATE VIEW twin.both_rows AS SELECT id, v FROM twin.t UNION ALL SELECT id, v FROM twin.w",
)

Dump = dict[str, Any]
"""What a content is: a key for each thing that there is, and for what is in it."""

_NEXT_ID: Final = re.compile(r" AUTO_INCREMENT=\d+")
_LISTS: Final = (
    "SELECT ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA LIKE 'twin%' ORDER BY 1",
    "SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA LIKE 'twin%' ORDER BY 1",
)


class Content:
    """The schemas of one server, by a connection that may change everything."""

    def __init__(self, root: Any, kind: str) -> None:
        self._root = root
        # MyISAM on MySQL: see exceptions.NOT_GENERATED
        engine = "InnoDB" if kind == "mysql" else "MyISAM"
        made = [statement.replace("ENGINE=MyISAM", f"ENGINE={engine}") for statement in MADE]
        self._made = [_AUTHORED.sub(_AUTHOR, statement) for statement in made]
        self._pristine: Dump | None = None
        self._last: Dump = {}

    def renew(self) -> None:
        """Make it as new, if anything has changed since."""
        if self._pristine is None:
            run(self._root, *self._made)
            self._pristine = self.dump()
        elif self._last != self._pristine:
            run(self._root, *(renewal(self._pristine, self._last) or self._made))

    def dump(self) -> Dump:
        """Everything that is in the schemas."""
        self._last = dict(self._read())
        return self._last

    def _read(self) -> Iterator[tuple[str, Any]]:
        existing = [name for (name,) in self._rows("SHOW DATABASES LIKE 'twin%'")]
        yield "schemas", existing
        for schema in existing:
            for table, kind in self._rows(f"SHOW FULL TABLES FROM {schema}"):
                name = f"{schema}.`{table}`"
                yield name, kind
                if kind == "BASE TABLE":
                    for statement in (f"SHOW CREATE TABLE {name}", f"SELECT * FROM {name}"):
                        yield statement, self._rows(statement)
        for statement in _LISTS:
            yield statement, self._rows(statement)

    def _rows(self, statement: str) -> list[Any]:
        encoding = self._root.encoding
        # a program may leave text that is none in the character set of its column
        self._root.encoding = "latin-1"
        try:
            with self._root.cursor() as cursor:
                cursor.execute(statement.encode(encoding))
                return [tuple(map(_text, row)) for row in cursor.fetchall()]
        finally:
            self._root.encoding = encoding


def _text(value: Any) -> Any:
    return value.encode("latin-1").decode("utf-8", "surrogateescape") if isinstance(value, str) else value


def renewal(pristine: Dump, last: Dump) -> list[str] | None:
    """Statements that make the content as new again; None when too much has changed for that."""
    if any(_defined(pristine, name) != _defined(last, name) for name in pristine):
        return None
    statements: list[str] = []
    for name in (name for name in last if name.startswith("twin")):
        if name not in pristine:
            statements.append(f"DROP {last[name].removeprefix('BASE ')} {name}")
        elif _holds(pristine, name) != _holds(last, name):
            statements += [f"TRUNCATE TABLE {name}", *_filling(name)]
    return statements


def _defined(dump: Dump, name: str) -> str:
    """What a key stands for, but for rows and the ids to come."""
    return "" if name.startswith("SELECT * FROM twin") else _NEXT_ID.sub("", repr(dump.get(name)))


def _holds(dump: Dump, name: str) -> tuple[Any, Any]:
    return dump.get(f"SHOW CREATE TABLE {name}"), dump.get(f"SELECT * FROM {name}")


def _filling(name: str) -> list[str]:
    return [each for each in FILLED if each.startswith(f"INSERT INTO {name.replace('`', '')} ")]
