"""What a client has got, in case its server is lost."""

from __future__ import annotations

import pytest

from proxy.past_reads import MOST_ANSWER_BYTES, MOST_COMMAND_BYTES, MOST_READS, Copy, Past, PastRead


def copy(*pieces: bytes) -> Copy:
    made = Copy()
    for piece in pieces:
        made.add(piece)
    return made


def read(wire: bytes = b"read", *pieces: bytes) -> PastRead:
    return PastRead(wire, None, copy(*pieces))


BEGIN = PastRead(b"begin", None, None)


def test_an_answer_is_the_same_however_it_comes() -> None:
    assert copy(b"ab", b"c").is_like(copy(b"abc"))
    assert not copy(b"abc").is_like(copy(b"abd"))
    assert not copy(b"abc").is_like(copy(b"ab"))


def has_got(*pieces: bytes) -> Past:
    past = Past()
    for piece in pieces:
        past.got.add(piece)
    assert past.starts_over()
    return past


@pytest.mark.parametrize("pieces", [[b"abcde"], [b"abc", b"de"], [b"a", b"b", b"cd", b"e"]])
def test_of_the_same_answer_the_client_gets_what_it_lacks(pieces: list[bytes]) -> None:
    past = has_got(b"ab", b"c")
    shown: list[bytes] = []
    for piece in pieces:
        if past.again is None:
            shown.append(piece)
            continue
        rest = past.skipped(piece)
        assert rest is not None
        shown.append(rest)
    assert b"".join(shown) == b"de"
    assert past.again is None


def test_what_it_has_got_since_is_compared_the_next_time() -> None:
    past = has_got(b"abc")
    assert past.is_skipping()
    assert past.skipped(b"abcde") == b"de"
    assert not past.is_skipping()
    assert past.starts_over()
    assert past.skipped(b"abcdefg") == b"fg"


@pytest.mark.parametrize("pieces", [[b"abX"], [b"abXde"], [b"a", b"bXd"]])
def test_of_another_answer_it_gets_nothing(pieces: list[bytes]) -> None:
    past = has_got(b"abc")
    *first, last = [past.skipped(piece) for piece in pieces]
    assert all(each == b"" for each in first)
    assert last is None


def test_an_answer_that_is_lost_twice_starts_over_twice() -> None:
    past = has_got(b"abc")
    assert past.skipped(b"aX") == b""
    assert past.starts_over()
    assert past.skipped(b"abcd") == b"d"


def test_without_a_part_of_an_answer_nothing_starts_over() -> None:
    assert not Past().starts_over()


def test_the_next_command_has_its_own_answer() -> None:
    past = Past()
    past.answered()
    first = past.got
    first.add(b"abc")
    past.answered()
    assert past.got.size == 0
    assert first.size == 3


def test_who_has_got_a_part_cannot_be_told_anything_else() -> None:
    past = has_got(b"ab")
    assert past.failed(True)
    assert not past.failed(True)
    assert past.again is None


# Transactions


def test_what_has_still_to_begin_is_not_forgotten() -> None:
    past = Past()
    past.begins(BEGIN)
    past.goes_on(read(b"one", b"1"))
    past.begin_again()
    assert past.again is not None
    past.again.add(b"half of an answer")
    assert not past.failed(False)
    assert past.at == 1
    assert past.again.size == 0
    assert not past.failed(True)
    assert (past.at, past.reads) == (0, [])


def test_a_transaction_is_read_once_more_in_order() -> None:
    past = Past()
    past.begins(BEGIN)
    assert past.has_only_begun()
    one, two = read(b"one", b"1"), read(b"two", b"2")
    past.goes_on(one)
    past.goes_on(two)
    assert not past.has_only_begun()
    assert past.begin_again() == b"begin"
    assert past.is_as_before()
    for wanted, answer in ((one, b"1"), (two, b"2")):
        assert past.next_read() is wanted
        assert past.again is not None
        past.again.add(answer)
        assert past.is_as_before()
    assert past.next_read() is None
    assert (past.reads, past.at, past.again) == ([], 0, None)


def test_what_shows_something_else_is_noticed() -> None:
    past = Past()
    past.begins(read(b"one", b"1"))
    past.begin_again()
    assert not past.is_as_before()
    assert past.again is not None
    past.again.add(b"2")
    assert not past.is_as_before()
    past.again = None
    assert not past.is_as_before()


def test_behind_it_the_present_answer_goes_on() -> None:
    past = Past()
    past.begins(BEGIN)
    past.got.add(b"ab")
    past.begin_again()
    assert past.next_read() is None
    assert past.skipped(b"abc") == b"c"


def test_a_transaction_begins_with_nothing_before_it() -> None:
    past = Past()
    past.begins(read(b"x" * MOST_COMMAND_BYTES))
    assert past.reads
    past.begins(BEGIN)
    past.goes_on(read())
    assert len(past.reads) == 2


def test_a_long_one_is_not_remembered() -> None:
    past = Past()
    past.begins(BEGIN)
    for _ in range(MOST_READS - 1):
        past.goes_on(read())
    assert past.reads
    past.goes_on(read())
    assert not past.reads


def test_nor_one_of_long_commands_or_answers() -> None:
    past = Past()
    past.begins(BEGIN)
    past.goes_on(read(b"x" * MOST_COMMAND_BYTES))
    assert not past.reads
    past.begins(BEGIN)
    long = read()
    assert long.answer is not None
    long.answer.size = MOST_ANSWER_BYTES + 1
    past.goes_on(long)
    assert not past.reads
