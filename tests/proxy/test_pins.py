from __future__ import annotations

import pytest

from proxy.pins import BITS, MEANINGS, REASONS, PinReason, advice_for


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_says_what_it_means_and_what_lifts_it(reason: PinReason) -> None:
    meaning = MEANINGS[reason]

    assert meaning.description
    assert meaning.lifted_by
    assert reason.value == reason.name.lower().replace("_", "-")


def test_every_reason_has_a_bit_of_its_own() -> None:
    assert sum(BITS.values()) == (1 << len(REASONS)) - 1


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_advice(reason: PinReason) -> None:
    assert MEANINGS[reason].advice
    assert advice_for(reason, "") == MEANINGS[reason].advice


@pytest.mark.parametrize(
    ("reason", "digest", "expected"),
    [
        (PinReason.USER_VARIABLE, "SELECT @rownum := @rownum + ? AS n FROM t", "ROW_NUMBER()"),
        (PinReason.USER_VARIABLE, "CALL p(@out)", "SELECT its results"),
        (PinReason.USER_VARIABLE, "SELECT a FROM t INTO @x", "result set"),
        (PinReason.USER_VARIABLE, "GET DIAGNOSTICS @n = NUMBER", "SHOW WARNINGS"),
        (PinReason.UNSAFE_VARIABLE, "SET SESSION session_track_system_variables = ?", "name the variables"),
        (PinReason.UNSAFE_VARIABLE, "SET timestamp = ?", "DEFAULT"),
        (PinReason.UNSAFE_VARIABLE, "SET sql_log_bin = ?", "parameter group"),
        (PinReason.USER_LOCK, "SELECT service_get_write_locks(?, ?, ?)", "FOR UPDATE"),
        (PinReason.USER_LOCK, "SELECT GET_LOCK(?, ?)", "RELEASE_LOCK()"),
        (PinReason.PREPARED_TEXT, "PREPARE p FROM ?", "DEALLOCATE PREPARE"),
    ],
)
def test_the_statement_may_say_more(reason: PinReason, digest: str, expected: str) -> None:
    assert expected in advice_for(reason, digest)
