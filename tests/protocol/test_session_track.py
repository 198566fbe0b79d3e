from __future__ import annotations

import pytest

from protocol.constants import TrackerType
from protocol.errors import RemoteProtocolError
from protocol.session_track import (
    DEFAULT_TRACK_FILTER,
    EVERYTHING,
    EVERYTHING_BUT_GTIDS,
    NextOkDebt,
    SchemaDebt,
    SessionChanges,
    TrackFilter,
    build_changes,
    filter_changes,
    is_for_next,
    parse_changes,
    split_changes,
    split_variables,
    translated_changes,
)
from protocol.wire import lenenc_bytes

ALL_KINDS = SessionChanges(
    [(b"autocommit", b"ON"), (b"sql_mode", b"x" * 300)],
    b"shop",
    True,
    b"START TRANSACTION READ ONLY;",
    b"T_R_____",
    b"3E11FA47:23",
)


def entry(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + lenenc_bytes(content)


def test_all_kinds_both_ways() -> None:
    block = build_changes(ALL_KINDS)
    assert parse_changes(block) == ALL_KINDS
    assert [TrackerType(kind).value for kind, _ in split_changes(block)] == [0, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("", SessionChanges()),
        ("01050473686f70", SessionChanges(schema=b"shop")),
        ("020131", SessionChanges(state_changed=True)),
        ("020130", SessionChanges()),
        ("02020131", SessionChanges(state_changed=True)),
        ("000f0a6175746f636f6d6d6974034f4646", SessionChanges([(b"autocommit", b"OFF")])),
        ("0509085f5f5f5f5f5f5f5f040100", SessionChanges(None, None, False, b"", b"________")),
        ("0908deadbeefdeadbeef", SessionChanges()),
    ],
)
def test_blocks_as_servers_send_them(block: str, expected: SessionChanges) -> None:
    assert parse_changes(bytes.fromhex(block)) == expected


