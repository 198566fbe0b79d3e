"""What one session's statements are placed by, and what it has written and read so far. Pure: `now` is a time of `time.monotonic()`.

A text is looked at once (`Texts`): where may it run (`routing`), and may it write? What has written makes a fence when it is committed; everything
that is not known to be harmless counts as a write. Within a transaction nothing is visible to others: it is *dirty*, and the fence is the answer to
what ends it.
"""

from __future__ import annotations

from typing import Final

from protocol.response import ResponseTracker
from proxy.digest import digest
from proxy.fences import NEVER, SessionView
from proxy.gtids import Gtids, parse_gtids
from proxy.hints import ANY, TO_READER, TO_WRITER, hints_of
from proxy.past_reads import Past
from proxy.pins import PinReason
from proxy.readers import Reader
from proxy.reads import (
    NO_QUERY,
    NOT_UNDERSTOOD,
    PROVED,
    RESIDUE,
    SEVERAL,
    SHOWS,
    SYSTEM_VARIABLE,
    USER_VARIABLE,
    is_local_schema,
)
from proxy.routing import (
    BEGINS_NOTHING,
    BEGINS_READ,
    IN_HELD_SESSION,
    NO_TEXT,
    READ_ONLY,
    READ_WRITE,
    SessionSide,
    TextFacts,
    commits_itself,
    text_facts,
)
from proxy.statement import (
    BEGINS,
    CALLS,
    ENDS,
    IS_SELECT,
    MAY_CALL,
    MAY_CALL_ON_MARIADB,
    MAY_CALL_ON_MYSQL,
    MULTI,
    NOTHING,
    SETS,
    SETS_GLOBAL,
    SETS_USER_VARIABLES,
    USES,
    USES_NO_TABLE,
    Statement,
)
from proxy.vector import Vector

_IN_TRANS: Final = 1
_AUTOCOMMIT: Final = 2

# proofs of texts that write nothing, though they are not for readers
_HARMLESS: Final = frozenset([PROVED, RESIDUE, SYSTEM_VARIABLE, USER_VARIABLE])
_ROUTINES: Final = CALLS | MAY_CALL | MAY_CALL_ON_MARIADB | MAY_CALL_ON_MYSQL
_SETTINGS: Final = SETS | USES | SETS_USER_VARIABLES
_BORDERS: Final = BEGINS | ENDS | SETS

LAST_GTID: Final = b"last_gtid"
"""MariaDB tells the transaction that a session has committed as this variable."""


LONGEST_KEPT: Final = 4096
"""Bytes of a text; longer ones are looked at each time."""

ENTRY_OVERHEAD: Final = 600
"""Bytes of a record beside its text, about."""

LONGEST_PROVED: Final = 65536
"""The same of queries that may be proved to be reads: it takes a while."""


class TextRecord:
    """What is known of one text."""

    __slots__ = ("_digest", "facts", "reads", "text", "writes")

    def __init__(self, text: bytes, facts: TextFacts, writes: bool, reads: bool) -> None:
        self.text: bytes = text
        self.facts: TextFacts = facts
        # it may write
        self.writes: bool = writes
        # it may show something that others have written
        self.reads: bool = reads
        self._digest: str = ""

    def digest(self) -> str:
        """What it is known by when a reader has refused it."""
        if not self._digest:
            self._digest = digest(self.text)
        return self._digest

    def is_read(self) -> bool:
        """Whether it is a read, or begins a transaction of nothing else."""
        return self.facts.proof == PROVED or self.facts.begins == BEGINS_READ


NO_RECORD: Final = TextRecord(b"", NO_TEXT, False, False)
"""Of commands without a text."""


def record_of(text: bytes, lexing: int, statement: Statement, is_mariadb: bool) -> TextRecord:
    """``statement`` is what `classify` made of the same text and lexing."""
    if len(text) > LONGEST_KEPT and not statement.flags & (IS_SELECT | BEGINS):
        # it is no query, and its rows need not be looked at
        facts = _unproved(NO_QUERY, text, statement)
    elif len(text) > LONGEST_PROVED:
        facts = _unproved(NOT_UNDERSTOOD, text, statement)
    else:
        facts = text_facts(text, lexing, statement, is_mariadb)
    writes = _may_write(text, statement, facts)
    return TextRecord(text, facts, writes, writes or _may_read(text, statement, facts))


