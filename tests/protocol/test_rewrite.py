from __future__ import annotations

from protocol.framing import frame
from protocol.rewrite import Rewriter


def packets(*payloads: bytes, first: int = 1) -> bytes:
    return b"".join([frame(payload, first + number) for number, payload in enumerate(payloads)])


def test_what_is_not_changed_is_not_copied() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b")
    rewriter.enter(0)
    assert rewriter.leave(chunk, len(chunk)) is chunk


def test_what_is_held_back_is_left_out() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b")
    rewriter.enter(0)
    assert rewriter.leave(chunk, 5) == packets(b"a")


def test_a_packet_put_in_shifts_those_behind_it_in_later_chunks_too() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"c")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 5, 2, 0x1234)
    assert rewriter.leave(chunk, 10) == packets(b"a", b"\xfe\0\0\x34\x12", b"c")
    later = b"tail" + packets(b"d", first=3)
    rewriter.enter(4)
    assert rewriter.leave(later, 9) == b"tail" + packets(b"d", first=4)
    rewriter.reset()
    rewriter.enter(0)
    assert rewriter.leave(chunk, 10) is chunk


def test_a_chunk_without_a_header_needs_no_shift() -> None:
    rewriter = Rewriter()
    rewriter.shift = 1
    chunk = b"the middle of a row"
    rewriter.enter(len(chunk))
    assert rewriter.leave(chunk, len(chunk)) is chunk


def test_packets_are_replaced_and_left_out() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b", b"c", b"d", b"e")
    rewriter.enter(0)
    rewriter.replace(chunk, 0, 5, b"longer than that")
    rewriter.remove(chunk, 5, 10)
    rewriter.replace(chunk, 15, 20, b"D")
    assert rewriter.leave(chunk, 25) == packets(b"longer than that", b"c", b"D", b"e")
    assert rewriter.shift == 255


def test_the_end_of_rows_becomes_an_eof() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"an OK", first=254)
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 0, 254, 2)
    rewriter.replace_by_eof(chunk, 5, len(chunk), 0xFEDC, 0x8022)
    assert rewriter.leave(chunk, len(chunk)) == packets(
        b"\xfe\0\0\2\0", b"a", b"\xfe\xdc\xfe\x22\x80", first=254
    )


def test_long_stretches_are_shifted_like_short_ones() -> None:
    rewriter = Rewriter()
    rows = [b"r" * 1000] * 300
    chunk = packets(*rows)
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 0, 1, 2)
    assert rewriter.leave(chunk, len(chunk)) == packets(b"\xfe\0\0\2\0", *rows)


def test_streams_do_not_meet() -> None:
    """Not even when one of them has ended in the middle of a chunk."""
    broken, other = Rewriter(), Rewriter()
    chunk = packets(b"a", b"b")
    broken.enter(0)
    broken.insert_eof(chunk, 5, 2, 0)
    other.enter(0)
    other.remove(chunk, 0, 5)
    assert other.leave(chunk, len(chunk)) == packets(b"b")
    broken.reset()
    broken.enter(0)
    broken.replace(chunk, 0, 5, b"new")
    assert broken.leave(chunk, len(chunk)) == packets(b"new", b"b")
