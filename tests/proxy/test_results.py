from protocol.framing import frame
from proxy.results import packets, row_payloads, text_rows

COLUMN = b"\x03def\x00\x00\x00\x01a\x00\x0c\x3f\x00\x0b\x00\x00\x00\x03\x00\x00\x00\x00\x00"


def result(*rows: bytes) -> bytes:
    payloads = [b"\x02", COLUMN, COLUMN, *rows, b"\xfe\x00\x00\x02\x00\x00\x00"]
    return b"".join(frame(payload, number + 1) for number, payload in enumerate(payloads))


def test_rows_of_a_text_result_are_values_and_null() -> None:
    assert text_rows(result(b"\x01a\xfb", b"\x00\x02bc")) == [[b"a", None], [b"", b"bc"]]


def test_an_empty_result_and_an_ok_have_no_rows() -> None:
    assert text_rows(result()) == []
    assert text_rows(frame(b"\x00\x00\x00\x02\x00\x00\x00", 1)) == []


def test_packets_of_a_response_are_taken_apart_at_their_headers() -> None:
    assert packets(frame(b"a", 1) + frame(b"bc", 2)) == [b"a", b"bc"]


def test_rows_may_be_left_as_they_are() -> None:
    assert row_payloads(result(b"\x011", b"\xfb")) == [b"\x011", b"\xfb"]
