from __future__ import annotations

import pytest

from protocol.constants import Command
from protocol.framing import frame
from protocol.packets import build_err, parse_eof, parse_err, parse_ok
from protocol.response import ResponseTracker
from proxy import replies
from proxy.pool_actions import (
    OF_DATABASE,
    OF_SERVER,
    OF_USER,
    AcquireTimeout,
    Limit,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    PoolSnapshot,
    Shed,
)
from proxy.replies import Failure
from tests.fakes.wire import AUTOCOMMIT, packets


def snapshot(cause: object = None, state: str = "open", leased: int = 2, opening: int = 0) -> PoolSnapshot:
    return PoolSnapshot(state, 2, opening, 0, 0, leased, 0, 1, cause)


def test_a_failure_is_an_err_packet() -> None:
    ((number, payload),) = packets(Failure(1045, "Access denied").wire(7))
    error = parse_err(payload)
    assert (number, error.code, error.sqlstate, error.message) == (7, 1045, b"28000", b"Access denied")


def test_an_unknown_code_is_a_general_error_unless_it_says_otherwise() -> None:
    assert Failure(9999, "x").sqlstate == "HY000"
    assert Failure(9999, "x", "42000").sqlstate == "42000"


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (1045, {"is_credential", "is_refusal"}),
        (1698, {"is_credential", "is_refusal"}),
        (1049, {"is_refusal"}),
        (1044, {"is_refusal"}),
        (1040, {"is_limit"}),
        (1203, {"is_limit", "is_users"}),
        (1226, {"is_limit", "is_users"}),
        (2003, set()),
    ],
)
def test_codes_say_what_kind_of_refusal_it_is(code: int, kinds: set[str]) -> None:
    failure = Failure(code, "x")
    found = {
        name for name in ("is_credential", "is_limit", "is_users", "is_refusal") if getattr(failure, name)
    }
    assert found == kinds


@pytest.mark.parametrize(
    ("failure", "code", "sqlstate", "text"),
    [
        (
            replies.access_denied(b"app", "h", True),
            1045,
            "28000",
            "Access denied for user 'app'@'h' (using password: YES)",
        ),
        (
            replies.access_denied(b"\xff", "h", False, "Do this"),
            1045,
            "28000",
            "Access denied for user '\ufffd'@'h' (using password: NO). Do this",
        ),
        (replies.too_many_clients(), 1040, "08004", "Too many connections"),
        (
            replies.inactive(),
            4031,
            "HY000",
            "The client was disconnected by the server because of inactivity."
            " See wait_timeout and interactive_timeout for configuring this behavior.",
        ),
        (replies.unknown_command(), 1047, "08S01", "Unknown command"),
        (
            replies.init_connect_failed(7, b"shop", "app", "h"),
            1184,
            "08S01",
            "Aborted connection 7 to db: 'shop' user: 'app' host: 'h' (init_connect command failed)",
        ),
        (
            replies.init_connect_failed(7, None, "app", "h"),
            1184,
            "08S01",
            "Aborted connection 7 to db: 'unconnected' user: 'app' host: 'h' (init_connect command failed)",
        ),
        (
            replies.idle_in_transaction(61.4),
            4031,
            "HY000",
            "The client was disconnected because of inactivity: idle in a transaction for 61 s, which was rolled back (Fanin,"
            " pool.idle_transaction_timeout)",
        ),
        (replies.shutting_down(), 1053, "08S01", "Server shutdown in progress (Fanin is draining)"),
        (
            replies.lost("x closed", True),
            2013,
            "HY000",
            "Lost connection to server during query (Fanin: x closed). The statement may or may not have been "
            "executed; its transaction or pinned state is lost",
        ),
        (
            replies.lost_before("y has ended"),
            2013,
            "HY000",
            "Lost connection to server before query (Fanin: y has ended). The statement was not executed",
        ),
        (
            replies.unreachable("writer", "refused"),
            2003,
            "HY000",
            "Fanin: can't connect to server writer: refused",
        ),
        (
            replies.not_movable("why"),
            1105,
            "HY000",
            "Fanin: the session could not be moved to another server connection: why",
        ),
    ],
)
def test_the_words_of_failures(failure: Failure, code: int, sqlstate: str, text: str) -> None:
    assert (failure.code, failure.sqlstate, failure.message) == (code, sqlstate, text)


