"""Where a statement runs: on the writer, on a reader, or where the session is held.

What a text says is found once (`text_facts`) and kept with it; what the session is in, the shell keeps in a :class:`SessionSide`. :func:`route` puts the
two together and returns a reason, and :data:`SIDES` has the side of each. In this order:

1. The reader listener is for readers. A session that is held, by a transaction or a pin, stays where it is: a transaction never changes sides.
2. What commits on its own account goes to the writer, whatever is asked for: readers do not refuse it to everybody.
3. A session that uses write forwarding (`aurora_replica_read_consistency`) decided for itself: its reads and writes stay together.
4. The hint in the text, then the setting of the user or schema.
5. Transactions: READ ONLY to a reader, others to the writer. With autocommit off a statement begins one, and may be followed by a write.
   The writer has them, too, once a session of the same account was pinned by one and then wrote (`stranding`).
6. Single statements: in a read-only session, and elsewhere when `autocommit_reads` says so, what is proved to be a read goes to a reader.

Everything else goes to the writer. A hint cannot send to a reader what would do something else there than it does on the writer: locking reads, user
locks, residue; nor a read that opens a transaction unseen (autocommit off).
"""

from __future__ import annotations

from typing import Final

from proxy.effects import words_of
from proxy.hints import NO_HINTS, TO_READER, TO_WRITER, Hints, hints_of
from proxy.lexer import tokenize
from proxy.pins import PinReason
from proxy.reads import (
    LOCAL_SCHEMA,
    NO_QUERY,
    PROOF_NAMES,
    PROVED,
    ROUTINE,
    SERVER_FUNCTION,
    SHOWS,
    SYSTEM_VARIABLE,
    proof_of,
)
from proxy.statement import BEGINS, BEGINS_READ_ONLY, COMMITS_ITSELF, CONSISTENT_SNAPSHOT, MULTI, Statement

# Sides
WRITER: Final = 0
READER: Final = 1
HELD: Final = 2  # wherever it is

# Reasons
IN_HELD_SESSION: Final = 0
READER_LISTENER: Final = 1
WRITE_FORWARDING: Final = 2
HINT_WRITER: Final = 3
HINT_READER: Final = 4
SETTING_WRITER: Final = 5
SETTING_READER: Final = 6
READ_ONLY_TRANSACTION: Final = 7
READ_WRITE_TRANSACTION: Final = 8
IMPLICIT_TRANSACTION: Final = 9
READ_ONLY_SESSION: Final = 10
PROVED_READ: Final = 11
NOT_PROVED: Final = 12  # `TextFacts.proof` has the details
IN_LOCAL_SCHEMA: Final = 13
BOUNCED: Final = 14  # a reader has refused this text, or one like it; or might not, though it is none for it
SPLIT_OFF: Final = 15  # reads outside transactions are not configured to leave the writer
STRANDED_BEFORE: Final = (
    16  # a session of its account was pinned to a reader by such a transaction, and wrote
)

SIDES: Final = (
    HELD,
    READER,
    WRITER,
    WRITER,
    READER,
    WRITER,
    READER,
    READER,
    WRITER,
    WRITER,
    READER,
    READER,
    WRITER,
    WRITER,
    WRITER,
    WRITER,
    WRITER,
)
REASON_NAMES: Final = (
    "held",
    "reader-listener",
    "write-forwarding",
    "hint-writer",
    "hint-reader",
    "setting-writer",
    "setting-reader",
    "read-only-transaction",
    "read-write-transaction",
    "implicit-transaction",
    "read-only-session",
    "proved-read",
    "not-proved",
    "local-schema",
    "bounced",
    "autocommit-reads-off",
    "stranded-before",
)
IN_READ_ONLY: Final = (READ_ONLY_TRANSACTION, READ_ONLY_SESSION)
UNASKED: Final = (*IN_READ_ONLY, PROVED_READ)
"""Why a reader is chosen where nobody has named one."""

