from __future__ import annotations

import pytest

from protocol.packets import Column, build_ok
from protocol.session_track import NextOkDebt, SessionChanges
from proxy.classify import classify
from proxy.conditions import DIAGNOSTICS, FOUND_ROWS, INSERT_ID, ROW_COUNT, USER_VARIABLES
from proxy.lexer import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, ODD_BYTES
from proxy.pins import PinReason
from proxy.residue import MAX_CAPTURED
from proxy.session import HOLD, PARK, PROBE, RELEASE, SessionState
from proxy.variables import CAPTURED, CAPTURING, KEEPS_VARIABLES, KEEPS_WARNINGS
from proxy.vector import CHARSET_VARIABLES, RESULTS_COLLATION, Vector
from tests.fakes.responses import (
    AUTOCOMMIT,
    COM_PING,
    IN_TRANS,
    MORE_RESULTS,
    changed,
    err,
    ok,
    response,
    rows,
    wire,
)

READ_ONLY = 0x2000
NO_BACKSLASH = 0x0200
MARIADB_ANSI_QUOTES = 0x8000
DB_DROPPED = 0x0100
COM_INIT_DB = 0x02
COM_DEBUG = 0x0D
COM_SET_OPTION = 0x1B
COM_FIELD_LIST = 0x04
CHARSETS = {name: b"utf8mb4" for name in CHARSET_VARIABLES[:3]}
FRESH = Vector.fresh(b"shop", {**CHARSETS, b"collation_connection": b"utf8mb4_bin"})
IN_TRANSACTION = AUTOCOMMIT | IN_TRANS


class Story:
    """One session, told in statements and what the server said to them."""

    def __init__(self, *, is_mariadb: bool = False, sql_mode: bytes = b"") -> None:
        self.session = SessionState(FRESH, AUTOCOMMIT, sql_mode, is_mariadb)

    def run(self, text: str, *results: list[bytes]) -> int:
        """The verdict on one statement; without results the server said OK."""
        statement = classify(text.encode(), self.session.lexing)
        return self.session.completed(statement, response(*(results or [ok(status=self.session.status)])))

    def command(self, command: int, payload: bytes, *results: list[bytes]) -> int:
        return self.session.completed_command(
            command, bytes([command]) + payload, response(*(results or [ok()]), command=command)
        )

    def probe(self, result: list[bytes]) -> int:
        return self.session.probed(response(result, command=COM_SET_OPTION))

    def pins(self) -> list[str]:
        return [reason.value for reason in self.session.pin_reasons()]

    def variable(self, name: str) -> bytes | None:
        return self.session.vector.variables.get(name.encode())


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def maria() -> Story:
    return Story(is_mariadb=True)


# Ordinary statements


def test_an_ordinary_statement_ends_the_lease(story: Story) -> None:
    assert story.run("SELECT a FROM t", rows([b"1"], [b"2"])) == RELEASE
    assert story.session.found_rows == 2
    assert story.session.row_count == -1
    assert story.run("UPDATE t SET a=1", ok(3)) == RELEASE
    assert story.session.row_count == 3
    assert not story.session.is_held()


def test_residue_parks(story: Story) -> None:
    assert story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5)) == PARK
    assert story.run("SELECT a FROM t", rows([b"1"])) == PARK
    story.session.captured_residue([wire(rows([b"0", b"5", b"0"]))])
    assert story.run("SELECT a FROM t", rows([b"1"])) == RELEASE
    assert story.session.insert_id == 5


def test_warnings_park_until_the_next_statement(story: Story) -> None:
    assert story.run("DO 1/0", ok(warnings=1)) == PARK
    assert story.run("DO 1") == RELEASE


def test_statements_without_a_table_do_not_answer_for_warnings_on_mariadb(maria: Story) -> None:
    maria.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5))
    maria.session.captured_residue([wire(rows([b"0", b"5", b"0"]))])
    maria.run("UPDATE t SET a=LAST_INSERT_ID(7)", ok(1, insert_id=7))

    assert maria.run("SELECT 1", rows([b"1"])) == PARK
    assert maria.session.native & 8 == 8


# Transactions


def test_a_transaction_holds_until_it_ends(story: Story) -> None:
    assert story.run("BEGIN", ok(status=IN_TRANSACTION)) == HOLD
    assert story.session.is_held()
    assert story.run("SELECT a FROM t", rows([b"1"], status=IN_TRANSACTION)) == HOLD
    assert story.run("COMMIT", ok()) == RELEASE


def test_backends_are_shared_between_transactions_without_autocommit(story: Story) -> None:
    assert story.run("SET autocommit=0", ok(status=0, changes=changed(("autocommit", "OFF")))) == RELEASE
    assert story.run("SELECT a FROM t", rows([b"1"], status=IN_TRANS)) == HOLD
    assert story.run("COMMIT", ok(status=0)) == RELEASE
    assert story.variable("autocommit") == b"OFF"


def test_savepoints_pin_only_where_the_server_sees_no_transaction(story: Story) -> None:
    assert story.run("SAVEPOINT a") == RELEASE
    story.run("SET autocommit=0", ok(status=0, changes=changed(("autocommit", "OFF"))))
    assert story.run("SAVEPOINT a", ok(status=0)) == HOLD
    assert story.pins() == ["savepoint"]
    assert story.run("COMMIT", ok(status=0)) == RELEASE
    story.run("SAVEPOINT a", ok(status=0))
    story.run("SELECT a FROM t", rows([b"1"], status=IN_TRANS))
    assert story.run("ROLLBACK TO a", ok(status=IN_TRANS)) == HOLD
    assert story.run("DROP TABLE t", ok(status=0)) == RELEASE
    story.run("SAVEPOINT a", ok(status=0))
    assert story.run("SET autocommit=1", ok(changes=changed(("autocommit", "ON")))) == RELEASE


def test_a_transaction_may_be_lost_with_its_backend() -> None:
    story = Story()
    story.run("SET TRANSACTION READ ONLY", ok())
    story.run("BEGIN", ok(status=IN_TRANSACTION))
    story.run("SAVEPOINT a", ok(status=IN_TRANSACTION))
    assert story.session.is_held()
    story.session.transaction_lost()
    assert not story.session.is_held() and story.session.status == AUTOCOMMIT


@pytest.mark.parametrize("text", ["SET @@transaction_isolation='SERIALIZABLE'", "SET TRANSACTION READ ONLY"])
def test_characteristics_of_the_next_transaction_pin_until_it_has_ended(story: Story, text: str) -> None:
    assert story.run(text) == HOLD
    assert story.run("SELECT 1", rows([b"1"])) == HOLD
    assert story.run("BEGIN", ok(status=IN_TRANSACTION)) == HOLD
    assert story.run("COMMIT", ok()) == RELEASE


