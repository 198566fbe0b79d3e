"""One of several processes that share the work of a proxy (`workers = n`): `python -m proxy.working`, started by `parent` and by nobody else.

It is the proxy as it is with one process, but for what all have in common: clients come from the parent (`handing`), how many connections there may be is the parent's
to say (`shares`), and so is when to end; the pages are the parent's, and made of what this tells. It ignores the signals that end a proxy, because whoever
sends them to one sends them to all: the parent passes them on. When the parent has ended it drains at once.

The parent says first what kind of worker it shall be (`Start`), in one frame; this tells that it is `ready`, and then:

    told by the parent      moves {bound: count}, news flags, orphans (`Orphans.as_json`: they are to be ended), drain
    asked by the parent     snapshot, fleet, record, kill, heard (all that was told), count (the answer is told as clients)
    told to the parent      load {clients, taken, demands}, clients {clients, taken}, gave {bound: count}, news flags,
                            credential [user, `told_of`], opened `Connection`, closed and reaped (connections of the dead) [`Key`]
    asked of the parent     kill, heard (by all others)
"""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from config.sections import Upstream
from config.settings import Settings
from proxy import logs, tls
from proxy.admin import Admin
from proxy.app import Process, doorway_of, listen_addresses, raise_descriptor_limit
from proxy.attributes import FANIN_ID
from proxy.control import Channel, ChannelClosed, read_frame
from proxy.credentials import Credential
from proxy.endpoint import Endpoint
from proxy.handing import Reception
from proxy.listeners import Entrance
from proxy.merging import counts
from proxy.orphans import credential_of, told_of
from proxy.reaping import Reaper
from proxy.recorder import RecordingError, record_parts
from proxy.registering import Register
from proxy.replies import Failure
from proxy.rsa import KeyPair
from proxy.shared import Shared
from proxy.shares import Shares
from proxy.snapshot import Snapshot
from proxy.special import heard, kill_for_colleague, no_such_thread
from proxy.tasks import spawn

MOST_QUIET_TICKS: Final = 5
"""So often, in ticks, the parent hears of a worker's load in any case (`parent.SILENCE`)."""


@dataclass(frozen=True, slots=True)
class Start:
    """What kind of worker a process shall be. Travels over the channel only: it has secrets."""

    settings: Settings  # its part of them (`parting`)
    worker: int  # from 0
    workers: int
    names: list[str]  # of the addresses that clients come in by
    shares: dict[str, int]  # as `slots.Ledger.joined`
    first_id: int  # of its clients' ids, those of processes before it are not used again soon
    private_key: bytes  # for passwords, PEM
    certificate: bytes  # with its key, PEM; shown to clients where none is configured

    def as_json(self) -> object:
        """For a frame."""
        return base64.b64encode(pickle.dumps(self)).decode()


def start_of(frame: str) -> Start:
    """What `as_json` has made; nobody but the parent can have written it."""
    start = pickle.loads(base64.b64decode(frame))
    assert isinstance(start, Start)
    return start


