import pytest

from bench.bulk import Bulk
from bench.client import Target
from bench.load import Load
from bench.plays import PLAYS, Big, Closed, Storming, play_of
from bench.storm import Storm
from bench.sysbench import Sysbench, find_sysbench
from bench.visits import Visits
from bench.workloads import workload_of

NOBODY = Target("127.0.0.1", 1)


@pytest.mark.parametrize("name", PLAYS)
def test_every_name_has_its_play(name: str) -> None:
    play = play_of(name, 20, 5)
    stays = name not in ("logins", "churn") and not name.startswith("sysbench")
    assert (play.clients, play.busy) == (20 if stays else 5, 5)
    load = play.load(NOBODY)
    assert isinstance(load, Sysbench if name.startswith("sysbench") else Load if stays else Visits)
    assert [group.target for group in load.groups] == [NOBODY]
    assert play.why_not() is None or not find_sysbench()


def test_idle_ones_are_a_group_of_their_own() -> None:
    busy, idle = Closed(workload_of("point"), 5, 2, 70).load(NOBODY).groups
    assert (busy.clients, busy.active, idle.clients, idle.active) == (5, 2, 70, 0)


def test_others_have_loads_of_their_own() -> None:
    storming = Storming(workload_of("point"), 20, 5, 100)
    assert storming.clients == 120 and isinstance(storming.load(NOBODY), Storm)
    assert isinstance(Big(3).load(NOBODY), Bulk)
    assert storming.why_not() is Big(3).why_not() is None
