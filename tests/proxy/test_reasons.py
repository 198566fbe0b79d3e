"""Close reasons are labels of metrics: they must be distinct and of one form."""

from __future__ import annotations

import re

from proxy.reasons import CloseReason


def test_a_reason_has_a_label_of_its_own() -> None:
    labels = [reason.value for reason in CloseReason]
    assert len(set(labels)) == len(CloseReason.__members__)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", label) for label in labels)


def test_the_label_follows_from_the_name() -> None:
    assert all(reason.value == reason.name.lower().replace("_", "-") for reason in CloseReason)
