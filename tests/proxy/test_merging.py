"""What several workers have told, as one."""

from __future__ import annotations

from typing import Any

from proxy import merging
from proxy.counters import Counters


def counted(**values: Any) -> Counters:
    counters = Counters()
    for name, value in values.items():
        setattr(counters, name, value)
    return counters


def test_all_counts_are_known() -> None:
    assert {"queries", "wait_seconds", "wait_buckets", "pins"} < set(merging.COUNTED)
    assert "recording" not in merging.COUNTED and len(merging.COUNTED) == 21


def test_counts_add_up_and_those_of_the_dead_stay() -> None:
    total = Counters()
    one = counted(queries=5, frontends_open=2, pins={"user-lock": 1})
    one.observe_wait(0.002)
    other = counted(queries=3, frontends_open=4, pins={"user-lock": 2, "temporary-table": 1})
    other.observe_wait(100.0)
    merging.add_counters(total, merging.counts(one))
    merging.add_counters(total, merging.counts(other), is_dead=True)
    assert (total.queries, total.frontends_open, total.waits) == (8, 2, 2)
    assert total.pins == {"user-lock": 3, "temporary-table": 1}
    assert (total.wait_buckets[1], total.wait_buckets[-1]) == (1, 1)


def endpoint(name: str = "writer", **values: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(
        (
            *("bound", "reserve", "expected", "shed", "spared", "opening", "idle", "parked", "leased"),
            *("resetting", "waiting", "in_transaction"),
        ),
        0,
    )
    return {
        "name": name,
        "role": "writer",
        "size": 8,
        **numbers,
        "opens_in": 0.0,
        "users": [],
        "databases": [],
        "oldest_wait": 0.0,
        "is_up": True,
        "last_failure": "",
        "budget": {},
        **values,
    }


def test_the_same_endpoint_of_all_workers_is_one() -> None:
    one = endpoint(bound=3, leased=2, oldest_wait=0.5, opens_in=2.0, is_up=False, last_failure="refused")
    other = endpoint(bound=5, leased=1, oldest_wait=0.25, opens_in=1.0)
    (found, alone) = merging.endpoints([[one, endpoint("reader")], [other]])
    assert alone == endpoint("reader")
    assert (found["size"], found["bound"], found["leased"]) == (8, 8, 3)
    assert (found["oldest_wait"], found["opens_in"]) == (0.5, 1.0)
    assert (found["is_up"], found["last_failure"]) == (True, "")
    (down,) = merging.endpoints([[one]])
    assert (down["is_up"], down["last_failure"]) == (False, "refused")


def test_limits_that_are_shared_add_up() -> None:
    def user(name: str, backends: int, limit: int | None) -> dict[str, Any]:
        return {"name": name, "backends": backends, "used": 1, "waiting": 0, "limit": limit}

    def database(leased: int, limit: int) -> dict[str, Any]:
        return {"name": "shop", "leased": leased, "limit": limit}

    (found,) = merging.endpoints(
        [
            [endpoint(users=[user("app", 2, 3), user("etl", 1, None)], databases=[database(1, 2)])],
            [endpoint(users=[user("app", 1, 0), user("etl", 1, None)], databases=[database(2, 2)])],
        ]
    )
    assert found["users"] == [
        {"name": "app", "backends": 3, "used": 2, "waiting": 0, "limit": 3},
        {"name": "etl", "backends": 2, "used": 2, "waiting": 0, "limit": None},
    ]
    assert found["databases"] == [{"name": "shop", "leased": 3, "limit": 4}]


def test_of_a_server_the_last_look_counts() -> None:
    def budget(bound: int, ago: float | None) -> dict[str, Any]:
        return {"bound": bound, "why": f"{ago}", "looked_ago": ago, "looks": 2, "refusals": 1}

    (found,) = merging.endpoints(
        [
            [endpoint(budget=budget(1, None))],
            [endpoint(budget=budget(2, 1.5))],
            [endpoint(budget=budget(4, 3.5))],
        ]
    )
    assert found["budget"] == {"bound": 7, "why": "1.5", "looked_ago": 1.5, "looks": 6, "refusals": 3}


def test_what_the_dead_have_counted_of_an_endpoint_stays() -> None:
    def counted(shed: int, looks: int) -> dict[str, Any]:
        return endpoint(
            shed=shed, spared=1, budget={"looked_ago": 1.0, "bound": 1, "looks": looks, "refusals": 1}
        )

    dead = merging.fallen(merging.fallen({}, [counted(2, 10)]), [counted(3, 20)])
    (found,) = merging.endpoints([[counted(4, 5)]], [dead, {}])
    assert (found["shed"], found["spared"], found["idle"]) == (9, 3, endpoint()["idle"])
    assert (found["budget"]["looks"], found["budget"]["refusals"], found["budget"]["bound"]) == (35, 3, 1)
    # whoever has looked may be dead, and without a budget there was nothing to count
    (found,) = merging.endpoints([[endpoint()]], [merging.fallen({}, [endpoint(shed=1)])])
    assert (found["shed"], found["budget"]) == (endpoint()["shed"] + 1, endpoint()["budget"])


def test_while_nobody_is_ready_the_state_has_the_same_keys() -> None:
    found = merging.state([], 5)
    assert found["frontends"] == {"open": 0, "in_login": 0, "limit": 0, "with_lease_or_waiting": 0}
    assert (found["endpoints"], found["sessions"], found["topology"]) == ([], [], {})


def test_one_worker_that_is_ready_is_enough() -> None:
    assert merging.obstacles([]) == ["no worker is ready"]
    assert merging.obstacles([["a"], []]) == []
    assert merging.obstacles([["a", "b"], ["b", "c"]]) == ["a", "b", "c"]


def state(*sessions: int, **values: Any) -> dict[str, Any]:
    return {
        "state": {
            "version": "fanin",
            "is_draining": False,
            "frontends": {"open": 3, "in_login": 0, "limit": 10, "with_lease_or_waiting": len(sessions)},
            "pinned": {"user-lock": 1},
            "topology": {"kind": "static"},
            "routes": {"writer": {"write": 2}},
            "stranded_accounts": ["a"],
            "endpoints": [endpoint()],
            "sessions": [{"id": each} for each in sessions],
            **values,
        }
    }


def test_the_state_of_all() -> None:
    second = state(2, 4, routes={"writer": {"write": 1}, "reader": {"read": 5}}, is_draining=True)
    found = merging.state([(1, state(3, 1)), (2, second)], 3)
    assert found["sessions"] == [{"id": 1, "worker": 1}, {"id": 2, "worker": 2}, {"id": 3, "worker": 1}]
    assert found["frontends"] == {"open": 6, "in_login": 0, "limit": 10, "with_lease_or_waiting": 4}
    assert (found["pinned"], found["is_draining"]) == ({"user-lock": 2}, True)
    assert found["routes"] == {"writer": {"write": 3}, "reader": {"read": 5}}
    assert found["stranded_accounts"] == ["a"]
    assert (found["version"], found["topology"], len(found["endpoints"])) == ("fanin", {"kind": "static"}, 1)


def row(digest: str, seconds: float, ago: float, *endpoints: str) -> dict[str, Any]:
    return {
        "reason": "user-lock",
        "digest": digest,
        "count": 2,
        "live": 1,
        "pinned_seconds": seconds,
        "share": 0.0,
        "backends": 0.0,
        "endpoints": [
            {"name": name, "pinned_seconds": seconds, "share": 0, "backends": 0} for name in endpoints
        ],
        "last_seen_ago": ago,
        "cleared_by": "the end",
        "advice": "none",
    }


def pins(uptime: float, seconds: float, *rows: dict[str, Any]) -> dict[str, Any]:
    cost = {"pinned_seconds": seconds, "share": 0.0, "backends": 0.0}
    return {"uptime": uptime, "endpoints": [{"name": "writer", "pool_size": 4, **cost}], "pins": list(rows)}


def test_what_the_same_statement_pinned_is_one() -> None:
    one = pins(100.0, 10.0, row("get_lock", 10.0, 5.0, "writer"), row("rare", 0.5, 2.0, "gone"))
    other = pins(50.0, 30.0, row("get_lock", 30.0, 1.0, "writer"))
    found = merging.pins([one, other])
    assert found["uptime"] == 100.0
    cost = {"pinned_seconds": 40.0, "share": 0.1, "backends": 0.4}
    assert found["endpoints"] == [{"name": "writer", "pool_size": 4, **cost}]
    first, second = found["pins"]
    assert first == {
        **row("get_lock", 0.0, 1.0),
        "count": 4,
        "live": 2,
        **cost,
        "endpoints": [{"name": "writer", **cost}],
    }
    assert (second["digest"], second["share"], second["endpoints"][0]["share"]) == ("rare", 0.0, 0.0)
    assert merging.pins([]) == {"uptime": 0.0, "endpoints": [], "pins": []}


def sidecar(fanin_id: str, is_this: bool) -> dict[str, Any]:
    return {"fanin_id": fanin_id, "backends": 2, "is_this": is_this}


def test_all_workers_are_this_fanin() -> None:
    def told(name: str, *sidecars: dict[str, Any]) -> dict[str, Any]:
        return {"endpoints": [{"name": name, "connected": 9, "sidecars": list(sidecars)}]}

    one = told("writer", sidecar("a", True), sidecar("b", False), sidecar("x", False))
    other = told("writer", sidecar("a", False), sidecar("b", True), sidecar("x", False))
    blind = told("writer", sidecar("c", True))
    found = merging.fleet([one, other, blind, told("reader", sidecar("b", True))])
    writer, reader = found["endpoints"]
    assert [(each["fanin_id"], each["is_this"]) for each in writer["sidecars"]] == [
        ("a", True),
        ("b", True),
        ("x", False),
        ("c", True),
    ]
    assert reader["name"] == "reader"
    # what was told is left as it was
    assert one["endpoints"][0]["sidecars"][1]["is_this"] is False
