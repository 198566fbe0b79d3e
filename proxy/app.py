"""The process: puts the parts together, runs them, and ends them in order.

`run(settings)` is what `fanin serve` does. SIGTERM or SIGINT drains: listeners close, idle clients are closed, transactions may
finish until `drain_timeout`; a second signal ends at once.
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import uvloop

from config.sections import PoolMode, Priority, Upstream, User
from config.settings import Settings
from config.values import Address
from protocol.auth import Verifier
from protocol.errors import ProtocolError
from protocol.framing import PacketReader
from protocol.handshake import HandshakeV10
from protocol.packets import parse_err
from proxy import idle_transactions, idling, logs, tls
from proxy.admin import Admin
from proxy.attributes import attributes, encoded
from proxy.budgets import Budgets
from proxy.classify import StatementCache
from proxy.cluster import Cluster
from proxy.connector import Facts, Target
from proxy.counters import Counters
from proxy.credentials import Credential, Credentials
from proxy.endpoint import Endpoint
from proxy.endpoint_rules import EndpointRules
from proxy.listeners import Entrance, Listener, ListenError
from proxy.login import Doorway
from proxy.looking import place_of
from proxy.placing import Placing
from proxy.placing_rules import placing_rules
from proxy.readers import SESSION
from proxy.reasons import CloseReason
from proxy.shared import SESSION_POOLING, STATEMENT_POOLING, TRANSACTION_POOLING, Shared
from proxy.snapshot import Snapshot
from proxy.states import READY
from proxy.tasks import spawn
from proxy.version import fanin_version, version_line

TICK: Final = 0.1
"""Seconds between two looks at deadlines; timeouts are exact to this."""
PROBE_BASE: Final = 0.1
PROBE_LIMIT: Final = 1.0
"""Seconds between attempts to read a server's greeting at the start: doubled up to the limit."""
KILL_TIME: Final = 1.0
"""Seconds that the last KILLs may take after `drain_timeout`."""
LEAVING: Final = "draining"
GREETING_LIMIT: Final = 65536
RESERVED_DESCRIPTORS: Final = 64
OWN_CONNECTIONS: Final = 2
"""To each server besides its pool: one that looks at it, and one for KILL."""
POOL_MODES: Final = {
    PoolMode.SESSION: SESSION_POOLING,
    PoolMode.TRANSACTION: TRANSACTION_POOLING,
    PoolMode.STATEMENT: STATEMENT_POOLING,
}


def run(settings: Settings) -> int:
    """Serve until a signal; the exit status. Raises nothing that a user could have caused: those end in a message and 1."""
    log = logs.get_logger("app")
    raise_descriptor_limit()
    if settings.worker_count > 1:
        # here and not above: a process that works alone has no use for it
        from proxy.parent import Parent

        serving = Parent(settings, log).serve()
    else:
        serving = Process(settings, log).serve()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serving)
    except (ListenError, tls.TlsError) as error:
        print(f"fanin: {error}", file=sys.stderr)
        return 1


