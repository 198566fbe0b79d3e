import pytest

from bench.response import BINARY, PREPARED, BadResponse, Response, ResponseReader, lenenc_int
from protocol.framing import frame
from protocol.packets import Column, build_eof, build_err, build_ok, text_resultset


def resultset(*rows: list[bytes | None], deprecate_eof: bool = False) -> bytes:
    columns = [Column(b"a"), Column(b"b")]
    return text_resultset(columns, list(rows), status=0x22, deprecate_eof=deprecate_eof)


def read(wire: bytes, *, deprecate_eof: bool = False, step: int = 0) -> Response:
    """Read a response in pieces of ``step`` bytes, all at once with 0."""
    reader = ResponseReader(deprecate_eof=deprecate_eof)
    pieces = [wire[at : at + step] for at in range(0, len(wire), step)] if step else [wire]
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
        assert reader.has_partial
    response = reader.feed(pieces[-1])
    assert response is not None
    assert not reader.has_partial
    return response


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_rows_come_out_in_any_chunking(step: int, deprecate_eof: bool) -> None:
    wire = resultset([b"1", None], [b"x" * 300, b""], deprecate_eof=deprecate_eof)
    response = read(wire, deprecate_eof=deprecate_eof, step=step)
    assert response.rows == [(b"1", None), (b"x" * 300, b"")]
    assert (response.status, response.error_code) == (0x22, 0)


def test_result_without_rows_is_an_empty_list() -> None:
    assert read(resultset()).rows == []


def test_ok_tells_rows_and_insert_id() -> None:
    response = read(frame(build_ok(affected_rows=3, insert_id=70_000, status=3), 1))
    assert (response.rows, response.affected_rows, response.insert_id, response.status) == (
        None,
        3,
        70_000,
        3,
    )


@pytest.mark.parametrize("before_handshake", [False, True])
def test_err_tells_code_and_text(before_handshake: bool) -> None:
    payload = build_err(1040, b"08004", b"Too many", before_handshake=before_handshake)
    response = read(frame(payload, 1))
    assert (response.error_code, response.error_message) == (1040, "Too many")


def test_error_may_come_after_rows() -> None:
    wire = resultset([b"1", b"2"])
    end = len(wire) - 9  # the EOF packet
    response = read(wire[:end] + frame(build_err(1317, b"70100", b"interrupted"), wire[end + 3]))
    assert response.error_code == 1317


def test_reader_starts_over_after_a_response() -> None:
    reader = ResponseReader()
    first, second = reader.feed(resultset([b"1", b"2"])), reader.feed(frame(build_ok(status=2), 1))
    assert first is not None and first.rows == [(b"1", b"2")]
    assert second is not None and second.rows is None


GOOD = resultset([b"1", b"2"])


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        (b"\x00\x00\x00\x01", "empty packet"),
        (frame(build_ok(status=2), 2), "sequence id 2, expected 1"),
        (frame(build_ok(status=2), 1) + b"x", "1 bytes after the end"),
        (frame(build_ok(status=2 | 8), 1), "more results"),
        (frame(b"\xfb", 1), "begins with 0xFB"),
        (frame(b"\x02\x00", 1), "column count"),
        (frame(b"\x00\x00\x00\x02", 1), "truncated OK"),
        (frame(b"\xff\x10", 1), "truncated ERR"),
        (GOOD[: GOOD.index(b"\xfe")][:-4] + frame(b"\x011\x012", 4), "no EOF packet"),
        (GOOD[:-9] + frame(b"\x011", 6), "a row of 1 values"),
        (GOOD[:-9] + frame(b"\x011\x052", 6), "a row of 2 values"),
        (GOOD[:-9] + frame(b"\xfe\x00\x00", 6), "EOF packet of a wrong length"),
        (frame(b"\xfc", 1), "begins with 0xFC"),
    ],
)
def test_what_is_no_response_is_refused(wire: bytes, complaint: str) -> None:
    with pytest.raises(BadResponse, match=complaint):
        ResponseReader().feed(wire)


