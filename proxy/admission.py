"""Admits one client: drives the sans-I/O `ServerLogin`, finds or proves the credential, and makes the session.

A credential that is known (configured, or learnt and not refused since) is verified here and costs no round trip to a server. A
password that is not known is proven by logging in to the server with it, once for many clients that bring it at the same time.

Who may come in is decided by the server: its own error (1045, 1049, 1044 ...) is what the client gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from protocol.auth import Verifier
from protocol.commands import init_db
from protocol.constants import Capability, ErrorCode
from protocol.server import (
    LoginRequested,
    PasswordReceived,
    Rejected,
    RejectReason,
    ServerLogin,
    TlsRequested,
    Verified,
)
from proxy import idling
from proxy.aside import run_aside
from proxy.backend import Backend, Owner
from proxy.credentials import Credential
from proxy.endpoint import Endpoint
from proxy.identity import Identity
from proxy.pool_actions import PoolMoved
from proxy.reasons import CloseReason
from proxy.replies import Failure, access_denied, lost, refused_by_server
from proxy.session import SessionState
from proxy.shared import Shared
from proxy.tasks import spawn
from proxy.tenants import Waiter
from proxy.vector import CHARSET_VARIABLES, Vector, restore_commands

if TYPE_CHECKING:
    from proxy.placing import Placing
    from proxy.readers import Reader

PRIORITY_ATTRIBUTE: Final = b"fanin_priority"
"""The connect attribute by which a client chooses its class: ``batch`` or ``interactive``."""
BATCH: Final = b"batch"
INTERACTIVE: Final = b"interactive"
PROVEN_SCHEMAS: Final = 10_000
"""Pairs of user and schema that are remembered as good."""
HINTS: Final = {
    RejectReason.NO_NATIVE_HASH: "This client only knows mysql_native_password: let it use caching_sha2_password, or add its "
    "password or native_hash as a [[users]] entry to Fanin's configuration",
    RejectReason.NO_SECRECY: "Authentication requires a secure connection: use TLS or a Unix socket",
}
NO_PASSTHROUGH: Final = (
    "This proxy serves the users of its configuration only: add a [[users]] entry, or set passthrough = true"
)


class Door:
    """What an admission needs of the connection that it is for."""

    def send(self, wire: bytes) -> None:
        """Write to the client."""
        raise NotImplementedError

    def start_tls(self) -> None:
        """The client has asked for TLS; afterwards `admission.machine.tls_started()`."""
        raise NotImplementedError

    def admitted(self, login: LoginRequested, identity: Identity, session: SessionState) -> None:
        """The client is in. The OK is the door's to send."""
        raise NotImplementedError

    def turned_away(self, failure: Failure) -> None:
        """The client gets this error, and the connection ends."""
        raise NotImplementedError


