from __future__ import annotations

import pytest

from protocol.errors import RemoteProtocolError
from protocol.framing import PacketReader
from protocol.packets import (
    Column,
    SessionChanges,
    build_eof,
    build_err,
    build_ok,
    parse_eof,
    parse_err,
    parse_ok,
    text_resultset,
    text_row,
)

# ----------------------------------------------------------------------------------------------------------- OK

OKS = [
    ("00000002000000", {"status": 2}),
    ("00010102000000", {"status": 2, "affected_rows": 1, "insert_id": 1}),
    ("0001fd70110102000100", {"status": 2, "affected_rows": 1, "insert_id": 70000, "warnings": 1}),
    ("fe000022000300", {"status": 0x22, "warnings": 3, "header": 0xFE}),
    ("00030002000000" + "07" + b"message".hex(), {"status": 2, "affected_rows": 3, "message": b"message"}),
]


@pytest.mark.parametrize(("payload", "fields"), OKS)
@pytest.mark.parametrize("session_track", [False, True])
def test_oks_both_ways(payload: str, fields: dict[str, int | bytes], session_track: bool) -> None:
    wire = bytes.fromhex(payload)
    assert build_ok(**fields) == wire  # type: ignore[arg-type]
    ok = parse_ok(wire, session_track)
    assert {name: getattr(ok, name) for name in fields} == fields
    assert ok.build() == wire
    assert ok.changes is None and ok.block is None


@pytest.mark.parametrize("message", [b"", b"m", b"m" * 300])
def test_an_ok_with_trackers_both_ways(message: bytes) -> None:
    changes = SessionChanges([(b"autocommit", b"OFF")], b"shop", True)
    wire = build_ok(status=2, message=message, changes=changes)
    ok = parse_ok(wire, True)
    assert (ok.message, ok.status, ok.changes) == (message, 0x4002, changes)
    assert ok.build() == wire


def test_the_flag_and_the_block_go_together() -> None:
    assert build_ok(status=0x4002) == build_ok(status=2)
    assert build_ok(status=2, changes=SessionChanges()) == build_ok(status=2)
    ok = parse_ok(build_ok(status=2, changes=SessionChanges(schema=b"s")), True)
    ok.status = 2
    assert ok.build() == build_ok(status=2)


def test_a_message_without_a_length_is_accepted_as_documented() -> None:
    wire = bytes.fromhex("00000002000000")
    for message in (b"Rows matched: 1", b"x" * 300, b"\xfc"):
        if message == b"\xfc":
            with pytest.raises(RemoteProtocolError):
                parse_ok(wire + message, False)
        else:
            assert parse_ok(wire + message, False).message == message
    assert parse_ok(wire + b"\xfc\x2c\x01" + b"x" * 300, False).message == b"x" * 300


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "01",
        "00",
        "0000",
        "000000",
        "00000002",
        "000000020000",
        "0000000200000003",
        "000000020000000161ff",
    ],
)
def test_what_is_not_exactly_an_ok_is_refused(payload: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_ok(bytes.fromhex(payload), True)


# -------------------------------------------------------------------------------------------------------- ERR, EOF


def test_errors_both_ways() -> None:
    wire = bytes.fromhex("ff1504233238303030") + b"Access denied"
    assert build_err(1045, b"28000", b"Access denied") == wire
    assert build_err(1045, None, b"Access denied") == wire
    err = parse_err(wire)
    assert (err.code, err.sqlstate, err.message) == (1045, b"28000", b"Access denied")
    assert build_err(9999, None, b"").endswith(b"#HY000")


def test_before_the_handshake_an_error_has_no_sqlstate() -> None:
    wire = bytes.fromhex("ff1004") + b"Too many connections"
    assert build_err(1040, None, b"Too many connections", before_handshake=True) == wire
    err = parse_err(wire)
    assert (err.code, err.sqlstate, err.message) == (1040, b"", b"Too many connections")


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff\x01", b"\x00\x01\x02", b"\xff\x01\x02#1234"])
def test_what_is_no_error_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_err(payload)


def test_eofs_both_ways() -> None:
    assert build_eof(0x0122, 3) == b"\xfe\x03\0\x22\x01"
    eof = parse_eof(b"\xfe\x03\0\x22\x01")
    assert (eof.status, eof.warnings) == (0x0122, 3)


def test_an_eof_has_no_trackers() -> None:
    assert build_eof(0x4002) == build_eof(2)


@pytest.mark.parametrize("payload", [b"", b"\xfe", b"\xfe\0\0\0\0\0", b"\x00\0\0\0\0"])
def test_what_is_no_eof_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_eof(payload)


# ------------------------------------------------------------------------------------------------------ result sets


def test_a_column_is_laid_out_as_documented() -> None:
    column = Column(
        b"id", 3, length=11, collation=63, flags=0x4203, schema=b"s", table=b"t", original_name=b"i"
    )
    assert column.build().hex() == "03646566" + "0173" + "0174" + "0174" + "026964" + "0169" + "0c" + (
        "3f00" + "0b000000" + "03" + "0342" + "00" + "0000"
    )


def test_rows_tell_null_from_empty() -> None:
    assert text_row([b"", None, b"ab"]) == b"\x00\xfb\x02ab"


@pytest.mark.parametrize(("deprecate_eof", "count"), [(False, 7), (True, 6)])
def test_a_result_set_is_a_sequence_of_packets(deprecate_eof: bool, count: int) -> None:
    reader = PacketReader(limit=1 << 26, sequence_id=4)
    rows: list[list[bytes | None]] = [[b"x" * 0xFFFFFF, None], [b"2", b""]]
    wire = text_resultset(
        [Column(b"a"), Column(b"b")],
        rows,
        status=2,
        warnings=1,
        deprecate_eof=deprecate_eof,
        first_sequence_id=4,
    )
    reader.feed(wire)
    payloads = []
    while (payload := reader.next_payload()) is not None:
        payloads.append(payload)
    assert len(payloads) == count and reader.buffered == 0
    assert payloads[0] == b"\x02"
    assert payloads[-1] == (build_ok(status=2, warnings=1, header=0xFE) if deprecate_eof else build_eof(2, 1))
    assert payloads[-2] == b"\x012\x00"
