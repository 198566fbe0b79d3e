"""How long a statement may wait, where it says so itself."""

from __future__ import annotations

import pytest

from proxy.lexer import NO_BACKSLASH_ESCAPES
from proxy.patience import patience
from proxy.pool_states import NEVER

LIMITED = {b"max_execution_time": b"3000"}
SHORT = {b"max_statement_time": b"0.100000"}


@pytest.mark.parametrize(
    ("text", "variables", "seconds"),
    [
        (b"SELECT 1", {}, NEVER),
        (b"/* fanin: acquire_timeout=200 */ UPDATE t SET a = 1", {}, 0.2),
        (b"UPDATE /* fanin: acquire_timeout=0 */ t SET a = 1", {}, 0.0),
        (b"SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1", {}, 1.5),
        (b" (select/*+ NO_ICP(t) max_execution_time ( 70 ) */ 1)", {}, 0.07),
        (b"/* a */ -- b\nSELECT 1", LIMITED, 3.0),
        (b"-- a\n#b\n--\nSELECT /*+ MAX_EXECUTION_TIME(70) */ 1", LIMITED, 0.07),
        (b"--a\nSELECT 1", LIMITED, NEVER),
        (b"-- SELECT 1", LIMITED, NEVER),
        (b"/*+ a */ ( /* b */ (SELECT 1))", LIMITED, 3.0),
        (b"/*! SELECT */ 1", LIMITED, 3.0),
        (b"/*M!100000 SELECT */ 1", LIMITED, 3.0),
        (b"SELECT -- a\n /*+ MAX_EXECUTION_TIME(70) */ 1", LIMITED, 3.0),
        (b"/* a */ /* b */ SELECT 1", LIMITED, 3.0),
        (b"SELECT /*+ MAX_EXECUTION_TIME(0) */ 1", LIMITED, 3.0),
        (b"SELECT /*+ MAX_EXECUTION_TIME(0) */ 1", {}, NEVER),
        (b"SELECT /*+ MAX_EXECUTION_TIME(9000) MAX_EXECUTION_TIME(5) */ 1", LIMITED, 9.0),
        (b"SELECT /* fanin: acquire_timeout=100 */ /*+ MAX_EXECUTION_TIME(50) */ 1", LIMITED, 0.1),
        (b"/* fanin: acquire_timeout=100 */ SELECT /*+ MAX_EXECUTION_TIME(50) */ 1", {}, 0.05),
        (b"SELECT '/*+ MAX_EXECUTION_TIME(1) */'", {}, NEVER),
        (b"SELECT /*+ NO_ICP(t) */ '/*+ MAX_EXECUTION_TIME(1) */'", {}, NEVER),
        (b"SELECTED", LIMITED, NEVER),
        (b"", LIMITED, NEVER),
        (b"TABLE t", LIMITED, 3.0),
        (b"VALUES ROW(1)", LIMITED, 3.0),
        (b"TABLE /*+ MAX_EXECUTION_TIME(70) */ t", {}, NEVER),
        (
            b"WITH a AS (SELECT 1), b (x) AS (SELECT ')') SELECT /*+ MAX_EXECUTION_TIME(70) */ 1 FROM a",
            LIMITED,
            0.07,
        ),
        (b"with recursive a as (select /*+ MAX_EXECUTION_TIME(70) */ 1) select 1 from a", LIMITED, 3.0),
        (b"WITH a AS (SELECT 1) TABLE a", LIMITED, 3.0),
        (b"WITH a AS (SELECT 1) UPDATE t, a SET b = 1", LIMITED, NEVER),
        (b"WITH a AS (SELECT 1", LIMITED, NEVER),
        (b"WITH a AS (SELECT 1) (WITH b AS (SELECT 2) SELECT 1)", LIMITED, NEVER),
        (b"with()(" * 600, LIMITED, NEVER),
        (b"WITH a AS (SELECT 1) (SELECT /*+ MAX_EXECUTION_TIME(70) */ 1)", LIMITED, 0.07),
        (b'WITH `a)` AS (SELECT "\')" -- )\n # )\n /* ) */ ) ( -- a\n select 1)', LIMITED, 3.0),
        (b"WITH a AS (SELECT ')", LIMITED, NEVER),
        (b"UPDATE t SET a = 1", LIMITED, NEVER),
        (b"UPDATE t SET a = 1", {b"max_statement_time": b"2.500000"}, 2.5),
        (b"SELECT 1", {b"max_statement_time": b"0.000000", b"max_execution_time": b"0"}, NEVER),
        (b"SELECT 1", {b"max_statement_time": b"DEFAULT"}, NEVER),
        (b"SET STATEMENT max_statement_time=0.5 FOR SELECT 1", {}, 0.5),
        (b"/* a */ set statement sort_buffer_size=(1), `MAX_statement_time`:=2e-1 for DO 1", SHORT, 0.2),
        (b"SET STATEMENT max_statement_time=5 FOR SELECT 1", SHORT, 5.0),
        (b"SET STATEMENT max_statement_time=0 FOR SELECT 1", SHORT, NEVER),
        (b"SET STATEMENT max_statement_time=.5, max_statement_time=2 FOR SELECT 1", {}, 2.0),
        (b"SET STATEMENT max_statement_time=(0.5) FOR SELECT 1", SHORT, NEVER),
        (b"SET STATEMENT max_statement_time=1+1 FOR SELECT 1", SHORT, NEVER),
        (b"SET STATEMENT sort_buffer_size=max_statement_time FOR SELECT 1", SHORT, 0.1),
        (b"SET STATEMENT sort_buffer_size=1 FOR SELECT max_statement_time=3", SHORT, 0.1),
        (b"SET STATEMENT max_statement_time", SHORT, 0.1),
        (b"SET max_statement_time=3", SHORT, 0.1),
        (b"SET", SHORT, 0.1),
    ],
)
def test_the_shortest_limit_holds(text: bytes, variables: dict[bytes, bytes], seconds: float) -> None:
    assert patience(text, variables) == seconds
    assert patience(text, variables, sets=b"statement" in text.lower()) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b"/**/" * 100_000 + b"x",
        b" " * 500_000 + b"x",
        b"/*" + b"*" * 500_000,
        b"(" * 500_000,
        b"SELECT /*+ " + b"max_execution_time" * 30_000,
        b"SELECT /*+ " + b"max_execution_time(" * 30_000,
        b"SELECT /*+ max_execution_time" + b" " * 500_000 + b"x",
        b"#\n" * 200_000 + b"x",
        b"-- " * 200_000 + b"x",
        b"--" * 200_000,
        b"/*!" + b"1" * 500_000,
        b"WITH " + b"a AS (" * 100_000,
        b"WITH " + b"'" * 500_001,
        b"WITH " + rb"\'" * 300_000,
        b"WITH " + b"/*" * 300_000,
        b"SET STATEMENT " + b"max_statement_time=(1)," * 50_000,
    ],
    ids=[
        "comments",
        "spaces",
        "stars",
        "parentheses",
        "names",
        "openings",
        "gap",
        "lines",
        "one line",
        "dashes",
        "version",
        "tables",
        "quotes",
        "escapes",
        "comments among tables",
        "variables",
    ],
)
def test_long_texts_are_read_once(text: bytes) -> None:
    assert patience(text, {b"max_execution_time": b"0"}) == NEVER


def test_what_ends_a_string_is_by_the_sessions_mode() -> None:
    text = rb"WITH a AS (SELECT '\') SELECT /*+ MAX_EXECUTION_TIME(70) */ 1 FROM a WHERE ') = '"
    assert patience(text, {}) == NEVER
    assert patience(text, {}, NO_BACKSLASH_ESCAPES) == 0.07
