"""Binary prepared statements: a session's own ids for statements that are on whichever backend runs them."""

from __future__ import annotations

from tests.integration.running import rows, run
from tests.integration.steps import Close, Execute, ExecuteLong, Fetch, LongData, Prepare, ResetStatement
from tests.integration.wire import NEWEST, WireClient
from tests.traps.relay import Routed
from tests.traps.trap import COUNT, INSERT, Meanwhile, Trap, error_code

ROUTINES = (
    "DROP PROCEDURE IF EXISTS traps.two_results",
    "DROP PROCEDURE IF EXISTS traps.counts",
    "CREATE PROCEDURE traps.two_results() BEGIN SELECT 1 AS a; SELECT 2 AS b, 3 AS c; END",
    "CREATE PROCEDURE traps.counts(IN low INT, OUT found INT, INOUT total INT)"
    " BEGIN SELECT COUNT(*) INTO found FROM traps.t WHERE v >= low; SET total = total + found; END",
)


def test_statement_ids(trap: Trap) -> None:
    kept = trap.play(
        Prepare("p", "SELECT v, s FROM t WHERE id = ?"),
        Prepare("q", "INSERT INTO t (v, s) VALUES (?, ?)"),
        Execute("p", (1,)),
        Execute("q", (7, "x")),
        Execute("p", (3,)),
        "SELECT LAST_INSERT_ID()",
        Execute("q", (8, None)),
        "USE other",
        Execute("p", (2,)),
        "SELECT DATABASE()",
        Execute("q", (8, None)),
        "SHOW ERRORS",
    )
    # MySQL says of an execution in another schema than that of the preparation what it says when a stored program has run there
    in_doubt = "" if trap.is_mariadb else "opaque-state-change"
    assert kept == [""] * 8 + [in_doubt] * 4
    # two sessions with the same id, and texts of their own
    with trap.through() as one, trap.through() as two:
        ids: list[dict[str, int]] = [{}, {}]
        Prepare("p", "SELECT 'one'").run(one, ids[0])
        Prepare("p", "SELECT 'two'").run(two, ids[1])
        assert ids[0] == ids[1]
        for _ in range(2):
            assert b"one" in Execute("p").run(one, ids[0])[3]
            assert b"two" in Execute("p").run(two, ids[1])[3]


def test_remembered_parameter_types(trap: Trap) -> None:
    kept = trap.play(
        Prepare("p", "SELECT ?"),
        Execute("p", (5,)),
        Execute("p", (6,), binds=False),
        Execute("p", ("a",)),
        Execute("p", ("b",), binds=False),
        Execute("p", (None,), binds=False),
    )
    assert kept == [""] * 6
    # the types of another session's execution of the same text on the same backend are not ours
    expected: list[list[bytes]] = []
    for value in (255, "255"):
        with trap.direct() as client:
            ids: dict[str, int] = {}
            Prepare("p", "SELECT ?").run(client, ids)
            expected.append(Execute("p", (value,)).run(client, ids))
    number, text = expected
    assert number != text
    with trap.through() as one, trap.through() as two:
        both: list[dict[str, int]] = [{}, {}]
        for client, each in ((one, both[0]), (two, both[1])):
            Prepare("p", "SELECT ?").run(client, each)
        for binds in (True, False, False):
            assert Execute("p", (255,), binds=binds).run(one, both[0]) == number
            assert Execute("p", ("255",), binds=binds).run(two, both[1]) == text


def test_long_parameters(trap: Trap) -> None:
    kept = trap.play(
        Prepare("p", "SELECT CONCAT(?)"),
        LongData("p", 0, b"ab"),
        LongData("p", 0, b"cd" * 4_000),
        ExecuteLong("p"),
        Execute("p", ("e",)),
        LongData("p", 0, b"ab"),
        ResetStatement("p"),
        Execute("p", ("f",)),
    )
    assert kept == [""] * 8
    # what is too much to be kept goes to a backend at once
    kept = trap.play(
        Prepare("p", "SELECT CONCAT(?)"), LongData("p", 0, b"ab" * 40_000), ExecuteLong("p"), COUNT
    )
    assert kept == ["", "long-data", "", ""]
    # between the parts another session has the backend, and executes the same text
    with trap.through() as client, trap.through() as other:
        ids: list[dict[str, int]] = [{}, {}]
        Prepare("p", "SELECT CONCAT(?)").run(client, ids[0])
        Prepare("p", "SELECT CONCAT(?)").run(other, ids[1])
        LongData("p", 0, b"mine").run(client, ids[0])
        assert b"theirs" in Execute("p", ("theirs",)).run(other, ids[1])[3]
        assert b"mine" in ExecuteLong("p").run(client, ids[0])[3]


