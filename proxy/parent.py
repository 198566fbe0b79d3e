"""Several processes that share the work (`workers = n`): starts and replaces them, hands them clients, and says how many connections each may have. A shell.

The parent serves no client. It accepts them (`handing`), holds the slots of all bounds (`slots`), has the pages (`whole`), passes on what workers have to say to
each other (KILL of another's client, what all have to forget), and takes the signals. What a worker has to have in common with the others it hears from here: settings,
the certificate, the key for passwords. None of that is in arguments or in the environment.

A worker that dies is replaced after a pause, doubled with each that has not lived for CALM seconds; its clients are lost, and nobody else's. What it held of bounds
is free when the process has been reaped, and servers have had time to see that its connections are closed; but not the slots of those that were logged in, which may be there yet
(`orphans`). Another worker ends them: rather one that serves already than the one that takes the place, which may be long in coming. They are free when that has seen that they are gone.
One that dies before all have been ready for the first time ends the proxy: it would not be any better at the next attempt.

A worker that hangs says nothing: after SILENCE seconds it gets no more clients and is asked nothing, until it says something again; after LONGEST_SILENCE it is killed. So is one
that does not get ready within LONGEST_START.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Final

from config.settings import Settings
from proxy import logs, tls
from proxy.admin import Admin
from proxy.app import KILL_TIME, listen_addresses
from proxy.control import Channel, ChannelClosed
from proxy.counters import Counters
from proxy.endpoint_rules import EndpointRules
from proxy.handing import Gate, Way
from proxy.orphans import Known, Orphans, counts
from proxy.parting import part_of
from proxy.reasons import CloseReason
from proxy.rsa import KeyPair, self_signed_certificate
from proxy.shared import FIRST_CONNECTION_ID, ID_COUNT
from proxy.shares import SETTLES, bound_of, bounds_of
from proxy.slots import Ledger, Move, SlotsError
from proxy.special import no_answer, no_such_thread
from proxy.tasks import spawn
from proxy.version import version_line
from proxy.whole import Post, Whole
from proxy.worker import Start, as_json

PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 30.0
"""Seconds before a worker that has died is replaced: the first time, and at most."""
CALM: Final = 60.0
"""Seconds after which a worker's life counts as a success."""
SILENCE: Final = 3.0
LONGEST_SILENCE: Final = 30.0
"""Seconds for which a worker that serves may say nothing (`worker.MOST_QUIET_TICKS`): to be one of those that serve, and to live."""
LONGEST_START: Final = 60.0
"""Seconds that a process may take until it serves. Only a machine that has no time for it comes near that: it needs no server for it."""
LOOKS: Final = 0.5
"""Seconds between two looks who is silent."""
ENDING: Final = 5.0
"""Seconds that workers may take for their end besides what they are given for it."""
COUNTING: Final = 1.0
"""Seconds that workers have to say how many clients they have, before one is refused."""
IDS: Final = 1 << 20
"""Ids of clients that a worker leaves out for each one before it."""


