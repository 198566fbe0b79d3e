from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.histogram import Histogram
from bench.users import table


def test_waits_are_shown_in_milliseconds() -> None:
    waits = Histogram()
    for value in (1_000, 1_000, 50_000):
        waits.record(value)
    head, line = table(("few", waits)).splitlines()
    assert head.split() == ["wait,", "ms", "p50", "p99", "queries"]
    assert line.split() == ["few", "1.0", "50.0", "3"]


@pytest.mark.mariadb
def test_both_users_are_served(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--few", "1", "--many", "8", "--pool-size", "2", "--query", "0.01", "--seconds", "0.5"]
    assert main(["users", *options]) in (0, 1)
    rows = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["few, alone", "few, beside many", "many"]
    assert all(int(row[-1]) > 0 for row in rows)
