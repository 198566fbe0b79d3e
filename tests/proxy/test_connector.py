"""How backends are opened: connecting, the login, what is asked of a new connection, and what can go wrong."""

from __future__ import annotations

import ssl

import pytest

from protocol.auth import Verifier
from protocol.constants import Capability
from protocol.packets import Column, build_err, text_resultset
from proxy import tasks
from proxy.backend import CLOSED, IDLE, Backend, LossListener
from proxy.connector import MEASURE, Facts, Target, globals_query, open_backend, wait_timeout_of
from proxy.credentials import Credential
from proxy.identity import IGNORE_SPACE, KeyTable
from proxy.pool_states import NEVER
from proxy.replies import Failure
from proxy.tasks import spawn
from proxy.vector import NAMES_QUERY, SPOILT_SCHEMA, Vector
from tests.fakes.loop import StepLoop
from tests.fakes.server import CHARSETS, TLS_ERROR, FakeServer
from tests.fakes.wire import AUTOCOMMIT, error, ok
from tests.fakes.world import World

KEYS = KeyTable()
READ_COMMITTED = b"aurora_read_replica_read_committed"
CREDENTIAL = Credential(b"app", b"secret", Verifier.of_password(b"secret"))


class Opening:
    """One attempt."""

    def __init__(
        self,
        loop: StepLoop,
        fake: FakeServer,
        *,
        vector: Vector | None = None,
        capabilities: int = 0,
        collation: int = 45,
    ) -> None:
        self.loop = loop
        self.server = fake
        self.facts = Facts()
        self.backend = Backend(LossListener(), "writer:3306")
        self.target = Target("writer", fake.host, fake.port, None, "disabled", None, 5.0)
        self.vector = vector
        self.key = KEYS.key(b"app", capabilities, vector is not None and vector.schema is not None)
        self.collation = collation
        self.failure: BaseException | None = None
        self.is_done = False

    def start(self) -> None:
        self.loop.call_soon(lambda: spawn(self.run(), name="open"))

    def runs(self) -> Opening:
        """Up to its end, or until it waits."""
        self.start()
        self.loop.settle()
        return self

    async def run(self) -> None:
        try:
            await open_backend(
                self.backend,
                self.target,
                CREDENTIAL,
                self.key,
                self.vector,
                self.collation,
                self.facts,
                {b"a": b"b"},
            )
        except Failure as failure:
            self.failure = failure
        finally:
            self.is_done = True

    def fails(self, code: int, text: str) -> None:
        assert isinstance(self.failure, Failure)
        assert (self.failure.code, text in self.failure.message) == (code, True), self.failure.message
        assert self.backend.mode == CLOSED
        assert self.server.open_ends == []


@pytest.fixture
def fake(world: World) -> FakeServer:
    return world.server


@pytest.fixture
def loop(world: World) -> StepLoop:
    return world.loop


def test_a_new_backend_is_logged_in_set_up_and_idle(loop: StepLoop, fake: FakeServer) -> None:
    opening = Opening(loop, fake).runs()
    assert (opening.is_done, opening.failure, opening.backend.mode) == (True, None, IDLE)
    login = fake.last.login
    assert login is not None
    assert (login.user, login.database, login.attributes) == (b"app", None, {b"a": b"b"})
    assert opening.backend.server_id == fake.last.server_id
    vector = opening.backend.vector
    assert vector is not None and vector.variables[b"collation_connection"] == CHARSETS[3]


def test_what_is_the_same_for_all_connections_is_asked_once(loop: StepLoop, fake: FakeServer) -> None:
    first = Opening(loop, fake).runs()
    second = Opening(loop, fake)
    second.facts = first.facts
    second.runs()
    reset = b""
    assert [payload[1:] for payload in fake.ends[0].questions] == [
        globals_query(False),
        NAMES_QUERY,
        MEASURE,
        reset,
        MEASURE,
        first.backend.setup,
    ]
    assert [payload[1:] for payload in fake.ends[1].questions] == [globals_query(False), first.backend.setup]
    assert first.facts.sql_mode == b"STRICT_TRANS_TABLES"
    assert first.facts.max_allowed_packet == 67108864


@pytest.mark.parametrize("is_watched", [False, True])
def test_what_the_setup_sets_is_part_of_what_a_backend_has(
    loop: StepLoop, fake: FakeServer, is_watched: bool
) -> None:
    fake.variables = [*fake.variables, READ_COMMITTED]
    opening = Opening(loop, fake)
    opening.facts.is_watched = is_watched
    opening.runs()
    vector = opening.backend.vector
    assert vector is not None and (vector.variables.get(READ_COMMITTED) == b"ON") is is_watched
    assert opening.backend.setup.endswith(READ_COMMITTED + b"=ON") is is_watched
    assert opening.facts.fresh(vector) is vector