def _unproved(proof: int, text: bytes, statement: Statement) -> TextFacts:
    return TextFacts(proof, hints_of(text), BEGINS_NOTHING, commits_itself=commits_itself(statement.flags))


def _may_write(text: bytes, statement: Statement, facts: TextFacts) -> bool:
    flags = statement.flags
    if facts.proof == SEVERAL or flags & (MULTI | _ROUTINES | SETS_GLOBAL):
        return True
    if facts.proof in _HARMLESS or facts.begins != BEGINS_NOTHING or flags & ENDS:
        return False
    if facts.proof == SHOWS:
        # ANALYZE executes what it explains
        return b"analyze" in text.lower()
    if flags & _SETTINGS:
        # NEXT VALUE FOR is no function
        return statement.inner is not None or PinReason.SEQUENCE_VALUE in statement.pins
    return statement is not NOTHING


def _may_read(text: bytes, statement: Statement, facts: TextFacts) -> bool:
    """Of what does not write."""
    flags = statement.flags
    if flags & USES_NO_TABLE and flags & IS_SELECT and b"table" in text.lower():
        # MySQL's TABLE t, also in a SELECT: that USES_NO_TABLE is only true of MariaDB
        return True
    if flags & USES_NO_TABLE or facts.begins != BEGINS_NOTHING or flags & ENDS:
        return False
    return not flags & _SETTINGS or b"select" in text.lower()


class Texts:
    """Remembers records. Bounded by bytes: two generations, as `classify.StatementCache` has."""

    __slots__ = ("_left", "_old", "_size", "_young")

    def __init__(self, max_bytes: int) -> None:
        self._size: int = max_bytes // 2
        self._left: int = self._size
        self._young: dict[tuple[int, bytes], TextRecord] = {}
        self._old: dict[tuple[int, bytes], TextRecord] = {}

    def find(
        self, whole: bytes, start: int, lexing: int, statement: Statement, is_mariadb: bool
    ) -> TextRecord:
        """The record of the text that begins at ``start`` of these bytes: as they are, so that their hash is known."""
        key = (lexing, whole)
        record = self._young.get(key)
        if record is not None:
            return record
        record = self._old.get(key)
        if record is None:
            record = record_of(whole[start:], lexing, statement, is_mariadb)
        if len(whole) > LONGEST_KEPT:
            return record
        cost = 2 * len(whole) + ENTRY_OVERHEAD
        if self._left < cost:
            self._old = self._young
            self._young = {}
            self._left = self._size
        self._left -= cost
        self._young[key] = record
        return record

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Names:
    """Users and schemas whose statements have a side by configuration."""

    __slots__ = ("_schemas", "_users")

    def __init__(
        self,
        reader_users: tuple[str, ...] = (),
        writer_users: tuple[str, ...] = (),
        reader_schemas: tuple[str, ...] = (),
        writer_schemas: tuple[str, ...] = (),
    ) -> None:
        self._users: dict[bytes, int] = _sides(reader_users, writer_users)
        self._schemas: dict[bytes, int] = _sides(reader_schemas, writer_schemas)

    def side(self, user: bytes, schema: bytes | None) -> int:
        """TO_WRITER, TO_READER or ANY; what is said of the user counts before what is said of the schema."""
        side = self._users.get(user, ANY)
        return self._schemas.get(schema, ANY) if side == ANY and schema is not None else side


def _sides(reader: tuple[str, ...], writer: tuple[str, ...]) -> dict[bytes, int]:
    return {name.encode(): TO_READER for name in reader} | {name.encode(): TO_WRITER for name in writer}


