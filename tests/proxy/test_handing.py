"""Clients on their way from the parent to the workers, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from config.values import Address
from proxy import tasks
from proxy.handing import BUSY, SLACK, Gate, Reception, Way
from proxy.listeners import Entrance
from proxy.login import Doorway
from tests.fakes.loop import StepLoop
from tests.fakes.world import Log, learn, make_shared

ANYWHERE = Address("127.0.0.1", 0)
LIMIT = 90


class Desk:
    """One worker's end."""

    def __init__(self, house: House, number: int) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.way = Way(number, ours)
        self.shared = make_shared(house.loop, house.log)
        learn(self.shared)
        self.entrances = [
            Entrance(self.shared, f"address {each}", Doorway(bool(each), False, None, False))
            for each in range(2)
        ]
        self.reception = Reception(house.loop, house.log, theirs, self.entrances)
        self.reception.start()

    @property
    def clients(self) -> int:
        return self.shared.counters.frontends_open

    def tells(self) -> None:
        """The parent hears of the clients."""
        self.way.open, self.way.taken = self.clients, self.reception.taken


class House:
    def __init__(self) -> None:
        self.loop = StepLoop()
        self.log = Log()
        self.gate = Gate(self.loop, self.log, LIMIT, self.recount)
        for _ in range(2):
            self.gate.listen(ANYWHERE)
        self.desks: list[Desk] = []
        self.peers: list[socket.socket] = []
        self.may_count = asyncio.Event()
        self.may_count.set()

    async def recount(self) -> None:
        await self.may_count.wait()
        for desk in self.desks:
            desk.tells()

    def desk(self) -> Desk:
        desk = Desk(self, len(self.desks))
        self.desks.append(desk)
        self.gate.open_way(desk.way)
        return desk

    def comes(self, count: int = 1, address: int = 0) -> None:
        for _ in range(count):
            peer = socket.create_connection(self.gate.acceptors[address].socket.getsockname())
            self.peers.append(peer)
        self.turns()

    def turns(self) -> None:
        for _ in range(30):
            self.loop.step()

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.turns()
        self.gate.close()
        self.gate.close()
        for desk in self.desks:
            self.gate.close_way(desk.way)
            desk.reception.close()
            desk.way.end.close()
            assert desk.clients == 0
        self.loop.run_until_complete(tasks.cancel_all())
        self.loop.close()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def test_each_client_comes_to_who_has_the_fewest(house: House) -> None:
    first, second = house.desk(), house.desk()
    house.gate.start()
    house.comes(6)
    assert (first.clients, second.clients) == (3, 3)
    for desk in (first, second):
        desk.tells()
    for peer in house.peers[:4:2]:
        peer.close()
    house.turns()
    for desk in (first, second):
        desk.tells()
    house.comes(4)
    assert sorted((first.clients, second.clients)) == [4, 4]
    assert house.peers[-1].recv(100)[4] == 10


def test_the_address_is_known(house: House) -> None:
    desk = house.desk()
    house.gate.start()
    house.comes(address=1)
    (login,) = desk.shared.logins
    assert login.doorway.is_reader
    assert login.peer == "{}:{}".format(*house.peers[0].getsockname())