def test_characteristics_that_a_statement_has_used_up_pin_no_longer(story: Story) -> None:
    story.run("SET TRANSACTION READ ONLY")
    used = changed(characteristics="", is_opaque=False)

    assert story.run("SELECT a FROM t", rows([b"1"], changes=used)) == RELEASE


def test_a_routine_may_set_them_too(story: Story) -> None:
    changes = changed(characteristics="SET TRANSACTION READ ONLY;", is_opaque=False)

    assert story.run("CALL p()", ok(changes=changes)) == HOLD
    assert story.run("CALL p()", ok(changes=changes)) == HOLD
    assert story.pins() == ["next-transaction", "routine"]


@pytest.mark.parametrize("text", ["START TRANSACTION;", "SET TRANSACTION READ ONLY; START TRANSACTION;", "SET TRANSACTION READ ONLY; XA START 'a';", ""])  # fmt: skip
def test_characteristics_of_a_transaction_that_runs_do_not_pin(story: Story, text: str) -> None:
    story.run("BEGIN", ok(status=IN_TRANSACTION, changes=changed(characteristics=text, is_opaque=False)))

    assert story.pins() == []


def test_autocommit_ends_a_transaction_but_not_its_characteristics(story: Story) -> None:
    story.run("SET autocommit=0", ok(status=0, changes=changed(("autocommit", "OFF"))))
    story.run("START TRANSACTION READ ONLY", ok(status=IN_TRANS | READ_ONLY))

    assert story.run("SET autocommit=1", ok(changes=changed(("autocommit", "ON")))) == HOLD
    assert story.pins() == ["next-transaction"]


@pytest.mark.parametrize("text", ["SET SESSION TRANSACTION READ WRITE; ROLLBACK", "SET autocommit=1; COMMIT"])
def test_a_commit_in_the_same_text_ends_them(story: Story, text: str) -> None:
    story.run("START TRANSACTION READ ONLY", ok(status=IN_TRANSACTION | READ_ONLY))
    story.run(text, ok(status=AUTOCOMMIT | MORE_RESULTS), ok())
    assert "next-transaction" not in story.pins()


def test_autocommit_ends_an_ordinary_transaction(story: Story) -> None:
    story.run("SET autocommit=0", ok(status=0, changes=changed(("autocommit", "OFF"))))
    story.run("SELECT a FROM t", rows([b"1"], status=IN_TRANS))

    assert story.run("SET autocommit=1", ok(changes=changed(("autocommit", "ON")))) == RELEASE


def test_xa_transactions_pin_beyond_the_flag(story: Story) -> None:
    story.run("XA START 'a'", ok(status=IN_TRANSACTION))
    assert story.run("XA PREPARE 'a'", ok()) == HOLD
    assert story.pins() == ["xa"]
    assert story.session.needs_close
    assert story.run("XA COMMIT 'a'") == RELEASE
    assert not story.session.needs_close


# Variables


def test_reported_values_become_part_of_the_vector(story: Story) -> None:
    assert story.run("SET Sql_Mode='ANSI'", ok(changes=changed(("Sql_Mode", "ANSI")))) == RELEASE
    assert story.variable("sql_mode") == b"ANSI"