class Worker(Process):
    """One running worker."""

    def __init__(
        self, start: Start, control: socket.socket, clients: socket.socket, log: logs.Logger
    ) -> None:
        super().__init__(start.settings, log)
        self._start: Final = start
        self._clients: Final = clients
        self._channel: Final = Channel(control, self._heard, self._answer)
        self._register: Final = Register(self._channel.tell)
        self._shares: Shares | None = None
        self._reaper: Reaper | None = None
        self._reception: Reception | None = None
        self._snapshot: Snapshot | None = None
        self._load: tuple[int, int] = (-1, -1)
        self._quiet_ticks = 0

    # What is different from a process that works alone

    def _make_shared(self, loop: asyncio.AbstractEventLoop) -> Shared:
        start = self._start
        shared = super()._make_shared(loop)
        shared.key_pair = KeyPair(start.private_key)
        shared.workers, shared.worker = start.workers, start.worker
        shared.next_id = start.first_id
        shared.colleagues = OtherWorkers(self._channel)
        self._shares = Shares(shared, self.settings, start.shares, self._channel.tell)
        self._reaper = Reaper(shared, self.log, self._channel.tell)
        return shared

    def _make_endpoint(self, upstream: Upstream) -> Endpoint:
        endpoint = super()._make_endpoint(upstream)
        assert self._shares is not None
        self._shares.adopt(endpoint)
        endpoint.register = self._register
        return endpoint

    def _listen(self, shared: Shared) -> None:
        start, settings = self._start, self.settings
        context: ssl.SSLContext | None = tls.client_side(settings.client_tls, start.certificate)
        entrances: list[Entrance] = []
        for (is_reader, address), name in zip(listen_addresses(settings), start.names, strict=True):
            entrances.append(Entrance(shared, name, doorway_of(settings, is_reader, address, context)))
        self.listeners += entrances
        self._reception = Reception(shared.loop, shared.log, self._clients, entrances)

    def _hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Those that end a proxy come to the parent, too."""

    async def _serve_pages(self, shared: Shared) -> Admin | None:
        self._snapshot = Snapshot(shared, self.listeners)
        await self._channel.open()
        return None

    def _log_start(self, page_server: Admin | None) -> None:
        assert self._reception is not None and self.shared is not None
        self._reception.start()
        spawn(self._hear(), name="parent")
        self._channel.tell("ready", {"fanin_id": self.shared.announced[FANIN_ID]})

    async def _hear(self) -> None:
        await self._channel.run()
        if not self.stopping.is_set():
            self.log.warning("the parent process has ended")
        self.stopping.set()

    def _tick(self) -> None:
        super()._tick()
        assert self._shares is not None and self._reception is not None
        self._register.look()
        demands = self._shares.demands()
        load = (self.counters.frontends_open, self._reception.taken)
        self._quiet_ticks += 1
        # who says nothing is taken for one that hangs
        if demands or load != self._load or self._quiet_ticks >= MOST_QUIET_TICKS:
            self._load, self._quiet_ticks = load, 0
            self._channel.tell("load", {**self._client_counts(), "demands": demands})

    def _client_counts(self) -> dict[str, int]:
        assert self._reception is not None
        return {"clients": self.counters.frontends_open, "taken": self._reception.taken}

    async def _drain(self, shared: Shared) -> None:
        assert self._reception is not None
        self._reception.close()
        assert self._reaper is not None
        await self._reaper.stop()
        await super()._drain(shared)

    # What the parent says

    def _heard(self, kind: str, value: Any) -> None:
        shared, shares, reaper = self.shared, self._shares, self._reaper
        assert shared is not None and shares is not None and reaper is not None
        if kind == "moves":
            shares.moved(value)
        elif kind == "news":
            heard(shared, value)
        elif kind == "orphans" and not self.stopping.is_set():
            reaper.take(value)
        elif kind == "drain":
            self.stopping.set()

    async def _answer(self, kind: str, value: Any) -> object:
        shared, snapshot = self.shared, self._snapshot
        assert shared is not None and snapshot is not None
        if kind == "snapshot":
            return snapshot_of(snapshot)
        if kind == "fleet":
            return await snapshot.fleet()
        if kind == "count":
            self._channel.tell("clients", self._client_counts())
            return None
        if kind == "heard":
            # messages come in order: so is all that was told before
            return None
        if kind == "record":
            try:
                return await record_parts(shared, value["seconds"], value["sample"])
            except RecordingError as error:
                return {"error": str(error)}
        assert kind == "kill"
        credential = credential_of(value["credential"])
        return as_json(await kill_for_colleague(shared, value["id"], credential, value["is_query"]))


class OtherWorkers:
    """The way to them: over the parent."""

    def __init__(self, channel: Channel) -> None:
        self._channel: Final = channel

    async def kill(self, connection_id: int, credential: Credential, is_query: bool) -> Failure | None:
        """As `Colleagues.kill`."""
        question = {"id": connection_id, "credential": told_of(credential), "is_query": is_query}
        try:
            return failure_of(await self._channel.ask("kill", question))
        except ChannelClosed:
            return no_such_thread(connection_id)

    def tell(self, news: int) -> None:
        """As `Colleagues.tell`."""
        self._channel.tell("news", news)

    async def heard(self) -> None:
        """As `Colleagues.heard`."""
        with suppress(ChannelClosed):
            await self._channel.ask("heard")


def as_json(failure: Failure | None) -> list[object] | None:
    """For a frame."""
    return None if failure is None else [failure.code, failure.message, failure.sqlstate]


def failure_of(found: Sequence[Any] | None) -> Failure | None:
    """What `as_json` has made."""
    return None if found is None else Failure(*found)


def snapshot_of(snapshot: Snapshot) -> dict[str, object]:
    """All that the pages of the whole are made of (`merging`)."""
    return {
        "counters": counts(snapshot.counters),
        "endpoints": list(snapshot.endpoint_snapshots()),
        "pinned": snapshot.pinned_sessions(),
        "pinned_seconds": snapshot.pinned_seconds(),
        "topology": snapshot.topology(),
        "routes": snapshot.routes(),
        "pins": snapshot.pin_report(),
        "obstacles": list(snapshot.obstacles()),
        "state": snapshot.state(),
    }


def main(control: int, clients: int) -> int:
    """Be a worker: descriptors of the ends of its channel, and of what clients come over. The exit status."""
    for descriptor in (control, clients):
        os.set_inheritable(descriptor, False)
    end = socket.socket(fileno=control)
    try:
        start = start_of(read_frame(end))
    except ChannelClosed:
        return 1
    settings = start.settings
    log = settings.log
    logs.configure(log.level, log.format, queries=log.queries, worker=start.worker + 1)
    raise_descriptor_limit()
    worker = Worker(start, end, socket.socket(fileno=clients), logs.get_logger("app"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(worker.serve())
