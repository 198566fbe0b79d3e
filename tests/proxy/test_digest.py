from __future__ import annotations

import pytest

from proxy.digest import CUT, LONGEST, READ, digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT GET_LOCK('x', 1)", "SELECT GET_LOCK(?, ?)"),
        (b"", ""),
        (b"-5", "?"),
        (b" ; -- nothing\n/* at all */", ""),
        (b"select  *\n from t where a<=>0x41 -- end", "select * from t where a <=> ?"),
        (b"SELECT a FROM t WHERE a IN (1,-2,NULL,'x') AND b in ()", "SELECT a FROM t WHERE a IN (?) AND b in ()"),
        (b"SELECT a FROM t WHERE a IN (SELECT 1, 2)", "SELECT a FROM t WHERE a IN (SELECT ?, ?)"),
        (b"SELECT 1 FROM t WHERE (a, b) IN ((1, 2), (3, 4))", "SELECT ? FROM t WHERE (a, b) IN ((?, ?))"),
        (b"INSERT INTO t (a) VALUES (1, NOW()), (2, NOW()), (3, DEFAULT)", "INSERT INTO t(a) VALUES (?, NOW()), (?, DEFAULT)"),
        (b"SELECT - - 5, a - 5, +.5e3, 1.5e-3, 4711col, t.5x", "SELECT - ?, a - ?, ?, ?, ?, t ?"),
        (b"SELECT N'a' 'b' \"c\", _utf8mb4 x'41', b'1', X '41'", "SELECT ?, ?, ?, X ?"),
        (b'SELECT "a"."b", `a b`.`c`', "SELECT ?.?, `a b`.`c`"),
        (b"SELECT @x := @x + 1, @'x y', @`z`, @4, @@global.sql_mode", "SELECT @x := @x + ?, @?, @?, @?, @@global.sql_mode"),
        (b"GRANT ALL ON *.* TO root@localhost, 'a'@'%', `b`@`c`", "GRANT ALL ON *.* TO root@localhost, ?@?, `b`@?"),
        (b"SELECT a->>'$.b', c || d; SELECT 1;", "SELECT a ->> ?, c || d; SELECT ?"),
        (b"SELECT ?, -?, @?", "SELECT ?, ?, @?"),
        (b"SELECT ) a\x7f`b\n`", "SELECT) a `b\N{REPLACEMENT CHARACTER}`"),
        ("SELECT größe, `größé` FROM t".encode(), "SELECT größe, `größé` FROM t"),
        # passwords
        (b"CREATE USER u@h IDENTIFIED BY 'secret'", "CREATE USER u@h IDENTIFIED ..."),
        (b"SET PASSWORD = 'secret'", "SET PASSWORD ..."),
        (b"SET PASSWORD FOR u = PASSWORD('secret')", "SET PASSWORD ..."),
        (b"CHANGE MASTER TO MASTER_USER='u', MASTER_PASSWORD='secret'", "CHANGE MASTER TO MASTER_USER = ?, MASTER_PASSWORD ..."),
        (b"START REPLICA PASSWORD 'secret'", "START REPLICA PASSWORD ..."),
        (b"SELECT password FROM t", "SELECT password FROM t"),
        # what has no end
        (b"SELECT a, 'secret", "SELECT a, ..."),
        (b"SELECT a /* secret", "SELECT a ..."),
        (b"SELECT a, `secret", "SELECT a, ..."),
        (b"SELECT a. 'secret", "SELECT a ..."),
        (b"CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ secret $$", "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS ..."),
        (b"a . . . secret", "a ..."),
        # comments that are executed, or not
        (b"SELECT /*!40001 SQL_NO_CACHE, 5, */ a", "SELECT SQL_NO_CACHE, ?, a"),
        (b"SELECT /*!99999 'sec*/ret' */ a", "SELECT ..."),
        (b"SELECT /*!1 a */ 2 */*don't*/ 3, 'secret'", "SELECT ..."),
        # readings that differ
        (b"SELECT 'O\\'Brien', a", "SELECT ? ..."),
        (b"SELECT 'a\\\\', 'b\\n'", "SELECT ?, ?"),
        # characters whose second byte looks like something else
        (b"SELECT '\xbf\\', a", "SELECT ..."),
        ("SELECT 'é\\\\', a".encode(), "SELECT ?, a"),
        (b"SELECT '\xff', a", "SELECT ?, a"),
    ],
)  # fmt: skip
def test_a_statement_without_its_literals(text: bytes, expected: str) -> None:
    assert digest(text) == expected
    assert digest(expected.encode()) == expected


def test_a_client_with_an_unsafe_charset_gets_a_shorter_one() -> None:
    text = "SELECT 'é\\\\', a".encode()
    assert digest(text, is_unsafe_charset=True) == "SELECT ..."
    assert digest(b"SELECT 'a\\\\', a", is_unsafe_charset=True) == "SELECT ?, a"


def test_a_long_statement_is_cut_at_a_word() -> None:
    found = digest(b"SELECT " + b"abcdefghi, " * 100)
    assert found.endswith(f"abcdefghi, {CUT}")
    assert LONGEST - 12 < len(found) <= LONGEST
    assert digest(b"a" * (LONGEST + 1)) == CUT
    assert digest(b"a" * LONGEST) == "a" * LONGEST


def test_only_the_beginning_of_a_statement_is_read() -> None:
    blob = b"INSERT INTO t VALUES ('" + b"x" * READ + b"', 5)"
    assert digest(blob) == "INSERT INTO t VALUES ( ..."
    in_list = b"DELETE FROM t WHERE a IN (" + b"1, " * READ + b"5)"
    assert digest(in_list) == "DELETE FROM t WHERE a IN (? ..."


@pytest.mark.parametrize("cut", range(4))
def test_a_character_that_is_cut_in_two_does_not_make_the_charset_doubtful(cut: int) -> None:
    text = "SELECT `é`, '".encode()
    text += b"x" * (READ - len(text) - cut) + "\N{GRINNING FACE}'".encode()
    assert digest(text) == "SELECT `é`, ..."
