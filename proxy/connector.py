"""Opens backends: connect, TLS, log in, set the trackers, and learn what a fresh connection looks like. The slow path: async.

A new connection's state is measured, not assumed: which character sets a collation id of a client's handshake leads to, the
server's sql_mode and the character sets after a reset are asked once of a real connection and kept in `Facts`
(field.md, traps 24, 25 and 32).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final

from protocol.client import WANTED_CAPABILITIES, ClientLogin, Connected, Refused, TlsWanted
from protocol.commands import reset_connection
from protocol.constants import Capability, ServerStatus
from protocol.errors import ProtocolError
from protocol.framing import frame
from protocol.response import ResponseTracker
from proxy import rsa
from proxy.backend import OPENING, Backend
from proxy.credentials import Credential
from proxy.identity import IGNORE_SPACE, MULTI_RESULTS, PoolKey
from proxy.pool_states import NEVER
from proxy.replies import SCHEMA_CODES, Failure, unreachable
from proxy.results import text_rows
from proxy.vector import CHARSET_VARIABLES, NAMES_QUERY, SPOILT_SCHEMA, Vector, set_by_setup, setup_statement

COM_QUERY: Final = b"\x03"
MEASURE: Final = (
    b"SELECT @@session.character_set_client, @@session.character_set_results, @@session.character_set_connection, "
    b"@@session.collation_connection, @@global.sql_mode, @@global.max_allowed_packet, @@global.max_prepared_stmt_count, "
    b"@@global.wait_timeout, @@global.interactive_timeout"
)
INIT_CONNECT: Final = b"SELECT @@global.init_connect"
DEFAULTS: Final = (
    b"sql_mode",
    b"time_zone",
    b"character_set_server",
    b"collation_server",
    b"autocommit",
    b"wait_timeout",
    b"interactive_timeout",
    b"max_allowed_packet",
    b"group_concat_max_len",
    b"lock_wait_timeout",
    b"innodb_lock_wait_timeout",
    b"foreign_key_checks",
    b"unique_checks",
    b"sql_safe_updates",
    b"max_sort_length",
    b"lc_time_names",
)
"""Global variables whose values new sessions begin with, as they are most often changed: seen at each login."""
QUESTIONS: Final = b"SHOW SESSION STATUS LIKE 'Questions'"
_OURS: Final = 2
"""Statements of a new connection when QUESTIONS is answered. If there were more, the server has run init_connect for its user."""
TLS_BROKEN: Final = 2026
_OF_CLIENTS: Final = int(Capability.MULTI_STATEMENTS | Capability.MULTI_RESULTS | Capability.PS_MULTI_RESULTS)
"""Capabilities that a backend has only for clients that have them."""
KEEPALIVE: Final = (
    ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 30),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), 10),
    ((socket.IPPROTO_TCP, socket.TCP_KEEPCNT), 3),
)
"""A server that has vanished without a FIN is noticed after a minute, also by a client that waits for its answer."""


@dataclass(slots=True)
class Target:
    """Where an endpoint is and how to reach it."""

    name: str
    host: str
    port: int
    socket: str | None
    tls_mode: str
    """disabled, preferred or required (the verifying modes are `required` with a checking context)"""
    tls_context: ssl.SSLContext | None
    connect_timeout: float

    @property
    def peer(self) -> str:
        """For messages."""
        return self.socket or f"{self.host}:{self.port}"


@dataclass(slots=True)
class Facts:
    """What was learnt of the servers behind this proxy; shared by its endpoints, filled by the first connections."""

    server_version: bytes = b""
    """as in the server's greeting, prefix and all; empty until a server has been reached; only `meet` changes it"""
    is_mariadb: bool = False
    """which dialect the servers speak"""
    charset: int = 0
    """the greeting's default collation id"""
    sql_mode: bytes = b""
    status: int = int(ServerStatus.AUTOCOMMIT)
    """status flags of a fresh connection"""
    max_allowed_packet: int = 64 << 20
    max_prepared: int = 16382
    """max_prepared_stmt_count: statements that all connections together may have prepared"""
    wait_timeout: int = 0
    """seconds, globally; 0: not known"""
    interactive_timeout: int = 0
    setups: dict[bytes, bytes] = field(default_factory=dict)
    """server version -> the statement that sets the trackers there"""
    set_up: list[tuple[bytes, bytes]] = field(default_factory=list)
    """variables that it sets, too, on the version seen last"""
    is_watched: bool = False
    """set by the process: sessions may read on readers"""
    tracks_gtids: bool = False
    """set by the process: what sessions commit has to be known by its GTID"""
    charsets: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """collation id of a handshake -> the values of CHARSET_VARIABLES that it leads to"""
    initialised_charsets: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """the same for users whose login runs init_connect"""
    reset_charsets: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """the same after COM_RESET_CONNECTION: MySQL goes to the server's default, MariaDB back to (mostly) the handshake's.
    Never forgotten, because backends outlive what else is measured anew."""

    def meet(self, version: bytes) -> None:
        """A server is of this version."""
        self.server_version = version
        self.is_mariadb = b"MariaDB" in version

    def charsets_at_login(self, collation: int, is_initialised: bool) -> tuple[bytes, ...] | None:
        """Values of CHARSET_VARIABLES after a login with this collation; None if that is not known."""
        known = self.charsets.get(collation)
        return self.initialised_charsets.get(collation, known) if is_initialised else known

    def fresh(self, vector: Vector) -> Vector:
        """The vector of a fresh connection, after its setup."""
        return vector.with_variables(self.set_up) if self.set_up else vector

    def forget_logins(self) -> None:
        """What a new connection is like has to be measured anew."""
        self.charsets.clear()
        self.initialised_charsets.clear()

    def charsets_after_reset(self, collation: int) -> dict[bytes, bytes]:
        """CHARSET_VARIABLES of a connection that logged in with this collation, after a reset."""
        return dict(zip(CHARSET_VARIABLES, self.reset_charsets[collation], strict=True))


