"""Whatever a server says, and however the time goes: the bound stays in its limits, the log short, and a server that can be believed is."""

from __future__ import annotations

import random as randoms

from hypothesis import given
from hypothesis import strategies as st

from proxy.budget import BLIND
from proxy.cap import QUIET, Cap, CapRules, Why
from proxy.occupancy import UNKNOWN, Count, Occupancy

NUMBERS = st.sampled_from([UNKNOWN, -5, 0, 1, 2, 7, 60, 136, 150, 151, 152, 16_000, 10**18])
COUNTS = st.none() | st.builds(Count, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans())
SEEN = st.builds(Occupancy, NUMBERS, NUMBERS, NUMBERS, COUNTS, st.sampled_from(["", "not to be had"]))
STEPS = st.one_of(
    st.tuples(st.just("saw"), SEEN, st.floats(0.0, 1.0)),
    st.tuples(st.just("failed"), st.booleans()),
    st.tuples(st.just("refused"), st.sampled_from([1040, 1203])),
    st.tuples(st.just("passes"), st.sampled_from([0.1, 1.0, 3.0, BLIND, 40.0, 86_400.0, -5.0, -86_400.0])),
)
RULES = st.builds(
    CapRules,
    size=st.sampled_from([1, 2, 40, 16_000]),
    headroom=st.sampled_from([0.0, 0.1, 0.9]),
    fleet=st.sampled_from([0, 1, 300]),
    limit=st.sampled_from([0, 1, 100]),
)


@given(RULES, st.lists(STEPS, max_size=60), st.lists(st.integers(0, 200), min_size=1), st.integers())
def test_nothing_that_is_said_does_harm(
    rules: CapRules, steps: list[tuple[object, ...]], owns: list[int], seed: int
) -> None:
    random = randoms.Random(seed).random
    now = 1e6
    cap = Cap(rules, now, random)
    lines = 0
    last = now
    for number, (what, *how) in enumerate(steps):
        own = owns[number % len(owns)]
        if what == "saw":
            cap.saw(how[0], now, own, how[1])  # type: ignore[arg-type]
        elif what == "failed":
            cap.failed(now, "no", how[0])  # type: ignore[arg-type]
        elif what == "refused":
            cap.refused(now, own, how[0])  # type: ignore[arg-type]
        else:
            now += how[0]  # type: ignore[operator]
            cap.passed(now, own)
        last = max(last, now)
        lines += len(cap.take_lines())
        assert 1 <= cap.bound <= rules.size
        assert (cap.in_words() == "") == (cap.bound == rules.size)
        assert 0.0 <= cap.delay(now) <= 1.5 * rules.interval
        assert cap.report(now)["bound"] == cap.bound
    # each of four warnings, and as many ends of them
    jumps = len([step for step in steps if step[0] == "passes" and step[1] in (-5.0, -86_400.0)])
    assert lines <= 8 * (1 + jumps + (last - 1e6) // QUIET)
    # a server that is nearly empty, as it was long ago
    for _ in range(60):
        now += 80.0
        cap.passed(now, 0)
        cap.passed(now, 0)
        cap.saw(Occupancy(1_000_000, 5, 0, Count(1, 1, 1, 1, is_all=True)), now, 0, 0.01)
    assert cap.why is not Why.BLIND and cap.trouble == ""
    if rules.limit == 0:
        assert cap.bound >= min(rules.size, 40)