def test_clients_of_who_is_silent_count_until_it_is_dead(house: House) -> None:
    silent, other = house.desk(), house.desk()
    house.gate.start()
    house.comes(LIMIT)
    silent.tells()
    other.tells()
    house.gate.shut_way(silent.way)
    house.gate.shut_way(silent.way)
    house.comes()
    assert (house.gate.refused, other.clients) == (1, LIMIT // 2)
    # it answers again
    house.gate.open_way(silent.way)
    house.comes()
    assert house.gate.refused == 2
    house.gate.close_way(silent.way)
    house.comes()
    assert (house.gate.refused, other.clients) == (2, LIMIT // 2 + 1)


def test_without_a_worker_clients_wait(house: House) -> None:
    house.gate.start()
    house.comes(3)
    assert all(acceptor.is_paused for acceptor in house.gate.acceptors)
    desk = house.desk()
    house.turns()
    assert desk.clients == 3
    house.comes()
    assert desk.clients == 4


def test_a_worker_that_is_busy_takes_more_later(house: House) -> None:
    desk = house.desk()
    desk.way.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    house.gate.start()
    house.loop.remove_reader(desk.reception._end)
    house.comes(30)
    assert desk.way.is_full and desk.clients == 0
    assert all(acceptor.is_paused for acceptor in house.gate.acceptors)
    desk.reception.start()
    house.turns()
    house.turns()
    assert desk.clients == 30 and not desk.way.is_full


def test_one_that_is_full_for_a_moment_is_waited_for(house: House) -> None:
    first, second = house.desk(), house.desk()
    first.way.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    house.gate.start()
    house.loop.remove_reader(first.reception._end)
    house.comes(SLACK)
    house.comes(SLACK)
    assert first.way.is_full and all(acceptor.is_paused for acceptor in house.gate.acceptors)
    assert second.clients == first.way.clients + SLACK
    first.reception.start()
    house.turns()
    assert first.clients + second.clients == 2 * SLACK
    assert not any(acceptor.is_paused for acceptor in house.gate.acceptors)
    assert second.clients - first.clients <= SLACK


def test_one_that_stays_full_is_not_waited_for(house: House) -> None:
    first, second = house.desk(), house.desk()
    first.way.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    house.gate.start()
    house.loop.remove_reader(first.reception._end)
    house.comes(SLACK)
    house.comes(SLACK)
    house.loop.advance(BUSY)
    house.turns()
    assert second.clients == 2 * SLACK - first.way.clients
    first.reception.start()
    house.turns()


# limits.max_clients


def test_all_workers_together_have_the_limit(house: House) -> None:
    first, second = house.desk(), house.desk()
    house.gate.start()
    house.comes(LIMIT)
    house.comes(2)
    assert (first.clients, second.clients, house.gate.refused) == (LIMIT // 2, LIMIT // 2, 2)
    for peer in house.peers[LIMIT:]:
        answer = peer.recv(100)
        assert (answer[4], int.from_bytes(answer[5:7], "little"), peer.recv(1)) == (255, 1040, b"")
    assert not any(acceptor.is_paused for acceptor in house.gate.acceptors)


def test_nobody_is_refused_for_clients_who_have_left(house: House) -> None:
    first, second = house.desk(), house.desk()
    house.gate.start()
    house.comes(LIMIT)
    for peer in house.peers[:10]:
        peer.close()
    house.turns()
    # the parent has not heard of it
    assert first.way.clients + second.way.clients == LIMIT
    house.comes(11)
    assert (first.clients + second.clients, house.gate.refused) == (LIMIT, 1)


def test_for_who_comes_while_clients_are_counted_they_are_counted_again(house: House) -> None:
    desk = house.desk()
    house.gate.start()
    house.comes(LIMIT)
    house.may_count.clear()
    house.comes()
    late = socket.socket()
    house.gate.let_in(0, late)
    assert house.gate.refused == 0
    house.may_count.set()
    house.turns()
    assert (desk.clients, house.gate.refused) == (LIMIT, 2)


def test_who_waits_for_the_count_may_find_all_workers_busy(house: House) -> None:
    desk = house.desk()
    house.gate.start()
    house.comes(LIMIT)
    house.may_count.clear()
    house.comes()
    desk.way.is_full, desk.way.full_since = True, house.loop.time()
    for peer in house.peers[:5]:
        peer.close()
    house.turns()
    house.may_count.set()
    house.turns()
    assert (desk.clients, house.gate.refused) == (LIMIT - 5, 0)
    house.loop.add_writer(desk.way.end, house.gate._has_room, desk.way)
    house.turns()
    assert desk.clients == LIMIT - 4


def test_a_count_may_come_after_the_end(house: House) -> None:
    house.desk()
    house.gate.start()
    house.comes(LIMIT)
    house.may_count.clear()
    house.comes()
    house.gate.close()
    house.may_count.set()
    house.turns()
    assert house.gate.refused == 0


def test_a_worker_that_has_ended_gets_nobody(house: House) -> None:
    first, second = house.desk(), house.desk()
    first.reception.close()
    house.desks.remove(first)
    house.gate.start()
    house.comes(2)
    assert second.clients == 2
    house.gate.close_way(first.way)
    first.way.end.close()


def test_a_way_may_be_closed_while_it_is_full(house: House) -> None:
    desk = house.desk()
    house.gate.start()
    house.loop.remove_reader(desk.reception._end)
    desk.way.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    house.comes(30)
    assert desk.way.is_full
    house.gate.close_way(desk.way)
    other = house.desk()
    house.turns()
    assert other.clients > 0
    # those that were on their way are the dead worker's


def test_who_waits_is_sent_away_at_the_end(house: House) -> None:
    house.gate.start()
    house.comes()
    house.gate.close()
    assert house.peers[0].recv(1) == b""


def test_a_client_that_has_left_is_none(house: House) -> None:
    desk = house.desk()
    one, other = socket.socketpair()
    one.close()
    client = socket.socket()
    house.gate.let_in(0, client)
    house.turns()
    assert (desk.clients, desk.reception.taken) == (0, 1)
    other.close()


def test_a_client_without_a_descriptor_is_lost_and_logged(house: House) -> None:
    desk = house.desk()
    desk.way.end.send(b"\0")
    house.turns()
    assert house.log.warnings() == ["a client is lost: no file descriptor is free"]
    assert desk.reception.taken == 1


def test_the_end_of_the_parent_ends_it(house: House) -> None:
    desk = house.desk()
    house.gate.close_way(desk.way)
    desk.way.end.close()
    house.turns()
    assert not house.loop.remove_reader(desk.reception._end)
