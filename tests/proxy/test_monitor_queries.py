"""The texts of the monitor. What servers make of them is asked in tests/integration/test_monitor_queries.py."""

from __future__ import annotations

import pytest

from proxy import monitor_queries
from proxy.classify import classify
from proxy.statement import MULTI

TEXTS = {
    name: text
    for name, text in vars(monitor_queries).items()
    if name.isupper() and not name.startswith("_") and isinstance(text, str) and name not in ("CLOCK", "LOCK")
}
for is_mariadb in (False, True):
    for number, holders in enumerate(monitor_queries.holders(is_mariadb)):
        TEXTS[f"holders-{is_mariadb}-{number}"] = holders


@pytest.mark.parametrize("name", TEXTS)
def test_each_is_one_statement_that_reads(name: str) -> None:
    assert TEXTS[name].startswith(("SELECT ", "SHOW "))
    assert not classify(TEXTS[name].encode(), 0).flags & MULTI


def test_the_clock_depends_on_no_time_zone() -> None:
    assert "UTC_TIMESTAMP" in monitor_queries.CLOCK
    assert all("UNIX_TIMESTAMP" not in text for text in TEXTS.values())


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(("_SELF", "_OCCUPANCY"))])
def test_each_that_tells_the_occupancy_can_count_too(name: str) -> None:
    text = TEXTS[name]
    attributes = monitor_queries.with_count(text, "session_connect_attrs", "5f3a")
    taking, held = (monitor_queries.with_locks(text, 7, is_held, 900) for is_held in (False, True))
    for counting in (attributes, taking, held):
        columns, rest = counting.split(" FROM (", 1)
        assert columns.startswith(text.split(" FROM (", 1)[0] + ", c.processes, ")
        assert rest.startswith(text.split(" FROM (", 1)[1] + ", (")
        assert not classify(counting.encode(), 0).flags & MULTI
    assert "'5f3a'" in attributes and attributes.endswith(
        " FROM performance_schema.session_connect_attrs) AS c"
    )
    assert "GET_LOCK('fanin.7', 0)" in taking and "n < 899)" in taking
    assert "GET_LOCK" not in held and "IS_USED_LOCK('fanin.7') = CONNECTION_ID()" in held
