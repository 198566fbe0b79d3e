"""What Django, SQLAlchemy and Rails send: their connects, transactions, savepoints, prepared statements and questions.

The statements are those that Django 5.2 (mysqlclient) and SQLAlchemy 2.1 (PyMySQL) sent to servers with a general log, and those that
ActiveRecord 7 (mysql2, prepared_statements: true) is documented to send. Every session is one user of the application: it has a profile,
whose visits only it counts, and notes whose titles nobody else writes. It checks every row, every insert id (by reading the row back) and
every warning that it gets.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from random import Random

from bench.commands import (
    Execute,
    Parameter,
    Prepare,
    ShowWarnings,
    close_and_ping,
    ping,
    reset_connection,
)
from bench.response import Response, Row
from bench.workload import Step, Turn, Workload, inserts

DUPLICATE = 1062
AUTOCOMMIT, IN_TRANSACTION, MANUAL = 2, 1, 0  # status flags; AUTOCOMMIT | IN_TRANSACTION: after BEGIN
NOTES_SEEN = 3
ROLLBACK = Step("ROLLBACK", status=MANUAL)
CONFIGURE = Step(
    "SET NAMES utf8mb4,  @@SESSION.sql_mode = CONCAT(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), ',NO_AUTO_VALUE_ON_ZERO'),"
    "  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483"
)
"""`configure_connection` of ActiveRecord's mysql2 adapter."""


class Owned(Step):
    """A list of notes: each must be of this session."""

    __slots__ = ("owner",)

    def __init__(self, sql: str, owner: int) -> None:
        super().__init__(sql)
        self.owner = owner

    def wrong(self, response: Response) -> str | None:
        return super().wrong(response) or strangers(self, response, self.owner)


class OwnedExecute(Execute):
    """The same, executed."""

    __slots__ = ("owner",)

    def __init__(self, statement_id: int, owner: int, *, title: str, binds: bool) -> None:
        super().__init__(statement_id, (owner, NOTES_SEEN), title=title, binds=binds)
        self.owner = owner

    def wrong(self, response: Response) -> str | None:
        return super().wrong(response) or strangers(self, response, self.owner)


def strangers(step: Step, response: Response, owner: int) -> str | None:
    """What is wrong with a list of notes that must all be this session's."""
    if response.rows is None or len(response.rows) > NOTES_SEEN:
        return f"{step.sql}: {response.rows!r:.100} is no list of notes"
    theirs = [row for row in response.rows if row[1] != b"%d" % owner or row[3] != b"of user %d" % owner]
    return f"{step.sql}: {theirs!r:.100} is of somebody else" if theirs else None


class Application:
    """The tables of an application, and what its sessions know of their rows."""

    name = ""

    def __init__(self, prefix: str = "") -> None:
        self.profiles = f"{prefix}{self.name}_profiles"
        self.notes = f"{prefix}{self.name}_notes"
        self._visits: dict[int, int] = {}
        self._written = 0

    def schema(self, clients: int) -> Iterator[str]:
        self._visits.clear()
        yield from (f"DROP TABLE IF EXISTS {table}" for table in self.tables())
        yield f"CREATE TABLE {self.profiles} (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, visits INT NOT NULL)"
        yield (
            f"CREATE TABLE {self.notes} (id INT PRIMARY KEY AUTO_INCREMENT, owner INT NOT NULL,"
            " title VARCHAR(50) NOT NULL UNIQUE, body VARCHAR(100) NOT NULL, KEY (owner))"
        )
        values = (f"({number},'{user_name(number)}',0)" for number in range(clients))
        yield from inserts(f"INSERT INTO {self.profiles} VALUES", values)

    def tables(self) -> list[str]:
        return [self.profiles, self.notes]

    def greeting(self, number: int) -> list[Step]:
        raise NotImplementedError

    def turn(self, number: int, random: Random) -> Turn:
        raise NotImplementedError

    def profile(self, number: int) -> list[Row]:
        """The row of a session's profile."""
        return [(b"%d" % number, user_name(number).encode(), b"%d" % self._visits.get(number, 0))]

    def visited(self, number: int) -> int:
        """Count a visit. The database counts it in the same transaction."""
        self._visits[number] = self._visits.get(number, 0) + 1
        return self._visits[number]

    def new_title(self, number: int) -> str:
        """A title that no other note has."""
        self._written += 1
        return f"{self.name} {number} note {self._written}"