class Admission:
    """One attempt to log in."""

    __slots__ = ("_credential", "_task", "door", "host", "is_over", "is_reader", "login", "machine", "shared")

    def __init__(self, shared: Shared, door: Door, machine: ServerLogin, is_reader: bool, host: str) -> None:
        self.shared: Shared = shared
        self.door: Door = door
        self.machine: ServerLogin = machine
        self.is_reader: bool = is_reader
        # the client's address as MySQL would name it in 1045
        self.host: str = host
        self.login: LoginRequested | None = None
        self.is_over: bool = False
        self._credential: Credential | None = None
        self._task: asyncio.Task[None] | None = None

    def receive(self, payload: bytes, sequence_id: int) -> None:
        """A packet of the client. Raises RemoteProtocolError for what is none."""
        self._take(self.machine.receive(payload, sequence_id))

    def abandon(self) -> None:
        """The client is gone, or its time is over."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    def requested(self, login: LoginRequested) -> None:
        """The client has said who it is."""
        self.login = login
        credential = self._credential = self.shared.credentials.find(login.user)
        verifier = credential.verifier if credential is not None else None
        is_configured = credential is not None and credential.is_configured
        self._take(self.machine.verify(verifier, is_configured=is_configured))

    def _take(self, event: object) -> None:
        output = self.machine.take_output()
        if output:
            self.door.send(output)
        if isinstance(event, LoginRequested):
            self.requested(event)
        elif isinstance(event, TlsRequested):
            self.door.start_tls()
        elif isinstance(event, Rejected):
            self._rejected(event)
        elif isinstance(event, Verified):
            self._verified(event)
        elif isinstance(event, PasswordReceived):
            self._begin(partial(self._check_password, event.password), "check password")

    def _rejected(self, event: Rejected) -> None:
        login = self.login
        if event.code != ErrorCode.ACCESS_DENIED_ERROR or login is None:
            self._reject(Failure(event.code, event.message.decode("utf-8", "replace")))
        else:
            self._reject(access_denied(login.user, self.host, True, HINTS.get(event.reason, "")))

    def _verified(self, event: Verified) -> None:
        credential = self._credential
        assert credential is not None
        if credential.password is None and event.native_stage1 is not None:
            credential.native_stage1 = event.native_stage1
        if self._can_admit_now() and not credential.needs_proof(self.shared.loop.time()):
            self._admit(credential)
        else:
            self._begin(partial(self._admit_known, credential), "admit")

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._task = spawn(self._or_reject(work), name=name)

    async def _or_reject(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Whatever goes wrong, the client gets an answer."""
        try:
            await work()
        except Exception:
            self._reject(Failure(int(ErrorCode.UNKNOWN_ERROR), "Fanin: internal error during the login"))
            raise

    async def _check_password(self, password: bytes) -> None:
        shared, login = self.shared, self.login
        assert login is not None
        credential = self._credential
        if credential is not None and credential.verifier.matches(password):
            if credential.password is None:
                # only a native hash was configured, and the client has sent what it was made of
                credential.password = password
            await self._admit_known(credential)
            return
        if (credential is not None and credential.is_configured) or not shared.credentials.allows_passthrough:
            hint = "" if credential is not None else NO_PASSTHROUGH
            self._reject(access_denied(login.user, self.host, bool(password), hint))
            return
        async with shared.proof_lock(login.user):
            wait = shared.delays.remaining(login.user, shared.loop.time())
            if wait:
                await asyncio.sleep(wait)
            # others may have proven the same password while we waited
            credential = shared.credentials.find(login.user)
            is_known = credential is not None and credential.verifier.matches(password)
            if credential is None or not is_known:
                credential = Credential(login.user, password, Verifier.of_password(password))
            await self._admit_with_server(credential, is_proven=is_known)

    async def _admit_known(self, credential: Credential) -> None:
        """The password is the known one; from time to time a server has to confirm it, once for all who come at that moment."""
        shared = self.shared
        if not credential.needs_proof(shared.loop.time()):
            await self._admit_with_server(credential)
            return
        async with shared.proof_lock(credential.user):
            is_proven = not credential.needs_proof(shared.loop.time())
            await self._admit_with_server(credential, is_proven=is_proven)

    async def _admit_with_server(self, credential: Credential, is_proven: bool = True) -> None:
        """Ask a server what is not known yet: whether the password is right, the schema exists, what the charset means."""
        login = self.login
        assert login is not None
        if not (is_proven and self._can_admit_now()):
            try:
                await self._visit(credential, wants_fresh=not is_proven or not self._knows_charsets())
            except Failure as failure:
                self._reject(failure)
                return
            if not is_proven:
                credential.proven_at = self.shared.loop.time()
            self.shared.credentials.learn(credential)
        if not self.is_over:
            self._admit(credential)

    def _can_admit_now(self) -> bool:
        login, shared = self.login, self.shared
        assert login is not None
        if not self._knows_charsets():
            return False
        return not login.database or shared.is_proven_schema(login.user, login.database)

    def _knows_charsets(self) -> bool:
        login = self.login
        assert login is not None
        return self.shared.charsets_at_login(login.user, login.collation) is not None

    def _admit(self, credential: Credential) -> None:
        login, shared = self.login, self.shared
        assert login is not None
        self.is_over = True
        if login.database and not shared.is_proven_schema(login.user, login.database):
            if len(shared.proven_schemas) >= PROVEN_SCHEMAS:
                shared.proven_schemas.clear()
            shared.proven_schemas[login.user, login.database] = shared.loop.time()
        shared.delays.succeeded(login.user)
        identity = self._identity(credential)
        session = SessionState(
            self._vector(), shared.facts.status, shared.facts.sql_mode, shared.facts.is_mariadb
        )
        idling.begin(session, shared.facts, login.capabilities, is_reset=False)
        self.door.admitted(login, identity, session)

    def _identity(self, credential: Credential) -> Identity:
        login = self.login
        assert login is not None
        identity = Identity(
            credential, login.capabilities, login.collation, self.shared.keys, login.database or None
        )
        pid = login.attributes.get(b"_pid", b"").decode("ascii", "replace")
        identity.process = f"{self.host} {pid[:20]}"
        wish = login.attributes.get(PRIORITY_ATTRIBUTE)
        identity.is_batch = (
            wish == BATCH if wish in (BATCH, INTERACTIVE) else credential.user in self.shared.batch_users
        )
        return identity

    def _vector(self) -> Vector:
        login = self.login
        assert login is not None
        values = self.shared.charsets_at_login(login.user, login.collation)
        assert values is not None, "measured by a visit"
        charsets = dict(zip(CHARSET_VARIABLES, values, strict=True))
        vector = self.shared.facts.fresh(Vector.fresh(login.database or None, charsets))
        if login.capabilities & Capability.IGNORE_SPACE:
            vector = vector.with_ignore_space(self.shared.facts.sql_mode)
        return vector.with_multi_statements(bool(login.capabilities & Capability.MULTI_STATEMENTS))

    def _reject(self, failure: Failure) -> None:
        """Answer a failed login, the later the more there were of this user; the delay holds nobody else up."""
        if self.is_over:
            return
        self.is_over = True
        shared = self.shared
        shared.counters.count_login_failure(str(failure.code))
        delay = 0.0
        if failure.is_credential and self.login is not None:
            delay = shared.delays.failed(self.login.user, shared.loop.time())
        shared.log.info("login refused", host=self.host, user=self._user_name(), code=failure.code)
        if delay:
            shared.loop.call_later(delay, self.door.turned_away, failure)
        else:
            self.door.turned_away(failure)

    def _user_name(self) -> str:
        return self.login.user.decode("utf-8", "replace") if self.login is not None else ""

    async def _visit(self, credential: Credential, wants_fresh: bool) -> None:
        """Lease a backend as this client: a new one (which logs in with the password), or any with the schema changed to the
        client's. Raises the server's Failure."""
        shared, login = self.shared, self.login
        assert login is not None
        identity = self._identity(credential)
        identity.proves_credential = True
        if self._knows_charsets():
            identity.vector = self._vector()
        else:
            # the character sets are what the visit is for: the schema and options are enough to log in with
            identity.vector = Vector.fresh(login.database or None, {}).with_multi_statements(
                bool(login.capabilities & Capability.MULTI_STATEMENTS)
            )
        endpoint = shared.choose(self.is_reader)
        is_known = credential is self._credential
        if is_known and endpoint.is_exhausted() and await self._visit_aside(endpoint, identity):
            return
        visit = Visit(endpoint, identity, shared.loop, wants_fresh)
        backend = await visit.lease()
        while backend is None:
            visit = Visit(shared.choose(self.is_reader), identity, shared.loop, wants_fresh)
            backend = await visit.lease()
        try:
            await visit.prepare(backend, self._vector())
        finally:
            visit.leave(backend)

    async def _visit_aside(self, endpoint: Endpoint, identity: Identity) -> bool:
        """The same on a side connection, for a user who is known: whoever wants to KILL what has all backends must come in. Raises the
        server's Failure; False when it was of no use."""
        login, credential = self.login, identity.credential
        assert login is not None
        async with endpoint.side_lock:
            if self._can_admit_now() and not credential.needs_proof(self.shared.loop.time()):
                # others have asked the same meanwhile
                return True
            command = init_db(login.database) if login.database else b""
            failure = await run_aside(endpoint, credential, identity, command)
        if failure is not None and not failure.is_limit:
            raise failure
        return failure is None and self._knows_charsets()