def test_an_sql_mode_that_a_routine_has_put_back_is_as_before() -> None:
    maria = Story(is_mariadb=True, sql_mode=b"ANSI_QUOTES")
    maria.run("CALL p()", ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    assert maria.session.vector is FRESH
    maria.run("CALL p()", ok(changes=changed(("sql_mode", ""))))
    assert maria.variable("sql_mode") == b""
    maria.run("CALL p()", ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    assert maria.variable("sql_mode") == b"ANSI_QUOTES"


def test_an_sql_mode_that_the_session_sets_is_its_own_even_if_it_is_that_of_the_server() -> None:
    maria = Story(is_mariadb=True, sql_mode=b"ANSI_QUOTES")
    maria.run("SET sql_mode = 'ANSI_QUOTES'", ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    assert maria.variable("sql_mode") == b"ANSI_QUOTES"


def test_a_variable_that_is_not_reported_pins_until_it_is(maria: Story) -> None:
    assert maria.run("SET @@unique_checks=0") == HOLD
    assert maria.pins() == ["untracked-variable"]
    assert maria.run("SET unique_checks=0", ok(changes=changed(("unique_checks", "OFF")))) == RELEASE


def test_the_old_and_the_new_name_of_a_variable_are_the_same(maria: Story) -> None:
    text = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"

    assert maria.run(text, ok(changes=changed(("tx_isolation", "SERIALIZABLE")))) == RELEASE
    assert maria.variable("tx_isolation") == b"SERIALIZABLE"


def test_variables_that_must_not_be_moved_pin(story: Story) -> None:
    assert story.run("SET sql_log_bin=0", ok(changes=changed(("sql_log_bin", "OFF")))) == HOLD
    assert story.pins() == ["unsafe-variable"]
    assert story.run("SET sql_log_bin=1", ok(changes=changed(("sql_log_bin", "ON")))) == RELEASE
    assert story.variable("sql_log_bin") is None


def test_time_stands_still_until_it_is_set_to_default(story: Story) -> None:
    report = changed(("timestamp", "5.000000"))

    assert story.run("SET timestamp=5", ok(changes=report)) == HOLD
    assert story.run("SET timestamp=DEFAULT", ok(changes=report)) == RELEASE


def test_a_set_insert_id_that_is_not_reported_is_residue_too(maria: Story) -> None:
    assert maria.run("SET @@last_insert_id=5") == PARK
    assert (maria.session.residue, maria.session.native & INSERT_ID) == (INSERT_ID, INSERT_ID)
    assert maria.pins() == []


def test_a_limit_is_kept_apart_from_the_vector(story: Story) -> None:
    assert story.run("SET wait_timeout=9", ok(changes=changed(("wait_timeout", "9")))) == RELEASE
    assert story.session.kept == {b"wait_timeout": b"9"}
    assert story.variable("wait_timeout") is None


def test_what_a_prepared_text_means_is_known_by_its_name(story: Story) -> None:
    story.run("PREPARE p FROM 'SELECT @@wait_timeout'", ok(changes=changed()))
    meaning = story.session.text_of(b"p")
    assert meaning is not None and meaning.kept == classify(b"SELECT @@wait_timeout", 0).kept != 0
    assert story.session.text_of(b"q") is None


@pytest.mark.parametrize("name", ["last_insert_id", "identity"])
def test_a_set_insert_id_is_residue(story: Story, name: str) -> None:
    assert story.run(f"SET {name}=5", ok(changes=changed((name, "5")))) == PARK
    assert story.session.insert_id == 5
    assert story.variable(name) is None


def test_what_a_transaction_wrote_is_no_variable(maria: Story) -> None:
    assert (
        maria.run("INSERT INTO t VALUES (1)", ok(1, changes=changed(("last_gtid", "0-1-5"), is_opaque=False)))
        == RELEASE
    )
    assert maria.variable("last_gtid") is None


def test_values_for_one_statement_are_not_kept(maria: Story) -> None:
    text = "SET STATEMENT sql_notes=0 FOR SELECT 1"

    assert maria.run(text, rows([b"1"], changes=changed(("sql_notes", "OFF")))) == RELEASE
    assert maria.variable("sql_notes") is None


def test_values_set_by_a_hint_are_the_old_ones_when_they_are_reported(story: Story) -> None:
    text = "SELECT /*+ SET_VAR(sort_buffer_size=9) */ a FROM t"

    assert story.run(text, rows([b"1"], changes=changed(("sort_buffer_size", "262144")))) == RELEASE


def test_global_variables_do_not_pin(story: Story) -> None:
    assert story.run("SET GLOBAL a=1") == RELEASE


# Undone


@pytest.mark.parametrize(("status", "verdict"), [(IN_TRANS, HOLD), (AUTOCOMMIT, RELEASE)])
def test_what_was_set_in_vain_is_undone_in_the_transaction_or_after_it(
    story: Story, status: int, verdict: int
) -> None:
    story.run("BEGIN", ok(status=IN_TRANS))
    assert story.session.restored(response(ok(status=status))) == verdict


# Character sets


def names(charset: str) -> SessionChanges:
    return changed(*[(name.decode(), charset) for name in CHARSET_VARIABLES[:3]])


def test_set_names_brings_the_collation_of_the_character_set(story: Story) -> None:
    assert story.run("SET NAMES latin1", ok(changes=names("latin1"))) == RELEASE
    assert story.variable("collation_connection") is None
    assert RESULTS_COLLATION not in story.session.vector.variables


def test_set_names_with_a_collation_that_no_server_reports(story: Story) -> None:
    assert story.run("SET NAMES latin1 COLLATE latin1_bin", ok(changes=names("latin1"))) == RELEASE
    assert story.variable("collation_connection") == b"latin1_bin"
    assert story.session.vector.variables[RESULTS_COLLATION] == b"latin1_bin"


def test_a_collation_that_may_not_have_been_set_is_not_kept(story: Story) -> None:
    text = "/*!99999 SET NAMES latin1 COLLATE latin1_bin */; SET unique_checks=0"

    assert story.run(text, ok(changes=changed(("unique_checks", "OFF")))) == HOLD
    assert story.variable("collation_connection") == b"utf8mb4_bin"


def test_the_collation_after_set_character_set_is_not_known(story: Story) -> None:
    assert story.run("SET CHARACTER SET latin1", ok(changes=names("latin1"))) == HOLD
    assert story.pins() == ["untracked-variable"]
    assert story.run("SET NAMES latin1", ok(changes=names("latin1"))) == RELEASE


def test_character_sets_that_cannot_be_lexed_pin(story: Story) -> None:
    assert story.run("SET NAMES gbk", ok(changes=names("gbk"))) == HOLD
    assert story.run("SET NAMES gbk", ok(changes=names("gbk"))) == HOLD
    assert story.pins() == ["unsafe-charset"]
    assert story.run("SET NAMES utf8mb4", ok(changes=names("utf8mb4"))) == RELEASE


def test_numbers_in_user_variables_keep_their_backend_on_mysql_over_set_names(story: Story) -> None:
    story.run("SET NAMES utf8mb4", ok(changes=names("utf8mb4")))
    story.run("SET @a = 1", ok(changes=SessionChanges(state_changed=True)))
    assert story.run("SET NAMES utf8mb4", ok(changes=names("utf8mb4"))) == PARK
    assert story.run("SET NAMES latin1", ok(changes=names("latin1"))) == HOLD
    assert story.pins() == ["user-variable"]


def test_they_pin_from_the_login_on() -> None:
    session = SessionState(Vector.fresh(None, {b"character_set_client": b"sjis"}), AUTOCOMMIT, b"")

    assert session.pin_reasons() == [PinReason.UNSAFE_CHARSET]


# How the next text is read


def test_lexing_follows_sql_mode(story: Story) -> None:
    story.run("SET sql_mode=x", ok(changes=changed(("sql_mode", "ANSI_QUOTES,STRICT_ALL_TABLES"))))
    assert story.session.lexing == ANSI_QUOTES
    report = changed(("sql_mode", "NO_BACKSLASH_ESCAPES"))
    story.run("SET sql_mode=x", ok(status=AUTOCOMMIT | NO_BACKSLASH, changes=report))
    assert story.session.lexing == NO_BACKSLASH_ESCAPES
    story.run("SET sql_mode=x", ok(changes=changed(("sql_mode", ""))))
    assert story.session.lexing == 0


def test_lexing_follows_status_flags_where_nothing_is_reported(maria: Story) -> None:
    maria.run("SET @@sql_mode=x", ok(status=AUTOCOMMIT | NO_BACKSLASH | MARIADB_ANSI_QUOTES))
    assert maria.session.lexing == ANSI_QUOTES | NO_BACKSLASH_ESCAPES
    maria.run("SET @@sql_mode=x", ok())
    assert maria.session.lexing == 0


def test_lexing_of_the_login() -> None:
    assert Story(sql_mode=b"ANSI_QUOTES,NO_BACKSLASH_ESCAPES").session.lexing == 3


# Schemas


def test_the_schema_is_reported(story: Story) -> None:
    assert story.run("USE test", ok(changes=changed(schema="test"))) == RELEASE
    assert story.session.vector.schema == b"test"


def test_a_dropped_schema_leaves_none(story: Story) -> None:
    changes = changed(schema="", is_opaque=False)
    assert story.run("DROP DATABASE shop", ok(status=AUTOCOMMIT | DB_DROPPED, changes=changes)) == RELEASE
    assert story.session.vector.schema is None


def test_it_may_have_been_another(story: Story) -> None:
    assert story.run("DROP DATABASE other", ok(status=AUTOCOMMIT | DB_DROPPED)) == RELEASE
    assert story.session.vector.schema == b"shop"


@pytest.mark.parametrize(
    ("text", "before", "schema"),
    [
        ("CALL twin.fails()", None, b"shop"),
        ("SELECT twin.f()", None, b"shop"),
        ("USE other; CALL twin.fails()", "other", b"other"),
    ],
)
def test_a_routine_that_fails_leaves_no_schema(
    maria: Story, text: str, before: str | None, schema: bytes
) -> None:
    first = ok(status=AUTOCOMMIT | MORE_RESULTS, changes=None if before is None else changed(schema=before))
    inside = rows([b"1"], status=AUTOCOMMIT | MORE_RESULTS, changes=changed(schema="twin"))
    maria.run(text, first, inside, err(1146))
    assert maria.session.vector.schema == schema


# Changes that nothing explains


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("SELECT f()", changed()),
        ("SELECT f()", changed(("sql_mode", ""))),
        ("CALL p()", changed()),
        ("CALL p()", changed(("sql_notes", "OFF"))),
        ("CALL p()", changed(schema="shop")),
        ("INSERT INTO t VALUES (1)", changed(schema="shop")),
        ("SET sql_mode=f()", changed(("sql_mode", ""))),
        ("SELECT f()", changed(schema="other")),
        ("SET STATEMENT a=1 FOR SELECT f()", changed(("a", "1"))),
        ("EXECUTE IMMEDIATE 'SELECT f()'", changed()),
    ],
)
def test_changes_that_nothing_explains_pin(story: Story, text: str, changes: SessionChanges) -> None:
    assert story.run(text, ok(changes=changes)) == HOLD
    assert "opaque-state-change" in story.pins()


@pytest.mark.parametrize("text", ["CREATE TEMPORARY TABLE x (a INT)", "PREPARE s FROM 'SELECT 1'"])
def test_what_the_text_explains_has_its_own_reason(story: Story, text: str) -> None:
    story.run(text, ok(changes=changed()))

    assert "opaque-state-change" not in story.pins()
    assert len(story.pins()) == 1


# Pins that are counted


def test_temporary_tables_pin_until_the_last_is_dropped(story: Story) -> None:
    story.run("CREATE TEMPORARY TABLE a (x INT)", ok(changes=changed()))
    story.run("CREATE TEMPORARY TABLE test.b (x INT)", ok(changes=changed()))
    assert story.run("DROP TABLE b") == HOLD
    assert story.run("DROP TABLE shop.a") == HOLD
    assert story.run("DROP TEMPORARY TABLE test.b") == RELEASE


def test_a_name_means_the_schema_of_the_moment(story: Story) -> None:
    story.run("CREATE TEMPORARY TABLE a (x INT)", ok(changes=changed()))
    story.run("USE test", ok(changes=changed(schema="test")))
    assert story.run("DROP TABLE a") == HOLD
    assert story.run("DROP TABLE shop.a") == RELEASE


def test_a_temporary_table_without_a_name_pins_for_good(story: Story) -> None:
    story.run("CREATE TEMPORARY TABLE", ok(changes=changed()))

    assert story.run("DROP TABLE a") == HOLD


def test_user_locks_are_counted(story: Story) -> None:
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))
    story.run("SELECT GET_LOCK('b', 1)", rows([b"1"]))
    assert story.run("SELECT RELEASE_LOCK('a')", rows([b"1"])) == HOLD
    assert story.run("SELECT RELEASE_LOCK('b')", rows([b"1"])) == HOLD
    assert story.run("SELECT RELEASE_LOCK('c')", rows([b"0"])) == HOLD
    # MariaDB has released nothing
    assert story.run("SELECT RELEASE_LOCK('A')", rows([None])) == HOLD
    assert story.run("SELECT RELEASE_LOCK('a')", rows([b"1"])) == RELEASE


