"""The connection phase and COM_CHANGE_USER, as dialogues."""

from __future__ import annotations

import pytest

from protocol.auth import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, native_scramble, sha2_scramble, xor_password
from protocol.constants import Capability
from protocol.framing import frame
from protocol.handshake import AuthSwitchRequest, HandshakeResponse41, HandshakeV10, SSLRequest
from protocol.packets import build_ok, parse_err
from protocol.session_track import SessionChanges
from proxy.login import LOGIN_LIMIT, Doorway
from proxy.reasons import CloseReason
from proxy.rsa import encrypt
from proxy.shared import FIRST_CONNECTION_ID, SESSION_POOLING
from tests.fakes.client import FakeClient
from tests.fakes.wire import IN_TRANS, OLD_CLIENT, PING, RESET, init_db, ok, packets, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

SELECT = query("SELECT 1")


def greeting_of(client: FakeClient) -> HandshakeV10:
    ((number, payload),) = packets(client.got())
    assert number == 0
    return HandshakeV10.parse(payload)


def response(
    greeting: HandshakeV10,
    *,
    user: bytes = b"app",
    password: bytes = b"secret",
    plugin: bytes = CACHING_SHA2_PASSWORD,
    schema: bytes | None = None,
) -> bytes:
    """The payload of a client's answer to the greeting."""
    scramble = native_scramble if plugin == NATIVE_PASSWORD else sha2_scramble
    capabilities = OLD_CLIENT | (int(Capability.CONNECT_WITH_DB) if schema is not None else 0)
    return HandshakeResponse41(
        capabilities, 1 << 24, 45, user, scramble(password, greeting.nonce), schema, plugin, {}
    ).build()


# The greeting


def test_a_client_is_greeted_as_its_server_would(world: World) -> None:
    greeting = greeting_of(world.connects())
    assert (greeting.server_version, greeting.collation) == (world.server.version, 255)
    assert greeting.plugin == CACHING_SHA2_PASSWORD
    assert not greeting.capabilities & Capability.SSL
    assert len(world.shared.logins) == 1


def test_connection_ids_are_our_own_and_differ(world: World) -> None:
    ids = [greeting_of(world.connects()).connection_id for _ in range(3)]
    assert ids == [FIRST_CONNECTION_ID, FIRST_CONNECTION_ID + 1, FIRST_CONNECTION_ID + 2]


