"""What servers tell late, from the client's side and the server's."""

from __future__ import annotations

import pytest

from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import Column, build_ok, text_resultset
from protocol.session_track import SessionChanges
from proxy.keeping import TELL
from proxy.vector import CHARSET_VARIABLES
from tests.fakes.client import FakeClient
from tests.fakes.responses import wire
from tests.fakes.server import ServerEnd
from tests.fakes.wire import AUTOCOMMIT, IN_TRANS, NEW_CLIENT, error, ok, prepare, prepared, query
from tests.fakes.world import World

EOF_CLIENT = (NEW_CLIENT | int(Capability.SESSION_TRACK)) & ~int(Capability.DEPRECATE_EOF)
CONDITION = [Column(b"Level"), Column(b"Code"), Column(b"Message")]
TIME_ZONE = (b"time_zone", b"+01:00")


def tracking_client(world: World) -> FakeClient:
    world.facts.meet(b"10.11.6-MariaDB")
    return world.client(capabilities=EOF_CLIENT, schema=b"test")


def sets_time_zone(world: World, client: FakeClient) -> None:
    client.sends(query("SET time_zone='+01:00'"))
    world.backend().got()
    world.backend().answers(ok(changes=SessionChanges([TIME_ZONE], state_changed=True)))


def prepares(world: World, text: str) -> tuple[FakeClient, ServerEnd]:
    """A client that tracks, and its backend."""
    client = tracking_client(world)
    client.sends(prepare(text))
    server = world.backend()
    server.got()
    server.answers(prepared(1))
    client.got()
    return client, server


def test_a_schema_that_could_not_be_told_is_told_with_the_next_thing(world: World) -> None:
    client = tracking_client(world)
    client.sends(query("SELECT * FROM other.v"))
    server = world.backend()
    server.got()
    changes = SessionChanges(schema=b"test", transaction_state=b"T_______")
    end = build_ok(status=AUTOCOMMIT, header=0xFE, changes=changes)
    server.answers(wire([b"\x01", Column(b"x").build(), b"\x011", end]))
    client.got()
    sets_time_zone(world, client)
    client.gets(ok(changes=SessionChanges([TIME_ZONE], b"test")))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ok(changes=SessionChanges([(b"sql_warnings", b"OFF")], b"test")), b"test"),
        (ok(changes=SessionChanges([(b"sql_warnings", b"OFF")])), None),
        (error(1399), None),
    ],
)
def test_what_is_due_after_a_preparation_is_asked_for(
    world: World, answer: bytes, told: bytes | None
) -> None:
    client, server = prepares(world, "CALL other.p()")
    server.gets(frame(TELL))
    server.answers(answer)
    sets_time_zone(world, client)
    client.gets(ok(changes=SessionChanges([TIME_ZONE], told)))


def test_nothing_is_asked_where_no_other_schema_is_named(world: World) -> None:
    _, server = prepares(world, "CALL p()")
    server.gets_nothing()


@pytest.mark.parametrize("changes", [None, SessionChanges([(b"last_gtid", b"0-1-2")])])
def test_a_schema_after_an_error_is_not_told_until_an_answer_has_told_anything(
    world: World, changes: SessionChanges | None
) -> None:
    client = tracking_client(world)
    client.sends(query("SELECT * FROM v"))
    server = world.backend()
    server.answers(error(1365))
    server.answers(ok())
    client.sends(query("DROP TABLE t"))
    server.answers(ok(changes=changes))
    client.got()
    server.got()
    client.sends(query("SET @a=1"))
    server.gets(query("SET @a=1"))
    server.answers(ok(changes=SessionChanges(schema=b"test", state_changed=True)))
    client.gets(ok() if changes is None else ok(changes=SessionChanges(schema=b"test")))


@pytest.mark.parametrize(("schema", "told"), [(b"test", b"test"), (None, None)])
def test_what_is_due_after_an_error_is_asked_for(
    world: World, schema: bytes | None, told: bytes | None
) -> None:
    client = tracking_client(world)
    client.sends(query("INSERT INTO other.v VALUES (1)"))
    server = world.backend()
    server.answers(error(1146))
    server.answers(ok())
    server.got()
    kept: list[list[bytes | None]] = [[b"Error", b"1146", b"no"]]
    server.answers(text_resultset(CONDITION, kept, status=AUTOCOMMIT, deprecate_eof=True))
    server.gets(frame(TELL))
    server.answers(ok(changes=SessionChanges([(b"sql_warnings", b"OFF")], schema)))
    client.got()
    sets_time_zone(world, client)
    client.gets(ok(changes=SessionChanges([TIME_ZONE], told)))


