"""Hints in comments."""

from __future__ import annotations

import pytest

from proxy.hints import ANY, LONGEST_KEY, NO_HINTS, TO_READER, TO_WRITER, Hints, hints_of


def told(hints: Hints) -> tuple[int, float, bytes, int]:
    return (hints.side, hints.max_lag, hints.causal, hints.unknown)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        (b"/* fanin: writer */ SELECT 1", TO_WRITER),
        (b"/*fanin:reader*/SELECT 1", TO_READER),
        (b"SELECT /* FANIN: Reader */ 1", TO_READER),
        (b"  \n/* app */ /* fanin: reader */ SELECT 1", TO_READER),
        (b"/* app */ SELECT /* trace=1 */ /* fanin: reader */ 1", TO_READER),
        (b"(SELECT /* fanin: reader */ 1) UNION SELECT 2", TO_READER),
        (b"/* fanin: reader */", TO_READER),
        (b"/* fanin: reader writer */ SELECT 1", TO_WRITER),
        (b"/* fanin: reader */ SELECT /* fanin: writer */ 1", TO_WRITER),
        (b"/* fanin: */ SELECT 1", ANY),
    ],
)
def test_where_it_is_to_run(text: bytes, side: int) -> None:
    assert told(hints_of(text)) == (side, -1.0, b"", 0)


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1",
        b"SELECT 'fanin: reader'",
        b"SELECT '/* fanin: reader */'",
        b"SELECT 1 /* fanin: reader */",
        b"SELECT /* app fanin: reader */ 1",
        b"-- fanin: reader\nSELECT 1",
        b"# fanin: reader\nSELECT 1",
        b"/*! fanin: reader */ SELECT 1",
        b"/* fanin: reader",
        b"/* fanin reader: */ SELECT 1",
        b"/*" + b" " * 600 + b"fanin: reader */ SELECT 1",
    ],
)
def test_what_is_no_hint(text: bytes) -> None:
    assert hints_of(text) is NO_HINTS


def test_several_in_one_comment() -> None:
    text = b"/* fanin: reader, max_lag=500 causal=user:42 */ SELECT 1"
    assert told(hints_of(text)) == (TO_READER, 0.5, b"user:42", 0)


@pytest.mark.parametrize(
    "word",
    [
        b"replica",
        b"reader=1",
        b"writer=",
        b"max_lag",
        b"max_lag=soon",
        b"max_lag=-1",
        b"max_lag=86400001",
        b"acquire_timeout",
        b"acquire_timeout=-1",
        b"acquire_timeout=86400001",
        b"causal=",
        b"causal=" + b"x" * (LONGEST_KEY + 1),
    ],
)
def test_unknown_ones_are_ignored_and_counted(word: bytes) -> None:
    assert told(hints_of(b"/* fanin: writer, " + word + b" */ SELECT 1")) == (TO_WRITER, -1.0, b"", 1)


def test_how_long_to_wait() -> None:
    assert hints_of(b"/* fanin: reader acquire_timeout=200 */ SELECT 1").acquire_timeout == 0.2
    assert hints_of(b"/* fanin: reader */ SELECT 1").acquire_timeout == -1.0


def test_the_longest_key_is_one() -> None:
    key = b"x" * LONGEST_KEY
    assert hints_of(b"/* fanin: causal=" + key + b" */ SELECT 1").causal == key