def test_a_session_that_is_in_a_schema_is_logged_in_there(loop: StepLoop, fake: FakeServer) -> None:
    vector = Vector.fresh(b"shop", {}).with_multi_statements(True)
    opening = Opening(loop, fake, vector=vector, capabilities=IGNORE_SPACE).runs()
    login = fake.last.login
    assert login is not None and login.database == b"shop"
    assert login.capabilities & Capability.MULTI_STATEMENTS and login.capabilities & Capability.IGNORE_SPACE
    assert opening.backend.vector is not None
    assert (opening.backend.vector.schema, opening.backend.vector.multi_statements) == (b"shop", True)


def test_measuring_spoils_the_schema(loop: StepLoop, fake: FakeServer) -> None:
    opening = Opening(loop, fake, vector=Vector.fresh(b"shop", {})).runs()
    assert opening.backend.vector is not None and opening.backend.vector.schema == SPOILT_SCHEMA
    again = Opening(loop, fake, vector=Vector.fresh(b"shop", {}))
    again.facts = opening.facts
    opening = again.runs()
    assert opening.backend.vector is not None and opening.backend.vector.schema == b"shop"


def test_results_are_several_only_for_clients_that_take_them(loop: StepLoop, fake: FakeServer) -> None:
    several = int(Capability.MULTI_RESULTS | Capability.PS_MULTI_RESULTS)
    for wanted, expected in ((0, 0), (int(Capability.MULTI_RESULTS), several)):
        Opening(loop, fake, capabilities=wanted).runs()
        login = fake.last.login
        assert login is not None and login.capabilities & several == expected


def test_mariadb_is_told_by_its_version(loop: StepLoop, fake: FakeServer) -> None:
    fake.version = b"5.5.5-10.11.19-MariaDB"
    opening = Opening(loop, fake).runs()
    assert opening.facts.is_mariadb
    assert opening.backend.setup.endswith(b"session_track_system_variables=_latin1'*'")


def test_another_version_is_measured_anew(loop: StepLoop, fake: FakeServer) -> None:
    first = Opening(loop, fake).runs()
    first.facts.charsets[8] = CHARSETS
    fake.version = b"8.4.0"
    second = Opening(loop, fake)
    second.facts = first.facts
    second.runs()
    assert (first.facts.server_version, list(first.facts.charsets)) == (b"8.4.0", [45])


def test_global_variables_that_were_changed_past_the_proxy_are_measured_anew(
    loop: StepLoop, fake: FakeServer
) -> None:
    first = Opening(loop, fake).runs()
    fake.globals = b"changed"
    second = Opening(loop, fake)
    second.facts = first.facts
    second.backend.globals = first.backend.globals
    second.runs()
    assert b"\x03" + MEASURE in fake.last.questions
    assert second.backend.globals == b"changed"
    # a server that does not tell
    fake.globals = None
    third = Opening(loop, fake)
    third.facts = first.facts
    third.backend.globals = b"changed"
    third.runs()
    assert b"\x03" + MEASURE not in fake.last.questions


# What can go wrong