def user_name(number: int) -> str:
    return f"user {number}"


def note_row(id_: int, number: int, title: str) -> list[Row]:
    """The row of a note, as it must be read back."""
    return [(b"%d" % id_, b"%d" % number, title.encode(), b"of user %d" % number)]


def insert_id_of(response: Response | None) -> int:
    """The insert id in the OK of a step that was parsed, as every step is that does not repeat."""
    assert response is not None
    return response.insert_id


class Django(Application):
    """Requests of a Django application: persistent connections with health checks, autocommit on, `atomic` switches it off and on."""

    name = "django"

    def greeting(self, number: int) -> list[Step]:
        return [
            Step("SET NAMES utf8mb4"),
            Step("SET autocommit=0", status=MANUAL),
            Step("SET autocommit=1", status=AUTOCOMMIT),
            Step(
                "SELECT VERSION(),\n                       @@sql_mode,\n                       @@default_storage_engine,\n"
                "                       @@sql_auto_is_null,\n                       @@lower_case_table_names,\n"
                "                       CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL"
            ),
            Step("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        ]

    def turn(self, number: int, random: Random) -> Turn:
        yield ping()
        yield self._profile(number)
        dice = random.random()
        if dice < 0.5:
            yield self._notes(number)
            yield self._profile(number)
            yield self._notes(number)
        elif dice < 0.75:
            yield from self._form(number)
        elif dice < 0.9:
            yield from self._get_or_create(number)
        else:
            yield from self._bulk_create(number)

    def _profile(self, number: int, lock: str = "") -> Step:
        p = self.profiles
        sql = f"SELECT `{p}`.`id`, `{p}`.`name`, `{p}`.`visits` FROM `{p}` WHERE `{p}`.`id` = {number} LIMIT 21{lock}"
        return Step(sql, rows=self.profile(number))

    def _notes(self, number: int) -> Step:
        n = self.notes
        return Owned(
            f"SELECT `{n}`.`id`, `{n}`.`owner`, `{n}`.`title`, `{n}`.`body` FROM `{n}` WHERE `{n}`.`owner` = {number}"
            f" ORDER BY `{n}`.`id` DESC LIMIT {NOTES_SEEN}",
            number,
        )

    def _insert(self, number: int, *titles: str, ignore: str = "") -> str:
        values = ", ".join(f"({number}, '{title}', 'of user {number}')" for title in titles)
        return f"INSERT{ignore} INTO `{self.notes}` (`owner`, `title`, `body`) VALUES {values}"

    def _note(self, id_: int, number: int, title: str) -> Step:
        n = self.notes
        sql = f"SELECT `{n}`.`id`, `{n}`.`owner`, `{n}`.`title`, `{n}`.`body` FROM `{n}` WHERE `{n}`.`title` = '{title}' LIMIT 21"
        return Step(sql, rows=note_row(id_, number, title))

    def _form(self, number: int) -> Turn:
        """An `atomic` block with a nested one that fails, and one that does not."""
        p, title = self.profiles, self.new_title(number)
        savepoint = f"`s139736817949568_x{number}`"
        yield Step("SET autocommit=0", status=MANUAL)
        yield self._profile(number, " FOR UPDATE")
        visits = self.visited(number)
        yield Step(f"UPDATE `{p}` SET `visits` = {visits} WHERE `{p}`.`id` = {number}", affected=1)
        id_ = insert_id_of((yield Step(self._insert(number, title), affected=1, status=IN_TRANSACTION)))
        yield Step(f"SAVEPOINT {savepoint}")
        yield Step(self._insert(number, title), error=DUPLICATE)
        yield Step(f"ROLLBACK TO SAVEPOINT {savepoint}")
        yield Step(f"RELEASE SAVEPOINT {savepoint}")
        yield self._note(id_, number, title)
        yield Step("COMMIT", status=MANUAL)
        yield Step("SET autocommit=1", status=AUTOCOMMIT)
        yield self._profile(number)

    def _get_or_create(self, number: int) -> Turn:
        n, title = self.notes, self.new_title(number)
        sql = f"SELECT `{n}`.`id`, `{n}`.`owner`, `{n}`.`title`, `{n}`.`body` FROM `{n}` WHERE `{n}`.`title` = '{title}' LIMIT 21"
        yield Step(sql, rows=[])
        yield Step("SET autocommit=0", status=MANUAL)
        id_ = insert_id_of((yield Step(self._insert(number, title), affected=1, status=IN_TRANSACTION)))
        yield Step("COMMIT", status=MANUAL)
        yield Step("SET autocommit=1", status=AUTOCOMMIT)
        yield self._note(id_, number, title)

    def _bulk_create(self, number: int) -> Turn:
        first, second = self.new_title(number), self.new_title(number)
        yield Step("SET autocommit=0", status=MANUAL)
        yield Step(self._insert(number, first, second), affected=2, status=IN_TRANSACTION)
        yield Step("COMMIT", status=MANUAL)
        yield Step("SET autocommit=1", status=AUTOCOMMIT)
        yield Step("SET autocommit=0", status=MANUAL)
        yield Step(self._insert(number, first, second, ignore=" IGNORE"), affected=0)
        yield Step("COMMIT", status=MANUAL)
        yield Step("SET autocommit=1", status=AUTOCOMMIT)


class SqlAlchemy(Application):
    """Requests of an application with SQLAlchemy's ORM: autocommit off all the time, a ping at checkout, ROLLBACK at return to its pool."""

    name = "sqlalchemy"

    def greeting(self, number: int) -> list[Step]:
        return [
            Step("SET NAMES utf8mb4"),
            Step("SET AUTOCOMMIT = 0", status=MANUAL),
            Step("SET NAMES utf8mb4"),
            Step("SELECT VERSION()"),
            Step("SELECT DATABASE()"),
            # as it asks MySQL, and as it asks MariaDB
            Step("SELECT /*!80000 @@transaction_isolation *//*M! @@tx_isolation */"),
            Step("SELECT @@sql_mode"),
            Step("SELECT @@lower_case_table_names"),
            ROLLBACK,
            # create_engine(isolation_level="READ COMMITTED")
            Step("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
            Step("COMMIT"),
        ]

    def turn(self, number: int, random: Random) -> Turn:
        yield ping()
        dice = random.random()
        if dice < 0.55:
            yield self._profile(number)
            yield self._notes(number)
            yield self._profile(number)
        elif dice < 0.8:
            yield from self._unit_of_work(number)
        elif dice < 0.805:
            yield from self._insert_and_ask(number)
        elif dice < 0.995:
            yield from self._refused(number)
        else:
            yield from self._with_isolation_level(number)
        yield ROLLBACK

    def _profile(self, number: int) -> Step:
        p = self.profiles
        sql = f"SELECT {p}.id, {p}.name, {p}.visits \nFROM {p} \nWHERE {p}.id = {number}"
        return Step(sql, rows=self.profile(number), status=IN_TRANSACTION)

    def _notes(self, number: int) -> Step:
        n = self.notes
        return Owned(
            f"SELECT {n}.id, {n}.owner, {n}.title, {n}.body \nFROM {n} \nWHERE {n}.owner = {number} ORDER BY {n}.id DESC"
            f" \n LIMIT {NOTES_SEEN}",
            number,
        )

    def _insert(self, number: int, title: str) -> str:
        return (
            f"INSERT INTO {self.notes} (owner, title, body) VALUES ({number}, '{title}', 'of user {number}')"
        )

    def _note(self, id_: int, number: int, title: str) -> Step:
        n = self.notes
        sql = f"SELECT {n}.id, {n}.owner, {n}.title, {n}.body \nFROM {n} \nWHERE {n}.id = {id_}"
        return Step(sql, rows=note_row(id_, number, title))

    def _unit_of_work(self, number: int) -> Turn:
        title = self.new_title(number)
        yield self._profile(number)
        visits = self.visited(number)
        yield Step(
            f"UPDATE {self.profiles} SET visits={visits} WHERE {self.profiles}.id = {number}", affected=1
        )
        yield Step("SAVEPOINT sa_savepoint_1")
        id_ = insert_id_of((yield Step(self._insert(number, title), affected=1, status=IN_TRANSACTION)))
        yield Step("RELEASE SAVEPOINT sa_savepoint_1")
        yield Step("COMMIT", status=MANUAL)
        yield self._note(id_, number, title)

    def _insert_and_ask(self, number: int) -> Turn:
        """Not the ORM's own, which reads the insert id in the OK: an application's plain SQL."""
        title = self.new_title(number)
        id_ = insert_id_of((yield Step(self._insert(number, title), affected=1)))
        yield Step("SELECT LAST_INSERT_ID()", rows=[(b"%d" % id_,)])
        yield Step("COMMIT", status=MANUAL)
        yield Step("SELECT LAST_INSERT_ID()", rows=[(b"%d" % id_,)])
        yield self._note(id_, number, title)

    def _refused(self, number: int) -> Turn:
        title = self.new_title(number)
        yield Step(self._insert(number, title), affected=1)
        yield Step(self._insert(number, title), error=DUPLICATE)
        yield ROLLBACK
        yield Step(
            f"SELECT count(*) AS count_1 \nFROM {self.notes} \nWHERE title = '{title}'", rows=[(b"0",)]
        )

    def _with_isolation_level(self, number: int) -> Turn:
        """`execution_options(isolation_level=..)` for one checkout."""
        yield Step("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        yield Step("COMMIT")
        yield self._profile(number)
        yield ROLLBACK
        yield Step("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield Step("COMMIT")


class Rails(Application):
    """Requests of a Rails application: binary prepared statements kept for the connection's life, BEGIN and COMMIT, warnings looked at."""

    name = "rails"

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix)
        p, n = self.profiles, self.notes
        self._find_profile = f"SELECT `{p}`.* FROM `{p}` WHERE `{p}`.`id` = ? LIMIT ?"
        self._find_note = f"SELECT `{n}`.* FROM `{n}` WHERE `{n}`.`id` = ? LIMIT ?"
        self._list_notes = (
            f"SELECT `{n}`.* FROM `{n}` WHERE `{n}`.`owner` = ? ORDER BY `{n}`.`id` DESC LIMIT ?"
        )
        self._insert_note = f"INSERT INTO `{n}` (`owner`, `title`, `body`) VALUES (?, ?, ?)"
        self._update_profile = f"UPDATE `{p}` SET `{p}`.`visits` = ? WHERE `{p}`.`id` = ?"
        self._prepared: dict[int, dict[str, int]] = {}

    def schema(self, clients: int) -> Iterator[str]:
        self._prepared.clear()
        return super().schema(clients)

    def greeting(self, number: int) -> list[Step]:
        self._prepared[number] = {}
        return [CONFIGURE, Step("SELECT VERSION()")]

    def turn(self, number: int, random: Random) -> Turn:
        dice = random.random()
        if dice < 0.3:
            yield ping()
        if dice < 0.6:
            yield from self._show(number)
        elif dice < 0.8:
            yield from self._save(number)
        elif dice < 0.95:
            yield from self._insert_all(number)
        elif dice < 0.99:
            yield from self._forget_statement(number)
        else:
            yield from self._reset(number)

    def _statement(self, number: int, text: str) -> Generator[Step, Response | None, tuple[int, bool]]:
        """The id of a statement, prepared now unless this session has done so before; whether it is new."""
        prepared = self._prepared.setdefault(number, {})
        if text in prepared:
            return prepared[text], False
        response = yield Prepare(text)
        assert response is not None
        prepared[text] = response.statement_id
        return response.statement_id, True

    def _run(
        self,
        number: int,
        text: str,
        *parameters: Parameter,
        rows: list[Row] | None = None,
        affected: int | None = None,
    ) -> Generator[Step, Response | None, int]:
        """Execute a statement; the insert id."""
        statement_id, is_new = yield from self._statement(number, text)
        response = yield Execute(
            statement_id, parameters, title=text, binds=is_new, rows=rows, affected=affected
        )
        return insert_id_of(response)

    def _list(self, number: int) -> Turn:
        statement_id, is_new = yield from self._statement(number, self._list_notes)
        yield OwnedExecute(statement_id, number, title=self._list_notes, binds=is_new)

    def _insert(self, number: int, title: str) -> Generator[Step, Response | None, int]:
        """Insert a note; its id."""
        return (
            yield from self._run(number, self._insert_note, number, title, f"of user {number}", affected=1)
        )

    def _show(self, number: int) -> Turn:
        n = self.notes
        yield from self._run(number, self._find_profile, number, 1, rows=self.profile(number))
        yield from self._list(number)
        yield Owned(
            f"SELECT `{n}`.* FROM `{n}` WHERE `{n}`.`owner` = {number} ORDER BY `{n}`.`id` DESC LIMIT {NOTES_SEEN}",
            number,
        )
        yield from self._run(number, self._find_profile, number, 1, rows=self.profile(number))

    def _save(self, number: int) -> Turn:
        title, nested = self.new_title(number), self.new_title(number)
        n = self.notes
        yield Step(f"SELECT 1 AS one FROM `{n}` WHERE `{n}`.`title` = '{title}' LIMIT 1", rows=[])
        yield Step("BEGIN", status=AUTOCOMMIT | IN_TRANSACTION)
        visits = self.visited(number)
        yield from self._run(number, self._update_profile, visits, number, affected=1)
        id_ = yield from self._insert(number, title)
        yield Step("SAVEPOINT active_record_1")
        yield from self._insert(number, nested)
        yield Step("ROLLBACK TO SAVEPOINT active_record_1")
        yield Step("COMMIT", status=AUTOCOMMIT)
        yield from self._run(number, self._find_note, id_, 1, rows=note_row(id_, number, title))
        yield Step(f"SELECT COUNT(*) FROM `{n}` WHERE `{n}`.`title` = '{nested}'", rows=[(b"0",)])

    def _insert_all(self, number: int) -> Turn:
        """With `db_warnings_action`: what was ignored is looked at, and the insert id asked for."""
        title = self.new_title(number)
        id_ = yield from self._insert(number, title)
        ignored = (
            f"INSERT IGNORE INTO `{self.notes}` (`owner`, `title`, `body`) VALUES ({number}, '{title}', '')"
        )
        yield Step(ignored, affected=0)
        yield ShowWarnings(title)
        yield from self._run(number, self._find_note, id_, 1, rows=note_row(id_, number, title))

    def _forget_statement(self, number: int) -> Turn:
        """A full statement pool: one is closed, and prepared again when it is next needed."""
        prepared = self._prepared.setdefault(number, {})
        if self._find_profile in prepared:
            yield close_and_ping(prepared.pop(self._find_profile))
        yield from self._show(number)

    def _reset(self, number: int) -> Turn:
        """`reset!`: the connection as new, its settings again, its statements gone."""
        yield reset_connection()
        self._prepared[number] = {}
        yield CONFIGURE
        yield from self._show(number)


class Mixture:
    """Sessions of all three applications, in turns, on one database."""

    name = "orm"

    def __init__(self, prefix: str = "") -> None:
        self._applications: list[Workload] = [Django(prefix), SqlAlchemy(prefix), Rails(prefix)]

    def schema(self, clients: int) -> Iterator[str]:
        for application in self._applications:
            yield from application.schema(clients)

    def tables(self) -> list[str]:
        return [table for application in self._applications for table in application.tables()]

    def greeting(self, number: int) -> list[Step]:
        return self._application(number).greeting(number)

    def turn(self, number: int, random: Random) -> Turn:
        return self._application(number).turn(number, random)

    def _application(self, number: int) -> Workload:
        return self._applications[number % len(self._applications)]
