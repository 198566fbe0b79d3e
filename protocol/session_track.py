"""Session-track blocks: what a server tells about the session in its OK packets.

"OK_Packet", "Session State Information": with CLIENT_SESSION_TRACK, and where status has
SERVER_SESSION_STATE_CHANGED, an OK ends in a length-encoded block of entries; each is int<1> type and string<lenenc>
content. What a session is told it chooses by its session_track_* variables. Our backends choose for our own needs,
so every client gets its own choice out of that, which is a TrackFilter.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.wire import lenenc_bytes, read_lenenc_bytes, read_uint8

# TrackerType as plain integers.
_SYSTEM_VARIABLES: Final = 0
_SCHEMA: Final = 1
_STATE_CHANGE: Final = 2
_GTIDS: Final = 3
_TRANSACTION_CHARACTERISTICS: Final = 4
_TRANSACTION_STATE: Final = 5
_SCHEMA_AND_STATE: Final = frozenset([_SCHEMA, _STATE_CHANGE])
_VARIABLES_AND_STATE: Final = frozenset([_SYSTEM_VARIABLES, _STATE_CHANGE])

_ANY_VARIABLE: Final = b"*"

_IN_TRANS: Final = 1
_BEGINS: Final = re.compile(rb"START TRANSACTION|XA START")
_SNAPSHOT: Final = b"WITH CONSISTENT SNAPSHOT"
_BEGUN_STATE: Final = b"T_______"
_SNAPSHOT_STATE: Final = b"T_R_____"
_NO_STATE: Final = b"________"
_ENDED: Final = ((_TRANSACTION_STATE, lenenc_bytes(_NO_STATE)), (_TRANSACTION_CHARACTERISTICS, b"\0"))


class SessionChanges:
    """What the session-track blocks of a response said about the session.

    None (or an empty list) means "not reported", which is not the same as an empty value.
    """

    __slots__ = (
        "chosen",
        "gtids",
        "schema",
        "state_changed",
        "transaction_characteristics",
        "transaction_state",
        "variables",
    )

    def __init__(
        self,
        variables: list[tuple[bytes, bytes]] | None = None,
        schema: bytes | None = None,
        state_changed: bool = False,
        transaction_characteristics: bytes | None = None,
        transaction_state: bytes | None = None,
        gtids: bytes | None = None,
    ) -> None:
        # Name and new value in the order reported; a name may come twice, then the later value holds.
        self.variables: list[tuple[bytes, bytes]] = [] if variables is None else variables
        self.schema: bytes | None = schema
        # The last of them that was not told at the end of rows, which may be those of a routine that runs in another.
        self.chosen: bytes | None = schema
        # "Something changed", without telling what.
        self.state_changed: bool = state_changed
        # SQL text that would begin the transaction anew; empty when there is none.
        self.transaction_characteristics: bytes | None = transaction_characteristics
        # Eight characters, such as T_______.
        self.transaction_state: bytes | None = transaction_state
        self.gtids: bytes | None = gtids

    def absorb(self, later: SessionChanges) -> None:
        """Merges what a later block of the same response said."""
        self.variables.extend(later.variables)
        if later.schema is not None:
            self.schema = later.schema
        if later.chosen is not None:
            self.chosen = later.chosen
        self.state_changed = self.state_changed or later.state_changed
        if later.transaction_characteristics is not None:
            self.transaction_characteristics = later.transaction_characteristics
        if later.transaction_state is not None:
            self.transaction_state = later.transaction_state
        if later.gtids is not None:
            # several sets, as one is written
            self.gtids = later.gtids if self.gtids is None else self.gtids + b"," + later.gtids

    def _fields(self) -> tuple[object, ...]:
        return (
            self.variables,
            self.schema,
            self.state_changed,
            self.transaction_characteristics,
            self.transaction_state,
            self.gtids,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionChanges) and self._fields() == other._fields()

    def __hash__(self) -> int:
        raise TypeError("SessionChanges is mutable")

    def __repr__(self) -> str:
        names = ("variables", "schema", "state_changed", "characteristics", "state", "gtids")
        said = [f"{name}={value!r}" for name, value in zip(names, self._fields(), strict=True) if value]
        return f"SessionChanges({', '.join(said)})"


def split_changes(block: bytes) -> list[tuple[int, bytes]]:
    """The entries of a session-track block: type and content of each. Unknown types are kept."""
    entries = []
    pos = 0
    while pos < len(block):
        kind, pos = read_uint8(block, pos)
        content, pos = read_lenenc_bytes(block, pos)
        entries.append((kind, content))
    return entries


def split_variables(content: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of name and value in an entry of type SESSION_TRACK_SYSTEM_VARIABLES (servers send one in each)."""
    pairs = []
    pos = 0
    while pos < len(content):
        name, pos = read_lenenc_bytes(content, pos)
        value, pos = read_lenenc_bytes(content, pos)
        pairs.append((name, value))
    return pairs


