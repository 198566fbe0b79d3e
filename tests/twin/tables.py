"""Kinds of commands: tables and what is in them."""

from __future__ import annotations

from tests.twin.draft import SHAPES, Draft, kind

X_COLUMNS = "(id INT AUTO_INCREMENT PRIMARY KEY, a INT, c VARCHAR(30))"

# Rows


@kind(25)
def insert(d: Draft) -> None:
    table = d.table()
    number, _ = d.shape(table)
    d.query(f"INSERT INTO {table} ({number}) VALUES ({d.random.randint(100, 9999)})")


@kind()
def insert_explicit_id(d: Draft) -> None:
    table = d.table()
    number, _ = d.shape(table)
    d.query(
        f"INSERT INTO {table} (id, {number}) VALUES ({d.random.randint(100, 999)}, {d.random.randint(100, 9999)})"
    )


@kind()
def insert_rows(d: Draft) -> None:
    table = d.table()
    number, _ = d.shape(table)
    values = ", ".join(f"({d.random.randint(100, 9999)})" for _ in range(d.random.randint(2, 4)))
    d.query(f"INSERT INTO {table} ({number}) VALUES {values}")


@kind()
def insert_on_duplicate(d: Draft) -> None:
    value = d.one(("v + 1", "100 + VALUES(v)", "v", "LAST_INSERT_ID(id)"))
    where = "id" if "LAST" in value else "v"
    d.query(
        f"INSERT INTO {d.qualified('t')} (v, s) VALUES ({d.one((10, 20, 300))}, 'dup') ON DUPLICATE KEY UPDATE {where} = {value}"
    )


@kind()
def insert_select(d: Draft) -> None:
    d.query(f"INSERT INTO {d.qualified('w')} (v) SELECT v FROM {d.qualified('t')} WHERE id <= {d.number()}")


@kind()
def insert_ignore(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"INSERT IGNORE INTO {d.qualified('t')} (v, s) VALUES (10, 'a'), (43, 'b')",
                f"INSERT IGNORE INTO {d.qualified('t')} (v) VALUES ('12abc')",
                f"INSERT IGNORE INTO {d.qualified('t')} (s) VALUES ('{'long' * 8}')",
                f"INSERT IGNORE INTO {d.qualified('u')} (n) VALUES (NULL), (3)",
                f"INSERT IGNORE INTO {d.qualified('t')} (id, v) VALUES (1, 1), (2, 2), (3, 3)",
            )
        )
    )


@kind()
def replace(d: Draft) -> None:
    d.query(
        f"REPLACE INTO {d.qualified('t')} (id, v, s) VALUES ({d.one((1, 2, 500))}, {d.number()}, {d.text()})"
    )


@kind(15)
def update(d: Draft) -> None:
    table = d.table()
    number, _ = d.shape(table)
    if table.endswith("t"):
        d.query(f"UPDATE {table} SET s = {d.text()} WHERE id <= {d.number()}")
    else:
        d.query(f"UPDATE {table} SET {number} = {number} + {d.random.randint(0, 9)} WHERE id <= {d.number()}")


@kind()
def update_some_unchanged(d: Draft) -> None:
    d.query(f"UPDATE {d.qualified('t')} SET s = 'one' WHERE id < {d.random.randint(1, 5)}")


@kind()
def update_insert_id(d: Draft) -> None:
    d.query(f"UPDATE {d.qualified('old')} SET v = LAST_INSERT_ID(v + 1) WHERE id = 1")
    d.query(f"UPDATE {d.qualified('t')} SET v = LAST_INSERT_ID(v + {d.random.randint(50, 90)}) WHERE id = 2")


@kind()
def delete(d: Draft) -> None:
    table = d.table()
    d.query(
        f"DELETE FROM {table} WHERE id = {d.one((1, 2, 3, 999))}"
        if d.chance(0.7)
        else f"DELETE FROM {table} LIMIT 2"
    )


@kind(4)
def delete_join(d: Draft) -> None:
    d.query("DELETE t FROM twin.t JOIN twin.w ON w.v = t.v")


@kind(4, server="mariadb")
def insert_returning(d: Draft) -> None:
    d.query(f"INSERT INTO {d.qualified('w')} (v) VALUES ({d.number()}), (5) RETURNING id, v")


@kind()
def watched_write(d: Draft) -> None:
    """Fires triggers, one of which reads user variables."""
    d.query(f"INSERT INTO {d.qualified('w')} (v) VALUES ({d.number()})")
    d.query(f"UPDATE {d.qualified('w')} SET v = v + 1 LIMIT 1")
    d.query(f"SELECT * FROM {d.qualified('noted')}")


