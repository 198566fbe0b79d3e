"""ResponseTracker on generated dialogues: any chunking ends alike, an independent client understands the translation.

The model below knows nothing of the tracker. It writes the response of a server and reads it as clients do, straight
from the documentation, with and without CLIENT_DEPRECATE_EOF.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.response import DEFAULT_TRACK_FILTER, ResponseTracker, TrackFilter

MORE, CURSOR, CHANGED = 0x0008, 0x0040, 0x4000
QUERY, FIELD_LIST, PREPARE, EXECUTE, FETCH = 0x03, 0x04, 0x16, 0x17, 0x1C

# ---------------------------------------------------------------------------------------------------------- the model


@dataclass
class Ok:
    affected: int = 0
    insert_id: int = 0
    status: int = 2
    warnings: int = 0
    message: bytes = b""
    block: bytes = b""


@dataclass
class Err:
    code: int
    message: bytes


@dataclass
class Rows:
    columns: list[bytes]
    rows: list[bytes]
    end: Ok | Err
    is_cursor: bool = False


@dataclass
class Prepared:
    params: list[bytes]
    columns: list[bytes]


Result = Ok | Err | Rows | Prepared


@dataclass
class Dialogue:
    command: int
    results: list[Result] = field(default_factory=list)


def lenenc(value: int) -> bytes:
    if value < 251:
        return bytes([value])
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


class Writer:
    """What a server sends."""

    def __init__(self, deprecate_eof: bool, session_track: bool) -> None:
        self.deprecate_eof, self.session_track = deprecate_eof, session_track
        self.wire = b""
        self.sequence_id = 1

    def packet(self, payload: bytes) -> None:
        self.wire += len(payload).to_bytes(3, "little") + bytes([self.sequence_id]) + payload
        self.sequence_id = (self.sequence_id + 1) % 256

    def ok(self, ok: Ok, header: bytes = b"\0") -> None:
        with_block = bool(ok.block) and self.session_track
        status = ok.status | (CHANGED if with_block else 0)
        out = header + lenenc(ok.affected) + lenenc(ok.insert_id) + status.to_bytes(2, "little")
        out += ok.warnings.to_bytes(2, "little")
        if ok.message or with_block:
            out += lenenc(len(ok.message)) + ok.message
        if with_block:
            out += lenenc(len(ok.block)) + ok.block
        self.packet(out)

    def eof(self, ok: Ok) -> None:
        self.packet(b"\xfe" + ok.warnings.to_bytes(2, "little") + ok.status.to_bytes(2, "little"))

    def end(self, end: Ok | Err) -> None:
        if isinstance(end, Err):
            self.packet(b"\xff" + end.code.to_bytes(2, "little") + b"#HY000" + end.message)
        elif self.deprecate_eof:
            self.ok(end, b"\xfe")
        else:
            self.eof(end)

    def definitions(self, names: list[bytes]) -> None:
        for name in names:
            self.packet(b"\x03def\0\0\0" + lenenc(len(name)) + name + b"\0\x0c" + bytes(12))

    def border(self, end: Ok | Err) -> None:
        if not self.deprecate_eof:
            self.eof(Ok(status=end.status if isinstance(end, Ok) else 2))

    def result(self, command: int, result: Result) -> None:
        if isinstance(result, Ok):
            self.ok(result)
        elif isinstance(result, Err):
            self.end(result)
        elif isinstance(result, Prepared):
            counts = len(result.columns).to_bytes(2, "little") + len(result.params).to_bytes(2, "little")
            self.packet(b"\0\x07\0\0\0" + counts + b"\0\0\0")
            for names in (result.params, result.columns):
                self.definitions(names)
                if names:
                    self.border(Ok())
        else:
            self.rows(command, result)

    def rows(self, command: int, result: Rows) -> None:
        if command == FIELD_LIST:
            self.definitions(result.columns)
        elif command != FETCH:
            self.packet(lenenc(len(result.columns)))
            self.definitions(result.columns)
            if not result.is_cursor:
                self.border(result.end)
        for row in result.rows:
            self.packet(row)
        self.end(result.end)


class Reader:
    """What a client understands: packets in order, and the results in them."""

    def __init__(self, wire: bytes, deprecate_eof: bool, session_track: bool) -> None:
        self.deprecate_eof, self.session_track = deprecate_eof, session_track
        self.packets = []
        sequence_id = 1
        while wire:
            size = int.from_bytes(wire[:3], "little")
            assert wire[3] == sequence_id and len(wire) >= 4 + size
            self.packets.append(wire[4 : 4 + size])
            wire = wire[4 + size :]
            sequence_id = (sequence_id + 1) % 256

    def next(self) -> bytes:
        return self.packets.pop(0)

    def lenenc(self, buf: bytes) -> tuple[int, bytes]:
        size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(buf[0], 0)
        return (int.from_bytes(buf[1 : 1 + size], "little"), buf[1 + size :]) if size else (buf[0], buf[1:])

    def ok(self, payload: bytes) -> Ok:
        affected, rest = self.lenenc(payload[1:])
        insert_id, rest = self.lenenc(rest)
        ok = Ok(affected, insert_id, int.from_bytes(rest[:2], "little"), int.from_bytes(rest[2:4], "little"))
        rest = rest[4:]
        if rest:
            size, rest = self.lenenc(rest)
            ok.message, rest = rest[:size], rest[size:]
        if ok.status & CHANGED:
            assert self.session_track
            size, rest = self.lenenc(rest)
            ok.block, rest = rest[:size], rest[size:]
            ok.status &= ~CHANGED
        assert not rest
        return ok

    def end(self, payload: bytes) -> Ok | Err | None:
        """What a packet among rows means if it is not a row."""
        if payload[0] == 0xFF:
            return Err(int.from_bytes(payload[1:3], "little"), payload[9:])
        if payload[0] != 0xFE:
            return None
        if self.deprecate_eof:
            return self.ok(payload)
        assert len(payload) == 5
        return Ok(
            status=int.from_bytes(payload[3:], "little"), warnings=int.from_bytes(payload[1:3], "little")
        )

    def eof(self) -> Ok:
        found = self.end(self.next())
        assert isinstance(found, Ok)
        return found

    def definitions(self, count: int) -> list[bytes]:
        return [self.next()[8:-14] for _ in range(count)]

    def result(self, command: int) -> Result:
        if command in (FETCH, FIELD_LIST):
            return self.rest_of_rows(command, [])
        first = self.next()
        if first[0] == 0xFF:
            found = self.end(first)
            assert found is not None
            return found
        if command == PREPARE:
            return self.prepared(first)
        if first[0] == 0:
            return self.ok(first)
        columns = self.definitions(self.lenenc(first)[0])
        if not self.deprecate_eof:
            border = self.eof()
            if command == EXECUTE and border.status & CURSOR:
                return Rows(columns, [], border, True)
        return self.rest_of_rows(command, columns)

    def prepared(self, first: bytes) -> Prepared:
        blocks = []
        for at in (7, 5):
            count = int.from_bytes(first[at : at + 2], "little")
            blocks.append(self.definitions(count))
            if count and not self.deprecate_eof:
                self.eof()
        return Prepared(blocks[0], blocks[1])

    def rest_of_rows(self, command: int, columns: list[bytes]) -> Rows:
        rows = []
        while (end := self.end(packet := self.next())) is None:
            rows.append(packet)
        if command == FIELD_LIST:
            return Rows([row[8:-14] for row in rows], [], end)
        is_cursor = command == EXECUTE and isinstance(end, Ok) and bool(end.status & CURSOR) and not rows
        return Rows(columns, rows, end, is_cursor)

    def dialogue(self, command: int) -> list[Result]:
        results = [self.result(command)]
        while self.goes_on(command, results[-1]):
            results.append(self.result(command))
        assert not self.packets
        return results

    def goes_on(self, command: int, result: Result) -> bool:
        end = result.end if isinstance(result, Rows) else result
        return command in (QUERY, EXECUTE) and isinstance(end, Ok) and bool(end.status & MORE)


# ------------------------------------------------------------------------------------------------------- strategies

entries = st.sampled_from(
    [
        b"\x00\x0f\x0aautocommit\x03OFF",
        b"\x00\x0a\x08sql_mode\x00",
        b"\x01\x05\x04shop",
        b"\x02\x011",
        b"\x05\x09\x08T_______",
    ]
)
blocks = st.lists(entries, max_size=3).map(b"".join)
numbers = st.one_of(st.integers(0, 250), st.integers(0, 2**64 - 1))
texts = st.one_of(st.just(b""), st.binary(max_size=20), st.binary(min_size=251, max_size=300))
statuses = st.sampled_from([0x0002, 0x0003, 0x0022, 0x2003, 0x8002, 0x0202])
oks = st.builds(Ok, numbers, numbers, statuses, st.integers(0, 0xFFFF), texts, blocks)
ends = st.builds(Ok, st.just(0), st.just(0), statuses, st.integers(0, 0xFFFF), st.just(b""), blocks)
errors = st.builds(Err, st.integers(1, 0xFFFE), st.binary(max_size=30))
names = st.binary(max_size=12)
# A row begins with anything but an end; 0xFB is NULL.
rows = st.builds(lambda first, rest: bytes([first]) + rest, st.integers(0, 0xFD), st.binary(max_size=40))
many_rows = st.one_of(
    st.lists(rows, max_size=6),
    st.builds(lambda row, count: [row] * count, rows, st.integers(7, 800)),
)
columns = st.lists(names, min_size=1, max_size=5)
result_sets = st.builds(Rows, columns, many_rows, st.one_of(ends, errors))


def with_more(results: Sequence[Result]) -> list[Result]:
    """The same results with SERVER_MORE_RESULTS_EXISTS where others follow; nothing follows an error."""
    found: list[Result] = []
    for number, result in enumerate(results):
        found.append(result := copy.deepcopy(result))
        end = result.end if isinstance(result, Rows) else result
        if isinstance(end, Err):
            break
        if isinstance(end, Ok) and number < len(results) - 1:
            end.status |= MORE
    return found


def as_cursor(result: Rows) -> Rows:
    result = copy.deepcopy(result)
    result.rows = []
    result.is_cursor = True
    result.end = Ok(status=2 | CURSOR)
    return result


multi = st.lists(st.one_of(oks, result_sets, errors), min_size=1, max_size=4).map(with_more)
dialogues = st.one_of(
    st.builds(Dialogue, st.sampled_from([QUERY, EXECUTE]), multi),
    st.builds(Dialogue, st.just(EXECUTE), result_sets.map(lambda rows: [as_cursor(rows)])),
    st.builds(
        Dialogue,
        st.just(PREPARE),
        st.builds(Prepared, st.lists(names, max_size=4), st.lists(names, max_size=4)).map(lambda p: [p]),
    ),
    st.builds(
        Dialogue,
        st.just(FETCH),
        st.builds(Rows, st.just([]), many_rows, st.one_of(ends, errors)).map(lambda r: [r]),
    ),
    st.builds(
        Dialogue,
        st.just(FIELD_LIST),
        st.builds(Rows, st.lists(names, max_size=6), st.just([]), ends).map(lambda r: [r]),
    ),
)
EVERYTHING = TrackFilter(frozenset([b"*"]), schema=True, state_change=True, transaction=True, gtids=True)
filters = st.sampled_from([None, DEFAULT_TRACK_FILTER, EVERYTHING])
cuts = st.lists(st.integers(1, 60), min_size=1, max_size=20)


def written(dialogue: Dialogue, deprecate_eof: bool, session_track: bool) -> bytes:
    writer = Writer(deprecate_eof, session_track)
    for result in dialogue.results:
        writer.result(dialogue.command, result)
    return writer.wire


def relayed(tracker: ResponseTracker, wire: bytes, sizes: list[int]) -> bytes:
    out = []
    pos = number = 0
    while pos < len(wire):
        size = sizes[number % len(sizes)]
        out.append(tracker.feed(wire[pos : pos + size]))
        pos += size
        number += 1
    return b"".join(out)


def said(tracker: ResponseTracker) -> tuple[object, ...]:
    return (
        tracker.is_complete,
        tracker.is_error,
        tracker.error_code,
        tracker.error_message,
        tracker.rows,
        tracker.results,
        tracker.has_result_set,
        tracker.status,
        tracker.warnings,
        tracker.affected_rows,
        tracker.insert_id,
        tracker.any_insert_id,
        tracker.changes,
        tracker.cursor_open,
    )


def expected(
    dialogue: Dialogue, server: tuple[bool, bool], client_eof: bool, track: TrackFilter | None
) -> list[Result]:
    """The results as the client gets them: without trackers it cannot or does not want to have."""
    found = copy.deepcopy(dialogue.results)
    for result in found:
        end = result.end if isinstance(result, Rows) else result
        if not isinstance(end, Ok):
            continue
        is_end = end is not result
        if track is None or not server[1] or (is_end and not (client_eof and server[0])):
            end.block = b""
        elif track is DEFAULT_TRACK_FILTER:
            kept = (b"\x00\x0f\x0aautocommit\x03OFF", b"\x01\x05\x04shop")
            end.block = _kept(end.block, kept)
    return found


def _kept(block: bytes, kept: tuple[bytes, ...]) -> bytes:
    out = b""
    while block:
        size = 2 + block[1]
        out += block[:size] if block[:size] in kept else b""
        block = block[size:]
    return out


# -------------------------------------------------------------------------------------------------------- properties


@given(dialogues, st.booleans(), st.booleans(), st.booleans(), filters)
def test_a_client_understands_the_translation(
    dialogue: Dialogue, server_eof: bool, server_track: bool, client_eof: bool, track: TrackFilter | None
) -> None:
    wire = written(dialogue, server_eof, server_track)
    tracker = ResponseTracker(deprecate_eof=server_eof, session_track=server_track)
    tracker.begin(dialogue.command, client_eof, track, 2)
    got = tracker.feed(wire)
    assert tracker.is_complete
    results = Reader(got, client_eof, track is not None).dialogue(dialogue.command)
    assert results == expected(dialogue, (server_eof, server_track), client_eof, track)


@given(dialogues, st.booleans(), st.booleans(), st.booleans(), filters, cuts)
def test_chunks_do_not_matter(
    dialogue: Dialogue,
    server_eof: bool,
    server_track: bool,
    client_eof: bool,
    track: TrackFilter | None,
    sizes: list[int],
) -> None:
    wire = written(dialogue, server_eof, server_track)
    outcomes = []
    tracker = ResponseTracker(deprecate_eof=server_eof, session_track=server_track)
    for each in ([len(wire)], sizes):
        tracker.begin(dialogue.command, client_eof, track, 2)
        outcomes.append((relayed(tracker, wire, each), said(tracker)))
    assert tracker.is_complete
    assert outcomes[0] == outcomes[1]


@given(dialogues, st.booleans(), st.booleans(), filters)
def test_nothing_is_held_back_at_the_end_and_nothing_may_follow(
    dialogue: Dialogue, server_eof: bool, client_eof: bool, track: TrackFilter | None
) -> None:
    wire = written(dialogue, server_eof, True)
    tracker = ResponseTracker(deprecate_eof=server_eof, session_track=True)
    tracker.begin(dialogue.command, client_eof, track, 2)
    tracker.feed(wire[:-1])
    assert not tracker.is_complete
    tracker.feed(wire[-1:])
    assert tracker.is_complete
    try:
        tracker.feed(b"\0")
    except RemoteProtocolError:
        return
    raise AssertionError("a byte behind the end was accepted")


mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "delete", "insert", "swap"]), st.integers(0, 10_000), st.integers(0, 255)
    ),
    min_size=1,
    max_size=4,
)


def mutated(wire: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    out = bytearray(wire)
    for kind, at, value in changes:
        pos = at % max(1, len(out))
        if kind == "set" and out:
            out[pos] = value
        elif kind == "delete":
            del out[pos : pos + value % 8]
        elif kind == "insert":
            out[pos:pos] = bytes([value])
        else:
            out[pos : pos + 4] = out[pos : pos + 4][::-1]
    return bytes(out)


@hypothesis.settings(max_examples=hypothesis.settings().max_examples * 3)
@given(dialogues, mutations, st.booleans(), st.booleans(), filters, cuts)
def test_broken_dialogues_raise_the_documented_error_or_go_on(
    dialogue: Dialogue,
    changes: list[tuple[str, int, int]],
    server_eof: bool,
    client_eof: bool,
    track: TrackFilter | None,
    sizes: list[int],
) -> None:
    wire = mutated(written(dialogue, server_eof, True), changes)
    ends = []
    for each in ([max(1, len(wire))], sizes):
        tracker = ResponseTracker(deprecate_eof=server_eof, session_track=True)
        tracker.begin(dialogue.command, client_eof, track, 2)
        try:
            relayed(tracker, wire, each)
        except RemoteProtocolError as error:
            assert error.code in (1156, 1835)
            ends.append("error")
        else:
            ends.append(str(said(tracker)))
    assert ends[0] == ends[1]


@given(st.binary(max_size=300), st.integers(0, 0x20), st.booleans(), st.booleans(), cuts)
def test_garbage_raises_the_documented_error_or_is_waited_for(
    garbage: bytes, command: int, server_eof: bool, client_eof: bool, sizes: list[int]
) -> None:
    hypothesis.assume(command not in (0x11, 0x12, 0x13, 0x1E))
    tracker = ResponseTracker(deprecate_eof=server_eof, session_track=True)
    tracker.begin(command, client_eof, DEFAULT_TRACK_FILTER, 2)
    try:
        relayed(tracker, garbage, sizes)
    except RemoteProtocolError as error:
        assert error.code in (1156, 1835)