def test_a_transaction_that_an_error_has_ended_is_known_though_the_backend_is_kept(world: World) -> None:
    client = world.client(schema=b"test")
    client.sends(query("CREATE TEMPORARY TABLE x (a INT)"))
    server = world.backend()
    server.answers(ok())
    client.sends(query("BEGIN"))
    server.answers(ok(AUTOCOMMIT | IN_TRANS))
    client.sends(query("TRUNCATE TABLE other.x"))
    server.got()
    server.answers(error(1146))
    server.gets(frame(b"\x1b\x01\0"))
    server.answers(ok())
    assert world.frontend(client).session.status == AUTOCOMMIT
    assert world.frontend(client).is_held()


@pytest.mark.parametrize("tracks", [False, True])
def test_nothing_is_asked_for_others_where_text_is_not_believed(world: World, tracks: bool) -> None:
    tracking = tracking_client(world)
    tracking.sends(query("SELECT 1"))
    world.backend().answers(ok())
    client = tracking_client(world) if tracks else world.client(schema=b"test")
    client.sends(query("SET NAMES big5"))
    server = world.backend()
    server.got()
    names = [(name, b"big5") for name in CHARSET_VARIABLES[:3]]
    server.answers(ok(changes=SessionChanges([*names, (CHARSET_VARIABLES[3], b"big5_chinese_ci")])))
    inserting = query("INSERT INTO other.v VALUES (1)")
    client.sends(inserting)
    while server.got() != [inserting[4:]]:
        server.answers(ok())
    server.answers(error(1146))
    assert server.got() == ([b"\x03SHOW WARNINGS"] if tracks else [])


def test_nothing_is_asked_after_an_error_that_names_no_other_schema(world: World) -> None:
    client = tracking_client(world)
    client.sends(query("INSERT INTO v VALUES (1)"))
    server = world.backend()
    server.answers(error(1146))
    server.answers(ok())
    assert TELL not in server.got()


@pytest.mark.parametrize("has_tracker", [False, True])
def test_others_leave_nothing_to_be_told_once_somebody_tracks(world: World, has_tracker: bool) -> None:
    tracking = tracking_client(world)
    client = world.client(schema=b"test")
    (tracking if has_tracker else client).sends(query("SELECT 1"))
    server = world.backend()
    server.answers(ok())
    client.sends(prepare("CALL other.p()"))
    server.got()
    server.answers(prepared(1))
    assert (TELL in server.got()) == has_tracker


def test_a_client_on_mysql_is_told_of_transactions_that_statements_begin(world: World) -> None:
    client = world.client(capabilities=EOF_CLIENT)
    begins = SessionChanges(transaction_state=b"T_______", transaction_characteristics=b"START TRANSACTION;")
    client.sends(query("BEGIN"))
    world.backend().answers(ok(IN_TRANS, changes=begins))
    client.gets(ok(IN_TRANS, changes=SessionChanges(transaction_state=b"T_______")))
    # this ends it, and an error tells nothing
    client.sends(query("CREATE TABLE t (a INT)"))
    world.backend().answers(error(1050))
    world.backend().answers(ok())
    client.got()
    client.sends(query("DO 1"))
    world.backend().answers(ok())
    client.gets(ok(changes=SessionChanges(transaction_state=b"________")))
    client.sends(query("DO 1"))
    world.backend().answers(ok())
    client.gets(ok())


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("CREATE TEMPORARY TABLE x (a INT)", True),
        ("DROP TEMPORARY TABLE there", True),
        ("DROP TEMPORARY TABLE IF EXISTS nowhere", False),
        ("EXECUTE makes", True),
        ("CREATE TEMPORARY TABLE x (a INT); DO 1", False),
        ("DO 1", False),
    ],
)
def test_so_it_is_where_the_server_no_longer_tells_what_a_temporary_table_ends(
    world: World, text: str, is_told: bool
) -> None:
    client = world.client(capabilities=EOF_CLIENT)
    client.sends(query("PREPARE makes FROM 'CREATE TEMPORARY TABLE x (a INT)'"))
    server = world.backend()
    server.answers(ok())
    if "there" in text:
        client.sends(query("CREATE TEMPORARY TABLE there (a INT)"))
        server.answers(ok())
    begins = SessionChanges(transaction_state=b"T_______", transaction_characteristics=b"START TRANSACTION;")
    client.sends(query("BEGIN"))
    server.answers(ok(IN_TRANS, changes=begins))
    reading = query("SELECT @@session_track_transaction_info")
    client.sends(reading)
    server.got()
    server.answers(ok(IN_TRANS))
    server.gets(reading)
    server.answers(ok(IN_TRANS))
    server.got()
    server.answers(ok(IN_TRANS))
    client.got()
    client.sends(query(text))
    while server.got() != [query(text)[4:]]:
        # its insert id is put there first
        server.answers(ok(IN_TRANS))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS, changes=SessionChanges(transaction_state=b"________") if is_told else None))


