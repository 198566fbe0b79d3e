"""Kinds of commands: what a session sets, and asks back: variables, schema, character sets, user variables."""

from __future__ import annotations

from typing import Final

from tests.integration.steps import Command
from tests.twin.draft import Draft, kind

VALUES: Final = {
    "sql_safe_updates": ("0", "1", "ON"),
    "foreign_key_checks": ("0", "1", "OFF"),
    "unique_checks": ("0", "1"),
    "time_zone": ("'+00:00'", "'-03:30'", "'SYSTEM'"),
    "lc_time_names": ("'de_DE'", "'en_US'", "'ja_JP'"),
    "group_concat_max_len": ("20", "1024", "5000"),
    "div_precision_increment": ("2", "4", "8"),
    "default_week_format": ("0", "3", "6"),
    "max_error_count": ("0", "1", "64"),
    "sql_select_limit": ("1", "2", "18446744073709551615"),
    "sort_buffer_size": ("65536", "2 * 131072"),
    "max_sort_length": ("8", "1024"),
    "sql_quote_show_create": ("0", "1"),
    "innodb_lock_wait_timeout": ("7", "50"),
    "lock_wait_timeout": ("77", "86400"),
    "net_write_timeout": ("61", "60"),
    "wait_timeout": ("7200", "28800"),
    "sql_notes": ("0", "1"),
    "sql_warnings": ("0", "1"),
    "auto_increment_increment": ("1", "5"),
    "optimizer_switch": ("'index_merge=off'", "'index_merge=on'"),
    "collation_connection": ("'utf8mb4_bin'", "'latin1_swedish_ci'"),
    "character_set_results": ("utf8mb4", "NULL", "latin1"),
}
SQL_MODES: Final = (
    "''",
    "'ANSI_QUOTES'",
    "'NO_BACKSLASH_ESCAPES'",
    "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    "'STRICT_TRANS_TABLES'",
    "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'",
    "'ANSI'",
    "'PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE'",
    "'NO_ZERO_DATE,STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO'",
    "'TRADITIONAL'",
    "'PAD_CHAR_TO_FULL_LENGTH'",
    "'IGNORE_SPACE'",
)
SCOPES: Final = ("", "SESSION ", "LOCAL ", "@@SESSION.", "@@session.", "@@LOCAL.", "@@")


def assignment(d: Draft, name: str = "", scopes: tuple[str, ...] = SCOPES) -> str:
    name = name or d.one(list(VALUES))
    return f"{d.one(scopes)}{name} {d.one(('=', ':='))} {d.one(VALUES[name])}"


def asked(d: Draft, *names: str) -> None:
    d.query("SELECT " + ", ".join(d.one(("@@", "@@session.")) + name for name in names))


@kind(25)
def set_variable(d: Draft) -> None:
    name = d.one(list(VALUES))
    d.query(f"SET {assignment(d, name)}")
    if d.chance(0.5):
        asked(d, name)


@kind(8)
def set_several(d: Draft) -> None:
    names = d.some(list(VALUES), 4)
    d.query("SET " + ", ".join(assignment(d, name) for name in names))
    asked(d, *names)


@kind(8)
def set_default(d: Draft) -> None:
    name = d.one(list(VALUES))
    d.query(f"SET {d.one(SCOPES)}{name} = {d.one(('DEFAULT', f'@@GLOBAL.{name}'))}")
    asked(d, name)


@kind(5)
def set_expression(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SET group_concat_max_len = 10 * @@div_precision_increment + 100",
                "SET SESSION time_zone = CONCAT('+0', 3, ':00')",
                "SET sort_buffer_size = (SELECT 65536 + COUNT(*) FROM twin.t)",
                "SET SESSION sql_mode = CONCAT(@@sql_mode, ',ONLY_FULL_GROUP_BY')",
                "SET @@group_concat_max_len = @@group_concat_max_len + 5",
            )
        )
    )
    asked(d, "group_concat_max_len", "time_zone", "sql_mode", "sort_buffer_size")


@kind(5)
def set_fails_midway(d: Draft) -> None:
    d.query(
        f"SET {assignment(d)}, {d.one(('no_such_variable = 1', 'sql_mode = 77777777777', 'version = 3'))}, {assignment(d)}"
    )
    asked(d, *d.some(list(VALUES), 4))


@kind(8)
def read_variables(d: Draft) -> None:
    asked(
        d,
        *d.some(
            [
                *VALUES,
                "sql_mode",
                "autocommit",
                "transaction_isolation" if d.server == "mysql" else "tx_isolation",
            ],
            5,
        ),
    )


@kind(4, server="mariadb")
def set_statement(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SET STATEMENT max_statement_time = 10 FOR SELECT 1",
                "SET STATEMENT group_concat_max_len = 5 FOR SELECT GROUP_CONCAT(s) FROM twin.t",
                "SET STATEMENT sort_buffer_size = 70000, sql_select_limit = 1 FOR SELECT id FROM twin.t ORDER BY id",
                "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT @@sql_mode",
                "SET STATEMENT no_such_thing = 1 FOR SELECT 1",
            )
        )
    )
    asked(d, "group_concat_max_len", "sql_mode", "sql_select_limit")


