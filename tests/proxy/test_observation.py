"""What servers answer to the monitor, as values. The rows are as MariaDB 10.11 and MySQL 9.7 sent them; Aurora's are as documented."""

from __future__ import annotations

import pytest

from proxy.observation import (
    NotUnderstood,
    Observation,
    ReplicationStatus,
    Self,
    has_restarted,
    is_aurora,
    parse_aurora_self,
    parse_heartbeat,
    parse_occupancy_alone,
    parse_replication,
    parse_self,
    parse_table,
)

OCCUPANCY = ("151", "7", "0")
"""max_connections, Threads_connected, Connection_errors_max_connections"""
CLOCK = 1_795_320_605_560_921
COLUMNS = (
    "Replica_IO_State",
    "Source_Host",
    "Source_Port",
    "Replica_IO_Running",
    "Replica_SQL_Running",
    "Seconds_Behind_Source",
    "Last_IO_Error",
    "Last_SQL_Error",
    "Source_Server_Id",
)
MARIADB_COLUMNS = (
    "Connection_name",
    "Master_Host",
    "Master_Port",
    "Slave_IO_Running",
    "Slave_SQL_Running",
    "Seconds_Behind_Master",
    "Last_IO_Error",
    "Last_SQL_Error",
    "Master_Server_Id",
)


def table_row(
    server_id: str,
    session: str = "2a1c",
    lag: str | None = "18.5",
    age: int = 400_000,
    cpu: str | None = "7.25",
) -> list[str | None]:
    return [server_id, session, lag, str(age), cpu, str(CLOCK)]


def look(**said: object) -> Observation:
    return Observation(
        **{  # type: ignore[arg-type]
            "server_id": "1",
            "is_writer": True,
            "clock": CLOCK,
            "taken_at": 10.0,
            "round_trip": 0.25,
            **said,
        }
    )


def following(lag: float | None) -> ReplicationStatus:
    return ReplicationStatus("1", "10.0.0.1", 3306, lag is not None, True, lag, "")


# Who it is


def test_aurora_is_known_by_its_variable() -> None:
    assert is_aurora([("aurora_version", "3.05.2")])
    assert not is_aurora([])


def test_an_aurora_instance_says_itself_whether_it_may_be_written() -> None:
    assert parse_aurora_self([("db-1", "0", str(CLOCK), "93", *OCCUPANCY)]) == Self(
        "db-1", True, CLOCK, 93, occupancy=OCCUPANCY
    )
    assert not parse_aurora_self([("db-2", "1", str(CLOCK), "93", *OCCUPANCY)]).is_writer


@pytest.mark.parametrize(
    ("read_only", "innodb_read_only", "is_writer"),
    [("0", "0", True), ("1", "0", False), ("0", "1", False), ("OFF", "0", True), ("NO_LOCK", "0", False)],
)
def test_a_server_may_be_written_when_nothing_forbids_it(
    read_only: str, innodb_read_only: str, is_writer: bool
) -> None:
    assert parse_self([("7", read_only, innodb_read_only, str(CLOCK), "3", "0-1-2", *OCCUPANCY)]) == Self(
        "7", is_writer, CLOCK, 3, "0-1-2", OCCUPANCY
    )


def test_a_position_of_several_lines_is_one_text() -> None:
    row = ("7", "0", "0", str(CLOCK), None, "97734610-e62a-11f1-8c87-02fc00000001:1-2,\n9773-02:1")
    assert parse_self([(*row, *OCCUPANCY)]).position == "97734610-e62a-11f1-8c87-02fc00000001:1-2,9773-02:1"
    assert parse_self([(*row[:5], None, *OCCUPANCY)]).position == ""


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], "@@server_id: 0 rows instead of one"),
        ([("7", "0")], "@@server_id: 2 columns instead of 9 or 13"),
        ([("", "0", "0", "1", "2", "", *OCCUPANCY)], "@@server_id: no value"),
        ([("7", "0", "0", None, "2", "", *OCCUPANCY)], "clock: None is no whole number"),
        ([("7", "0", "0", "1", "long", "", *OCCUPANCY)], "Uptime: 'long' is no whole number"),
    ],
)
def test_another_answer_is_not_understood(rows: list[tuple[str | None, ...]], error: str) -> None:
    with pytest.raises(NotUnderstood, match=f"^{error}$"):
        parse_self(rows)


def test_behind_who_it_is_a_server_says_how_full_it_is() -> None:
    count = ("1", "1", "2", "3")
    row = ("7", "0", "0", str(CLOCK), "3", "")
    for cells in (OCCUPANCY, (*OCCUPANCY, *count)):
        assert parse_self([(*row, *cells)]).occupancy == cells
        assert parse_occupancy_alone([cells]) == cells
    with pytest.raises(NotUnderstood, match="max_connections: 4 columns instead of 3 or 7"):
        parse_occupancy_alone([count])
    with pytest.raises(NotUnderstood, match="max_connections: 0 rows instead of one"):
        parse_occupancy_alone([])


# Aurora's table


def test_a_row_of_the_table_in_our_units() -> None:
    (row,) = parse_table([table_row("db-2")])
    assert (row.server_id, row.is_master, row.lag, row.age, row.cpu) == ("db-2", False, 0.0185, 0.4, 7.25)
    assert row.updated == CLOCK - 400_000


def test_what_the_table_does_not_know_is_unknown() -> None:
    (null, negative) = parse_table([table_row("db-2", lag=None, cpu=None), table_row("db-2", lag="-1")])
    assert (null.lag, null.cpu, negative.lag) == (None, None, None)


