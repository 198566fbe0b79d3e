"""The looks at servers: what fails and how it is told, when it is asked again, what is asked. Real servers: tests/integration/test_monitor.py."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.handshake import HandshakeV10
from protocol.packets import Column, build_err, build_ok, text_resultset
from proxy import monitor_queries as queries
from proxy.monitor import PATIENT, Account, LookFailed, Monitor, Place, Watch, Way
from proxy.observation import Observation
from proxy.occupancy import NO_COUNT, SLOTS, TABLES, Count, Occupancy
from proxy.resolving import HostNames
from proxy.topology import TopologyCore, TopologyState
from proxy.topology_actions import Action, ActionKind, Cause, ClusterKind, ServerRole, Signal

CAPABILITIES = int(
    Capability.PROTOCOL_41
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
    | Capability.LONG_PASSWORD
    | Capability.TRANSACTIONS
    | Capability.CONNECT_ATTRS
)
ACCOUNT = Account("watch", "secret")
AURORA, REPLICATION = ClusterKind.AURORA, ClusterKind.REPLICATION
OCCUPANCY = ("151", "7", "0")
Cells = tuple[str | None, ...]


def rows(names: tuple[str, ...], *values: Cells) -> bytes:
    cells = [[None if cell is None else cell.encode() for cell in row] for row in values]
    columns = [Column(name.encode()) for name in names]
    return text_resultset(columns, cells, status=2, deprecate_eof=False)


def error(code: int, message: str) -> bytes:
    return frame(build_err(code, b"HY000", message.encode()), 1)


NOT_ALLOWED = error(1142, "SELECT command denied")
NOTHING_REPLICATED = rows(("Source_Host",))


class Server:
    """Lets everybody in, answers from a table; lets nobody count, unless the table has that; every other statement ends the connection."""

    def __init__(self, version: str = "9.7.0") -> None:
        self.version = version
        self.answers: dict[str, bytes] = {}
        self.refusal: bytes | None = None
        # users who do not get in
        self.denied: set[bytes] = set()
        self.speaks: bytes | None = None  # instead of a greeting
        self.asked: list[str] = []
        self.connections = 0
        self.ended = 0
        self.place = Place()
        self.login = b""

    def says(self, server_id: str = "1", *, is_writer: bool = True, uptime: int = 50) -> None:
        text = queries.MARIADB_SELF if "MariaDB" in self.version else queries.MYSQL_SELF
        flag = "0" if is_writer else "1"
        names = tuple("abcdefghi")
        self.answers[text] = rows(names, (server_id, flag, "0", "1000000", str(uptime), "", *OCCUPANCY))
        self.answers.setdefault(queries.MYSQL_REPLICATION, NOTHING_REPLICATED)
        self.answers.setdefault(queries.MARIADB_REPLICATION, NOTHING_REPLICATED)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended += 1
            writer.close()

    def open_connections(self) -> int:
        return self.connections - self.ended

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.speaks is not None:
            writer.write(self.speaks)
            await writer.drain()
            await reader.read()
            return
        greeting = HandshakeV10(
            server_version=self.version.encode(),
            connection_id=1,
            nonce=b"n" * 20,
            capabilities=CAPABILITIES,
            collation=45,
            status=2,
            plugin=b"mysql_native_password",
        )
        writer.write(frame(greeting.build(), 0))
        self.login = await self.payload(reader)
        if any(user + b"\0" in self.login for user in self.denied):
            writer.write(frame(build_err(1045, b"28000", b"no"), 2))
            return
        writer.write(frame(build_ok(status=2) if self.refusal is None else self.refusal, 2))
        while True:
            statement = (await self.payload(reader))[1:].decode()
            self.asked.append(statement)
            answer = self.answers.get(statement)
            if answer is None and ("connect_attrs" in statement or "'fanin." in statement):
                answer = NOT_ALLOWED
            if answer is None:
                return
            if answer == b"":
                await reader.read()
                return
            writer.write(answer)

    async def payload(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.place = Place("127.0.0.1", listener.sockets[0].getsockname()[1])
    async with listener:
        yield server


@pytest.fixture
async def fake() -> AsyncIterator[Server]:
    async with serving(Server()) as made:
        made.says()
        yield made


def watch_of(server: Server, **way: Any) -> Watch:
    return Watch("x", server.place, Way(**{"timeout": 5.0, **way}))


async def failure_of(watch: Watch, kind: ClusterKind = REPLICATION) -> tuple[Cause, str]:
    with pytest.raises(LookFailed) as caught:
        await watch.look(kind, ACCOUNT)
    return caught.value.cause, str(caught.value)


# One look


async def test_a_connection_is_kept(fake: Server) -> None:
    watch = watch_of(fake)
    for _ in range(3):
        observation = await watch.look(REPLICATION, ACCOUNT)
        assert (observation.server_id, observation.is_writer, observation.replication) == ("1", True, ())
        assert observation.round_trip >= 0
    watch.close()
    assert (fake.connections, watch.connects, watch.looks, watch.statements) == (1, 1, 3, 6)


async def test_a_server_without_tls_is_looked_at_in_the_clear_where_that_is_allowed(fake: Server) -> None:
    watch = watch_of(fake, tls=ssl.create_default_context())
    assert (await watch.look(REPLICATION, ACCOUNT)).is_writer
    watch.close()
    assert not int.from_bytes(fake.login[:4], "little") & Capability.SSL


async def test_one_that_has_ended_is_opened_again_within_the_look(fake: Server) -> None:
    watch = watch_of(fake)
    await watch.look(REPLICATION, ACCOUNT)
    del fake.answers[queries.MYSQL_SELF]
    with pytest.raises(LookFailed):
        await watch.look(REPLICATION, ACCOUNT)
    assert fake.connections == 2
    fake.says("1", uptime=1)
    assert (await watch.look(REPLICATION, ACCOUNT)).uptime == 1
    watch.close()


async def test_an_instance_of_aurora_is_asked_for_its_table_too(fake: Server) -> None:
    fake.answers[queries.AURORA_SELF] = rows(tuple("abcdefg"), ("db-1", "0", "1000000", "50", *OCCUPANCY))
    fake.answers[queries.AURORA_TABLE] = rows(
        tuple("abcdef"), ("db-1", "MASTER_SESSION_ID", "0", "100000", "5", "1000000")
    )
    watch = watch_of(fake)
    seen = await watch.look(AURORA, ACCOUNT)
    assert [row.server_id for row in seen.rows or ()] == ["db-1"]
    watch.close()
    assert fake.asked == [queries.AURORA_SELF, queries.AURORA_TABLE]


async def test_mariadb_is_asked_in_its_own_words() -> None:
    async with serving(Server("10.11.5-MariaDB")) as server:
        server.says()
        watch = watch_of(server)
        assert (await watch.look(REPLICATION, ACCOUNT)).is_mariadb
        watch.close()
        assert server.asked == [queries.MARIADB_SELF, queries.MARIADB_REPLICATION]


async def test_an_older_mysql_too(fake: Server) -> None:
    fake.answers[queries.MYSQL_REPLICATION] = error(1064, "You have an error")
    fake.answers[queries.OLD_MYSQL_REPLICATION] = NOTHING_REPLICATED
    watch = watch_of(fake)
    for _ in range(2):
        assert (await watch.look(REPLICATION, ACCOUNT)).replication == ()
    watch.close()
    assert fake.asked.count(queries.MYSQL_REPLICATION) == 1


async def test_what_the_account_may_not_ask_is_asked_once(fake: Server) -> None:
    fake.answers[queries.MYSQL_REPLICATION] = error(1227, "Access denied; you need more")
    watch = watch_of(fake)
    for _ in range(2):
        seen = await watch.look(REPLICATION, ACCOUNT)
        assert seen.replication is None
        assert seen.remarks == ("its lag is not known: Access denied; you need more",)
    watch.close()
    assert fake.asked.count(queries.MYSQL_REPLICATION) == 1


async def test_with_a_heartbeat_replication_is_asked_for_every_other_time(fake: Server) -> None:
    fake.says(is_writer=False)
    fake.answers["SELECT lag"] = rows(("lag",), ("0.5",))
    watch = watch_of(fake, heartbeat="SELECT lag")
    for _ in range(4):
        seen = await watch.look(REPLICATION, ACCOUNT)
        assert (seen.heartbeat, seen.replication) == (0.5, ())
    fake.says(is_writer=True)
    assert (await watch.look(REPLICATION, ACCOUNT)).heartbeat is None
    watch.close()
    assert fake.asked.count(queries.MYSQL_REPLICATION) == 3


@pytest.mark.parametrize(("found", "kind"), [((), REPLICATION), ((("aurora_version", "3.05.2"),), AURORA)])
async def test_the_kind_is_asked_for(fake: Server, found: tuple[Cells, ...], kind: ClusterKind) -> None:
    fake.answers[queries.IS_AURORA] = rows(("Variable_name", "Value"), *found)
    watch = watch_of(fake)
    assert await watch.find_kind(ACCOUNT) is kind
    watch.close()


async def test_the_kind_of_a_server_that_does_not_tell_is_not_known(fake: Server) -> None:
    watch = watch_of(fake)
    with pytest.raises(LookFailed) as caught:
        await watch.find_kind(ACCOUNT)
    assert caught.value.cause is Cause.LOST


async def test_asking_for_the_kind_can_be_cancelled(fake: Server) -> None:
    fake.answers[queries.IS_AURORA] = b""
    watch = watch_of(fake)
    task = asyncio.ensure_future(watch.find_kind(ACCOUNT))  # noqa: TID251
    while queries.IS_AURORA not in fake.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# What goes wrong


async def test_no_answer_in_time(fake: Server) -> None:
    fake.answers[queries.MYSQL_SELF] = b""
    assert await failure_of(watch_of(fake, timeout=0.05)) == (Cause.TIMEOUT, "no answer within 0.05 s")


async def test_nobody_listens() -> None:
    async with serving(Server()) as server:
        watch = watch_of(server)
    cause, text = await failure_of(watch)
    assert cause is Cause.REFUSED and text


async def test_no_socket(tmp_path: Any) -> None:
    server = Server()
    server.place = Place(socket=str(tmp_path / "none.sock"))
    assert (await failure_of(watch_of(server)))[0] is Cause.REFUSED


@pytest.mark.parametrize(
    ("code", "cause"),
    [(1045, Cause.DENIED), (1040, Cause.LIMIT), (1053, Cause.LOST), (1234, Cause.NOT_UNDERSTOOD)],
)
async def test_a_login_that_is_refused(fake: Server, code: int, cause: Cause) -> None:
    fake.refusal = build_err(code, b"HY000", b"so it is")
    assert await failure_of(watch_of(fake)) == (cause, f"{code} so it is")


async def test_an_answer_that_makes_no_sense(fake: Server) -> None:
    fake.answers[queries.MYSQL_SELF] = rows(("a",), ("1",))
    assert await failure_of(watch_of(fake)) == (
        Cause.NOT_UNDERSTOOD,
        "@@server_id: 1 columns instead of 9 or 13",
    )


async def test_another_error_is_told_as_it_is(fake: Server) -> None:
    fake.answers[queries.MYSQL_REPLICATION] = error(3, "Error writing file")
    assert await failure_of(watch_of(fake)) == (Cause.NOT_UNDERSTOOD, "3 Error writing file")


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\x03\0\0\0\x0a8."]
)
async def test_what_answers_is_no_mysql(fake: Server, greeting: bytes) -> None:
    fake.speaks = greeting
    cause, _ = await failure_of(watch_of(fake, timeout=0.3))
    assert cause in (Cause.NOT_UNDERSTOOD, Cause.TIMEOUT, Cause.LOST)


async def test_no_password_goes_out_where_tls_is_required_and_not_offered(fake: Server) -> None:
    watch = watch_of(fake, requires_tls=True, tls=ssl.create_default_context())
    assert await failure_of(watch) == (Cause.DENIED, "the server offers no TLS; see server_tls.mode")


async def test_nor_in_the_clear(fake: Server) -> None:
    fake.refusal = b"\xfemysql_clear_password\0"
    cause, text = await failure_of(watch_of(fake))
    assert (cause, text) == (Cause.DENIED, "the server asks for the password in the clear, without TLS")


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (socket.gaierror(-2, "Name or service not known"), Cause.UNRESOLVED),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Cause.LOST),
        (ssl.SSLError(1, "certificate verify failed"), Cause.DENIED),
    ],
)
async def test_ways_not_to_get_there(fake: Server, reason: OSError, cause: Cause) -> None:
    refused = aiomysql.OperationalError(2003, "Can't connect")
    refused.__cause__ = reason
    found = watch_of(fake)._failure(refused)
    assert found is not None and found.cause is cause and str(reason) in str(found)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ssl.SSLError(1, "bad record"), Cause.DENIED),
        (ConnectionResetError("reset by peer"), Cause.LOST),
        (aiomysql.InterfaceError("(0, 'Not connected')"), Cause.LOST),
        (TimeoutError(), Cause.TIMEOUT),
    ],
)
async def test_ways_to_lose_it(fake: Server, error: Exception, cause: Cause) -> None:
    found = watch_of(fake)._failure(error)
    assert found is not None and found.cause is cause


async def test_no_connection_in_time_is_a_server_that_is_cut_off(
    fake: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*arguments: Any, **options: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(aiomysql.connection, "_open_connection", hang)
    assert await failure_of(watch_of(fake, timeout=0.05)) == (Cause.LOST, "no connection within 0.05 s")


def test_places_are_told_as_people_write_them() -> None:
    assert (str(Place("db", 3306)), str(Place(socket="/run/x.sock"))) == ("db:3306", "/run/x.sock")


# All of them


class Shell:
    """What was done, and a way to wait for it."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.seen: dict[str, Observation] = {}
        self.account: Account | None = ACCOUNT
        self.places: dict[str, Place] = {}
        self._changed = asyncio.Event()

    def carry_out(self, action: Action) -> None:
        self.actions.append(action)
        self._changed.set()

    def observe(self, name: str, observation: Observation) -> None:
        self.seen[name] = observation
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def count(self, kind: ActionKind) -> int:
        return sum(action.kind is kind for action in self.actions)