def test_eof_packet_where_ok_was_agreed_is_refused() -> None:
    definitions = GOOD[: GOOD.index(b"\xfe")][:-4]
    with pytest.raises(BadResponse, match="truncated OK"):
        ResponseReader(deprecate_eof=True).feed(definitions + frame(build_eof(2)[:3], 4))


def test_length_encoded_integers() -> None:
    assert lenenc_int(b"\xfa", 0) == (250, 1)
    assert lenenc_int(b"\xfc\x01\x02", 0) == (513, 3)
    assert lenenc_int(b"\xfd\x01\x00\x01", 0) == (65_537, 4)
    assert lenenc_int(b"\xfe" + (2**40).to_bytes(8, "little"), 0) == (2**40, 9)
    for broken in (b"", b"\xfc\x01", b"\xfb", b"\xff"):
        with pytest.raises(BadResponse):
            lenenc_int(broken, 0)


def definition(kind: int, flags: int = 0) -> bytes:
    """A column's definition of this type."""
    return Column(b"a", kind, flags=flags).build()


def framed(*payloads: bytes) -> bytes:
    return b"".join(frame(payload, number + 1) for number, payload in enumerate(payloads))


BINARY_ROW = framed(
    b"\x04",
    definition(0x03),
    definition(0x08, flags=0x20),
    definition(0xFD),
    definition(0x02),
    build_eof(2, 0),
    b"\x00" + b"\x20" + b"\xff\xff\xff\xff" + b"\xff" * 8 + b"\x02ab",
    build_eof(2, 3),
)


@pytest.mark.parametrize("step", [0, 1, 7])
def test_binary_rows_are_read_as_text(step: int) -> None:
    reader = ResponseReader(BINARY)
    pieces = [BINARY_ROW[at : at + step] for at in range(0, len(BINARY_ROW), step)] if step else [BINARY_ROW]
    (response,) = [found for piece in pieces if (found := reader.feed(piece)) is not None]
    assert response.rows == [(b"-1", b"18446744073709551615", b"ab", None)]
    assert response.warnings == 3


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (b"\x01\x00\x01\x00\x00\x00", "without its header"),
        (b"\x00\x00\x01\x00\x00\x00\x00", "does not fit its 1 columns"),
        (b"\x00", "without its header"),
    ],
)
def test_binary_row_that_is_none_is_refused(row: bytes, complaint: str) -> None:
    with pytest.raises(BadResponse, match=complaint):
        ResponseReader(BINARY).feed(framed(b"\x01", definition(0x03), build_eof(2, 0), row))


def test_binary_value_that_no_workload_asks_for_is_refused() -> None:
    with pytest.raises(BadResponse, match="type 0x05"):
        ResponseReader(BINARY).feed(
            framed(b"\x01", definition(0x05), build_eof(2, 0), b"\x00\x00" + bytes(8))
        )


@pytest.mark.parametrize(("columns", "parameters"), [(0, 0), (2, 0), (0, 2), (1, 3)])
def test_answer_to_a_prepare_ends_after_its_definitions(columns: int, parameters: int) -> None:
    head = b"\x00\x07\x00\x00\x00" + bytes([columns, 0, parameters, 0]) + b"\x00\x01\x00"
    payloads = [head]
    for count in (parameters, columns):
        payloads += [definition(0xFD)] * count + ([build_eof(2, 0)] if count else [])
    reader = ResponseReader(PREPARED)
    for number, payload in enumerate(payloads):
        response = reader.feed(frame(payload, number + 1))
        assert (response is not None) == (number == len(payloads) - 1)
    assert response is not None and (response.statement_id, response.warnings) == (7, 1)


@pytest.mark.parametrize("payload", [b"\x01", b"\x00\x07\x00\x00\x00"])
def test_answer_to_a_prepare_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(BadResponse):
        ResponseReader(PREPARED).feed(frame(payload, 1))