def test_all_user_locks_are_released_at_once(story: Story) -> None:
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))
    story.run("SELECT GET_LOCK(@b, 1)", rows([b"1"]))
    assert story.run("SELECT RELEASE_ALL_LOCKS()", rows([b"2"])) == RELEASE


def test_locks_of_a_service_are_not(story: Story) -> None:
    story.run("SELECT service_get_write_locks('a', 'b', 1)", rows([b"1"]))

    assert story.run("SELECT RELEASE_ALL_LOCKS()", rows([b"0"])) == HOLD


def test_names_chosen_by_clients_are_only_names(story: Story) -> None:
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))
    assert story.run("SELECT RELEASE_LOCK('*')", rows([b"0"])) == HOLD
    story.run("PREPARE `a` FROM 'SELECT 1'", ok(changes=changed()))
    story.run("DEALLOCATE PREPARE `*`")
    assert story.pins() == ["user-lock", "prepared-text"]


# Locks of tables


def test_table_locks_are_seen_by_two_instruments(story: Story) -> None:
    assert story.run("LOCK TABLES t READ", ok(changes=changed(state="_______L", is_opaque=False))) == HOLD
    assert story.run("UNLOCK TABLES", ok(changes=changed(state="________", is_opaque=False))) == RELEASE


def test_a_lock_that_a_tracker_still_sees_is_not_lifted(story: Story) -> None:
    story.run("LOCK TABLES t READ", ok(changes=changed(state="_______L", is_opaque=False)))

    assert story.run("UNLOCK TABLES") == HOLD


def test_a_lock_that_only_the_tracker_sees_pins(story: Story) -> None:
    story.run("CALL p()", ok(changes=changed(state="_______L", is_opaque=False)))

    assert story.pins() == ["table-lock", "routine"]


def test_a_lock_that_the_tracker_forgets_stays(story: Story) -> None:
    # MySQL, when a temporary table is created under LOCK TABLES
    story.run("LOCK TABLES t READ", ok(changes=changed(state="_______L", is_opaque=False)))
    story.run("CREATE TEMPORARY TABLE x (a INT)", ok(changes=changed(state="________")))
    story.run("DROP TABLE x")

    assert story.pins() == ["table-lock"]
    assert story.run("UNLOCK TABLES") == RELEASE


def test_the_global_read_lock_is_not_released_by_a_transaction(story: Story) -> None:
    story.run("FLUSH TABLES WITH READ LOCK")
    story.run("BEGIN", ok(status=IN_TRANSACTION))
    assert story.run("COMMIT", ok()) == HOLD
    assert story.run("UNLOCK TABLES") == RELEASE


# Prepared text


def test_prepared_text_pins_until_it_is_deallocated(story: Story) -> None:
    story.run("PREPARE s FROM 'SELECT 1'", ok(changes=changed()))
    assert story.run("EXECUTE s", rows([b"1"])) == HOLD
    assert story.run("DEALLOCATE PREPARE S", ok(changes=changed())) == PARK


def test_executed_text_counts(story: Story) -> None:
    story.run(r"PREPARE s FROM 'SELECT GET_LOCK(\'a\', 1)'", ok(changes=changed()))
    story.run("EXECUTE s", rows([b"1"]))
    story.run("DEALLOCATE PREPARE s", ok(changes=changed()))

    assert story.pins() == ["user-lock"]