@asynccontextmanager
async def monitoring(core: TopologyCore, shell: Shell, **servers: Server) -> AsyncIterator[Monitor]:
    for name in servers:
        core.add(name)
    monitor = Monitor(
        core,
        Way(timeout=5.0),
        account=lambda: shell.account,
        carry_out=shell.carry_out,
        observe=shell.observe,
        place_of=shell.places.get,
        lag_interval=0.02,
    )
    monitor.start((name, server.place) for name, server in servers.items())
    try:
        yield monitor
    finally:
        await monitor.stop()


@pytest.fixture
def shell() -> Iterator[Shell]:
    yield Shell()


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Server, Server]]:
    async with serving(Server()) as one, serving(Server()) as other:
        one.says("1")
        other.says("2", is_writer=False)
        yield one, other


async def test_roles_come_from_what_servers_say(shell: Shell) -> None:
    core = TopologyCore(REPLICATION, interval=0.05, panic_interval=0.02)
    async with two() as (w, r), monitoring(core, shell, w=w, r=r):
        await shell.until(
            lambda: core.state is TopologyState.STABLE and core.members["r"].role is ServerRole.READER
        )
        w.says("1", is_writer=False)
        await shell.until(lambda: core.state is TopologyState.SWITCHING)
        r.says("2")
        await shell.until(lambda: core.state is TopologyState.STABLE)
        assert core.writer is core.members["r"]
        assert shell.count(ActionKind.PAUSE) == shell.count(ActionKind.RESUME) == 2


