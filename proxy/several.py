"""Several statements in one text, of which the first asks for warnings that are on no backend any more: functions on a `Frontend`.

Nothing can be written into SHOW WARNINGS, so the client gets its answer from here, with the flag that more results follow, and the
server gets the rest of the text. The packets of its answer count on from those of ours.

References: MySQL documentation, "Multi-Statement", "Sequence ID".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.framing import frame, payload_of
from proxy import telling
from proxy.endpoint import COM_QUERY
from proxy.lexer import SYMBOL, tokenize
from proxy.results import packets
from proxy.statement import GETS_DIAGNOSTICS, IS_CONDITIONAL, MULTI, READS_DIAGNOSTICS, Question, Statement

if TYPE_CHECKING:
    from proxy.frontend import Frontend

_MORE_RESULTS: Final = 0x0008
_ASKING: Final = frozenset(
    [Question.SHOW_WARNINGS, Question.SHOW_ERRORS, Question.COUNT_WARNINGS, Question.COUNT_ERRORS]
)


def answer_first(frontend: Frontend, statement: Statement, text: bytes, sent: int = 0) -> bool:
    """Answer what stands in front of the text, and run the rest; False when the server has to run all of it. ``sent``: packets of the
    answer that the client has got."""
    if statement.flags & (MULTI | READS_DIAGNOSTICS | IS_CONDITIONAL) != MULTI | READS_DIAGNOSTICS:
        return False
    session, statements = frontend.session, frontend.shared.statements
    if not session.vector.multi_statements:
        # the server refuses all of it
        return False
    tokens = tokenize(text, 0, len(text), session.lexing, False)
    border = next((token for token in tokens if token.kind == SYMBOL and token.text == b";"), None)
    if border is None:
        return False
    first = statements.lookup(frame(COM_QUERY + text[: border.start]), session.lexing)
    rest = text[border.end :]
    following = statements.lookup(frame(COM_QUERY + rest), session.lexing)
    if first.question not in _ASKING or _needs_more(following):
        return False
    status = session.status
    session.status |= _MORE_RESULTS
    answer = _answer(frontend, first)
    session.status = status
    if answer is None:
        return False
    telling.send(frontend, _renumbered(answer, sent))
    _run(frontend, following, rest, sent + len(packets(answer)))
    return True


def go_on(frontend: Frontend, wire: bytes, statement: Statement) -> bool:
    """Answer, or run, a text that is the rest of one of which the front was answered."""
    _run(frontend, statement, payload_of(wire)[1:], wire[3])
    return True


def _needs_more(statement: Statement) -> bool:
    """Whether it cannot simply be run, or answered."""
    is_dealt_with_here = statement.kill is not None or statement.executes or statement.inner is not None
    return bool(is_dealt_with_here or statement.flags & GETS_DIAGNOSTICS or statement.kept)


def _answer(frontend: Frontend, statement: Statement) -> bytes | None:
    deprecate_eof = frontend.client_deprecate_eof
    session = frontend.session
    return session.answer(statement, False, frontend.connection_id, deprecate_eof, session.is_mariadb)


def _run(frontend: Frontend, statement: Statement, text: bytes, sent: int) -> None:
    if answer_first(frontend, statement, text, sent):
        return
    answer = _answer(frontend, statement)
    if answer is not None:
        telling.send(frontend, _renumbered(answer, sent))
        return
    frontend.statement = statement
    written = frontend.session.rewritten(statement, frame(COM_QUERY + text))
    # the answer to a command counts on from its last packet
    frontend.execute(frame(payload_of(written), sent))


def _renumbered(answer: bytes, sent: int) -> bytes:
    if not sent:
        return answer
    return b"".join([frame(payload, sent + number) for number, payload in enumerate(packets(answer), 1)])
