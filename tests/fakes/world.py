"""A whole proxy without sockets: real sessions, pools and logins between fake clients and fake servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from config.sections import Pool, Role, Upstream
from config.settings import Settings
from protocol.auth import Verifier
from proxy import idling, tasks
from proxy.app import batch_users
from proxy.classify import StatementCache
from proxy.connector import Facts, Target
from proxy.counters import Counters
from proxy.credentials import Credential, Credentials
from proxy.endpoint import Endpoint
from proxy.endpoint_rules import EndpointRules
from proxy.frontend import Frontend
from proxy.login import Doorway, Login
from proxy.shared import TRANSACTION_POOLING, Shared
from proxy.vector import setup_statement
from tests.fakes.client import FakeClient
from tests.fakes.loop import StepLoop
from tests.fakes.server import CHARSETS, KEY_PAIR, FakeServer, ServerEnd
from tests.fakes.wire import ok

COLLATION = 45
WRITER = ("writer", 3306)
READERS = (("reader-1", 3307), ("reader-2", 3308))


class Log:
    """What was logged: (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def warnings(self) -> list[str]:
        return [event for level, event, _ in self.lines if level == "warning"]


def make_shared(
    loop: asyncio.AbstractEventLoop,
    log: Log,
    *,
    pool_mode: int = TRANSACTION_POOLING,
    max_packet: int = 1 << 24,
    passthrough: bool = True,
) -> Shared:
    """What sessions share, with the user app, whose password is secret."""
    configured = Credential(b"app", b"secret", Verifier.of_password(b"secret"), is_configured=True)
    shared = Shared(
        loop=loop,
        counters=Counters(),
        credentials=Credentials([configured], passthrough),
        facts=Facts(),
        statements=StatementCache(1 << 20),
        pool_mode=pool_mode,
        max_packet=max_packet,
        max_clients=100,
        login_timeout=10.0,
        max_login_delay=4.0,
        acquire_timeout=5.0,
        log=log,
    )
    shared.key_pair = KEY_PAIR
    return shared


def learn(shared: Shared, version: bytes = b"8.0.36", variables: Sequence[bytes] = ()) -> None:
    """As if a connection to a server had been opened before."""
    facts = shared.facts
    facts.meet(version)
    facts.charset = 255
    facts.setups[version] = setup_statement(
        "mariadb" if facts.is_mariadb else "mysql", [] if facts.is_mariadb else list(variables)
    )
    facts.charsets[COLLATION] = CHARSETS
    facts.reset_charsets[COLLATION] = CHARSETS
    shared.facts_known.set()


class World:
    """The parts, and short ways to what tests look at most. `close` it: it checks that nothing was left behind."""

    def __init__(
        self,
        *,
        pool_size: int = 1,
        readers: int = 0,
        pool_mode: int = TRANSACTION_POOLING,
        max_packet: int = 1 << 24,
        passthrough: bool = True,
        knows_server: bool = True,
        pool: dict[str, Any] | None = None,
        tables: dict[str, Any] | None = None,
    ) -> None:
        """``pool``, ``tables``: settings."""
        self.loop = StepLoop()
        self.log = Log()
        self.shared = make_shared(
            self.loop, self.log, pool_mode=pool_mode, max_packet=max_packet, passthrough=passthrough
        )
        self.counters = self.shared.counters
        self.facts = self.shared.facts
        self.settings = Settings(
            upstream=(Upstream(host="writer"),),
            pool=Pool(**{"size": pool_size, "idle_timeout": 1e6, **(pool or {})}),
            **(tables or {}),
        )
        self.shared.batch_users = batch_users(self.settings)
        self.server = FakeServer(self.loop, *WRITER)
        self.writer = self._endpoint(self.server, Role.WRITER.value)
        self.shared.writers.append(self.writer)
        self.reader_servers = [FakeServer(self.loop, *address) for address in READERS[:readers]]
        self.shared.readers += [self._endpoint(server, Role.READER.value) for server in self.reader_servers]
        self.doorway = Doorway(False, False, None, False)
        self.clients: list[FakeClient] = []
        if knows_server:
            self.learn_server()

    @property
    def setup(self) -> bytes:
        """The statement that sets the trackers."""
        return self.facts.setups[self.facts.server_version]

    def _endpoint(self, server: FakeServer, role: str) -> Endpoint:
        target = Target(server.host, server.host, server.port, None, "disabled", None, 5.0)
        endpoint = Endpoint(
            target,
            role,
            EndpointRules(self.settings),
            self.facts,
            self.shared.credentials,
            self.counters,
            {b"program_name": b"fanin"},
            self.shared.facts_known,
            self.loop,
        )
        endpoint.log = self.log
        return endpoint

    def learn_server(self) -> None:
        """As if a connection had been opened before."""
        learn(self.shared, self.server.version, self.server.variables)
        for schema in self.server.schemas:
            self.shared.proven_schemas[b"app", schema] = self.loop.time()

    # Making things happen

    def connects(self, doorway: Doorway | None = None) -> FakeClient:
        """A client connects and is greeted."""
        login = Login(self.shared, doorway or self.doorway, "192.0.2.1:40000", "192.0.2.1")
        self.counters.frontends_total += 1
        self.counters.frontends_open += 1
        client = FakeClient(self, login)
        self.clients.append(client)
        self.loop.call(login.connection_made, client.transport)
        return client

    def client(self, **login: Any) -> FakeClient:
        """A client that has logged in."""
        client = self.connects()
        client.logs_in(**login)
        assert client.connected is not None, client.refused and client.refused.message
        return client

    def backend(self) -> ServerEnd:
        """The newest server connection."""
        return self.server.last

    def tick(self, seconds: float = 0.0) -> None:
        """Let time pass, and the process have its tick."""
        self.loop.advance(seconds)
        self.shared.now = self.loop.time()
        self.loop.call(idling.look, self.shared, self.shared.now)
        for endpoint in self.shared.endpoints():
            self.loop.call(endpoint.tick)

    # Looking

    def frontend(self, client: FakeClient) -> Frontend:
        found = self.shared.frontends[client.connection_id]
        return found

    def pool(self) -> str:
        """The pool's counts in words, those that are not 0."""
        core = self.writer.core
        counts = {
            "opening": core.opening_count,
            "idle": core.idle_count,
            "parked": core.parked_count,
            "leased": core.leased_count,
            "resetting": core.resetting_count,
            "waiting": core.waiting_count,
        }
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    def close(self) -> None:
        """Let everybody leave; then nothing is leased, nobody waits, no task runs and the counters agree."""
        for server in (self.server, *self.reader_servers):
            server.answers_itself = _killed
        for client in self.clients:
            if not client.is_closed:
                client.is_closed = True
                client.transport.is_taken = True
                self.loop.call(client.transport.break_off, ConnectionResetError("the test is over"))
        self.loop.advance(30)
        try:
            for endpoint in self.shared.endpoints():
                core = endpoint.core
                counts = (core.leased_count, core.waiting_count, core.opening_count)
                assert counts == (0, 0, 0), "leased, waiting, opening"
            assert self.shared.frontends == {}
            assert self.shared.logins == {}
            assert self.counters.frontends_open == 0
            assert [task.get_name() for task in tasks.running() if task.get_loop() is self.loop] == []
        finally:
            self.loop.run_until_complete(tasks.cancel_all())
            self.loop.close()


def _killed(payload: bytes) -> bytes | None:
    return ok() if payload.startswith(b"\x03KILL ") else None
