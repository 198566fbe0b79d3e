"""The same with readers that lag, refuse writes and are lost: every command is answered, no write ends on a reader, and nothing is left behind."""

from __future__ import annotations

import pytest

from proxy.placing_rules import TO_FAIL, TO_WAIT, TO_WRITER
from tests.fakes.placing import place_among, readers_show
from tests.fakes.server import ServerEnd
from tests.fakes.wire import error, execute, prepare, query
from tests.fakes.world import World
from tests.property.test_sessions import Conversation

SEEDS = 60
STEPS = 400
HINTED = b"/* FANIN: READER */ SELECT A FROM V"
"""A view whose function writes: readers refuse it."""
COMMANDS = [
    *[query("SELECT a FROM t"), query("SELECT a FROM t"), query("START TRANSACTION READ ONLY")],
    *[query("SET TRANSACTION READ ONLY"), query(HINTED.decode()), query("SELECT FOUND_ROWS(), a FROM t")],
    *[prepare("SELECT a FROM t"), execute(1)],
]


class PlacedConversation(Conversation):
    """With two readers. A fallback that waits, or fails, or is limited."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.world.close()
        self.world = World(pool_size=self.random.randint(1, 4), readers=2, passthrough=False)
        self.world.shared.acquire_timeout = 1e9
        self.placing = place_among(
            self.world,
            fallback=self.random.choice([TO_WRITER, TO_WRITER, TO_WAIT, TO_FAIL]),
            fallback_rate=self.random.choice([0.0, 2.0, 100.0]),
            acquire_timeout=5.0,
            lifetime=self.random.choice([0.0, 5.0, 3600.0]),
        )

    def ends(self) -> list[ServerEnd]:
        servers = (self.world.server, *self.world.reader_servers)
        return [end for server in servers for end in server.open_ends]

    def collect(self) -> None:
        for end in self.ends():
            for payload in end.got():
                if payload[0] not in (0x01, 0x18, 0x19):
                    self.unanswered.append((end, payload))

    def breaks(self) -> None:
        ends = self.ends()
        if ends:
            end = self.random.choice(ends)
            self.random.choice([end.breaks, end.closes])()

    def answer(self, end: ServerEnd, payload: bytes) -> bytes:
        text = payload[1:].upper()
        is_reader = end.server is not self.world.server
        if is_reader and payload[0] != 0x16 and text.startswith((b"INSERT", HINTED)):
            return error(1290, "The MySQL server is running with the --read-only option")
        if text.startswith(b"START TRANSACTION"):
            payload = b"\x03BEGIN"
        if text.startswith(HINTED):
            payload = b"\x03SELECT A"
        return super().answer(end, payload)

    def sends(self) -> None:
        if self.random.random() < 0.5 or not self.clients:
            super().sends()
            return
        client = self.random.choice(self.clients)
        self.owed[client] += 1
        client.sends(self.random.choice(COMMANDS))

    def looks(self) -> None:
        """A look at the readers: near, far, or not to be had."""
        lag = self.random.choice([0.0, 0.0, 0.01, 0.3, 3.0, None])
        readers_show(self.world, lag, reader_2=self.random.choice([0.0, lag, None]))

    def step(self) -> None:
        if self.random.random() < 0.1:
            self.looks()
            self.counts()
        super().step()

    def passes(self) -> None:
        super().passes()
        self.looks()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_command_is_answered_wherever_it_runs(seed: int) -> None:
    conversation = PlacedConversation(seed)
    for _ in range(STEPS):
        conversation.step()
    conversation.finishes()
    assert [conversation.owed[client] for client in conversation.clients] == [0] * len(conversation.clients)
    assert conversation.placing.waiting == {}
    for endpoint in conversation.world.shared.endpoints():
        core = endpoint.core
        counts = (core.leased_count, core.waiting_count, core.resetting_count, core.opening_count)
        assert counts == (0, 0, 0, 0)
    conversation.world.close()
