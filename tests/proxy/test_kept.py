from __future__ import annotations

import pytest

from protocol.session_track import DEFAULT_TRACK_FILTER
from proxy.kept import (
    KEPT,
    LIMITS,
    NOTHING_KEPT,
    TRACKING,
    TRACKS_GTIDS,
    filter_of,
    hide_commands,
    is_unmovable,
    may_read,
    place_command,
    question_command,
    with_value,
)

BOTH = LIMITS | TRACKING
SETUP = b"SET session_track_schema=1"
VARIABLE = 0
SCHEMA = 1
CHANGE = 2
GTIDS = 3
CHARACTERISTICS = 4
STATE = 5


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("SELECT 1", 0),
        ("SELECT @@wait_timeout", LIMITS),
        ("SELECT @@SESSION.`WAIT_TIMEOUT`", LIMITS),
        ("SELECT @@interactive_timeout", LIMITS),
        ("SET innodb_lock_wait_timeout = 5", 0),
        ("SET lock_wait_timeout = 5, wait_timeout = 6", LIMITS),
        ("SELECT net_read_timeout FROM t", 0),
        ("SET session_track_schema = 1", TRACKING),
        ("SET session_track_system_variables = 'x'", TRACKING),
        ("SET session_track_system_variables = CONCAT(@@session_track_system_variables, ',x')", TRACKING),
        ("SELECT @@session_track_gtids, @@wait_timeout", BOTH),
        ("SHOW VARIABLES", BOTH),
        ("show session variables;", BOTH),
        ("SHOW VARIABLES LIKE '%'", BOTH),
        ("SHOW VARIABLES LIKE 'wait_timeou_'", BOTH),
        ("SHOW VARIABLES LIKE 'session_track_schema'", BOTH),
        ("SHOW VARIABLES LIKE '______________'", BOTH),
        ("SHOW VARIABLES LIKE 'sql_mode'", 0),
        ('SHOW LOCAL VARIABLES LIKE "max_allowed_packet" ;', 0),
        ("SHOW VARIABLES LIKE 'lower_case_%'", BOTH),
        ("SHOW GLOBAL VARIABLES", 0),
        ("SELECT * FROM performance_schema.global_variables", 0),
        ("SHOW VARIABLES WHERE Variable_name = 'language' OR Variable_name = 'sql_mode'", 0),
        ("SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'time_zone')", 0),
        ("SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'wait_timeout')", LIMITS),
        ("SHOW VARIABLES WHERE Variable_name = 'x' OR Value = 'ON'", BOTH),
        ("SHOW VARIABLES WHERE Variable_name = 'x' OR Variable_name LIKE 'ses%'", BOTH),
        ("SHOW VARIABLES WHERE Value = 'ON'", BOTH),
        ("SELECT * FROM performance_schema.session_variables", BOTH),
        ("SELECT * FROM performance_schema.variables_by_thread", BOTH),
        ("SELECT * FROM information_schema.SYSTEM_VARIABLES", BOTH),
    ],
)
def test_what_a_text_may_read(text: str, bits: int) -> None:
    assert may_read(text.encode()) == bits


def test_what_is_kept_is_replaced_and_not_changed() -> None:
    kept = with_value(NOTHING_KEPT, b"wait_timeout", b"5")

    assert with_value(kept, b"wait_timeout", b"6") == {b"wait_timeout": b"6"}
    assert kept == {b"wait_timeout": b"5"}
    assert NOTHING_KEPT == {}


def test_only_limits_that_were_set_are_placed() -> None:
    assert place_command({b"wait_timeout": b"5", b"session_track_schema": b"OFF"}, LIMITS) == (
        b"\x03SET SESSION wait_timeout=5"
    )


def test_all_tracking_is_placed_but_gtids() -> None:
    kept = {b"session_track_system_variables": b"it's", b"session_track_gtids": b"OWN_GTID"}

    assert place_command(kept, TRACKING) == (
        b"\x03SET SESSION session_track_schema=DEFAULT,SESSION session_track_state_change=DEFAULT,"
        b"SESSION session_track_transaction_info=DEFAULT,SESSION session_track_system_variables=_latin1'it''s'"
    )


