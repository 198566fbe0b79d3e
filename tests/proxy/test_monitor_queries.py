"""The texts of the monitor. What servers make of them is asked in tests/integration/test_monitor_queries.py."""

from __future__ import annotations

import pytest

from proxy import monitor_queries
from proxy.classify import classify
from proxy.statement import MULTI

TEXTS = {
    name: text
    for name, text in vars(monitor_queries).items()
    if name.isupper() and not name.startswith("_") and name != "CLOCK"
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_is_one_statement_that_reads(name: str) -> None:
    assert TEXTS[name].startswith(("SELECT ", "SHOW "))
    assert not classify(TEXTS[name].encode(), 0).flags & MULTI


def test_the_clock_depends_on_no_time_zone() -> None:
    assert "UTC_TIMESTAMP" in monitor_queries.CLOCK
    assert all("UNIX_TIMESTAMP" not in text for text in TEXTS.values())


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(("_SELF", "_OCCUPANCY"))])
def test_each_that_tells_the_occupancy_can_count_too(name: str) -> None:
    counting = monitor_queries.with_count(TEXTS[name], "session_connect_attrs", "5f3a")
    columns, rest = counting.split(" FROM (", 1)
    assert columns == TEXTS[name].split(" FROM (", 1)[0] + ", c.processes, c.own, c.sessions, c.visible"
    assert columns.endswith("s.connected, s.refusals, c.processes, c.own, c.sessions, c.visible")
    assert "'5f3a'" in rest and rest.endswith(" FROM performance_schema.session_connect_attrs) AS c")
    assert not classify(counting.encode(), 0).flags & MULTI
