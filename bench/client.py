"""Light clients: one object per connection, callbacks only, no task and no timer while a client rests.

They ask for what nearly all real drivers ask for: EOF packets (no DEPRECATE_EOF), no session tracking, no TLS.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Self, TypeVar, cast
from urllib.parse import unquote, urlsplit

from bench.response import TEXT, BadResponse, Response, ResponseReader, Row
from bench.workload import Step
from protocol.client import BackendEvent, ClientLogin, Connected, Refused, TlsWanted
from protocol.constants import Capability
from proxy.rsa import encrypt

UTF8MB4_GENERAL_CI = 45
QUIT = b"\x01\x00\x00\x00\x01"
CONNECT_TIMEOUT = 30.0
ANSWER_TIMEOUT = 60.0
SPARE_FILES = 200  # what the load's process needs besides its connections

CAPABILITIES = (
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_RESULTS
    | Capability.PLUGIN_AUTH
)


class ClientError(Exception):
    """A client could not do what it wanted. ``label`` is short and counts equal failures together."""

    def __init__(self, label: str, message: str) -> None:
        super().__init__(message)
        self.label = label


@dataclass(frozen=True, slots=True)
class Target:
    """Where clients connect to, and as whom. ``tls``: they insist on it, and trust every certificate."""

    host: str
    port: int
    user: str = "app"
    password: str = "app"
    database: str = "app"
    tls: bool = False

    @classmethod
    def of_dsn(cls, dsn: str) -> Target:
        """Read ``mysql://user:password@host:port/database``. Raises ValueError with what is wrong."""
        parts = urlsplit(dsn)
        if parts.scheme.partition("+")[0] not in ("mysql", "mariadb"):
            raise ValueError(f"{dsn!r} does not begin with mysql://")
        database = unquote(parts.path.lstrip("/"))
        if not parts.hostname or not parts.username or not database:
            raise ValueError(f"{dsn!r} lacks a part of mysql://user:password@host:port/database")
        user, password = unquote(parts.username), unquote(parts.password or "")
        return cls(parts.hostname, parts.port or 3306, user, password, database)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def dsn(self) -> str:
        return f"mysql://{self.user}:{self.password}@{self.address}/{self.database}"

    @property
    def command(self) -> str:
        """How to connect by hand."""
        return f"mariadb -h{self.host} -P{self.port} -u{self.user} -p{self.password} {self.database}"