def test_a_client_waits_until_the_server_is_known(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    client = world.connects()
    client.gets_nothing()
    world.loop.call(world.learn_server)
    assert greeting_of(client).server_version == world.server.version


def test_a_client_is_told_that_no_server_can_be_reached(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    world.writer.last_failure = "Connection refused"
    client = world.connects()
    world.loop.advance(5)
    ((number, payload),) = packets(client.got())
    error = parse_err(payload)
    assert (number, error.code, error.sqlstate) == (0, 2003, b"")
    assert error.message == b"Fanin: can't connect to server writer: Connection refused"
    assert client.is_closed


def test_a_client_that_leaves_before_the_greeting_is_forgotten(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    client = world.connects()
    client.leaves()
    world.loop.call(world.learn_server)
    client.gets_nothing()


# Coming in


def test_a_known_password_needs_no_server(world: World) -> None:
    client = world.client()
    assert world.server.ends == []
    client.sends(PING)
    client.gets(ok())
    frontend = world.frontend(client)
    assert (frontend.program, frontend.peer) == ("test", "192.0.2.1:40000")
    assert world.shared.logins == {}


@pytest.mark.parametrize(
    ("attributes", "program"),
    [
        ({b"program_name": b"shop", b"application": b"other"}, "shop"),
        ({b"application": b"billing"}, "billing"),
        ({b"program_name": b"a\nb\x00" + b"c" * 100}, "ab" + "c" * 60),
        ({}, ""),
    ],
)
def test_what_a_client_calls_itself(world: World, attributes: dict[bytes, bytes], program: str) -> None:
    client = world.client(attributes=attributes)
    assert world.frontend(client).program == program


def test_the_answer_to_the_greeting_may_come_byte_by_byte(world: World) -> None:
    client = world.connects()
    greeting = greeting_of(client)
    for byte in frame(response(greeting), 1):
        client.gets_nothing()
        client.sends(bytes([byte]))
    assert [number for number, _ in packets(client.got())] == [2, 3]


def test_the_first_command_may_follow_the_last_packet_of_the_login_at_once(world: World) -> None:
    client = world.connects()
    greeting = greeting_of(client)
    client.sends(frame(response(greeting), 1) + PING)
    assert client.got().endswith(ok())


def test_a_session_of_a_pool_in_session_mode_keeps_its_backend(make_world: MakeWorld) -> None:
    world = make_world(pool_mode=SESSION_POOLING)
    client = world.client()
    client.sends(SELECT)
    server = world.backend()
    server.answers(ok())
    assert world.pool() == "1 leased"
    server.got()
    client.sends(RESET)
    server.answers(ok())
    server.answers(ok())
    assert world.pool() == "1 leased"
    client.leaves()
    assert world.pool() == "1 resetting"


def test_a_wrong_password_is_refused_the_later_the_more_there_were(world: World) -> None:
    for delay in (0.1, 0.2, 0.4):
        client = world.connects()
        client.logs_in(password=b"wrong")
        world.loop.advance(delay * 0.9)
        assert client.refused is None
        world.loop.advance(delay * 0.2)
        assert client.refused is not None and client.refused.code == 1045
        assert client.refused.message == b"Access denied for user 'app'@'192.0.2.1' (using password: YES)"
        assert client.is_closed
    assert world.counters.login_failures == {"1045": 3}


def test_a_client_that_leaves_during_the_delay_is_told_nothing(world: World) -> None:
    client = world.connects()
    client.logs_in(password=b"wrong")
    client.leaves()
    world.loop.advance(5)
    assert client.refused is None
    assert world.counters.frontend_closes == {"client-left": 1}


def test_a_login_that_takes_too_long_is_ended(world: World) -> None:
    client = world.connects()
    (login,) = world.shared.logins
    assert login.deadline == world.loop.now + 10
    world.loop.call(login.expire)
    assert client.is_closed
    assert world.counters.frontend_closes == {"login-timeout": 1}
    assert world.counters.login_failures == {"timeout": 1}


def test_a_client_that_comes_in_during_the_drain_is_closed(world: World) -> None:
    client = world.connects()
    world.shared.is_draining = True
    client.logs_in()
    assert (client.connected, client.is_closed) == (None, True)
    assert world.counters.frontend_closes == {"drained": 1}


# Garbage


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(b"\x00\x82\x00\x00garbage", 1), 1043),
        (frame(b"\x00\x02\x00\x00" + b"\xff" * 100, 1), 1043),
        (frame(b"", 1), 1043),
        (frame(b"x" * 10, 5), 1156),
        (b"GET / HTTP/1.1\r\n\r\n", 1156),
        ((LOGIN_LIMIT + 1).to_bytes(3, "little") + b"\x01", 1153),
    ],
)
def test_garbage_before_the_login_is_refused(world: World, wire: bytes, code: int) -> None:
    client = world.connects()
    client.got()
    client.sends(wire)
    client.gets_error(code, sequence_id=wire[3] + 1)
    assert client.is_closed
    assert world.log.warnings() == ["bad packet before login"]
    assert world.log.lines[-1][2]["peer"] == "192.0.2.1:40000"
    assert world.counters.login_failures == {"protocol": 1}


def test_a_client_from_before_mysql_41_is_refused(world: World) -> None:
    client = world.connects()
    client.got()
    client.sends(frame(b"\x01\x00\xff\xff\xffapp\0", 1))
    client.gets_error(1251, sequence_id=2)