async def open_backend(
    backend: Backend,
    target: Target,
    credential: Credential,
    key: PoolKey,
    vector: Vector | None,
    collation: int,
    facts: Facts,
    attributes: dict[bytes, bytes],
) -> None:
    """Connect `backend` and log it in; afterwards it is IDLE and its vector is what the server's session really has. When the server
    refuses the schema, it is open without one: others of this user need not suffer for that.

    Raises Failure: the server's own error, or 2003 with the cause.
    """
    try:
        async with asyncio.timeout(target.connect_timeout):
            await _connect(backend, target)
            try:
                connected = await _log_in(backend, target, credential, key, vector, collation, attributes)
            except Failure as failure:
                if failure.code not in SCHEMA_CODES or vector is None or vector.schema is None:
                    raise
                vector = vector.with_schema(None)
                backend.start_over()
                await _connect(backend, target)
                connected = await _log_in(backend, target, credential, key, vector, collation, attributes)
            backend.server_id = connected.connection_id
            backend.listener.logged_in(backend, credential)
            await _set_up(backend, connected, key, vector, collation, facts)
    except Failure:
        backend.close(is_polite=False)
        raise
    except TimeoutError as error:
        backend.close(is_polite=False)
        raise unreachable(target.name, f"no answer within {target.connect_timeout:g} s") from error
    except (OSError, ProtocolError, ssl.SSLError) as error:
        backend.close(is_polite=False)
        raise unreachable(target.name, str(error) or type(error).__name__) from error
    except BaseException:
        backend.close(is_polite=False)
        raise


async def _connect(backend: Backend, target: Target) -> None:
    loop = asyncio.get_running_loop()
    if target.socket is not None:
        await loop.create_unix_connection(lambda: backend, target.socket)  # type: ignore[type-var]
        return
    await loop.create_connection(lambda: backend, target.host, target.port)  # type: ignore[type-var]
    connected = backend.transport.get_extra_info("socket")
    if connected is not None:
        for option, value in KEEPALIVE:
            connected.setsockopt(*option, value)