@pytest.mark.parametrize("block", ["01", "0105", "010504", "0001", "00020161", "0202", "0300", "0301"])
def test_blocks_that_are_cut_are_refused(block: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_changes(bytes.fromhex(block))


def test_an_entry_may_hold_several_variables() -> None:
    content = b"\x01a\x011\x01b\x00"
    assert split_variables(content) == [(b"a", b"1"), (b"b", b"")]
    assert parse_changes(entry(0, content)).variables == [(b"a", b"1"), (b"b", b"")]


def test_nothing_makes_an_empty_block() -> None:
    assert build_changes(SessionChanges()) == b""


def test_later_changes_are_absorbed() -> None:
    changes = SessionChanges([(b"a", b"1")])
    changes.absorb(SessionChanges())
    assert changes == SessionChanges([(b"a", b"1")])
    changes.absorb(ALL_KINDS)
    changes.absorb(SessionChanges())
    assert changes.variables == [(b"a", b"1"), *ALL_KINDS.variables]
    changes.variables = ALL_KINDS.variables
    assert changes == ALL_KINDS


def test_transactions_of_several_statements_are_added_up() -> None:
    changes = SessionChanges(gtids=b"a:1")
    changes.absorb(SessionChanges(gtids=b"a:2"))
    assert changes.gtids == b"a:1,a:2"


def test_who_tracks_everything_need_not_be_told_what_we_track() -> None:
    block = build_changes(ALL_KINDS)
    assert filter_changes(block, EVERYTHING) == block
    assert parse_changes(filter_changes(block, EVERYTHING_BUT_GTIDS)).gtids is None


def test_changes_are_values_but_no_keys() -> None:
    assert SessionChanges() != b""
    assert SessionChanges(schema=b"") != SessionChanges()
    with pytest.raises(TypeError):
        hash(SessionChanges())
    assert (
        repr(SessionChanges(schema=b"s", state_changed=True))
        == "SessionChanges(schema=b's', state_changed=True)"
    )


def only(
    *variables: bytes,
    schema: bool = False,
    state_change: bool = False,
    transaction: bool = False,
    gtids: bool = False,
) -> TrackFilter:
    return TrackFilter(frozenset(variables), schema, state_change, transaction, gtids)


BLOCK = build_changes(ALL_KINDS)


@pytest.mark.parametrize(
    ("track", "left"),
    [
        (only(), SessionChanges()),
        (only(b"*"), SessionChanges(ALL_KINDS.variables)),
        (only(b"autocommit", b"time_zone"), SessionChanges(ALL_KINDS.variables[:1])),
        (only(schema=True), SessionChanges(schema=b"shop")),
        (only(state_change=True), SessionChanges(state_changed=True)),
        (only(gtids=True), SessionChanges(gtids=b"3E11FA47:23")),
        (
            only(transaction=True),
            SessionChanges(None, None, False, b"START TRANSACTION READ ONLY;", b"T_R_____"),
        ),
        (only(b"*", schema=True, state_change=True, transaction=True, gtids=True), ALL_KINDS),
        (DEFAULT_TRACK_FILTER, SessionChanges([(b"autocommit", b"ON")], b"shop")),
    ],
)
def test_a_filter_leaves_what_was_asked_for(track: TrackFilter, left: SessionChanges) -> None:
    assert filter_changes(BLOCK, track) == build_changes(left)


def test_a_schema_that_comes_along_with_what_was_not_asked_for_is_left_out_where_it_cannot_have_changed() -> (
    None
):
    track = DEFAULT_TRACK_FILTER.without_lone_schema()
    assert DEFAULT_TRACK_FILTER.without_lone_schema() is track
    stray = build_changes(SessionChanges(schema=b"shop", state_changed=True))
    assert filter_changes(stray, DEFAULT_TRACK_FILTER) == build_changes(SessionChanges(schema=b"shop"))
    assert filter_changes(stray, track) == b""
    alone = build_changes(SessionChanges(schema=b"shop"))
    assert filter_changes(alone, track) == alone
    with_more = SessionChanges([(b"autocommit", b"ON")], b"shop")
    assert filter_changes(BLOCK, track) == build_changes(with_more)


def test_a_schema_that_comes_along_with_nothing_but_a_changed_state_is_told_by_what_changes_none_itself() -> (
    None
):
    track = DEFAULT_TRACK_FILTER.without_stray_schema()
    assert DEFAULT_TRACK_FILTER.without_stray_schema() is track
    with_state = build_changes(SessionChanges(schema=b"shop", state_changed=True))
    assert filter_changes(with_state, track) == build_changes(SessionChanges(schema=b"shop"))
    stray = build_changes(SessionChanges(schema=b"shop", state_changed=True, transaction_state=b"T_R___S_"))
    assert filter_changes(stray, track) == b""


def test_a_filter_without_changes_of_state_is_otherwise_the_same() -> None:
    track = EVERYTHING.without_state_change()
    assert EVERYTHING.without_state_change() is track
    assert track.is_everything
    changes = SessionChanges(
        [(b"time_zone", b"+01:00")], b"shop", state_changed=True, transaction_state=b"T_______"
    )
    passed = parse_changes(filter_changes(build_changes(changes), track))
    assert (passed.state_changed, passed.schema, passed.transaction_state) == (False, b"shop", b"T_______")


def test_names_of_variables_are_compared_in_lower_case() -> None:
    block = build_changes(SessionChanges([(b"Time_Zone", b"SYSTEM")]))
    assert filter_changes(block, DEFAULT_TRACK_FILTER) == block


def test_unknown_entries_are_dropped() -> None:
    assert filter_changes(entry(9, b"?"), only(b"*", transaction=True)) == b""


def state_only() -> TrackFilter:
    return TrackFilter(frozenset(), False, False, True, False, characteristics=False)


def test_where_only_the_state_of_transactions_is_tracked_their_characteristics_show_as_nothing() -> None:
    block = build_changes(SessionChanges(transaction_characteristics=b"SET TRANSACTION READ ONLY;"))
    assert filter_changes(block, state_only()) == b""
    assert state_only().tells(block)
    assert not state_only().tells(build_changes(SessionChanges(schema=b"shop")))
    assert not only().tells(block)
    assert not only(transaction=True).tells(block)


def test_characteristics_are_not_tracked_without_transactions() -> None:
    assert not only().passes(4, b"")


TIME_ZONE = (b"time_zone", b"+01:00")


def owed(schema: bytes = b"shop") -> SchemaDebt:
    debt = SchemaDebt()
    debt.may_grow = debt.is_due = True
    debt.schema = schema
    return debt


def test_a_schema_that_could_not_be_told_is_told_with_the_next_thing() -> None:
    debt = owed()
    debt.is_due = False
    block = build_changes(SessionChanges(schema=b"", transaction_state=b"T_______"))
    debt.note(block, DEFAULT_TRACK_FILTER)
    block = build_changes(SessionChanges([TIME_ZONE], state_changed=True))
    told = build_changes(SessionChanges([TIME_ZONE], b"shop"))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt) == (told, True)
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt) == (
        build_changes(SessionChanges([TIME_ZONE])),
        True,
    )