@kind(4, server="mysql")
def hint(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELECT /*+ SET_VAR(group_concat_max_len = 9) */ @@group_concat_max_len",
                "SELECT /*+ SET_VAR(sort_buffer_size = 70000) SET_VAR(max_length_for_sort_data=9) */ 1",
                "INSERT /*+ SET_VAR(unique_checks = OFF) */ INTO twin.w (v) VALUES (1)",
                "SELECT /*+ MAX_EXECUTION_TIME(1000) */ id FROM twin.t ORDER BY id",
            )
        )
    )
    asked(d, "group_concat_max_len", "sort_buffer_size")


@kind(12)
def sql_mode(d: Draft) -> None:
    mode = d.one(SQL_MODES)
    d.query(f"SET {d.one(SCOPES)}sql_mode = {mode}")
    d.is_ansi = "ANSI" in mode
    d.is_raw = "NO_BACKSLASH" in mode
    if d.chance(0.7):
        lexing(d)


@kind(8)
def lexing(d: Draft) -> None:
    """Texts that are read differently."""
    texts = [
        "SELECT 'a''b', 'c' 'd'",
        "SELECT 1 -- ' \n + 1",
        "SELECT 1 /* ' */ + /*!50000 1 */",
        "SELECT 'x' || 'y'",
    ]
    texts.append('SELECT "id" FROM twin.t ORDER BY id' if d.is_ansi else 'SELECT "id", "a\'b"')
    texts.append("SELECT 'a\\'" if d.is_raw else r"SELECT 'a\'b', '\\'")
    texts.append('SELECT "v", \'"\' FROM twin.t ORDER BY id')
    texts.append("SELECT `id`, `s` FROM twin.t ORDER BY `id`")
    texts.append("SELECT COUNT (*) FROM twin.t")
    d.query(d.one(texts))


@kind(10)
def set_names(d: Draft) -> None:
    charset, collations = d.one(
        (
            ("utf8mb4", ("utf8mb4_bin", "utf8mb4_unicode_ci", "utf8mb4_general_ci")),
            ("latin1", ("latin1_bin", "latin1_german1_ci")),
            ("utf8mb3", ("utf8mb3_general_ci",)),
            ("ascii", ("ascii_bin",)),
            ("binary", ("binary",)),
        )
    )
    quote = d.one(("'", ""))
    name = f"{quote}{charset}{quote}"
    d.query(f"SET NAMES {name}{d.one(('', f' COLLATE {d.one(collations)}'))}")
    d.encoding = "latin1" if charset in ("latin1", "binary", "ascii") else "utf8mb4"
    asked(d, "character_set_client", "character_set_results", "collation_connection")
    if d.chance(0.5):
        d.query("SELECT s, 'grün', s = 'ONE' FROM twin.t ORDER BY id")


@kind(4)
def set_names_default(d: Draft) -> None:
    d.query("SET NAMES DEFAULT")
    d.encoding = "utf8mb4"


@kind(5)
def set_character_set(d: Draft) -> None:
    charset = d.one(("latin1", "utf8mb4", "DEFAULT", "'utf8mb4'"))
    d.query(f"SET {d.one(('CHARACTER SET', 'CHARSET'))} {charset}")
    d.encoding = "latin1" if charset == "latin1" else "utf8mb4"
    asked(
        d, "character_set_client", "character_set_results", "collation_connection", "character_set_connection"
    )
    d.query("SELECT s, 'é' FROM twin.t ORDER BY id")


@kind(5)
def set_one_character_set(d: Draft) -> None:
    name = d.one(("character_set_results", "character_set_connection", "collation_connection"))
    value = (
        d.one(("utf8mb4_bin", "latin1_general_ci"))
        if name.startswith("coll")
        else d.one(("latin1", "utf8mb4"))
    )
    d.query(f"SET {d.one(('', '@@session.', 'SESSION '))}{name} = {value}")
    asked(
        d, "character_set_client", "character_set_results", "collation_connection", "character_set_connection"
    )


@kind(4)
def set_insert_ids(d: Draft) -> None:
    d.query(
        d.one((f"SET last_insert_id = {d.number() + 200}", f"SET insert_id = {d.random.randint(600, 700)}"))
    )
    if d.chance(0.7):
        d.query(f"INSERT INTO {d.qualified('t')} (v) VALUES ({d.random.randint(2000, 3000)})")
    d.query("SELECT LAST_INSERT_ID(), @@last_insert_id, @@identity")


@kind(3)
def set_timestamp(d: Draft) -> None:
    d.query("SET timestamp = 1600000000")
    d.query("SELECT NOW(), UNIX_TIMESTAMP()")
    d.query("SET timestamp = DEFAULT")


@kind(3)
def set_seeds(d: Draft) -> None:
    d.query("SET rand_seed1 = 1234, rand_seed2 = 5678")
    d.query("SELECT RAND()")


