from __future__ import annotations

import pytest

from proxy.pins import BITS, MEANINGS, REASONS, PinReason


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_says_what_it_means_and_what_lifts_it(reason: PinReason) -> None:
    meaning = MEANINGS[reason]

    assert meaning.description
    assert meaning.lifted_by
    assert reason.value == reason.name.lower().replace("_", "-")


def test_every_reason_has_a_bit_of_its_own() -> None:
    assert sum(BITS.values()) == (1 << len(REASONS)) - 1
