"""How long a statement may wait, where it says so itself."""

from __future__ import annotations

import pytest

from proxy.patience import patience
from proxy.pool_states import NEVER

LIMITED = {b"max_execution_time": b"3000"}


@pytest.mark.parametrize(
    ("text", "variables", "seconds"),
    [
        (b"SELECT 1", {}, NEVER),
        (b"/* fanin: acquire_timeout=200 */ UPDATE t SET a = 1", {}, 0.2),
        (b"UPDATE /* fanin: acquire_timeout=0 */ t SET a = 1", {}, 0.0),
        (b"SELECT /*+ MAX_EXECUTION_TIME(1500) */ 1", {}, 1.5),
        (b" (select/*+ NO_ICP(t) max_execution_time ( 70 ) */ 1)", {}, 0.07),
        (b"/* a */ -- b\nSELECT 1", LIMITED, NEVER),
        (b"/* a */ /* b */ SELECT 1", LIMITED, 3.0),
        (b"SELECT /*+ MAX_EXECUTION_TIME(0) */ 1", LIMITED, NEVER),
        (b"SELECT /* fanin: acquire_timeout=100 */ /*+ MAX_EXECUTION_TIME(50) */ 1", LIMITED, 0.1),
        (b"/* fanin: acquire_timeout=100 */ SELECT /*+ MAX_EXECUTION_TIME(50) */ 1", {}, 0.05),
        (b"SELECT '/*+ MAX_EXECUTION_TIME(1) */'", {}, NEVER),
        (b"SELECT /*+ NO_ICP(t) */ '/*+ MAX_EXECUTION_TIME(1) */'", {}, NEVER),
        (b"SELECTED", LIMITED, NEVER),
        (b"UPDATE t SET a = 1", LIMITED, NEVER),
        (b"UPDATE t SET a = 1", {b"max_statement_time": b"2.500000"}, 2.5),
        (b"SELECT 1", {b"max_statement_time": b"0.000000", b"max_execution_time": b"0"}, NEVER),
        (b"SELECT 1", {b"max_statement_time": b"DEFAULT"}, NEVER),
    ],
)
def test_the_shortest_limit_holds(text: bytes, variables: dict[bytes, bytes], seconds: float) -> None:
    assert patience(text, variables) == seconds


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
    ],
    ids=["comments", "spaces", "stars", "parentheses", "names", "openings", "gap"],
)
def test_long_texts_are_read_once(text: bytes) -> None:
    assert patience(text, {b"max_execution_time": b"0"}) == NEVER