class Placement:
    """Of one session."""

    __slots__ = (
        "after",
        "ahead_since",
        "awaited",
        "begin",
        "epoch",
        "first",
        "has_read_only",
        "home",
        "is_bounced",
        "is_cut",
        "is_dirty",
        "is_ending",
        "is_late",
        "keys",
        "last_left",
        "leaves_at",
        "moves_to",
        "moves_until",
        "owes_deadlock",
        "past",
        "reader",
        "reason",
        "record",
        "schema",
        "session_key",
        "sets",
        "side",
        "told",
        "until",
        "vector",
        "view",
        "wire",
    )

    def __init__(self, is_reader_listener: bool, session_key: bytes = b"") -> None:
        # the causal key of all that has none by a hint
        self.session_key: bytes = session_key
        self.side: SessionSide = SessionSide(is_reader_listener)
        self.view: SessionView = SessionView()
        # of which `side` has what it says
        self.vector: Vector | None = None
        # what is known of the command that runs, and why it is there
        self.record: TextRecord = NO_RECORD
        self.reason: int = IN_HELD_SESSION
        # the session's when it was placed on a reader
        self.schema: bytes | None = None
        # the command that was placed last, in wire form, until it is answered: any other runs on the lease that there is
        self.wire: bytes = b""
        # the reader that the lease is from, as it was then; None: the writer
        self.reader: Reader | None = None
        self.epoch: int = 0
        # a reader has refused the command: it runs on the writer
        self.is_bounced: bool = False
        # what the reader must have before the command may run there; it was waited for in vain, so that another server runs it
        self.awaited: Gtids | None = None
        self.is_late: bool = False
        # something was written since the last fence that is not committed yet
        self.is_dirty: bool = False
        # the causal keys of the transaction; and the transactions of what was written that the server has told
        self.keys: tuple[bytes, ...] = ()
        self.told: Gtids | None = None
        # a BEGIN, in wire form, that the client was told has run; and the command that waits for it (`late_begin`)
        self.begin: bytes = b""
        self.first: bytes = b""
        # commands in wire form that wait for one of ours, of which the client sees no end (`leaving`); and whether the first of them is the
        # rest of a text, so that its answer counts on
        self.after: list[bytes] = []
        self.is_cut: bool = False
        # ours ends the transaction, which the client has to be told as if the first of them had done that
        self.is_ending: bool = False
        # SETs for the next transaction that have run on a reader, in wire form
        self.sets: list[bytes] = []
        # the last command that has left a reader (`leaving`)
        self.last_left: bytes = b""
        # its transaction was rolled back while no command ran: the next one is told
        self.owes_deadlock: bool = False
        # unless it commits: nothing could be written in it
        self.has_read_only: bool = False
        # what the client has got, in case its server is lost (`replaying`)
        self.past: Past | None = None
        # until when the command waits for a reader; 0: it does not yet
        self.until: float = 0.0
        # where it reads, until when that is not called into question, and where it moves then: `moving`
        self.home: str | None = None
        self.leaves_at: float = 0.0
        self.moves_to: str = ""
        self.moves_until: float = 0.0
        # since when the session reads on the writer because of what it has written or read there; 0: it does not
        self.ahead_since: float = 0.0

    def see(self, vector: Vector, user: bytes, names: Names) -> None:
        """The session has another state than when this was asked last."""
        self.vector = vector
        side, variables = self.side, vector.variables
        access = variables.get(b"transaction_read_only") or variables.get(b"tx_read_only") or b""
        side.access = READ_ONLY if access in (b"ON", b"1") else READ_WRITE
        side.is_undivided = bool(variables.get(b"aurora_replica_read_consistency"))
        side.is_in_local_schema = vector.schema is not None and is_local_schema(vector.schema)
        side.setting = names.side(user, vector.schema)

    def read_key(self) -> bytes:
        """The causal key with which the command reads; b"": none."""
        return self.record.facts.hints.causal or self.session_key

    def begin_anew(self) -> None:
        """COM_CHANGE_USER: it is another user's. What was seen on the connection was seen."""
        self.vector = None
        self.is_dirty = False
        self.keys = ()
        self.owes_deadlock = False
        self.begin = b""
        self.past = None

    def leads_to(self, reader: Reader | None) -> None:
        """The lease will be from there."""
        self.reader = reader
        self.epoch = 0 if reader is None else reader.epoch

    def answered(
        self, statement: Statement, tracker: ResponseTracker, before: int, now: float, is_late: bool = False
    ) -> bool:
        """The command of `record` was answered at ``now``: whether that was a commit of writes. ``before``: the session's status until then.
        ``is_late``: GTIDs that it tells may be of an earlier command."""
        record = self.record
        is_failed = tracker.is_error
        if self.reader is not None:
            if record.reads:
                self.view.read_on(self.reader.name, self.epoch, now)
            if is_failed or not record.writes:
                return False
        elif record.reads:
            self.view.read_on_writer(now)
        flags = statement.flags
        if not self.is_dirty and (not before & _IN_TRANS or flags & (BEGINS | ENDS)):
            self.keys = ()
        self._note_key()
        self.is_dirty = self.is_dirty or record.writes
        is_opaque = flags & (MULTI | _ROUTINES) != 0 or statement.executes != ()
        if not self.is_dirty or (_goes_on(before, tracker) and not flags & _BORDERS and not is_opaque):
            return False
        self.told = gtids_of(tracker)
        self.view.wrote(now, self.told, is_late)
        if is_failed:
            # nor whether it has begun one before it failed
            self.is_dirty = is_opaque or before & (_IN_TRANS | _AUTOCOMMIT) != _AUTOCOMMIT
        else:
            is_new = flags & (BEGINS | ENDS) != 0 and not is_opaque
            self.is_dirty = bool(tracker.status & _IN_TRANS) and not is_new
        return True

    def fenced(self) -> None:
        """Who reads with its keys will see what was committed. Of a new transaction they are those of the text that has begun it."""
        if not self.is_dirty:
            self.keys = ()
            if self.record.facts.begins != BEGINS_NOTHING:
                self._note_key()

    def begun_with(self) -> bytes:
        """The BEGIN, in wire form, of a read-only transaction on a reader in which nothing was seen yet; b"": there is none."""
        past = self.past
        return past.reads[0].wire if past is not None and past.has_only_begun() else b""

    def lost(self, now: float) -> bool:
        """The backend was lost while the command ran: whether it may have written, and that may have been committed."""
        may_have = self.record.writes or self.is_dirty
        if may_have:
            self._note_key()
            self.told = None
            self.view.wrote(now)
            self.is_dirty = False
        return may_have

    def _note_key(self) -> None:
        """A transaction is committed under the keys of all hints in it; what writes without one is under the session's."""
        record = self.record
        key = record.facts.hints.causal
        if not key and record.writes:
            key = self.session_key
        if key and key not in self.keys:
            self.keys = (*self.keys, key)


def _goes_on(before: int, tracker: ResponseTracker) -> bool:
    """Whether the transaction is open that the statement was in, or has begun without autocommit."""
    if tracker.is_error:
        # it has no status: whether it has ended the transaction is not known
        return before & _IN_TRANS != 0
    return before & (_IN_TRANS | _AUTOCOMMIT) != _AUTOCOMMIT and tracker.status & _IN_TRANS != 0


def gtids_of(tracker: ResponseTracker) -> Gtids | None:
    """The transactions that the server says it has just committed for this session."""
    changes = tracker.changes
    if changes is None:
        return None
    is_mariadb = changes.gtids is None
    text = changes.gtids or b",".join(
        [value for name, value in changes.variables if name == LAST_GTID and value]
    )
    try:
        return parse_gtids(text.decode("ascii", "replace"), is_mariadb) if text else None
    except ValueError:
        return None


def is_autocommit(status: int) -> bool:
    """By status flags."""
    return bool(status & _AUTOCOMMIT)


def is_fenced(view: SessionView) -> bool:
    """Whether something keeps the session from a reader that others may have."""
    return view.written_at != NEVER or view.read_at != NEVER
