"""Looks at the servers: one connection to each, kept, and what it says goes to the topology core.

In peace a look is two statements. A connection that has ended is opened anew at once, its host's name resolved again; only
when that fails, too, the server counts as not reachable. A look that takes too long ends its connection. Where the monitor's own account is the trouble,
it asks less often: servers block hosts with too many failures.

The names of hosts are resolved again in the same rhythm (`resolving`): when one leads elsewhere, everybody is looked at at once.

Nothing here decides. `topology` does, and whoever gets the observations (lag, fences) does the rest.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from operator import attrgetter
from time import monotonic
from typing import Any, Final, TypeVar

import aiomysql

from proxy import monitor_queries as queries
from proxy.attributes import FANIN_ID, of_monitor
from proxy.fleet_report import Holders, parse_holders
from proxy.logs import get_logger
from proxy.observation import (
    NotUnderstood,
    Observation,
    ReplicationStatus,
    Row,
    Self,
    is_aurora,
    parse_aurora_self,
    parse_heartbeat,
    parse_occupancy_alone,
    parse_replication,
    parse_self,
    parse_table,
)
from proxy.occupancy import LOCKS, SLOTS, TABLES, Counting, Occupancy, parse_occupancy
from proxy.resolving import HostNames
from proxy.tasks import spawn
from proxy.topology import TopologyCore
from proxy.topology_actions import Action, ActionKind, Cause, ClusterKind, Event, Signal

T = TypeVar("T")
U = TypeVar("U")

PATIENT: Final = 5.0
"""Seconds between attempts where the monitor's account is turned away, or what answers is no MySQL."""
TICK: Final = 0.25