def test_a_set_that_is_executed_explains_its_report(story: Story) -> None:
    story.run("PREPARE s FROM 'SET sql_notes=0'", ok(changes=changed()))
    story.run("EXECUTE s", ok(changes=changed(("sql_notes", "OFF"))))

    assert story.pins() == ["prepared-text"]
    assert story.variable("sql_notes") == b"OFF"


ROUTINES = ["CALL p()", "SELECT f()", "SELECT `f` (1) FROM t", "INSERT INTO t VALUES (shop.f())", "SET a=f()"]


@pytest.mark.parametrize("text", ROUTINES)
def test_stored_routines_pin(story: Story, maria: Story, text: str) -> None:
    for own in (story, maria):
        assert own.run(text) == HOLD
        assert "routine" in own.pins()


@pytest.mark.parametrize("text", ROUTINES)
def test_stored_routines_that_fail_pin_whatever_the_error(maria: Story, text: str) -> None:
    # CALL may have begun a transaction, too
    assert maria.run(text, err(1146)) == (PROBE if text.startswith("CALL") else HOLD)
    assert maria.pins() == ["routine"]


def test_a_reset_lifts_what_routines_pinned(story: Story) -> None:
    story.run("CALL p()")
    story.session.was_reset((b"utf8mb4",) * len(CHARSET_VARIABLES), AUTOCOMMIT)

    assert story.pins() == []


def test_functions_of_the_server_itself_do_not_pin(story: Story, maria: Story) -> None:
    for own, text in ((story, "SELECT bin_to_uuid(a) FROM t"), (maria, "SELECT to_char(a) FROM t")):
        assert own.run(text, rows([b"1"])) == RELEASE


def test_functions_of_the_other_kind_of_server_pin(story: Story, maria: Story) -> None:
    for own, text in ((maria, "SELECT bin_to_uuid(a) FROM t"), (story, "SELECT to_char(a) FROM t")):
        assert own.run(text, rows([b"1"])) == HOLD
        assert own.pins() == ["routine"]


@pytest.mark.parametrize("text", ["SET STATEMENT a=1 FOR SELECT f()", "EXECUTE IMMEDIATE 'SELECT f()'"])
def test_routines_in_inner_statements_pin(maria: Story, text: str) -> None:
    maria.run(text, rows([b"1"]))

    assert "routine" in maria.pins()


def test_routines_in_prepared_texts_pin_when_they_are_executed(story: Story) -> None:
    story.run("PREPARE s FROM 'SELECT f()'", ok(changes=changed()))
    assert story.pins() == ["prepared-text"]
    story.run("EXECUTE s", rows([b"1"]))

    assert story.pins() == ["prepared-text", "routine"]


def test_prepared_texts_without_routines_do_not(story: Story) -> None:
    story.run("PREPARE s FROM 'SELECT 1'", ok(changes=changed()))
    story.run("EXECUTE s", rows([b"1"]))

    assert story.pins() == ["prepared-text"]


@pytest.mark.parametrize("text", ["RENAME TABLE a TO b", "ALTER TABLE a RENAME TO b"])
def test_a_temporary_table_that_may_have_been_renamed_stays(story: Story, text: str) -> None:
    story.run("CREATE TEMPORARY TABLE a (x INT)", ok(changes=changed()))
    story.run(text)
    story.run("DROP TABLE a")

    assert story.pins() == ["temporary-table"]


def test_renaming_a_table_pins_nothing_without_temporary_ones(story: Story) -> None:
    assert story.run("RENAME TABLE a TO b") == RELEASE


def test_sql_auto_is_null_pins_while_it_is_on(story: Story) -> None:
    story.run("SET sql_auto_is_null=1", ok(changes=changed(("sql_auto_is_null", "ON"))))
    assert story.pins() == ["unsafe-variable"]
    story.run("SET sql_auto_is_null=0", ok(changes=changed(("sql_auto_is_null", "OFF"))))

    assert story.pins() == []


def test_what_was_lost_is_forgotten_when_something_new_takes_its_place(story: Story) -> None:
    session = story.session
    question = classify(b"SELECT @@warning_count", 0)
    story.run("DO 1/0", ok(warnings=1))
    session.residue_lost()
    assert session.reads_lost(question)
    story.run("SELECT 1 FROM t", rows([b"1"]))

    assert not session.reads_lost(question)
    assert session.lost == 0


def test_what_was_lost_stays_so_while_nothing_takes_its_place(story: Story) -> None:
    session = story.session
    story.run("INSERT INTO t VALUES ()", ok(insert_id=7))
    session.residue_lost()
    story.run("SELECT 1 FROM t", rows([b"1"]))
    assert session.reads_lost(classify(b"SELECT LAST_INSERT_ID()", 0))
    story.run("INSERT INTO t VALUES ()", ok(insert_id=8))
    assert not session.reads_lost(classify(b"SELECT LAST_INSERT_ID()", 0))
    assert session.verdict() == PARK

    assert session.lost == 0


def test_a_failure_is_something_new_to_ask_for(story: Story) -> None:
    story.run("DO 1/0", ok(warnings=1))
    story.session.residue_lost()
    story.run("SELECT a FROM t", err(1054))

    assert story.session.lost == 0


def test_a_reset_forgets_what_was_lost(story: Story) -> None:
    story.run("INSERT INTO t VALUES ()", ok(insert_id=7))
    story.session.residue_lost()
    story.session.was_reset((b"utf8mb4",) * len(CHARSET_VARIABLES), AUTOCOMMIT)

    assert not story.session.reads_lost(classify(b"SELECT LAST_INSERT_ID()", 0))


def test_a_call_that_is_executed_explains_nothing(story: Story) -> None:
    story.run("PREPARE s FROM 'CALL p()'", ok(changes=changed()))
    story.run("EXECUTE s", ok(changes=changed()))

    assert "opaque-state-change" in story.pins()


def test_executed_text_that_is_not_known_pins(story: Story) -> None:
    story.run("PREPARE s FROM @a", ok(changes=changed()))
    story.run("EXECUTE s", rows([b"1"], changes=changed()))
    story.run("DEALLOCATE PREPARE s", ok(changes=changed()))

    assert story.pins() == ["opaque-state-change", "unknown-statement"]


def test_text_executed_at_once_counts(story: Story) -> None:
    story.run("EXECUTE IMMEDIATE 'SET unique_checks=0'", ok(changes=changed(("unique_checks", "OFF"))))
    assert story.pins() == []
    assert story.run("EXECUTE IMMEDIATE 'SET @a=1'", ok(changes=changed())) == PARK
    assert story.pins() == []


# GET DIAGNOSTICS


def test_what_signal_raises_keeps_the_backend_until_it_is_cleared(story: Story) -> None:
    story.run("SIGNAL SQLSTATE '01000'", ok(warnings=1))
    assert "diagnostics" in story.pins()
    story.run("SHOW WARNINGS", rows([b"Warning"]))
    assert "diagnostics" in story.pins()
    story.run("DO 1")
    assert story.pins() == []