def parse_changes(block: bytes) -> SessionChanges:
    """The content of a session-track block. Entries of unknown type are ignored, as clients must."""
    changes = SessionChanges()
    for kind, content in split_changes(block):
        if kind == _SYSTEM_VARIABLES:
            changes.variables.extend(split_variables(content))
        elif kind == _SCHEMA:
            changes.schema = changes.chosen = read_lenenc_bytes(content, 0)[0]
        elif kind == _STATE_CHANGE:
            # Documented as a string<lenenc> in the entry; both servers send the bare character. Either is read.
            changes.state_changed = content[-1:] == b"1"
        elif kind == _GTIDS:
            # int<1> encoding specification (always 0) before the string.
            changes.gtids = read_lenenc_bytes(content, 1)[0]
        elif kind == _TRANSACTION_CHARACTERISTICS:
            changes.transaction_characteristics = read_lenenc_bytes(content, 0)[0]
        elif kind == _TRANSACTION_STATE:
            changes.transaction_state = read_lenenc_bytes(content, 0)[0]
    return changes


def is_for_next(characteristics: bytes) -> bool:
    """Whether a text that would begin the transaction anew only sets what the next one shall be like."""
    return (
        characteristics.startswith(b"SET ")
        and b"START " not in characteristics
        and b"XA " not in characteristics
    )