@kind()
def write_insert_id(d: Draft) -> None:
    d.query(f"INSERT INTO {d.qualified('u')} (n, d) VALUES (LAST_INSERT_ID(), ROW_COUNT())")
    d.query(f"SELECT n, d FROM {d.qualified('u')}")


@kind(4)
def truncate(d: Draft) -> None:
    d.query(f"TRUNCATE TABLE {d.qualified(d.one(('t', 'w', 'u')))}")
    d.committed()


# Queries


@kind(25)
def select(d: Draft) -> None:
    table = d.table()
    number, shown = d.shape(table)
    tail = d.one(
        (
            "",
            f" WHERE {number} >= {d.number()}",
            " LIMIT 1",
            " LIMIT 1 OFFSET 1",
            " LIMIT 5, 2",
            " WHERE 1 = 0",
            " FOR UPDATE",
        )
    )
    if "LIMIT" not in tail and "FOR" not in tail:
        tail += " ORDER BY id"
    d.query(f"SELECT id, {shown} FROM {table}{tail}")


@kind()
def select_calculated(d: Draft) -> None:
    d.query(f"SELECT SQL_CALC_FOUND_ROWS id FROM {d.qualified('t')} LIMIT {d.random.randint(0, 2)}")
    d.query(f"SELECT FOUND_ROWS(){d.one(('', ' AS n', ' + 0 AS n'))}")


@kind()
def select_literals(d: Draft) -> None:
    d.query("SELECT " + ", ".join(d.literal() + f" AS c{n}" for n in range(d.random.randint(1, 4))))


@kind()
def select_grouped(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"SELECT GROUP_CONCAT(s ORDER BY id SEPARATOR '{'-' * 40}') FROM {d.qualified('t')}",
                f"SELECT COUNT(*), SUM(v), AVG(v), MAX(s) FROM {d.qualified('t')}",
                f"SELECT v / 3, DATE_FORMAT('2020-02-03', '%W %M'), WEEK('2020-01-03') FROM {d.qualified('t')} ORDER BY id",
                f"SELECT UPPER(s), s = 'ONE', HEX(s) FROM {d.qualified('t')} ORDER BY id",
                f"SELECT * FROM {d.qualified('u')} ORDER BY id",
                "WITH x AS (SELECT 1 AS a UNION ALL SELECT 2) SELECT * FROM x ORDER BY a",
                f"SELECT id FROM {d.qualified('t')} UNION SELECT v FROM {d.qualified('w')} ORDER BY 1 LIMIT 2",
                f"SELECT * FROM {d.qualified('both_rows')} ORDER BY 1, 2",
                "SELECT FROM_UNIXTIME(86400), CONVERT_TZ('2020-01-01 00:00:00', '+00:00', '+05:30')",
            )
        )
    )


@kind()
def select_warns(d: Draft) -> None:
    d.query(
        d.one(
            (
                "SELECT 1/0",
                "SELECT CAST('12abc' AS SIGNED), CAST('x' AS DECIMAL(3,1))",
                f"SELECT s + 0 FROM {d.qualified('t')} ORDER BY id",
                "SELECT 1/0, 2/0, CAST('a' AS SIGNED)",
                "SELECT CONVERT('2020-99-99', DATE)",
            )
        )
    )


@kind(8)
def describe(d: Draft) -> None:
    d.query(
        d.one(
            (
                f"DESCRIBE {d.table()}",
                f"SHOW COLUMNS FROM {d.table()}",
                "SHOW TABLES FROM twin",
                f"SHOW CREATE TABLE {d.table()}",
                "SHOW SESSION VARIABLES LIKE 'character_set_%'",
                "SHOW VARIABLES LIKE 'sql_mode'",
                "SHOW SESSION VARIABLES WHERE Variable_name IN ('autocommit', 'time_zone', 'lc_time_names', 'sql_select_limit')",
                f"EXPLAIN SELECT id FROM {d.qualified('t')} WHERE id = 1",
                "SHOW DATABASES LIKE 'twin%'",
            )
        )
    )


# Definitions


@kind(8)
def create_table(d: Draft) -> None:
    name = d.new_name()
    d.query(f"CREATE TABLE {d.place()}{name} {X_COLUMNS}")
    d.tables[name] = "x"
    d.committed()


@kind(5)
def create_table_from(d: Draft) -> None:
    name = d.new_name()
    how = d.one(
        (
            f"LIKE {d.place()}t",
            f"AS SELECT id, v, s FROM {d.place()}t",
            f"SELECT * FROM {d.place()}t WHERE 1 = 0",
        )
    )
    d.query(f"CREATE TABLE {d.place()}{name} {how}")
    d.tables[name] = "tvs"
    d.committed()


