"""One server as the data path sees it: its bounded pool and what carries out the pool core's actions.

The core (proxy.pool) decides, this shell acts: it opens connections, resets and captures, closes, and tells waiters. Everything
but opening and killing happens in callbacks; nothing here is a task per client or per query.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

from proxy.aside import run_aside
from proxy.backend import CLOSED, DYING, IDLE, Backend, LossListener, Owner
from proxy.connector import Facts, Target, open_backend, wait_timeout_of
from proxy.counters import Counters
from proxy.credentials import Credential, Credentials
from proxy.deadlocks import deadlocked
from proxy.demand import Demand
from proxy.endpoint_rules import EndpointRules
from proxy.identity import IGNORE_SPACE, Identity, PoolKey, user_of
from proxy.jobs import Capturing, Cleaning, Ended
from proxy.paranoid import Strangers
from proxy.pool import Member, PoolCore, Ticket
from proxy.pool_actions import CAPTURE, CLOSE, OPEN, RESET, WAKE, Action
from proxy.pool_limits import Quota
from proxy.pool_states import OPENING as MEMBER_OPENING
from proxy.pool_states import PARKED, RESETTING
from proxy.reasons import CloseReason
from proxy.replies import Failure, of_ticket, unreachable
from proxy.tasks import spawn
from proxy.tenants import Holder, Leaver, LeaverOfWarnings, Waiter, ask_patience, in_words
from proxy.user_limits import UserLimits
from proxy.vector import SPOILT_SCHEMA, Vector

COM_QUERY: Final = b"\x03"
LASTS: Final = 0.75
"""The part of the server's wait_timeout for which a backend may be idle."""
LOSSES: Final = 3
LOSSES_TIME: Final = 1.0
"""So many backends lost within so many seconds of each other: it may be the server."""