def test_it_stands_where_the_server_would_have_put_it() -> None:
    block = build_changes(SessionChanges([TIME_ZONE], transaction_state=b"T_______"))
    track = only(b"time_zone", transaction=True)
    told = build_changes(SessionChanges([TIME_ZONE], b"", transaction_state=b"T_______"))
    assert translated_changes(block, 2, track, owed(b"")) == (told, True)


def test_it_is_told_once() -> None:
    debt = owed()
    block = build_changes(SessionChanges(schema=b"other"))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt) == (block, True)
    assert not debt.is_due


def test_it_waits_until_something_is_told() -> None:
    debt = owed()
    block = build_changes(SessionChanges([(b"sql_mode", b"")]))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt) == (b"", False)
    assert debt.is_due


@pytest.mark.parametrize(
    ("changes", "track", "may_grow", "is_due"),
    [
        (SessionChanges(schema=b"shop"), DEFAULT_TRACK_FILTER, True, True),
        (SessionChanges(schema=b"shop"), DEFAULT_TRACK_FILTER, False, False),
        (SessionChanges(state_changed=True), DEFAULT_TRACK_FILTER, True, False),
        (SessionChanges(schema=b"shop"), only(b"*"), True, False),
        (SessionChanges(schema=b"shop"), None, True, False),
    ],
)
def test_what_was_not_told_is_owed_to_those_who_track_it(
    changes: SessionChanges, track: TrackFilter | None, may_grow: bool, is_due: bool
) -> None:
    debt = SchemaDebt()
    debt.may_grow = may_grow
    debt.note(build_changes(changes), track)
    assert debt.is_due == is_due


def test_one_that_may_be_told_for_a_command_of_ours_is_not_owed_once() -> None:
    debt = owed()
    debt.is_due, debt.is_doubtful = False, True
    block = build_changes(SessionChanges(schema=b"shop"))
    debt.note(block, DEFAULT_TRACK_FILTER)
    assert not debt.is_due
    debt.note(block, DEFAULT_TRACK_FILTER)
    assert debt.is_due


def test_a_schema_that_came_along_with_what_is_not_told_is_owed() -> None:
    debt = owed()
    debt.is_due = False
    block = build_changes(SessionChanges(schema=b"shop", state_changed=True))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER.without_lone_schema(), debt) == (b"", False)
    assert debt.is_due


def test_nothing_is_owed_to_clients_of_other_servers() -> None:
    block = build_changes(SessionChanges([TIME_ZONE], state_changed=True))
    told = build_changes(SessionChanges([TIME_ZONE]))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, None) == (told, True)
    assert translated_changes(b"", 2, DEFAULT_TRACK_FILTER, None) == (b"", False)


@pytest.mark.parametrize(
    ("characteristics", "is_next"),
    [
        (b"", False),
        (b"START TRANSACTION READ ONLY;", False),
        (b"SET TRANSACTION READ ONLY;", True),
        (b"SET TRANSACTION READ ONLY; START TRANSACTION;", False),
        (b"SET TRANSACTION READ ONLY; XA START 'a';", False),
    ],
)
def test_characteristics_are_of_this_transaction_or_the_next(characteristics: bytes, is_next: bool) -> None:
    assert is_for_next(characteristics) == is_next


# What MySQL tells of transactions although nobody has asked for it


def told_of(
    debt: NextOkDebt, text: bytes | None, status: int, track: TrackFilter = DEFAULT_TRACK_FILTER
) -> bytes | None:
    """The state that a client is told with an OK that has these characteristics; b"" when only that something has changed."""
    block = b"" if text is None else build_changes(SessionChanges(transaction_characteristics=text))
    told, is_told = translated_changes(block, status, track, debt)
    return parse_changes(told).transaction_state or b"" if is_told else None


