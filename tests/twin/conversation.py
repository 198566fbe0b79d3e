"""Kinds of commands: routines, questions about what the statement before has left, errors, locks, handlers."""

from __future__ import annotations

from tests.integration.steps import Command, Query
from tests.twin.draft import Draft, kind
from tests.twin.settings import assignment

# Questions


@kind(20)
def insert_id(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELECT LAST_INSERT_ID()",
                "SELECT LAST_INSERT_ID() AS id",
                "select last_insert_id( )",
                "SELECT @@last_insert_id",
                "SELECT @@identity, LAST_INSERT_ID() + 1 AS next_id",
                "SELECT LAST_INSERT_ID(5)",
                f"SELECT id FROM {d.qualified('t')} WHERE id = LAST_INSERT_ID()",
                "SELECT last_id()" if d.has_schema else "SELECT twin.last_id()",
            )
        )
    )


@kind(20)
def row_count(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELECT ROW_COUNT()",
                "SELECT ROW_COUNT() AS n",
                "SELECT ROW_COUNT(), LAST_INSERT_ID()",
                "SELECT ROW_COUNT() + 1 AS n, 'x' AS x",
                "SELECT ROW_COUNT() as `rows`",
                "SET @counted = ROW_COUNT()",
            )
        )
    )


@kind(15)
def found_rows(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELECT FOUND_ROWS()",
                "SELECT FOUND_ROWS() AS total",
                "SELECT FOUND_ROWS() * 2 AS n",
                "SELECT FOUND_ROWS(), ROW_COUNT()",
                "SHOW COUNT(*) WARNINGS",
            )
        )
    )


@kind(25)
def warnings(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SHOW WARNINGS",
                "SHOW WARNINGS",
                "SHOW WARNINGS LIMIT 1",
                "SHOW WARNINGS LIMIT 1, 5",
                "SHOW ERRORS",
                "SHOW ERRORS LIMIT 2",
                "SHOW COUNT(*) WARNINGS",
                "SHOW COUNT(*) ERRORS",
                "SELECT @@warning_count",
                "SELECT @@error_count",
                "SELECT @@warning_count, @@error_count",
                "SELECT @@session.warning_count + 0 AS n",
            )
        )
    )


@kind(6)
def diagnostics(d: Draft) -> None:
    d.query(
        d.one(
            (
                "GET DIAGNOSTICS @n = NUMBER, @r = ROW_COUNT",
                "GET DIAGNOSTICS CONDITION 1 @state = RETURNED_SQLSTATE, @text = MESSAGE_TEXT, @code = MYSQL_ERRNO",
            )
        )
    )
    d.query("SELECT @n, @r, @state, @text, @code")
    d.variables.append("@n")


# Routines


@kind(12)
def call(d: Draft) -> None:
    routine = d.one(
        (
            "two_results()",
            "counts(1, @found, @total)",
            "sets_variable()",
            "sets_mode()",
            "makes_table()",
            f"inserts({d.random.randint(4000, 5000)})",
            "fails()",
            "locks('in routine')",
            "warns()",
            "signals()",
            "begins()",
            "keeps(4)",
        )
    )
    d.query(f"CALL {d.qualified(routine)}")
    if "sets_mode" in routine:
        d.is_ansi, d.is_raw = True, False
    after = {
        "counts": "SELECT @found, @total",
        "sets_variable": "SELECT @set_inside",
        "sets_mode": "SELECT @@sql_mode",
        "makes_table": "DROP TEMPORARY TABLE twin.made",
        "locks": "SELECT RELEASE_LOCK('in routine')",
        "begins": "ROLLBACK",
        "keeps": "SELECT @kept",
    }.get(routine.partition("(")[0])
    if after and d.chance(0.8):
        d.query(after)


@kind(6)
def function(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"SELECT {d.qualified('counter')}()",
                f"SELECT {d.qualified('note_of')}()",
                f"SELECT id, {d.qualified('counter')}() FROM {d.qualified('t')} ORDER BY id",
                f"DO {d.qualified('counter')}()",
                f"SET @a = {d.qualified('counter')}()",
                f"SELECT {d.qualified('last_id')}()",
            )
        )
    )


# Errors


@kind(14)
def error(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELEC 1",
                "SELECT * FROM twin.never_there",
                f"SELECT never_there FROM {d.qualified('t')}",
                f"INSERT INTO {d.qualified('t')} (v) VALUES (10)",
                f"INSERT INTO {d.qualified('t')} (v) VALUES (901), (902), (10)",
                f"INSERT INTO {d.qualified('t')} (s) VALUES ('{'long' * 8}')",
                f"INSERT INTO {d.qualified('u')} (n) VALUES (1 / 0)",
                "SET no_such_variable = 1",
                "SELECT @@no_such_variable",
                "ROLLBACK TO never_there",
                "RELEASE SAVEPOINT never_there",
                f"SELECT (SELECT v FROM {d.qualified('t')}) FROM {d.qualified('t')}",
                "CALL twin.never_there()",
                "SELECT never_there()",
                f"DROP TABLE {d.place()}never_there",
                "UPDATE twin.t SET v = 10",
                "INSERT INTO twin.child VALUES (1, 1)",
                "SELECT 1 UNION SELECT 1, 2",
                "SELECT 18446744073709551615 + 1",
                "SELECT JSON_EXTRACT('{', '$')",
                "EXECUTE never_there",
                "",
                "SELECT 'open",
                "RELEASE_LOCK('x')",
                "COMMIT nonsense",
            )
        )
    )


@kind(2)
def kill_own_query(d: Draft) -> None:
    d.query("KILL QUERY CONNECTION_ID()")


