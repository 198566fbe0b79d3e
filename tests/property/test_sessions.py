"""Sessions, pools and servers in any order of events: every command of a client that stays is answered, and nothing is left behind."""

from __future__ import annotations

import random

import pytest

from protocol.packets import Column, text_resultset
from proxy.states import STATE_NAMES
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import (
    AUTOCOMMIT,
    IN_TRANS,
    PING,
    RESET,
    close_statement,
    error,
    execute,
    init_db,
    ok,
    packets,
    prepare,
    prepared,
    query,
)
from tests.fakes.world import World

SEEDS = 60
STEPS = 400
LIVING = 6


class Conversation:
    """A world in which somebody does something at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(pool_size=self.random.randint(1, 4), passthrough=False)
        self.world.shared.acquire_timeout = 1e9
        self.clients: list[FakeClient] = []
        # commands sent and not answered
        self.owed: dict[FakeClient, int] = {}
        # what the servers have not answered yet
        self.unanswered: list[tuple[ServerEnd, bytes]] = []
        self.in_transaction: set[ServerEnd] = set()
        self.statements: dict[ServerEnd, int] = {}

    # Servers

    def collect(self) -> None:
        for end in self.world.server.open_ends:
            for payload in end.got():
                if payload[0] not in (0x01, 0x18, 0x19):
                    self.unanswered.append((end, payload))

    def answers(self) -> None:
        self.collect()
        self.unanswered = [each for each in self.unanswered if not each[0].is_closed]
        if self.unanswered:
            end, payload = self.unanswered.pop(self.random.randrange(len(self.unanswered)))
            end.answers(self.answer(end, payload))

    def answer(self, end: ServerEnd, payload: bytes) -> bytes:
        command, text = payload[0], payload[1:].upper()
        if command == 0x1F or text.startswith((b"COMMIT", b"ROLLBACK")):
            self.in_transaction.discard(end)
        elif text.startswith(b"BEGIN"):
            self.in_transaction.add(end)
        status = IN_TRANS if end in self.in_transaction else AUTOCOMMIT
        if text.startswith(b"SELECT"):
            items = text.removeprefix(b"SELECT ").split(b", ")
            if command == 0x16:
                self.statements[end] = self.statements.get(end, 0) + 1
                return prepared(self.statements[end])
            return text_resultset(
                [Column(b"x")] * len(items), [[b"1"] * len(items)], status=status, deprecate_eof=True
            )
        if text.startswith(b"SELEKT") or (command == 0x03 and self.random.random() < 0.05):
            return error(1064)
        return ok(status, insert_id=7 if text.startswith(b"INSERT") else 0)

    def breaks(self) -> None:
        ends = self.world.server.open_ends
        if ends:
            self.random.choice([self.random.choice(ends).breaks, self.random.choice(ends).closes])()

    # Clients

    def sends(self) -> None:
        while len(self.clients) < LIVING:
            self.clients.append(self.world.client(schema=self.random.choice([None, b"shop", b"test"])))
            self.owed[self.clients[-1]] = 0
        client = self.random.choice(self.clients)
        other = self.random.choice(self.clients)
        command = self.random.choice(
            [
                *[query("SELECT 1"), query("INSERT INTO t VALUES (1)"), query("SELEKT"), PING] * 2,
                *[query("BEGIN"), query("COMMIT"), query("SELECT LAST_INSERT_ID()")] * 2,
                init_db("shop"),
                init_db("test"),
                prepare("SELECT 2"),
                execute(1),
                close_statement(1),
                RESET,
                query(f"KILL QUERY {other.connection_id}"),
            ]
        )
        count = self.random.randint(1, 3)
        if command[4] != 0x19:
            self.owed[client] += count
        wire = command * count
        cut = self.random.randrange(len(wire))
        client.sends(wire[:cut])
        client.sends(wire[cut:])

    def leaves(self) -> None:
        if self.clients:
            client = self.clients.pop(self.random.randrange(len(self.clients)))
            self.random.choice([client.leaves, client.breaks])()

    def counts(self) -> None:
        """Take what clients got off what they are owed: an answer begins with sequence id 1."""
        for client in self.clients:
            self.owed[client] -= sum(number == 1 for number, _ in packets(client.got()))
        self.clients = [client for client in self.clients if not client.is_closed]

    def kills(self) -> None:
        if len(self.clients) > 1:
            one, other = self.random.sample(self.clients, 2)
            self.owed[one] += 1
            one.sends(query(f"KILL {other.connection_id}"))

    def step(self) -> None:
        (action,) = self.random.choices(
            [self.sends, self.answers, self.leaves, self.breaks, self.kills, self.passes],
            [30, 60, 2, 2, 1, 2],
        )
        action()
        self.counts()

    def passes(self) -> None:
        self.world.tick(self.random.random())

    def finishes(self) -> None:
        """Answer everything, and let everybody give back what is held, until nothing is under way any more."""
        for _ in range(1000):
            self.answers()
            self.world.tick(0.05)
            self.counts()
            self.collect()
            if self.unanswered:
                continue
            if all(self.state(client) == "ready" for client in self.clients):
                return
            for client in self.clients:
                if self.state(client) == "holding":
                    self.owed[client] += 1
                    client.sends(RESET)
        raise AssertionError([(self.owed[client], self.state(client)) for client in self.clients])

    def state(self, client: FakeClient) -> str:
        return STATE_NAMES[self.world.frontend(client).state]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_command_is_answered_and_nothing_is_left(seed: int) -> None:
    conversation = Conversation(seed)
    for _ in range(STEPS):
        conversation.step()
    conversation.finishes()
    assert [conversation.owed[client] for client in conversation.clients] == [0] * len(conversation.clients)
    core = conversation.world.writer.core
    assert (core.leased_count, core.waiting_count, core.resetting_count, core.opening_count) == (0, 0, 0, 0)
    conversation.world.close()
