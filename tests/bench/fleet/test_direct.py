"""Applications without a proxy stand with the others in `test_model`."""

from __future__ import annotations

from bench.fleet.direct import Direct
from bench.fleet.policies import Unproxied


def test_they_are_what_is_made_where_there_is_none() -> None:
    assert Unproxied().sidecar is Direct