# TextFacts.begins
BEGINS_NOTHING: Final = 0
BEGINS_AS_SESSION: Final = 1  # BEGIN, START TRANSACTION
BEGINS_READ: Final = 2  # .. READ ONLY; SET TRANSACTION READ ONLY, which makes the next one so
BEGINS_WRITE: Final = 3  # .. READ WRITE

# SessionSide.access and next_access
UNSET: Final = -1
READ_WRITE: Final = 0
READ_ONLY: Final = 1

_HINTABLE: Final = (PROVED, SHOWS, SYSTEM_VARIABLE, LOCAL_SCHEMA, SERVER_FUNCTION, ROUTINE)
"""What of one server may be meant by who hints that it is to be a reader. Stored functions that write are refused there."""
_LONGEST_BEGIN: Final = 256


class TextFacts:
    """What a text says about where it may run. Never changed once made."""

    __slots__ = ("begins", "can_wait", "commits_itself", "hints", "proof")

    def __init__(
        self, proof: int, hints: Hints, begins: int, can_wait: bool = False, commits_itself: bool = False
    ) -> None:
        # reads.PROVED, or why not
        self.proof: int = proof
        self.hints: Hints = hints
        # the kind of transaction that it begins
        self.begins: int = begins
        # it begins a transaction that need not begin before its first statement does
        self.can_wait: bool = can_wait
        # see `commits_itself`
        self.commits_itself: bool = commits_itself


def text_facts(text: bytes, lexing: int, statement: Statement, is_mariadb: bool) -> TextFacts:
    """``statement`` is what `classify` made of the same text and lexing."""
    hints = hints_of(text)
    if not statement.flags & BEGINS:
        if PinReason.NEXT_TRANSACTION in statement.pins and _is_for_reads(text, lexing, statement):
            return TextFacts(NO_QUERY, hints, BEGINS_READ)
        proof = proof_of(text, lexing, statement, is_mariadb)
        return TextFacts(proof, hints, BEGINS_NOTHING, commits_itself=commits_itself(statement.flags))
    if statement.flags & MULTI:
        # what begins may have ended, or have been begun, by the others
        return TextFacts(NO_QUERY, hints, BEGINS_WRITE)
    begins = BEGINS_READ if statement.flags & BEGINS_READ_ONLY else BEGINS_AS_SESSION
    words = words_of(tokenize(text, 0, min(len(text), _LONGEST_BEGIN), lexing, True))
    if b"write" in words or len(text) > _LONGEST_BEGIN:
        begins = BEGINS_WRITE
    return TextFacts(NO_QUERY, hints, begins, not statement.flags & CONSISTENT_SNAPSHOT)


def _is_for_reads(text: bytes, lexing: int, statement: Statement) -> bool:
    """Whether it is a SET TRANSACTION READ ONLY: the transaction begins later, but where this has run."""
    if statement.flags & MULTI or len(statement.pins) > 1 or len(text) > _LONGEST_BEGIN:
        return False
    words = words_of(tokenize(text, 0, len(text), lexing, False))
    return words[:2] == [b"set", b"transaction"] and b"only" in words


def commits_itself(flags: int) -> bool:
    """Whether a statement with these flags commits on its own account, and begins nothing: no server refuses all of that to everybody, and what it runs
    is in a binary log of its own. What an EXECUTE executes is only known in a session that its PREPARE has pinned."""
    return flags & (COMMITS_ITSELF | BEGINS) == COMMITS_ITSELF


NO_TEXT: Final = TextFacts(NO_QUERY, NO_HINTS, BEGINS_NOTHING)
"""Of commands without a text."""


