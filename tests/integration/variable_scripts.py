"""The conversations of `scripts` that are about user variables: every type, every way of assigning, and what shows how they are kept."""

from __future__ import annotations

from typing import Final

from protocol.constants import Capability
from tests.integration.steps import Close, Execute, Prepare, Script, script

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "integers": ("0", "1", "-1", "9223372036854775807", "-9223372036854775808", "TRUE", "YEAR('2020-01-01')"),
    "unsigned integers": ("CAST(5 AS UNSIGNED)", "18446744073709551615", "CAST(0 AS UNSIGNED)"),
    "decimals": (
        "1.50",
        "-0.05",
        "0.0",
        "CAST(3 AS DECIMAL(5,0))",
        "123456789012345678901234567890",
        "123456789012345678901234567890.000000000000000000000000000001",
        "1/3",
        "99999999999999999999999999999999999*99999999999999999999999999.99",
    ),
    "doubles": (
        "0e0",
        "-0e0",
        "0.1e0",
        "1e308",
        "-1.7976931348623157e308",
        "5e-324",
        "PI()",
        "1e15",
        "CAST(1.1 AS FLOAT)",
    ),
    "strings": (
        "'abc'",
        "''",
        "'é 日'",
        "'a''b\\\\c\"'",
        "_utf8mb4'abc' COLLATE utf8mb4_bin",
        "_latin1'abc'",
        "'0'",
        "REPEAT('é', 3000)",
    ),
    "strings of other character sets": (
        "CONVERT('é' USING latin1)",
        "CONVERT('ab' USING utf16)",
        "_latin1'x' COLLATE latin1_german1_ci",
        "CONVERT('ab' USING sjis)",
        "CONVERT('ab' USING ascii)",
        "CONVERT('é' USING utf8mb3)",
        "_utf32 x'0001f600'",
    ),
    "binary strings": ("x'00ff27'", "_binary''", "_binary'abc'", "b'101'", "0x41", "INET6_ATON('::1')"),
    "temporal values and JSON": (
        "CAST('2020-01-02' AS DATE)",
        "CAST('2020-01-02 03:04:05.123456' AS DATETIME(6))",
        "CAST('-10:11:12' AS TIME)",
        "JSON_ARRAY(1, 'a', NULL)",
    ),
    "nulls": (
        "NULL",
        "NULLIF(1, 1)",
        "NULLIF(CAST(1 AS UNSIGNED), 1)",
        "NULLIF(1.5, 1.5)",
        "NULLIF(1e0, 1e0)",
        "NULLIF('a', 'a')",
        "NULLIF(_latin1'a', _latin1'a')",
    ),
}


def _kept(kind: str, values: tuple[str, ...]) -> Script:
    """Assign, and look at each of them in every way that tells how it is kept."""
    names = [f"@v{n}" for n in range(len(values))]
    steps = ["SET " + ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))]
    steps.append("SELECT " + ", ".join(names))
    for shown in (
        "HEX({0})",
        "CHARSET({0})",
        "COLLATION({0})",
        "COERCIBILITY({0})",
        "{0} + 0",
        "ATAN2({0}, -1)",
    ):
        steps.append("SELECT " + ", ".join(shown.format(name) for name in names))
    columns = ", ".join(f"{name} AS v{n}" for n, name in enumerate(names))
    steps += [f"CREATE TABLE made AS SELECT {columns}", "SHOW CREATE TABLE made", "SELECT * FROM made"]
    null = ", ".join(f"{name} = NULL" for name in names)
    prepared = "SELECT " + ", ".join([*names, "@never"])
    return script(
        f"user variables: {kind}",
        *steps,
        Prepare("p", prepared),
        Execute("p"),
        Close("p"),
        f"SET {null}",
        prepared,
        prepared,
    )


