"""Applications without a proxy: every client has a connection of its own, and replaces it when it is old (SQLAlchemy's `pool_recycle`)."""

from __future__ import annotations

from typing import Final

from bench.fleet.model import RETRY, Sidecar, SimClient, Simulation, connect_time

RECYCLE: Final = 120.0
"""Seconds, as Minted had it."""


class Direct(Sidecar):
    """One application server. Its clients get errors when the server refuses them: nothing waits for them."""

    def __init__(self, simulation: Simulation, clients: int, size: int) -> None:
        super().__init__(simulation, clients, size)
        # when each connection was opened, by its client
        self._opened_at: dict[SimClient, float] = {}
        # who had a connection before; who connects, and is served, since the last crash
        self._known: set[SimClient] = set()
        self._connecting: set[SimClient] = set()
        self._serving: set[SimClient] = set()

    @property
    def waiting(self) -> int:
        """Clients that connect."""
        return len(self._connecting)

    @property
    def leased_seconds(self) -> float:
        return self._leased + len(self._serving) * self.events.now

    def stop(self) -> None:
        self._leased += len(self._serving) * self.events.now
        self.server.pooled -= len(self._opened_at)
        self._serving.clear()
        self._opened_at.clear()
        super().stop()

    def ask(self, client: SimClient) -> None:
        now = self.events.now
        if not self.is_up:
            self.tally.errors += 1
            self.events.after(RETRY, self.ask, client)
            return
        client.asked_at = now
        opened_at = self._opened_at.get(client)
        if opened_at is not None and now - opened_at < RECYCLE:
            self._begin(client)
            return
        if opened_at is not None:
            del self._opened_at[client]
            self.server.pooled -= 1
        self._connect(client)

    def _connect(self, client: SimClient) -> None:
        self._connecting.add(client)
        if self.server.accepts():
            # as if the first ones had been there for some time
            age = 0.0 if client in self._known else RECYCLE * self.events.random.random()
            self._known.add(client)
            self._opened_at[client] = self.events.now - age
        self.events.after(connect_time(self.events, self.server), self._connected, client)

    def _connected(self, client: SimClient) -> None:
        self._connecting.discard(client)
        if client in self._opened_at:
            self._begin(client)
        else:
            # refused, or the application has crashed meanwhile
            self._failed(client)

    def _begin(self, client: SimClient) -> None:
        now = self.events.now
        self.tally.record(now - client.asked_at)
        self._serving.add(client)
        self._leased -= now
        self.events.after(self.load.service_time(self.events) * self.server.slowness, self._ended, client)

    def _ended(self, client: SimClient) -> None:
        if client in self._serving:
            self._serving.discard(client)
            self._leased += self.events.now
            self.thinking.add(client)
        else:
            self._failed(client)