def test_a_transaction_that_was_rolled_back_is_a_deadlock() -> None:
    failure = replies.deadlock()
    assert (failure.code, failure.sqlstate) == (1213, "40001")


def test_a_lost_connection_without_state() -> None:
    assert replies.lost("x", False).message.endswith("may not have been executed")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OpenFailed(Failure(1045, "denied")), 1045, "denied"),
        (OpenFailed("refused"), 2003, "Fanin: can't connect to server writer: refused"),
        (AcquireTimeout(5.02, snapshot(Failure(1040, "full"))), 1040, "full"),
        (
            AcquireTimeout(5.02, snapshot()),
            1040,
            "Fanin: no server connection became free within 5.0 s: HOLDERS. Shorten transactions, raise pool.size, "
            "or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(leased=1)),
            1040,
            "Fanin: no server connection became free within 5.0 s: HOLDERS. No more are opened at once than pool.connects_per_second says; see /state",
        ),
        (
            AcquireTimeout(5.02, snapshot(), Limit(OF_SERVER, b"app", 0)),
            1040,
            "Fanin: no server connection became free within 5.0 s: the server lets user 'app' have none for now (max_user_connections); HOLDERS. "
            "Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(leased=1, opening=1)),
            1040,
            "Fanin: no server connection became free within 5.0 s: HOLDERS. The server is slow to open or reset connections; "
            "see /state",
        ),
        (
            AcquireTimeout(5.02, snapshot(leased=1), Limit(OF_USER, b"app", 3)),
            1040,
            "Fanin: no server connection became free within 5.0 s: user 'app' has all 3 that it may have ([[users]] max_backends); HOLDERS. "
            "Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(leased=1), Limit(OF_USER, b"app", 3, 8)),
            1040,
            "Fanin: no server connection became free within 5.0 s: user 'app' has all 3 that this worker may give it now of its 8 ([[users]] max_backends); "
            "HOLDERS. Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(), Limit(OF_DATABASE, b"shop", 3, 8)),
            1040,
            "Fanin: no server connection became free within 5.0 s: database 'shop' has all 3 that this worker may give it now of its 8 "
            "([[databases]] max_backends); HOLDERS. Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(), Limit(OF_DATABASE, b"shop", 3)),
            1040,
            "Fanin: no server connection became free within 5.0 s: database 'shop' has all 3 that it may have ([[databases]] max_backends); HOLDERS. "
            "Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(5.02, snapshot(), Limit(OF_SERVER, b"app", 3)),
            1040,
            "Fanin: no server connection became free within 5.0 s: user 'app' has all 3 that the server lets it have (max_user_connections); HOLDERS. "
            "Shorten transactions, raise that limit, or see /state for who pins",
        ),
        (
            AcquireTimeout(30.02, snapshot(state="paused")),
            2003,
            "Fanin: can't connect to server writer: no server was the writer for 30.0 s; see /state",
        ),
        (
            Shed(0.62, True),
            1040,
            "Fanin: too many wait for a server connection, so that clients of the batch class that wait for longer than pool.shed_target are refused, "
            "as this one after 0.6 s: HOLDERS",
        ),
        (
            Shed(0.62, False),
            1040,
            "Fanin: too many wait for a server connection, so that whoever waits for longer than pool.shed_target are refused, as this one after 0.6 s: HOLDERS",
        ),
        (PoolDraining(), 1053, "Server shutdown in progress (Fanin is draining)"),
        (PoolClosed(), 1053, "Server shutdown in progress (Fanin is draining)"),
        ("odd", 1105, "Fanin: odd"),
    ],
)
def test_a_refused_ticket_in_words(error: object, code: int, text: str) -> None:
    failure = replies.of_ticket(error, "writer", "HOLDERS")
    assert (failure.code, failure.message) == (code, text)