def test_an_error_that_a_trigger_signals_keeps_the_backend(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1)", err(1644, b"45000"))
    assert "diagnostics" in story.pins()
    story.run("INSERT INTO t VALUES (1)", err(1062, b"45001"))
    assert "diagnostics" in story.pins()
    story.run("INSERT INTO t VALUES (1)", err(1062))
    assert story.pins() == []


# Errors


def test_an_error_is_followed_by_a_probe(story: Story) -> None:
    assert story.run("SELECT nosuch FROM t", err(1054)) == PROBE
    assert story.probe(ok()) == PARK
    assert story.run("SELECT a FROM t", rows([b"1"])) == RELEASE


def test_the_probe_tells_whether_the_transaction_goes_on(story: Story) -> None:
    story.run("BEGIN", ok(status=IN_TRANSACTION))
    assert story.run("INSERT INTO t VALUES (1)", err(1062)) == PROBE
    assert story.probe(ok(status=IN_TRANSACTION)) == HOLD
    assert story.run("UPDATE t SET a=1", err(1213)) == PROBE
    assert story.probe(ok()) == PARK


def test_a_pinned_session_needs_no_probe(story: Story) -> None:
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))

    assert story.run("SELECT nosuch FROM t", err(1054)) == HOLD


def test_a_probe_that_fails_pins(story: Story) -> None:
    story.run("SELECT nosuch FROM t", err(1054))

    assert story.probe(err(1317)) == HOLD
    assert story.pins() == ["opaque-state-change"]


def test_what_happened_before_the_error_comes_with_the_probe(story: Story) -> None:
    story.run("INSERT INTO t VALUES (1)", err(1062))
    assert story.probe(ok(changes=changed())) == HOLD
    assert story.pins() == ["opaque-state-change"]


def test_row_count_after_a_probe_is_what_the_server_says(story: Story) -> None:
    story.run("BEGIN", ok(status=IN_TRANSACTION))
    story.run("INSERT INTO t VALUES (1)", err(1062))
    story.probe(ok(status=IN_TRANSACTION))

    assert story.session.row_count == -1
    assert story.session.answer(classify(b"SELECT ROW_COUNT()", 0), False, 1, True, False) is None


@pytest.mark.parametrize(
    "text",
    [
        "FOO",
        "CREATE TEMPORARY TABLE x (a INT)",
        "SET @a=nosuch",
        "SET @@unique_checks=0",
        "LOCK TABLES nosuch READ",
        "SET unique_checks=0, nosuch=1",
    ],
)
def test_a_statement_that_was_not_run_does_not_pin(story: Story, text: str) -> None:
    assert story.run(text, err(1064)) == PROBE


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("CREATE TEMPORARY TABLE x (a INT) SELECT 1", []),
        ("SAVEPOINT a", []),
        ("SELECT @ä := a FROM t", ["user-variable"]),
        ("SELECT GET_LOCK('a', 1) FROM t", ["user-lock"]),
        ("SET unique_checks=(SELECT 1 UNION SELECT 2)", []),
        ("SET unique_checks=0, @a=(SELECT 1 UNION SELECT 2)", ["untracked-variable"]),
        ("SET unique_checks=0, sql_notes=0", ["untracked-variable"]),
        ("SELECT 1; CREATE TEMPORARY TABLE x (a INT)", ["temporary-table"]),
        ("SET unique_checks=0; SELECT 1", ["untracked-variable"]),
        ("EXECUTE IMMEDIATE 'SELECT @ä := a FROM t'", ["user-variable"]),
        ("EXECUTE s", ["opaque-state-change"]),
    ],
)
def test_what_a_failed_statement_may_have_done_pins(story: Story, text: str, pins: list[str]) -> None:
    story.run(text, err(1242))

    assert story.pins() == pins


def test_a_failed_execution_of_harmless_text_is_harmless(story: Story) -> None:
    story.run("PREPARE s FROM ''", ok(changes=changed()))
    story.run("EXECUTE s", err(1242))
    assert story.pins() == ["prepared-text"]
    story.run("PREPARE s FROM 'CALL p()'", ok(changes=changed()))
    story.run("EXECUTE s", err(1242))
    assert "opaque-state-change" in story.pins()


def test_a_name_that_fails_to_be_prepared_again_is_gone(story: Story) -> None:
    story.run("PREPARE s FROM 'SELECT 1'", ok(changes=changed()))
    story.run("PREPARE s FROM 'SELECT 1 FROM'", err(1242))

    assert story.pins() == []


def test_several_statements_that_prepare_are_left_alone(story: Story) -> None:
    story.run("PREPARE s FROM 'SELECT 1'; FOO", ok(status=AUTOCOMMIT | MORE_RESULTS), err(1064))

    assert "prepared-text" in story.pins()


# Commands without text


def test_init_db_changes_the_schema(story: Story) -> None:
    assert story.command(COM_INIT_DB, b"test", ok(changes=changed(schema="test"))) == RELEASE
    assert story.session.vector.schema == b"test"
    assert story.command(COM_INIT_DB, b"nosuch", err(1049)) == PROBE
    assert story.session.vector.schema == b"test"


def test_init_db_where_nothing_is_reported(story: Story) -> None:
    story.command(COM_INIT_DB, b"test")

    assert story.session.vector.schema == b"test"


def test_set_option_changes_the_vector(story: Story) -> None:
    story.command(COM_SET_OPTION, b"\x00\x00")
    assert story.session.vector.multi_statements
    story.command(COM_SET_OPTION, b"\x01\x00")
    assert not story.session.vector.multi_statements


@pytest.mark.parametrize(("command", "payload"), [(COM_SET_OPTION, b"\x00\x00"), (0x04, b"t\0")])
def test_answers_that_end_in_eof_count_as_rows(story: Story, command: int, payload: bytes) -> None:
    story.run("UPDATE t SET a=1", ok(3))
    story.command(command, payload, [build_ok(status=AUTOCOMMIT, header=0xFE)])
    assert story.session.row_count == -1


def test_preparing_leaves_the_counts_alone(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(3))
    assert story.session.completed_prepare(response(ok())) == RELEASE
    assert story.session.row_count == 3
    story.run("BEGIN", ok(status=AUTOCOMMIT | IN_TRANS))
    story.run("UPDATE t SET a=1", ok(4, status=AUTOCOMMIT | IN_TRANS))
    story.session.completed_prepare(response(ok(status=AUTOCOMMIT | IN_TRANS)))
    assert (story.session.row_count, story.session.native & ROW_COUNT) == (4, ROW_COUNT)
    assert story.session.completed_prepare(response(err(1064))) == PROBE
    assert story.session.row_count == -1


