"""Logins that come in one go, and everybody else."""

from __future__ import annotations

from proxy.turns import AT_ONCE, Turn, Turns
from tests.fakes.loop import StepLoop
from tests.fakes.wire import PING, ok
from tests.fakes.world import World


class Waiting(Turn):
    def __init__(self, name: int, served: list[int]) -> None:
        self.name = name
        self.served = served

    def has_turn(self) -> None:
        self.served.append(self.name)


def test_so_many_have_their_turn_in_each_look_in_the_order_of_arrival() -> None:
    loop = StepLoop()
    served: list[int] = []
    turns = Turns(loop)
    count = 2 * AT_ONCE + 3
    for name in range(count):
        waiting = Waiting(name, served)
        if turns.take(waiting):
            waiting.has_turn()
    assert served == list(range(AT_ONCE))
    loop.step()
    assert served == list(range(2 * AT_ONCE))
    # who comes now does not overtake
    late = Waiting(count, served)
    assert not turns.take(late)
    loop.step()
    assert served == list(range(count + 1))
    loop.settle()
    assert turns.take(late)
    loop.settle()
    loop.close()


def test_clients_are_served_between_logins(world: World) -> None:
    client = world.client()
    client.got()
    many = [world.connects() for _ in range(5 * AT_ONCE)]
    for each in many:
        each.begin_login()
    client.transport.deliver(PING)
    looks = 0
    while not (answer := client.got()):
        world.loop.step()
        looks += 1
    assert answer == ok()
    while (served := sum(each.connected is not None for each in many)) < len(many):
        assert served <= AT_ONCE * looks < 1000, "some are never served"
        world.loop.step()
        looks += 1


def test_one_that_leaves_while_it_waits_is_forgotten(world: World) -> None:
    world.client()
    many = [world.connects() for _ in range(3 * AT_ONCE)]
    for each in many:
        each.begin_login()
    while not world.shared.turns._waiting:
        world.loop.step()
    world.loop.call(many[-1].transport.break_off, ConnectionResetError("Connection reset by peer"))
    assert [each.connected is not None for each in many] == [True] * (len(many) - 1) + [False]
    assert not world.shared.logins
