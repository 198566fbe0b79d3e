"""What clients of the reader listener may do on the writer: nothing that could write. Functions on a `Lessee`.

A read for which no reader is near enough runs on the writer (`placing`), and so does a transaction that begins then. The lease goes on, so what follows
is looked at here: on a reader the server would refuse a write, and the writer would not. The same where the reader that a session holds
has become the writer.

By the text, as `placement` knows it, and not by a READ ONLY transaction: DDL ends such a one and is done, and a BEGIN in it may write. Within one the
server itself keeps queries from writing, whatever functions they call.
Limit: a view whose function writes does so where a read of it falls back on the writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.effects import words_of
from proxy.lexer import tokenize
from proxy.placement import TextRecord
from proxy.placing import record_of_command
from proxy.replies import not_on_writer, read_only_transaction
from proxy.statement import IS_CONDITIONAL, MULTI, Statement

if TYPE_CHECKING:
    from proxy.lessee import Lessee
    from proxy.placing import Placing

_TEXTS: Final = (0x03, 0x17)
"""COM_QUERY, COM_STMT_EXECUTE."""
_IN_TRANS_READONLY: Final = 0x2000
_OF_TRANSACTION: Final = frozenset([b"savepoint", b"release", b"rollback"])
_QUERIES: Final = frozenset([b"select", b"with", b"values", b"table"])
_MOST_TOKENS: Final = 8


def refuses(lessee: Lessee, placing: Placing) -> bool:
    """Whether the command, which comes on a lease, may write there and must not: it has been answered then."""
    if lessee.endpoint not in lessee.shared.writers or lessee.command not in _TEXTS:
        return False
    is_read_only = lessee.session.status & _IN_TRANS_READONLY != 0
    if _is_harmless(
        record_of_command(lessee, placing), lessee.statement, is_read_only, lessee.session.lexing
    ):
        return False
    is_mariadb = lessee.shared.facts.is_mariadb
    lessee.send_failure(read_only_transaction(is_mariadb) if is_read_only else not_on_writer())
    return True


def _is_harmless(record: TextRecord, statement: Statement, is_read_only: bool, lexing: int) -> bool:
    """Whether it cannot write. ``is_read_only``: the transaction is."""
    if record.is_read():
        return True
    if statement.flags & (MULTI | IS_CONDITIONAL):
        return False
    if not record.writes:
        return True
    words = words_of(tokenize(record.text, 0, len(record.text), lexing, False, _MOST_TOKENS))
    return words != [] and (words[0] in _OF_TRANSACTION or (is_read_only and words[0] in _QUERIES))
