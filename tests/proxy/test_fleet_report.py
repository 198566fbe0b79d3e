"""Who holds connections to a server, for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxy.fleet_report import CUT, UNTOLD, Holder, Holders, as_text, parse_holders, report, unseen
from proxy.occupancy import UNKNOWN, Occupancy

ANNOUNCED = {"fanin_id": "aa", "application": "shop", "version": "1.2"}
ROWS = (
    ("aa", "1.2", "shop", None, "fanin", "app", "10.0.0.1", "5", "2"),
    ("bb", "1.1", "mail", None, "fanin", "app", "10.0.0.2", "7", "1"),
    (None, None, None, None, "mysql", "root", "localhost", "1", "1"),
    ("aa", "1.2", "shop", "monitor", "fanin", "watch", "10.0.0.1", "1", "1"),
    ("bb", "1.1", "mail", None, "fanin", "other", "10.0.0.2", "2", "0"),
    (None, None, None, None, None, None, None, "3", None),
)
SEEN = Holders(parse_holders(ROWS), False, Occupancy(151, 19, 0), ())


def shown(seen: Holders, own: int = 5) -> dict[str, Any]:
    return report("db", "writer", seen, ANNOUNCED, own)


def test_rows_become_holders() -> None:
    assert SEEN.holders[0] == Holder("aa", "1.2", "shop", None, "fanin", "app", "10.0.0.1", 5, 2)
    assert (SEEN.holders[-1].connections, SEEN.holders[-1].busy) == (3, 0)


def test_sidecars_are_told_from_others() -> None:
    found = shown(SEEN)
    assert (found["connected"], found["max_connections"], found["shown"], found["notes"]) == (19, 151, 19, [])
    assert found["sidecars"] == [
        {
            "fanin_id": "bb",
            "application": "mail",
            "version": "1.1",
            "hosts": ["10.0.0.2"],
            "users": ["app", "other"],
            "backends": 9,
            "busy": 1,
            "monitors": 0,
            "is_this": False,
        },
        {
            "fanin_id": "aa",
            "application": "shop",
            "version": "1.2",
            "hosts": ["10.0.0.1"],
            "users": ["app", "watch"],
            "backends": 5,
            "busy": 2,
            "monitors": 1,
            "is_this": True,
        },
    ]
    assert found["others"] == [
        {"user": "root", "host": "localhost", "program": "mysql", "connections": 1, "busy": 1},
        {"user": "", "host": "", "program": "", "connections": 3, "busy": 0},
    ]


def test_without_attributes_this_process_is_known_by_itself() -> None:
    rows = [(None,) * 5 + ("app", "10.0.0.1", "12", "3")]
    found = shown(replace(SEEN, holders=parse_holders(rows), occupancy=Occupancy(151, 12, 0)))
    assert found["notes"] == [UNTOLD]
    (this,) = found["sidecars"]
    assert (this["fanin_id"], this["backends"], this["busy"], this["is_this"]) == ("aa", 5, None, True)
    assert found["others"][0]["connections"] == 12


def test_what_is_not_shown_is_counted_and_said() -> None:
    found = shown(replace(SEEN, occupancy=Occupancy(151, 30, 0), refused=("SELECT command denied", "more")))
    assert found["notes"] == [
        "11 of 30 connections are not shown to the account that looks (SELECT command denied): "
        "GRANT PROCESS ON *.*, and SELECT ON performance_schema.*, would show them"
    ]
    assert shown(replace(SEEN, is_cut=True))["notes"] == [CUT]


def test_numbers_that_the_server_does_not_tell_are_none() -> None:
    found = shown(replace(SEEN, occupancy=Occupancy(UNKNOWN, UNKNOWN, UNKNOWN)))
    assert (found["connected"], found["max_connections"], found["notes"]) == (None, None, [])


def test_the_text_has_a_table_for_each_server() -> None:
    lines = as_text(
        {
            "endpoints": [
                {**shown(SEEN), "age": 1.0},
                {**unseen("r", "reader", ANNOUNCED, 2, "no answer"), "age": 0.0},
            ]
        }
    ).splitlines()
    assert lines == [
        "db (writer): 19 of 151 connections, asked 1 s ago",
        "",
        "  backends  busy monitors  application              version    host                 fanin_id",
        "         9     1        0  mail                     1.1        10.0.0.2             bb",
        "         5     2        1  shop                     1.2        10.0.0.1             aa (this one)",
        "",
        "    others  busy  user                 host                     program",
        "         1     1  root                 localhost                mysql",
        "         3     0",
        "",
        "r (reader): ? of ? connections, asked 0 s ago",
        "  note: the server could not be asked: no answer",
        "",
        "  backends  busy monitors  application              version    host                 fanin_id",
        "         2     ?        ?  shop                     1.2                             aa (this one)",
    ]