def test_a_probe_tells_how_many_warnings_an_error_came_with(story: Story) -> None:
    story.run("INSERT INTO t VALUES ('x')", err(1062))
    assert story.probe(ok(warnings=3)) == PARK
    assert story.session.pinged() == 3


def test_a_probe_does_not_count_the_error_of_a_command_without_a_statement(story: Story) -> None:
    assert story.command(COM_FIELD_LIST, b"t\0", err(1146)) == PROBE
    assert story.probe(ok(warnings=3)) == RELEASE
    assert story.session.pinged() == 1


def test_an_unknown_character_set_or_time_zone_changes_nothing(story: Story) -> None:
    for code in (1115, 1253, 1273, 1298):
        assert story.run("SET NAMES nonsense, time_zone = 'x'", err(code)) == PROBE
        assert story.probe(ok()) == PARK


def test_a_ping_resets_the_row_count(story: Story) -> None:
    story.run("UPDATE t SET a=1", ok(5))
    assert story.command(COM_PING, b"", ok(changes=changed(state="________", is_opaque=False))) == RELEASE
    assert story.session.row_count == 0


def test_other_commands_change_nothing(story: Story) -> None:
    assert story.command(COM_DEBUG, b"") == RELEASE
    assert story.session.vector is FRESH


# A reset


def test_a_reset_makes_the_session_fresh(story: Story) -> None:
    story.run("SET @a=1, sql_mode=''", ok(changes=changed(("sql_mode", "ANSI_QUOTES"))))
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5))
    story.command(COM_SET_OPTION, b"\x00\x00")
    story.session.was_reset((b"latin1", b"latin1", b"latin1", b"latin1_swedish_ci"), AUTOCOMMIT)

    session = story.session
    assert session.pin_reasons() == []
    assert session.residue == session.insert_id == session.lexing == 0
    assert session.vector.multi_statements
    assert session.vector.schema == b"shop"
    assert session.vector.variables[b"collation_connection"] == b"latin1_swedish_ci"
    assert b"sql_mode" not in session.vector.variables
    assert story.run("SELECT a FROM t", rows([b"1"])) == RELEASE


@pytest.mark.parametrize(
    ("text", "reason"), [("SET ROLE r", "role"), ("SET RESOURCE GROUP g", "resource-group")]
)
def test_what_no_reset_undoes_stays(story: Story, text: str, reason: str) -> None:
    story.run(text)
    story.session.was_reset((b"utf8mb4",) * 4, AUTOCOMMIT)

    assert story.pins() == [reason]
    assert story.session.needs_close


# The shell's own pins


def test_the_shell_pins_and_lifts(story: Story) -> None:
    story.session.pin(PinReason.CURSOR)
    story.session.pin(PinReason.CURSOR)
    assert story.session.verdict() == HOLD
    story.session.lift(PinReason.CURSOR)
    story.session.lift(PinReason.CURSOR)
    assert story.session.verdict() == RELEASE


# User variables

NEVER = Column(b"@a", 253, collation=63)
NUMBER = Column(b"@a", 8, collation=63)


def tell(story: Story, *found: tuple[Column, bytes | None], limit: int = MAX_CAPTURED) -> int:
    """The pool takes the backend away; these are the variables on it."""
    commands = story.session.capture_commands(limit)
    columns: list[Column] = []
    row: list[bytes | None] = []
    for column, value in found:
        columns += [column, Column(b"collation"), Column(b"hex")]
        row += [value, b"binary", None]
    answers = [wire(rows([b"0", b"0", b"0"])) for _ in commands[:-1]]
    answers.append(wire(rows(row, columns=columns)))
    return story.session.captured_residue(answers, limit)


def test_a_user_variable_parks_and_does_not_pin(story: Story) -> None:
    assert story.run("SET @a=5", ok(changes=changed())) == PARK
    assert story.pins() == []
    assert story.run("SELECT a FROM t", rows([b"1"])) == PARK
    assert story.run("SELECT @a", rows([b"5"])) == PARK


def test_captured_user_variables_are_known_until_they_may_be_assigned_again(story: Story) -> None:
    story.run("SET @a=5", ok(changes=changed()))
    assert tell(story, (NUMBER, b"5")) == CAPTURED
    known = story.session.variables
    assert known is not None
    assert known.values == {b"a": b"@`a`=5"}

    assert story.run("SELECT @a FROM t", rows([b"5"])) == RELEASE
    assert story.session.variables is known
    assert story.session.capture_commands() == []
    assert story.run("SELECT @b := 1", rows([b"1"])) == PARK
    assert story.session.variables.names == (b"a", b"b")


def test_names_count_whatever_becomes_of_the_statement(story: Story) -> None:
    assert story.run("SET @a=1, @b=(SELECT 1 UNION SELECT 2)", err(1242)) == PROBE
    assert story.probe(ok()) == PARK
    assert story.session.variables is not None and story.session.variables.names == (b"a", b"b")


def test_names_that_were_never_assigned_are_forgotten(story: Story) -> None:
    story.run("INSERT INTO t VALUES (@a)", ok(1))
    assert tell(story, (NEVER, None)) == CAPTURED
    assert story.session.variables is None
    assert story.run("SELECT 1", rows([b"1"])) == RELEASE


def test_more_than_64_user_variables_pin(story: Story) -> None:
    for n in range(64):
        story.run(f"SET @v{n}=1", ok(changes=changed()))
    assert story.pins() == []
    assert story.run("SET @one_more=1", ok(changes=changed())) == HOLD
    assert story.pins() == ["user-variable"]
    names = story.session.variables
    story.run("SET @another=1", ok(changes=changed()))
    assert story.session.variables is names


def test_the_counts_are_captured_before_the_user_variables(story: Story) -> None:
    story.run("SET @a=1", ok(changes=changed()))
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=1))

    commands = story.session.capture_commands()
    assert [command[1:].split()[0] for command in commands] == [b"SHOW", b"SELECT", b"SELECT"]
    assert b"FOUND_ROWS()" in commands[1] and b"@`a`" in commands[2]


def test_user_variables_that_cannot_be_captured_are_kept_and_the_rest_is_known(story: Story) -> None:
    story.run("SET @a=1", ok(changes=changed()))
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5))
    commands = story.session.capture_commands()
    answers = [wire(rows([b"0", b"5", b"0"])), wire(rows(columns=[NUMBER]))]
    assert len(commands) == 2

    assert story.session.captured_residue(answers) == KEEPS_VARIABLES
    assert story.session.insert_id == 5
    assert story.session.residue == USER_VARIABLES


