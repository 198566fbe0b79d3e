"""Views and triggers that ask for the insert id without a word: what is asked about them, and what gets the insert id back."""

from __future__ import annotations

import pytest

from protocol.framing import payload_of
from protocol.packets import Column, text_resultset
from proxy.classify import classify
from proxy.statement import REDEFINES
from proxy.unseen import LIFETIME, MOST_NAMES, Survey
from tests.fakes.client import FakeClient
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, error, execute, ok, prepare, prepared, query, rows
from tests.fakes.world import World

SELECT = query("SELECT 1")
FROM_VIEW = query("SELECT * FROM asking")
RESTORED = query("SET last_insert_id=7")


def captured(world: World, client: FakeClient, other: FakeClient) -> ServerEnd:
    """The client's insert id has been read off its backend, because another session needed that."""
    world.shared.surveys_definitions = True
    client.sends(query("INSERT INTO t VALUES (NULL)"))
    server = world.backend()
    server.got()
    server.answers(ok(insert_id=7))
    other.sends(SELECT)
    (asked,) = server.got()
    items = asked.removeprefix(b"\x03SELECT ").removesuffix(b" LIMIT 1").split(b", ")
    values: list[bytes | None] = [b"7" if b"LAST_INSERT_ID()" in item else b"0" for item in items]
    columns = [Column(item) for item in items]
    server.answers(text_resultset(columns, [values], status=AUTOCOMMIT, deprecate_eof=True))
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.got()
    other.got()
    return server


def surveyed(server: ServerEnd, *names: str) -> None:
    """The server is asked which definitions there are."""
    (asked,) = server.got()
    assert b"information_schema.TRIGGERS" in asked and asked.endswith(b" LIMIT %d" % (MOST_NAMES + 1))
    found: list[list[bytes | None]] = [[name.encode().hex().upper().encode()] for name in names]
    server.answers(text_resultset([Column(b"x")], found, status=AUTOCOMMIT, deprecate_eof=True))
    for _ in range(2):
        assert len(server.got()) == 1
        server.answers(ok())