class Parent:
    """One running proxy with several workers."""

    def __init__(self, settings: Settings, log: logs.Logger) -> None:
        self.settings: Final = settings
        self.log: Final = log
        self.count: Final = settings.worker_count
        self.posts: Final = [Post(worker) for worker in range(self.count)]
        self.ledger: Final = Ledger(self.count, partial(bound_of, settings))
        self.orphans: Final = Orphans()
        # who ends them
        self._reaper: Post | None = None
        self._bounds_of: Final = partial(bounds_of, EndpointRules(settings))
        self.stopping = asyncio.Event()
        self.signals = 0
        self.status = 0
        # all have been ready at the same time
        self._is_begun = asyncio.Event()
        # who is silent was looked for
        self._looked_at = 0.0
        self._gate: Gate | None = None
        self._page_server: Admin | None = None
        self._certificate = b""
        self._private_key = b""

    async def serve(self) -> int:
        """From start to end. Raises ListenError, TlsError or OSError when it cannot start."""
        loop = asyncio.get_running_loop()
        settings = self.settings
        if settings.client_tls.mode.value != "disabled" and settings.client_tls.certificate is None:
            self._certificate = self_signed_certificate()
        # what is wrong with certificates is said once
        tls.client_side(settings.client_tls, self._certificate)
        tls.server_side(settings.server_tls)
        self._private_key = await asyncio.to_thread(KeyPair().private_key_pem)
        gate = self._gate = Gate(loop, self.log, settings.limits.max_clients, self._recount)
        page_server: Admin | None = None
        try:
            for _, address in listen_addresses(settings):
                gate.listen(address)
            if settings.http.listen is not None:
                page_server = self._page_server = await Admin.start(settings.http.listen, Whole(self))
        except BaseException:
            gate.close()
            raise
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        keeping = [spawn(self._keep(post), name=f"worker {post.number}") for post in self.posts]
        await self._until(self._is_begun)
        if self._is_begun.is_set():
            gate.start()
            self._log_start(page_server)
        while not self.stopping.is_set():
            self._look(monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS):
                    await self.stopping.wait()
        await self._drain(gate, keeping)
        if page_server is not None:
            await page_server.stop()
        self.log.info("stopped")
        return self.status

    def _log_start(self, page_server: Admin | None) -> None:
        settings = self.settings
        self.log.info(
            "serving",
            version=version_line(),
            listen=self.addresses(),
            upstream=[f"{upstream.name} ({upstream.role.value})" for upstream in settings.upstream],
            http=[str(address) for address in page_server.addresses] if page_server is not None else "off",
            pool_size=settings.pool.size,
            mode=settings.pool.mode.value,
            workers=self.count,
        )

    def addresses(self) -> list[str]:
        """That clients come in by."""
        return [] if self._gate is None else [acceptor.name for acceptor in self._gate.acceptors]

    async def _until(self, event: asyncio.Event) -> None:
        """Wait for this, or for the end."""
        waits = [spawn(each.wait(), name="wait") for each in (event, self.stopping)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    # Workers

    async def _keep(self, post: Post) -> None:
        """Have a process there until the end."""
        loop = asyncio.get_running_loop()
        pause = PAUSE
        while not self.stopping.is_set():
            began = loop.time()
            status: int | str
            try:
                status = await self._employ(post)
            except OSError as error:
                status = str(error)
            if self.stopping.is_set():
                return
            if not self._is_begun.is_set():
                self.log.error("a worker could not start", worker=post.number, status=status)
                self.status = 1
                self.stopping.set()
                return
            pause = PAUSE if loop.time() - began > CALM else pause
            self.log.error(
                "a worker has died, and is replaced", worker=post.number, status=status, pause=pause
            )
            await asyncio.sleep(SETTLES)
            self._left(post)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.stopping.wait()
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _employ(self, post: Post) -> int:
        """One process, from start to end: its exit status."""
        control, its_control = socket.socketpair()
        clients, its_clients = socket.socketpair()
        clients.setblocking(False)
        channel = Channel(control, partial(self._heard, post), partial(self._asked, post))
        hearing: asyncio.Task[None] | None = None
        try:
            ends = (its_control.fileno(), its_clients.fileno())
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "proxy.working", *map(str, ends)),
                pass_fds=ends,
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment(),
            )
            its_control.close()
            its_clients.close()
            await channel.open()
            channel.begin(self._start(post).as_json())
            post.employ(process, channel, Way(post.worker, clients))
            hearing = spawn(channel.run(), name=f"hear worker {post.number}")
            hearing.add_done_callback(lambda task: self._lost(post, process))
            starting = asyncio.get_running_loop().call_later(LONGEST_START, self._judge_start, post, process)
            status = await process.wait()
            starting.cancel()
            # what it has told last is on its way yet
            await asyncio.wait([hearing])
            return status
        finally:
            assert self._gate is not None
            if post.way is not None:
                self._gate.close_way(post.way)
            post.dismiss()
            if hearing is not None:
                hearing.cancel()
            for end in (its_control, its_clients, clients):
                end.close()

    def _left(self, post: Post) -> None:
        """It has died, and all that it has told is known."""
        connections = post.known.connections.values()
        self._carry_out(self.ledger.left(post.worker, counts(connections, self._bounds_of)))
        self.orphans.left(post.worker, post.known)
        post.known = Known()
        self._have_reaped()

    def _have_reaped(self) -> None:
        """Somebody ends what is left of the dead."""
        if self._reaper is None or not self._reaper.is_serving:
            self._reaper = next((post for post in self.posts if post.is_serving), None)
        if self._reaper is not None and self.orphans:
            self._reaper.tell("orphans", self.orphans.as_json())

    def _reaped(self, keys: Iterable[Sequence[Any]]) -> None:
        """They are gone."""
        if self.orphans.ended(keys):
            remaining = counts(self.orphans.connections(), self._bounds_of)
            self._carry_out(self.ledger.remain(remaining))
            if not self.orphans:
                self.log.info("nothing is left of dead workers at servers")

    def _lost(self, post: Post, process: asyncio.subprocess.Process) -> None:
        """The channel has ended: so does the process, of itself or not."""
        loop = asyncio.get_running_loop()
        if post.way is not None and post.process is process and self._gate is not None:
            self._gate.shut_way(post.way)
            grace = self.settings.drain_timeout if self.stopping.is_set() else 0.0
            loop.call_later(grace + ENDING, _kill, process)

    def _start(self, post: Post) -> Start:
        stride = ID_COUNT // self.count
        return Start(
            settings=part_of(self.settings, post.worker, self.count),
            worker=post.worker,
            workers=self.count,
            names=self.addresses(),
            shares=self.ledger.joined(post.worker),
            first_id=post.employed * IDS % stride,
            private_key=self._private_key,
            certificate=self._certificate,
        )

    def _look(self, now: float) -> None:
        """See who is silent. Where this process itself was stopped nobody was to be heard."""
        was_stopped = now - self._looked_at > SILENCE / 2
        self._looked_at = now
        for post in self.posts:
            if was_stopped or not post.is_ready:
                post.heard_at = now
            self._judge(post, now - post.heard_at)

    def _judge(self, post: Post, silence: float) -> None:
        assert self._gate is not None
        is_silent = silence > SILENCE
        if post.way is not None and is_silent != post.is_silent:
            post.is_silent = is_silent
            if is_silent:
                self.log.warning("a worker does not answer, and gets no more clients", worker=post.number)
                self._gate.shut_way(post.way)
                self._have_reaped()
            else:
                self.log.info("a worker answers again", worker=post.number)
                self._gate.open_way(post.way)
        if silence > LONGEST_SILENCE and post.process is not None:
            self.log.error("a worker hangs, and is killed", worker=post.number, seconds=round(silence))
            _kill(post.process)

    def _judge_start(self, post: Post, process: asyncio.subprocess.Process) -> None:
        """It has had all the time for its start."""
        if post.process is process and not post.is_ready:
            self.log.error("a worker does not get ready, and is killed", worker=post.number)
            _kill(process)

    # What workers say

    def _heard(self, post: Post, kind: str, value: Any) -> None:
        post.heard_at = monotonic()
        try:
            if kind == "ready":
                self._ready(post, value["fanin_id"])
            elif kind == "clients":
                _note_clients(post, value)
            elif kind == "load":
                _note_clients(post, value)
                self._carry_out(self.ledger.told(post.worker, value["demands"]))
            elif kind == "gave":
                self._carry_out(self.ledger.gave(post.worker, value))
            elif kind == "credential":
                post.known.may_log_in(*value)
            elif kind == "opened":
                # where it has an id that was an orphan's that is not there any more
                self._reaped([post.known.opened(value).key])
            elif kind == "closed":
                post.known.closed(value)
            elif kind == "reaped":
                self._reaped(value)
            elif kind == "news":
                for other in self.posts:
                    if other is not post:
                        other.tell("news", value)
        except SlotsError as error:
            # it could have more connections than it may
            self.log.error("a worker is ended", worker=post.number, reason=str(error))
            if post.process is not None:
                _kill(post.process)

    def _ready(self, post: Post, fanin_id: str) -> None:
        assert post.way is not None and self._gate is not None
        post.is_ready = True
        self.log.info("worker is ready", worker=post.number, pid=post.pid, fanin_id=fanin_id)
        self._gate.open_way(post.way)
        self._have_reaped()
        if all(each.is_ready for each in self.posts):
            self._is_begun.set()

    async def _asked(self, post: Post, kind: str, value: Any) -> object:
        """KILL of a client of another worker's, or whether the others have heard what it has told."""
        if kind == "heard":
            # one that is not ready hears before it has clients
            others = [other for other in self.posts if other is not post and other.is_ready]
            await asyncio.gather(*[other.ask("heard") for other in others], return_exceptions=True)
            return None
        assert kind == "kill"
        other = self.posts[(value["id"] - FIRST_CONNECTION_ID) % self.count]
        try:
            return await other.ask("kill", value, self.settings.pool.connect_timeout)
        except ChannelClosed:
            return as_json(no_such_thread(value["id"]))
        except TimeoutError:
            return as_json(no_answer(value["id"]))

    async def _recount(self) -> None:
        """Have the workers say how many clients they have now."""
        ready = [post for post in self.posts if post.is_ready]
        with suppress(TimeoutError):
            async with asyncio.timeout(COUNTING):
                await asyncio.gather(*[post.ask("count") for post in ready], return_exceptions=True)

    def count_refused(self, counters: Counters) -> None:
        """Add the clients that no worker has seen."""
        if self._gate is not None and self._gate.refused:
            counters.frontends_refused += self._gate.refused
            reason, closes = CloseReason.TOO_MANY_CLIENTS.value, counters.frontend_closes
            closes[reason] = closes.get(reason, 0) + self._gate.refused

    def _carry_out(self, moves: list[tuple[str, Move]]) -> None:
        for name, move in moves:
            self.posts[move.worker].tell("moves", {name: move.count})

    # End

    def _signalled(self) -> None:
        self.signals += 1
        self.stopping.set()
        if self.signals > 1:
            self.log.warning("second signal: ending at once")
            for post in self.posts:
                if post.process is not None:
                    _kill(post.process)
            if self._gate is not None:
                self._gate.close()
            if self._page_server is not None:
                self._page_server.remove_socket()
            os._exit(1)

    async def _drain(self, gate: Gate, keeping: list[asyncio.Task[None]]) -> None:
        gate.close()
        self.log.info("draining", clients=sum(post.clients for post in self.posts))
        for post in self.posts:
            post.tell("drain")
        await asyncio.wait(keeping, timeout=self.settings.drain_timeout + KILL_TIME + ENDING)
        for post in self.posts:
            if post.process is not None:
                self.log.error("a worker does not end, and is killed", worker=post.number)
                _kill(post.process)
        await asyncio.wait(keeping)


def _note_clients(post: Post, value: Mapping[str, Any]) -> None:
    assert post.way is not None
    post.way.open, post.way.taken = value["clients"], value["taken"]


def _environment() -> Mapping[str, str]:
    """A worker imports what this process has imported, from wherever it is started."""
    here = str(Path(__file__).parent.parent)
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