async def _log_in(
    backend: Backend,
    target: Target,
    credential: Credential,
    key: PoolKey,
    vector: Vector | None,
    collation: int,
    attributes: dict[bytes, bytes],
) -> Connected:
    wanted = (WANTED_CAPABILITIES & ~_OF_CLIENTS) | key.capabilities
    if key.capabilities & MULTI_RESULTS:
        wanted |= int(Capability.PS_MULTI_RESULTS)
    if vector is not None and vector.multi_statements:
        wanted |= int(Capability.MULTI_STATEMENTS)
    login = ClientLogin(
        user=credential.user,
        password=credential.password,
        native_stage1=credential.native_stage1,
        database=vector.schema if vector is not None and key.has_schema else None,
        collation=collation,
        capabilities=wanted,
        attributes=attributes,
        tls=target.tls_mode,
        is_secure=target.socket is not None,
        encrypt=rsa.encrypt,
    )
    inbox = backend.inbox
    assert inbox is not None
    while True:
        event = login.receive(await inbox.get())
        while event is not None:
            if isinstance(event, Refused):
                raise Failure(event.code, event.message.decode("utf-8", "replace"), event.sqlstate.decode())
            output = login.take_output()
            if output:
                backend.transport.write(output)
            if isinstance(event, Connected):
                return event
            if isinstance(event, TlsWanted):
                await _start_tls(backend, target)
                login.tls_started()
            event = login.next_event()
        output = login.take_output()
        if output:
            backend.transport.write(output)


async def _start_tls(backend: Backend, target: Target) -> None:
    if target.tls_context is None:
        raise Failure(TLS_BROKEN, f"Fanin: server {target.name} wants TLS, and server_tls.mode is disabled")
    loop = asyncio.get_running_loop()
    try:
        transport = await loop.start_tls(
            backend.transport,
            backend,  # type: ignore[arg-type]
            target.tls_context,
            server_hostname=target.host,
        )
    except (ssl.SSLError, OSError) as error:
        raise Failure(TLS_BROKEN, f"Fanin: TLS to server {target.name} failed: {error}") from error
    if transport is None:
        raise Failure(TLS_BROKEN, f"Fanin: TLS to server {target.name} failed: the connection was lost")
    backend.transport = transport


async def _set_up(
    backend: Backend, connected: Connected, key: PoolKey, vector: Vector | None, collation: int, facts: Facts
) -> None:
    capabilities = connected.capabilities
    backend.tracker = ResponseTracker(
        deprecate_eof=bool(capabilities & Capability.DEPRECATE_EOF),
        session_track=bool(capabilities & Capability.SESSION_TRACK),
    )
    backend.is_mariadb = b"MariaDB" in connected.server_version
    facts.status = connected.status & ~int(ServerStatus.SESSION_STATE_CHANGED)
    await _learn_globals(backend, backend.is_mariadb, facts)
    backend.setup = await _setup_of(backend, connected, facts)
    schema = vector.schema if vector is not None and key.has_schema else None
    charsets = await _charsets_at_login(backend, key, collation, facts)
    if charsets is None:
        charsets = facts.reset_charsets[collation]
        schema = None if schema is None else SPOILT_SCHEMA
    await _ask(backend, backend.setup)
    backend.collation = collation
    fresh = facts.fresh(Vector.fresh(schema, dict(zip(CHARSET_VARIABLES, charsets, strict=True))))
    if key.capabilities & IGNORE_SPACE:
        fresh = fresh.with_ignore_space(facts.sql_mode)
    backend.vector = fresh.with_multi_statements(vector is not None and vector.multi_statements)
    if backend.mode != OPENING:
        # its end came together with the last answer
        raise ConnectionError(f"{backend.peer} closed the connection")
    backend.inbox = None
    backend.rest()


async def _setup_of(backend: Backend, connected: Connected, facts: Facts) -> bytes:
    """The statement that sets the trackers on servers of this version. A version not seen before is another server, or an upgraded
    one: what was measured is measured anew."""
    version = connected.server_version
    setup = facts.setups.get(version)
    if setup is None:
        names: list[bytes] = []
        is_mariadb = b"MariaDB" in version
        if not is_mariadb:
            names = [row[0] or b"" for row in await _ask(backend, NAMES_QUERY)]
        kind = "mariadb" if is_mariadb else "mysql"
        setup = facts.setups[version] = setup_statement(kind, names, facts.is_watched, facts.tracks_gtids)
        facts.set_up = set_by_setup(names, facts.is_watched)
        facts.meet(version)
        facts.charset = connected.collation
        facts.forget_logins()
    return setup