@kind(4)
def create_table_if_not_exists(d: Draft) -> None:
    d.query(f"CREATE TABLE IF NOT EXISTS {d.place()}{d.one(list(d.tables))} {X_COLUMNS}")
    d.committed()


@kind(4)
def alter_table(d: Draft) -> None:
    created = [name for name, shape in d.tables.items() if shape == "x"]
    if created:
        d.query(
            f"ALTER TABLE {d.place()}{d.one(created)} "
            + d.one(
                (
                    "ADD COLUMN z INT DEFAULT 4",
                    "AUTO_INCREMENT = 50",
                    "ADD INDEX (a)",
                    "MODIFY c TEXT",
                )
            )
        )
    else:
        d.query(f"ALTER TABLE {d.place()}w ADD INDEX iv (v)")
    d.committed()


@kind(5)
def drop_table(d: Draft) -> None:
    created = [name for name in d.tables if name.startswith("n")]
    if created and d.chance(0.8):
        name = d.one(created)
        d.query(f"DROP TABLE {d.place()}{name}")
        del d.tables[name]
    else:
        d.query(f"DROP TABLE IF EXISTS {d.place()}never_there")
    d.committed()


@kind(3)
def create_view(d: Draft) -> None:
    d.query(f"CREATE OR REPLACE VIEW {d.place()}seen AS SELECT id, v FROM twin.t")
    d.query(f"SELECT * FROM {d.place()}seen ORDER BY id")
    if d.chance(0.5):
        d.query(f"DROP VIEW {d.place()}seen")
    d.committed()


@kind(3)
def create_routine(d: Draft) -> None:
    d.query(f"CREATE PROCEDURE {d.place()}made_here() SET @made_here = 1")
    d.query(f"CALL {d.place()}made_here()")
    d.query(f"DROP PROCEDURE {d.place()}made_here")
    d.committed()


@kind(4, server="mariadb")
def sequence(d: Draft) -> None:
    name = d.new_name()
    d.query(f"CREATE SEQUENCE {d.place()}{name}")
    d.query(f"SELECT NEXTVAL({d.place()}{name})")
    d.query(f"SELECT LASTVAL({d.place()}{name})")
    if d.chance(0.5):
        d.query(f"SELECT NEXT VALUE FOR {d.place()}{name}")
    d.query(f"DROP SEQUENCE {d.place()}{name}")
    d.committed()


# Temporary tables


def _made(d: Draft, name: str, shape: str) -> None:
    d.temporary[name] = shape
    if d.chance(0.6):
        number, shown = SHAPES[shape]
        d.query(f"INSERT INTO {d.place()}{name} ({number}) VALUES ({d.random.randint(1000, 5000)})")
        d.query(f"SELECT id, {shown} FROM {d.place()}{name} ORDER BY id")


@kind(8)
def create_temporary(d: Draft) -> None:
    name = d.new_name()
    d.query(f"CREATE TEMPORARY TABLE {d.place()}{name} {X_COLUMNS}")
    _made(d, name, "x")


@kind(6)
def create_temporary_from(d: Draft) -> None:
    name = d.new_name()
    like = f"LIKE {d.place()}t"
    d.query(
        f"CREATE TEMPORARY TABLE {d.place()}{name} {d.one((like, f'AS SELECT id, v, s FROM {d.place()}t'))}"
    )
    _made(d, name, "tvs")


@kind(6)
def shadow_table(d: Draft) -> None:
    if "t" in d.temporary:
        return
    d.query(
        f"CREATE TEMPORARY TABLE {d.place()}t (id INT AUTO_INCREMENT PRIMARY KEY, v INT, s CHAR(9)) AUTO_INCREMENT = 70"
    )
    _made(d, "t", "tvs")


@kind(8)
def drop_temporary(d: Draft) -> bool:
    if not d.temporary:
        return False
    name = d.one(list(d.temporary))
    d.query(d.one((f"DROP TABLE {d.place()}{name}", f"DROP TEMPORARY TABLE IF EXISTS {d.place()}{name}")))
    del d.temporary[name]
    return True


@kind(3)
def drop_several(d: Draft) -> bool:
    if len(d.temporary) < 2:
        return False
    d.query("DROP TEMPORARY TABLE " + ", ".join(d.place() + name for name in d.temporary))
    d.temporary.clear()
    return True


@kind(3)
def rename_temporary(d: Draft) -> bool:
    if not d.temporary:
        return False
    name = d.one(list(d.temporary))
    new = d.new_name()
    d.query(f"ALTER TABLE {d.place()}{name} RENAME TO {d.place()}{new}")
    d.temporary[new] = d.temporary.pop(name)
    return True