@kind(3)
def set_odd(d: Draft) -> None:
    """Variables that cannot be moved, or that are refused."""
    d.query(
        d.one(
            (
                "SET SESSION sql_auto_is_null = 1",
                "SET SESSION profiling = 0",
                "SET SESSION session_track_schema = 0",
                "SET SESSION session_track_system_variables = 'autocommit'",
                "SET SESSION session_track_state_change = 1",
                "SET SESSION wait_timeout = 100",
                "SET SESSION interactive_timeout = 50",
                "SET SESSION character_set_client = 'utf16'",
                "SET SESSION big_tables = 1",
                "SET SESSION sql_log_bin = 1",
                "SET SESSION max_allowed_packet = 1024",
            )
        )
    )
    asked(
        d,
        "sql_auto_is_null",
        "wait_timeout",
        "interactive_timeout",
        "session_track_schema",
        "session_track_state_change",
    )


# The schema


@kind(10)
def use(d: Draft) -> None:
    schema = d.one(("twin", "twin", "twin2", "information_schema", "no_such_schema"))
    if d.chance(0.4):
        d.add(Command(b"\x02" + schema.encode()))
    else:
        d.query(f"USE {schema}" if d.chance(0.7) else f"USE `{schema}`")
    if schema != "no_such_schema":
        d.has_schema = schema == "twin"
    d.query("SELECT DATABASE(), @@character_set_database")


@kind(3)
def drop_schema(d: Draft) -> None:
    d.query("CREATE DATABASE twin3")
    d.query("USE twin3")
    d.query("CREATE TABLE here (id INT)")
    d.query("DROP DATABASE twin3")
    d.query("SELECT DATABASE()")
    d.query("SELECT * FROM here")
    d.query("USE twin")
    d.has_schema = True
    d.committed()


# User variables


@kind(14)
def set_user_variable(d: Draft) -> None:
    name = d.one(("@a", "@b", "@note", "@counted", "@`a b`", "@'quoted'", "@A1$._"))
    value = d.one(
        (
            d.literal(),
            d.literal(),
            "CAST(7 AS UNSIGNED)",
            "CAST('2020-01-02' AS DATE)",
            "_latin1 x'E9'",
            "'é' COLLATE utf8mb4_bin",
            "CAST('a' AS BINARY)",
            "CAST(1.25 AS DECIMAL(20,10))",
            "JSON_OBJECT('k', 1)",
            "1 = 1",
            "(SELECT MAX(v) FROM twin.t)",
            "LAST_INSERT_ID()",
            "REPEAT('x', 300)",
            "POINT(1, 2)",
            "IFNULL(@a, 0) + 1",
        )
    )
    if d.encoding != "utf8mb4" and not value.isascii():
        value = "'e'"
    d.query(f"SET {name} {d.one(('=', ':='))} {value}")
    d.variables.append(name)
    if d.chance(0.6):
        read_user_variable(d)


@kind(5)
def set_mixed(d: Draft) -> None:
    d.query(f"SET @a = {d.literal()}, {assignment(d)}, @b := @a")
    d.variables += ["@a", "@b"]


@kind(5)
def select_assigns(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"SELECT @a := {d.literal()}",
                "SELECT @a := @a + 1, @b := 'x'",
                f"SELECT @n := IFNULL(@n, 0) + 1 AS n, id FROM {d.qualified('t')} ORDER BY id",
                f"SELECT id FROM {d.qualified('t')} WHERE (@b := id) > 1 ORDER BY id",
            )
        )
    )
    d.variables += ["@a", "@b"]


@kind(5)
def select_into(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"SELECT id, s INTO @a, @b FROM {d.qualified('t')} WHERE id = 1",
                f"SELECT COUNT(*) FROM {d.qualified('t')} INTO @a",
                f"SELECT id INTO @a FROM {d.qualified('t')} WHERE id = 999",
                f"SELECT id INTO @a FROM {d.qualified('t')}",
            )
        )
    )
    d.variables += ["@a", "@b"]


@kind(10)
def read_user_variable(d: Draft) -> None:
    name = d.one(d.variables or ["@a", "@never"])
    d.query(
        d.one(
            (
                f"SELECT {name}",
                f"SELECT {name}, {name} + 1, CONCAT({name}, 'z')",
                f"SELECT COLLATION({name}), CHARSET({name}), COERCIBILITY({name}), HEX({name})",
                f"SELECT id FROM {d.qualified('t')} WHERE v > {name} ORDER BY id",
                f"INSERT INTO {d.qualified('noted')} (note) VALUES ({name})",
            )
        )
    )


@kind(3)
def type_of_user_variable(d: Draft) -> None:
    name = d.one(d.variables or ["@a"])
    d.query(f"CREATE TEMPORARY TABLE {d.place()}typed AS SELECT {name} AS x")
    d.query(f"SHOW CREATE TABLE {d.place()}typed")
    d.query(f"DROP TEMPORARY TABLE {d.place()}typed")