class Process:
    """One running proxy."""

    def __init__(self, settings: Settings, log: logs.Logger) -> None:
        self.settings = settings
        self.log = log
        self.counters = Counters()
        self.facts = Facts()
        self.listeners: list[Listener | Entrance] = []
        self.stopping = asyncio.Event()
        self.signals = 0
        self.shared: Shared | None = None
        self._server_tls: ssl.SSLContext | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._page_server: Admin | None = None

    async def serve(self) -> int:
        """From start to end. Raises ListenError, TlsError or OSError when it cannot start."""
        loop = asyncio.get_running_loop()
        shared = self.shared = self._make_shared(loop)
        await asyncio.to_thread(shared.key_pair.public_key_pem)
        self._server_tls = tls.server_side(self.settings.server_tls)
        self._make_endpoints(shared)
        try:
            self._listen(shared)
            page_server = self._page_server = await self._serve_pages(shared)
        except BaseException:
            for listener in self.listeners:
                listener.close()
            raise
        self._hear_signals(loop)
        for endpoint in shared.endpoints():
            spawn(self._learn_greeting(endpoint), name=f"greeting of {endpoint.name}")
        looking = None if shared.cluster is None else spawn(shared.cluster.run(), name="cluster")
        self._tick()
        for listener in self.listeners:
            listener.start()
        self._log_start(page_server)
        await self.stopping.wait()
        await self._drain(shared)
        if shared.budgets is not None:
            await shared.budgets.stop()
        if looking is not None and shared.cluster is not None:
            looking.cancel()
            await shared.cluster.stop()
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        if page_server is not None:
            await page_server.stop()
        self.log.info("stopped")
        return 0

    # Start

    def _make_shared(self, loop: asyncio.AbstractEventLoop) -> Shared:
        settings = self.settings
        return Shared(
            loop=loop,
            counters=self.counters,
            credentials=Credentials(_credentials(settings), settings.passthrough),
            facts=self.facts,
            statements=StatementCache(settings.limits.statement_cache),
            pool_mode=POOL_MODES[settings.pool.mode],
            max_packet=settings.limits.max_allowed_packet,
            max_clients=self._client_limit(len(settings.upstream)),
            login_timeout=settings.limits.login_timeout,
            max_login_delay=settings.limits.max_login_delay,
            acquire_timeout=settings.pool.acquire_timeout,
            batch_users=batch_users(settings),
            max_captured=settings.pool.max_captured,
            announced=self._announced(),
            log=logs.get_logger("clients"),
        )

    def _announced(self) -> dict[str, str]:
        """Connect attributes."""
        application = self.settings.application or socket.gethostname()
        return attributes(secrets.token_hex(8), fanin_version(), application, os.getpid())

    def _client_limit(self, servers: int) -> int:
        """`limits.max_clients`, or fewer where the file descriptors do not suffice for so many and the pools of so many servers."""
        settings = self.settings
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        room = descriptors - RESERVED_DESCRIPTORS - servers * (settings.pool.size + OWN_CONNECTIONS)
        if room < settings.limits.max_clients:
            self.log.warning(
                "max_clients is lowered to what the file descriptors allow",
                max_clients=settings.limits.max_clients,
                lowered_to=max(room, 1),
                descriptors=descriptors,
            )
        return max(1, min(settings.limits.max_clients, room))

    def _make_endpoints(self, shared: Shared) -> None:
        shared.surveys_definitions = True
        if self.settings.budget.enabled:
            shared.budgets = Budgets(self.settings, shared)
        for upstream in self.settings.upstream:
            endpoint = self._make_endpoint(upstream)
            (shared.readers if upstream.role.value == "reader" else shared.writers).append(endpoint)
        if not self.settings.is_static:
            cluster = shared.cluster = Cluster(self.settings, shared, self._start_endpoint)
            placing = cluster.placing = shared.placing = Placing(cluster.table, placing_rules(self.settings))
            placing.endpoints = cluster.endpoints
            self.facts.is_watched = True
            self.facts.tracks_gtids = cluster.table.consistency == SESSION
            placing.hurry = cluster.hurry
            placing.ask = cluster.ask

    def _make_endpoint(self, upstream: Upstream) -> Endpoint:
        settings, shared = self.settings, self.shared
        assert shared is not None
        target = Target(
            name=upstream.name,
            host=upstream.host or "localhost",
            port=upstream.port,
            socket=upstream.socket,
            tls_mode=tls.demand_on_servers(settings.server_tls) if upstream.socket is None else "disabled",
            tls_context=self._server_tls,
            connect_timeout=settings.pool.connect_timeout,
        )
        endpoint = Endpoint(
            target,
            upstream.role.value,
            EndpointRules(settings),
            self.facts,
            shared.credentials,
            self.counters,
            encoded(shared.announced),
            shared.facts_known,
            shared.loop,
        )
        endpoint.log = logs.get_logger("endpoints")
        if shared.budgets is not None:
            shared.budgets.adopt(endpoint, place_of(upstream))
        return endpoint

    def _start_endpoint(self, upstream: Upstream) -> Endpoint:
        """One that was not configured."""
        endpoint = self._make_endpoint(upstream)
        assert self.shared is not None
        self.shared.max_clients = self._client_limit(len(self.shared.endpoints()) + 1)
        spawn(self._learn_greeting(endpoint), name=f"greeting of {endpoint.name}")
        return endpoint

    def _listen(self, shared: Shared) -> None:
        settings = self.settings
        context = tls.client_side(settings.client_tls)
        for is_reader, address in listen_addresses(settings):
            doorway = doorway_of(settings, is_reader, address, context)
            self.listeners.append(Listener(shared, address, doorway))

    def _hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    async def _serve_pages(self, shared: Shared) -> Admin | None:
        listen = self.settings.http.listen
        return None if listen is None else await Admin.start(listen, Snapshot(shared, self.listeners))

    def _log_start(self, page_server: Admin | None) -> None:
        settings = self.settings
        self.log.info(
            "serving",
            version=version_line(),
            listen=[listener.name for listener in self.listeners],
            upstream=[f"{upstream.name} ({upstream.role.value})" for upstream in settings.upstream],
            http=[str(address) for address in page_server.addresses] if page_server is not None else "off",
            pool_size=settings.pool.size,
            mode=settings.pool.mode.value,
        )
        if settings.pool.paranoid:
            self.log.warning(
                "pool.paranoid is on, for debugging: every command pays for capturing and restoring"
            )

    async def _learn_greeting(self, endpoint: Endpoint) -> None:
        """Read the server's greeting, so that clients can be greeted as it would, and again whenever it does not answer: who sends clients
        elsewhere because of /readyz must hear when it is back, although no client asks for it."""
        delay = PROBE_BASE
        while not self.stopping.is_set() and endpoint.core.state != LEAVING:
            if not endpoint.is_answering:
                failure = await read_greeting(endpoint.target, self.facts)
                if failure is None:
                    assert self.shared is not None
                    endpoint.is_answering = True
                    endpoint.last_failure = ""
                    self.shared.facts_known.set()
                elif endpoint.last_failure != failure:
                    self.log.warning("server does not answer", endpoint=endpoint.name, reason=failure)
                    endpoint.last_failure = failure
            await asyncio.sleep(delay)
            delay = min(PROBE_LIMIT, delay * 2)

    # While it runs

    def _tick(self) -> None:
        shared = self.shared
        assert shared is not None
        # first, because without it no deadline would come any more, whatever fails below
        self._tick_timer = shared.loop.call_later(TICK, self._tick)
        now = shared.now = shared.loop.time()
        minute = int(time.time() // 60)
        for endpoint in shared.endpoints():
            endpoint.minute = minute
            endpoint.tick()
        if shared.budgets is not None:
            shared.budgets.tick()
        idling.look(shared, now)
        shared.clients_lingering.look(now)
        shared.logins_lingering.look(now)
        limit = self.settings.pool.idle_transaction_timeout
        if limit:
            idle_transactions.end_all(shared, limit, now)
        while shared.logins:
            login = next(iter(shared.logins))
            if login.deadline > now:
                break
            login.expire()

    def _signalled(self) -> None:
        self.signals += 1
        self.stopping.set()
        if self.signals > 1:
            self.log.warning("second signal: ending at once")
            for listener in self.listeners:
                listener.close()
            if self._page_server is not None:
                self._page_server.remove_socket()
            os._exit(1)

    # End

    async def _drain(self, shared: Shared) -> None:
        """Finish what runs, take nothing new; close the rest at the deadline."""
        shared.is_draining = True
        for listener in self.listeners:
            listener.close()
        self.log.info("draining", clients=len(shared.frontends))
        for login in list(shared.logins):
            login.end(CloseReason.DRAINED)
        await _wait_until(partial(_drain_clients, shared), self.settings.drain_timeout)
        busy = list(shared.frontends.values())
        if busy:
            self.log.warning("drain_timeout passed", closed=len(busy))
        for frontend in busy:
            frontend.close(CloseReason.SHUTDOWN if frontend.state != READY else CloseReason.DRAINED)
        for endpoint in shared.endpoints():
            endpoint.drain()
        # what was cut off is killed on the servers
        await _wait_until(partial(_are_pools_empty, shared), KILL_TIME)
        # one turn, so that the last packets and COM_QUITs leave
        await asyncio.sleep(TICK / 2)


def listen_addresses(settings: Settings) -> list[tuple[bool, Address]]:
    """Where clients come in, and whether they come for a reader."""
    return [(False, each) for each in settings.listen] + [(True, each) for each in settings.reader_listen]


def doorway_of(
    settings: Settings, is_reader: bool, address: Address, context: ssl.SSLContext | None
) -> Doorway:
    """What holds for those who come in there."""
    return Doorway(is_reader, address.is_unix, context, settings.client_tls.mode.value == "required")


def _drain_clients(shared: Shared) -> bool:
    """Close those that have nothing under way; whether none is left."""
    for frontend in list(shared.frontends.values()):
        frontend.drain()
    return not shared.frontends


def _are_pools_empty(shared: Shared) -> bool:
    return not any(endpoint.core.size for endpoint in shared.endpoints())


async def _wait_until(holds: Callable[[], bool], limit: float) -> None:
    """Wait until this holds, for `limit` seconds at most."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    while True:
        if holds() or loop.time() >= deadline:
            return
        await asyncio.sleep(TICK / 2)


async def read_greeting(target: Target, facts: Facts) -> str | None:
    """Take server version and charset from a server's greeting into `facts`; what was wrong, or None."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(target.connect_timeout):
            if target.socket is not None:
                stream, writer = await asyncio.open_unix_connection(target.socket)
            else:
                stream, writer = await asyncio.open_connection(target.host, target.port)
            reader = PacketReader(GREETING_LIMIT)
            payload = None
            while payload is None:
                chunk = await stream.read(GREETING_LIMIT)
                if not chunk:
                    return "it closed the connection before its greeting"
                reader.feed(chunk)
                payload = reader.next_payload()
            if payload[:1] == b"\xff":
                error = parse_err(payload)
                return f"{error.code} {error.message.decode('utf-8', 'replace')}"
            greeting = HandshakeV10.parse(payload)
            if not facts.server_version:
                facts.meet(greeting.server_version)
                facts.charset = greeting.collation
            return None
    except TimeoutError:
        return f"no greeting within {target.connect_timeout:g} s"
    except (OSError, ProtocolError) as error:
        return str(error) or type(error).__name__
    finally:
        if writer is not None:
            writer.close()


def batch_users(settings: Settings) -> frozenset[bytes]:
    """Those who give way."""
    return frozenset(user.name.encode() for user in settings.users if user.priority is Priority.BATCH)


def _credentials(settings: Settings) -> list[Credential]:
    """Of those whose passwords are configured."""
    return [credential_of(user) for user in settings.users if user.password or user.native_hash]


def credential_of(user: User) -> Credential:
    """A `[[users]]` entry as a credential."""
    name = user.name.encode()
    if user.password is not None:
        password = user.password.get_secret_value().encode()
        return Credential(name, password, Verifier.of_password(password), is_configured=True)
    assert user.native_hash is not None
    native = user.native_hash.get_secret_value()
    return Credential(name, None, Verifier.of_native_hash(native), is_configured=True)


def raise_descriptor_limit() -> None:
    """As many file descriptors as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