def test_a_clock_that_was_set_back_makes_the_lag_unknown() -> None:
    (slightly, much) = parse_table([table_row("db-2", age=-900_000), table_row("db-2", age=-3_600_000_000)])
    assert (slightly.lag, slightly.age) == (0.0185, 0.0)
    assert (much.lag, much.age) == (None, 0.0)


def test_rows_of_instances_that_are_gone_are_not_fresh_but_the_writers_is() -> None:
    old = 181_000_000
    rows = parse_table([table_row("db-2", age=old), table_row("db-1", "MASTER_SESSION_ID", age=old)])
    assert [row.is_fresh for row in rows] == [False, True]
    seen = look(rows=rows)
    assert seen.row_of("db-2") is None and seen.row_of("db-1") is rows[1] and seen.row_of("db-9") is None
    assert look().row_of("db-1") is None


def test_of_two_rows_the_newer_counts() -> None:
    rows = parse_table([table_row("db-2", age=9_000_000), table_row("db-2", age=20_000)])
    assert look(rows=rows).row_of("db-2") is rows[1]


def test_of_two_masters_the_older_is_the_former() -> None:
    rows = parse_table(
        [
            table_row("db-1", "MASTER_SESSION_ID", age=12_000_000),
            table_row("db-2", "MASTER_SESSION_ID", age=300_000),
            table_row("db-3"),
        ]
    )
    master = look(rows=rows).master()
    assert master is not None and master.server_id == "db-2"
    assert look().master() is None


@pytest.mark.parametrize("broken", ["nan", "inf", "much"])
def test_a_lag_that_is_no_number_is_not_understood(broken: str) -> None:
    with pytest.raises(NotUnderstood, match="is no number"):
        parse_table([table_row("db-2", lag=broken)])


# Replication


def test_mysqls_replication_status() -> None:
    row = ("Waiting for source to send event", "10.0.0.1", "3306", "Yes", "Yes", "2", "", "", "1")
    assert parse_replication(COLUMNS, [row]) == (
        ReplicationStatus("1", "10.0.0.1", 3306, True, True, 2.0, ""),
    )


def test_mariadbs_replication_status() -> None:
    row = ("", "10.0.0.1", "3306", "Yes", "Yes", "0", "", "", "1")
    assert parse_replication(MARIADB_COLUMNS, [row]) == (
        ReplicationStatus("1", "10.0.0.1", 3306, True, True, 0.0, ""),
    )


@pytest.mark.parametrize(
    ("receiving", "applying", "is_following", "error"),
    [
        ("Connecting", "Yes", True, "cannot connect"),  # the source is gone
        ("Yes", "No", True, "duplicate key"),  # the applier has stopped
        ("No", "Yes", True, ""),  # STOP REPLICA IO_THREAD
        ("No", "No", False, ""),  # STOP REPLICA, or never started
    ],
)
def test_a_replica_that_does_not_run_has_no_lag(
    receiving: str, applying: str, is_following: bool, error: str
) -> None:
    received, applied = (error, "") if receiving == "Connecting" else ("", error)
    row = ("", "10.0.0.1", "3306", receiving, applying, "5", received, applied, None)
    assert parse_replication(COLUMNS, [row]) == (
        ReplicationStatus("0", "10.0.0.1", 3306, False, is_following, None, error),
    )


def test_a_status_without_its_columns_is_not_understood() -> None:
    with pytest.raises(NotUnderstood, match="no column Replica_IO_Running"):
        parse_replication(("Source_Host",), [("10.0.0.1",)])


def test_a_source_without_an_address_is_still_one() -> None:
    row = ("", None, "3306", "No", "No", None, None, None, "0")
    (status,) = parse_replication(MARIADB_COLUMNS, [row])
    assert (status.source_host, status.is_following) == ("", False)


# The lag by its own account


def test_the_lag_is_that_of_the_slowest_source() -> None:
    assert look(replication=(following(1.0), following(4.0))).lag == 4.0


@pytest.mark.parametrize("replication", [None, (), (following(1.0), following(None))])
def test_without_it_all_the_lag_is_unknown(replication: tuple[ReplicationStatus, ...] | None) -> None:
    assert look(replication=replication).lag is None


def test_a_heartbeat_is_believed_before_whole_seconds() -> None:
    assert look(replication=(following(1.0),), heartbeat=0.03).lag == 0.03


def test_the_answer_of_a_heartbeat_query() -> None:
    with pytest.raises(NotUnderstood, match="the heartbeat query: 2 columns instead of 1"):
        parse_heartbeat([("1", "2")])
    assert parse_heartbeat([("0.25",)]) == 0.25
    assert parse_heartbeat([("-0.01",)]) == 0.0
    assert parse_heartbeat([(None,)]) is None
    with pytest.raises(NotUnderstood, match="2 rows"):
        parse_heartbeat([("1",), ("2",)])


def test_nothing_in_an_observation_is_older_than_the_question() -> None:
    assert look().asked_at == 9.75


@pytest.mark.parametrize(
    ("before", "after", "seconds", "is_restart"),
    [
        (50, 60, 10.0, False),
        (50, 59, 10.0, False),
        (50, 49, 10.0, True),
        (50, 51, 10.0, True),
        (None, 51, 10.0, False),
        (50, None, 10.0, False),
    ],
)
def test_an_uptime_that_does_not_grow_as_our_clock_does_is_a_restart(
    before: int | None, after: int | None, seconds: float, is_restart: bool
) -> None:
    first, second = look(uptime=before), look(uptime=after, taken_at=10.0 + seconds)
    assert has_restarted(first, second) is is_restart
