import resource

import pytest

from bench.client import ClientError, Connection, Target, control, opened, raise_file_limit
from bench.response import Response
from bench.servers import Server
from bench.workload import Step
from protocol.constants import Capability
from protocol.packets import build_err
from tests.bench.fakes import CAPABILITIES, HANG_UP, OK, FakeServer, error, rows, until


class Recorder(Connection):
    """Notes what a load would be told."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.told: list[object] = []

    def answered(self, response: Response | None) -> None:
        self.told.append(None if response is None else response.rows)

    def broke(self, label: str, message: str) -> None:
        self.told.append(label)


def test_dsn_names_a_target() -> None:
    target = Target.of_dsn("mysql://me:p%40ss@db.example:3307/shop")
    assert target == Target("db.example", 3307, "me", "p@ss", "shop")
    assert target.address == "db.example:3307"
    assert Target.of_dsn("mariadb+pymysql://me@h/d") == Target("h", 3306, "me", "", "d")


def test_target_says_how_to_connect() -> None:
    target = Target("127.0.0.1", 6033, database="shop")
    assert target.dsn == "mysql://app:app@127.0.0.1:6033/shop"
    assert target.command == "mariadb -h127.0.0.1 -P6033 -uapp -papp shop"


@pytest.mark.parametrize(
    "dsn", ["postgres://a:b@h/d", "mysql://h/d", "mysql://a:b@h", "mysql://a:b@/d", "h:3306"]
)
def test_dsn_that_says_too_little_is_refused(dsn: str) -> None:
    with pytest.raises(ValueError, match="mysql://"):
        Target.of_dsn(dsn)


async def test_control_connection_asks_questions(fake: FakeServer) -> None:
    fake.answers["SELECT x"] = rows(b"1", b"2")
    async with control(fake.target) as ask:
        assert await ask.rows("SELECT x") == [(b"1",), (b"2",)]
        assert await ask.rows("DO 0") == []
    assert fake.statements == ["SELECT x", "DO 0"]


async def test_errors_and_wrong_answers_raise(fake: FakeServer) -> None:
    fake.answers["bad"] = error(1064, b"syntax")
    async with control(fake.target) as ask:
        with pytest.raises(ClientError, match="1064 syntax") as refused:
            await ask.rows("bad")
        assert refused.value.label == "1064"
        with pytest.raises(ClientError, match="0 rows affected instead of 1") as wrong:
            await ask.run(Step("UPDATE", affected=1))
        assert wrong.value.label == "wrong answer"


async def test_lost_connection_raises_then_and_ever_after(fake: FakeServer) -> None:
    fake.answers["bye"] = HANG_UP
    async with control(fake.target) as ask:
        for _ in range(2):
            with pytest.raises(ClientError) as lost:
                await ask.rows("bye")
            assert lost.value.label == "lost"


async def test_refused_login_raises(fake: FakeServer) -> None:
    fake.refusal = build_err(1045, b"28000", b"Access denied")
    with pytest.raises(ClientError, match="Access denied") as refused:
        await Connection.open(fake.target)
    assert refused.value.label == "login 1045"


async def test_nobody_listening_raises() -> None:
    with pytest.raises(ClientError, match="cannot connect to") as refused:
        await Connection.open(Target("127.0.0.1", 1))
    assert refused.value.label == "connect"


async def test_known_response_is_not_parsed_again(fake: FakeServer) -> None:
    step = Step("SELECT x", rows=[(b"1",)], repeats=True)
    fake.answers["SELECT x"] = rows(b"1")
    recorder = await opened(Recorder(fake.target))
    recorder.ask(step)
    await until(lambda: len(recorder.told) == 1)
    step.known = recorder.chunk
    recorder.ask(step)
    await until(lambda: len(recorder.told) == 2)
    assert recorder.told == [[(b"1",)], None]
    assert not recorder.is_asking
    recorder.close()


@pytest.mark.parametrize("answer", [OK + OK, rows(b"1") + OK, b"\x00\x00\x00\x05"])
async def test_bytes_that_are_no_response_break_the_connection(fake: FakeServer, answer: bytes) -> None:
    fake.answers["SELECT x"] = answer
    recorder = await opened(Recorder(fake.target))
    recorder.ask(Step("SELECT x"))
    await until(lambda: len(recorder.told) == 1)
    assert recorder.told == ["bad response"]
    assert recorder.transport is None


async def test_bytes_that_nobody_asked_for_break_the_connection(fake: FakeServer) -> None:
    recorder = await opened(Recorder(fake.target))
    recorder.data_received(OK)
    assert recorder.told == ["bad response"]


@pytest.mark.parametrize("size", [1, 5])
def test_response_in_pieces_is_put_together(size: int) -> None:
    recorder = Recorder(Target("127.0.0.1", 1))
    recorder._login = None
    recorder.is_asking = True
    wire = rows(b"1", b"2")
    for at in range(0, len(wire), size):
        recorder.data_received(wire[at : at + size])
    assert recorder.told == [[(b"1",), (b"2",)]]
    assert recorder.chunk == wire


def known_in_pieces(*pieces: bytes) -> Recorder:
    """A client that knows the response with two rows, and gets these pieces."""
    recorder = Recorder(Target("127.0.0.1", 1))
    recorder._login = None
    recorder.is_asking = True
    recorder._known = rows(b"1", b"2")
    for piece in pieces:
        recorder.data_received(piece)
    return recorder


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_known_response_is_known_in_pieces_too(size: int) -> None:
    wire = rows(b"1", b"2")
    recorder = known_in_pieces(*[wire[at : at + size] for at in range(0, len(wire), size)])
    assert recorder.told == [None]
    assert not recorder.is_asking


def test_response_that_goes_on_otherwise_than_the_known_one_is_parsed() -> None:
    wire = rows(b"1", b"3")
    recorder = known_in_pieces(wire[:40], wire[40:-3], wire[-3:])
    assert recorder.told == [[(b"1",), (b"3",)]]
    assert known_in_pieces(rows(b"1", b"2") + OK).told == ["bad response"]


def test_file_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < raise_file_limit() < hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


async def test_real_servers_let_clients_in(server: Server) -> None:
    target = Target(server.host, server.port, server.user, server.password, server.schema)
    for _ in range(2):  # the second time, caching_sha2_password takes its fast path
        async with control(target) as ask:
            assert await ask.rows("SELECT CURRENT_USER(), DATABASE(), NULL") == [(b"app@%", b"app", None)]


@pytest.mark.mysql
async def test_clients_can_insist_on_tls(mysql: Server) -> None:
    target = Target(mysql.host, mysql.port, mysql.user, mysql.password, mysql.schema, tls=True)
    async with control(target) as ask:
        ((_, cipher),) = await ask.rows("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cipher
        assert ask.transport is not None
        socket = ask.transport.get_extra_info("socket")
    # ended, not only about to be
    assert socket.fileno() == -1


async def test_server_without_tls_is_refused_by_those_who_insist(fake: FakeServer) -> None:
    with pytest.raises(ClientError, match="does not offer TLS"):
        await Connection.open(Target("127.0.0.1", fake.port, tls=True))


async def test_tls_that_fails_is_an_error(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says that it can, and answers with something else."""
    monkeypatch.setattr("tests.bench.fakes.CAPABILITIES", CAPABILITIES | int(Capability.SSL))
    with pytest.raises(ClientError) as failed:
        await Connection.open(Target("127.0.0.1", fake.port, tls=True))
    assert failed.value.label in ("tls", "lost")