def _entry(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + lenenc_bytes(content)


def build_changes(changes: SessionChanges) -> bytes:
    """The session-track block that parse_changes reads as these changes; empty when there are none."""
    parts = [
        _entry(_SYSTEM_VARIABLES, lenenc_bytes(name) + lenenc_bytes(value))
        for name, value in changes.variables
    ]
    if changes.schema is not None:
        parts.append(_entry(_SCHEMA, lenenc_bytes(changes.schema)))
    if changes.state_changed:
        parts.append(_entry(_STATE_CHANGE, b"1"))
    if changes.gtids is not None:
        parts.append(_entry(_GTIDS, b"\0" + lenenc_bytes(changes.gtids)))
    if changes.transaction_characteristics is not None:
        parts.append(_entry(_TRANSACTION_CHARACTERISTICS, lenenc_bytes(changes.transaction_characteristics)))
    if changes.transaction_state is not None:
        parts.append(_entry(_TRANSACTION_STATE, lenenc_bytes(changes.transaction_state)))
    return b"".join(parts)


class TrackFilter:
    """What a client that negotiated CLIENT_SESSION_TRACK has asked to be told.

    ``variables`` holds names in lower case, or b"*" for all. ``transaction`` stands for the state, and for the characteristics
    unless those are off.
    """

    __slots__ = (
        "_without_lone_schema",
        "_without_state_change",
        "_without_stray_schema",
        "characteristics",
        "gtids",
        "is_everything",
        "lone_schema",
        "schema",
        "schema_with_state",
        "state_change",
        "transaction",
        "variables",
    )

    def __init__(
        self,
        variables: frozenset[bytes],
        schema: bool,
        state_change: bool,
        transaction: bool,
        gtids: bool,
        characteristics: bool = True,
        lone_schema: bool = True,
        schema_with_state: bool = False,
        is_everything: bool = False,
    ) -> None:
        self.variables: frozenset[bytes] = variables
        self.schema: bool = schema
        self.state_change: bool = state_change
        self.transaction: bool = transaction
        self.gtids: bool = gtids
        self.characteristics: bool = transaction and characteristics
        # whether the schema is told when nothing else is that the client has asked for, although the server tells more
        self.lone_schema: bool = lone_schema
        # or then, too, when that is only that the state has changed, as it does with the schema
        self.schema_with_state: bool = schema_with_state
        # whether it is for a client whose own choice the server connection tracks
        self.is_everything: bool = is_everything
        self._without_lone_schema: TrackFilter | None = None
        self._without_state_change: TrackFilter | None = None
        self._without_stray_schema: TrackFilter | None = None

    def without_lone_schema(self) -> TrackFilter:
        """The same for a statement that leaves the schema. MariaDB may tell it, as it was: where it has chosen another inside, and back, it
        does so with whatever it has to tell next."""
        if self._without_lone_schema is None:
            self._without_lone_schema = self._like(self.state_change, False, False)
        return self._without_lone_schema

    def without_stray_schema(self) -> TrackFilter:
        """The same for one that changes nothing in the session by itself, but may have chosen another schema inside."""
        if self._without_stray_schema is None:
            self._without_stray_schema = self._like(self.state_change, False, True)
        return self._without_stray_schema

    def without_state_change(self) -> TrackFilter:
        """The same for what servers do not call a change of the session."""
        if self._without_state_change is None:
            self._without_state_change = self._like(False, self.lone_schema, self.schema_with_state)
        return self._without_state_change

    def _like(self, state_change: bool, lone_schema: bool, schema_with_state: bool) -> TrackFilter:
        return TrackFilter(
            self.variables,
            self.schema,
            state_change,
            self.transaction,
            self.gtids,
            self.characteristics,
            lone_schema,
            schema_with_state,
            self.is_everything,
        )

    def is_any(self) -> bool:
        """Whether the client tracks anything."""
        return bool(self.variables) or self.schema or self.state_change or self.transaction or self.gtids

    def passes(self, kind: int, content: bytes) -> bool:
        """Whether the client is to be sent this entry of a session-track block."""
        if kind == _SYSTEM_VARIABLES:
            if _ANY_VARIABLE in self.variables:
                return True
            return any([name.lower() in self.variables for name, _ in split_variables(content)])
        if kind == _SCHEMA:
            return self.schema
        if kind == _STATE_CHANGE:
            return self.state_change
        if kind == _GTIDS:
            return self.gtids
        if kind == _TRANSACTION_CHARACTERISTICS:
            return self.characteristics
        return self.transaction and kind == _TRANSACTION_STATE

    def tells(self, block: bytes) -> bool:
        """Whether an OK has SESSION_STATE_CHANGED though nothing of its block passes: where only the state of transactions is tracked,
        both servers say so of their characteristics."""
        return (
            self.transaction
            and not self.characteristics
            and any([kind == _TRANSACTION_CHARACTERISTICS for kind, _ in split_changes(block)])
        )


# What a server tells a session that set nothing: the default of session_track_system_variables, which is the same
# on MySQL and MariaDB, and session_track_schema=ON.
DEFAULT_TRACK_FILTER: Final = TrackFilter(
    frozenset(
        [
            b"time_zone",
            b"autocommit",
            b"character_set_client",
            b"character_set_results",
            b"character_set_connection",
        ]
    ),
    schema=True,
    state_change=False,
    transaction=False,
    gtids=False,
)


class Debt:
    """What a client has yet to be told."""

    __slots__ = ("ended", "is_late")

    def __init__(self) -> None:
        # the answer under way has something of it to tell, whatever else it tells
        self.is_late: bool = False
        # entries about the end of a transaction that was ended unseen
        self.ended: tuple[tuple[int, bytes], ...] = ()

    def transaction_ended(self, track: TrackFilter) -> None:
        """The client's transaction was ended by a command that it does not see: the next OK tells, as if its statement had done that."""
        if track.transaction:
            self.ended = _ENDED if track.characteristics else _ENDED[:1]

    def with_end(self, passing: bytes, is_told: bool) -> tuple[bytes, bool]:
        """What `told` returns, and the end of the transaction, where that says nothing of one."""
        kinds = [kind for kind, _ in split_changes(passing)]
        entries = [_entry(kind, content) for kind, content in self.ended if kind not in kinds]
        is_told = is_told or self.ended != ()
        # another OK of the same answer has nothing of it
        self.ended, self.is_late = (), False
        return passing + b"".join(entries), is_told

    def note(self, block: bytes, track: TrackFilter | None) -> None:
        """A client that tracks as this says was told nothing of the block."""

    def asked(self, changes: SessionChanges) -> None:
        """A command that was not the client's was told this, on its lease."""

    def told(
        self, block: bytes, status: int, passing: bytes, is_told: bool, track: TrackFilter
    ) -> tuple[bytes, bool]:
        """What it is told with an OK of this block and these status flags, of which that passes, and whether the OK says that the session
        has changed."""
        raise NotImplementedError


class SchemaDebt(Debt):
    """The schema that MariaDB has yet to tell a client, unchanged: what has chosen another inside, and back (a view, trigger or function of
    another schema), and could not say so, because its answer ended in an EOF, is told with the next thing that is told."""

    __slots__ = ("is_doubtful", "is_due", "is_single", "may_grow", "schema")

    def __init__(self) -> None:
        super().__init__()
        self.is_due: bool = False
        # the server may have a schema to tell that the client would not be told: we have prepared a statement for it again
        self.is_doubtful: bool = False
        # of the command under way: whether it is one statement, which tells it with its own next OK
        self.is_single: bool = False
        # whether it may have done that, and the schema that it finds
        self.may_grow: bool = False
        self.schema: bytes = b""

    def note(self, block: bytes, track: TrackFilter | None) -> None:
        """A client that tracks as this says was told nothing of the block."""
        if self.may_grow and track is not None and track.schema and _has_schema(split_changes(block)):
            self.is_due = self.is_due or not self.is_doubtful
            self.is_doubtful = False
            self.is_late = self.is_due and self.is_single

    def told(
        self, block: bytes, status: int, passing: bytes, is_told: bool, track: TrackFilter
    ) -> tuple[bytes, bool]:
        if is_told or self.is_late:
            return self.pay(passing), True
        self.note(block, track)
        return b"", False

    def pay(self, told: bytes) -> bytes:
        """The client is told this block: with the schema, if that is due."""
        if not self.is_due:
            return told
        self.is_due = self.is_late = False
        return _merged(told, ((_SCHEMA, lenenc_bytes(self.schema)),))


class NextOkDebt(Debt):
    """What MySQL tells with the next OK, which need not be of the statement that it is about. (MySQL 9.7, tried; the manual has nothing of it.)

    - The schema, unchanged, when a routine, trigger or view of another schema has run, or was prepared, or a statement that was prepared in
      another one, and the answer was an error, or ended in an EOF.
    - Whatever else has changed in front of an EOF.
    - Of transactions, to a client that tracks anything, but session_track_transaction_info is OFF: that one has begun by a statement, and that
      this one has ended; or, when another just like it takes its place, that something has changed.
    """

    __slots__ = ("is_due", "is_ending", "is_over", "is_unseen", "schema", "state", "tracks_schema", "untold")

    def __init__(self) -> None:
        super().__init__()
        # a schema is to be told, if the client tracks it: that which the command under way finds
        self.is_due: bool = False
        self.schema: bytes = b""
        self.tracks_schema: bool = False
        # entries that the client tracks, and was not told
        self.untold: tuple[tuple[int, bytes], ...] = ()
        # the state of the transaction that the client was told last
        self.state: bytes = _NO_STATE
        # what runs now ends the state, if it succeeds, although the transaction goes on: only asked for where the end is not told
        self.is_ending: bool = False
        # what has failed has ended the state, as a command of ours was told, or one whose answer ended in an EOF
        self.is_over: bool = False
        # the server does not tell us the end: what it tracks was changed since
        self.is_unseen: bool = False

    def begin(self, is_in_transaction: bool, track: TrackFilter, schema: bytes | None) -> None:
        """A command begins. An error may have ended the transaction, which the next OK tells. ``schema``: the session's."""
        if not track.is_everything:
            self.tracks_schema = track.schema
        self.schema = schema or b""
        self.is_late = self._owes()
        if self.state != _NO_STATE:
            self.is_unseen = self.is_unseen or track.is_everything
            self.is_late = self.is_late or self.is_unseen or self.is_over or not is_in_transaction

    def _owes(self) -> bool:
        return self.is_due or self.untold != () or self.ended != ()

    def note(self, block: bytes, track: TrackFilter | None) -> None:
        """A client that tracks as this says was told nothing of the block."""
        if track is None or not block:
            return
        changes = parse_changes(block)
        self.asked(changes)
        passing = split_changes(filter_changes(block, track))
        self.untold += tuple([(kind, text) for kind, text in passing if kind in _VARIABLES_AND_STATE])
        said = changes.transaction_characteristics or b""
        if not track.transaction and track.is_any() and _BEGINS.search(said) is not None:
            self.state = _begun_state(said)
            self.is_over = False
            self.untold += ((_TRANSACTION_STATE, lenenc_bytes(self.state)),)
        # the next OK may be one of this answer
        self.is_late = self.is_late or self.is_over or self._owes()

    def asked(self, changes: SessionChanges) -> None:
        if changes.schema is not None:
            self.schema = changes.schema
            self.is_due = self.tracks_schema
        if self.state != _NO_STATE and not self.is_unseen and changes.transaction_state is not None:
            self.is_over = changes.transaction_state[:1] != b"T"

    def told(
        self, block: bytes, status: int, passing: bytes, is_told: bool, track: TrackFilter
    ) -> tuple[bytes, bool]:
        if not track.is_everything and not track.transaction and track.is_any():
            passing, is_told = self._told_of_transactions(block, status, passing, is_told)
        if self.is_due:
            self.is_due = False
            self.untold += ((_SCHEMA, lenenc_bytes(self.schema)),)
        if self.untold:
            passing, is_told = _merged(passing, self.untold), True
            self.untold = ()
        return passing, is_told

    def _told_of_transactions(
        self, block: bytes, status: int, passing: bytes, is_told: bool
    ) -> tuple[bytes, bool]:
        entries = split_changes(block)
        said = b"".join([text for kind, text in entries if kind == _TRANSACTION_CHARACTERISTICS])
        if _BEGINS.search(said) is not None:
            state = _begun_state(said)
        elif (
            not status & _IN_TRANS
            or self.is_ending
            or self.is_over
            or any([kind == _TRANSACTION_STATE and text[1:2] != b"T" for kind, text in entries])
        ):
            # CREATE and DROP TEMPORARY TABLE end it by what they say, and leave the bit
            state = _NO_STATE
            if self.state == state:
                return passing, is_told
        else:
            return passing, is_told
        self.is_late = self.is_unseen = self.is_ending = self.is_over = False
        if state != self.state:
            self.state = state
            passing += _entry(_TRANSACTION_STATE, lenenc_bytes(state))
        return passing, True


def _begun_state(said: bytes) -> bytes:
    return _SNAPSHOT_STATE if _SNAPSHOT in said else _BEGUN_STATE


def _merged(told: bytes, late: tuple[tuple[int, bytes], ...]) -> bytes:
    """A block with these entries, too, where it has none of the same."""
    entries = split_changes(told)
    known = [_subject(kind, content) for kind, content in entries]
    for kind, content in reversed(late):
        subject = _subject(kind, content)
        if subject not in known:
            known.append(subject)
            entries.append((kind, content))
    in_order = [entry for kind in range(_TRANSACTION_STATE + 1) for entry in entries if entry[0] == kind]
    return b"".join([_entry(kind, content) for kind, content in in_order])


def _subject(kind: int, content: bytes) -> tuple[int, bytes]:
    """What an entry is about."""
    return kind, read_lenenc_bytes(content, 0)[0] if kind == _SYSTEM_VARIABLES else b""


def _has_schema(entries: list[tuple[int, bytes]]) -> bool:
    return any([kind == _SCHEMA for kind, _ in entries])


# For a client whose own choice the server connection tracks.
EVERYTHING: Final = TrackFilter(
    frozenset([_ANY_VARIABLE]),
    schema=True,
    state_change=True,
    transaction=True,
    gtids=True,
    is_everything=True,
)
EVERYTHING_BUT_GTIDS: Final = TrackFilter(
    frozenset([_ANY_VARIABLE]),
    schema=True,
    state_change=True,
    transaction=True,
    gtids=False,
    is_everything=True,
)


def filter_changes(block: bytes, track: TrackFilter) -> bytes:
    """The entries of a session-track block that pass; empty when none does."""
    entries = split_changes(block)
    passing = [(kind, content) for kind, content in entries if track.passes(kind, content)]
    if (
        not track.lone_schema
        and len(passing) < len(entries)
        and all([kind == _SCHEMA for kind, _ in passing])
        and not (track.schema_with_state and all([kind in _SCHEMA_AND_STATE for kind, _ in entries]))
    ):
        return b""
    return b"".join([bytes([kind]) + lenenc_bytes(content) for kind, content in passing])


def translated_changes(
    block: bytes, status: int, track: TrackFilter, debt: Debt | None
) -> tuple[bytes, bool]:
    """What the client is told of an OK with this block and these status flags, and whether its OK says that the session has changed."""
    passing = filter_changes(block, track)
    is_told = bool(passing) or track.tells(block)
    if debt is None:
        return passing, is_told
    passing, is_told = debt.told(block, status, passing, is_told, track)
    return debt.with_end(passing, is_told) if debt.ended else (passing, is_told)
