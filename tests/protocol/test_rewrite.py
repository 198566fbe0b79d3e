from __future__ import annotations

import pytest

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


MANY = 1 << 62


def test_without_a_shift_a_walk_changes_nothing() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b")
    rewriter.enter(0)
    assert rewriter.walk(chunk, 0, 1, MANY, len(chunk)) == (10, 2)
    assert rewriter.leave(chunk, len(chunk)) is chunk


@pytest.mark.parametrize("size", [1, 50, 1000, 5000])
def test_rows_walked_over_have_their_ids(size: int) -> None:
    """The first chunk, of which the output has some when the walk begins, and one that is nothing but rows; cut anywhere."""
    rows = [b"r" * size] * 100
    whole = packets(b"a definition", *rows)
    expected = packets(b"a definition", b"\xfe\0\0\2\0", *rows)
    for cut in (16, 17, 20, 21, 22, 4100, len(whole) // 2, len(whole)):
        rewriter = Rewriter()
        rewriter.enter(0)
        first = whole[:cut]
        rewriter.insert_eof(first, 16, 2, 2)
        end, count = rewriter.walk(first, 16, 2, MANY, len(first))
        held = min(end, len(first))
        out = rewriter.leave(first, held)
        rest = whole[held:]
        rewriter.enter(end - held)
        rewriter.walk(rest, end - held, 2 + count & 0xFF, MANY, len(rest))
        assert out + rewriter.leave(rest, len(rest)) == expected, cut


def test_a_walk_behind_a_change_ends_with_the_number() -> None:
    rewriter = Rewriter()
    rows = [b"r" * 1000] * 20
    chunk = packets(b"a", *rows)
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 5, 2, 2)
    assert rewriter.walk(chunk, 5, 2, 12, len(chunk)) == (5 + 12 * 1004, 12)
    assert rewriter.leave(chunk, len(chunk)) == packets(b"a", b"\xfe\0\0\2\0", *rows)


def test_what_was_copied_ahead_and_is_changed_is_not_there_twice() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b", b"\xfe end", b"c", b"\xfe end", b"d")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 0, 1, 2)
    assert rewriter.walk(chunk, 0, 1, MANY, len(chunk)) == (10, 2)
    rewriter.replace_by_eof(chunk, 10, 19, 0, 8)
    assert rewriter.walk(chunk, 19, 4, MANY, len(chunk)) == (24, 1)
    rewriter.remove(chunk, 24, 33)
    # the shifts make up for each other
    assert rewriter.walk(chunk, 33, 6, MANY, len(chunk)) == (38, 1)
    assert rewriter.leave(chunk, len(chunk)) == packets(
        b"\xfe\0\0\2\0", b"a", b"b", b"\xfe\0\0\x08\0", b"c", b"d"
    )


@pytest.mark.parametrize("most", [1, 40, 100, MANY])
def test_long_results_behind_others_are_walked_over_in_stretches(most: int) -> None:
    rewriter = Rewriter()
    rows = [b"r" * size for size in (1, 500, 503, 504, 1020, 5000, 20000)] * 20
    chunk = packets(b"a", b"\xfe end", *rows, b"\xff the end")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 0, 1, 2)
    rewriter.walk(chunk, 0, 1, MANY, len(chunk))
    rewriter.replace_by_eof(chunk, 5, 14, 0, 8)
    count = min(most, len(rows))
    end = 14 + len(packets(*rows[:count]))
    assert rewriter.walk(chunk, 14, 3, most, len(chunk)) == (end, count)
    expected = packets(b"\xfe\0\0\2\0", b"a", b"\xfe\0\0\x08\0", *rows, b"\xff the end")
    assert rewriter.leave(chunk, len(chunk)) == expected


def test_packets_between_walks_are_shifted_too() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"\xfe an OK", b"b", b"\xfe an OK")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 0, 1, 2)
    rewriter.walk(chunk, 0, 1, MANY, len(chunk))
    rewriter.walk(chunk, 16, 3, MANY, len(chunk))
    assert rewriter.leave(chunk, len(chunk)) == packets(
        b"\xfe\0\0\2\0", b"a", b"\xfe an OK", b"b", b"\xfe an OK"
    )


def test_the_eof_put_in_gets_its_status_later() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 5, 2, 2)
    rewriter.walk(chunk, 5, 2, MANY, len(chunk))
    rewriter.correct_eof(0x1234)
    assert rewriter.leave(chunk, len(chunk)) == packets(b"a", b"\xfe\0\0\x34\x12", b"b")


def test_the_eof_put_in_is_taken_back() -> None:
    rewriter = Rewriter()
    chunk = packets(b"a", b"b", b"c")
    rewriter.enter(0)
    rewriter.insert_eof(chunk, 5, 2, 2)
    rewriter.walk(chunk, 5, 2, MANY, len(chunk))
    rewriter.take_eof_back(5)
    rewriter.replace(chunk, 5, 10, b"B")
    assert rewriter.leave(chunk, 10) == packets(b"a", b"B")
    assert rewriter.shift == 0


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