def test_nobody_listens(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_down = True
    Opening(loop, fake).runs().fails(2003, "can't connect to server writer: Connection refused")


def test_a_server_that_is_full_says_so_in_place_of_a_greeting(loop: StepLoop, fake: FakeServer) -> None:
    fake.refusal = build_err(1040, b"", b"Too many connections", before_handshake=True)
    opening = Opening(loop, fake).runs()
    opening.fails(1040, "Too many connections")
    assert isinstance(opening.failure, Failure) and opening.failure.is_limit
    assert opening.failure.sqlstate == "08004"


def test_a_server_that_closes_after_its_error_is_understood(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_silent = True
    opening = Opening(loop, fake).runs()
    end = fake.last
    full = build_err(1040, b"", b"Too many connections", before_handshake=True)
    loop.call_soon(end.transport.deliver, len(full).to_bytes(4, "little") + full)
    loop.call_soon(end.transport.deliver_end)
    loop.settle()
    opening.fails(1040, "Too many connections")


def test_a_wrong_password(loop: StepLoop, fake: FakeServer) -> None:
    fake.passwords[b"app"] = b"changed"
    opening = Opening(loop, fake).runs()
    opening.fails(1045, "Access denied")
    assert isinstance(opening.failure, Failure) and opening.failure.is_credential


def test_a_schema_that_is_refused_is_left_out(loop: StepLoop, fake: FakeServer) -> None:
    opening = Opening(loop, fake, vector=Vector.fresh(b"nowhere", {})).runs()
    assert (opening.failure, opening.backend.mode, len(fake.open_ends)) == (None, IDLE, 1)
    assert opening.backend.vector is not None and opening.backend.vector.schema is None
    assert fake.last.login is not None and fake.last.login.database is None


@pytest.mark.parametrize("when", ["silent", "mute"])
def test_a_server_that_does_not_answer(loop: StepLoop, fake: FakeServer, when: str) -> None:
    fake.is_silent, fake.is_mute = when == "silent", when == "mute"
    opening = Opening(loop, fake).runs()
    loop.advance(4.9)
    assert not opening.is_done
    loop.advance(0.2)
    opening.fails(2003, "no answer within 5 s")


def test_a_server_that_goes_away_during_the_login(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_silent = True
    opening = Opening(loop, fake).runs()
    fake.last.closes()
    opening.fails(2003, "writer:3306 closed the connection")


def test_a_server_that_breaks_off_during_the_set_up(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_mute = True
    opening = Opening(loop, fake).runs()
    fake.last.breaks()
    opening.fails(2003, "lost the connection to writer:3306: Connection reset by peer")


def test_a_server_that_goes_away_right_after_the_last_answer_is_not_taken_for_idle(
    loop: StepLoop, fake: FakeServer
) -> None:
    fake.is_mute = True
    opening = Opening(loop, fake)
    opening.facts.meet(fake.version)
    opening.facts.setups[fake.version] = b"SET x=1"
    opening.facts.charsets[45] = CHARSETS
    opening.runs()
    end = fake.last
    assert end.got() == [b"\x03" + globals_query(False)]
    end.answers(text_resultset([Column(b"x")] * 2, [[b"", b""]], status=AUTOCOMMIT, deprecate_eof=True))
    assert end.got() == [b"\x03SET x=1"]
    loop.call_soon(end.transport.deliver, ok())
    loop.call_soon(end.transport.deliver_end)
    loop.settle()
    opening.fails(2003, "writer:3306 closed the connection")


def test_a_set_up_that_is_refused(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_mute = True
    opening = Opening(loop, fake).runs()
    fake.last.answers(error(1193, "Unknown system variable"))
    opening.fails(1193, "setting up a connection failed: Unknown system variable")


def test_a_server_that_speaks_something_else(loop: StepLoop, fake: FakeServer) -> None:
    fake.is_silent = True
    opening = Opening(loop, fake).runs()
    fake.last.answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    opening.fails(2003, "can't connect to server writer")


# TLS


def tls_opening(loop: StepLoop, fake: FakeServer, mode: str) -> Opening:
    fake.offers_tls = True
    opening = Opening(loop, fake)
    opening.target.tls_mode = mode
    opening.target.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return opening


@pytest.mark.parametrize("mode", ["preferred", "required"])
def test_tls_is_used_where_it_is_offered(loop: StepLoop, fake: FakeServer, mode: str) -> None:
    opening = tls_opening(loop, fake, mode).runs()
    assert (opening.failure, opening.backend.mode, fake.last.is_tls) == (None, IDLE, True)


def test_tls_that_is_required_and_not_offered(loop: StepLoop, fake: FakeServer) -> None:
    opening = tls_opening(loop, fake, "required")
    fake.offers_tls = False
    opening.runs().fails(2026, "the server does not offer TLS")


def test_tls_that_fails(loop: StepLoop, fake: FakeServer) -> None:
    fake.tls_error = TLS_ERROR
    tls_opening(loop, fake, "required").runs().fails(2026, "TLS to server writer failed")


# Cancelling


@pytest.mark.parametrize("mode", ["disabled", "required"])
def test_opening_may_be_cancelled_at_any_point(loop: StepLoop, fake: FakeServer, mode: str) -> None:
    for turn in range(1000):
        opening = tls_opening(loop, fake, mode)
        opening.start()
        for _ in range(turn + 1):
            loop.step()
        if opening.is_done:
            assert (opening.failure, turn > 5) == (None, True)
            return
        for task in tasks.running():
            task.cancel()
        loop.settle()
        assert fake.open_ends == []
        assert [task for task in tasks.running() if task.get_loop() is loop] == []
    raise AssertionError("opening never ends")


def test_how_long_the_server_bears_an_idle_connection() -> None:
    assert wait_timeout_of(b"STRICT,X|SYSTEM|utf8mb4|utf8mb4_bin|1|28800|600") == 28800.0
    for unknown in (b"", b"changed", b"a|b|c|d|e|f|g"):
        assert wait_timeout_of(unknown) == NEVER