def begun() -> NextOkDebt:
    """A client was told of a transaction."""
    debt = NextOkDebt()
    assert told_of(debt, b"START TRANSACTION READ ONLY;", 3) == b"T_______"
    return debt


def test_a_transaction_is_told_from_its_beginning_to_its_end() -> None:
    debt = begun()
    assert told_of(debt, b"START TRANSACTION;", 3) == b""
    assert told_of(debt, b"START TRANSACTION WITH CONSISTENT SNAPSHOT;", 3) == b"T_R_____"
    assert told_of(debt, b"START TRANSACTION;", 3) == b"T_______"
    assert told_of(debt, b"", 2) == b"________"
    assert told_of(debt, b"SET TRANSACTION READ ONLY;", 2) is None
    assert told_of(debt, b"", 2) is None
    assert told_of(debt, b"START TRANSACTION WITH CONSISTENT SNAPSHOT;", 3) == b"T_R_____"
    # CREATE TEMPORARY TABLE
    block = build_changes(SessionChanges(transaction_state=b"________"))
    told, _ = translated_changes(block, 3, DEFAULT_TRACK_FILTER, debt)
    assert parse_changes(told).transaction_state == b"________"


def test_the_next_ok_tells_of_an_end_that_an_error_could_not_tell() -> None:
    debt = begun()
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    assert debt.is_late
    assert told_of(debt, None, 2) == b"________"
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    assert not debt.is_late


def test_the_end_is_seen_when_the_server_has_stopped_to_track_it() -> None:
    debt = begun()
    debt.begin(True, EVERYTHING, None)
    debt.begin(True, DEFAULT_TRACK_FILTER, None)
    assert debt.is_late
    assert told_of(debt, None, 3) is None
    assert told_of(debt, None, 2) == b"________"


def test_so_is_the_end_of_one_that_goes_on() -> None:
    debt = begun()
    debt.begin(True, EVERYTHING, None)
    debt.is_ending = True
    assert told_of(debt, None, 3) == b"________"
    assert (debt.is_ending, debt.is_late) == (False, False)


@pytest.mark.parametrize(("state", "is_over"), [(b"________", True), (b"T_______", False), (None, False)])
def test_so_is_one_that_only_a_command_of_ours_was_told(state: bytes | None, is_over: bool) -> None:
    debt = begun()
    debt.asked(SessionChanges(transaction_state=state))
    debt.begin(True, DEFAULT_TRACK_FILTER, None)
    assert debt.is_late == is_over
    assert told_of(debt, None, 3) == (b"________" if is_over else None)


def test_so_is_one_that_rows_in_front_of_an_eof_could_not_tell() -> None:
    debt = begun()
    block = build_changes(SessionChanges(transaction_state=b"________"))
    debt.note(block, None)
    debt.note(b"", DEFAULT_TRACK_FILTER)
    assert not debt.is_over
    debt.note(block, DEFAULT_TRACK_FILTER)
    assert told_of(debt, None, 3) == b"________"


def test_a_schema_that_an_answer_could_not_tell_is_told_with_the_next_ok() -> None:
    debt = NextOkDebt()
    debt.begin(False, DEFAULT_TRACK_FILTER, b"shop")
    assert not debt.is_late
    debt.note(build_changes(SessionChanges(schema=b"shop")), DEFAULT_TRACK_FILTER)
    debt.begin(False, DEFAULT_TRACK_FILTER, b"shop")
    assert debt.is_late
    told, is_told = translated_changes(b"", 2, DEFAULT_TRACK_FILTER, debt)
    assert (parse_changes(told).schema, is_told) == (b"shop", True)
    assert translated_changes(b"", 2, DEFAULT_TRACK_FILTER, debt) == (b"", False)


def test_it_is_told_with_an_ok_of_the_same_answer_as_it_was_told_then() -> None:
    debt = NextOkDebt()
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    debt.note(build_changes(SessionChanges(schema=b"shop")), DEFAULT_TRACK_FILTER)
    assert debt.is_late
    told, _ = translated_changes(b"", 2, DEFAULT_TRACK_FILTER, debt)
    assert parse_changes(told).schema == b"shop"


