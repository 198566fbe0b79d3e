"""Binary prepared statements: the same commands, well-formed or not, on a direct connection and through Fanin, where another client
executes the same texts in other ways on the only backend whenever it may. And what servers lose, or have no room for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from bench.servers import Server
from tests.integration.answers import comparable, told
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, eventually, rows, run
from tests.integration.wire import NEWEST, PLAIN, WireClient
from tests.traps.relay import Relay

EXECUTE, LONG_DATA, CLOSE, RESET, FETCH = 0x17, 0x18, 0x19, 0x1A, 0x1C
UNANSWERED: Final = (LONG_DATA, CLOSE)
LAST: Final = 0xFFFFFFFF
STRING, NUMBER, DECIMAL, DOUBLE, NULL = b"\xfd\0", b"\x08\0", b"\xf6\0", b"\x05\0", b"\6\0"
MIB: Final = 1 << 20


def prepare(text: str) -> bytes:
    return b"\x16" + text.encode()


def execute(number: int, params: bytes = b"", *, flags: int = 0, iterations: int = 1) -> bytes:
    return (
        bytes([EXECUTE])
        + number.to_bytes(4, "little")
        + bytes([flags])
        + iterations.to_bytes(4, "little")
        + params
    )


def long_data(number: int, parameter: int, content: bytes) -> bytes:
    return bytes([LONG_DATA]) + number.to_bytes(4, "little") + parameter.to_bytes(2, "little") + content


def close(number: int) -> bytes:
    return bytes([CLOSE]) + number.to_bytes(4, "little")


def reset(number: int) -> bytes:
    return bytes([RESET]) + number.to_bytes(4, "little")


def fetch(number: int, count: int = 1) -> bytes:
    return bytes([FETCH]) + number.to_bytes(4, "little") + count.to_bytes(4, "little")


def query(text: str) -> bytes:
    return b"\3" + text.encode()


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def integer(value: int) -> bytes:
    return value.to_bytes(8, "little")


def bound(types: bytes, values: bytes, nulls: int = 0) -> bytes:
    """Parameters with their types, up to eight."""
    return bytes([nulls]) + b"\1" + types + values


A_STRING: Final = bound(STRING, text(b"abc"))
A_NUMBER: Final = bound(NUMBER, integer(1))
MUCH: Final = [long_data(1, 0, b"x" * MIB)] * 18

PROGRAMS: Final[dict[str, Sequence[bytes]]] = {
    # what does not exist
    "unknown ids": [
        execute(7),
        reset(7),
        fetch(7),
        close(7),
        long_data(7, 0, b"x"),
        prepare("SELECT 1"),
        execute(0),
    ],
    "unknown ids are shown": [
        prepare("SELECT 1"),
        execute(7),
        query("SHOW WARNINGS"),
        query("SELECT ROW_COUNT()"),
    ],
    "found rows": [
        prepare("SELECT FOUND_ROWS()"),
        query("SELECT 1 UNION SELECT 2"),
        execute(1),
        query("SHOW WARNINGS"),
    ],
    "closed ids": [
        close(9),
        prepare("SELECT 1"),
        close(1),
        close(1),
        execute(1),
        prepare("SELEKT"),
        execute(1),
    ],
    "no cursor": [prepare("SELECT 1"), fetch(1), execute(1), fetch(1), reset(1)],
    # what is cut off
    "short executions": [
        prepare("SELECT 1"),
        b"\x17",
        b"\x17\1\0",
        execute(1)[:5],
        execute(1)[:9],
        execute(1),
    ],
    "short commands without an answer": [b"\x18", b"\x18\1\0\0\0\0", b"\x19", b"\x19\1", query("SELECT 1")],
    "short parameters": [
        prepare("SELECT ?, ?"),
        *[execute(1, bound(NUMBER + NUMBER, integer(1) * 2)[:size]) for size in (0, 1, 2, 3, 6, 14, 21, 22)],
        execute(1, b"\0\0\1\1\1"),
        execute(1, b"\0\0" + integer(1) * 2),
        execute(1, b"\3"),
        execute(1, b"\3\0"),
    ],
    "strange strings": [
        prepare("SELECT ?"),
        *[
            execute(1, bound(STRING, value))
            for value in (b"\5ab", b"\xfc\5", b"\xfb", b"\xff", b"", b"\2abmore")
        ],
    ],
    "strange flags": [prepare("SELECT 1"), *[execute(1, flags=flags) for flags in (2, 4, 8, 16)]],
    "strange types": [
        step
        for code in (0, 5, 6, 9, 13, 16, 20, 99, 242, 245, 247, 255)
        for step in (
            prepare(f"SELECT ?, {code}"),
            execute(
                1 + (0, 5, 6, 9, 13, 16, 20, 99, 242, 245, 247, 255).index(code),
                bound(bytes([code, 0]), integer(1)),
            ),
        )
    ],
    "any iteration count": [prepare("SELECT 1"), *[execute(1, iterations=count) for count in (0, 2, LAST)]],
    # texts
    "what can be prepared": [
        *[
            prepare(each)
            for each in (
                "",
                " ",
                "/* */",
                ";",
                "SELECT 1;",
                "SELECT 1; SELECT 2",
                "SELEKT",
                "SELECT * FROM no",
            )
        ],
        *[
            prepare(each)
            for each in ("PREPARE x FROM 'SELECT 1'", "USE app", "XA START 'a'", "SHUTDOWN", "DELIMITER x")
        ],
        prepare("SELECT " + ",".join("?" * 65536)),
    ],
    # types
    "no types": [
        prepare("SELECT ?"),
        execute(1, b"\0\0" + integer(1)),
        execute(1, b"\1\0"),
        execute(1, A_STRING),
        execute(1, b"\0\0\1b"),
    ],
    "types of all kinds": [
        prepare("SELECT ?"),
        execute(1, A_NUMBER),
        execute(1, bound(NULL, b"", 1)),
        execute(1, A_STRING),
        execute(1, bound(DECIMAL, text(b"1.5"))),
        execute(1, bound(DOUBLE, integer(0))),
    ],
    "a string first": [prepare("SELECT ?"), execute(1, A_STRING), execute(1, A_NUMBER)],
    "NULL first": [
        prepare("SELECT ?"),
        execute(1, bound(NULL, b"", 1)),
        execute(1, b"\0\0" + integer(1)),
        execute(1, b"\1\0"),
    ],
    # the last one prepared
    "id -1": [
        *[
            execute(LAST),
            prepare("SELECT 1"),
            execute(LAST),
            prepare("SELEKT"),
            execute(LAST),
            execute(1),
            reset(LAST),
        ],
        *[
            close(LAST),
            execute(1),
            prepare("SELECT ?"),
            long_data(LAST, 0, b"abc"),
            execute(LAST, bound(STRING, b"")),
        ],
        *[close(LAST), execute(LAST), execute(2, A_STRING), fetch(LAST)],
    ],
    "id -1 and cursors": [
        *[
            prepare("SELECT 1"),
            close(1),
            execute(LAST),
            prepare("SELECT 1 UNION SELECT 2"),
            execute(LAST, flags=1),
        ],
        *[fetch(LAST), reset(LAST), fetch(LAST), b"\x1f", execute(LAST)],
    ],
    # cursors
    "cursors": [
        *[
            prepare("SELECT 1 UNION SELECT 2"),
            prepare("SELECT 1 UNION SELECT 2"),
            execute(1, flags=1),
            execute(2, flags=1),
        ],
        *[fetch(1), fetch(2), fetch(1, 5), fetch(1, 5), close(2), execute(1, flags=1), reset(1), fetch(1)],
    ],
    "cursors on nothing": [
        *[
            prepare("DO 1"),
            execute(1, flags=1),
            fetch(1),
            prepare("SHOW TABLES LIKE 'x'"),
            execute(2, flags=1),
            fetch(2, 9),
        ],
    ],
    # long data
    "long data": [
        *[
            prepare("SELECT ?"),
            long_data(1, 0, b"abc"),
            long_data(1, 0, b"def"),
            execute(1, bound(STRING, b"")),
        ],
        *[
            execute(1, b"\0\0" + text(b"xy")),
            long_data(1, 0, b""),
            execute(1, b"\0\0"),
            long_data(1, 0, b"z"),
            execute(1, b"\1\0"),
        ],
    ],
    "long data for no parameter": [
        *[
            prepare("SELECT ?"),
            long_data(1, 1, b"abc"),
            execute(1, A_STRING),
            execute(1, A_STRING),
            reset(1),
            execute(1, A_STRING),
        ],
    ],
    "long data of two statements": [
        *[
            prepare("SELECT ?"),
            long_data(1, 0, b"abc"),
            prepare("SELECT ?"),
            execute(2, A_STRING),
            execute(1, bound(STRING, b"")),
        ],
        *[long_data(1, 0, b"abc"), execute(1, b"\0\1"), execute(1, bound(STRING, b"")), execute(1, A_STRING)],
    ],
    "long data over 64 KiB": [
        *[
            prepare("SELECT LENGTH(?)"),
            *MUCH[:2],
            prepare("SELECT LENGTH(?)"),
            execute(2, A_STRING),
            query("SELECT 3"),
        ],
        *[execute(1, bound(STRING, b"")), execute(1, A_STRING), *MUCH[:1], close(1), execute(1, A_STRING)],
    ],
    "long data over the limit": [
        *[
            prepare("SELECT LENGTH(?)"),
            *MUCH,
            execute(1, bound(STRING, b"")),
            execute(1, A_STRING),
            reset(1),
            execute(1, A_STRING),
        ],
    ],
    # what statements do to the session
    "variables": [
        *[prepare("SET SESSION sort_buffer_size = ?"), execute(1, bound(NUMBER, integer(300000)))],
        *[
            query("SELECT @@sort_buffer_size"),
            prepare("SET sql_mode = ?"),
            execute(2, bound(STRING, text(b"ANSI_QUOTES"))),
        ],
        *[query("SELECT @@sql_mode"), prepare("SET autocommit = ?"), execute(3, bound(NUMBER, integer(0)))],
        *[prepare("SELECT 1"), execute(4), query("COMMIT"), execute(3, A_NUMBER), execute(4)],
    ],
    "locks": [
        *[prepare("SELECT GET_LOCK(?, ?)"), execute(1, bound(STRING + NUMBER, text(b"a") + integer(0)))],
        *[
            execute(1, b"\0\0" + text(b"b") + integer(0)),
            prepare("SELECT RELEASE_LOCK(?)"),
            execute(2, bound(STRING, text(b"a"))),
        ],
        *[execute(2, bound(STRING, text(b"a"))), prepare("SELECT RELEASE_ALL_LOCKS()"), execute(3)],
    ],
    "transactions": [
        *[
            query("CREATE TABLE IF NOT EXISTS moved (a INT) ENGINE=InnoDB"),
            prepare("SELECT COUNT(*) FROM moved"),
        ],
        # whoever takes the backend resets it, and what is prepared on it is gone
        *[
            query("SET @v = 1"),
            query("SET autocommit=0"),
            query("INSERT INTO moved VALUES (1)"),
            execute(1),
            query("ROLLBACK"),
            execute(1),
        ],
        *[
            prepare("SELECT 1"),
            query("COMMIT"),
            query("SET autocommit=1"),
            query("SET @v = 2"),
            query("BEGIN"),
        ],
        *[query("INSERT INTO moved VALUES (2)"), execute(2), query("ROLLBACK"), execute(1)],
        *[query("SET SESSION TRANSACTION READ ONLY"), prepare("SELECT 2"), query("SET @v = 3")],
        *[query("SET SESSION TRANSACTION READ WRITE"), query("SET TRANSACTION READ ONLY"), execute(3)],
        *[
            query("BEGIN"),
            query("INSERT INTO moved VALUES (3)"),
            query("ROLLBACK"),
            query("DROP TABLE moved"),
        ],
    ],
    "user variables": [
        *[
            prepare("SET @a = ?"),
            execute(1, A_NUMBER),
            prepare("SELECT ? INTO @b"),
            execute(2, A_STRING),
            query("SELECT @a, @b"),
        ],
    ],
    "temporary tables": [
        *[
            prepare("CREATE TEMPORARY TABLE tt (a INT)"),
            execute(1),
            prepare("INSERT INTO tt VALUES (?)"),
            execute(2, A_NUMBER),
        ],
        *[
            prepare("SELECT * FROM tt"),
            execute(3),
            prepare("DROP TEMPORARY TABLE tt"),
            execute(4),
            execute(3),
            execute(1),
        ],
    ],
    "schemas": [
        query("USE mysql"),
        prepare("SELECT DATABASE()"),
        query("USE app"),
        execute(1),
        prepare("SELECT DATABASE()"),
    ],
    "procedures": [
        query("CREATE PROCEDURE app.pp(IN a INT, OUT b INT) BEGIN SELECT a AS x; SET b = a + 1; END"),
        *[
            prepare("CALL app.pp(?, @o)"),
            execute(1, A_NUMBER),
            query("SELECT @o"),
            query("DROP PROCEDURE app.pp"),
        ],
    ],
    "definitions that change": [
        *[
            query("DROP TABLE IF EXISTS dd"),
            query("CREATE TABLE dd (a INT)"),
            query("INSERT INTO dd VALUES (1)"),
        ],
        *[
            prepare("SELECT * FROM dd"),
            execute(1),
            query("ALTER TABLE dd ADD COLUMN b VARCHAR(9)"),
            execute(1),
            execute(1),
        ],
        *[
            query("DROP TABLE dd"),
            execute(1),
            query("CREATE TABLE dd (z DATE)"),
            execute(1),
            query("DROP TABLE dd"),
        ],
    ],
}


class Player:
    """Sends commands; statements are numbered from 1 in the order in which they were prepared."""

    def __init__(self, port: int, capabilities: int = PLAIN) -> None:
        self.client = WireClient(port, capabilities=int(capabilities))
        self.ids: list[int] = []

    def run(self, step: bytes) -> list[bytes]:
        """What is answered, with the numbers of statements in place of ids."""
        client = self.client
        client.send(self._named(step))
        if step[0] in UNANSWERED:
            # unless there is an answer, the first one is that to the ping
            client.send(b"\x0e")
            found = []
            while (payload := client.payload(1))[0] == 0xFF:
                found.append(payload)
            return found
        answer = client.response(step[0])
        if step[0] == 0x16 and answer[0][0] == 0:
            self.ids.append(int.from_bytes(answer[0][1:5], "little"))
            answer[0] = answer[0][:1] + answer[0][5:]
        return [self._numbered(each) if each[0] == 0xFF else each for each in answer]

    def _named(self, step: bytes) -> bytes:
        number = int.from_bytes(step[1:5], "little")
        if (
            step[0] in (EXECUTE, LONG_DATA, CLOSE, RESET, FETCH)
            and len(step) > 4
            and 0 < number <= len(self.ids)
        ):
            return step[:1] + self.ids[number - 1].to_bytes(4, "little") + step[5:]
        return step

    def _numbered(self, payload: bytes) -> bytes:
        for number, each in enumerate(self.ids, 1):
            payload = payload.replace(b"(%d)" % each, b"(#%d)" % number)
        return payload


class Rival:
    """Executes the texts of others, each time in another way."""

    texts = (
        "SELECT ?",
        "SELECT ?, ?",
        "SELECT 1",
        "SELECT LENGTH(?)",
        "SELECT 1 UNION SELECT 2",
        "SELECT DATABASE()",
    )

    def __init__(self, fanin: Fanin) -> None:
        self.fanin = fanin
        self.player = Player(fanin.port, NEWEST)
        for each in self.texts:
            self.player.run(prepare(each))
        two = bound(NUMBER + DECIMAL, integer(9) + text(b"8.5"))
        self.ways: list[list[bytes]] = [
            [execute(1, bound(NUMBER, integer(9))), execute(2, two)],
            [execute(1, bound(DECIMAL, text(b"7.5"))), execute(3, flags=1), fetch(3, 9)],
            [
                long_data(1, 0, b"RIVAL"),
                execute(1, bound(STRING, b"")),
                long_data(1, 7, b"RIVAL"),
                execute(1, A_STRING),
                reset(1),
            ],
            [execute(1, bound(STRING, b"")), execute(1, bound(b"\x63\0", integer(1))), execute(2, b"\0\1")],
            [execute(5, flags=1), fetch(5, 9)],
            [long_data(4, 0, b"r" * 200_000), execute(4, bound(STRING, b""))],
            [execute(1, bound(DOUBLE, integer(0))), execute(6)],
        ]
        self.turns = 0

    def turn(self) -> None:
        """Take the backend."""
        for step in self.ways[self.turns % len(self.ways)]:
            self.player.run(step)
        self.turns += 1


@pytest.fixture
def rival(one: Fanin) -> Iterator[Rival]:
    made = Rival(one)
    yield made
    made.player.client.close()


@pytest.mark.parametrize("capabilities", [PLAIN, NEWEST], ids=["plain", "newest"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_as_on_a_direct_connection(
    program: str, capabilities: int, server: Server, one: Fanin, rival: Rival
) -> None:
    steps = PROGRAMS[program]
    direct = Player(server.port, capabilities)
    with direct.client:
        wanted = [direct.run(step) for step in steps]
        direct.client.quit()
    through = Player(one.port, capabilities)
    with through.client:
        for step, expected in zip(steps, wanted, strict=True):
            got = through.run(step)
            assert [comparable(each, capabilities) for each in got] == [
                comparable(each, capabilities) for each in expected
            ], f"{step[:60]!r}\n   direct: {[told(each, capabilities) for each in expected]}" + (
                f"\n  through: {[told(each, capabilities) for each in got]}"
            )
            if not one.is_holding(through.client.thread_id):
                rival.turn()


def test_a_client_that_leaves_between_pieces_of_long_data_leaves_nothing(one: Fanin) -> None:
    leaver = Player(one.port)
    leaver.run(prepare("SELECT LENGTH(?)"))
    leaver.client.send(long_data(1, 0, b"x" * MIB))
    leaver.client.socket.sendall((MIB).to_bytes(3, "little") + b"\0\x18\1\0\0\0\0\0half")
    eventually(lambda: one.endpoint()["leased"] == 1)
    leaver.client.close()
    other = Player(one.port)
    with other.client:
        other.run(prepare("SELECT LENGTH(?)"))
        assert other.run(execute(1, A_STRING))[-2][2] == 3


def test_long_data_is_not_kept_in_memory(fanin: MakeFanin, server: Server) -> None:
    server.sql("SET GLOBAL max_allowed_packet = 67108864")
    wide = fanin(server, pool_size=2, limits={"max_allowed_packet": "64M"})
    player = Player(wide.port)
    with player.client:
        player.run(prepare("SELECT LENGTH(?)"))
        player.run(long_data(1, 0, b"x" * MIB))
        before = wide.memory()
        for _ in range(60):
            player.run(long_data(1, 0, b"x" * MIB))
        assert wide.memory() - before < 16 * MIB
        assert wide.pins(player.client.thread_id) != []
        row = player.run(execute(1, bound(STRING, b"")))[-2]
        assert int.from_bytes(row[2:6], "little") == 61 * MIB
        assert wide.pins(player.client.thread_id) == []


# What a server loses


class Forgetful(Relay):
    """A server behind it forgets what was prepared, as one that restarts under its connections."""

    def forget(self) -> None:
        closes = b"".join([b"\5\0\0\0" + close(number) for number in range(1, 5000)])
        for each in self._open[1::2]:
            with contextlib.suppress(OSError):
                each.sendall(closes)


@pytest.fixture
def forgetful(server: Server, fanin: MakeFanin) -> Iterator[tuple[Forgetful, Fanin]]:
    with Forgetful(server.port) as relay:
        made = fanin(server, upstream=[relay.upstream()], pool_size=2, server_tls={"mode": "disabled"})
        yield relay, made


def test_a_statement_that_the_server_has_lost_runs_all_the_same(forgetful: tuple[Forgetful, Fanin]) -> None:
    relay, fanin = forgetful
    player = Player(fanin.port)
    with player.client:
        player.run(prepare("SELECT ?"))
        expected = player.run(execute(1, A_STRING))
        for _ in range(2):
            relay.forget()
            assert player.run(execute(1, b"\0\0" + text(b"abc"))) == expected
        lost = [line for line in fanin.log_lines() if line["event"] == "server lost prepared statements"]
        assert [line["epoch"] for line in lost][-2:] == [1, 2]


def test_a_transaction_that_the_server_has_lost_is_told_so(forgetful: tuple[Forgetful, Fanin]) -> None:
    relay, fanin = forgetful
    player = Player(fanin.port)
    with player.client:
        player.run(prepare("SELECT ?"))
        player.run(query("BEGIN"))
        player.run(execute(1, A_STRING))
        relay.forget()
        assert player.run(execute(1, A_STRING))[0][1:3] == (1243).to_bytes(2, "little")
        player.run(query("ROLLBACK"))
        assert player.run(execute(1, A_STRING))[0] == b"\1"


# What a server has room for


def count(root: Any) -> int:
    """Statements that are prepared on the server."""
    return int(rows(root, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")[0][1])


def test_a_text_is_prepared_once_for_all(server: Server, fanin: MakeFanin, root: Any) -> None:
    two = fanin(server, pool_size=2, pool={"max_prepared": 100})
    before = count(root)
    players = [Player(two.port) for _ in range(20)]
    with contextlib.ExitStack() as exits:
        for player in players:
            exits.enter_context(player.client)
            for number in range(10):
                for each in ("SELECT ?, 'once'", "SELECT ?, 'twice'"):
                    player.run(prepare(each))
                    player.run(execute(len(player.ids), A_NUMBER if number % 2 else A_STRING))
        # two backends, two texts, and on MySQL strings and numbers apart; the last ones to be closed may still be there
        kinds = 2 if server.kind == "mysql" else 1
        assert count(root) - before <= 2 * (2 * kinds + 1)


def test_a_server_that_is_full_gets_room(
    server: Server, fanin: MakeFanin, root: Any, connect: Connect
) -> None:
    one = fanin(server, pool_size=1, pool={"max_prepared": 1000})
    player = Player(one.port)
    run(root, f"SET GLOBAL max_prepared_stmt_count = {count(root) + 5}")
    try:
        with player.client:
            for number in range(1, 20):
                assert player.run(prepare(f"SELECT ?, {number}"))[0][0] == 0
            for number in range(1, 20):
                assert player.run(execute(number, A_STRING))[0] == b"\2"
    finally:
        run(root, "SET GLOBAL max_prepared_stmt_count = 16382")


def test_a_server_that_allows_none_is_the_answer(server: Server, one: Fanin, root: Any) -> None:
    player = Player(one.port)
    run(root, "SET GLOBAL max_prepared_stmt_count = 0")
    try:
        with player.client:
            assert player.run(prepare("SELECT ?"))[0][1:3] == (1461).to_bytes(2, "little")
            assert player.run(query("SELECT 1"))[0] == b"\1"
    finally:
        run(root, "SET GLOBAL max_prepared_stmt_count = 16382")