class VisitTicket(Waiter):
    """A place in the queue that a coroutine waits for."""

    __slots__ = ("granted",)

    def __init__(self, identity: Identity, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(identity.key, identity, identity.credential)
        self.granted: asyncio.Future[None] = loop.create_future()

    def woken(self) -> None:
        if not self.granted.done():
            self.granted.set_result(None)

    def is_misplaced(self, placing: Placing, reader: Reader, now: float) -> bool:
        """A login needs no more than any reader, of which there may be others, or the writer."""
        return not placing.table.may_have(reader.name, None, now)


class Visit(Owner):
    """A short lease of the slow path."""

    __slots__ = ("_done", "_loop", "_lost", "endpoint", "identity", "ticket")

    def __init__(
        self, endpoint: Endpoint, identity: Identity, loop: asyncio.AbstractEventLoop, wants_fresh: bool
    ) -> None:
        self.endpoint: Endpoint = endpoint
        self.identity: Identity = identity
        self.ticket: VisitTicket = VisitTicket(identity, loop)
        self.ticket.wants_fresh = wants_fresh
        self._loop: asyncio.AbstractEventLoop = loop
        self._done: asyncio.Future[bool] | None = None
        self._lost: str | None = None

    async def lease(self) -> Backend | None:
        """Wait for the backend; None when another endpoint is to be asked for one. Raises Failure."""
        ticket = self.ticket
        backend = self.endpoint.acquire(ticket)
        if backend is None:
            try:
                if ticket.error is None:
                    await ticket.granted
            except BaseException:
                self.endpoint.cancel(ticket)
                raise
            if isinstance(ticket.error, PoolMoved):
                return None
            if ticket.error is not None:
                raise self.endpoint.failure_of(ticket)
            member = ticket.member
            assert isinstance(member, Backend)
            backend = member
        backend.owner = self
        return backend

    async def prepare(self, backend: Backend, wanted: Vector) -> None:
        """Bring it to the client's state. Raises Failure with the server's own error, 1049 for instance."""
        assert backend.vector is not None
        commands = restore_commands(backend.vector, wanted) or []
        if (
            wanted.schema is not None
            and wanted.schema == backend.vector.schema
            and not self.ticket.wants_fresh
        ):
            # it is in that schema since a time when that existed
            commands.insert(0, init_db(wanted.schema))
        if commands:
            self._done = self._loop.create_future()
            backend.run(self, commands)
            is_failed = await self._done
            if self._lost is not None:
                raise lost(self._lost, was_held=False)
            if is_failed:
                tracker = backend.tracker
                raise refused_by_server(tracker)
            backend.vector = wanted

    def leave(self, backend: Backend) -> None:
        """Give it back; one whose state is in doubt is closed."""
        is_busy = self._done is not None and (
            not self._done.done() or self._done.cancelled() or self._done.result()
        )
        if self._lost is not None or is_busy:
            self.endpoint.discard(backend, CloseReason.LOST if self._lost else CloseReason.RESTORE_FAILED)
            return
        assert backend.vector is not None
        self.endpoint.release(backend, self.identity.key_for(backend.vector.schema))

    def ran(self, is_failed: bool) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(is_failed)

    def backend_lost(self, cause: str) -> None:
        self._lost = cause
        if self._done is not None and not self._done.done():
            self._done.set_result(True)