def test_it_is_told_with_the_ok_of_a_set_that_ends_the_tracking() -> None:
    debt = NextOkDebt()
    debt.begin(False, DEFAULT_TRACK_FILTER, b"shop")
    debt.asked(SessionChanges(schema=b"shop"))
    debt.begin(False, EVERYTHING, b"shop")
    told, is_told = translated_changes(b"", 2, EVERYTHING, debt)
    assert (parse_changes(told).schema, is_told) == (b"shop", True)


def test_a_beginning_that_rows_could_not_tell_is_told_later() -> None:
    debt = NextOkDebt()
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    debt.note(
        build_changes(SessionChanges(transaction_characteristics=b"START TRANSACTION;")), DEFAULT_TRACK_FILTER
    )
    assert told_of(debt, None, 3) == b"T_______"
    assert told_of(debt, None, 2) == b"________"


def test_a_schema_is_told_to_those_who_track_it_and_once() -> None:
    debt = NextOkDebt()
    without = TrackFilter(frozenset(), schema=False, state_change=True, transaction=True, gtids=False)
    debt.begin(False, without, b"shop")
    debt.asked(SessionChanges(schema=b"shop"))
    assert translated_changes(b"", 2, without, debt) == (b"", False)
    debt.begin(False, DEFAULT_TRACK_FILTER, b"shop")
    debt.asked(SessionChanges(schema=b"shop"))
    block = build_changes(SessionChanges(schema=b"other"))
    assert translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt) == (block, True)


def test_so_is_what_else_has_changed_as_it_is_by_then() -> None:
    debt = NextOkDebt()
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    for value in (b"+01:00", b"+02:00"):
        variables = [(b"time_zone", value), (b"sql_mode", b"")]
        debt.note(build_changes(SessionChanges(variables, gtids=b"1-2")), DEFAULT_TRACK_FILTER)
    debt.begin(False, DEFAULT_TRACK_FILTER, None)
    block = build_changes(SessionChanges([(b"autocommit", b"ON")], schema=b"shop"))
    told, _ = translated_changes(block, 2, DEFAULT_TRACK_FILTER, debt)
    assert told == build_changes(
        SessionChanges([(b"autocommit", b"ON"), (b"time_zone", b"+02:00")], schema=b"shop")
    )


def test_an_end_is_not_seen_while_tracking_begins_anew() -> None:
    debt = begun()
    debt.begin(True, EVERYTHING, None)
    debt.asked(SessionChanges(transaction_state=b"________"))
    assert told_of(debt, None, 3) is None


def test_a_client_that_tracks_nothing_or_transactions_is_told_what_it_asks_for() -> None:
    nothing = TrackFilter(frozenset(), schema=False, state_change=False, transaction=False, gtids=False)
    assert told_of(NextOkDebt(), b"START TRANSACTION;", 3, nothing) is None
    block = build_changes(SessionChanges(transaction_state=b"T___W___"))
    assert translated_changes(block, 3, EVERYTHING, NextOkDebt()) == (block, True)


STATES = TrackFilter(frozenset(), False, False, True, False, characteristics=False)


@pytest.mark.parametrize("make", [SchemaDebt, NextOkDebt])
def test_an_end_that_the_client_did_not_see_is_told_with_the_next_ok(
    make: type[SchemaDebt | NextOkDebt],
) -> None:
    ended = entry(5, lenenc_bytes(b"________"))
    debt = make()
    for track, expected in ((STATES, ended), (EVERYTHING, ended + entry(4, b"\0"))):
        debt.transaction_ended(track)
        debt.is_late = True
        assert translated_changes(b"", 2, track, debt) == (expected, True)
        assert translated_changes(b"", 2, track, debt) == (b"", False)
    locked = entry(5, lenenc_bytes(b"_______L"))
    debt.transaction_ended(EVERYTHING)
    assert translated_changes(locked, 2, EVERYTHING, debt) == (locked + entry(4, b"\0"), True)
    debt.transaction_ended(DEFAULT_TRACK_FILTER)
    assert translated_changes(b"", 2, DEFAULT_TRACK_FILTER, debt) == (b"", False)
