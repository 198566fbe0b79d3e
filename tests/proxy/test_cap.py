"""What an endpoint may have, by what is said of its server, and what people are told about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.budget import BLIND
from proxy.cap import MOST_OWED, QUIET, USUAL_LIMIT, Cap, CapRules, Why
from proxy.occupancy import NO_COUNT, UNKNOWN, Count, Occupancy

ALONE = Count(1, 1, 1, 1, is_all=True)


def occupancy(
    connected: int = 5, limit: int = 1000, count: Count | None = ALONE, trouble: str = ""
) -> Occupancy:
    return Occupancy(limit, connected, 3, count, trouble)


class Scene:
    """A cap, the time, and the pool: as large as it may be."""

    def __init__(self, size: int = 40, **rules: float) -> None:
        self.now = 100.0
        self.luck = 0.5
        self.cap = Cap(CapRules(size, **{"headroom": 0.1, **rules}), self.now, lambda: self.luck)  # type: ignore[arg-type]
        self.own = 0

    def saw(self, seen: Occupancy | None = None, round_trip: float = 0.01) -> int:
        self.cap.saw(seen or occupancy(), self.now, self.own, round_trip)
        return self.cap.bound

    def later(self, seconds: float = 2.5) -> Scene:
        self.now += seconds
        return self

    def passes(self, ticks: int = 2) -> int:
        for _ in range(ticks):
            self.cap.passed(self.now, self.own)
        return self.cap.bound

    def told(self) -> list[str]:
        return [f"{line.level}: {line.event} ({line.reason})" for line in self.cap.take_lines()]


@pytest.fixture
def scene() -> Scene:
    """It knows that it is alone."""
    return Scene(fleet=1)


@pytest.fixture
def unsure() -> Scene:
    """It has to count."""
    return Scene()


# Looks


def test_before_the_first_look_there_is_one(scene: Scene) -> None:
    assert (scene.cap.bound, scene.cap.why, scene.cap.delay(scene.now)) == (1, Why.START, 0.0)
    assert scene.passes() == 1
    assert scene.cap.in_words() == "nobody has looked at the server yet: bound 1 of 40"


def test_who_is_alone_has_all_at_once(scene: Scene) -> None:
    assert (scene.saw(), scene.cap.why, scene.cap.in_words()) == (40, Why.SIZE, "")
    assert scene.told() == []


def test_looks_that_come_too_early_are_not_taken(scene: Scene) -> None:
    scene.saw(occupancy(900))
    assert scene.cap.delay(scene.now) == 2.5
    scene.later(2.4).saw()
    assert (scene.cap.looks, scene.cap.bound) == (1, 1)
    scene.later(0.1).saw()
    assert scene.cap.looks == 2


def test_but_a_count_is_whenever_it_comes(unsure: Scene) -> None:
    unsure.saw(occupancy(count=None))
    unsure.later(0.1).saw(occupancy(count=Count(0, 0, 0, 0, is_all=True), limit=UNKNOWN))
    assert unsure.cap.fleet == 0
    unsure.saw(occupancy(count=Count(7, 1, 20, 20, is_all=True)))
    assert (unsure.cap.fleet, unsure.cap.looks) == (7, 1)


def test_they_are_spread_and_as_many_as_intervals(scene: Scene) -> None:
    delays = []
    for luck in (0.0, 0.999, 0.0, 0.5, 0.999, 0.0):
        scene.luck = luck
        scene.saw()
        delays.append(round(scene.cap.delay(scene.now), 1))
        scene.later(scene.cap.delay(scene.now))
    assert delays == [2.0, 3.0, 1.0, 2.5, 2.5, 1.0]
    assert sum(delays) == 2.0 * len(delays)


def test_who_has_much_less_than_its_share_looks_sooner_and_makes_up_for_it_later() -> None:
    scene = Scene(fleet=20)
    scene.luck = 0.0
    delays = []
    for needed in [9] * 4 + [1] * 6:
        scene.cap.saw(occupancy(900), scene.now, 1, 0.01, needed)
        delays.append(scene.cap.delay(scene.now))
        scene.later(delays[-1])
    assert delays == [1.0] * 4 + [3.0] * 4 + [2.0] * 2


def test_but_not_for_ever() -> None:
    scene = Scene(fleet=20)
    scene.luck = 0.0
    for _ in range(100):
        scene.cap.saw(occupancy(900), scene.now, 1, 0.01, 9)
        scene.later(scene.cap.delay(scene.now))
    began = scene.now
    for _ in range(40):
        scene.cap.saw(occupancy(900), scene.now, 1, 0.01, 1)
        scene.later(scene.cap.delay(scene.now))
    assert scene.now - began == 40 * 2.0 + MOST_OWED


def test_a_clock_that_jumps_holds_nothing_up(scene: Scene) -> None:
    scene.saw()
    scene.now -= 3600.0
    assert scene.cap.delay(scene.now) == 0.0
    scene.passes()
    scene.saw()
    assert scene.cap.looks == 2
    scene.now += 7200.0
    assert (scene.passes(), scene.cap.why) == (40, Why.BLIND)
    assert (scene.saw(), scene.cap.why) == (40, Why.SIZE)


def test_the_fleet_is_known_from_counts(unsure: Scene) -> None:
    unsure.saw(occupancy(count=Count(30, 1, 40, 40, is_all=True)))
    assert unsure.cap.fleet == 30
    unsure.later().saw(occupancy(count=None))
    assert unsure.cap.fleet == 30
    unsure.later().saw(occupancy(count=Count(7, 1, 40, 40, is_all=True)))
    assert unsure.cap.fleet == 7


def test_strangers_are_told_from_the_fleet_by_counts(unsure: Scene) -> None:
    def bound_beside(sessions: int) -> int:
        cap = Scene(size=1000).cap
        count = Count(20, 60, sessions, 800, is_all=True, is_complete=True)
        cap.saw(occupancy(800, count=count), 100.0, 60, 0.01, 100)
        return cap.bound

    assert bound_beside(sessions=800) > 60 > bound_beside(sessions=200)


def test_those_who_begin_together_are_not_all_there_at_the_first_count() -> None:
    bounds = []
    for number in (1, 30, 300):
        scene = Scene(size=1000)
        scene.saw(occupancy(count=Count(number, 1, number, number, is_all=True)))
        bounds.append(scene.cap.bound)
        configured = Scene(size=1000, fleet=max(10, 2 * number))
        assert configured.saw() == scene.cap.bound
    assert bounds == sorted(bounds, reverse=True)


def test_who_is_alone_has_more_with_the_second(unsure: Scene) -> None:
    small = occupancy(limit=151)
    assert (unsure.saw(small), unsure.cap.fleet) == (6, 1)
    assert unsure.later().saw(replace(small, count=None)) == 6
    assert unsure.later().saw(small) == 40


def test_those_who_come_back_to_a_server_neither(unsure: Scene) -> None:
    for number in (100, 100, 1):
        unsure.later().saw(occupancy(count=Count(number, 1, number, number, is_all=True)))
    assert unsure.cap.fleet == 1 and unsure.cap.bound <= 8
    unsure.later().saw(occupancy(count=Count(99, 1, 99, 99, is_all=True)))
    unsure.later().saw(occupancy(count=Count(99, 1, 99, 99, is_all=True)))
    assert unsure.cap.bound <= 8


def test_or_from_the_configuration() -> None:
    scene = Scene(fleet=50)
    scene.saw(occupancy())
    assert scene.cap.fleet == 50
    assert scene.told() == []


def test_or_not_which_is_told_once(unsure: Scene) -> None:
    for _ in range(3):
        unsure.later(60.0).saw(occupancy(count=None, trouble=NO_COUNT))
        assert unsure.cap.report(unsure.now)["trouble"] == NO_COUNT
    assert unsure.cap.fleet == 0
    (line,) = unsure.told()
    assert line.startswith("warning: how many Fanins") and line.endswith(f"({NO_COUNT})")
    unsure.later(60.0).saw()
    assert (unsure.cap.report(unsure.now)["trouble"], unsure.cap.fleet) == ("", 1)


def test_a_limit_of_our_own_is_as_good_as_the_servers() -> None:
    scene = Scene(limit=100)
    for limit in (1000, UNKNOWN, 0):
        scene.later(60.0).saw(occupancy(limit=limit))
        assert (scene.cap.trouble, scene.cap.report(scene.now)["limit"]) == ("", 100)
    scene.later(60.0).saw(occupancy(limit=50))
    assert scene.cap.report(scene.now)["limit"] == 50


@pytest.mark.parametrize(
    ("connected", "own", "why"),
    [
        (5, 4, Why.SIZE),
        (450, 20, Why.GROWING),
        (832, 20, Why.LEVEL),
        (845, 20, Why.ROOM),
        (880, 20, Why.PRESSED),
    ],
)
def test_why(connected: int, own: int, why: Why) -> None:
    fleet = {Why.SIZE: 1, Why.LEVEL: 40}.get(why, 30)
    scene = Scene(fleet=fleet)
    scene.own = own
    scene.saw(occupancy(connected))
    assert scene.cap.why is why
    assert (scene.cap.in_words() == "") == (why is Why.SIZE)


def test_a_report(scene: Scene) -> None:
    assert scene.cap.report(scene.now) == {
        "bound": 1,
        "why": "start",
        "connected": None,
        "limit": None,
        "fleet": 1,
        "looked_ago": None,
        "looks": 0,
        "refusals": 0,
        "server_refusals": None,
        "trouble": "",
    }
    scene.saw()
    assert scene.later(1.5).cap.report(scene.now) == {
        "bound": 40,
        "why": "pool.size",
        "connected": 5,
        "limit": 1000,
        "fleet": 1,
        "looked_ago": 1.5,
        "looks": 1,
        "refusals": 0,
        "server_refusals": 3,
        "trouble": "",
    }


# A full server


def test_a_full_server_is_told_of_once_in_a_while_and_so_is_its_end() -> None:
    scene = Scene(fleet=30)
    scene.own = 20
    for connected in (880, 700, 880, 700, 880):
        scene.later().saw(occupancy(connected))
    assert scene.told() == [
        "warning: server is nearly full: connections are given up (880 of 1000 in use)",
        "info: connections follow the room on the server again (700 of 1000 in use)",
    ]
    scene.later().saw(occupancy(700))
    scene.later(QUIET).saw(occupancy(880))
    assert len(scene.told()) == 1


def test_a_refusal_halves_and_those_of_the_same_moment_count_once(scene: Scene) -> None:
    scene.saw()
    scene.cap.refused(scene.now, 20)
    scene.cap.refused(scene.now + 0.4, 12)
    assert (scene.cap.bound, scene.cap.refusals, scene.cap.why) == (10, 1, Why.REFUSED)
    assert scene.cap.in_words() == "server has refused connections: bound 10 of 40"
    assert scene.told() == ["warning: server has refused a connection: fewer are used (1040)"]
    scene.cap.refused(scene.now + 0.6, 10)
    assert (scene.cap.bound, scene.cap.refusals) == (5, 2)


def test_nothing_grows_for_a_while_then(scene: Scene) -> None:
    scene.saw()
    scene.luck = 0.999
    for _ in range(3):
        scene.later().cap.refused(scene.now, 20)
    scene.own = 10
    assert scene.later().saw(occupancy(500)) == 10
    assert scene.cap.why is Why.REFUSED
    assert scene.later(3.0).saw(occupancy(500)) > 10
    assert scene.told()[1:] == ["info: connections follow the room on the server again (500 of 1000 in use)"]


# Servers that cannot be looked at


def test_what_was_seen_holds_for_a_while(scene: Scene) -> None:
    scene.saw()
    scene.later(BLIND - 1.0)
    scene.cap.failed(scene.now, "timeout: no answer", is_hopeless=False)
    assert (scene.passes(), scene.cap.why, scene.told()) == (40, Why.SIZE, [])
    scene.later(1.0)
    assert (scene.passes(), scene.cap.why) == (40, Why.BLIND)
    assert scene.cap.trouble == "timeout: no answer"
    (line,) = scene.told()
    assert line.startswith("warning: server cannot be looked at") and line.endswith("(timeout: no answer)")
    scene.later().saw()
    assert (scene.cap.why, scene.cap.trouble) == (Why.SIZE, "")
    assert scene.told()[0].startswith("info: connections follow")


def test_where_nobody_says_anything_too(unsure: Scene) -> None:
    unsure.saw(occupancy(count=Count(100, 1, 100, 100, is_all=True)))
    before = unsure.cap.bound
    unsure.later(BLIND)
    assert (unsure.passes(), unsure.cap.why) == (before, Why.BLIND)
    assert unsure.told()[0].endswith("(no look has come to its end)")


def test_who_may_never_look_has_an_equal_share_at_once(unsure: Scene) -> None:
    unsure.cap.failed(unsure.now, "denied: 1045", is_hopeless=True)
    assert (unsure.cap.bound, unsure.cap.why) == (int(USUAL_LIMIT * 0.9 / 10), Why.BLIND)
    assert unsure.cap.in_words() == "server cannot be looked at: bound 13 of 40"
    for _ in range(3):
        unsure.later(60.0)
        unsure.cap.failed(unsure.now, "denied: 1045", is_hopeless=True)
    assert len(unsure.told()) == 1
    assert unsure.later().saw() > 13


def test_of_what_the_configuration_says() -> None:
    scene = Scene(fleet=20, limit=400)
    scene.cap.failed(scene.now, "denied: 1045", is_hopeless=True)
    assert scene.cap.bound == 18


def test_what_may_yet_answer_is_waited_for(unsure: Scene) -> None:
    unsure.cap.failed(unsure.now, "timeout: no answer", is_hopeless=False)
    unsure.later(BLIND - 1.0)
    unsure.cap.failed(unsure.now, "timeout: no answer", is_hopeless=False)
    assert (unsure.passes(), unsure.cap.why) == (1, Why.START)
    unsure.later(1.0)
    assert (unsure.passes(), unsure.cap.why) == (13, Why.BLIND)


def test_refusals_count_there_too(unsure: Scene) -> None:
    unsure.cap.failed(unsure.now, "denied: 1045", is_hopeless=True)
    unsure.cap.refused(unsure.now, 10)
    assert unsure.passes() == 5
    assert unsure.later(31.0).passes() == 6


# Servers that lie


@pytest.mark.parametrize(
    "seen",
    [
        occupancy(0),
        occupancy(-3),
        occupancy(UNKNOWN),
        occupancy(limit=0),
        occupancy(limit=UNKNOWN),
        occupancy(3),
    ],
)
def test_a_server_that_lies_is_not_believed(unsure: Scene, seen: Occupancy) -> None:
    unsure.own = 4
    unsure.passes()
    unsure.saw(seen)
    assert (unsure.cap.looks, unsure.cap.bound, unsure.cap.why) == (0, 13, Why.BLIND)
    assert unsure.cap.trouble.startswith("what it says is not believed: ")
    unsure.later().saw(occupancy(4))
    assert (unsure.cap.bound, unsure.cap.trouble) == (40, "")


def test_what_was_opened_meanwhile_is_no_lie(scene: Scene) -> None:
    scene.own = 2
    scene.passes()
    scene.own = 20
    scene.passes(1)
    scene.saw(occupancy(3))
    assert scene.cap.looks == 1


def test_nor_is_what_took_long_to_say(scene: Scene) -> None:
    scene.own = 20
    scene.passes()
    scene.saw(occupancy(3), round_trip=0.5)
    assert scene.cap.looks == 1


def test_other_workers_may_have_a_part_of_the_size() -> None:
    scene = Scene(size=40, fleet=1)
    scene.saw()
    for _ in range(20):
        scene.own = scene.cap.bound
        scene.later().saw()
    assert (scene.cap.bound, scene.cap.why) == (40, Why.SIZE)
    scene.cap.allow(15)
    assert (scene.cap.bound, scene.cap.in_words()) == (15, "")
    scene.cap.allow(17)
    assert scene.cap.bound == 17
    scene.own = 17
    assert scene.later().saw() == 17