class Endpoint(LossListener):
    """One server: its pool, and the way to it."""

    __slots__ = (
        "attributes",
        "budget",
        "core",
        "counters",
        "credentials",
        "epoch",
        "expected",
        "facts",
        "facts_known",
        "globals",
        "init_connect",
        "initialised",
        "is_answering",
        "jobs",
        "last_failure",
        "leaving",
        "log",
        "loop",
        "losses",
        "lost_at",
        "max_prepared",
        "minute",
        "name",
        "normal_wait",
        "quotas",
        "register",
        "role",
        "sentinel",
        "side_lock",
        "size",
        "strangers",
        "target",
        "user_limits",
    )

    def __init__(
        self,
        target: Target,
        role: str,
        rules: EndpointRules,
        facts: Facts,
        credentials: Credentials,
        counters: Counters,
        attributes: dict[bytes, bytes],
        facts_known: asyncio.Event,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.name: str = target.name
        self.role: str = role
        self.target: Target = target
        self.facts: Facts = facts
        self.credentials: Credentials = credentials
        self.counters: Counters = counters
        self.attributes: dict[bytes, bytes] = attributes
        self.loop: asyncio.AbstractEventLoop = loop
        # set when `facts` has a server version
        self.facts_known: asyncio.Event = facts_known
        # values of global variables that sessions begin with, as of the last login
        self.globals: bytes = b""
        # init_connect, as of the last login; None: it may have changed since
        self.init_connect: bytes | None = b""
        # users who have logged in, and whether it was run for them
        self.initialised: dict[bytes, bool] = {}
        # the last attempt to reach the server got an answer, were it a refusal
        self.is_answering: bool = False
        self.last_failure: str = "not tried yet"
        # how many backends will be needed, as far as the past shows, and the minute that it is by the process's count; -1: not known
        self.expected: Demand = Demand()
        self.minute: int = -1
        # set by the process: a logger of proxy.logs
        self.log: Any = None
        # backends that are being reset or captured, and when that has to be over; looked at by the tick
        self.jobs: dict[Backend, float] = {}
        # raised when the server turns out to have begun anew: what older backends had prepared is gone
        self.epoch: int = 0
        # who is told of signs that the server is no longer what it was (`cluster`): (endpoint, signal); None: nobody
        self.sentinel: Any = None
        # who says how many backends there may be (`budgets`), and is told of refusals; None: as many as `pool.size` says
        self.budget: Any = None
        # backends lost one soon after the other, and when the last was
        self.losses: int = 0
        self.lost_at: float = 0.0
        # backends that were closed and may be there yet; None: nobody asks (`shares`)
        self.leaving: list[Backend] | None = None
        # who is told of backends that have logged in (`registering`); None: nobody
        self.register: Any = None
        # most backends, whatever the server has room for (`pool.size`)
        self.size: int = rules.max_size
        # seconds for which tickets wait when the pool is not paused
        self.normal_wait: float = rules.acquire_timeout
        # what the server lets users have, where it has refused more
        self.user_limits: UserLimits = UserLimits(rules.max_size, random.random)
        # limits of databases, by name
        self.quotas: dict[bytes, Quota] = {
            name: Quota(name, most) for name, most in rules.database_limits.items()
        }
        # statements prepared on one backend, if the server has room
        self.max_prepared: int = rules.max_prepared
        # held by whoever has a side connection (`aside`)
        self.side_lock: asyncio.Lock = asyncio.Lock()
        # pool.paranoid: who has every backend between two commands
        self.strangers: Strangers | None = Strangers() if rules.is_paranoid else None
        self.core: PoolCore = PoolCore(
            new_member=self._new_member,
            max_size=rules.max_size,
            min_idle=rules.min_idle,
            acquire_timeout=rules.acquire_timeout,
            idle_timeout=rules.idle_timeout,
            max_age=rules.max_age,
            age_jitter=rules.age_jitter,
            max_opening=rules.max_opening,
            connects_per_second=rules.connects_per_second,
            reserve=rules.reserve,
            shed_target=rules.shed_target,
            shed_interval=rules.shed_interval,
            random=random.random,
            tenant_of=user_of,
            tenant_limits={user: most for user, most in rules.user_limits.items()},
        )

    # What sessions call

    def acquire(self, ticket: Ticket) -> Backend | None:
        """Ask for a backend: one now, or None and `ticket.woken()` later."""
        actions = self.core.acquire(ticket, self.loop.time())
        if actions:
            self._execute(actions)
        member = ticket.member
        return member if isinstance(member, Backend) else None

    def claim(self, owner: Holder, backend: Backend, ticket: Ticket) -> bool:
        """Take back the backend that `owner` parked. False when it is gone or being captured."""
        return self.core.claim(owner, backend, ticket, self.loop.time())

    def cancel(self, ticket: Ticket) -> None:
        """The waiter goes away."""
        self._execute(self.core.cancel(ticket, self.loop.time()))

    def release(self, backend: Backend, key: PoolKey) -> None:
        """Give a backend back, as it is, for anybody with this key."""
        if self.strangers is not None:
            self.park(backend, key, _NOBODYS_RESIDUE)
            return
        backend.rest()
        actions = self.core.release(backend, self.loop.time(), key=key)
        if actions:
            self._execute(actions)

    def park(self, backend: Backend, key: PoolKey, owner: Holder) -> None:
        """Give a backend back with residue of `owner` on it, which keeps a soft claim."""
        backend.rest()
        self._execute(self.core.release(backend, self.loop.time(), key=key, parked_by=owner))
        if self.strangers is not None:
            self._execute(self.core.steal(backend, self.loop.time()))

    def unpark(self, backend: Backend, owner: Holder, shows: bool) -> None:
        """Its owner no longer cares for the residue. User variables nobody else may find, nor what ``shows`` unless it is taken away: an
        insert id, and MariaDB's warnings (`residue.capture_commands`)."""
        needs_reset = backend.variables is not None
        key = backend.key
        if needs_reset and isinstance(key, PoolKey) and key.capabilities & IGNORE_SPACE:
            if backend.state == PARKED and backend.claim is owner:
                self.discard(backend, CloseReason.DIRTY)
            return
        now = self.loop.time()
        if shows and not needs_reset:
            leaver = _LEAVER_OF_WARNINGS if self.facts.is_mariadb else _LEAVER
            self._execute(self.core.steal(backend, now, leaver, owner=owner))
        self._execute(self.core.unpark(backend, now, needs_reset=needs_reset, owner=owner))

    def capture(self, backend: Backend, owner: Holder) -> None:
        """Its owner, who has it parked, goes on elsewhere: read what it has left. Nothing while the pool is not open."""
        self._execute(self.core.steal(backend, self.loop.time(), owner=owner))

    def release_dirty(self, backend: Backend, key: PoolKey) -> None:
        """Give a backend back that carries state of a session which is over: reset it first."""
        backend.rest()
        if key.capabilities & IGNORE_SPACE:
            self.discard(backend, CloseReason.DIRTY)
            return
        self._execute(self.core.release(backend, self.loop.time(), key=key, needs_reset=True))

    def discard(self, backend: Backend, reason: CloseReason) -> None:
        """Give a backend back by closing it."""
        if reason is CloseReason.LOST:
            self._count_loss()
        self._execute(self.core.discard(backend, self.loop.time(), reason))

    def watch(self, backend: Backend) -> None:
        """A job of ours runs on it: a server that does not answer loses the connection."""
        self.jobs[backend] = self.loop.time() + self.target.connect_timeout

    def tick(self) -> None:
        """The coarse tick: deadlines, ages, back-off."""
        if self.jobs:
            self._expire_jobs(self.loop.time())
        now = self.loop.time()
        ask_patience(self.core)
        if self.minute >= 0:
            self.expected.seen(self.demand(), self.minute)
            self.core.wanted = self.expected.needed()
        if self.user_limits:
            for user, most in self.user_limits.passed(now, self.core.counts_of).items():
                self._execute(self.core.limit(user, most, now))
        self._execute(self.core.tick(now))
        if self.core.waiting_count:
            for ticket in deadlocked(self.core, now):
                self._execute(self.core.spare(ticket, now))

    def _expire_jobs(self, now: float) -> None:
        for backend, deadline in list(self.jobs.items()):
            if backend.state != RESETTING:
                del self.jobs[backend]
            elif deadline <= now:
                del self.jobs[backend]
                backend.give_up(
                    f"{backend.peer} has not answered a reset within {self.target.connect_timeout:g} s"
                )

    def retire_all(self) -> None:
        """Every backend that exists now is closed when it is free: its session began with other global variables."""
        now = self.loop.time()
        for member in self.core.members():
            member.expire(now)
        self.tick()

    def raise_epoch(self) -> None:
        """The server has lost what was prepared on a connection, so it is another one, or began anew: no backend of before is used again,
        and those that are leased have nothing prepared."""
        self.epoch += 1
        if self.log is not None:
            self.log.warning("server lost prepared statements", endpoint=self.name, epoch=self.epoch)
        self.retire_all()

    # What the cluster does with it

    def pause(self, hold: float) -> None:
        """Grant nothing: who waits, and who comes, waits for so many seconds from now."""
        self.core.acquire_timeout = hold
        self._execute(self.core.pause(self.loop.time()))
        self._execute(self.core.send_away())

    def resume(self) -> None:
        """Go on after `pause`."""
        self.core.acquire_timeout = self.normal_wait
        self._execute(self.core.resume(self.loop.time()))

    def resize(self, bound: int) -> None:
        """So many backends may there be from now on."""
        self._execute(self.core.resize(bound, self.loop.time()))

    def give(self, user: bytes, most: int) -> None:
        """So many backends is this user given from now on; NOTHING: none."""
        self._execute(self.core.give(user, most, self.loop.time()))

    def move(self, ticket: Ticket) -> None:
        """It asks elsewhere, and its time goes on."""
        self._execute(self.core.move(ticket))

    def leave_role(self, goes_on: bool = False) -> None:
        """It is no longer for those who use it: what their sessions left here is captured, no backend of before is used again, and who
        waits asks elsewhere. ``goes_on``: so does the time of those."""
        moved = self.core.send_away(goes_on)
        self.resume()
        self.retire_all()
        self._execute(moved)

    def _count_loss(self) -> None:
        """Of several backends lost within LOSSES_TIME the sentinel hears."""
        if self.sentinel is None:
            return
        now = self.loop.time()
        if now - self.lost_at > LOSSES_TIME:
            self.losses = 0
        self.lost_at = now
        self.losses += 1
        if self.losses == LOSSES:
            self.sentinel.lost_backends(self)

    def may_begin(self, user: bytes) -> bool:
        """Whether a session of this user may begin with a statement, as far as is known."""
        return self.init_connect is None or (self.init_connect != b"" and self.initialised.get(user, True))

    def first_statement(self, user: bytes) -> bytes:
        """What a session of this user begins with."""
        return (self.init_connect or b"") if self.initialised.get(user, False) else b""

    def forget_init_connect(self) -> None:
        """It may be another one now."""
        self.init_connect = None
        self.initialised = {}

    def learn_init_connect(self, user: bytes, backend: Backend) -> None:
        """A backend has logged in: what it has learnt of the server's init_connect, and of its global variables."""
        if backend.init_connect not in (b"", self.init_connect) and self.log is not None:
            self.log.warning("server has init_connect: it is run again for each client", endpoint=self.name)
        self.init_connect = backend.init_connect
        self.initialised[user] = backend.is_initialised
        if self.globals not in (b"", backend.globals):
            # those that began with others must not be mixed with it
            if self.log is not None:
                self.log.warning("global variables have changed: backends are replaced", endpoint=self.name)
            self.retire_all()
        self.globals = backend.globals
        self.core.longest_idle = LASTS * wait_timeout_of(backend.globals)

    def evict_idle(self) -> bool:
        """Close statements on backends that nobody uses, because the server is full. False when there are none."""
        is_any = False
        for member in self.core.members():
            if isinstance(member, Backend) and member.mode == IDLE and member.owner is None:
                statements = member.statements
                is_any = statements.evict(len(statements) // 4 or 1) or is_any
                member.transport.write(statements.take_closes())
        return is_any

    def drain(self) -> None:
        """Nothing is granted any more; what is free closes."""
        self._execute(self.core.drain(self.loop.time()))

    # What jobs and backends call

    def was_reset(self, backend: Backend) -> None:
        """A reset is over."""
        self.note_reset(backend)
        backend.rest()
        self._execute(self.core.was_reset(backend, self.loop.time()))

    def note_reset(self, backend: Backend) -> None:
        """What a session has after a reset is known (measured.md, section 2)."""
        vector = backend.vector
        schema = None if vector is None or vector.schema is None else SPOILT_SCHEMA
        fresh = self.facts.fresh(Vector.fresh(schema, self.facts.charsets_after_reset(backend.collation)))
        multi = vector is not None and vector.multi_statements
        backend.vector = fresh.with_multi_statements(multi)
        backend.variables = None
        backend.statements.clear()

    def is_kept(self, backend: Backend, holder: Holder) -> None:
        """What is on it cannot be captured: its session has it again, and who waits for it waits on."""
        ticket = holder.keeping_ticket()
        actions = self.core.declined(backend, ticket, self.loop.time())
        assert ticket.member is backend, "a capture of a closed backend has no answer"
        holder.keeps(backend)
        self._execute(actions)

    def was_captured(self, backend: Backend) -> None:
        """The residue is read: the backend is free for the one who waits."""
        if self.strangers is None:
            self.was_dirtied(backend)
        else:
            self.strangers.visit(self, backend)

    def was_dirtied(self, backend: Backend) -> None:
        """Nothing is on it that anybody will ask for: it is free."""
        backend.rest()
        self._execute(self.core.captured(backend, self.loop.time()))

    def logged_in(self, backend: Backend, credential: Credential) -> None:
        if self.register is not None:
            self.register.opened(self, backend, credential)

    def idle_backend_lost(self, backend: Backend, cause: str) -> None:
        claim = backend.claim
        if isinstance(claim, Holder):
            claim.capture_failed(backend)
        self.last_failure = cause
        self._count_loss()
        self._execute(self.core.lost(backend, self.loop.time(), CloseReason.LOST))

    # What the rest of the process asks

    def is_full(self) -> bool:
        """Whether there are as many backends as there may be."""
        return self.core.size >= self.core.bound

    def is_exhausted(self) -> bool:
        """Whether all backends that there may be are leased."""
        return self.core.leased_count >= self.core.bound

    def demand(self) -> int:
        """Backends in use, and those who wait for one."""
        return self.core.leased_count + self.core.waiting_count

    def open_count(self) -> int:
        """Backends that are connected."""
        return self.core.size - self.core.opening_count

    def holders(self) -> str:
        """Who has the pool, and why it is not larger, in words, for error texts."""
        shortage = "" if self.budget is None else self.budget.in_words(self)
        text = in_words(self.core, self.name, self.loop.time())
        return f"{text}; {shortage}" if shortage else text

    def failure_of(self, ticket: Ticket) -> Failure:
        """What the client is told about a ticket that was refused."""
        trouble = "" if self.sentinel is None else self.sentinel.trouble_of(self)
        return of_ticket(ticket.error, self.name, self.holders(), trouble)

    async def kill(
        self, credential: Credential, identity: Identity, server_id: int, is_query: bool
    ) -> Failure | None:
        """KILL [QUERY] on a side connection of the same user, given up after `pool.connect_timeout`. What was wrong, or None."""
        command = COM_QUERY + b"KILL %s%d" % (b"QUERY " if is_query else b"", server_id)
        async with self.side_lock:
            return await run_aside(self, credential, identity, command)

    def kill_and_discard(self, backend: Backend, identity: Identity) -> None:
        """The client left in mid-query: end the query on the server, then close. The member counts until then."""
        backend.owner = _KILLED
        backend.mode = DYING
        killing = spawn(
            self.kill(identity.credential, identity, backend.server_id, is_query=False),
            name=f"kill {self.name}",
        )
        killing.add_done_callback(Ended(self, backend, CloseReason.CLIENT_LEFT).told)

    # Carrying out

    def _new_member(self, key: object, payload: object) -> Member:
        del key, payload
        backend = Backend(self, self.target.peer)
        backend.globals = self.globals
        return backend

    def _execute(self, actions: list[Action]) -> None:
        for action in actions:
            kind = action.kind
            if kind == WAKE:
                ticket = action.ticket
                if isinstance(ticket, Waiter):
                    ticket.woken()
                continue
            backend = action.member
            assert isinstance(backend, Backend)
            if kind == CLOSE:
                self._close(backend, action.reason)
            elif kind == OPEN:
                opening = spawn(
                    self._open(backend, action.payload, action.replaces), name=f"open {self.name}"
                )
                opening.add_done_callback(Ended(self, backend, CloseReason.OPEN_FAILED).told)
            elif kind == RESET:
                Cleaning(self, backend).start()
            elif kind == CAPTURE:
                holder = action.claim
                assert isinstance(holder, Holder)
                Capturing(self, backend, holder).start()

    def _close(self, backend: Backend, reason: CloseReason | None) -> None:
        if reason is not None:
            self.counters.count_close("backend", reason.value)
        is_idle = backend.owner is None and backend.mode != CLOSED
        if self.leaving is not None:
            self.leaving.append(backend)
            if is_idle and reason is CloseReason.OVER_BOUND:
                backend.leave()
        backend.close(is_polite=is_idle)

    async def _open(self, backend: Backend, payload: object, replaces: Member | None) -> None:
        assert isinstance(payload, Identity)
        identity = payload
        credential = identity.credential
        if not identity.proves_credential:
            # the password may have been changed, and proven by a later login
            credential = self.credentials.find(credential.user) or credential
        key = backend.key
        assert isinstance(key, PoolKey)
        began = self.loop.time()
        try:
            if isinstance(replaces, Backend):
                # not even for a moment has the server more connections than pool.size
                await replaces.wait_until_gone(self.target.connect_timeout)
            await open_backend(
                backend,
                self.target,
                credential,
                key,
                identity.vector,
                identity.collation,
                self.facts,
                self.attributes,
            )
        except Failure as failure:
            self._open_failed(backend, credential, failure)
            return
        except BaseException as error:
            self._open_failed(backend, credential, unreachable(self.name, str(error) or type(error).__name__))
            raise
        self.is_answering = True
        self.last_failure = ""
        self.learn_init_connect(credential.user, backend)
        self.facts_known.set()
        self.counters.backends_opened += 1
        recording = self.counters.recording
        if recording is not None:
            recording.opened(self.name, self.loop.time() - began)
        self._execute(self.core.opened(backend, self.loop.time()))

    def _open_failed(self, backend: Backend, credential: Credential, failure: Failure) -> None:
        self.counters.open_failures += 1
        self.is_answering = failure.is_refusal or failure.is_limit
        if self.log is not None and failure.message != self.last_failure:
            # once for each cause: a server that is down is tried again and again
            self.log.warning(
                "cannot open a backend", endpoint=self.name, code=failure.code, reason=failure.message
            )
        self.last_failure = failure.message
        if failure.is_credential:
            self.credentials.forget(credential)
        # before the pool can try again
        most = self._refused_user(credential.user, failure, backend) if failure.is_users else 0
        self._execute(
            self.core.open_failed(
                backend,
                self.loop.time(),
                failure,
                is_credential=failure.is_refusal,
                is_limit=failure.is_limit,
                most=most,
            )
        )
        if not most:
            self.was_refused(credential.user, failure)

    def was_refused(self, user: bytes, failure: Failure) -> None:
        """The server has not let this user in: if it has too many connections, or the user has, there will be fewer of ours."""
        if failure.is_users:
            most = self._refused_user(user, failure, None)
            self._execute(self.core.limit(user, most, self.loop.time()))
        elif failure.is_limit and self.budget is not None:
            self.budget.refused(self, failure.code)

    def _refused_user(self, user: bytes, failure: Failure, failed: Backend | None) -> int:
        """How many this user may have from now on, after it was refused one."""
        if self.budget is not None and AT_A_TIME in failure.message:
            self.budget.refused_user(self, user)
        own, opening = self.core.counts_of(user)
        opening -= failed is not None and failed.state == MEMBER_OPENING
        return self.user_limits.refused(user, self.loop.time(), own, opening)


AT_A_TIME: Final = "max_user_connections"
"""In the server's message: not so many in an hour, but at a time."""


_NOBODYS_RESIDUE: Final = Holder()
_LEAVER: Final = Leaver()
_LEAVER_OF_WARNINGS: Final = LeaverOfWarnings()
_KILLED: Final = Owner()