VARIABLE_SCRIPTS: Final = (
    *(_kept(kind, values) for kind, values in VALUES.items()),
    script(
        "user variable that never was",
        "SELECT @never, HEX(@never), COLLATION(@never)",
        "SET @a = 1",
        "SELECT @never, @a",
    ),
    script(
        "user variable that INSERT reads",
        "INSERT INTO t (v) VALUES (@never)",
        "SELECT @never",
        "SELECT COLLATION(@never)",
    ),
    script(
        "user variable in an expression",
        "SET @n = 0",
        "SELECT @n := @n + v FROM t ORDER BY id",
        "SELECT @n",
        "UPDATE t SET v = (@n := @n + 1)",
        "SELECT @n",
    ),
    script(
        "user variable of another type",
        "SET @a = 'text'",
        "SET @a = 5",
        "SELECT @a",
        "SET @a = NULL",
        "SELECT @a",
    ),
    script("user variables by row", "SELECT id, v INTO @id, @v FROM t WHERE v = 20", "SELECT @id, @v"),
    script(
        "user variables with quoted names",
        "SET @`a b` = 1, @'C-d' = 2, @\"e.f\" = 3, @G$_1.h = 4",
        "SELECT @'a b', @`c-D`, @e.f, @g$_1.H",
    ),
    script("user variable with a name that is not ASCII", "SET @ä = 1", "SELECT @ä", "SELECT @`ä`"),
    script("user variable with blanks around its name", "SET @`x ` = 1", "SELECT @`x `, @x"),
    script(
        "user variables under modes that change how text is read",
        "SET @a = 'x'",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "SET @\"b\" = 'y\\'",
        "SELECT @a, @b",
        "SET sql_mode = ''",
        'SELECT @a, @"b"',
    ),
    script(
        "user variables and results in UTF-16",
        "SET @a = 'x', @b = 1.50, @c = 1e-5",
        "SET character_set_results = utf16",
        "SELECT @a, @b, @c",
        "SET NAMES latin1",
        "SELECT @a, @b, @c",
    ),
    script(
        "user variables and results without a character set",
        "SET NAMES latin1",
        "SET @a = 'ä'",
        "SET character_set_results = NULL",
        "SELECT @a, COLLATION(@a)",
    ),
    script(
        "user variable after an error",
        "SET @a = 1, @b = (SELECT 1 UNION SELECT 2)",
        "SELECT @a, @b",
        "SET @c = missing",
        "SELECT @c",
    ),
    script("user variable of failed rows", "SELECT @a := v, (SELECT v FROM t) FROM t", "SELECT @a"),
    script(
        "user variables of several statements",
        "SET @a = 1; SELECT @a; SELECT 2 INTO @b",
        "SELECT @a, @b",
        capabilities=Capability.MULTI_STATEMENTS,
    ),
    script(
        "user variables in prepared text",
        "PREPARE p FROM 'SET @a = ?'",
        "SET @x = 7",
        "EXECUTE p USING @x",
        "DEALLOCATE PREPARE p",
        "SELECT @a, @x",
    ),
    script(
        "user variable as prepared text",
        "SET @text = 'SELECT 1 + ?', @n = 2",
        "PREPARE p FROM @text",
        "EXECUTE p USING @n",
        "DEALLOCATE PREPARE p",
        "SELECT @n",
    ),
    script("user variables at once", "EXECUTE IMMEDIATE 'SET @a = 3'", "SELECT @a", only="mariadb"),
    script(
        "user variables with a statement's own settings",
        "SET STATEMENT sql_mode = '' FOR SELECT @a := 3",
        "SELECT @a",
        only="mariadb",
    ),
    script(
        "user variables in a transaction",
        "SET @a = 1",
        "BEGIN",
        "SET @a = @a + 1",
        "INSERT INTO t (v) VALUES (@a)",
        "ROLLBACK",
        "SELECT @a",
    ),
    script(
        "user variable read by a trigger",
        "SET @app_user = 'ann'",
        "INSERT INTO audited (v) VALUES (7)",
        "SELECT s FROM audited WHERE v = 7",
        "SET @app_user = NULL",
        "INSERT INTO audited (v) VALUES (8)",
        "SELECT s FROM audited WHERE v = 8",
    ),
    script(
        "user variables set and read by triggers",
        "INSERT INTO counted (v) VALUES (7)",
        "SELECT @seen, @app_user",
        "SET @app_user = 5",
        "INSERT INTO counted (v) VALUES (8)",
        "SELECT @seen, @app_user",
        "SELECT v, s FROM audited",
    ),
    script("user variables and a reset", "SET @a = 1", b"\x1f", "SELECT @a", "SELECT @a"),
    script(
        "user variables and the insert id",
        "INSERT INTO t (v) VALUES (100)",
        "SET @id = LAST_INSERT_ID()",
        "SELECT @id = LAST_INSERT_ID()",
        "SELECT LAST_INSERT_ID()",
    ),
    script(
        "user variables and warnings",
        "SET @a = 1",
        "INSERT IGNORE INTO t (v) VALUES (10)",
        "SHOW WARNINGS",
        "SELECT @a",
    ),
    script(
        "user variables and found rows",
        "SELECT SQL_CALC_FOUND_ROWS @a := v FROM t ORDER BY id LIMIT 1",
        "SELECT FOUND_ROWS()",
        "SELECT @a",
    ),
    script(
        "prepared that counts in a user variable",
        "SET @n = 0",
        Prepare("p", "UPDATE t SET s = (@n := @n + 1) WHERE id = ?"),
        Execute("p", (1,)),
        Execute("p", (2,)),
        "SELECT @n",
        Close("p"),
    ),
    script(
        "sixty-five user variables", "SET " + ", ".join(f"@v{n} = {n}" for n in range(65)), "SELECT @v0, @v64"
    ),
    script(
        "file into user variables",
        "SELECT 1 INTO OUTFILE '/nonexistent/x'",
        "LOAD DATA INFILE '/nonexistent/x' INTO TABLE t (@a) SET v = @a",
        "SELECT @a",
    ),
)
