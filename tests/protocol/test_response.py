"""The tracker against dialogues recorded from real servers (tests/vectors/record.py), and against every rule by itself."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.constants import Command, ServerStatus
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.framing import FileReader, frame
from protocol.packets import (
    Column,
    SessionChanges,
    build_eof,
    build_err,
    build_ok,
    text_resultset,
    text_row,
)
from protocol.response import DEFAULT_TRACK_FILTER, ResponseTracker, TrackFilter
from protocol.session_track import EVERYTHING as EVERYTHING_ITS_OWN
from protocol.session_track import SchemaDebt

EVERYTHING = TrackFilter(frozenset([b"*"]), schema=True, state_change=True, transaction=True, gtids=True)
AUTOCOMMIT = int(ServerStatus.AUTOCOMMIT)
MORE = int(ServerStatus.MORE_RESULTS_EXISTS)
CURSOR = int(ServerStatus.CURSOR_EXISTS)
QUERY, PREPARE, EXECUTE, FETCH = (
    Command.COM_QUERY,
    Command.COM_STMT_PREPARE,
    Command.COM_STMT_EXECUTE,
    Command.COM_STMT_FETCH,
)

# ------------------------------------------------------------------------------------------------- ways to cut


def whole(wire: bytes) -> Iterator[bytes]:
    yield wire


def bytewise(wire: bytes) -> Iterator[bytes]:
    for pos in range(len(wire)):
        yield wire[pos : pos + 1]


def at_random(wire: bytes) -> Iterator[bytes]:
    dice = random.Random(len(wire))
    pos = 0
    while pos < len(wire):
        size = dice.choice((1, 2, 3, 5, 7, 30, 100, 400))
        yield wire[pos : pos + size]
        pos += size


CUTS: list[Callable[[bytes], Iterator[bytes]]] = [whole, bytewise, at_random]
cut_each_way = pytest.mark.parametrize("cut", CUTS)


def relayed(tracker: ResponseTracker, wire: bytes, cut: Callable[[bytes], Iterator[bytes]] = whole) -> bytes:
    return b"".join([tracker.feed(chunk) for chunk in cut(wire)])


def wire_of(*payloads: bytes, first: int = 1) -> bytes:
    """The packets of these payloads, with ids from first on."""
    out = b""
    for payload in payloads:
        out += frame(payload, first)
        first += len(payload) // 0xFFFFFF + 1
    return out


def packets_of(wire: bytes) -> list[bytes]:
    """Packets with their headers, split ones apart."""
    found = []
    while wire:
        end = 4 + int.from_bytes(wire[:3], "little")
        found.append(wire[:end])
        wire = wire[end:]
    return found


# --------------------------------------------------------------------------------------------- recorded dialogues

VECTORS = {
    path.name.split("-")[0]: json.loads(path.read_text())
    for path in sorted(Path(__file__).parents[1].joinpath("vectors").glob("*-*.json"))
}
SERVERS = [kind for kind in ("mariadb", "mysql") if kind in VECTORS]


def recording(kind: str, deprecate_eof: bool, session_track: bool) -> dict[str, list[dict[str, Any]]]:
    for session in VECTORS[kind]["sessions"]:
        if (session["deprecate_eof"], session["session_track"]) == (deprecate_eof, session_track):
            found: dict[str, list[dict[str, Any]]] = session["dialogues"]
            return found
    raise LookupError(kind)


def test_both_servers_were_recorded() -> None:
    assert SERVERS == ["mariadb", "mysql"]


class Relay:
    """Plays the recording of a connection through a tracker, dialogue by dialogue, as a proxy does."""

    def __init__(
        self,
        kind: str,
        server: tuple[bool, bool],
        client: tuple[bool, TrackFilter | None],
        cut: Callable[[bytes], Iterator[bytes]] = whole,
    ) -> None:
        self.tracker = ResponseTracker(deprecate_eof=server[0], session_track=server[1])
        self.recording = recording(kind, *server)
        self.deprecate_eof, self.track = client
        self.cut = cut
        self.status = AUTOCOMMIT

    def run(self) -> dict[str, list[tuple[bytes, bytes]]]:
        """What the client got in each step: the response, and the response to its file."""
        return {name: [self.step(step) for step in steps] for name, steps in self.recording.items()}

    def step(self, step: dict[str, Any]) -> tuple[bytes, bytes]:
        command = bytes.fromhex(step["command"])
        self.tracker.begin(command[0], self.deprecate_eof, self.track, self.status)
        got = relayed(self.tracker, bytes.fromhex(step["response"]), self.cut)
        got_after_file = b""
        assert self.tracker.is_infile == ("file" in step)
        if "file" in step:
            file = FileReader(self.tracker.sequence_id, self.tracker.sequence_id)
            file.feed(bytes.fromhex(step["file"]))
            self.tracker.infile_sent(file.server_sequence_id)
            got_after_file = relayed(self.tracker, bytes.fromhex(step["response_to_file"]), self.cut)
        assert self.tracker.is_complete
        self.status = self.tracker.status
        return got, got_after_file


def responses(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[tuple[bytes, bytes]]]:
    return {
        name: [
            (bytes.fromhex(step["response"]), bytes.fromhex(step.get("response_to_file", "")))
            for step in steps
        ]
        for name, steps in found.items()
    }


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("track", [False, True])
def test_for_a_client_like_ourselves_nothing_is_touched(kind: str, deprecate_eof: bool, track: bool) -> None:
    relay = Relay(kind, (deprecate_eof, track), (deprecate_eof, EVERYTHING if track else None))
    for steps in relay.recording.values():
        for step in steps:
            wire = bytes.fromhex(step["response"])
            if is_empty_block(wire):
                continue
            relay.tracker.begin(bytes.fromhex(step["command"])[0], deprecate_eof, relay.track, AUTOCOMMIT)
            if wire:
                assert relay.tracker.feed(wire) is wire
            if relay.tracker.is_infile:
                relay.tracker.infile_sent(bytes.fromhex(step["response_to_file"])[3])
                wire = bytes.fromhex(step["response_to_file"])
                assert relay.tracker.feed(wire) is wire
            assert relay.tracker.is_complete


def is_empty_block(wire: bytes) -> bool:
    """MySQL's OK of ROLLBACK in EOF form: SESSION_STATE_CHANGED, and nothing in the block. We clear the flag."""
    return wire[4:] == b"\0\0\0\0\x40\0\0\0\0"


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("server", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("client_eof", [False, True])
@pytest.mark.parametrize("track", [None, DEFAULT_TRACK_FILTER])
def test_chunks_do_not_matter(
    kind: str, server: tuple[bool, bool], client_eof: bool, track: TrackFilter | None
) -> None:
    expected = Relay(kind, server, (not client_eof, track), whole).run()
    for cut in (bytewise, at_random):
        assert Relay(kind, server, (not client_eof, track), cut).run() == expected


# What two recordings differ in without our doing, or in what cannot be known; everything else is compared exactly.
#
# - numbers that servers count on: statement ids of MariaDB (also in a message), COM_STATISTICS, COM_PROCESS_INFO
# - MariaDB sets SESSION_STATE_CHANGED in EOF packets; we never do
# - the EOF behind OUT parameters lacks PS_OUT_PARAMS and MORE_RESULTS_EXISTS on MySQL; ours has them as on MariaDB
# - a result set that ends in an ERR: the EOF behind its definitions has flags that we never get to know

COUNTED = ("statistics", "process info")


def masked(wire: bytes) -> list[bytes]:
    """The packets of a response, without what differs."""
    packets = packets_of(wire)
    has_rows_then_error = len(packets) > 2 and packets[-1][4] == 0xFF
    out = []
    for packet in packets:
        if packet[4] == 0xFE and len(packet) == 9:
            status = int.from_bytes(packet[7:], "little") & ~0x4000
            if status & 0x1000:
                status &= ~0x1008
            if has_rows_then_error:
                status &= 0x0003
            packet = packet[:7] + status.to_bytes(2, "little")
        if packet[4] == 0xFF:
            packet = packet[3:4] + re.sub(rb"\(\d+\)", b"(a statement)", packet[4:])
        out.append(packet)
    return out


def assert_same(
    got: dict[str, list[tuple[bytes, bytes]]], expected: dict[str, list[tuple[bytes, bytes]]], recorded: Any
) -> None:
    compared = 0
    for name, steps in recorded.items():
        for number, step in enumerate(steps):
            if name in COUNTED:
                continue
            for mine, theirs in zip(got[name][number], expected[name][number], strict=True):
                if bytes.fromhex(step["command"])[0] == PREPARE and mine[4:5] == b"\0":
                    mine, theirs = mine[:5] + bytes(4) + mine[9:], theirs[:5] + bytes(4) + theirs[9:]
                assert masked(mine) == masked(theirs), (name, step["says"])
                compared += 1
    assert compared > 100


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("server", [(False, False), (False, True), (True, False), (True, True)])
def test_a_client_without_trackers_gets_what_the_server_would_have_sent(
    kind: str, server: tuple[bool, bool], deprecate_eof: bool
) -> None:
    relay = Relay(kind, server, (deprecate_eof, None))
    expected = responses(recording(kind, deprecate_eof, False))
    assert_same(relay.run(), expected, relay.recording)


@pytest.mark.parametrize("kind", SERVERS)
def test_trackers_come_through_as_the_default_filter_says(kind: str) -> None:
    relay = Relay(kind, (True, True), (True, DEFAULT_TRACK_FILTER))
    recorded = relay.recording["default trackers"]
    for step in recorded:
        wire = bytes.fromhex(step["response"])
        assert relay.step(step) == (wire, b"")
    relay.step(relay.recording["set"][0])
    assert relay.tracker.changes is not None
    assert (b"character_set_client", b"latin1") in relay.tracker.changes.variables
    assert relay.tracker.changes.state_changed


@pytest.mark.parametrize("kind", SERVERS)
def test_what_recorded_responses_say(kind: str) -> None:
    relay = Relay(kind, (True, True), (False, None))
    tracker = relay.tracker
    said: dict[str, list[tuple[int, int, int, int]]] = {}
    for name, steps in relay.recording.items():
        said[name] = []
        for step in steps:
            relay.step(step)
            said[name].append((tracker.rows, tracker.results, tracker.error_code, tracker.insert_id))
    assert said["point select"] == [(1, 1, 0, 0)]
    assert said["100 rows"] == [(100, 1, 0, 0)]
    assert said["insert"] == [(0, 1, 0, 1), (0, 1, 0, 2)]
    assert said["insert with big id"][0] == (0, 1, 0, 70000)
    assert said["syntax error"] == [(0, 0, 1064, 0)]
    assert said["error in the middle of rows"] == [(50, 0, 1242, 0)]
    assert said["multi-statement"] == [(0, 5, 0, 0)]
    assert said["call"] == [(0, 4, 0, 0)]
    assert said["cursor"][2:6] == [(2, 1, 0, 0), (2, 1, 0, 0), (1, 1, 0, 0), (0, 0, 1421, 0)]


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_cursors_are_seen_to_open_and_to_end(kind: str, deprecate_eof: bool) -> None:
    relay = Relay(kind, (deprecate_eof, True), (deprecate_eof, None))
    opened = []
    for step in relay.recording["cursor"]:
        relay.step(step)
        opened.append(relay.tracker.cursor_open)
    assert opened == [False, True, True, True, False, False, True, True, False, False]


# ------------------------------------------------------------------------------------------------------- one by one


def tracker_for(
    command: int = QUERY,
    *,
    server_deprecates: bool = True,
    client_deprecates: bool = False,
    server_track: bool = True,
    client_track: TrackFilter | None = None,
    status: int = AUTOCOMMIT,
) -> ResponseTracker:
    tracker = ResponseTracker(deprecate_eof=server_deprecates, session_track=server_track)
    tracker.begin(command, client_deprecates, client_track, status)
    return tracker


OK = build_ok(status=AUTOCOMMIT)
END = build_ok(status=AUTOCOMMIT, header=0xFE)
EOF = build_eof(AUTOCOMMIT)
COLUMN = Column(b"a").build()
ROW = text_row([b"value"])


def test_a_tracker_is_complete_until_a_command_is_sent() -> None:
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    assert tracker.is_complete
    with pytest.raises(RemoteProtocolError, match="after the end"):
        tracker.feed(b"x")


def test_one_response_at_a_time() -> None:
    tracker = tracker_for()
    with pytest.raises(LocalProtocolError, match="under way"):
        tracker.begin(QUERY, True, None, 0)


@pytest.mark.parametrize(
    "command", [Command.COM_STMT_CLOSE, Command.COM_STMT_SEND_LONG_DATA, Command.COM_QUIT]
)
def test_commands_without_a_response_are_complete_at_once(command: int) -> None:
    tracker = tracker_for(command)
    assert tracker.is_complete
    assert tracker.feed(b"") == b""


@pytest.mark.parametrize(
    "command",
    [
        Command.COM_CHANGE_USER,
        Command.COM_BINLOG_DUMP,
        Command.COM_BINLOG_DUMP_GTID,
        Command.COM_TABLE_DUMP,
    ],
)
def test_dialogues_and_streams_are_refused(command: int) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be followed"):
        tracker_for(command)


@pytest.mark.parametrize(
    "command",
    [
        Command.COM_PING,
        Command.COM_INIT_DB,
        Command.COM_RESET_CONNECTION,
        Command.COM_STMT_RESET,
        Command.COM_REFRESH,
        Command.COM_PROCESS_KILL,
        Command.COM_SHUTDOWN,
    ],
)
def test_simple_commands_end_in_an_ok_or_an_error(command: int) -> None:
    tracker = tracker_for(command)
    wire = wire_of(OK)
    assert tracker.feed(wire) is wire
    assert (tracker.is_complete, tracker.is_error, tracker.results) == (True, False, 1)

    tracker.begin(command, False, None, AUTOCOMMIT)
    wire = wire_of(build_err(1047, b"08S01", b"Unknown command"))
    assert tracker.feed(wire) is wire
    assert (tracker.is_complete, tracker.is_error, tracker.results) == (True, True, 0)
    assert (tracker.error_code, tracker.error_sqlstate) == (1047, b"08S01")
    assert tracker.error_message == b"Unknown command"
    assert tracker.status == AUTOCOMMIT

    tracker.begin(command, False, None, AUTOCOMMIT)
    assert not tracker.is_error and tracker.error_message == b""


@cut_each_way
@pytest.mark.parametrize("command", [Command.COM_SET_OPTION, Command.COM_DEBUG])
def test_commands_that_end_in_an_eof(command: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    new, old = wire_of(build_ok(status=2, warnings=3, header=0xFE)), wire_of(build_eof(2, 3))
    for server_deprecates, client_deprecates, sent, expected in [
        (True, True, new, new),
        (True, False, new, old),
        (False, True, old, new),
        (False, False, old, old),
    ]:
        tracker = tracker_for(
            command, server_deprecates=server_deprecates, client_deprecates=client_deprecates
        )
        assert relayed(tracker, sent, cut) == expected
        assert tracker.is_complete and tracker.warnings == 3


def test_statistics_are_one_packet_of_text() -> None:
    tracker = tracker_for(Command.COM_STATISTICS)
    wire = wire_of(b"\0Uptime: 4")
    assert tracker.feed(wire) is wire
    assert tracker.is_complete and tracker.results == 1


@cut_each_way
@pytest.mark.parametrize("fields", [0, 1, 300])
def test_field_lists(fields: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    new, old = wire_of(*[COLUMN] * fields, END), wire_of(*[COLUMN] * fields, EOF)
    tracker = tracker_for(Command.COM_FIELD_LIST)
    assert relayed(tracker, new, cut) == old
    assert tracker.is_complete
    tracker = tracker_for(Command.COM_FIELD_LIST, server_deprecates=False, client_deprecates=True)
    assert relayed(tracker, old, cut) == new
    assert tracker.is_complete


@cut_each_way
def test_an_unknown_table_of_a_field_list(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    tracker = tracker_for(Command.COM_FIELD_LIST)
    assert relayed(tracker, wire_of(build_err(1146, None, b"no")), cut)
    assert tracker.is_error and tracker.is_complete


@cut_each_way
@pytest.mark.parametrize("rows", [0, 1, 2, 300])
def test_result_sets_both_ways(rows: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    columns = [Column(b"a"), Column(b"b")]
    table: list[list[bytes | None]] = [[b"%d" % row, None] for row in range(rows)]
    new = text_resultset(columns, table, status=AUTOCOMMIT, warnings=1, deprecate_eof=True)
    old = text_resultset(columns, table, status=AUTOCOMMIT, warnings=1, deprecate_eof=False)
    for server_deprecates, sent, expected in [(True, new, old), (False, old, new)]:
        tracker = tracker_for(server_deprecates=server_deprecates, client_deprecates=not server_deprecates)
        assert relayed(tracker, sent, cut) == expected
        assert (tracker.is_complete, tracker.rows, tracker.warnings) == (True, rows, 1)
        assert tracker.has_result_set and tracker.results == 1


@cut_each_way
@pytest.mark.parametrize("columns", [250, 251, 5000])
def test_many_columns(columns: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    made = [Column(b"c")] * columns
    tracker = tracker_for()
    sent = text_resultset(made, [], status=AUTOCOMMIT, deprecate_eof=True)
    assert relayed(tracker, sent, cut) == text_resultset(made, [], status=AUTOCOMMIT, deprecate_eof=False)


@cut_each_way
def test_results_follow_one_another_while_the_status_says_so(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    status = AUTOCOMMIT | MORE
    more, more_end = build_ok(status=status, insert_id=7), build_ok(status=status, header=0xFE)
    sent = wire_of(more, b"\x01", COLUMN, ROW, ROW, more_end, OK)
    expected = wire_of(more, b"\x01", COLUMN, build_eof(status), ROW, ROW, build_eof(status), OK)
    tracker = tracker_for()
    assert relayed(tracker, sent, cut) == expected
    assert tracker.is_complete and tracker.results == 3
    assert (tracker.insert_id, tracker.any_insert_id, tracker.rows) == (0, True, 2)


@cut_each_way
@pytest.mark.parametrize("rows", [[], [ROW], [ROW] * 3])
@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_mysql_ends_rows_that_a_handler_broke_off_with_an_eof(
    cut: Callable[[bytes], Iterator[bytes]], rows: list[bytes], deprecate_eof: bool
) -> None:
    """As MySQL 9.7 does it, although DEPRECATE_EOF was negotiated."""
    status = AUTOCOMMIT | MORE
    sent = wire_of(b"\x01", COLUMN, *rows, build_eof(status, 1), b"\x01", COLUMN, ROW, END)
    tracker = tracker_for(client_deprecates=deprecate_eof)
    expected = wire_of(
        *(b"\x01", COLUMN, build_eof(status), *rows, build_eof(status, 1)), *(b"\x01", COLUMN, EOF, ROW, EOF)
    )
    assert relayed(tracker, sent, cut) == (sent if deprecate_eof else expected)
    assert (tracker.is_complete, tracker.results, tracker.status) == (True, 2, AUTOCOMMIT)


@cut_each_way
def test_sequence_ids_wrap_around_over_results(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    status = AUTOCOMMIT | MORE
    rows = [ROW] * 700
    sent = wire_of(b"\x01", COLUMN, *rows, build_ok(status=status, header=0xFE), b"\x01", COLUMN, *rows, END)
    expected = wire_of(
        b"\x01", COLUMN, build_eof(status), *rows, build_eof(status), b"\x01", COLUMN, EOF, *rows, EOF
    )
    tracker = tracker_for()
    assert relayed(tracker, sent, cut) == expected


@cut_each_way
def test_a_long_result_set_has_the_lasting_flags_of_the_session_in_front(
    cut: Callable[[bytes], Iterator[bytes]],
) -> None:
    rows = [text_row([b"x" * 900])] * 40
    sent = wire_of(b"\x01", COLUMN, *rows, build_ok(status=0x0822, header=0xFE))
    tracker = tracker_for(status=0x0003 | 0x0020 | MORE | 0x4000)
    expected = wire_of(b"\x01", COLUMN, build_eof(0x0003), *rows, build_eof(0x0822))
    assert relayed(tracker, sent, cut) == expected


@cut_each_way
def test_the_end_gives_the_status_in_front_but_for_what_only_ends_have(
    cut: Callable[[bytes], Iterator[bytes]],
) -> None:
    changes = SessionChanges([(b"autocommit", b"ON")])
    final = build_ok(affected_rows=300, status=0x0822 | 0x1000, header=0xFE, changes=changes, warnings=1)
    sent = wire_of(b"\x01", COLUMN, ROW, final)
    tracker = tracker_for(status=0x0003)
    expected = wire_of(b"\x01", COLUMN, build_eof(0x1022), ROW, build_eof(0x1822, 1))
    assert relayed(tracker, sent, cut) == expected
    assert tracker.changes == changes
    assert tracker.status == 0x1822


@cut_each_way
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_an_error_among_rows_ends_the_response(rows: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    err = build_err(1317, None, b"interrupted")
    tracker = tracker_for()
    sent = wire_of(b"\x01", COLUMN, *[ROW] * rows, err)
    assert relayed(tracker, sent, cut) == wire_of(b"\x01", COLUMN, EOF, *[ROW] * rows, err)
    assert tracker.is_complete and tracker.error_code == 1317 and tracker.results == 0

    tracker = tracker_for(server_deprecates=False)
    sent = wire_of(b"\x01", COLUMN, EOF, *[ROW] * rows, err)
    assert relayed(tracker, sent, cut) == sent
    assert tracker.is_complete and tracker.is_error


@pytest.mark.parametrize("server_deprecates", [False, True])
@pytest.mark.parametrize("definitions", [0, 1, 2])
def test_an_error_among_definitions_ends_the_response(server_deprecates: bool, definitions: int) -> None:
    tracker = tracker_for(server_deprecates=server_deprecates, client_deprecates=server_deprecates)
    sent = wire_of(b"\x02", *[COLUMN] * definitions, build_err(1105, None, b"oops"))
    assert relayed(tracker, sent, bytewise) == sent
    assert tracker.is_complete and tracker.is_error


@cut_each_way
def test_a_cursor_ends_behind_its_definitions(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    new = wire_of(b"\x01", COLUMN, build_ok(status=AUTOCOMMIT | CURSOR, header=0xFE))
    old = wire_of(b"\x01", COLUMN, build_eof(AUTOCOMMIT | CURSOR))
    for server_deprecates, client_deprecates, sent, expected in [
        (True, True, new, new),
        (True, False, new, old),
        (False, True, old, new),
        (False, False, old, old),
    ]:
        tracker = tracker_for(
            EXECUTE, server_deprecates=server_deprecates, client_deprecates=client_deprecates
        )
        assert relayed(tracker, sent, cut) == expected
        assert tracker.is_complete and tracker.cursor_open and tracker.results == 1


def test_the_flag_of_a_cursor_means_nothing_to_a_query() -> None:
    status = AUTOCOMMIT | CURSOR
    tracker = tracker_for(server_deprecates=False)
    tracker.feed(wire_of(b"\x01", COLUMN, build_eof(status)))
    assert not tracker.is_complete
    tracker = tracker_for()
    sent = wire_of(b"\x01", COLUMN, build_ok(status=status, header=0xFE))
    assert tracker.feed(sent) == wire_of(b"\x01", COLUMN, build_eof(status), build_eof(status))
    assert not tracker.cursor_open


@cut_each_way
def test_fetching(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    row = b"\0\0\x05\0\0\0"
    for status, is_open in [(AUTOCOMMIT | CURSOR, True), (AUTOCOMMIT | 0x0080, False)]:
        tracker = tracker_for(FETCH)
        sent = wire_of(row, row, build_ok(status=status | MORE, header=0xFE))
        assert relayed(tracker, sent, cut) == wire_of(row, row, build_eof(status | MORE))
        assert tracker.is_complete and tracker.rows == 2 and tracker.cursor_open is is_open
        assert tracker.has_result_set


def test_the_last_result_may_have_rows_or_none() -> None:
    rows = [b"\x01", COLUMN, b"\x01x", build_ok(status=AUTOCOMMIT | MORE, header=0xFE)]
    tracker = tracker_for()
    tracker.feed(wire_of(*rows, build_ok(status=AUTOCOMMIT)))
    assert tracker.is_complete and tracker.has_result_set and not tracker.ends_in_rows
    tracker = tracker_for()
    tracker.feed(
        wire_of(build_ok(status=AUTOCOMMIT | MORE), *rows[:3], build_ok(status=AUTOCOMMIT, header=0xFE))
    )
    assert tracker.is_complete and tracker.ends_in_rows


def prepare_ok(columns: int, params: int, warnings: int = 0) -> bytes:
    counts = columns.to_bytes(2, "little") + params.to_bytes(2, "little")
    return b"\0\x04\x03\x02\x01" + counts + b"\0" + warnings.to_bytes(2, "little")


@cut_each_way
@pytest.mark.parametrize("columns", [0, 2])
@pytest.mark.parametrize("params", [0, 3])
def test_preparing(columns: int, params: int, cut: Callable[[bytes], Iterator[bytes]]) -> None:
    ok = prepare_ok(columns, params, 5)
    new = wire_of(ok, *[COLUMN] * params, *[COLUMN] * columns)
    blocks = [[COLUMN] * params + [EOF] * (params > 0), [COLUMN] * columns + [EOF] * (columns > 0)]
    old = wire_of(ok, *blocks[0], *blocks[1])
    for server_deprecates, client_deprecates, sent, expected in [
        (True, True, new, new),
        (True, False, new, old),
        (False, True, old, new),
        (False, False, old, old),
    ]:
        tracker = tracker_for(
            PREPARE, server_deprecates=server_deprecates, client_deprecates=client_deprecates
        )
        assert relayed(tracker, sent, cut) == expected
        assert tracker.is_complete and tracker.statement_id == 0x01020304
        assert (tracker.num_columns, tracker.num_params, tracker.results) == (columns, params, 1)


@cut_each_way
def test_out_parameters_of_mysql_without_deprecate_eof(cut: Callable[[bytes], Iterator[bytes]]) -> None:
    """Its second EOF lacks both flags of the first, and yet an OK follows."""
    row = b"\0\0\x07\0\0\0"
    sent = wire_of(b"\x01", COLUMN, build_eof(0x100A), row, EOF, OK)
    tracker = tracker_for(EXECUTE, server_deprecates=False)
    assert relayed(tracker, sent, cut) == sent
    assert tracker.is_complete and tracker.status == AUTOCOMMIT
    tracker = tracker_for(EXECUTE, server_deprecates=False, client_deprecates=True)
    final = build_ok(status=0x100A, header=0xFE)
    assert relayed(tracker, sent, cut) == wire_of(b"\x01", COLUMN, row, final, OK)


# ------------------------------------------------------------------------------------------------- LOCAL INFILE


def test_local_infile_in_the_middle_of_a_response() -> None:
    status = AUTOCOMMIT | MORE
    tracker = tracker_for()
    sent = wire_of(b"\x01", COLUMN, ROW, build_ok(status=status, header=0xFE), b"\xfbfile")
    expected = wire_of(b"\x01", COLUMN, build_eof(status), ROW, build_eof(status), b"\xfbfile")
    assert tracker.feed(sent) == expected
    assert tracker.is_infile and not tracker.is_complete
    assert (tracker.sequence_id, tracker.client_sequence_id) == (6, 7)

    file = FileReader(tracker.client_sequence_id, tracker.sequence_id)
    assert file.feed(wire_of(b"lines", b"", first=7)) == wire_of(b"lines", b"", first=6)
    tracker.infile_sent(file.server_sequence_id)
    assert not tracker.is_infile
    assert tracker.feed(wire_of(OK, first=8)) == wire_of(OK, first=9)
    assert tracker.is_complete


def test_a_server_that_waits_for_a_file_is_silent() -> None:
    tracker = tracker_for()
    tracker.feed(wire_of(b"\xfbfile"))
    assert tracker.feed(b"") == b""
    with pytest.raises(RemoteProtocolError, match="waits for a file"):
        tracker.feed(wire_of(OK, first=2))


def test_no_file_without_being_asked() -> None:
    with pytest.raises(LocalProtocolError, match="not asked"):
        tracker_for().infile_sent(2)


# ---------------------------------------------------------------------------------------------------- 16 MiB and more


@pytest.mark.parametrize(("server", "client"), [(2, 2), (2, 1), (3, 4), (255, 255), (0, 255)])
def test_the_answer_counts_on_from_the_packets_of_the_command(server: int, client: int) -> None:
    tracker = tracker_for()
    tracker.count_on(server, client)
    got = tracker.feed(wire_of(b"\x01", COLUMN, ROW, END, first=server))
    assert got == wire_of(b"\x01", COLUMN, EOF, ROW, EOF, first=client)
    assert tracker.is_complete


def test_rows_of_many_packets() -> None:
    rows = [b"\xfe" + b"x" * 0xFFFFFE, b"y" * 0xFFFFFF + b"\xfe tail", b"\xfe" + b"z" * (2 * 0xFFFFFF - 1)]
    sent = wire_of(b"\x01", COLUMN, *rows, END)
    tracker = tracker_for()
    got = b"".join(tracker.feed(sent[pos : pos + 65536]) for pos in range(0, len(sent), 65536))
    assert got == wire_of(b"\x01", COLUMN, EOF, *rows, EOF)
    assert tracker.is_complete and tracker.rows == 3


@pytest.mark.parametrize("cut_at", [0, 1, 2, 3, 4, 5])
def test_the_header_of_a_continuation_is_cut(cut_at: int) -> None:
    rows = [b"\xfe" + b"x" * 0xFFFFFE]
    sent = wire_of(b"\x01", COLUMN, EOF, *rows, EOF)
    at = len(sent) - 9 - 4 + cut_at
    tracker = tracker_for(server_deprecates=False)
    assert tracker.feed(sent[:at]) + tracker.feed(sent[at:]) == sent
    assert tracker.is_complete and tracker.rows == 1


def test_a_continuation_has_the_next_id() -> None:
    tracker = tracker_for(client_deprecates=True)
    wire = wire_of(b"\x01", COLUMN, b"\xfe" + b"x" * 0xFFFFFE)
    with pytest.raises(RemoteProtocolError, match="out of order"):
        tracker.feed(wire[:-1] + b"\x09")


# --------------------------------------------------------------------------------------------------- session tracking

CHANGES = SessionChanges(
    [(b"autocommit", b"ON"), (b"sql_mode", b"")],
    b"shop",
    True,
    transaction_characteristics=b"",
    transaction_state=b"________",
    gtids=b"uuid:1",
)


@cut_each_way
@pytest.mark.parametrize("message", [b"", b"Rows matched: 1", b"m" * 300])
def test_a_client_without_trackers_gets_an_ok_without_them(
    message: bytes, cut: Callable[[bytes], Iterator[bytes]]
) -> None:
    sent = build_ok(
        affected_rows=1000, insert_id=70000, status=3, warnings=2, message=message, changes=CHANGES
    )
    tracker = tracker_for()
    bare = build_ok(affected_rows=1000, insert_id=70000, status=3, warnings=2, message=message)
    assert relayed(tracker, wire_of(sent), cut) == wire_of(bare)
    assert tracker.changes == CHANGES
    assert (tracker.affected_rows, tracker.insert_id, tracker.any_insert_id) == (1000, 70000, True)
    assert tracker.status == 3


def test_each_client_gets_what_it_asked_for() -> None:
    sent = wire_of(build_ok(status=2, message=b"m", changes=CHANGES))
    tracker = tracker_for(client_track=DEFAULT_TRACK_FILTER)
    wanted = SessionChanges([(b"autocommit", b"ON")], b"shop")
    assert tracker.feed(sent) == wire_of(build_ok(status=2, message=b"m", changes=wanted))

    tracker = tracker_for(client_track=EVERYTHING)
    assert tracker.feed(sent) is sent

    nothing = TrackFilter(frozenset(), schema=False, state_change=False, transaction=False, gtids=False)
    tracker = tracker_for(client_track=nothing)
    assert tracker.feed(sent) == wire_of(build_ok(status=2, message=b"m"))


def test_trackers_at_the_end_of_rows() -> None:
    final = build_ok(status=2, header=0xFE, changes=CHANGES)
    sent = wire_of(b"\x01", COLUMN, ROW, final)
    tracker = tracker_for(client_deprecates=True)
    assert tracker.feed(sent) == wire_of(b"\x01", COLUMN, ROW, END)
    tracker = tracker_for(client_deprecates=True, client_track=EVERYTHING)
    assert tracker.feed(sent) is sent
    tracker = tracker_for(client_track=EVERYTHING)
    assert tracker.feed(sent) == wire_of(b"\x01", COLUMN, EOF, ROW, EOF)


def test_a_schema_at_the_end_of_rows_is_owed_to_an_eof_client() -> None:
    tracker = tracker_for(client_track=DEFAULT_TRACK_FILTER)
    debt = tracker.debt = SchemaDebt()
    debt.may_grow, debt.schema = True, b"shop"
    final = build_ok(status=2, header=0xFE, changes=SessionChanges(schema=b"shop"))
    assert tracker.feed(wire_of(b"\x01", COLUMN, ROW, final)) == wire_of(b"\x01", COLUMN, EOF, ROW, EOF)
    told = build_ok(status=2, changes=SessionChanges([(b"time_zone", b"+01:00")], b"shop"))
    tracker.begin(QUERY, False, DEFAULT_TRACK_FILTER, AUTOCOMMIT)
    sent = build_ok(status=2, changes=SessionChanges([(b"time_zone", b"+01:00")]))
    assert tracker.feed(wire_of(sent)) == wire_of(told)


@pytest.mark.parametrize("is_single", [True, False])
@pytest.mark.parametrize("last", [OK, build_ok(status=2, changes=SessionChanges(state_changed=True))])
def test_a_schema_at_the_end_of_rows_is_told_with_the_last_ok_of_the_statement(
    is_single: bool, last: bytes
) -> None:
    tracker = tracker_for(client_track=DEFAULT_TRACK_FILTER)
    debt = tracker.debt = SchemaDebt()
    debt.may_grow, debt.is_single, debt.schema = True, is_single, b"shop"
    final = build_ok(status=2 | MORE, header=0xFE, changes=SessionChanges(schema=b"shop"))
    told = build_ok(status=2, changes=SessionChanges(schema=b"shop")) if is_single else OK
    border, end = build_eof(2 | MORE), build_eof(2 | MORE)
    got = tracker.feed(wire_of(b"\x01", COLUMN, ROW, final, last))
    assert got == wire_of(b"\x01", COLUMN, border, ROW, end, told)
    assert debt.is_due != is_single
    assert not debt.is_late


def test_changes_are_merged_over_results() -> None:
    first = build_ok(status=2 | MORE, changes=SessionChanges([(b"a", b"1")], b"one"))
    second = build_ok(status=2, changes=SessionChanges([(b"a", b"2")], state_changed=True))
    tracker = tracker_for()
    tracker.feed(wire_of(first, second))
    assert tracker.changes == SessionChanges([(b"a", b"1"), (b"a", b"2")], b"one", True)


def test_the_flag_without_trackers_is_cleared() -> None:
    wire = wire_of(build_ok(status=2)[:3] + b"\x02\x40\0\0")
    tracker = tracker_for(server_track=False, client_track=EVERYTHING)
    assert tracker.feed(wire) == wire_of(OK)
    assert tracker.changes is None


def test_an_empty_block_is_dropped() -> None:
    wire = wire_of(b"\0\0\0\x02\x40\0\0\0\0")
    tracker = tracker_for(client_track=EVERYTHING)
    assert tracker.feed(wire) == wire_of(OK)
    assert tracker.changes == SessionChanges()


def test_mariadb_tells_in_an_eof_that_something_changed() -> None:
    eof = b"\xfe\0\0\x02\x40"
    sent = wire_of(b"\x01", COLUMN, EOF, ROW, eof)
    tracker = tracker_for(server_deprecates=False)
    assert tracker.feed(sent) is sent
    assert tracker.changes == SessionChanges(state_changed=True)
    assert tracker.status == AUTOCOMMIT
    tracker = tracker_for(server_deprecates=False, server_track=False)
    tracker.feed(sent)
    assert tracker.changes is None


# -------------------------------------------------------------------------------------------------- what is illegal

ILLEGAL: list[tuple[str, int, bool, list[bytes]]] = [
    ("an empty first packet", QUERY, True, [b""]),
    ("an EOF in place of a result", QUERY, True, [EOF]),
    ("an EOF in place of a result of old", QUERY, False, [EOF]),
    ("no columns", QUERY, True, [b"\xfc\0\0"]),
    ("too many columns", QUERY, True, [b"\xfd\0\0\x01"]),
    ("a column count and more", QUERY, True, [b"\x01\x01"]),
    ("a row in place of an OK", Command.COM_PING, True, [b"\x01x"]),
    ("a file name in place of an OK", Command.COM_PING, True, [b"\xfbfile"]),
    ("an empty definition", QUERY, True, [b"\x02", COLUMN, b""]),
    ("an end among definitions", QUERY, True, [b"\x02", COLUMN, END]),
    ("an end among definitions of old", QUERY, False, [b"\x02", COLUMN, EOF]),
    ("a row in place of an EOF", QUERY, False, [b"\x01", COLUMN, ROW]),
    ("an OK in place of an EOF", QUERY, False, [b"\x01", COLUMN, END]),
    ("an empty row", QUERY, True, [b"\x01", COLUMN, b""]),
    ("an empty row later", QUERY, True, [b"\x01", COLUMN, ROW, ROW, b""]),
    ("an empty row of old", QUERY, False, [b"\x01", COLUMN, EOF, b""]),
    ("an OK that is too long for an EOF", QUERY, False, [b"\x01", COLUMN, EOF, END]),
    ("an OK that is too short", QUERY, True, [b"\x01", COLUMN, EOF + b"\0"]),
    ("an OK with more behind it", QUERY, True, [OK + b"\x01xx"]),
    ("a huge OK", QUERY, True, [b"\0" * (1 << 20 | 1)]),
    ("a huge ERR", QUERY, True, [b"\x01", COLUMN, b"\xff" * (1 << 20 | 1)]),
    ("a huge OK among rows", QUERY, True, [b"\x01", COLUMN, b"\xfe" * (1 << 20 | 1)]),
    ("an ERR of a byte", QUERY, True, [b"\xff"]),
    ("a progress report", QUERY, True, [b"\xff\xff\xff\x01\x01\0\0\0\0"]),
    ("an OK of a statement that is too short", PREPARE, True, [prepare_ok(1, 1)[:-1]]),
    ("no OK of a statement", PREPARE, True, [b"\x01" + prepare_ok(1, 1)[1:]]),
    ("a row in place of an EOF of parameters", PREPARE, False, [prepare_ok(1, 1), COLUMN, COLUMN]),
    ("an OK in place of a field", Command.COM_FIELD_LIST, True, [b"\xfe"]),
    ("an empty field", Command.COM_FIELD_LIST, True, [b""]),
    ("an empty text", Command.COM_STATISTICS, True, [b""]),
    ("a block that is cut", QUERY, True, [b"\0\0\0\x02\x40\0\0\0\x05\x00"]),
]


@pytest.mark.parametrize(
    ("command", "deprecate_eof", "payloads"), [c[1:] for c in ILLEGAL], ids=[c[0] for c in ILLEGAL]
)
@pytest.mark.parametrize("is_translated", [False, True])
def test_what_may_not_come_is_refused(
    command: int, deprecate_eof: bool, payloads: list[bytes], is_translated: bool
) -> None:
    wire = wire_of(*payloads)
    for cut in [whole, at_random]:
        tracker = tracker_for(
            command, server_deprecates=deprecate_eof, client_deprecates=deprecate_eof is not is_translated
        )
        with pytest.raises(RemoteProtocolError):
            relayed(tracker, wire, cut)


@pytest.mark.parametrize("number", range(6))
def test_a_wrong_sequence_id_is_refused_everywhere(number: int) -> None:
    packets = packets_of(wire_of(b"\x01", COLUMN, ROW, ROW, ROW, END))
    packets[number] = packets[number][:3] + b"\x63" + packets[number][4:]
    for client_deprecates in (False, True):
        tracker = tracker_for(client_deprecates=client_deprecates)
        with pytest.raises(RemoteProtocolError, match="out of order") as raised:
            tracker.feed(b"".join(packets))
        assert raised.value.code == 1156


@pytest.mark.parametrize("payloads", [[OK], [b"\x01", COLUMN, ROW, END], [build_err(1, None, b"")]])
def test_nothing_may_follow_the_end(payloads: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError, match="after the end"):
        tracker_for().feed(wire_of(*payloads) + b"\0")
    tracker = tracker_for()
    tracker.feed(wire_of(*payloads))
    with pytest.raises(RemoteProtocolError, match="1 bytes after the end"):
        tracker.feed(b"\0")


def test_the_constants_are_those_of_the_documentation() -> None:
    source = Path(__file__).parents[2].joinpath("protocol", "response.py").read_text()
    named = re.findall(r"^_(COM_\w+): Final = (\w+)$", source, re.MULTILINE)
    assert len(named) > 10
    assert {name: int(number, 16) for name, number in named} == {
        name: Command[name].value for name, _ in named
    }


def test_a_client_whose_choice_the_server_tracks_gets_blocks_untouched_also_empty_ones() -> None:
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    wire = frame(b"\0\0\0\x02\x40\0\0\0\0", 1)
    tracker.begin(Command.COM_QUERY, True, EVERYTHING_ITS_OWN, 2)
    assert tracker.feed(wire) is wire


def test_an_empty_block_tells_that_characteristics_changed_where_only_the_state_is_tracked() -> None:
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    track = TrackFilter(frozenset(), False, False, True, False, characteristics=False)
    changes = SessionChanges(transaction_characteristics=b"SET TRANSACTION READ ONLY;")
    tracker.begin(Command.COM_QUERY, True, track, 2)
    assert tracker.feed(frame(build_ok(status=2, changes=changes), 1)) == frame(b"\0\0\0\x02\x40\0\0\0\0", 1)


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_the_last_ok_may_be_kept_from_the_client(deprecate_eof: bool) -> None:
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    tracker.begin(3, deprecate_eof, EVERYTHING, AUTOCOMMIT)
    tracker.drops_last = True
    first = frame(build_ok(status=AUTOCOMMIT | 8), 1)
    assert tracker.feed(first + frame(build_ok(affected_rows=7, status=1), 2)) == first
    assert tracker.is_complete and tracker.status == 1 and tracker.client_sequence_id == 2
    tracker.begin(3, deprecate_eof, EVERYTHING, AUTOCOMMIT)
    last = frame(build_ok(status=AUTOCOMMIT), 1)
    assert tracker.feed(last) == last
