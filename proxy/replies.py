"""Errors that Fanin itself reports to clients: one table from what went wrong to the ERR packet. Pure.

The code is the one that MySQL itself would use (MySQL documentation, "Server Error Message Reference"), the text says which limit
it was, who holds it and what to do. Nothing here may contain a secret or a statement's text.
"""

from __future__ import annotations

from typing import Final

from protocol.constants import SQLSTATE, ErrorCode
from protocol.framing import frame
from protocol.packets import build_eof, build_err, build_ok
from protocol.response import ResponseTracker
from proxy.pool_actions import (
    OF_DATABASE,
    OF_SERVER,
    OF_USER,
    AcquireTimeout,
    Limit,
    OpenFailed,
    PoolClosed,
    PoolDraining,
    Shed,
)

PREFIX: Final = "Fanin: "
CLIENT_INTERACTION_TIMEOUT: Final = 4031
ABORTED: Final = 1184
BY_HINT: Final = f" ({PREFIX}the transaction runs on a reader because of its hint)"
"""Added to a server's message that it takes no writes."""
GONE: Final = "GET DIAGNOSTICS is about a statement whose server connection has gone to another session; use a transaction around both, or write the condition's number as a literal"


class Failure(Exception):
    """An error with its MySQL code, on its way to a client. `is_credential`: the server refused the password (1045 and the like);
    `is_limit`: the server takes no more connections (1040, 1203, 1226)."""

    def __init__(self, code: int, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.sqlstate = sqlstate or SQLSTATE.get(code, "HY000")

    @property
    def is_credential(self) -> bool:
        """The server does not accept the password; another one may be right."""
        return self.code in _CREDENTIAL_CODES

    @property
    def is_limit(self) -> bool:
        """The server is full, for everybody or for this user."""
        return self.code in _LIMIT_CODES

    @property
    def is_users(self) -> bool:
        """This user has as many connections as the server lets it have."""
        return self.code in _USER_CODES

    @property
    def is_refusal(self) -> bool:
        """The server answered and said no to this login: it is up, and asking again changes nothing."""
        return self.code in _REFUSAL_CODES

    def wire_before_greeting(self) -> bytes:
        """The ERR packet in place of a greeting: without an SQLSTATE ("ERR_Packet")."""
        return frame(build_err(self.code, b"", self.message.encode(), before_handshake=True))

    def wire(self, sequence_id: int) -> bytes:
        """The ERR packet."""
        return frame(build_err(self.code, self.sqlstate.encode(), self.message.encode()), sequence_id)


_CREDENTIAL_CODES: Final = frozenset(
    {
        ErrorCode.ACCESS_DENIED_ERROR,
        ErrorCode.ACCESS_DENIED_NO_PASSWORD_ERROR,
        1820,
        1862,
        3118,
        4151,
        2059,
        2061,
    }
)
SCHEMA_CODES: Final = frozenset({ErrorCode.DBACCESS_DENIED_ERROR, ErrorCode.BAD_DB_ERROR})
"""The schema does not exist (any more), or is not this user's."""
_USER_CODES: Final = frozenset({ErrorCode.TOO_MANY_USER_CONNECTIONS, ErrorCode.USER_LIMIT_REACHED})
_LIMIT_CODES: Final = _USER_CODES | {ErrorCode.CON_COUNT_ERROR, 1135}
_REFUSAL_CODES: Final = _CREDENTIAL_CODES | {
    # init_connect failed
    ABORTED,
    ErrorCode.DBACCESS_DENIED_ERROR,
    ErrorCode.BAD_DB_ERROR,
    ErrorCode.HOST_NOT_PRIVILEGED,
    ErrorCode.SECURE_TRANSPORT_REQUIRED,
}


def access_denied(user: bytes, host: str, has_password: bool, hint: str = "") -> Failure:
    """1045 in MySQL's own words; `hint` says what to configure where nothing the client can do would help."""
    using = "YES" if has_password else "NO"
    text = f"Access denied for user '{user.decode('utf-8', 'replace')}'@'{host}' (using password: {using})"
    return Failure(ErrorCode.ACCESS_DENIED_ERROR, f"{text}. {hint}" if hint else text)


def refused_by_server(tracker: ResponseTracker) -> Failure:
    """The server's own error, on its way to the client that it is meant for."""
    state = tracker.error_sqlstate.decode("ascii", "replace")
    return Failure(tracker.error_code, tracker.error_message.decode("utf-8", "replace"), state)


def too_many_clients() -> Failure:
    """1040: `limits.max_clients` is reached. MySQL's own text, so that clients know it."""
    return Failure(ErrorCode.CON_COUNT_ERROR, "Too many connections")


def unknown_command() -> Failure:
    """1047 in MySQL's own words."""
    return Failure(ErrorCode.UNKNOWN_COM_ERROR, "Unknown command")


def init_connect_failed(connection_id: int, schema: bytes | None, user: str, host: str) -> Failure:
    """1184: the server's init_connect could not be run for a client. The server's own text."""
    database = "unconnected" if schema is None else schema.decode("utf-8", "replace")
    return Failure(
        ABORTED,
        f"Aborted connection {connection_id} to db: '{database}' user: '{user}' host: '{host}' (init_connect command failed)",
        "08S01",
    )


def inactive() -> Failure:
    """4031: the client was idle for too long. MySQL's own text."""
    return Failure(
        CLIENT_INTERACTION_TIMEOUT,
        "The client was disconnected by the server because of inactivity."
        " See wait_timeout and interactive_timeout for configuring this behavior.",
    )


def idle_in_transaction(seconds: float) -> Failure:
    """4031: the client has left a transaction open, and done nothing."""
    return Failure(
        CLIENT_INTERACTION_TIMEOUT,
        f"The client was disconnected because of inactivity: idle in a transaction for {seconds:.0f} s, which was rolled back (Fanin,"
        " pool.idle_transaction_timeout)",
    )


def shutting_down() -> Failure:
    """1053: this proxy drains."""
    return Failure(ErrorCode.SERVER_SHUTDOWN, "Server shutdown in progress (Fanin is draining)")


def read_only_transaction(is_mariadb: bool = False) -> Failure:
    """1792 in the server's own words."""
    text = "Cannot execute statement in a READ ONLY transaction"
    return Failure(1792, text if is_mariadb else f"{text}.", "25006")


def several_end() -> Failure:
    """1235: nothing of a text has run whose statements might end a transaction on a reader, and then write."""
    text = "the transaction is on a reader, and which of several statements ends it is not known: send them one by one"
    return Failure(1235, f"{PREFIX}{text}", "42000")


def deadlock() -> Failure:
    """1213 in MySQL's own words: the transaction is rolled back, and may be begun again."""
    return Failure(
        ErrorCode.LOCK_DEADLOCK, "Deadlock found when trying to get lock; try restarting transaction", "40001"
    )


def lost(cause: str, was_held: bool) -> Failure:
    """The server connection ended while a statement ran and nothing of its answer had been sent."""
    tail = "; its transaction or pinned state is lost" if was_held else ""
    return Failure(
        ErrorCode.CR_SERVER_LOST,
        f"Lost connection to server during query ({PREFIX}{cause}). The statement may or may not have been executed{tail}",
        "HY000",
    )


def lost_before(what: str) -> Failure:
    """2013 for a statement that was not sent to any server: the connection that had what it needs has ended."""
    return Failure(
        ErrorCode.CR_SERVER_LOST,
        f"Lost connection to server before query ({PREFIX}{what}). The statement was not executed",
        "HY000",
    )


def not_movable(why: str) -> Failure:
    """1105: the session's state cannot be had on the server connection that it would need."""
    return Failure(
        ErrorCode.UNKNOWN_ERROR,
        f"{PREFIX}the session could not be moved to another server connection: {why}",
    )


def unreachable(endpoint: str, cause: str) -> Failure:
    """2003: no connection to the server can be had."""
    return Failure(
        ErrorCode.CR_CONN_HOST_ERROR, f"{PREFIX}can't connect to server {endpoint}: {cause}", "HY000"
    )


def no_reader(why: str, is_read: bool = True) -> Failure:
    """1040: no reader may have a read, and the writer must not, or not now. Or what is no read, which the writer must not have from who came for a
    reader."""
    what = "read" if is_read else "statement, which may write and came by the reader listener"
    return Failure(
        ErrorCode.CON_COUNT_ERROR,
        f"{PREFIX}no reader for this {what}: {why}. See routing.fallback, fallback_rate and max_lag",
    )


def not_on_writer() -> Failure:
    """1290, as from a reader: a client of the reader listener, whose session is on the writer, may not write there."""
    return Failure(
        1290,
        f"{PREFIX}this may write, and came by the reader listener, whose sessions are read-only; no reader was near enough, so that this one reads "
        "on the writer",
    )


def of_ticket(error: object, endpoint: str, holders: str, trouble: str = "") -> Failure:
    """What a client is told when its ticket was refused. `holders`: who has the pool, as `Endpoint.holders` words it. `trouble`: why the
    monitor cannot look at the server, if it does not answer."""
    if isinstance(error, OpenFailed):
        return _of_cause(error.error, endpoint)
    if isinstance(error, AcquireTimeout):
        if error.cause is not None:
            return _of_cause(error.cause, endpoint)
        if error.snapshot.state == "paused":
            return unreachable(endpoint, f"no server was the writer for {error.waited:.1f} s; see /state")
        return _of_timeout(error, endpoint, holders, trouble)
    if isinstance(error, Shed):
        which = "clients of the batch class that wait" if error.is_batch else "whoever waits"
        text = f"{PREFIX}too many wait for a server connection, so that {which} for longer than pool.shed_target are refused, as this one after "
        return Failure(ErrorCode.CON_COUNT_ERROR, f"{text}{error.waited:.1f} s: {holders}")
    if isinstance(error, (PoolDraining, PoolClosed)):
        return shutting_down()
    return Failure(ErrorCode.UNKNOWN_ERROR, f"{PREFIX}{error}")


def is_of_server(error: object) -> bool:
    """Whether a ticket was refused because no connection to the server can be opened, rather than because all are in use."""
    return isinstance(error, OpenFailed) or (isinstance(error, AcquireTimeout) and error.cause is not None)


def _of_timeout(error: AcquireTimeout, endpoint: str, holders: str, trouble: str) -> Failure:
    text = f"{PREFIX}no server connection became free within {error.waited:.1f} s: "
    if trouble:
        text += f"{endpoint} does not answer ({trouble}); {holders}. See /state"
    elif error.limit is not None:
        text += f"{_limit(error.limit)}; {holders}. Shorten transactions, raise that limit, or see /state for who pins"
    elif error.snapshot.is_held_back():
        text += f"{holders}. No more are opened at once than pool.connects_per_second says; see /state"
    elif error.snapshot.leased < error.snapshot.max_size:
        text += f"{holders}. The server is slow to open or reset connections; see /state"
    else:
        text += f"{holders}. Shorten transactions, raise pool.size, or see /state for who pins"
    return Failure(ErrorCode.CON_COUNT_ERROR, text)


_WHAT: Final = {OF_USER: "user", OF_DATABASE: "database"}


def _limit(limit: Limit) -> str:
    name = limit.name.decode("utf-8", "replace") if isinstance(limit.name, bytes) else str(limit.name)
    if limit.kind == OF_SERVER:
        if not limit.most:
            return f"the server lets user '{name}' have none for now (max_user_connections)"
        return f"user '{name}' has all {limit.most} that the server lets it have (max_user_connections)"
    what = _WHAT[limit.kind]
    setting = f"([[{what}s]] max_backends)"
    if not limit.most:
        return f"other workers have all {limit.configured} that {what} '{name}' may have {setting}"
    if limit.most < limit.configured:
        part = f"{limit.most} that this worker may give it now of its {limit.configured}"
        return f"{what} '{name}' has all {part} {setting}"
    return f"{what} '{name}' has all {limit.most} that it may have {setting}"


def _of_cause(cause: object, endpoint: str) -> Failure:
    return cause if isinstance(cause, Failure) else unreachable(endpoint, str(cause))


def ok(status: int, sequence_id: int = 1, warnings: int = 0) -> bytes:
    """An OK packet of our own, in wire form."""
    return frame(build_ok(status=status, warnings=warnings), sequence_id)


def eof(status: int, deprecate_eof: bool, sequence_id: int = 1) -> bytes:
    """The end of a COM_SET_OPTION or COM_DEBUG answer: EOF, or the OK that replaced it."""
    payload = build_ok(status=status, header=0xFE) if deprecate_eof else build_eof(status, 0)
    return frame(payload, sequence_id)
