"""The lag of a reader that is looked at now and then: a frozen one is out in time, and one at the border does not flap."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.lag import RETURN, LagGate

FRACTION = st.floats(0.0, 1.0)


class LagMachine(RuleBasedStateMachine):
    """A reader that applies everything a given time late, measures that now and then, and is looked at every interval, or almost."""

    @initialize(max_lag=st.sampled_from([0.1, 1.0, 10.0]), interval=st.sampled_from([0.1, 0.25, 1.0]))
    def start(self, max_lag: float, interval: float) -> None:
        self.gate = LagGate(max_lag, interval)
        self.now = 100.0
        self.number = 1
        self.measured_at = self.now
        self.lag = 0.0
        self.applied_until = 0.0

    @rule(fraction=st.floats(0.0, 2.0))
    def measure(self, fraction: float) -> None:
        """The reader renews its row. It never goes back in time."""
        self.number += 1
        self.measured_at = self.now
        self.applied_until = max(self.applied_until, self.now - fraction * self.gate.max_lag)
        self.lag = self.now - self.applied_until

    @rule(passed=st.floats(0.0, 1.2), took=FRACTION)
    def look(self, passed: float, took: float) -> None:
        asked_at = self.now
        age = asked_at - self.measured_at
        self.now += took * 0.01
        self.gate.sampled(self.lag, asked_at, age, self.number)
        self.now += passed * self.gate.interval

    @rule()
    def freeze(self) -> None:
        """It is looked at, but measures nothing: after max_lag and the interval (and what is usual) it is out, and stays so."""
        seen_at, usual = self.measured_at, self.gate.usual_age
        self.look(1.0, 0.0)
        usual = max(usual, self.gate.usual_age)
        while self.now <= seen_at + self.gate.max_lag + self.gate.interval + usual + 1e-6:
            self.look(1.0, 0.0)
        assert not self.gate.is_eligible(self.now)
        self.look(1.0, 0.0)
        assert not self.gate.is_eligible(self.now)

    @rule(fractions=st.lists(st.floats(RETURN + 0.01, 0.99), min_size=2, max_size=10))
    def stay_at_the_border(self, fractions: list[float]) -> None:
        """Between the two limits nothing changes, at however many looks in time."""
        states = []
        for fraction in fractions:
            self.gate.sampled(fraction * self.gate.max_lag, self.now)
            states.append(self.gate.is_eligible(self.now))
            self.now += self.gate.interval
        assert len(set(states)) == 1
        self.lag, self.measured_at = self.gate.lag, self.now
        self.number += 1

    @invariant()
    def what_is_eligible_is_not_further_behind_than_it_may(self) -> None:
        gate = self.gate
        if gate.is_eligible(self.now):
            assert gate.lag <= gate.max_lag
            overdue = self.now - gate.measured_at - gate.interval - gate.usual_age
            assert gate.lag + overdue <= gate.max_lag + 1e-9
            assert gate.usual_age <= gate.interval

    @invariant()
    def the_words_agree(self) -> None:
        assert (
            ": " in self.gate.why(self.now) or "not known" in self.gate.why(self.now)
        ) != self.gate.is_eligible(self.now)


TestLag = LagMachine.TestCase


@given(lag=st.floats(0.0, 5.0), limit=st.floats(0.0, 5.0), age=st.floats(0.0, 5.0))
def test_within_a_limit_is_certain(lag: float, limit: float, age: float) -> None:
    gate = LagGate(1.0, 1.0)
    gate.sampled(lag, 0.0)
    assert gate.is_within(limit, age) == (lag + age <= limit)