def test_a_backend_is_put_back() -> None:
    limits = b"\x03SET SESSION wait_timeout=DEFAULT,SESSION interactive_timeout=DEFAULT"
    everything = {b"session_track_system_variables": b"*"}

    assert hide_commands(NOTHING_KEPT, 0, SETUP) == []
    assert hide_commands(NOTHING_KEPT, BOTH, SETUP) == [limits, b"\x03" + SETUP]
    assert hide_commands(everything, TRACKING, SETUP) == [
        b"\x03" + SETUP,
        b"\x03SET SESSION session_track_system_variables=_latin1'*'",
    ]


def test_gtids_are_tracked_again_unless_the_session_has_something_that_forbids_it() -> None:
    setup = SETUP + TRACKS_GTIDS
    assert hide_commands(NOTHING_KEPT, TRACKING, setup) == [b"\x03" + setup]
    assert hide_commands(NOTHING_KEPT, TRACKING, setup, is_held=True) == [b"\x03" + SETUP]


def test_the_question_names_variables() -> None:
    names = (b"sql_mode", b"time_zone")
    show = b"\x03SHOW SESSION VARIABLES WHERE Variable_name IN ('sql_mode','time_zone')"
    assert question_command(names, False, False) == question_command(names, False, True) == show


@pytest.mark.parametrize(
    ("is_mariadb", "table"),
    [(False, b"performance_schema.session_variables"), (True, b"information_schema.SESSION_VARIABLES")],
)
def test_a_limit_of_the_session_leaves_the_question_all_its_rows(is_mariadb: bool, table: bytes) -> None:
    assert question_command((b"sql_mode", b"time_zone"), True, is_mariadb) == (
        b"\x03SELECT VARIABLE_NAME,VARIABLE_VALUE FROM %s WHERE VARIABLE_NAME IN ('sql_mode','time_zone') LIMIT 1000"
        % table
    )


@pytest.mark.parametrize(
    ("name", "value", "on_mysql", "on_mariadb"),
    [
        (b"session_track_gtids", b"OWN_GTID", True, True),
        (b"session_track_gtids", b"OFF", False, False),
        (b"session_track_system_variables", b"*", True, False),
        (b"session_track_system_variables", b"sql_mode", False, False),
        (b"session_track_schema", b"OFF", False, False),
    ],
)
def test_what_only_one_backend_can_tell_pins(
    name: bytes, value: bytes, on_mysql: bool, on_mariadb: bool
) -> None:
    assert is_unmovable(name, value, False) is on_mysql
    assert is_unmovable(name, value, True) is on_mariadb


def test_limits_do_not_filter() -> None:
    assert filter_of({b"wait_timeout": b"5"}) is DEFAULT_TRACK_FILTER


def test_the_filter_says_what_the_client_has_set() -> None:
    content = b"\x08sql_mode\x00"
    found = filter_of(
        {
            b"session_track_system_variables": b" SQL_MODE , time_zone,",
            b"session_track_schema": b"OFF",
            b"session_track_state_change": b"ON",
            b"session_track_transaction_info": b"STATE",
            b"session_track_gtids": b"OWN_GTID",
        }
    )

    assert found.variables == {b"sql_mode", b"time_zone"}
    passed = [
        found.passes(kind, content) for kind in (VARIABLE, SCHEMA, CHANGE, GTIDS, CHARACTERISTICS, STATE)
    ]
    assert passed == [True, False, True, True, False, True]


def test_what_was_not_set_is_told_as_by_default() -> None:
    found = filter_of({b"session_track_transaction_info": b"CHARACTERISTICS"})

    assert found.variables == DEFAULT_TRACK_FILTER.variables
    assert (found.schema, found.state_change, found.gtids) == (True, False, False)
    assert found.passes(CHARACTERISTICS, b"") and found.passes(STATE, b"")


def test_names_are_in_the_order_in_which_they_are_assigned() -> None:
    assert list(KEPT)[-1] == b"session_track_system_variables"
