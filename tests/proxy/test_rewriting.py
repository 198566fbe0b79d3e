from __future__ import annotations

import pytest

from proxy.classify import classify
from proxy.rewriting import rewritten


def written(text: str) -> str:
    """The text with 5 in place of what is written in, ROW_COUNT() mostly."""
    statement = classify(text.encode(), 0)
    edits = [(begin, end, b"5") for _, begin, end in statement.places]
    return rewritten(text.encode(), statement, 0, edits).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT ROW_COUNT()", "SELECT 5 AS `ROW_COUNT()`"),
        ("SELECT  ROW_COUNT()  +  1 , 2", "SELECT  5  +  1 AS `ROW_COUNT()  +  1` , 2"),
        (
            "SELECT ROW_COUNT() /* c */ + 1 /* d */",
            "SELECT 5 /* c */ + 1 AS `ROW_COUNT() /* c */ + 1` /* d */",
        ),
        ("SELECT @@warning_count, a FROM t", "SELECT 5 AS `@@warning_count`, a FROM t"),
        ("SELECT DISTINCT ROW_COUNT() FROM t", "SELECT DISTINCT 5 AS `ROW_COUNT()` FROM t"),
        ("SELECT a, `x`, ROW_COUNT()*2;", "SELECT a, `x`, 5*2 AS `ROW_COUNT()*2`;"),
        ("SELECT ROW_COUNT() + `a`", "SELECT 5 + `a` AS `ROW_COUNT() + ``a```"),
        (
            "SELECT * FROM (SELECT ROW_COUNT()+1) x",
            "SELECT * FROM (SELECT 5+1 AS `ROW_COUNT()+1`) x",
        ),
        (
            "SELECT (SELECT ROW_COUNT()), 1",
            "SELECT (SELECT 5 AS `ROW_COUNT()`) AS `(SELECT ROW_COUNT())`, 1",
        ),
        ("SELECT ROW_COUNT() UNION SELECT 1", "SELECT 5 AS `ROW_COUNT()` UNION SELECT 1"),
        ("DELETE FROM t RETURNING ROW_COUNT()", "DELETE FROM t RETURNING 5 AS `ROW_COUNT()`"),
        ("SELECT ROW_COUNT() + /*! 1 */ 2", "SELECT 5 + /*! 1 */ 2 AS `ROW_COUNT() +  1  2`"),
        ("SELECT ROW_COUNT() + '😀'", "SELECT 5 + '😀' AS `ROW_COUNT() + '?'`"),
        ("SELECT a FROM t WHERE b = ROW_COUNT()", "SELECT a FROM t WHERE b = 5"),
        ("INSERT INTO t VALUES (ROW_COUNT())", "INSERT INTO t VALUES (5)"),
        ("SELECT )ROW_COUNT()", "SELECT )5"),
        ("SELECT , ROW_COUNT()", "SELECT , 5 AS `ROW_COUNT()`"),
    ],
)
def test_titles_stay_what_they_are(text: str, expected: str) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    "item",
    [
        "ROW_COUNT() n",
        "ROW_COUNT() AS n",
        "ROW_COUNT() AS 'a b'",
        "ROW_COUNT() `n`",
        "ROW_COUNT() 'n'",
        "ROW_COUNT() + 1 n",
        "ROW_COUNT() + @a n",
        "ROW_COUNT() + a n",
        "ROW_COUNT() DIV 2 day",
        "NOW() + INTERVAL ROW_COUNT() DAY n",
    ],
)
def test_an_alias_stays(item: str) -> None:
    assert written(f"SELECT {item} FROM t") == f"SELECT {item.replace('ROW_COUNT()', '5')} FROM t"


@pytest.mark.parametrize(
    "item",
    [
        "ROW_COUNT() IS NULL",
        "ROW_COUNT() DIV a",
        "ROW_COUNT() + t.a",
        "ROW_COUNT() + `a`",
        "CASE ROW_COUNT() WHEN 1 THEN 2 END",
        "NOW() + INTERVAL ROW_COUNT() DAY",
        "ROW_COUNT() + 'a' 'b'",
        "ROW_COUNT() + _latin1'a'",
        "ROW_COUNT() + DATE'2020-01-01'",
    ],
)
def test_what_looks_like_an_alias_and_is_none(item: str) -> None:
    title = item.replace("`", "``")
    assert written(f"SELECT {item}") == f"SELECT {item.replace('ROW_COUNT()', '5')} AS `{title}`"


def test_long_titles_are_cut() -> None:
    assert written("SELECT ROW_COUNT()" + "+1" * 300).endswith("+1+1+1` "[:-1])
    assert written("SELECT ROW_COUNT()" + "+1" * 300).count("`") == 2
    long = "ROW_COUNT()" + "+1" * 300
    assert written("SELECT " + long).split("`")[1] == long[:255]
    statement = classify(b"SELECT ROW_COUNT() + '" + b"\xe4" * 300 + b"'", 0)
    text = rewritten(b"SELECT ROW_COUNT() + '" + b"\xe4" * 300 + b"'", statement, 0, [(7, 18, b"5")])
    assert len(text.split(b"`")[1]) == 255
