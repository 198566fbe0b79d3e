"""Who is let in, what it costs the servers, and that nothing is left behind wherever a login is broken off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from protocol.auth import Verifier
from proxy import tasks
from proxy.credentials import PROOF_LIFETIME, Credential
from proxy.reasons import CloseReason
from tests.fakes.client import FakeClient
from tests.fakes.server import REFUSED_FULL, ServerEnd
from tests.fakes.wire import IN_TRANS, PING, error, init_db, ok, query
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

OTHER: dict[str, Any] = {"user": b"other", "password": b"other"}


def users(world: World) -> list[bytes]:
    """Who has logged in to the server, in order."""
    return [end.login.user for end in world.server.ends if end.login is not None]


# Passthrough


def test_an_unknown_password_is_proven_by_logging_in_with_it(world: World) -> None:
    client = world.client(**OTHER)
    assert users(world) == [b"other"]
    assert world.pool() == "1 idle"
    client.sends(query("SELECT 1"))
    world.backend().gets(query("SELECT 1"))


def test_a_proven_password_needs_no_server_the_next_time(world: World) -> None:
    for _ in range(3):
        world.client(**OTHER)
    assert users(world) == [b"other"]


def test_a_password_that_the_server_refuses_is_refused(world: World) -> None:
    client = world.connects()
    client.logs_in(user=b"other", password=b"wrong")
    world.loop.advance(1)
    assert client.refused is not None
    assert (client.refused.code, client.refused.message) == (1045, b"Access denied for user 'other'")
    assert world.pool() == ""


def test_many_clients_with_the_same_new_password_cost_one_login(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    clients = [world.connects() for _ in range(5)]
    for client in clients:
        client.logs_in(**OTHER)
    assert all(client.connected for client in clients)
    assert users(world) == [b"other"]


def test_a_learnt_password_that_was_changed_is_learnt_anew(world: World) -> None:
    world.client(**OTHER)
    world.server.passwords[b"other"] = b"changed"
    client = world.connects()
    client.logs_in(user=b"other", password=b"changed")
    assert client.connected is not None
    client = world.connects()
    client.logs_in(**OTHER)
    world.loop.advance(1)
    assert client.refused is not None and client.refused.code == 1045


def test_a_learnt_password_is_forgotten_when_the_server_refuses_it(world: World) -> None:
    first = world.client(**OTHER)
    world.server.passwords[b"other"] = b"changed"
    world.backend().closes()
    first.sends(query("SELECT 1"))
    first.gets_error(1045)
    assert world.shared.credentials.find(b"other") is None


def test_a_learnt_password_is_proven_again_after_a_while(make_world: MakeWorld) -> None:
    world = make_world(pool_size=3)
    world.client(**OTHER)
    assert users(world) == [b"other"]
    world.loop.advance(PROOF_LIFETIME + 1)
    for client in [world.connects() for _ in range(3)]:
        client.logs_in(**OTHER)
        assert client.connected is not None
    assert users(world) == [b"other", b"other"]


def test_a_revoked_password_opens_no_new_session_after_a_while(make_world: MakeWorld) -> None:
    world = make_world(pool_size=2)
    world.client(**OTHER)
    world.server.passwords[b"other"] = b"changed"
    world.client(**OTHER)
    world.loop.advance(PROOF_LIFETIME + 1)
    client = world.connects()
    client.logs_in(**OTHER)
    world.loop.advance(1)
    assert client.refused is not None and client.refused.code == 1045
    assert world.shared.credentials.find(b"other") is None


def test_without_passthrough_only_configured_users_come_in(make_world: MakeWorld) -> None:
    world = make_world(passthrough=False)
    client = world.connects()
    client.logs_in(**OTHER)
    world.loop.advance(1)
    assert client.refused is not None and b"add a [[users]] entry" in client.refused.message
    assert world.server.ends == []
    world.client()


def test_the_empty_password_is_proven_like_any_other(world: World) -> None:
    world.server.passwords[b"nobody"] = b""
    client = world.client(user=b"nobody", password=b"")
    assert users(world) == [b"nobody"]
    client.sends(PING)
    client.gets(ok())


def test_a_user_that_the_server_knows_no_password_of_is_refused(world: World) -> None:
    client = world.connects()
    client.logs_in(user=b"ghost", password=b"x")
    world.loop.advance(1)
    assert client.refused is not None and client.refused.code == 1045
    assert world.shared.credentials.find(b"ghost") is None


# Schemas and collations


def test_a_schema_is_proven_once_with_any_backend(world: World) -> None:
    world.shared.proven_schemas.clear()
    world.server.answers_itself = lambda payload: ok() if payload == init_db("shop")[4:] else None
    for _ in range(2):
        world.client(schema=b"shop")
    assert len(world.server.ends) == 1
    assert (b"app", b"shop") in world.shared.proven_schemas


def test_an_unknown_schema_is_refused_in_the_servers_words(world: World) -> None:
    client = world.connects()
    client.logs_in(schema=b"nowhere")
    # a connection without a schema was opened in its place, of use to others
    world.backend().gets(init_db("nowhere"))
    world.backend().answers(error(1049, "Unknown database 'nowhere'"))
    assert client.refused is not None
    assert (client.refused.code, client.refused.message) == (1049, b"Unknown database 'nowhere'")
    assert world.pool() == ""


def test_a_schema_is_proven_again_after_a_while(world: World) -> None:
    world.client(schema=b"shop")
    assert world.server.ends == []
    world.loop.advance(PROOF_LIFETIME)
    client = world.connects()
    client.logs_in(schema=b"shop")
    assert client.connected is None
    world.backend().gets(init_db("shop"))
    world.backend().answers(ok())
    assert client.connected is not None
    world.client(schema=b"shop")
    # with a backend that is in that schema already, too
    world.loop.advance(PROOF_LIFETIME)
    late = world.connects()
    late.logs_in(schema=b"shop")
    world.backend().gets(init_db("shop"))
    world.backend().answers(error(1049))
    assert late.refused is not None and late.refused.code == 1049


def test_an_unknown_schema_is_refused_by_an_idle_backend_too(make_world: MakeWorld) -> None:
    world = make_world()
    other = world.client(schema=b"shop")
    other.sends(query("DO 0"))
    server = world.backend()
    server.answers(ok())
    server.got()
    client = world.connects()
    client.logs_in(schema=b"nowhere")
    server.gets(init_db("nowhere"))
    server.answers(error(1049, "Unknown database 'nowhere'"))
    assert client.refused is not None and client.refused.code == 1049


def test_a_backend_that_is_lost_while_a_schema_is_proven(make_world: MakeWorld) -> None:
    world = make_world()
    other = world.client(schema=b"shop")
    other.sends(query("DO 0"))
    server = world.backend()
    server.answers(ok())
    server.got()
    world.shared.proven_schemas.clear()
    client = world.connects()
    client.logs_in(schema=b"test")
    server.gets(init_db("test"))
    server.breaks()
    assert client.refused is not None
    assert client.refused.code == 2013, client.refused.message
    assert world.pool() == ""


def test_the_character_sets_of_a_new_collation_are_measured(world: World) -> None:
    client = world.client(collation=8)
    assert 8 in world.facts.charsets
    assert [end.login.collation for end in world.server.ends if end.login is not None] == [8]
    client.sends(PING)
    client.gets(ok())


# When the server cannot help


def test_a_server_that_is_down_is_named(world: World) -> None:
    world.server.is_down = True
    client = world.connects()
    client.logs_in(**OTHER)
    world.tick(5.1)
    assert client.refused is not None
    assert client.refused.code == 2003
    assert b"can't connect to server writer: Connection refused" in client.refused.message


def test_a_full_pool_lets_a_new_user_wait_and_then_says_why(world: World) -> None:
    holder, client = world.client(), world.connects()
    holder.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS))
    client.logs_in(**OTHER)
    assert world.pool() == "1 leased, 1 waiting"
    world.tick(5.1)
    assert client.refused is not None and client.refused.code == 1040


# All backends leased


def running(world: World) -> ServerEnd:
    """The pool is taken by a statement that goes on."""
    world.client(**OTHER).sends(query("SELECT SLEEP(1000)"))
    server = world.backend()
    server.gets(query("SELECT SLEEP(1000)"))
    assert world.pool() == "1 leased"
    return server


def aside(world: World, server: ServerEnd) -> ServerEnd:
    """The side connection that a login uses."""
    assert world.pool() == "1 leased"
    end = world.backend()
    assert end is not server
    return end


def test_a_new_collation_is_measured_on_a_side_connection_while_all_are_leased(world: World) -> None:
    server = running(world)
    client = world.client(collation=8, **OTHER)
    assert 8 in world.facts.charsets
    assert aside(world, server).is_closed
    client.sends(PING)
    client.gets(ok())


def test_a_password_is_proven_again_on_a_side_connection_while_all_are_leased(world: World) -> None:
    running(world)
    world.loop.advance(PROOF_LIFETIME + 1)
    for client in [world.connects() for _ in range(3)]:
        client.logs_in(**OTHER)
        assert client.connected is not None
    assert users(world) == [b"other", b"other"]
    assert not world.writer.side_lock.locked()


def test_a_revoked_password_is_refused_while_all_are_leased(world: World) -> None:
    running(world)
    world.server.passwords[b"other"] = b"changed"
    world.loop.advance(PROOF_LIFETIME + 1)
    client = world.connects()
    client.logs_in(**OTHER)
    world.loop.advance(1)
    assert client.refused is not None and client.refused.code == 1045
    assert world.shared.credentials.find(b"other") is None


def test_a_schema_is_proven_on_a_side_connection_while_all_are_leased(world: World) -> None:
    server = running(world)
    clients = [world.connects() for _ in range(2)]
    for client in clients:
        client.logs_in(schema=b"shop", **OTHER)
    end = aside(world, server)
    end.gets(init_db("shop"))
    end.answers(ok())
    assert [client.connected is not None for client in clients] == [True, True]
    assert users(world) == [b"other", b"other"]


def test_an_unknown_schema_is_refused_while_all_are_leased(world: World) -> None:
    server = running(world)
    client = world.connects()
    client.logs_in(schema=b"nowhere", **OTHER)
    end = aside(world, server)
    end.gets(init_db("nowhere"))
    end.answers(error(1049))
    assert client.refused is not None and client.refused.code == 1049


def test_a_login_waits_for_the_pool_when_the_server_takes_no_side_connection(world: World) -> None:
    server = running(world)
    world.server.refusal = REFUSED_FULL
    client = world.connects()
    client.logs_in(collation=8, **OTHER)
    assert world.pool() == "1 leased, 1 waiting"
    world.server.refusal = None
    server.answers(ok())
    assert client.connected is not None


# Broken off


def new_user(world: World, client: FakeClient) -> None:
    client.begin_login(**OTHER)


def new_collation(world: World, client: FakeClient) -> None:
    client.begin_login(collation=8)


def new_schema(world: World, client: FakeClient) -> None:
    world.shared.proven_schemas.clear()
    client.begin_login(schema=b"shop")


def one_idle(world: World) -> None:
    """There is an idle backend, in another schema."""
    client = world.client(schema=b"test")
    client.sends(query("DO 0"))
    client.leaves()


@pytest.mark.parametrize("break_off", ["leaves", "expires", "task is cancelled"])
@pytest.mark.parametrize("start", [new_user, new_collation, new_schema])
@pytest.mark.parametrize("before", [None, one_idle])
def test_a_login_may_be_broken_off_at_any_point(
    make_world: MakeWorld,
    start: Callable[[World, FakeClient], None],
    before: Callable[[World], None] | None,
    break_off: str,
) -> None:
    for turn in range(1000):
        world = make_world()
        world.server.answers_itself = lambda payload: ok()
        if before is not None:
            before(world)
        client = world.connects()
        for login in list(world.shared.logins):
            start(world, client)
            for _ in range(turn):
                world.loop.step()
            if client.connected is not None or client.refused is not None:
                world.loop.settle()
                assert turn > 5
                return
            if break_off == "leaves":
                world.loop.call(client.transport.deliver_end)
            elif break_off == "expires":
                world.loop.call(login.expire)
            else:
                for task in tasks.running():
                    if task.get_name() in ("check password", "admit"):
                        task.cancel()
                world.loop.settle()
                world.loop.call(login.end, CloseReason.CLIENT_LEFT)
        # `make_world` looks at the end whether anything is leased, waits or runs
        assert world.writer.core.leased_count + world.writer.core.waiting_count == 0, turn
    raise AssertionError("the login never ends")


def test_a_password_that_waits_for_another_of_the_same_user_is_tried_when_that_is_given_up(
    world: World,
) -> None:
    world.server.is_silent = True
    first, second = world.connects(), world.connects()
    first.logs_in(**OTHER)
    second.logs_in(**OTHER)
    assert len(world.server.ends) == 1
    world.server.is_silent = False
    first.leaves()
    # the attempt for the first one goes on until its time is over; then there is room for the second one's
    world.tick(4.9)
    world.tick(0.5)
    world.tick(0.5)
    assert second.connected is not None or second.refused is not None


def test_credentials_that_need_no_proof_are_not_learnt(world: World) -> None:
    world.client()
    found = world.shared.credentials.find(b"app")
    assert found is not None and found.is_configured


def test_a_native_hash_becomes_usable_when_its_client_has_logged_in(world: World) -> None:
    verifier = Verifier.of_native_hash("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7")  # of "secret"
    credential = Credential(b"native", None, verifier, is_configured=True)
    world.shared.credentials._configured[b"native"] = credential
    client = world.connects()
    client.logs_in(user=b"native", password=b"secret")
    assert client.connected is not None
    assert credential.native_stage1 == hashlib.sha1(b"secret").digest()


def test_a_strangers_next_password_is_held_back_before_it_costs_a_connection(world: World) -> None:
    for _ in range(2):
        world.connects().logs_in(user=b"other", password=b"wrong")
    tried = len(world.server.ends)
    assert tried == 1
    world.loop.advance(0.1)
    assert len(world.server.ends) == 2