def test_warnings_that_are_too_much_stay_where_they_are(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=2))
    assert story.session.capture_commands(1024) == [b"\x03SHOW WARNINGS LIMIT 94"]
    warning = [b"Warning", b"1365", b"x" * 600]

    assert story.session.captured_residue([wire(rows(warning, warning))], 1024) == KEEPS_WARNINGS
    assert story.session.residue == DIAGNOSTICS | INSERT_ID
    assert story.session.captured is None


def test_warnings_that_may_be_too_much_are_read_before_all_else(story: Story) -> None:
    story.run("INSERT INTO t VALUES (NULL)", ok(1, insert_id=5, warnings=2))
    story.session.capture_commands(1024)

    assert story.session.captured_residue([wire(rows([b"Note", b"1", b"x"]))], 1024) == CAPTURING
    assert [b"FOUND_ROWS()" in command for command in story.session.capture_commands(1024)] == [True]
    assert story.session.captured_residue([wire(rows([b"0", b"5", b"0"]))], 1024) == CAPTURED


def test_warnings_and_user_variables_are_bounded_together(story: Story) -> None:
    story.run("SET @a=1", ok(changes=changed()))
    story.run("INSERT INTO t VALUES (NULL)", ok(1, warnings=1))
    warning = [b"Warning", b"1365", b"x" * 500]
    value = rows([b"1", b"binary", None], columns=[NUMBER, Column(b"b"), Column(b"c")])

    story.session.capture_commands(505)
    assert story.session.captured_residue([wire(rows(warning))], 520) == CAPTURING
    assert story.session.captured_residue([wire(value)], 520) == KEEPS_VARIABLES


def test_the_signs_of_zeros_are_asked_for_on_mariadb(maria: Story) -> None:
    maria.run("SET @a=-0e0", ok(changes=changed()))
    assert tell(maria, (Column(b"@a", 5, collation=63), b"0")) == CAPTURING
    assert maria.session.capture_commands() == [b"\x03SELECT ATAN2(@`a`,-1)<0 LIMIT 1"]
    assert maria.session.captured_residue([wire(rows([b"1"]))]) == CAPTURED
    assert maria.session.variables is not None
    assert maria.session.variables.values == {b"a": b"@`a`=-0e0"}
    assert maria.session.residue == 0


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("SELECT 1", False),
        ("BEGIN", True),
        ("SELECT @a", True),
        ("SET @b=1", True),
        ("SELECT a FROM t", True),
        ("INSERT INTO t VALUES (1)", True),
        ("CALL p()", True),
        ("SELECT f()", True),
    ],
)
def test_what_may_read_user_variables_that_were_lost_is_refused(
    story: Story, text: str, is_refused: bool
) -> None:
    story.run("SET @a=1", ok(changes=changed()))
    story.session.residue_lost()

    assert story.session.reads_lost(classify(text.encode(), 0)) is is_refused
    assert story.session.variables is None


def test_user_variables_that_are_known_are_not_lost_with_a_backend(story: Story) -> None:
    story.run("SET @a=5", ok(changes=changed()))
    tell(story, (NUMBER, b"5"))
    story.session.residue_lost()

    assert story.session.variables is not None
    assert not story.session.reads_lost(classify(b"SELECT @a", 0))


def test_a_reset_ends_user_variables(story: Story) -> None:
    story.run("SET @a=5", ok(changes=changed()))
    story.session.was_reset((b"utf8mb4",) * len(CHARSET_VARIABLES), AUTOCOMMIT)

    assert story.session.variables is None
    assert story.session.verdict() == RELEASE


def test_a_state_change_beside_a_user_variable_that_is_only_read_pins(story: Story) -> None:
    story.run("INSERT INTO t VALUES (@a)", ok(1, changes=changed()))

    assert story.pins() == ["opaque-state-change"]


def test_text_with_odd_bytes_lifts_nothing_for_good(story: Story) -> None:
    names = [
        ("character_set_client", "gbk"),
        ("character_set_results", "gbk"),
        ("character_set_connection", "gbk"),
    ]
    story.run("SELECT GET_LOCK('a', 1)", rows([b"1"]))
    story.run("SET NAMES gbk", ok(changes=changed(*names)))
    assert story.session.lexing == ODD_BYTES
    statement = classify(b"SELECT '\xbf\\' OR '', RELEASE_LOCK('a') -- '", story.session.lexing)
    story.session.completed(statement, response(rows([b"1"])))
    story.run("SET NAMES utf8mb4", ok(changes=changed(*[(name, "utf8mb4") for name, _ in names])))
    assert story.session.lexing == 0
    assert {"user-lock", "unknown-statement"} <= set(story.pins())


def test_an_ordinary_update_counts_what_it_matched() -> None:
    for is_mariadb, expected in ((False, 4), (True, 0)):
        story = Story(is_mariadb=is_mariadb)
        assert story.run("UPDATE t SET a=1", ok(affected_rows=4)) == RELEASE
        assert story.session.found_rows == expected


def test_rows_that_are_no_select_leave_found_rows() -> None:
    story = Story()
    story.run("SELECT a FROM t", rows([b"1"], [b"2"]))
    assert story.run("CHECK TABLE t", rows([b"1"])) == RELEASE
    assert story.session.found_rows == 2


def test_with_a_limit_of_the_session_the_backend_is_asked_what_was_found() -> None:
    story = Story(is_mariadb=True)
    assert story.run("SELECT 1 UNION SELECT 2", rows([b"1"], [b"2"])) == RELEASE
    story.run("SET sql_select_limit=1", ok(changes=changed(("sql_select_limit", "1"))))
    assert story.run("SELECT 1 UNION SELECT 2", rows([b"1"])) == PARK
    assert story.session.residue & FOUND_ROWS


@pytest.mark.parametrize("text", ["EXECUTE p", "INSERT INTO t VALUES (1)"])
def test_a_pinned_session_asks_what_an_error_has_begun(text: str) -> None:
    story = Story()
    story.run("PREPARE p FROM 'CALL begins()'", ok())
    if text != "EXECUTE p":
        story.run("SET autocommit=0", ok(status=0))
    assert story.run(text, err(1062)) == PROBE


def test_after_an_error_who_tracks_has_the_server_asked_even_if_it_is_pinned() -> None:
    story = Story()
    story.run("SELECT GET_LOCK('a', 0)", rows([b"1"]))
    assert story.pins() == ["user-lock"]
    assert story.run("INSERT INTO t VALUES ('12x')", err(1366)) == HOLD
    story.session.next_ok = NextOkDebt()
    assert story.run("INSERT INTO t VALUES ('12x')", err(1366)) == PROBE


def test_completion_type_may_end_the_connection(story: Story) -> None:
    assert not story.session.completes_with_release()
    story.run("SET completion_type = 2", ok(changes=changed(("completion_type", "RELEASE"))))
    assert story.session.completes_with_release()