def test_a_pool_whose_server_does_not_answer_is_not_too_small() -> None:
    failure = replies.of_ticket(
        AcquireTimeout(5.02, snapshot()), "writer", "HOLDERS", "timeout: no answer within 1 s"
    )
    assert (failure.code, failure.message) == (
        1040,
        "Fanin: no server connection became free within 5.0 s: writer does not answer (timeout: no answer within 1 s); HOLDERS. See /state",
    )


def test_answers_of_our_own() -> None:
    ((number, payload),) = packets(replies.ok(AUTOCOMMIT, 3))
    assert (number, parse_ok(payload, False).status) == (3, AUTOCOMMIT)
    ((number, payload),) = packets(replies.eof(AUTOCOMMIT, False))
    assert (number, parse_eof(payload).status) == (1, AUTOCOMMIT)
    ((_, payload),) = packets(replies.eof(AUTOCOMMIT, True))
    assert (payload[0], parse_ok(payload, False).status) == (0xFE, AUTOCOMMIT)


def test_an_error_in_place_of_the_greeting_has_no_sqlstate() -> None:
    assert replies.too_many_clients().wire_before_greeting() == frame(b"\xff\x10\x04Too many connections")


def test_an_error_of_the_server_keeps_its_code_and_its_words() -> None:
    tracker = ResponseTracker(deprecate_eof=True, session_track=True)
    tracker.begin(Command.COM_PING, True, None, 0)
    tracker.feed(frame(build_err(1049, b"42000", b"Unknown database 'x'"), 1))
    failure = replies.refused_by_server(tracker)
    assert (failure.code, failure.sqlstate, failure.message) == (1049, "42000", "Unknown database 'x'")


def test_a_read_for_which_there_is_no_reader_says_why_and_what_to_set() -> None:
    failure = replies.no_reader("too-far-behind (r1: its lag is not known)")
    assert failure.code == 1040
    assert "r1: its lag is not known" in failure.message and "routing.fallback" in failure.message


def test_what_may_write_and_came_for_a_reader_is_refused_as_readers_do() -> None:
    failure = replies.no_reader("no-readers", is_read=False)
    assert failure.code == 1040 and "which may write and came by the reader listener" in failure.message
    failure = replies.not_on_writer()
    assert (failure.code, failure.sqlstate) == (1290, "HY000") and "read-only" in failure.message


def test_a_write_in_a_read_only_transaction_is_refused_as_servers_do() -> None:
    failure = replies.read_only_transaction()
    assert (failure.code, failure.sqlstate) == (1792, "25006")
    assert failure.message == "Cannot execute statement in a READ ONLY transaction."
    assert (
        replies.read_only_transaction(is_mariadb=True).message
        == "Cannot execute statement in a READ ONLY transaction"
    )


def test_statements_of_which_nobody_knows_which_one_ends_a_transaction_are_refused() -> None:
    failure = replies.several_end()
    assert (failure.code, failure.sqlstate) == (1235, "42000")
    assert "send them one by one" in failure.message


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (OpenFailed(Failure(1040, "full")), True),
        (AcquireTimeout(5.0, snapshot(Failure(1040, "full"))), True),
        (AcquireTimeout(5.0, snapshot()), False),
        (PoolDraining(), False),
        (None, False),
    ],
)
def test_no_connection_is_not_the_same_as_none_that_is_free(error: object, is_it: bool) -> None:
    assert replies.is_of_server(error) == is_it


def test_what_other_workers_have_is_told() -> None:
    def text(kind: int, name: bytes) -> str:
        error = AcquireTimeout(5.0, snapshot(), Limit(kind, name, 0, 4))
        return replies.of_ticket(error, "primary", "HOLDERS").message

    whose = "other workers have all 4 that user 'app' may have ([[users]] max_backends)"
    assert whose in text(OF_USER, b"app")
    whose = "other workers have all 4 that database 'shop' may have ([[databases]] max_backends)"
    assert whose in text(OF_DATABASE, b"shop")
    assert "the server lets user 'app' have none" in text(OF_SERVER, b"app")