async def test_a_signal_asks_at_once(shell: Shell) -> None:
    core = TopologyCore(REPLICATION, interval=3600.0, panic_interval=0.02)
    async with two() as (w, r), monitoring(core, shell, w=w, r=r) as monitor:
        await shell.until(lambda: core.state is TopologyState.STABLE and "r" in shell.seen)
        looks = monitor.watches["r"].looks
        monitor.suspected("r", Signal.LOST_BACKENDS)
        await shell.until(lambda: core.members["r"].heard_at > 0 and monitor.watches["r"].looks > looks)
        monitor.suspected("w", Signal.READ_ONLY_ERROR)
        assert core.paused
        await shell.until(lambda: not core.paused)
        monitor.suspected("gone", Signal.LOST_BACKENDS)


async def test_a_name_that_leads_elsewhere_has_everybody_looked_at(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = TopologyCore(REPLICATION, interval=3600.0, panic_interval=0.02)
    moves: asyncio.Queue[list[str]] = asyncio.Queue()
    monkeypatch.setattr(HostNames, "moved", lambda names: moves.get())
    async with two() as (w, r):
        w.place = Place("localhost", w.place.port)
        async with monitoring(core, shell, w=w, r=r) as monitor:
            await shell.until(lambda: core.state is TopologyState.STABLE and "r" in shell.seen)
            watches = monitor.watches
            before = {name: watch.looks for name, watch in watches.items()}
            moves.put_nowait(["w"])
            await shell.until(lambda: all(watches[name].looks > before[name] for name in watches))
            # its connection may be to another server than the name leads to now
            await shell.until(lambda: watches["w"].connects == 2)
            assert watches["r"].connects == 1 and core.state is TopologyState.STABLE


async def test_where_hosts_are_addresses_no_name_is_resolved(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(HostNames, "moved", lambda names: asked.append(""))
    core = TopologyCore(REPLICATION, interval=0.02)
    async with two() as (w, r), monitoring(core, shell, w=w, r=r) as monitor:
        await shell.until(lambda: core.state is TopologyState.STABLE)
        assert asked == [] and monitor._resolving is None


async def test_without_an_account_nothing_is_asked(shell: Shell) -> None:
    shell.account = None
    core = TopologyCore(REPLICATION, interval=0.02)
    async with two() as (w, r), monitoring(core, shell, w=w, r=r) as monitor:
        await shell.until(lambda: core.problem != "")
        assert w.connections == r.connections == 0
        shell.account = ACCOUNT
        monitor.ask_all()
        await shell.until(lambda: core.state is TopologyState.STABLE)


async def test_a_wrong_password_is_not_tried_often(shell: Shell) -> None:
    core = TopologyCore(REPLICATION, interval=0.02)
    async with two() as (w, r):
        w.refusal = build_err(1045, b"28000", b"Access denied")
        async with monitoring(core, shell, w=w, r=r) as monitor:
            await shell.until(lambda: core.members["w"].cause is Cause.DENIED)
            assert await monitor._look(monitor.watches["w"]) == PATIENT
            w.refusal = build_err(1040, b"08004", b"Too many connections")
            assert await monitor._look(monitor.watches["w"]) < PATIENT


async def test_while_sessions_wait_lag_is_asked_for_more_often(shell: Shell) -> None:
    core = TopologyCore(REPLICATION, interval=3600.0)
    async with two() as (w, r), monitoring(core, shell, w=w, r=r) as monitor:
        await shell.until(lambda: core.state is TopologyState.STABLE and "r" in shell.seen)
        monitor.hurry(True)
        watch = monitor.watches["r"]
        before = watch.looks
        await shell.until(lambda: watch.looks > before + 3)
        monitor.hurry(True)
        monitor.hurry(False)
        assert await monitor._look(watch) == 3600.0


async def test_servers_of_the_table_are_found_and_forgotten(shell: Shell) -> None:
    core = TopologyCore(AURORA, interval=0.02, panic_interval=0.01, discovers=True)

    def table(*names: str) -> bytes:
        cells: list[Cells] = [
            (name, "MASTER_SESSION_ID" if name == "db-1" else "x", "0", "1000", None, "1000000")
            for name in names
        ]
        return rows(tuple("abcdef"), *cells)

    async with two() as (w, r):
        shell.places = {"db-2": r.place}
        w.answers[queries.AURORA_SELF] = rows(tuple("abcdefg"), ("db-1", "0", "1000000", "50", *OCCUPANCY))
        r.answers[queries.AURORA_SELF] = rows(tuple("abcdefg"), ("db-2", "1", "1000000", "50", *OCCUPANCY))
        w.answers[queries.AURORA_TABLE] = r.answers[queries.AURORA_TABLE] = table("db-1", "db-2", "db-3")
        async with monitoring(core, shell, w=w) as monitor:
            await shell.until(
                lambda: "db-2" in core.members and core.members["db-2"].role is ServerRole.READER
            )
            assert set(monitor.watches) == {"w", "db-2"} and "db-3" in core.members
            del r.answers[queries.AURORA_SELF]
            await shell.until(lambda: core.members["db-2"].cause is Cause.LOST)
            w.answers[queries.AURORA_TABLE] = table("db-1")
            await shell.until(lambda: set(core.members) == {"w"})
            assert set(monitor.watches) == {"w"}


async def test_to_stop_before_the_start_is_harmless(shell: Shell) -> None:
    monitor = Monitor(
        TopologyCore(REPLICATION),
        Way(timeout=1.0),
        account=lambda: None,
        carry_out=shell.carry_out,
        observe=shell.observe,
    )
    await monitor.stop()


async def test_it_says_that_it_only_looks(fake: Server) -> None:
    watch = watch_of(fake, announced={"program_name": "fanin", "fanin_id": "5f"})
    await watch.look(REPLICATION, ACCOUNT)
    watch.close()
    for word in (b"fanin_id", b"5f", b"purpose", b"monitor"):
        assert word in fake.login
    assert b"aiomysql" not in fake.login


# How full a server is


def counted(server: Server, table: str, *cells: str | None) -> str:
    """What is asked in this table, which the server has an answer to now."""
    text = queries.with_count(queries.MYSQL_OCCUPANCY, table, "5f")
    server.answers[text] = rows(tuple("abcdefg"), (*OCCUPANCY, *cells))
    return text


def counting_watch(server: Server) -> Watch:
    server.answers[queries.MYSQL_OCCUPANCY] = rows(tuple("abc"), OCCUPANCY)
    return watch_of(server, announced={"fanin_id": "5f"}, counts_fleet=True)


async def test_a_look_for_the_occupancy_alone_is_one_statement(fake: Server) -> None:
    fake.answers[queries.MYSQL_OCCUPANCY] = rows(tuple("abc"), OCCUPANCY)
    watch = watch_of(fake)
    for _ in range(2):
        assert await watch.look_at_occupancy(ACCOUNT) == Occupancy(151, 7, 0)
    watch.close()
    assert fake.asked == [queries.MYSQL_OCCUPANCY] * 2


async def test_mariadb_is_asked_for_it_in_its_own_words() -> None:
    async with serving(Server("10.11.5-MariaDB")) as server:
        server.answers[queries.MARIADB_OCCUPANCY] = rows(tuple("abc"), OCCUPANCY)
        watch = watch_of(server)
        assert (await watch.look_at_occupancy(ACCOUNT)).connected == 7
        watch.close()


async def test_looks_at_who_it_is_tell_it_too(fake: Server) -> None:
    watch = watch_of(fake)
    assert (await watch.look(REPLICATION, ACCOUNT)).occupancy == Occupancy(151, 7, 0)
    watch.close()


async def test_the_first_look_counts_the_fleet(fake: Server) -> None:
    watch = counting_watch(fake)
    text = counted(fake, "session_connect_attrs", "2", "2", "4", "6")
    assert (await watch.look_at_occupancy(ACCOUNT)).count == Count(2, 2, 4, 6, is_all=True, is_complete=True)
    assert (await watch.look_at_occupancy(ACCOUNT)).count is None
    watch.close()
    assert fake.asked == [text, queries.MYSQL_OCCUPANCY]


async def test_without_the_privilege_those_of_the_account(fake: Server) -> None:
    watch = counting_watch(fake)
    counted(fake, "session_account_connect_attrs", "2", "2", "4", "6")
    assert (await watch.look_at_occupancy(ACCOUNT)).count == Count(2, 2, 4, 6, is_all=False)
    watch.close()
    assert fake.connections == 1


async def test_without_attributes_by_locks(fake: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in TABLES:
        counted(fake, table, "0", None, None, "0")
    luck = iter([0.0, 0.5, 0.25])
    monkeypatch.setattr("proxy.monitor.random.random", lambda: next(luck))
    watch = counting_watch(fake)
    slots = (0, SLOTS // 2)
    for slot, own in zip(slots, "01", strict=True):
        text = queries.with_locks(queries.MYSQL_OCCUPANCY, slot, False, SLOTS)
        fake.answers[text] = rows(tuple("abcdefg"), (*OCCUPANCY, "3", own, "0", "0"))
    held = queries.with_locks(queries.MYSQL_OCCUPANCY, slots[1], True, SLOTS)
    fake.answers[held] = rows(tuple("abcdefg"), (*OCCUPANCY, "4", "1", "0", "0"))
    found = []
    now = watch.now()
    for number in range(3):
        monkeypatch.setattr(watch, "now", lambda number=number: now + 1000.0 * number)
        found.append((await watch.look_at_occupancy(ACCOUNT)).fleet())
    watch.close()
    assert found == [0, 4, 5]
    assert (fake.connections, len(fake.asked)) == (1, 5)


async def test_where_nothing_can_be_counted_that_is_said_and_not_asked_again(fake: Server) -> None:
    watch = counting_watch(fake)
    for _ in range(3):
        found = await watch.look_at_occupancy(ACCOUNT)
        assert (found.count, found.trouble) == (None, NO_COUNT)
    watch.close()
    assert (fake.connections, len(fake.asked)) == (1, 6)


async def test_a_count_that_ends_the_connection_is_no_refusal(fake: Server) -> None:
    watch = counting_watch(fake)
    fake.answers[queries.with_count(queries.MYSQL_OCCUPANCY, TABLES[0], "5f")] = error(1053, "shutting down")
    with pytest.raises(LookFailed) as caught:
        await watch.look_at_occupancy(ACCOUNT)
    assert (caught.value.cause, caught.value.code) == (Cause.LOST, 1053)
    found = await watch.look_at_occupancy(ACCOUNT)
    watch.close()
    assert (found.connected, found.count, found.trouble) == (7, None, "")


@pytest.mark.parametrize("code", [3024, 3636])
async def test_a_count_that_is_too_much_for_the_server_is_none(fake: Server, code: int) -> None:
    watch = counting_watch(fake)
    fake.answers[queries.with_count(queries.MYSQL_OCCUPANCY, TABLES[0], "5f")] = error(code, "too much")
    counted(fake, TABLES[1], "2", "2", "4", "6")
    assert (await watch.look_at_occupancy(ACCOUNT)).count is not None
    watch.close()
    assert fake.connections == 1


async def test_an_answer_of_other_columns_is_not_understood(fake: Server) -> None:
    fake.answers[queries.MYSQL_OCCUPANCY] = rows(tuple("ab"), ("1", "2"))
    with pytest.raises(LookFailed, match="max_connections: 2 columns instead of 3 or 7"):
        await watch_of(fake).look_at_occupancy(ACCOUNT)
