"""A session's lease is lost: what becomes of the command that ran there, and of the session. A function on a `Frontend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy import bouncing, demotion, idling, placing, renewing
from proxy.demotion import OF_TRANSACTION, forget_transaction
from proxy.effects import words_of
from proxy.endings import only_commits
from proxy.lexer import tokenize
from proxy.reads import PROVED
from proxy.reasons import CloseReason
from proxy.replies import deadlock, lost
from proxy.statement import MULTI
from proxy.states import BEFORE_COMMAND, BEGINNING, BETWEEN_COMMANDS, HOLDING, RELAYING, RESETTING
from proxy.topology_actions import Signal

if TYPE_CHECKING:
    from proxy.backend import Backend
    from proxy.frontend import Frontend

_UNANSWERED: Final = BEFORE_COMMAND | {BEGINNING, RELAYING, RESETTING}
COM_QUERY: Final = 0x03
COM_PING: Final = 0x0E
COM_STMT_PREPARE: Final = 0x16
COM_STMT_EXECUTE: Final = 0x17
_WITHOUT_EFFECT: Final = (COM_PING, COM_STMT_PREPARE)
_DML: Final = (b"select", b"insert", b"update", b"delete", b"replace", b"with", b"values", b"table")
_LONGEST_START: Final = 256
_IN_TRANS: Final = 1
_SHUTDOWN: Final = bouncing.SHUTDOWN.to_bytes(2, "little")
OPEN_TRIES: Final = 3
"""Backends tried for one command when each turns out to be dead before the command was sent."""


def backend_lost(frontend: Frontend, cause: str) -> None:
    """The connection is gone, or what came was not the protocol."""
    state = frontend.state
    was_held = frontend.is_held()
    if was_held and renewing.begins_anew(frontend, state):
        return
    if was_held and _is_rolled_back(frontend, state):
        _roll_back(frontend, state)
        return
    frontend.discard(CloseReason.LOST)
    if (state in BEFORE_COMMAND and not was_held and frontend.tries < OPEN_TRIES) or bouncing.runs_again(
        frontend, state, was_held
    ):
        # the command itself was not sent, or is a read: another backend can run it
        frontend.tries += 1
        frontend.run_elsewhere()
        return
    if frontend.placement is not None and state == RELAYING:
        placing.note_loss(frontend, frontend.placement)
    if state in _UNANSWERED and not frontend.is_relayed:
        frontend.send_failure(lost(cause, was_held))
    if was_held or (state == RELAYING and frontend.is_relayed):
        # what the session had on that connection is gone, or half an answer was sent: as a direct connection would
        _close(frontend, state)
        return
    frontend.start_waiting_commands()


def told_unasked(frontend: Frontend, chunk: bytes) -> None:
    """4031, 1053 and the like, before the server closes."""
    if frontend.state != HOLDING or chunk[4:5] != b"\xff":
        return
    if chunk[5:7] == _SHUTDOWN and (
        renewing.begins_anew(frontend, HOLDING) or _is_rolled_back(frontend, HOLDING)
    ):
        return
    frontend.send(chunk)
    frontend.discard(CloseReason.LOST)
    _close(frontend, HOLDING)


def shut_down(frontend: Frontend, backend: Backend) -> bool:
    """The server answers a command with 1053, before it closes. What could run again where the connection had ended, does. True: its client is not
    told."""
    knows, placement = frontend.shared.placing, frontend.placement
    if knows is None or placement is None:
        return False
    record = placing.record_of_command(frontend, knows)
    if not record.is_read() and not (
        renewing.is_for_reads(frontend, placement) and only_commits(record.text)
    ):
        return False
    _give_up(frontend, backend)
    return True


def ours_shut_down(frontend: Frontend, backend: Backend) -> bool:
    """A command of ours, in front of the client's, was refused: whether with 1053. Then it is as if the server had gone."""
    if backend.tracker.error_code != bouncing.SHUTDOWN or frontend.state not in BEFORE_COMMAND:
        return False
    _give_up(frontend, backend)
    return True


def _give_up(frontend: Frontend, backend: Backend) -> None:
    if frontend.placement is None or frontend.placement.reader is None:
        demotion.suspect(frontend, Signal.SHUTDOWN)
    backend.give_up("the server shuts down")


def _close(frontend: Frontend, state: int) -> None:
    if state == HOLDING and frontend.shared.facts.is_mariadb:
        idling.reset_at_close(frontend)
    frontend.close(CloseReason.BACKEND_LOST)


# Transactions that can be begun again


def _is_rolled_back(frontend: Frontend, state: int) -> bool:
    """Whether the session had no more on the connection than a transaction that has certainly not been committed, and may be told so."""
    cluster, session = frontend.shared.cluster, frontend.session
    if cluster is None or not cluster.is_known or not cluster.tells_deadlock or frontend.placement is None:
        return False
    if not session.status & _IN_TRANS or session.pinned & ~OF_TRANSACTION:
        return False
    if state in BETWEEN_COMMANDS or state in BEFORE_COMMAND:
        return True
    return state == RELAYING and not frontend.is_relayed and _commits_nothing(frontend)


def _commits_nothing(frontend: Frontend) -> bool:
    """Whether the command that was sent leaves the transaction open, whatever has become of it."""
    knows = frontend.shared.placing
    if knows is None or frontend.command not in (COM_QUERY, COM_STMT_EXECUTE):
        return frontend.command in _WITHOUT_EFFECT
    record = placing.record_of_command(frontend, knows)
    if record.facts.proof == PROVED:
        return True
    if frontend.command == COM_QUERY and frontend.statement.flags & MULTI:
        return False
    text = record.text
    words = words_of(tokenize(text, 0, min(len(text), _LONGEST_START), frontend.session.lexing, True))
    return bool(words) and words[0] in _DML


def _roll_back(frontend: Frontend, state: int) -> None:
    """The client is told at once, or with its next command when none runs."""
    placement = frontend.placement
    assert placement is not None
    is_for_reads = renewing.is_for_reads(frontend, placement)
    frontend.discard(CloseReason.LOST)
    forget_transaction(frontend)
    if state in BETWEEN_COMMANDS:
        placement.owes_deadlock = True
        placement.has_read_only = is_for_reads
    else:
        frontend.send_failure(deadlock())
    frontend.start_waiting_commands()
