"""Several statements in one text, of which the first asks for warnings."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import Column, build_ok, parse_ok, text_resultset
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import IN_TRANS, NEW_CLIENT, error, ok, packets, query
from tests.fakes.world import World

MORE = 0x0008
COLUMNS = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
WARNING: list[bytes | None] = [b"Warning", b"1365", b"Division by 0"]
SHOW = query("SHOW WARNINGS")


def client_of(world: World) -> FakeClient:
    return world.client(capabilities=NEW_CLIENT | Capability.MULTI_STATEMENTS)


def refused(client: FakeClient) -> None:
    """It has one error to show, which no backend has."""
    client.sends(frame(b"\x7e"))
    client.gets_error(1047)


def numbers(got: bytes) -> list[int]:
    return [number for number, _ in packets(got)]


def test_the_answer_to_the_rest_counts_on(world: World) -> None:
    client = client_of(world)
    refused(client)
    client.sends(query("SHOW WARNINGS; SELECT a FROM t"))
    shown = packets(client.got())
    # columns, a row, the end
    assert [number for number, _ in shown] == [1, 2, 3, 4, 5, 6]
    assert b"Unknown command" in shown[4][1]
    assert parse_ok(shown[5][1], False).status & MORE
    server = world.backend()
    server.gets(query(" SELECT a FROM t"))
    server.answers(text_resultset([Column(b"a")], [[b"1"]], status=2, deprecate_eof=True))
    assert numbers(client.got()) == [7, 8, 9, 10]
    client.sends(query("DO 1"))
    server.gets(query("DO 1"))
    server.answers(ok())
    client.gets(ok())


def test_an_error_of_the_rest_counts_on(world: World) -> None:
    client = client_of(world)
    refused(client)
    client.sends(query("SHOW ERRORS;SELEC"))
    client.got()
    server = world.backend()
    server.gets(query("SELEC"))
    server.answers(error(1064))
    client.gets_error(1064, sequence_id=7)


def test_questions_one_after_the_other_need_no_server(world: World) -> None:
    client = client_of(world)
    refused(client)
    client.sends(query("SHOW COUNT(*) ERRORS; SHOW WARNINGS LIMIT 0; SELECT @@error_count"))
    got = packets(client.got())
    assert [number for number, _ in got] == list(range(1, 14))
    assert got[2] == (3, b"\x011")
    assert got[11] == (12, b"\x011")
    assert got[12][1] == build_ok(status=2, header=0xFE)


@pytest.mark.parametrize(
    "text",
    [
        "SHOW WARNINGS; KILL 5",
        "SHOW WARNINGS; EXECUTE p",
        "SHOW WARNINGS; GET DIAGNOSTICS @a = NUMBER",
        "/*! SHOW WARNINGS */; SELECT 1",
        "SELECT 1; SHOW WARNINGS",
    ],
)
def test_the_server_runs_what_has_to_be_run_as_it_is(world: World, text: str) -> None:
    client = client_of(world)
    refused(client)
    client.sends(query(text))
    client.gets_nothing()


def test_warnings_in_front_are_the_sessions_on_mariadb(world: World) -> None:
    world.facts.meet(b"10.11.6-MariaDB")
    client = client_of(world)
    refused(client)
    client.sends(query("SHOW WARNINGS; SELECT a FROM t"))
    assert b"Unknown command" in client.got()
    world.backend().gets(query(" SELECT a FROM t"))
    world.backend().answers(text_resultset([Column(b"a")], [[b"1"]], status=2, deprecate_eof=True))
    assert numbers(client.got()) == [7, 8, 9, 10]


def test_nothing_is_answered_to_a_client_that_may_not_send_several(world: World) -> None:
    client = world.client(capabilities=NEW_CLIENT & ~int(Capability.MULTI_STATEMENTS))
    refused(client)
    client.sends(query("SHOW WARNINGS; SELECT a FROM t"))
    world.backend().got()
    client.gets_nothing()
    world.backend().answers(error(1064))
    client.gets_error(1064)


def begun(world: World, client: FakeClient) -> ServerEnd:
    for text in ("BEGIN", "DO 1/0"):
        client.sends(query(text))
        server = world.backend()
        server.gets(query(text))
        server.answers(ok(IN_TRANS, warnings=int(text != "BEGIN")))
        client.gets(ok(IN_TRANS, warnings=int(text != "BEGIN")))
    return server


def test_warnings_that_only_the_held_backend_has_are_read_before_the_insert_id_is_restored(
    world: World,
) -> None:
    client = client_of(world)
    server = begun(world, client)
    client.sends(query("SHOW WARNINGS; SELECT a FROM t"))
    server.gets(SHOW)
    server.answers(text_resultset(COLUMNS, [WARNING], status=IN_TRANS, deprecate_eof=True))
    assert b"Division by 0" in client.got()
    server.gets(query(" SELECT a FROM t"))
