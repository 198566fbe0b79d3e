"""LAST_INSERT_ID() that is read unseen, by views and triggers: before which statements the insert id is put back. Functions on a `Lessee`.

A session whose insert id was captured finds 0 on its next backend. Statements that ask for it get it back first; what a view or trigger
asks for does not show in the text that uses it. So the first time that a session has such an insert id, it asks its new backend
which views, and which tables by their triggers, lead to a definition that mentions it. A statement with one of these names gets the insert
id back. Mostly there are none. (Defaults, generated columns and checks may not use the function, on either server.)

What was learnt is good for `LIFETIME`, and until somebody changes such a definition through Fanin. Definitions that the user may not see
count as if they mentioned it, as far as the server shows that they are there. Limit: triggers on tables for which the user has not the TRIGGER
privilege are not shown at all, and what is changed past Fanin is noticed late.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.backend import Backend
from proxy.clearing import FORGETS
from proxy.conditions import INSERT_ID
from proxy.residue import insert_id_command
from proxy.results import text_rows
from proxy.statement import USES_NO_TABLE

if TYPE_CHECKING:
    from proxy.lessee import Lessee
    from proxy.session import SessionState

LIFETIME: Final = 600.0
"""Seconds. Asking costs milliseconds, on MariaDB more with thousands of tables."""
MOST_NAMES: Final = 100
_COM_QUERY: Final = 0x03
_COM_STMT_EXECUTE: Final = 0x17
_MENTIONS: Final = b"last_insert_id|@@[^ ,;)]*identity"
_NAME: Final = re.compile(rb"[ !-&(-Z_a-~]+\Z")
_IN_BRACKETS: Final = re.compile(rb"[^A-Za-z0-9_]")
_QUESTION: Final = (
    b"\x03SELECT HEX(CONVERT(ROUTINE_NAME USING utf8mb4)) FROM information_schema.ROUTINES WHERE %s"
    b" AND (ROUTINE_DEFINITION IS NULL OR ROUTINE_DEFINITION='' OR ROUTINE_DEFINITION REGEXP %s)"
    b" UNION SELECT HEX(CONVERT(TABLE_NAME USING utf8mb4)) FROM information_schema.VIEWS WHERE %s"
    b" AND (VIEW_DEFINITION='' OR VIEW_DEFINITION REGEXP %s)"
    b" UNION SELECT HEX(CONVERT(EVENT_OBJECT_TABLE USING utf8mb4)) FROM information_schema.TRIGGERS WHERE %s"
    b" AND ACTION_STATEMENT REGEXP %s LIMIT %d"
)
_OF_USERS: Final = b"%s NOT IN (_utf8mb4'mysql',_utf8mb4'sys')"
_END: Final = b"\x03ROLLBACK AND NO CHAIN NO RELEASE"
"""With autocommit off the question may have begun a transaction."""


class Survey:
    """What one user may see of these definitions."""

    __slots__ = ("known_at", "names", "pattern")

    def __init__(self) -> None:
        # when it was complete; 0: it is not
        self.known_at: float = 0.0
        # of tables, views and routines; None: there may be others, so that any statement may read it
        self.names: frozenset[bytes] | None = frozenset()
        # finds them in a text; None: there are none
        self.pattern: re.Pattern[bytes] | None = None

    def learn(self, names: list[bytes], now: float) -> bool:
        """These were found. True: nothing new, so that the survey is complete; else there may be more that lead to these."""
        if self.names is None or self.names.issuperset(names):
            self.known_at = now
            return True
        self.names = self.names.union(names)
        if len(self.names) > MOST_NAMES or not all([_NAME.match(name) for name in self.names]):
            self.give_up(now)
            return True
        words = b"|".join([re.escape(name) for name in sorted(self.names)])
        self.pattern = re.compile(rb"(?<![\w$])(?:" + words + rb")(?![\w$])", re.IGNORECASE)
        return False

    def give_up(self, now: float) -> None:
        """It cannot be known."""
        self.names = None
        self.known_at = now

    def may_read(self, text: bytes) -> bool:
        """Whether a statement with this text may read the insert id unseen."""
        if self.names is None or not self.known_at:
            return True
        return self.pattern is not None and self.pattern.search(text) is not None

    def commands(self) -> list[bytes]:
        """Payloads that ask: first what mentions the insert id, then also what mentions that."""
        mentions = [_MENTIONS, *[_IN_BRACKETS.sub(rb"[\g<0>]", name) for name in sorted(self.names or ())]]
        wanted = b"_utf8mb4'" + b"|".join(mentions) + b"' COLLATE utf8mb4_general_ci"
        schemas = [_OF_USERS % name for name in (b"ROUTINE_SCHEMA", b"TABLE_SCHEMA", b"EVENT_OBJECT_SCHEMA")]
        question = _QUESTION % (schemas[0], wanted, schemas[1], wanted, schemas[2], wanted, MOST_NAMES + 1)
        return [question, FORGETS, _END]


def asks_first(lessee: Lessee, backend: Backend) -> bool:
    """The lease has begun, and nothing of the session is on it: ask, if it matters and is not known. True: the command waits for that."""
    session = lessee.session
    if session.native or session.residue or session.is_held() or not lessee.shared.surveys_definitions:
        return False
    survey, now = _survey_of(lessee), lessee.shared.now
    if survey is not None and survey.known_at and now - survey.known_at < LIFETIME:
        return False
    if survey is None or survey.known_at:
        survey = lessee.shared.surveys[_key_of(lessee)] = Survey()
    lessee.survey(backend, survey.commands())
    return True


def answered(lessee: Lessee, backend: Backend, is_failed: bool) -> None:
    """The answer. There may be more to ask, or the command can go on."""
    answers = backend.answers or []
    backend.answers = None
    survey = _survey_of(lessee)
    if survey is not None and is_failed:
        survey.give_up(lessee.shared.now)
    elif survey is not None:
        names = [
            bytes.fromhex((row[0] or b"").replace(b"\0", b"").decode("ascii"))
            for row in text_rows(answers[0])
        ]
        if not survey.learn(names, lessee.shared.now):
            lessee.survey(backend, survey.commands())
            return
    lessee.prepare(backend)


def reads(lessee: Lessee) -> bool:
    """Whether the command may read the insert id unseen, and would find another's, or none."""
    if lessee.session.native & INSERT_ID or lessee.endpoint is None or not lessee.shared.surveys_definitions:
        return False
    if lessee.statement.flags & USES_NO_TABLE:
        return False
    text = b""
    if lessee.command == _COM_QUERY:
        text = lessee.wire
    elif lessee.command == _COM_STMT_EXECUTE and lessee.executing is not None:
        text = lessee.executing.own.text
    survey = _survey_of(lessee)
    return text != b"" and (survey is None or survey.may_read(text))


def _key_of(lessee: Lessee) -> tuple[str, bytes]:
    endpoint = lessee.endpoint
    assert endpoint is not None
    return endpoint.name, lessee.identity.credential.user


def _survey_of(lessee: Lessee) -> Survey | None:
    return lessee.shared.surveys.get(_key_of(lessee))


def restore(session: SessionState) -> bytes:
    """The payload that puts it back."""
    command = insert_id_command(session.insert_id, may_be_newer=session.residue & INSERT_ID != 0)
    session.residue |= INSERT_ID  # so that no session after this one finds it
    session.native = INSERT_ID
    return command