def globals_query(is_mariadb: bool) -> bytes:
    """Asks for init_connect and DEFAULTS."""
    isolation = b"tx_isolation" if is_mariadb else b"transaction_isolation"
    values = b",".join([b"@@global." + name for name in (*DEFAULTS, isolation)])
    return INIT_CONNECT + b",CONCAT_WS('|'," + values + b")"


def wait_timeout_of(values: bytes) -> float:
    """After how many seconds the server closes a connection that is idle, by the answer to `globals_query`; infinity if that is not known."""
    found = values.split(b"|")
    at = DEFAULTS.index(b"wait_timeout")
    return float(found[at]) if len(found) > at and found[at].isdigit() else NEVER


async def _learn_globals(backend: Backend, is_mariadb: bool, facts: Facts) -> None:
    """Whether what sessions begin with was changed past the proxy since the login before: then it is measured anew. And whether the login
    has run anything: then it is undone, because it is run for each client that uses the backend (`beginning`)."""
    init_connect, values = (await _ask(backend, globals_query(is_mariadb)))[0]
    if values is not None and backend.globals not in (b"", values):
        facts.forget_logins()
    backend.globals = values or b""
    backend.init_connect = init_connect or b""
    if backend.init_connect:
        count = (await _ask(backend, QUESTIONS))[0][1] or b""
        backend.is_initialised = int(count) > _OURS


async def _charsets_at_login(
    backend: Backend, key: PoolKey, collation: int, facts: Facts
) -> tuple[bytes, ...] | None:
    """The character sets that the login has led to; None if the backend was reset, to learn what that leads to or to undo init_connect."""
    known = facts.initialised_charsets if backend.is_initialised else facts.charsets
    charsets = known.get(collation)
    is_known = charsets is not None
    if charsets is None:
        charsets = known[collation] = await _measure(backend, facts)
    if key.capabilities & IGNORE_SPACE and (facts.is_mariadb or not backend.is_initialised):
        # a reset would spoil it; assume what holds for others
        is_default = facts.reset_charsets and not facts.is_mariadb
        others = next(iter(facts.reset_charsets.values())) if is_default else charsets
        facts.reset_charsets.setdefault(collation, others)
        return charsets
    if is_known and not backend.is_initialised:
        return charsets
    await _run(backend, reset_connection())
    if not is_known:
        after = (await _ask(backend, MEASURE))[0]
        facts.reset_charsets[collation] = tuple([value or b"" for value in after[:4]])
    return None


async def _measure(backend: Backend, facts: Facts) -> tuple[bytes, ...]:
    """Learn what a connection is like; its character sets."""
    row = [value or b"" for value in (await _ask(backend, MEASURE))[0]]
    facts.sql_mode = row[4]
    facts.max_allowed_packet = int(row[5])
    facts.max_prepared = int(row[6])
    facts.wait_timeout = int(row[7])
    facts.interactive_timeout = int(row[8])
    return tuple(row[:4])


async def _ask(backend: Backend, statement: bytes) -> list[list[bytes | None]]:
    """Run one statement on an opening backend; its rows."""
    return text_rows(await _run(backend, COM_QUERY + statement))


async def _run(backend: Backend, payload: bytes) -> bytes:
    """Run one command on an opening backend; its answer."""
    tracker, inbox = backend.tracker, backend.inbox
    assert inbox is not None
    tracker.begin(payload[0], True, None, 0)
    backend.transport.write(frame(payload))
    raw = b""
    while not tracker.is_complete:
        chunk = await inbox.get()
        raw += tracker.feed(chunk)
    if tracker.is_error:
        text = tracker.error_message.decode("utf-8", "replace")
        raise Failure(tracker.error_code, f"Fanin: setting up a connection failed: {text}")
    return raw