def test_it_is_asked_once_and_mostly_there_is_nothing(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    for _ in range(2):
        client.sends(FROM_VIEW)
        if world.shared.surveys[("writer", b"app")].known_at == 0:
            surveyed(server)
        server.gets(FROM_VIEW)
        server.answers(rows(b"1"))
        client.got()
    assert world.counters.restores == 0


def test_a_statement_that_names_one_gets_the_insert_id_back(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(SELECT)
    surveyed(server, "asking")
    # what leads there
    surveyed(server, "asking", "leading")
    surveyed(server, "asking", "leading")
    server.gets(SELECT)
    server.answers(rows(b"1"))
    client.sends(FROM_VIEW)
    server.gets(RESTORED)
    server.answers(ok())
    server.gets(FROM_VIEW)
    server.answers(rows(b"7"))
    # it is there now
    client.sends(query("SELECT * FROM `Leading`"))
    server.gets(query("SELECT * FROM `Leading`"))
    server.answers(rows(b"7"))


def test_so_does_one_in_a_transaction(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(query("BEGIN"))
    surveyed(server, "asking")
    surveyed(server, "asking")
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    client.sends(FROM_VIEW)
    server.gets(RESTORED)
    server.answers(ok(IN_TRANS))
    server.gets(FROM_VIEW)
    server.answers(rows(b"7", status=IN_TRANS))
    client.sends(query("COMMIT"))
    server.gets(query("COMMIT"))
    server.answers(ok())


def test_changed_definitions_are_asked_for_again_and_until_then_anything_may_read(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(query("BEGIN"))
    surveyed(server)
    server.gets(query("BEGIN"))
    server.answers(ok(IN_TRANS))
    world.shared.surveys.clear()
    client.sends(query("SELECT 1 FROM t"))
    server.gets(RESTORED)
    server.answers(ok(IN_TRANS))
    server.gets(query("SELECT 1 FROM t"))
    server.answers(rows(b"1", status=IN_TRANS))
    client.sends(query("COMMIT"))
    server.answers(ok())


def test_it_is_asked_again_after_a_while_and_by_ddl(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(SELECT)
    surveyed(server)
    server.got()
    server.answers(rows(b"1"))
    world.tick(LIFETIME + 1)
    client.sends(SELECT)
    surveyed(server)
    server.got()
    server.answers(rows(b"1"))
    assert len(world.shared.surveys) == 1
    other.sends(query("CREATE VIEW v AS SELECT 1"))
    world.backend().answers(ok())
    assert not world.shared.surveys


def refused(world: World, command: bytes) -> ServerEnd:
    """This command, of a client whose insert id was captured, makes the server be asked, which refuses."""
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(command)
    assert len(server.got()) == 1
    server.answers(error(1044))
    return server


def test_a_refused_question_means_that_any_table_may_read(world: World) -> None:
    server = refused(world, FROM_VIEW)
    server.gets(RESTORED)
    server.answers(ok())
    server.gets(FROM_VIEW)
    server.answers(rows(b"1"))


def test_what_names_no_table_reads_nothing_unseen(world: World) -> None:
    server = refused(world, SELECT)
    server.gets(SELECT)
    server.answers(rows(b"1"))


def test_definitions_that_changed_while_it_was_asked(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(SELECT)
    world.shared.surveys.clear()
    surveyed(server)
    surveyed(server)
    server.gets(SELECT)
    server.answers(rows(b"1"))


def test_a_backend_that_is_lost_meanwhile(world: World) -> None:
    client, other = world.client(), world.client()
    captured(world, client, other).closes()
    client.sends(SELECT)
    server = world.backend()
    server.got()
    server.breaks()
    again = world.backend()
    assert again is not server
    surveyed(again)
    again.gets(SELECT)
    again.answers(rows(b"1"))


def test_binary_statements_are_looked_at_by_their_text(world: World) -> None:
    client, other = world.client(), world.client()
    server = captured(world, client, other)
    client.sends(prepare("SELECT * FROM asking"))
    surveyed(server, "asking")
    surveyed(server, "asking")
    assert [payload_of(prepare("SELECT * FROM asking"))] == server.got()
    server.answers(prepared(1))
    client.got()
    client.sends(execute(1))
    server.gets(RESTORED)


def test_names_that_cannot_be_looked_for() -> None:
    for names in (["ärger"], [f"v{i}" for i in range(MOST_NAMES + 1)]):
        survey = Survey()
        assert survey.learn([name.encode() for name in names], 5.0)
        assert survey.names is None and survey.may_read(b"SELECT 1")
        assert survey.learn([b"more"], 6.0)


def test_names_are_words() -> None:
    survey = Survey()
    assert survey.may_read(b"SELECT 1")
    assert not survey.learn([b"v.1", b"calls it"], 5.0)
    assert b"|calls[ ]it|v[.]1'" in survey.commands()[0]
    assert survey.learn([b"v.1"], 5.0)
    assert survey.may_read(b"SELECT * FROM `V.1`") and survey.may_read(b"SELECT * FROM `calls it`")
    assert not survey.may_read(b"SELECT * FROM v.11, v21, xv.1")


@pytest.mark.parametrize(
    ("text", "redefines"),
    [
        ("CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`a`@`b` VIEW v AS SELECT 1", True),
        ("CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1", True),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", True),
        ("drop procedure p", True),
        ("RENAME TABLE a TO b", True),
        ("ALTER TABLE a RENAME TO b", True),
        ("CREATE TABLE a (id INT)", False),
        ("SELECT * FROM view", False),
    ],
)
def test_what_may_change_definitions(text: str, redefines: bool) -> None:
    assert bool(classify(text.encode(), 0).flags & REDEFINES) == redefines