def test_bytes_before_the_greeting_are_refused(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    client = world.connects()
    client.sends(frame(b"too early", 1))
    assert client.is_closed
    assert b"greeting" in client.got()


def test_tls_that_was_not_offered_is_refused(world: World) -> None:
    client = world.connects()
    client.got()
    client.sends(frame(SSLRequest(OLD_CLIENT | int(Capability.SSL), 1 << 24, 45).build(), 1))
    client.gets_error(1043, sequence_id=2)
    assert client.is_closed


def test_a_listener_that_requires_tls_refuses_a_client_without(world: World) -> None:
    client = world.connects(Doorway(False, False, None, True))
    client.logs_in()
    assert client.refused is not None and client.refused.code == 3159
    assert client.is_closed


# COM_CHANGE_USER


def change_user(user: bytes, schema: bytes = b"") -> bytes:
    return frame(
        b"\x11" + user + b"\0" + b"\x00" + schema + b"\0" + b"\x2d\x00" + CACHING_SHA2_PASSWORD + b"\0"
    )


def switched(client: FakeClient) -> AuthSwitchRequest:
    ((number, payload),) = packets(client.got())
    assert number == 1
    return AuthSwitchRequest.parse(payload)


def test_a_user_is_changed_on_the_old_connection(world: World) -> None:
    client = world.client(schema=b"shop")
    client.sends(query("BEGIN"))
    server = world.backend()
    server.answers(ok(IN_TRANS))
    client.got()
    client.sends(change_user(b"app", b"test"))
    # what the old session held is reset
    assert world.pool() == "1 resetting"
    switch = switched(client)
    client.sends(frame(sha2_scramble(b"secret", switch.nonce), 2))
    client.gets(frame(b"\x01\x03", 3), ok(sequence_id=4))
    assert world.frontend(client).session.vector.schema == b"test"
    server.got()
    server.answers(ok())
    server.answers(ok())
    client.sends(SELECT)
    server.gets(frame(b"\x03" + world.setup), init_db("test"))


@pytest.mark.parametrize("tracks", [True, False])
def test_a_client_that_tracks_is_told_its_schema_when_it_comes_in(world: World, tracks: bool) -> None:
    wanted = OLD_CLIENT | (int(Capability.SESSION_TRACK) if tracks else 0)

    def welcome(schema: bytes) -> bytes:
        return build_ok(status=2, changes=SessionChanges(schema=schema) if tracks else None)

    client = world.connects()
    greeting = greeting_of(client)
    capabilities = wanted | int(Capability.CONNECT_WITH_DB)
    scramble = sha2_scramble(b"secret", greeting.nonce)
    client.sends(
        frame(
            HandshakeResponse41(
                capabilities, 1 << 24, 45, b"app", scramble, b"test", CACHING_SHA2_PASSWORD, {}
            ).build(),
            1,
        )
    )
    client.gets(frame(b"\x01\x03", 2), frame(welcome(b"test"), 3))
    for schema in (b"shop", b""):
        client.sends(change_user(b"app", schema))
        client.sends(frame(sha2_scramble(b"secret", switched(client).nonce), 2))
        client.gets(
            frame(b"\x01\x03", 3), frame(welcome(schema), 4) if schema else frame(build_ok(status=2), 4)
        )


@pytest.mark.parametrize("is_off", [0, 1])
def test_a_change_leaves_whether_several_statements_may_be_sent(world: World, is_off: int) -> None:
    client = world.client(schema=b"shop")
    set_option = frame(bytes([0x1B, is_off, 0]))
    client.sends(set_option)
    server = world.backend()
    server.answers(ok())
    client.got()
    client.sends(change_user(b"app", b"shop"))
    client.sends(frame(sha2_scramble(b"secret", switched(client).nonce), 2))
    assert world.frontend(client).session.vector.multi_statements == (not is_off)


def test_commands_behind_the_change_are_those_of_the_new_user(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switch = switched(client)
    client.sends(frame(sha2_scramble(b"secret", switch.nonce), 2) + PING)
    client.gets(frame(b"\x01\x03", 3), ok(sequence_id=4), ok())


def test_a_change_to_an_unknown_user_asks_for_the_password_and_proves_it(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"other"))
    switch = switched(client)
    client.sends(frame(sha2_scramble(b"other", switch.nonce), 2))
    client.gets(frame(b"\x01\x04", 3))
    client.sends(frame(b"\x02", 4))
    ((number, key),) = packets(client.got())
    assert number == 5
    client.sends(frame(encrypt(key[1:], xor_password(b"other", switch.nonce)), 6))
    client.gets(ok(sequence_id=7))
    assert world.frontend(client).user_name() == "other"
    assert [end.login.user for end in world.server.ends if end.login is not None] == [b"other"]


def test_a_change_with_a_wrong_password_ends_the_connection(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switched(client)
    client.sends(frame(b"x" * 32, 2))
    client.gets(frame(b"\x01\x04", 3))
    client.sends(frame(b"x" * 256, 4))
    world.loop.advance(1)
    client.gets_error(1045, "Access denied for user 'app'@'192.0.2.1'", sequence_id=5)
    assert client.is_closed
    assert world.counters.frontend_closes == {"login-failed": 1}


def test_a_client_may_leave_while_its_user_is_changed(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    client.leaves()
    assert world.shared.frontends == {}


def test_a_change_that_takes_too_long_ends_the_connection(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switched(client)
    world.loop.advance(9.9)
    assert not client.is_closed
    world.loop.advance(0.2)
    assert client.is_closed
    assert world.counters.frontend_closes == {"login-timeout": 1}


def test_a_change_that_is_over_has_no_deadline(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switch = switched(client)
    client.sends(frame(sha2_scramble(b"secret", switch.nonce), 2))
    world.loop.advance(11)
    client.sends(PING)
    assert not client.is_closed


def test_a_malformed_change_is_refused(world: World) -> None:
    client = world.client()
    client.sends(frame(b"\x11app"))
    client.gets_error(1835)
    assert client.is_closed


def test_a_packet_out_of_order_during_the_change_is_refused(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switched(client)
    client.sends(PING)
    client.gets_error(1156)
    assert client.is_closed


def test_an_old_session_does_not_come_back_after_a_failed_change(world: World) -> None:
    client = world.client()
    client.sends(change_user(b"app"))
    switch = switched(client)
    frontend = world.frontend(client)
    world.loop.call(frontend.close, CloseReason.SHUTDOWN)
    client.sends(frame(sha2_scramble(b"secret", switch.nonce), 2))
    assert world.shared.frontends == {}