@kind(1)
def kill_self(d: Draft) -> None:
    d.query("KILL CONNECTION_ID()")
    d.is_over = True


@kind(3)
def kill_unknown(d: Draft) -> None:
    d.query("KILL QUERY 4294967290")


# Locks and handlers


@kind(8)
def get_lock(d: Draft) -> None:
    name = d.one(("one", "two"))
    d.query(f"{d.one(('SELECT', 'DO'))} GET_LOCK('{name}', 0)")
    d.user_locks.append(name)
    if d.chance(0.4):
        d.query(f"SELECT IS_FREE_LOCK('{name}'), IS_USED_LOCK('{name}') IS NULL AS is_free")


@kind(8)
def release_lock(d: Draft) -> None:
    name = d.one(d.user_locks or ["one"])
    d.query(f"{d.one(('SELECT', 'DO', 'SET @a ='))} RELEASE_LOCK('{name}')")
    if name in d.user_locks:
        d.user_locks.remove(name)


@kind(3)
def release_all_locks(d: Draft) -> None:
    d.query("SELECT RELEASE_ALL_LOCKS()")
    d.user_locks.clear()


@kind(5)
def lock_tables(d: Draft) -> None:
    d.query(
        "LOCK TABLES "
        + d.one(
            ("twin.t WRITE", "twin.t READ", "twin.t WRITE, twin.u READ", "twin.t AS x READ, twin.t WRITE")
        )
    )
    d.committed()
    for _ in range(d.random.randint(0, 3)):
        d.query(
            d.one(
                (
                    "SELECT COUNT(*) FROM twin.t",
                    f"INSERT INTO twin.t (v) VALUES ({d.random.randint(5000, 6000)})",
                    "SELECT * FROM twin.old",
                    "SELECT LAST_INSERT_ID()",
                )
            )
        )
    if d.chance(0.9):
        d.query("UNLOCK TABLES")


@kind(4)
def unlock_tables(d: Draft) -> None:
    d.query("UNLOCK TABLES")


@kind(5)
def handler(d: Draft) -> None:
    alias = d.one(("h", "t"))
    d.query("HANDLER twin.t OPEN" + (" AS h" if alias == "h" else ""))
    for _ in range(d.random.randint(1, 3)):
        d.query(
            f"HANDLER {alias} READ "
            + d.one(
                (
                    "FIRST",
                    "NEXT",
                    "`PRIMARY` FIRST",
                    "`PRIMARY` NEXT",
                    "`PRIMARY` = (2)",
                    "FIRST LIMIT 2",
                    "v = (20)",
                )
            )
        )
    if d.chance(0.8):
        d.query(f"HANDLER {alias} CLOSE")


# Several statements, rarer commands


@kind(8)
def several(d: Draft) -> bool:
    if not d.is_multi:
        return False
    statements = [
        "SELECT 1",
        f"INSERT INTO twin.w (v) VALUES ({d.number()})",
        f"SET {assignment(d)}",
        "SELECT LAST_INSERT_ID()",
        "SELECT ROW_COUNT()",
        "BEGIN",
        "COMMIT",
        "SHOW WARNINGS",
        "SELECT 1/0",
        "SET @a = 3",
        "SELECT * FROM twin.never_there",
        "CALL twin.two_results()",
        "UPDATE twin.t SET s = 'm' WHERE id = 2",
        "CREATE TEMPORARY TABLE twin.passing (id INT)",
        "DROP TEMPORARY TABLE IF EXISTS twin.passing",
        "SELECT ';' AS `;`",
        "",
    ]
    d.query(";".join(d.some(statements, 4)) + d.one(("", ";", "; ")))
    return True


@kind(4)
def several_refused(d: Draft) -> bool:
    if d.is_multi:
        return False
    d.query("SELECT 1; SELECT 2")
    return True


@kind(5)
def set_option(d: Draft) -> None:
    d.is_multi = d.chance(0.7)
    d.add(Command(b"\x1b\x00\x00" if d.is_multi else b"\x1b\x01\x00"))


@kind(6)
def ping(d: Draft) -> None:
    d.add(Command(b"\x0e"))


@kind(6)
def reset_connection(d: Draft) -> None:
    d.add(Command(b"\x1f"))
    d.was_reset()
    if d.chance(0.7):
        d.query(
            "SELECT @@sql_mode, @@time_zone, @@autocommit, @@character_set_client, DATABASE(), @a, LAST_INSERT_ID()"
        )


@kind(4)
def field_list(d: Draft) -> bool:
    if not d.has_schema:
        return False
    d.add(Command(b"\x04" + d.one((b"t\0", b"t\0v%", b"never_there\0"))))
    return True


@kind(2)
def unknown_command(d: Draft) -> None:
    d.add(Command(d.one((b"\x7e", b"\x7f", b"\x1b\x09\x00", b"\x0c\x00\x00\x00\x00"))))


@kind(3)
def comments(d: Draft) -> None:
    d.add(
        Query(
            d.one(
                (
                    "/* c */ SELECT 1 # end",
                    "-- only a comment",
                    "/*!40101 SET @a = 5 */",
                    "/*! SET SESSION group_concat_max_len = 30 */",
                    "SELECT /*!99999 broken */ 2",
                    " \n\t SELECT 3",
                    "(SELECT 4)",
                    "((SELECT 1) UNION (SELECT 2)) LIMIT 1",
                    "VALUES (1)",
                    "TABLE twin.t",
                    "DO 1",
                    "DO SLEEP(0)",
                    "CHECK TABLE twin.t",
                    "CHECKSUM TABLE twin.t",
                    "ANALYZE TABLE twin.old",
                    "EXPLAIN UPDATE twin.t SET v = 1 WHERE id = 1",
                )
            )
        )
    )