def test_closed_statements(trap: Trap) -> None:
    def use_after_close(client: WireClient) -> list[int]:
        ids: dict[str, int] = {}
        Prepare("p", "SELECT 1").run(client, ids)
        Close("p").run(client, ids)
        return [
            error_code(step.run(client, ids)) for step in (Execute("p"), ResetStatement("p"), Fetch("p", 1))
        ]

    assert trap.same(use_after_close) == [1243, 1243, 1243]

    def prepared() -> int:
        return int(rows(trap.root, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")[0][1])

    # one text is prepared once on a backend, for however many sessions
    with trap.through() as first:
        ids: dict[str, int] = {}
        Prepare("p", "SELECT 'once', ?").run(first, ids)
        Execute("p", (1,)).run(first, ids)
        before = prepared()
        for _ in range(5):
            with trap.through() as client:
                Prepare("p", "SELECT 'once', ?").run(client, ids)
                Execute("p", (1,)).run(client, ids)
                Close("p").run(client, ids)
                client.quit()
            trap.thief.turn()
        assert prepared() <= before + 1


def test_prepared_state_changes(trap: Trap) -> None:
    kept = trap.play(
        Prepare("p", "SET sql_mode = 'ANSI_QUOTES'"), 'SELECT "v"', Execute("p"), 'SELECT "v" FROM t'
    )
    assert kept == [""] * 4
    kept = trap.play(
        Prepare("p", "CREATE TEMPORARY TABLE u (id INT)"),
        "SELECT * FROM u",
        Execute("p"),
        "DROP TABLE u",
        COUNT,
    )
    assert kept == ["", "", "temporary-table", "", ""]
    kept = trap.play(
        Prepare("p", "SELECT GET_LOCK('traps', 0)"), Execute("p"), "SELECT RELEASE_LOCK('traps')", COUNT
    )
    assert kept == ["", "user-lock", "", ""]
    kept = trap.play(Prepare("p", INSERT), "SET autocommit = 0", Execute("p"), "ROLLBACK", COUNT, "ROLLBACK")
    assert kept == ["", "", "transaction", "", "transaction", ""]
    kept = trap.play(Prepare("p", "COMMIT"), "BEGIN", INSERT, Execute("p"), COUNT)
    assert kept == ["", "transaction", "transaction", "", ""]


def test_changed_definitions(trap: Trap) -> None:
    def alter(action: str) -> Meanwhile:
        return Meanwhile(lambda: run(trap.root, f"ALTER TABLE traps.parent {action}"))

    for capabilities in (0, NEWEST):
        kept = trap.play(
            Prepare("p", "SELECT * FROM parent"),
            Execute("p"),
            alter("ADD COLUMN more INT"),
            Execute("p"),
            alter("DROP COLUMN more"),
            Execute("p"),
            capabilities=capabilities,
        )
        assert kept == [""] * 6


def test_prepared_call(trap: Trap) -> None:
    run(trap.root, *ROUTINES)
    kept = trap.play(Prepare("p", "CALL two_results()"), Execute("p"), "SELECT 1", b"\x1f", COUNT)
    assert kept == ["", "routine", "routine", "", ""]
    # without DEPRECATE_EOF MySQL announces the rest of an answer with OUT parameters in the EOF before the rows only
    capabilities = 0 if trap.is_mariadb else NEWEST
    call = Prepare("p", "CALL counts(?, ?, ?)")
    trap.play(call, Execute("p", (20, 0, 5)), Execute("p", (10, 0, 6)), capabilities=capabilities)
    trap.play("SET @total = 1", "CALL counts(20, @found, @total)", "SELECT @found, @total")


def test_statements_after_a_reset(trap: Trap) -> None:
    def play(client: WireClient) -> list[int]:
        ids: dict[str, int] = {}
        codes = []
        for begin in ("DO 1", "BEGIN"):
            client.ok(begin)
            Prepare("p", "SELECT 1").run(client, ids)
            codes.append(error_code(Execute("p").run(client, ids)))
            client.command(b"\x1f")
            codes.append(error_code(Execute("p").run(client, ids)))
        return codes

    assert trap.same(play) == [0, 1243, 0, 1243]
    assert trap.play(Prepare("p", "SELECT 1"), b"\x1f", Prepare("p", "SELECT 2"), Execute("p")) == [""] * 4


def test_prepared_on_another_backend(trap: Trap, routed: Routed) -> None:
    with WireClient(routed.fanin.reader_port, database="traps") as client:
        ids: dict[str, int] = {}
        Prepare("p", "SELECT 'on a reader', ?").run(client, ids)
        for number in range(4):
            assert str(number).encode() in Execute("p", (str(number),)).run(client, ids)[4]
    # prepared once on each that executes, and nowhere else
    assert routed.seen("SELECT 'on a reader'") == [0, 1, 1]


def test_last_prepared_statement(trap: Trap) -> None:
    def play(client: WireClient) -> list[tuple[int, list[bytes]]]:
        ids = {"last": 0xFFFFFFFF}
        answers = [Execute("last").run(client, ids)]
        Prepare("p", "SELECT 1").run(client, ids)
        Prepare("q", "SELECT 2").run(client, ids)
        trap.thief.turn()
        for name in ("last", "p", "last"):
            answers.append(Execute(name).run(client, ids))
        return [(error_code(answer), [] if error_code(answer) else answer) for answer in answers]

    # MySQL knows no such id
    codes = [code for code, _ in trap.same(play)]
    assert codes == [1243, *([0] * 3 if trap.is_mariadb else [1243, 0, 1243])]
