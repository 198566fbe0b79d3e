"""The simulated fleet: the model does what it says, and the budgets of the product keep it below the server's limit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.fleet.events import Events
from bench.fleet.model import Load, Sidecar, SimServer, Tally
from bench.fleet.policies import Budgets, Fixed, Ideal, Policy
from bench.fleet.scenarios import MINTED, SCENARIOS, Course, Profile, Sample, Scenario

SMALL = replace(MINTED, sidecars=20, limit=400, clients=40, size=40)


def test_what_is_due_happens_in_order() -> None:
    events = Events(1)
    happened: list[tuple[float, int]] = []
    for seconds in (2.0, 1.0, 1.0, 3.0):
        events.after(seconds, happened.append, (seconds, len(happened)))
    events.run(2.5)
    assert [seconds for seconds, _ in happened] == [1.0, 1.0, 2.0]
    assert events.now == 2.5


class Scene:
    """One sidecar before one server."""

    def __init__(self, limit: int = 10, clients: int = 4, size: int = 4, service: float = 0.01) -> None:
        self.events = Events(1)
        self.server = SimServer(limit)
        self.tally = Tally()
        load = Load(0.01, ((1.0, service),))
        self.sidecar = Sidecar(self.events, self.server, load, self.tally, clients, size)


def test_clients_are_served_and_connections_counted() -> None:
    scene = Scene()
    scene.events.run(2.0)
    assert scene.tally.waits.total > 200 and scene.tally.errors == 0
    assert scene.server.connected == scene.server.opened == scene.sidecar.core.size <= 4
    # nobody waits where each may have his own, but for its opening
    assert scene.tally.waits.percentile(90) == 0


def test_who_finds_none_waits() -> None:
    scene = Scene(size=1)
    scene.events.run(2.0)
    assert scene.server.peak == 1
    assert scene.tally.waits.percentile(50) > 0


def test_a_server_that_is_full_refuses() -> None:
    scene = Scene(limit=2)
    refused: list[Sidecar] = []
    scene.sidecar.refused = refused.append
    scene.events.run(2.0)
    assert scene.server.peak == scene.server.connected == 2
    assert scene.server.refused == len(refused) > 0
    assert scene.tally.errors == 0


def test_a_crash_ends_connections_and_clients_come_back() -> None:
    scene = Scene()
    scene.events.run(1.0)
    scene.sidecar.stop()
    assert scene.server.connected == 0
    scene.events.run(2.0)
    errors, served = scene.tally.errors, scene.tally.waits.total
    assert errors > 0 and scene.server.connected == 0
    scene.sidecar.start()
    scene.events.run(4.0)
    assert scene.tally.waits.total > served and scene.server.connected > 0


def played(name: str, policy: Policy, profile: Profile = SMALL, seed: int = 1) -> tuple[Course, list[Sample]]:
    samples: list[Sample] = []
    (scenario,) = [each for each in SCENARIOS if each.name == name]
    short = Scenario(scenario.name, scenario.seconds, scenario.begin)
    return short.play(profile, policy, seed, samples.append), samples


def test_a_seed_is_a_course_of_events() -> None:
    one, other, third = [played("peace", Budgets(40), seed=seed)[0] for seed in (1, 1, 2)]
    assert one == other != third


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_fleet_stays_below_the_limit(scenario: Scenario) -> None:
    course, samples = played(scenario.name, Budgets(40))
    assert list(course.samples) == samples
    assert course.refused == 0
    assert course.peak <= 0.95


def test_fixed_numbers_do_not() -> None:
    course, _ = played("everybody wants all", Fixed("as large as it can be", 40))
    assert course.refused > 0
    assert course.peak > 1.0


def test_nor_does_it_serve_much_less_than_one_who_knew_all() -> None:
    """Who fills all that may be used, and that at once; a fleet stays at 85 percent of it."""
    ours, best = [played("everybody wants all", policy)[0] for policy in (Budgets(40), Ideal())]
    assert ours.queries >= 0.85 * best.queries
    assert ours.samples[-1].share >= 0.9


def test_the_command_writes_a_table_a_picture_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"--{kind}={tmp_path / kind}" for kind in ("json", "png", "html")]
    size = (
        "--sidecars 5 --clients 10 --max-connections 60 --pool-size 10 --scenarios peace --ways fanin,split"
    )
    assert main(["fleet", *size.split(), *files]) == 0
    assert "peace" in capsys.readouterr().out
    content = json.loads((tmp_path / "json").read_text())
    assert [each["policy"] for each in content["courses"]] == ["fanin", "split"]
    assert (tmp_path / "png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "html").read_text()
    assert "data:image/png;base64," in page and "<td>split</td>" in page and "http" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ways", "fanin,luck"], "unknown ways luck"),
        (["--scenarios", "war"], "unknown scenarios war"),
        (["--sidecars", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fleet", *arguments]) == 2
    assert message in capsys.readouterr().err