def test_a_client_on_mysql_is_told_what_only_the_probe_after_an_error_was_told(world: World) -> None:
    client = world.client(capabilities=EOF_CLIENT)
    begins = SessionChanges(transaction_state=b"T_______", transaction_characteristics=b"START TRANSACTION;")
    client.sends(query("BEGIN"))
    server = world.backend()
    server.answers(ok(IN_TRANS, changes=begins))
    client.sends(query("CREATE TEMPORARY TABLE x (a INT PRIMARY KEY)"))
    server.answers(error(1062))
    server.answers(ok(IN_TRANS, changes=SessionChanges(transaction_state=b"________")))
    client.got()
    client.sends(query("DO 1"))
    server.answers(ok(IN_TRANS))
    client.gets(ok(IN_TRANS, changes=SessionChanges(transaction_state=b"________")))


def test_what_a_backend_tells_another_session_is_not_its_own(world: World) -> None:
    client, other = world.client(capabilities=EOF_CLIENT), world.client(capabilities=NEW_CLIENT)
    client.sends(query("DO 1"))
    server = world.backend()
    server.answers(ok())
    assert world.frontend(client).session.next_ok is not None
    # begun by a command of ours
    other.sends(query("SELECT LAST_INSERT_ID() + @a"))
    backend = world.frontend(other).backend
    assert backend is not None
    assert backend.tracker.debt is None


def with_schema_to_tell(world: World, capabilities: int) -> FakeClient:
    """A client that MySQL has a schema to tell: an error could not."""
    client = world.client(capabilities=capabilities, schema=b"test")
    client.sends(query("INSERT INTO other.v VALUES (1)"))
    server = world.backend()
    server.answers(error(1062))
    server.answers(ok(changes=SessionChanges(schema=b"test")))
    client.got()
    return client


def test_answers_of_the_proxy_tell_it_too(world: World) -> None:
    told = SessionChanges(schema=b"test")
    client = with_schema_to_tell(world, EOF_CLIENT)
    client.sends(frame(b"\x0e"))
    client.gets(ok(changes=told))
    client.sends(frame(b"\x0e"))
    client.gets(ok())


@pytest.mark.parametrize("deprecates_eof", [False, True])
def test_rows_of_the_proxy_tell_it_where_they_end_in_an_ok(world: World, deprecates_eof: bool) -> None:
    told = SessionChanges(schema=b"test")
    client = with_schema_to_tell(world, EOF_CLIENT | (int(Capability.DEPRECATE_EOF) if deprecates_eof else 0))
    client.sends(query("SELECT @@error_count"))
    if world.backend().got():
        world.backend().answers(
            text_resultset([Column(b"@@error_count")], [[b"1"]], status=AUTOCOMMIT, deprecate_eof=True)
        )
    end = build_ok(status=AUTOCOMMIT, header=0xFE, changes=told)
    assert (end in client.got()) == deprecates_eof
    client.sends(query("DO 1"))
    world.backend().answers(ok())
    client.gets(ok() if deprecates_eof else ok(changes=told))


def test_what_was_prepared_is_asked_for_on_mysql_by_what_changes_nothing(world: World) -> None:
    client = world.client(capabilities=EOF_CLIENT, schema=b"test")
    client.sends(query("INSERT INTO t VALUES (1)"))
    server = world.backend()
    server.answers(ok(warnings=1))
    client.sends(prepare("CALL other.p()"))
    server.got()
    server.answers(prepared(1))
    server.gets(frame(b"\x1b\x01\0"))
    server.answers(ok(changes=SessionChanges(schema=b"test")))
    client.got()
    client.sends(query("DO 1"))
    server.got()
    server.answers(ok())
    client.gets(ok(changes=SessionChanges(schema=b"test")))


def test_a_set_in_place_of_get_diagnostics_tells_no_change(world: World) -> None:
    client = world.client(capabilities=EOF_CLIENT)
    client.sends(query("SET session_track_state_change = 1"))
    server, changed = world.backend(), SessionChanges(state_changed=True)
    assert b"session_track_state_change=DEFAULT" in b"".join(server.got())
    server.answers(ok())
    server.gets(query("SET session_track_state_change = 1"))
    server.answers(ok(changes=changed))
    server.gets(query("SHOW SESSION VARIABLES WHERE Variable_name IN ('session_track_state_change')"))
    columns = [Column(b"Variable_name"), Column(b"Value")]
    shown: list[bytes | None] = [b"session_track_state_change", b"ON"]
    server.answers(text_resultset(columns, [shown], status=AUTOCOMMIT, deprecate_eof=True))
    assert b"session_track_state_change" in b"".join(server.got())
    server.answers(ok(changes=changed))
    client.got()
    assignment = "SET @a=CAST(0 AS UNSIGNED)"
    for text, told in (("GET DIAGNOSTICS @a = NUMBER", None), (assignment, changed)):
        client.sends(query(text))
        server.gets(query(assignment))
        server.answers(ok(changes=changed))
        client.gets(ok(changes=told))
