"""What the lexer knows of one COM_QUERY's text: the record that `classify` makes and `session`, `residue` and the shells read."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from proxy.pins import PinReason

# Bits of Statement.flags.
BEGINS: Final = 1 << 0  # BEGIN, START TRANSACTION
BEGINS_READ_ONLY: Final = 1 << 1  # START TRANSACTION READ ONLY
CONSISTENT_SNAPSHOT: Final = 1 << 2  # START TRANSACTION WITH CONSISTENT SNAPSHOT
ENDS: Final = 1 << 3  # COMMIT, ROLLBACK (not ROLLBACK TO)
RELEASES: Final = 1 << 4  # COMMIT or ROLLBACK .. RELEASE: the server closes the connection after its OK
SETS: Final = 1 << 5  # a SET of session variables
SETS_GLOBAL: Final = 1 << 6  # a SET GLOBAL or PERSIST: the baseline of new connections changes
USES: Final = 1 << 7  # USE
DROPS_SCHEMA: Final = 1 << 8  # DROP DATABASE
CALLS: Final = 1 << 9  # CALL, or EXECUTE of what is not known
MULTI: Final = 1 << 10  # more than one statement
LOCAL_INFILE: Final = 1 << 11  # LOAD DATA LOCAL
READS_INSERT_ID: Final = 1 << 12  # LAST_INSERT_ID(), @@identity, CALL
SETS_INSERT_ID: Final = 1 << 13  # LAST_INSERT_ID(expr)
READS_ROW_COUNT: Final = 1 << 14
READS_FOUND_ROWS: Final = 1 << 15
READS_DIAGNOSTICS: Final = 1 << 16  # SHOW WARNINGS and the like, GET DIAGNOSTICS, @@warning_count
READS_CONNECTION_ID: Final = 1 << 17
CHANGES_ACCOUNT: Final = 1 << 18  # SET PASSWORD, ALTER USER, GRANT, FLUSH PRIVILEGES ...
IS_SELECT: Final = 1 << 19  # leaves a FOUND_ROWS() of its own: SELECT, and SHOW where it is one inside
SHUTS_DOWN: Final = 1 << 20  # SHUTDOWN, RESTART
KEEPS_DIAGNOSTICS: Final = (
    1 << 21
)  # MySQL, too, leaves the warnings of the statement before: SHOW WARNINGS, GET DIAGNOSTICS
USES_NO_TABLE: Final = 1 << 22  # names no table: MariaDB leaves the warnings of the statement before
GETS_DIAGNOSTICS: Final = 1 << 23  # GET DIAGNOSTICS
IS_CONDITIONAL: Final = 1 << 24  # has /*! .. */: parts may not be executed
MAY_CALL: Final = 1 << 25  # uses functions that may be stored ones
SETS_FOR_ITSELF: Final = 1 << 26  # a SET_VAR hint: MySQL reports the variables, with their old values
MAY_CALL_ON_MARIADB: Final = (
    1 << 27
)  # uses functions that are MySQL's own, so on MariaDB they may be stored ones
MAY_CALL_ON_MYSQL: Final = 1 << 28  # and the other way round
MAY_RELEASE: Final = 1 << 29  # COMMIT or ROLLBACK without [NO] RELEASE: completion_type decides
SETS_USER_VARIABLES: Final = (
    1 << 30
)  # SET @x = .., GET DIAGNOSTICS @x = ..: the forms that servers report (as "something changed")
NAMES_USER_VARIABLES: Final = 1 << 31  # has an @x somewhere
UPDATES: Final = 1 << 32  # an UPDATE: MySQL leaves a FOUND_ROWS() of its own
SIGNALS: Final = 1 << 33  # SIGNAL: what it raises may have more to it than SHOW WARNINGS tells
ADDS_DIAGNOSTICS: Final = (
    1 << 35
)  # no statement at all: what the command raises is on top of what was there, on MySQL
COUNTS_ANEW: Final = 1 << 36  # of such a command only its own error is counted
USES_TABLE: Final = 1 << 37  # names a table: MariaDB clears them. Of several statements: one of them does
PREPARES_ONE: Final = 1 << 38  # PREPARE name FROM 'text' or @variable, and nothing else
SETS_AUTOCOMMIT: Final = 1 << 39  # a bare SET autocommit = 0 or 1: what it was before makes no difference
REDEFINES: Final = 1 << 40  # CREATE, ALTER, DROP of views, triggers and routines; RENAME
HIDES_FOUND_ROWS: Final = (
    1 << 41
)  # MySQL: what it counts shows in FOUND_ROWS() after the next statement that would leave that alone
WANTS_FOUND_ROWS: Final = (
    1 << 42
)  # it may leave FOUND_ROWS() as it was, without a word: the backend has to have the session's. On MariaDB so may HIDES_FOUND_ROWS
ALTERS_SCHEMA: Final = 1 << 43  # ALTER DATABASE
COMMITS_ITSELF: Final = (
    1 << 44
)  # on its own account: DDL, FLUSH, ANALYZE TABLE, LOCK TABLES, START TRANSACTION READ WRITE

NOT_PLAIN: Final = (
    SETS
    | SETS_GLOBAL
    | USES
    | DROPS_SCHEMA
    | CALLS
    | MAY_CALL
    | MAY_CALL_ON_MARIADB
    | MAY_CALL_ON_MYSQL
    | MULTI
    | SETS_INSERT_ID
    | KEEPS_DIAGNOSTICS
    | ENDS
    | GETS_DIAGNOSTICS
    | SETS_USER_VARIABLES
    | ADDS_DIAGNOSTICS
    | HIDES_FOUND_ROWS
)
_SAYS_WHAT_IS_KEPT: Final = USES_TABLE | USES_NO_TABLE | KEEPS_DIAGNOSTICS
SPECIAL: Final = READS_ROW_COUNT | READS_FOUND_ROWS | READS_DIAGNOSTICS | BEGINS | SHUTS_DOWN
_BEGIN: Final = BEGINS | BEGINS_READ_ONLY | CONSISTENT_SNAPSHOT | COMMITS_ITSELF | USES_NO_TABLE
ASKS: Final = READS_ROW_COUNT | READS_FOUND_ROWS | READS_DIAGNOSTICS
NEWS: Final = CHANGES_ACCOUNT | SETS_GLOBAL | REDEFINES | ALTERS_SCHEMA
"""After these all backends and all workers have to forget something (`special.heard`)."""

UNKNOWN_FOUND_ROWS: Final = -1
KEPT_FOUND_ROWS: Final = -2
OWN_ID: Final = -1
"""In `Statement.kill`: CONNECTION_ID()."""
ONE_ON_MYSQL: Final = -3
UNKNOWN_ON_MARIADB: Final = -4
UNKNOWN_ON_MYSQL: Final = -5
"""As `Statement.found_rows`. On the other server they are kept."""
ALL_NAMES: Final = b"\0*"
"""As a name in `Statement.lift_names`: every named holder of the reason, fixed ones excepted."""
FIXED_NAME: Final = b"\0"
"""As a name in `Statement.pin_names`: only a reset lifts it."""
RENAMED: Final = b"\0>"
"""As a name in `Statement.pin_names`: what there is of it may have other names from now on, so only a reset lifts it."""


class Question(IntEnum):
    """A statement that only asks for residue, so that it can be answered without a backend."""

    NONE = 0
    LAST_INSERT_ID = 1
    ROW_COUNT = 2
    FOUND_ROWS = 3
    SHOW_WARNINGS = 4
    SHOW_ERRORS = 5
    COUNT_WARNINGS = 6
    COUNT_ERRORS = 7
    WARNING_COUNT = 8
    ERROR_COUNT = 9
    CONNECTION_ID = 10


class Statement:
    """What the text of one COM_QUERY means for the session. Never changed once made; shared between sessions."""

    __slots__ = (
        "begins",
        "collation",
        "defaults",
        "executes",
        "finds_residue",
        "flags",
        "found_rows",
        "has_aftermath",
        "has_news",
        "inner",
        "is_plain",
        "is_special",
        "kept",
        "kill",
        "lift_names",
        "lifts",
        "limit",
        "may_release",
        "needs_prepare",
        "only_begins",
        "pin_names",
        "pins",
        "places",
        "prepares",
        "question",
        "reads_insert_id",
        "temporary",
        "text",
        "title",
        "user_variables",
        "variables",
    )

    def __init__(
        self,
        flags: int = 0,
        *,
        pins: tuple[PinReason, ...] = (),
        pin_names: tuple[bytes, ...] = (),
        lifts: tuple[PinReason, ...] = (),
        lift_names: tuple[bytes, ...] = (),
        variables: tuple[bytes, ...] = (),
        defaults: tuple[bytes, ...] = (),
        temporary: tuple[bytes, ...] = (),
        collation: bytes | None = None,
        found_rows: int = 0,
        question: int = 0,
        title: bytes = b"",
        limit: tuple[int, int] | None = None,
        kill: tuple[bool, int] | None = None,
        prepares: tuple[tuple[bytes, Statement | None], ...] = (),
        executes: tuple[bytes, ...] = (),
        inner: Statement | None = None,
        places: tuple[tuple[int, int, int], ...] = (),
        user_variables: tuple[bytes, ...] = (),
        kept: int = 0,
        text: bytes = b"",
    ) -> None:
        self.flags: int = flags
        # reasons that hold once it has run, and for each the name of the thing (b"" where there is only one)
        self.pins: tuple[PinReason, ...] = pins
        self.pin_names: tuple[bytes, ...] = pin_names
        self.lifts: tuple[PinReason, ...] = lifts
        self.lift_names: tuple[bytes, ...] = lift_names
        # session system variables that it assigns, lower case; transaction_isolation and transaction_read_only by these names
        self.variables: tuple[bytes, ...] = variables
        # those of them that get DEFAULT
        self.defaults: tuple[bytes, ...] = defaults
        # variables that have another value only while it runs (SET STATEMENT): what the trackers say of them is not to be kept
        self.temporary: tuple[bytes, ...] = temporary
        # the collation of SET NAMES, which no server reports: b"" for the character set's own, None when there is no SET NAMES
        self.collation: bytes | None = collation
        # FOUND_ROWS() after it, if it IS_SELECT: so many more than the rows sent; or one of the constants above. Otherwise it is as before.
        self.found_rows: int = found_rows
        # the bare question that it is, with the title of the column or LIMIT (offset, rows) of SHOW WARNINGS and SHOW ERRORS
        self.question: int = question
        self.title: bytes = title
        self.limit: tuple[int, int] | None = limit
        # KILL: (only the query, id or OWN_ID)
        self.kill: tuple[bool, int] | None = kill
        # PREPARE: names and what their text means (None: not known); EXECUTE: names
        self.prepares: tuple[tuple[bytes, Statement | None], ...] = prepares
        self.executes: tuple[bytes, ...] = executes
        # EXECUTE IMMEDIATE of a literal, SET STATEMENT .. FOR: what is really run
        self.inner: Statement | None = inner
        # where it reads counts, in the first statement of the text: (Question, start, end)
        self.places: tuple[tuple[int, int, int], ...] = places
        # its own text, where it ASKS: another text that executes it may have to be written anew
        self.text: bytes = text
        # user variables that it may assign, whatever comes of it, in lower case
        self.user_variables: tuple[bytes, ...] = user_variables
        # nothing but rows, counts and warnings to look at when it has run
        self.is_plain: bool = not (
            pins
            or lifts
            or temporary
            or prepares
            or executes
            or inner is not None
            or found_rows
            or user_variables
            or flags & NOT_PLAIN
        )
        # the shell has to look at it before it runs
        self.is_special: bool = bool(question) or kill is not None or bool(flags & SPECIAL) or bool(executes)
        # that is special only where transactions are refused
        self.only_begins: bool = flags & BEGINS != 0 and not flags & ~_BEGIN and inner is None
        # a backend that is new to the session may have to be given residue first; a stored routine may ask for it unseen
        self.reads_insert_id: bool = bool(
            flags
            & (
                READS_INSERT_ID
                | MULTI
                | GETS_DIAGNOSTICS
                | MAY_CALL
                | MAY_CALL_ON_MARIADB
                | MAY_CALL_ON_MYSQL
            )
        )
        # the same of any residue
        self.finds_residue: bool = self.reads_insert_id or bool(flags & (HIDES_FOUND_ROWS | WANTS_FOUND_ROWS))
        # bits of the kept variables that it may read (`kept`), by its own text
        self.kept: int = kept
        # the backend may have to be prepared for it although that has the session's state
        self.needs_prepare: bool = self.finds_residue or kept != 0 or not flags & _SAYS_WHAT_IS_KEPT
        # there is something to do when it has run: in any case, or where the session's completion_type says so
        self.has_news: bool = bool(flags & NEWS)
        self.has_aftermath: bool = self.has_news or bool(flags & RELEASES)
        self.may_release: bool = bool(flags & MAY_RELEASE)
        # starts a transaction by its text
        self.begins: bool = bool(flags & BEGINS)

    def with_flags(self, flags: int) -> Statement:
        """The same with more flags."""
        return Statement(
            self.flags | flags,
            pins=self.pins,
            pin_names=self.pin_names,
            lifts=self.lifts,
            lift_names=self.lift_names,
            variables=self.variables,
            defaults=self.defaults,
            temporary=self.temporary,
            collation=self.collation,
            found_rows=self.found_rows,
            question=self.question,
            title=self.title,
            limit=self.limit,
            kill=self.kill,
            prepares=self.prepares,
            executes=self.executes,
            inner=self.inner,
            places=self.places,
            user_variables=self.user_variables,
            kept=self.kept,
            text=self.text,
        )


NOTHING: Final = Statement(USES_NO_TABLE)
"""The statement of a command that has no text, or of text without any statement."""
ORDINARY: Final = Statement(USES_TABLE)
"""One of which nothing is remarkable, as most INSERTs are."""
TRUNCATING: Final = Statement(USES_TABLE | COMMITS_ITSELF)
MAINTAINING: Final = Statement(USES_TABLE | COMMITS_ITSELF)
UNREMARKABLE: Final = (NOTHING, ORDINARY, TRUNCATING, MAINTAINING)
"""Of a session nothing changes by them, even where they fail half-way."""