@cache
def trusting() -> ssl.SSLContext:
    """TLS with whoever answers: servers and proxies make their certificates themselves."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Connection(asyncio.Protocol):
    """One client connection. Subclasses for the data path override `answered` and `broke`."""

    __slots__ = (
        "_form",
        "_known",
        "_login",
        "_matched",
        "_reader",
        "_starting",
        "_waiter",
        "chunk",
        "is_asking",
        "target",
        "transport",
    )

    def __init__(self, target: Target) -> None:
        self.target = target
        self.transport: asyncio.Transport | None = None  # None before the connection and after its end
        self.is_asking = False  # a statement was sent and its response is not complete
        self.chunk = b""  # the whole response that was parsed last
        self._known = b""
        self._matched = 0  # bytes of the known response that have come, when it comes in pieces
        self._form = TEXT  # of the response that is awaited
        self._reader: ResponseReader | None = None  # only while a response is being parsed
        self._waiter: asyncio.Future[Response | None] | None = None
        self._starting: asyncio.Task[None] | None = None  # of TLS, so that nobody forgets it
        self._login: ClientLogin | None = ClientLogin(
            user=target.user.encode(),
            password=target.password.encode(),
            native_stage1=None,
            database=target.database.encode(),
            collation=UTF8MB4_GENERAL_CI,
            capabilities=int(CAPABILITIES),
            attributes={},
            tls="required" if target.tls else "disabled",
            is_secure=False,
            encrypt=encrypt,
        )

    @classmethod
    async def open(cls, target: Target) -> Self:
        """Connect and log in. Raises ClientError."""
        return await opened(cls(target))

    def ask(self, step: Step) -> None:
        """Send a statement; `answered` or `broke` follows."""
        assert self.transport is not None
        self._known = step.known
        self._matched = 0
        self._form = step.form
        self.is_asking = True
        self.transport.write(step.wire)

    async def run(self, step: Step) -> Response:
        """Send a statement and wait for its response, off the data path. Raises ClientError, for a wrong response too."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self.transport is None:
            raise ClientError("lost", "the connection is closed")
        self.ask(step)
        self._known = b""
        response = await self._awaited(ANSWER_TIMEOUT)
        assert response is not None
        wrong = step.wrong(response)
        if wrong is not None:
            raise ClientError(str(response.error_code or "wrong answer"), wrong)
        return response

    async def rows(self, sql: str) -> list[Row]:
        """The rows that a statement returns, [] when it returns none. Raises ClientError."""
        return (await self.run(Step(sql))).rows or []

    def close(self) -> None:
        """Say goodbye and close."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.write(QUIT)
            transport.close()

    async def end(self) -> None:
        """`close`, and wait until the connection has ended: TLS says goodbye to both sides, and a loop that closes before leaves it open."""
        if self.transport is None:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        self.close()
        with suppress(ClientError):
            await self._awaited(CONNECT_TIMEOUT)

    # ------------------------------------------------------------------------------- what subclasses override

    def answered(self, response: Response | None) -> None:
        """The response to `ask` is complete; None when it equals ``step.known``, byte for byte."""

    def broke(self, label: str, message: str) -> None:
        """The connection ended although nobody closed it, or cannot be used any further."""

    # ----------------------------------------------------------------------------------------- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance

    def data_received(self, chunk: bytes) -> None:
        if chunk == self._known:
            self._known = b""
            self.is_asking = False
            self.answered(None)
        elif self._known:
            self._match(chunk)
        elif self._login is not None:
            self._log_in(self._login, chunk)
        else:
            self._parse(chunk)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self._fail("lost", f"connection lost: {exc or 'closed by the other side'}")
        else:
            self._resolve(None)

    # -------------------------------------------------------------------------------------------------- inside

    def _match(self, chunk: bytes) -> None:
        """A piece of what is known, which takes no parsing; with anything else all of it is parsed."""
        known, matched = self._known, self._matched
        if not known.startswith(chunk, matched):
            self._parse(known[:matched] + chunk)
            return
        self._matched = matched + len(chunk)
        if self._matched == len(known):
            self._known = b""
            self.is_asking = False
            self.answered(None)

    def _parse(self, chunk: bytes) -> None:
        reader = self._reader
        if not self.is_asking:
            self._fail("bad response", f"{len(chunk)} bytes that nobody asked for: {chunk[:40]!r}")
            return
        if reader is None:
            reader = self._reader = ResponseReader(self._form)
            self.chunk = chunk
        else:
            self.chunk += chunk
        self._known = b""
        try:
            response = reader.feed(chunk)
        except BadResponse as exc:
            self._fail("bad response", f"{exc} in {chunk[:60]!r}")
            return
        if response is None:
            return
        self._reader = None
        self.is_asking = False
        if self._waiter is not None:
            self._resolve(response)
        else:
            self.answered(response)

    def _log_in(self, login: ClientLogin, chunk: bytes) -> None:
        self._go_on_with(login, login.receive(chunk))

    def _go_on_with(self, login: ClientLogin, event: BackendEvent | None) -> None:
        while True:
            output = login.take_output()
            if output and self.transport is not None:
                self.transport.write(output)
            if event is None:
                return
            if isinstance(event, TlsWanted):
                self._start_tls(login)
                return
            if isinstance(event, Connected):
                self._login = None
                self._resolve(None)
                return
            if isinstance(event, Refused):
                self._fail(f"login {event.code}", f"login refused: {event.code} {event.message!r}")
                return
            event = login.next_event()

    def _start_tls(self, login: ClientLogin) -> None:
        loop, plain = asyncio.get_running_loop(), self.transport
        assert plain is not None

        async def start() -> None:
            try:
                self.transport = await loop.start_tls(plain, self, trusting())
            except OSError as error:
                self._fail("tls", f"no TLS with {self.target.address}: {error}")
                return
            finally:
                self._starting = None
            login.tls_started()
            self._go_on_with(login, login.next_event())

        self._starting = loop.create_task(start())

    async def _awaited(self, seconds: float) -> Response | None:
        assert self._waiter is not None
        try:
            async with asyncio.timeout(seconds):
                return await self._waiter
        except TimeoutError:
            raise ClientError(
                "no answer", f"no answer from {self.target.address} in {seconds:.0f} s"
            ) from None
        finally:
            self._waiter = None

    def _resolve(self, response: Response | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(response)

    def _fail(self, label: str, message: str) -> None:
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        if self._waiter is None:
            self.broke(label, message)
        elif not self._waiter.done():
            self._waiter.set_exception(ClientError(label, message))


AnyConnection = TypeVar("AnyConnection", bound=Connection)


async def opened(connection: AnyConnection) -> AnyConnection:
    """Connect and log in with a connection object that is new. Raises ClientError."""
    loop = asyncio.get_running_loop()
    connection._waiter = loop.create_future()
    target = connection.target
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await loop.create_connection(lambda: connection, target.host, target.port)
    except OSError as exc:
        connection._waiter = None
        raise ClientError("connect", f"cannot connect to {target.address}: {exc}") from exc
    try:
        await connection._awaited(CONNECT_TIMEOUT)
    except BaseException:
        connection.close()
        raise
    return connection


@asynccontextmanager
async def control(target: Target) -> AsyncIterator[Connection]:
    """A connection for questions and for making tables, closed at the end."""
    connection = await Connection.open(target)
    try:
        yield connection
    finally:
        await connection.end()


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; how many connections this process may hold then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(hard - SPARE_FILES, 0) if hard != resource.RLIM_INFINITY else 1 << 20