class SessionSide:
    """What of a session decides where its next statement runs."""

    __slots__ = (
        "access",
        "is_autocommit",
        "is_held",
        "is_in_local_schema",
        "is_reader",
        "is_stranded",
        "is_undivided",
        "next_access",
        "setting",
    )

    def __init__(self, is_reader: bool = False, setting: int = 0) -> None:
        # it came in by the reader listener
        self.is_reader: bool = is_reader
        # of its user or schema: hints.TO_WRITER, TO_READER or ANY
        self.setting: int = setting
        # in a transaction, or pinned
        self.is_held: bool = False
        # it uses write forwarding
        self.is_undivided: bool = False
        self.is_autocommit: bool = True
        # SET SESSION TRANSACTION READ ONLY: READ_ONLY or READ_WRITE
        self.access: int = READ_WRITE
        # SET TRANSACTION READ ONLY, for the next transaction: or UNSET
        self.next_access: int = UNSET
        # one of its account was pinned to a reader, and wrote (`stranding`)
        self.is_stranded: bool = False
        # its current schema is each server's own
        self.is_in_local_schema: bool = False

    def is_read_only(self) -> bool:
        """Whether its next transaction is, unless it says otherwise."""
        return (self.access if self.next_access == UNSET else self.next_access) == READ_ONLY

    def read_only_reason(self) -> int:
        """Of its read-only transactions."""
        return STRANDED_BEFORE if self.is_stranded and self.setting != TO_READER else READ_ONLY_TRANSACTION


def route(session: SessionSide, text: TextFacts, autocommit_reads: bool, is_bounced: bool = False) -> int:
    """The reason for the side on which the statement is to run."""
    if session.is_reader:
        return READER_LISTENER
    if session.is_held:
        return IN_HELD_SESSION
    if text.commits_itself:
        return BOUNCED
    if session.is_undivided:
        return WRITE_FORWARDING
    hint = text.hints.side
    if hint == TO_WRITER:
        return HINT_WRITER
    if hint != TO_READER and session.setting == TO_WRITER:
        return SETTING_WRITER
    if text.begins != BEGINS_NOTHING:
        return _transaction(session, text, hint)
    if not session.is_autocommit:
        if session.is_read_only():
            return session.read_only_reason()
        return IMPLICIT_TRANSACTION
    if is_bounced:
        return BOUNCED
    return _single(session, text, hint, autocommit_reads)


def _transaction(session: SessionSide, text: TextFacts, hint: int) -> int:
    if hint == TO_READER and text.begins != BEGINS_WRITE:
        return HINT_READER
    if text.begins == BEGINS_READ or (text.begins == BEGINS_AS_SESSION and session.is_read_only()):
        return session.read_only_reason()
    return READ_WRITE_TRANSACTION


def _single(session: SessionSide, text: TextFacts, hint: int, autocommit_reads: bool) -> int:
    """A statement by itself."""
    proof = text.proof
    if hint == TO_READER:
        return HINT_READER if proof in _HINTABLE else NOT_PROVED
    if proof == ROUTINE and session.is_read_only():
        # what it calls cannot write
        if session.read_only_reason() == STRANDED_BEFORE:
            return STRANDED_BEFORE
        proof = PROVED
    if proof != PROVED:
        return NOT_PROVED
    if session.is_in_local_schema:
        return IN_LOCAL_SCHEMA
    if session.setting == TO_READER:
        return SETTING_READER
    if session.is_read_only():
        return READ_ONLY_SESSION
    return PROVED_READ if autocommit_reads else SPLIT_OFF


def in_words(text: TextFacts) -> str:
    """Where a statement runs by its text alone, outside of transactions, for people."""
    if text.hints.side == TO_WRITER:
        return "the writer, by its hint"
    if text.begins == BEGINS_READ:
        return "a reader: read-only transaction (the writer, once one has stranded a session of the account)"
    if text.hints.side == TO_READER and (text.begins == BEGINS_AS_SESSION or text.proof in _HINTABLE):
        return "a reader, by its hint"
    if text.begins == BEGINS_AS_SESSION:
        return "the writer; a reader if the session is READ ONLY"
    if text.begins == BEGINS_WRITE:
        return "the writer: transaction that may write"
    if text.proof == PROVED:
        return (
            'the writer; a reader with `routing.autocommit_reads = "reader"`, or if the session is READ ONLY'
        )
    return f"the writer: not proved to be a read ({PROOF_NAMES[text.proof]})"
