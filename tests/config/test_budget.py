"""The table of the fleet's budget."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from config.budget import Budget
from config.settings import Settings


def test_it_is_on_and_finds_everything_out() -> None:
    found = Settings.model_validate({"upstream": "db"}).budget
    assert found == Budget()
    assert (found.enabled, found.headroom, found.fleet, found.max_connections, found.interval) == (
        True,
        0.1,
        0,
        0,
        2.0,
    )


def test_what_people_write() -> None:
    table = {
        "headroom": 0.25,
        "fleet": "300",
        "max_connections": 16000,
        "interval": "500ms",
        "enabled": "false",
    }
    found = Settings.model_validate({"upstream": "db", "budget": table}).budget
    assert found == Budget(enabled=False, headroom=0.25, fleet=300, max_connections=16000, interval=0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("headroom", -0.1),
        ("headroom", 0.95),
        ("headroom", float("nan")),
        ("fleet", -1),
        ("fleet", 1_000_000),
        ("max_connections", -1),
        ("interval", 0.01),
        # looks that are further apart than what they say holds
        ("interval", 6.0),
        ("sidecars", 3),
    ],
)
def test_what_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate({key: value})


def test_whom_it_serves_fits_into_an_attribute() -> None:
    assert Settings.model_validate({"upstream": "db"}).application == ""
    assert Settings.model_validate({"upstream": "db", "application": "shop"}).application == "shop"
    with pytest.raises(ValidationError):
        Settings.model_validate({"upstream": "db", "application": "s" * 65})
