"""Values that a session has set: each follows its session to the next backend and is nobody else's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.constants import Capability
from tests.integration.running import run, value
from tests.integration.steps import Execute, Prepare
from tests.integration.wire import TRACKING, Refusal, WireClient
from tests.traps.trap import COUNT, INSERT, Trap, error_code

MULTI = Capability.MULTI_STATEMENTS
CHARSETS = "SELECT @@character_set_client, @@character_set_connection, @@character_set_results, @@collation_connection"


def test_default_schema(trap: Trap) -> None:
    kept = trap.play(
        "USE other",
        "SELECT DATABASE()",
        b"\x02traps",
        COUNT,
        "USE missing",
        b"\x02missing",
        "SELECT DATABASE()",
    )
    assert kept == [""] * 7
    kept = trap.play(
        "CREATE DATABASE mine",
        "USE mine",
        "SELECT DATABASE()",
        "DROP DATABASE mine",
        "SELECT DATABASE()",
        COUNT,
    )
    assert kept == [""] * 6
    # dropped by somebody else
    with trap.through() as client:
        client.ok("CREATE DATABASE mine")
        client.ok("USE mine")
        assert trap.steal(client) == ""
        run(trap.root, "DROP DATABASE mine")
        assert error_code(client.query("SELECT * FROM t")) in (1046, 1146)
        assert trap.steal(client) == ""


def test_no_default_schema(trap: Trap) -> None:
    kept = trap.play("SELECT DATABASE()", COUNT, "SELECT COUNT(*) FROM traps.t", "DO 1", database=None)
    assert kept == [""] * 4
    kept = trap.play("SELECT DATABASE()", "USE other", "SELECT COUNT(*) FROM t", b"\x1f", database=None)
    assert kept == [""] * 4


def test_set_variables(trap: Trap) -> None:
    shown = "SELECT @@sql_mode, @@group_concat_max_len, @@sort_buffer_size, @@div_precision_increment"
    for setting in (
        "SET sql_mode = 'ANSI_QUOTES', @@session.group_concat_max_len = 9, LOCAL sort_buffer_size = 65536",
        "SET sql_mode = CONCAT('PIPES_AS', '_CONCAT'), SESSION sort_buffer_size = 32768 * 3",
        "SET @@local.group_concat_max_len = 5, sql_mode = DEFAULT",
        # nothing of it or half of it
        "SET group_concat_max_len = 5, missing = 1",
        "SET group_concat_max_len = 6, sql_mode = 'NONSENSE'",
        "SET group_concat_max_len = (SELECT 5 UNION SELECT 6)",
    ):
        assert trap.play(setting, shown, "SHOW WARNINGS", shown) == [""] * 4, setting
    counting = "SET group_concat_max_len = (SELECT MAX(v) FROM t), div_precision_increment := 2 + 5"
    assert trap.play(counting, shown, "SHOW WARNINGS", shown) == [hidden_count(trap), "", "", ""]


def hidden_count(trap: Trap) -> str:
    """What keeps a backend after a SET of a subquery: MySQL has counted its rows, and shows that later."""
    return "" if trap.is_mariadb else "found-rows"


def test_set_is_evaluated_by_the_server(trap: Trap) -> None:
    for setting in ("SET NAMES nonsense", "SET autocommit = 7", "SET sql_mode = 'ANSI'", "SET NAMES 'utf8'"):
        assert trap.play(setting, "SHOW WARNINGS", CHARSETS, "SELECT @@sql_mode, @@autocommit") == [""] * 4


def test_set_names(trap: Trap) -> None:
    for setting in (
        "SET NAMES latin1",
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        "SET NAMES DEFAULT",
        "SET collation_connection = latin1_german1_ci",
        "SET character_set_results = NULL",
        "SET character_set_client = latin1, character_set_connection = utf8mb4, character_set_results = latin1",
    ):
        kept = trap.play(
            setting, CHARSETS, "SELECT 'ä', HEX('ä'), 'a' = 'A', COLLATION('a')", "SELECT s FROM t"
        )
        assert kept == [""] * 4, setting
    # the collation that it brings is the schema's, which no server reports: it is asked for
    kept = trap.play(
        "SET CHARACTER SET latin1", CHARSETS, "SELECT COLLATION('a')", "SET NAMES latin1", CHARSETS
    )
    assert kept == [""] * 5


@pytest.mark.parametrize("collation", [8, 33, 41, 45, 46, 63, 83, 224, 255])
def test_handshake_collation(collation: int, trap: Trap) -> None:
    assert trap.play(CHARSETS, "SELECT 'a' = 'A', s FROM t", CHARSETS, collation=collation) == [""] * 3


@pytest.mark.parametrize("collation", [8, 45, 46, 224])
def test_reset_and_charsets(collation: int, trap: Trap) -> None:
    kept = trap.play(CHARSETS, "SET NAMES latin1", b"\x1f", CHARSETS, "SELECT s FROM t", collation=collation)
    assert kept == [""] * 5
    # with the backend in hand
    kept = trap.play("BEGIN", "SET NAMES latin1", b"\x1f", CHARSETS, CHARSETS, collation=collation)
    assert kept == ["transaction", "transaction", "", "", ""]


def test_sql_mode_and_escapes(trap: Trap) -> None:
    for mode in (
        "NO_BACKSLASH_ESCAPES",
        "ANSI_QUOTES",
        "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
        "IGNORE_SPACE",
        "",
    ):
        # every answer has the status bit by which drivers choose how to escape: also those that need no server
        kept = trap.play(
            f"SET sql_mode = '{mode}'",
            b"\x0e",
            "SELECT '\\'",
            "SELECT '\\' /* ', '' */",
            'SELECT "v" FROM t ORDER BY "v"',
            "SELECT COUNT (*) FROM t",
            b"\x0e",
            "SELECT ROW_COUNT()",
        )
        assert kept == [""] * 8, mode
    # what one reads as a string is no reason to pin, and the other way round
    assert trap.play("SELECT '\\'', GET_LOCK(' , 0, '") == [""]
    kept = trap.play(
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "SELECT '\\', GET_LOCK('traps', 1), ''", b"\x1f"
    )
    assert kept == ["", "user-lock", ""]
    kept = trap.play(
        "SET sql_mode = 'ANSI_QUOTES'", "SELECT \"v\", '\"', GET_LOCK('traps', 1) FROM t LIMIT 1"
    )
    assert kept == ["", "user-lock"]


def test_restore_under_any_sql_mode(trap: Trap) -> None:
    # the thief leaves ANSI_QUOTES and latin1 behind; others leave worse
    with trap.through() as other:
        for mode in ("NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "PIPES_AS_CONCAT,IGNORE_SPACE", "TRADITIONAL"):
            other.ok(f"SET NAMES utf8mb4, sql_mode = '{mode}', group_concat_max_len = 12")
            with trap.through() as client:
                client.ok("SET lc_time_names = 'de_DE', time_zone = '+01:00', sql_mode = ''")
                for _ in range(2):
                    assert other.value("SELECT @@group_concat_max_len") == b"12"
                    assert client.value(
                        "SELECT CONCAT_WS(' ', @@lc_time_names, @@time_zone, @@sql_mode)"
                    ) == (b"de_DE +01:00 ")
            assert other.value("SELECT @@group_concat_max_len") == b"12"


RESTORED = {
    "time_zone": "'+03:00'",
    "lc_time_names": "'de_DE'",
    "foreign_key_checks": "0",
    "unique_checks": "0",
    "group_concat_max_len": "7",
    "innodb_lock_wait_timeout": "3",
    "lock_wait_timeout": "4",
    "optimizer_switch": "'index_merge=off'",
    "div_precision_increment": "9",
    "default_storage_engine": "'MyISAM'",
    "big_tables": "1",
    "sort_buffer_size": "65536",
    "join_buffer_size": "65536",
    "auto_increment_increment": "10",
    "auto_increment_offset": "3",
    "max_sort_length": "64",
    "net_write_timeout": "77",
    "sql_select_limit": "2",
}


def test_tracked_variables(trap: Trap) -> None:
    assert not [
        name
        for name, setting in RESTORED.items()
        if trap.play(
            f"SET {name} = {setting}", f"SELECT @@{name}", "SELECT * FROM t ORDER BY v", f"SELECT @@{name}"
        )
        != [""] * 4
    ]
    kept = trap.play(
        "INSERT INTO child VALUES (1, 9)",
        "SET foreign_key_checks = 0",
        "INSERT INTO child VALUES (1, 9)",
        "DELETE FROM child",
    )
    assert kept == [""] * 4
    # one that MariaDB reports in one form only
    kept = trap.play(
        "SET @@sql_safe_updates = 1", "DELETE FROM t", COUNT, "SET SESSION sql_safe_updates = 0", "DO 1"
    )
    assert kept == [""] * 5


def test_one_shot_variables(trap: Trap) -> None:
    unsafe = "unsafe-variable"
    kept = trap.play(
        "SET insert_id = 900", INSERT, "SELECT LAST_INSERT_ID()", "SELECT id FROM t WHERE v = 100"
    )
    assert kept[0] == unsafe
    kept = trap.play("SET last_insert_id = 9", "SELECT LAST_INSERT_ID()", "SELECT @@identity", INSERT)
    assert kept == [""] * 4
    kept = trap.play("SET rand_seed1 = 5, rand_seed2 = 7", "SELECT RAND()", "SELECT RAND()")
    assert unsafe in kept[0]
    kept = trap.play(
        "SET timestamp = 1000000000",
        "SELECT UNIX_TIMESTAMP()",
        "SET timestamp = DEFAULT",
        "SELECT UNIX_TIMESTAMP() > 1000000009",
    )
    assert kept == [unsafe, unsafe, "", ""]
    kept = trap.play("SET profiling = 1", "SELECT @@profiling", b"\x1f", "SELECT @@profiling")
    assert kept == [unsafe, unsafe, "", ""]
    kept = trap.play(
        "SET SESSION sql_log_bin = 0", INSERT, "SET SESSION sql_log_bin = 1", COUNT, user="root", password=""
    )
    assert kept == [unsafe, unsafe, "", ""]


def test_idle_timeouts(trap: Trap) -> None:
    kept = trap.play(
        "SET wait_timeout = 5000, interactive_timeout = 6000, net_read_timeout = 70",
        "SELECT @@wait_timeout, @@interactive_timeout, @@net_read_timeout",
        "SET wait_timeout = 7",
        "SELECT @@wait_timeout, @@interactive_timeout",
    )
    assert kept == [""] * 4
    # never on a backend that others get
    with trap.through() as client:
        client.ok("SET wait_timeout = 1")
        client.quit()
    with trap.direct() as direct, trap.through() as client:
        asked = "SELECT @@wait_timeout"
        assert client.value(asked) == direct.value(asked)
    # who is idle for longer hears what the server would say, in a transaction, too
    with trap.direct() as direct, trap.through() as client:
        for each in (direct, client):
            each.ok("SET wait_timeout = 1")
        ends = [last_words(each) for each in (direct, client)]
        assert ends[0] == ends[1]
    with trap.through() as client:
        client.ok("SET wait_timeout = 1")
        client.ok("BEGIN")
        client.ok("INSERT INTO t (v) VALUES (4711)")
        assert last_words(client) == ends[0]
    assert value(trap.root, "SELECT COUNT(*) FROM traps.t WHERE v = 4711") == 0


def last_words(client: WireClient) -> bytes | type[OSError]:
    """What comes unasked before the end."""
    try:
        return client.stream.read()
    except OSError as error:
        return type(error)


def test_session_tracking_of_the_client(trap: Trap) -> None:
    for setting in (
        "DO 1",
        "SET session_track_system_variables = 'time_zone', session_track_state_change = 1",
        "SET session_track_schema = 0",
        "SET session_track_system_variables = ''",
    ):
        kept = trap.play(
            setting,
            "SET time_zone = '+01:00', lc_time_names = 'de_DE'",
            "SELECT @@session_track_system_variables, @@session_track_schema",
            "USE other",
            "SET NAMES latin1",
            "SELECT @@time_zone, DATABASE()",
            b"\x1f",
            "SET time_zone = '+02:00'",
            capabilities=TRACKING,
        )
        assert kept == [""] * 8, setting


def test_set_global(trap: Trap) -> None:
    asked = "SELECT @@max_sort_length"
    before = value(trap.root, "SELECT @@global.max_sort_length")
    try:
        with trap.through(user="root", password="") as client:
            client.ok(f"SET GLOBAL max_sort_length = {before + 8}")
            assert trap.kept(client) == ""
        with trap.through() as late, trap.direct() as direct:
            assert late.value(asked) == direct.value(asked) == str(before + 8).encode()
            trap.thief.turn()
            assert late.value(asked) == str(before + 8).encode()
            # a session's own value stays
            late.ok("SET max_sort_length = 100")
            run(trap.root, f"SET GLOBAL max_sort_length = {before + 16}")
            trap.thief.turn()
            assert late.value(asked) == b"100"
    finally:
        run(trap.root, f"SET GLOBAL max_sort_length = {before}")


@contextlib.contextmanager
def init_connect(trap: Trap, text: str) -> Iterator[None]:
    """What a server runs for each client that logs in, set through Fanin."""
    with trap.through(user="root", password="") as root:
        root.ok(f"SET GLOBAL init_connect = '{text}'")
        try:
            yield
        finally:
            root.ok("SET GLOBAL init_connect = ''")


@pytest.fixture
def account(trap: Trap) -> Iterator[str]:
    """A user of one test, with the password `pw`."""
    run(trap.root, "CREATE USER 'trapped'@'%' IDENTIFIED BY 'pw'", "GRANT ALL ON traps.* TO 'trapped'@'%'")
    yield "trapped"
    run(trap.root, "DROP USER IF EXISTS 'trapped'@'%'")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("SET SESSION max_sort_length = 99, @x = 5", "SELECT @@max_sort_length, @x, @y"),
        ("SET NAMES latin1 COLLATE latin1_german1_ci, sql_mode = ANSI_QUOTES", CHARSETS),
        (
            "SET autocommit = 0; UPDATE other.t SET w = 1; DO LAST_INSERT_ID(42)",
            "SELECT LAST_INSERT_ID(), ROW_COUNT()",
        ),
        ("DO CAST(2 AS CHAR) + 0; SELECT * FROM traps.t", "SELECT FOUND_ROWS(), ROW_COUNT(), @@autocommit"),
        ("DO CAST(_utf8mb4 0x61 AS SIGNED)", "SHOW WARNINGS"),
        ("CREATE TEMPORARY TABLE traps.mine (a INT)", "SELECT * FROM traps.mine"),
        ("START TRANSACTION", "SELECT COUNT(*) FROM t"),
        ("SET SESSION wait_timeout = 777", 'SHOW VARIABLES LIKE "wait_timeout"'),
        ("SET wrong", "SELECT 1"),
        (" ", "SELECT 1"),
    ],
)
def test_init_connect(trap: Trap, account: str, text: str, asked: str) -> None:
    run(trap.root, f"GRANT ALL ON other.* TO '{account}'@'%'")
    arguments: dict[str, Any] = {"user": account, "password": "pw"}
    with init_connect(trap, text):
        if text.isspace() or "wrong" in text:
            # in place of the login, because a backend cannot be opened either
            with trap.direct(**arguments) as direct, pytest.raises(Refusal, match="1184"):
                assert error_code(direct.query(asked)) == 1184
                trap.through(**arguments).__enter__()
            return
        for _ in range(2):
            trap.play(asked, "SELECT @@max_sort_length, @x, @@sql_mode", asked, "ROLLBACK", **arguments)
            # undone by a reset, and not run again
            trap.play(
                asked, b"\x1f", asked, CHARSETS, "SELECT @@max_sort_length, @x, @@sql_mode", **arguments
            )
        # not for those who may change it
        trap.play("SELECT @@max_sort_length, @x, @@sql_mode")
    run(trap.root, "TRUNCATE other.t")
    with init_connect(trap, "INSERT INTO other.t (w) VALUES (1)"):
        with trap.through(**arguments) as client:
            client.ok("DO 1")
        opened = value(trap.root, "SELECT COUNT(*) FROM other.t")
        for _ in range(3):
            with trap.through(**arguments) as client:
                # a ping needs no backend
                assert (client.command(b"\x0e")[0][0], trap.kept(client)) == (0, "")
        assert value(trap.root, "SELECT COUNT(*) FROM other.t") == opened + 3


def test_set_role(trap: Trap, account: str) -> None:
    run(
        trap.root,
        "DROP ROLE IF EXISTS trap_role",
        "CREATE ROLE trap_role",
        "GRANT SELECT ON other.* TO trap_role",
    )
    run(trap.root, f"GRANT trap_role TO '{account}'@'%'")
    arguments: dict[str, Any] = {"user": account, "password": "pw"}
    kept = trap.play(
        "SELECT CURRENT_ROLE()",
        "SELECT * FROM other.t",
        "SET ROLE trap_role",
        "SELECT CURRENT_ROLE()",
        "SELECT * FROM other.t",
        **arguments,
    )
    assert kept == ["", "", "role", "role", "role"]
    # the next session of that user has none of it
    assert trap.play("SELECT CURRENT_ROLE()", "SELECT * FROM other.t", **arguments) == ["", ""]
    # not even after a reset, for a reset does not undo it
    kept = trap.play("SET ROLE trap_role", b"\x1f", "SELECT CURRENT_ROLE()", **arguments)
    assert kept[1:] == ["role", "role"]


def test_changed_password(trap: Trap, account: str) -> None:
    trap.clean()
    with trap.through(user=account, password="pw") as client:
        client.ok("SET PASSWORD = 'new'" if not trap.is_mariadb else "SET PASSWORD = PASSWORD('new')")
        # it is the new one that opens sessions now
        with trap.through(user=account, password="new") as late:
            assert late.value("SELECT 1") == b"1"
        with pytest.raises(Refusal) as caught:
            trap.through(user=account, password="pw").__enter__()
        assert caught.value.code == 1045
    run(trap.root, f"ALTER USER '{account}'@'%' PASSWORD EXPIRE")

    def expired(client: WireClient) -> tuple[int, int]:
        return error_code(client.query("SELECT 1")), error_code(client.query("SELECT COUNT(*) FROM t"))

    for connect in (trap.direct, trap.through):
        with contextlib.ExitStack() as exits:
            try:
                client = exits.enter_context(connect(user=account, password="new"))
            except Refusal as refused:
                assert refused.code in (1820, 1862)
            else:
                assert set(expired(client)) <= {1820, 1862}
    run(trap.root, f"ALTER USER '{account}'@'%' IDENTIFIED BY 'third'")
    with trap.through(user=account, password="third") as client:
        assert client.value(COUNT) == b"3"


def test_resource_group(trap: Trap) -> None:
    kept = trap.play(
        "SET RESOURCE GROUP USR_default", "SELECT 1", b"\x1f", "SELECT 1", user="root", password=""
    )
    # MariaDB has none
    assert kept == ([""] * 4 if trap.is_mariadb else ["resource-group"] * 4)


def test_user_variables(trap: Trap) -> None:
    for program in (
        (
            "SET @a = 5, @b = 'x', @c = NULL, @d = 1.50, @e = 0x61, @f = 1e3",
            "SELECT @a, @b, @c, @d, @e, @f, @g",
        ),
        ("SET @a = 5", "SELECT @a := @a + 1", "SELECT @a", "SELECT @A + 1"),
        ("SELECT v, s FROM t WHERE id = 1 INTO @v, @s", "SELECT @v, @s", b"\x1f", "SELECT @v"),
        (
            Prepare("p", "SET @a = ?"),
            Execute("p", (4,)),
            "SELECT @a",
            "UPDATE t SET s = @a",
            "SELECT s FROM t",
        ),
        ("SET @a = 1", "USE other", "SET sql_mode = 'ANSI_QUOTES'", "SELECT @a, @b"),
        ("SET NAMES latin1", "SET @a = 1", "SET NAMES latin1", "SELECT CONCAT(@a, 'z'), COLLATION(@a)"),
        ("SET @a = 18446744073709551615, @b = -9223372036854775808, @c = ''", "SELECT @a, @b, @c, @a - 1"),
    ):
        assert trap.play(*program) == [""] * len(program), program
    # on MySQL a number there is of the collation that there was, and no statement says so
    kept = trap.play("SET @a = 1", "SET NAMES latin1", "SELECT COLLATION(CONCAT(@a, 'z'))")
    assert kept == ["", "", ""] if trap.is_mariadb else ["", "user-variable", "user-variable"]
    counted = trap.play(
        "SET @q = (SELECT MAX(v) FROM t)", "INSERT INTO t (v) VALUES (@q + 1)", "SELECT v FROM t ORDER BY v"
    )
    assert counted == [hidden_count(trap), hidden_count(trap), ""]
    kept = trap.play(
        "SET @x = 4",
        "PREPARE p FROM 'SELECT ? + 1'",
        "EXECUTE p USING @x",
        "DEALLOCATE PREPARE p",
        "SELECT @x",
    )
    assert kept == ["", *["prepared-text"] * 2, "", ""]
    # nobody else's
    with trap.through() as client:
        client.ok("SET @mine = 'secret'")
        client.quit()
    with trap.through() as client:
        assert client.value("SELECT @mine") is None
    # neither a string nor an account nor a system variable is one
    kept = trap.play(
        "SELECT '@a', \"@a := 1\", @@sql_mode", "SHOW GRANTS FOR 'app'@'%'", "SELECT 'a@b' -- @c := 1"
    )
    assert kept == ["", "", ""]


def test_variable_from_global(trap: Trap) -> None:
    kept = trap.play(
        "SET group_concat_max_len = 5",
        "SET @@session.group_concat_max_len = @@global.group_concat_max_len",
        "SELECT @@group_concat_max_len = @@global.group_concat_max_len",
        "SET sql_mode = @@sql_mode, time_zone = @@global.time_zone",
        "SELECT @@sql_mode, @@time_zone",
    )
    assert kept == [""] * 5