_GOOD_BYE: Final = b"\x01\0\0\0\x01"  # COM_QUIT
_SSL_CAPABILITY: Final = 0x0800  # CLIENT_SSL
_SYNTAX_ERROR: Final = 1064
_CANNOT_CONNECT: Final = 2003
_NOT_ALLOWED: Final = frozenset([1142, 1143, 1227])  # this statement, to this account
_CAUSES: Final[dict[int, Cause]] = {
    **dict.fromkeys([1044, 1045, 1129, 1130, 1251, 1524, 1698, 1820, 1862, 3118, 3159, 4151], Cause.DENIED),
    **dict.fromkeys([1040, 1135, 1203, 1226], Cause.LIMIT),
    **dict.fromkeys(
        [1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 3032, 3169, 4031], Cause.LOST
    ),
}
_TOO_MUCH: Final = frozenset([3024, 3636])  # max_execution_time, cte_max_recursion_depth
_LEVELS: Final = {
    Event.SUSPECTED: "warning",
    Event.WRITER_LOST: "warning",
    Event.SWITCHED: "warning",
    Event.PROBLEM: "error",
    Event.UNREACHABLE: "warning",
    Event.REPLACED: "warning",
    Event.RESTARTED: "warning",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who looks."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is."""

    host: str = ""
    port: int = 0
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


class LookFailed(Exception):
    """A server could not be looked at: why, and the text in words. ``code``: the server's, if it has said no."""

    def __init__(self, cause: Cause, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.cause = cause
        self.code = code

    @property
    def is_hopeless(self) -> bool:
        """Whether asking again soon changes nothing."""
        return self.cause in (Cause.DENIED, Cause.NOT_UNDERSTOOD)


class Eye(aiomysql.Connection):  # type: ignore[misc]
    """A connection that gives no password away."""

    def __init__(self, requires_tls: bool, attributes: Mapping[str, str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._requires_tls = requires_tls
        # the library knows of program_name only, and has some of its own
        self._connect_attrs = dict(attributes)

    async def open(self) -> None:
        """Connect and log in."""
        await self._connect()

    def abort(self) -> None:
        """Say good-bye if that can be said at once, and wait for nobody: the end of TLS could."""
        if self._writer is not None:
            with suppress(Exception):
                self._writer.write(_GOOD_BYE)
            self._writer.transport.abort()
        self.close()

    @property
    def is_connected(self) -> bool:
        """Whether the network's part of it has been done."""
        return bool(self.host_info != "Not connected")

    async def _request_authentication(self) -> None:
        if not self.server_capabilities & _SSL_CAPABILITY:
            if self._requires_tls:
                raise LookFailed(Cause.DENIED, "the server offers no TLS; see server_tls.mode")
            # the library would say that TLS follows, and then not begin it
            self.client_flag &= ~_SSL_CAPABILITY
        await super()._request_authentication()

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name == b"mysql_clear_password" and not self._secure:
            raise LookFailed(Cause.DENIED, "the server asks for the password in the clear, without TLS")
        return await super()._process_auth(plugin_name, auth_packet)


@dataclass(frozen=True, slots=True)
class Way:
    """How servers are reached and asked."""

    timeout: float
    tls: ssl.SSLContext | None = None
    requires_tls: bool = False
    heartbeat: str | None = None
    announced: Mapping[str, str] = field(default_factory=dict)
    """connect attributes of backends"""
    counts_fleet: bool = False


class Watch:
    """One server and the connection to it."""

    def __init__(self, name: str, place: Place, way: Way, now: Callable[[], float] = monotonic) -> None:
        self.name: Final = name
        self.place: Final = place
        self.way: Final = way
        self.now: Final = now
        self.wake: Final = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.looks = 0
        self.statements = 0
        self.connects = 0
        # its host's name leads elsewhere than where the connection is
        self.has_moved = False
        self._eye: Eye | None = None
        self._replication_text = ""  # "": not to be asked on this connection
        self._replication: tuple[ReplicationStatus, ...] | None = None
        self._remark = ""
        self.counting = Counting(way.counts_fleet, random.random)
        # when the last statement was sent
        self._asked_at = 0.0
        # people want to know something while it is looked at the server
        self._one_at_a_time: Final = asyncio.Lock()

    async def look(self, kind: ClusterKind, account: Account) -> Observation:
        """Ask. Raises LookFailed, and then has no connection."""
        ask = self._look_at_aurora if kind is ClusterKind.AURORA else self._look_at_server
        return await self._try_twice(account, ask)

    async def look_at_occupancy(self, account: Account) -> Occupancy:
        """Ask for nothing else. Raises LookFailed, and then has no connection."""
        return await self._try_twice(account, self._look_at_occupancy)

    async def look_at_holders(self, account: Account) -> Holders:
        """Ask whose connections there are. Raises LookFailed, and then has no connection."""
        return await self._try_twice(account, self._look_at_holders)

    async def _try_twice(self, account: Account, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._one_at_a_time:
            return await self._try_again(account, ask)

    async def _try_again(self, account: Account, ask: Callable[[], Awaitable[T]]) -> T:
        self.looks += 1
        if self.has_moved:
            self.has_moved = False
            self.close()
        is_kept = self._eye is not None
        try:
            try:
                return await self._try(account, ask)
            except LookFailed as failure:
                if not is_kept or failure.cause is not Cause.LOST:
                    raise
            # the connection was kept and has ended: what of the server?
            self.close()
            return await self._try(account, ask)
        except BaseException:
            self.close()
            raise

    async def find_kind(self, account: Account) -> ClusterKind:
        """AURORA or REPLICATION, by what the server says. Raises LookFailed."""
        try:
            async with asyncio.timeout(self.way.timeout):
                await self._open(account)
                _, rows = await self._ask(queries.IS_AURORA)
        except BaseException as error:
            failure = self._failure(error)
            self.close()
            if failure is None:
                raise
            raise failure from error
        return ClusterKind.AURORA if is_aurora(rows) else ClusterKind.REPLICATION

    def close(self) -> None:
        """End the connection. Harmless when there is none."""
        if self._eye is not None:
            self._eye.abort()
            self._eye = None

    async def _try(self, account: Account, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.way.timeout):
                await self._open(account)
                return await ask()
        except Exception as error:
            failure = self._failure(error)
            assert failure is not None
            raise failure from error

    async def _open(self, account: Account) -> None:
        if self._eye is not None:
            return
        self.connects += 1
        self._eye = Eye(
            self.way.requires_tls and self.place.socket is None,
            of_monitor(self.way.announced),
            host=self.place.host,
            port=self.place.port,
            unix_socket=self.place.socket,
            user=account.user,
            password=account.password,
            charset="utf8mb4",
            conv={},
            autocommit=None,
            ssl=None if self.place.socket is not None else self.way.tls,
        )
        await self._eye.open()
        is_mariadb = "MariaDB" in self._eye.server_version
        self._replication_text = queries.MARIADB_REPLICATION if is_mariadb else queries.MYSQL_REPLICATION
        self._replication = None
        self._remark = ""
        self.counting.connected(self.now())

    async def _look_at_occupancy(self) -> Occupancy:
        assert self._eye is not None
        is_mariadb = "MariaDB" in self._eye.server_version
        text = queries.MARIADB_OCCUPANCY if is_mariadb else queries.MYSQL_OCCUPANCY
        return (await self._ask_occupied(text, parse_occupancy_alone, tuple))[1]

    async def _look_at_holders(self) -> Holders:
        assert self._eye is not None
        is_mariadb = "MariaDB" in self._eye.server_version
        refused: list[str] = []
        rows: list[Row] = []
        for text in queries.holders(is_mariadb):
            try:
                rows = (await self._ask(text))[1]
            except aiomysql.MySQLError as error:
                if not _is_refusal(error):
                    raise
                refused.append(str(error.args[1]))
            if rows:
                break
        alone = (await self._ask(queries.MARIADB_OCCUPANCY if is_mariadb else queries.MYSQL_OCCUPANCY))[1]
        kept = parse_holders(rows[: queries.MOST_HOLDERS])
        return Holders(
            kept, len(kept) < len(rows), parse_occupancy(parse_occupancy_alone(alone)), tuple(refused)
        )

    async def _look_at_aurora(self) -> Observation:
        observed = await self._ask_self(queries.AURORA_SELF, parse_aurora_self)
        return replace(observed, rows=parse_table((await self._ask(queries.AURORA_TABLE))[1]))

    async def _look_at_server(self) -> Observation:
        assert self._eye is not None
        is_mariadb = "MariaDB" in self._eye.server_version
        observed = await self._ask_self(
            queries.MARIADB_SELF if is_mariadb else queries.MYSQL_SELF, parse_self
        )
        heartbeat = None
        if self.way.heartbeat is None or self._replication is None or self.looks % 2:
            await self._ask_replication()
        if self.way.heartbeat is not None and not observed.is_writer:
            heartbeat = parse_heartbeat((await self._ask(self.way.heartbeat))[1])
        return replace(
            observed,
            is_mariadb=is_mariadb,
            replication=self._replication,
            heartbeat=heartbeat,
            remarks=(self._remark,) if self._remark else (),
        )

    async def _ask_self(self, question: str, parse: Callable[[Sequence[Row]], Self]) -> Observation:
        """What the server says of itself."""
        found, occupancy = await self._ask_occupied(question, parse, attrgetter("occupancy"))
        taken_at = self.now()
        return Observation(
            server_id=found.server_id,
            is_writer=found.is_writer,
            clock=found.clock,
            taken_at=taken_at,
            round_trip=taken_at - self._asked_at,
            uptime=found.uptime,
            position=found.position,
            occupancy=occupancy,
        )

    async def _ask_occupied(
        self, text: str, parse: Callable[[Sequence[Row]], U], cells: Callable[[U], Sequence[str | None]]
    ) -> tuple[U, Occupancy]:
        """The answer, and the occupancy in it: with a count when it is time for one and the server allows it."""
        counting = self.counting
        while (source := counting.source(self.now())) is not None:
            try:
                _, rows = await self._ask(self._text_with_count(text, source))
            except aiomysql.MySQLError as error:
                if not _is_refusal(error):
                    raise
                counting.refused()
                continue
            found = parse(rows)
            seen = parse_occupancy(cells(found), source)
            if counting.counted(self.now(), seen):
                return found, seen
        found = parse((await self._ask(text))[1])
        return found, replace(parse_occupancy(cells(found)), trouble=counting.trouble())

    def _text_with_count(self, text: str, source: int) -> str:
        if source == LOCKS:
            return queries.with_locks(text, self.counting.slot, self.counting.is_held, SLOTS)
        return queries.with_count(text, TABLES[source], self.way.announced.get(FANIN_ID, ""))

    async def _ask_replication(self) -> None:
        if not self._replication_text:
            return
        try:
            columns, rows = await self._ask(self._replication_text)
        except aiomysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code == _SYNTAX_ERROR and self._replication_text == queries.MYSQL_REPLICATION:
                self._replication_text = queries.OLD_MYSQL_REPLICATION
                await self._ask_replication()
            elif code in _NOT_ALLOWED:
                self._remark = f"its lag is not known: {error.args[1]}"
                self._replication_text, self._replication = "", None
            else:
                raise
        else:
            self._replication = parse_replication(columns, rows)

    async def _ask(self, text: str) -> tuple[list[str], list[Row]]:
        """Columns and rows, as texts."""
        assert self._eye is not None
        self.statements += 1
        self._asked_at = self.now()
        async with self._eye.cursor() as cursor:
            await cursor.execute(text)
            return [column[0] for column in cursor.description], list(await cursor.fetchall())

    def _failure(self, error: BaseException) -> LookFailed | None:
        """What went wrong, in our words; None when it is not about the server."""
        if isinstance(error, LookFailed):
            return error
        if isinstance(error, NotUnderstood):
            return LookFailed(Cause.NOT_UNDERSTOOD, str(error))
        if isinstance(error, TimeoutError):
            if self._eye is None or self._eye.is_connected:
                return LookFailed(Cause.TIMEOUT, f"no answer within {self.way.timeout:g} s")
            return LookFailed(Cause.LOST, f"no connection within {self.way.timeout:g} s")
        if isinstance(error, aiomysql.MySQLError):
            return _server_failure(error)
        if isinstance(error, ssl.SSLError):
            return LookFailed(Cause.DENIED, f"TLS: {error}")
        if isinstance(error, OSError | EOFError):
            return LookFailed(Cause.LOST, str(error) or type(error).__name__)
        if isinstance(error, Exception):
            # the library trips over what it does not expect
            return LookFailed(
                Cause.NOT_UNDERSTOOD, f"what answers is no MySQL server ({type(error).__name__})"
            )
        return None


def _is_refusal(error: Any) -> bool:
    """Whether the server has said no to a statement, and to nothing else."""
    code = error.args[0] if error.args else 0
    return code in _TOO_MUCH or (isinstance(code, int) and 1000 <= code < 2000 and code not in _CAUSES)


def _server_failure(error: Any) -> LookFailed:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = " ".join(str(part) for part in error.args)
    if code == _CANNOT_CONNECT:
        reason = error.__cause__
        text = str(reason) or text
        if isinstance(reason, ssl.SSLError):
            return LookFailed(Cause.DENIED, f"TLS: {reason}")
        if isinstance(reason, socket.gaierror):
            return LookFailed(Cause.UNRESOLVED, text)
        if isinstance(reason, ConnectionRefusedError | FileNotFoundError):
            return LookFailed(Cause.REFUSED, text)
        return LookFailed(Cause.LOST, text)
    is_gone = isinstance(error, aiomysql.InterfaceError)
    return LookFailed(_CAUSES.get(code, Cause.LOST if is_gone else Cause.NOT_UNDERSTOOD), text, code)


class Monitor:
    """All watches of a cluster. `carry_out` gets every action of the core, `observe` every observation before the core does, `failed` what went wrong
    instead."""

    def __init__(
        self,
        core: TopologyCore,
        way: Way,
        *,
        account: Callable[[], Account | None],
        carry_out: Callable[[Action], None],
        observe: Callable[[str, Observation], None],
        failed: Callable[[str, LookFailed], None] = lambda name, failure: None,
        place_of: Callable[[str], Place | None] = lambda server_id: None,
        lag_interval: float = 0.25,
    ) -> None:
        """``account``: who looks, None as long as nobody is known. ``place_of``: where the server with this id is."""
        self.core: Final = core
        self.way: Final = way
        self.watches: dict[str, Watch] = {}
        self.is_hurried = False  # sessions wait to read what they have written
        self._account: Final = account
        self._carry_out: Final = carry_out
        self._observe: Final = observe
        self._failed: Final = failed
        self._place_of: Final = place_of
        self._lag_interval: Final = lag_interval
        self._interval: float = core.interval
        # the loop's own time is that of the beginning of its turn, and with uvloop in whole milliseconds
        self._now: Final = monotonic
        self._log: Final = get_logger("topology")
        self._ticking: asyncio.Task[None] | None = None
        self._resolving: asyncio.Task[None] | None = None

    def start(self, places: Iterable[tuple[str, Place]]) -> None:
        """Begin to look at the core's members, each with its place."""
        names = HostNames(self._now)
        for name, place in places:
            self._watch(name, place)
            if place.socket is None:
                names.add(name, place.host, place.port)
        self._done(self.core.begin(self._now()))
        self._ticking = spawn(self._tick(), name="topology")
        if names:
            self._resolving = spawn(self._resolve(names), name="names of hosts")

    async def stop(self) -> None:
        """End all looks and connections."""
        tasks = [watch.task for watch in self.watches.values() if watch.task is not None]
        tasks += [task for task in (self._ticking, self._resolving) if task is not None]
        self.watches.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def suspected(self, name: str, signal: Signal) -> None:
        """A session noticed something of a server."""
        self._done(self.core.suspected(name, signal, self._now()))

    def ask_all(self) -> None:
        """Look at every server at once: there is an account now, or somebody wants to know."""
        for watch in self.watches.values():
            watch.wake.set()

    def hurry(self, is_hurried: bool) -> None:
        """Whether sessions wait to read what they have written."""
        if is_hurried and not self.is_hurried:
            self.ask_all()
        self.is_hurried = is_hurried

    # Watches

    def _watch(self, name: str, place: Place) -> None:
        watch = self.watches[name] = Watch(name, place, self.way)
        watch.task = spawn(self._look_on(watch), name=f"watch of {name}")

    async def _look_on(self, watch: Watch) -> None:
        try:
            while True:
                watch.wake.clear()
                began = self._now()
                delay = await self._look(watch)
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, began + delay - self._now())):
                        await watch.wake.wait()
        finally:
            watch.close()

    async def _look(self, watch: Watch) -> float:
        """One look; the seconds until the next."""
        account = self._account()
        if account is None:
            return PATIENT
        member = self.core.members.get(watch.name)
        is_writer = self.core.writer is not None and member is self.core.writer
        try:
            observation = await watch.look(self.core.kind, account)
        except LookFailed as failure:
            self._done(self.core.unreachable(watch.name, failure.cause, self._now(), str(failure)))
            self._failed(watch.name, failure)
            return max(PATIENT, self._interval) if failure.is_hopeless else self._interval
        self._observe(watch.name, observation)
        self._done(self.core.observed(watch.name, observation, self._now()))
        tells_lag = is_writer if self.core.kind is ClusterKind.AURORA else True
        return min(self._interval, self._lag_interval) if self.is_hurried and tells_lag else self._interval

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._done(self.core.tick(self._now()))

    async def _resolve(self, names: HostNames) -> None:
        while True:
            for name in await names.moved():
                self._log.info("name leads elsewhere", server=name, host=names.host(name))
                self.watches[name].has_moved = True
                self.ask_all()
            await asyncio.sleep(self.core.interval)

    # Actions

    def _done(self, actions: list[Action]) -> None:
        for action in actions:
            if action.kind is ActionKind.LOG:
                self._tell(action)
            elif action.kind is ActionKind.SET_INTERVAL:
                if action.seconds < self._interval:
                    self.ask_all()
                self._interval = action.seconds
            elif action.kind is ActionKind.ASK:
                self._ask(action.name)
            elif action.kind is ActionKind.REMOVE:
                self._forget(action.name)
            self._carry_out(action)
            if action.kind is ActionKind.ADD:
                place = self._place_of(action.server_id)
                if place is not None:
                    self._watch(action.name, place)

    def _ask(self, name: str) -> None:
        watch = self.watches.get(name)
        if watch is not None:
            watch.wake.set()

    def _forget(self, name: str) -> None:
        watch = self.watches.pop(name, None)
        if watch is not None and watch.task is not None:
            watch.task.cancel()

    def _tell(self, action: Action) -> None:
        assert action.event is not None
        say = getattr(self._log, _LEVELS.get(action.event, "info"))
        say(action.event.value, server=action.name, what=action.text)
