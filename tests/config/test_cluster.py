from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from config.cluster import (
    ClusterKind,
    Consistency,
    Failover,
    Fallback,
    InTransaction,
    Routing,
    Side,
    Topology,
)
from config.sections import Section


def errors_of(model: type[Section], table: object) -> list[tuple[str, str]]:
    """Where and what pydantic complains about."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(table)
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in caught.value.errors()]


def test_without_settings_reads_that_say_so_leave_the_writer_and_nothing_else_does() -> None:
    routing = Routing()
    assert (routing.read_only_transactions, routing.autocommit_reads) == (Side.READER, Side.WRITER)
    assert (routing.consistency, routing.fallback) == (Consistency.SESSION, Fallback.WRITER)
    assert (Topology().kind, Failover().in_transaction) == (ClusterKind.AUTO, InTransaction.DEADLOCK)


def test_times_are_spelled_as_people_do() -> None:
    topology = Topology.model_validate({"interval": "500ms", "panic_interval": "50ms", "timeout": "2s"})
    assert (topology.interval, topology.panic_interval, topology.timeout) == (0.5, 0.05, 2.0)
    assert Routing.model_validate({"max_lag": "200ms", "warm_up": "1m"}).max_lag == 0.2


def test_panic_is_no_slower_than_peace() -> None:
    assert errors_of(Topology, {"interval": 1, "panic_interval": 2}) == [
        ("panic_interval", "Value error, expected at most `topology.interval`, which is 1")
    ]
    assert [where for where, _ in errors_of(Topology, {"interval": 0, "panic_interval": 2})] == ["interval"]


def test_a_password_belongs_to_an_account() -> None:
    topology = Topology.model_validate({"monitor_user": "watch", "monitor_password": "hunter2"})
    assert topology.monitor_password is not None
    assert topology.monitor_password.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{topology!r} {topology.model_dump_json()}"
    assert errors_of(Topology, {"monitor_password": "hunter2"}) == [
        ("monitor_password", "Value error, is used with `topology.monitor_user` only")
    ]
    assert [where for where, _ in errors_of(Topology, {"monitor_user": "", "monitor_password": "x"})] == [
        "monitor_user"
    ]


def test_host_names_of_instances_have_a_place_for_the_name() -> None:
    template = "?.abc123.eu-west-1.rds.amazonaws.com"
    assert Topology.model_validate({"host_template": template}).host_template == template


@pytest.mark.parametrize("template", ["no-place.example", "?.a.?", "?.example:3306", "? .example"])
def test_other_templates_are_refused(template: str) -> None:
    assert [where for where, _ in errors_of(Topology, {"host_template": template})] == ["host_template"]


def test_names_are_a_list_or_one_text() -> None:
    assert Routing.model_validate({"reader_users": "a, b"}).reader_users == ("a", "b")
    assert Routing.model_validate({"writer_schemas": ["a", "b"]}).writer_schemas == ("a", "b")


@pytest.mark.parametrize("what", ["users", "schemas"])
def test_nobody_is_on_both_sides(what: str) -> None:
    table = {f"reader_{what}": ["a", "b"], f"writer_{what}": ["b"]}
    assert errors_of(Routing, table) == [
        (f"writer_{what}", f"Value error, expected each here or in `reader_{what}`; in both: b")
    ]
    assert [
        where for where, _ in errors_of(Routing, {f"reader_{what}": ["x" * 129], f"writer_{what}": ["b"]})
    ] == [f"reader_{what}.0"]


@pytest.mark.parametrize(
    "table", [{"max_lag": 0}, {"fallback": "never"}, {"writer_weight": -1}, {"causal_keys": True}]
)
def test_other_values_are_refused(table: dict[str, Any]) -> None:
    assert [where for where, _ in errors_of(Routing, table)] == list(table)
