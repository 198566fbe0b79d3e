"""Why a frontend or a backend was closed: every close carries one of these, in logs and in the metrics' labels."""

from __future__ import annotations

import enum


class CloseReason(enum.Enum):
    """The value is the label in logs and metrics. Better a new member than an old one with a second meaning."""

    # backends, decided by the pool core
    IDLE_TIMEOUT = "idle-timeout"  # nobody needed it for idle_timeout
    MAX_AGE = "max-age"  # older than max_age less its jitter
    EVICTED = "evicted"  # made room at the bound for a waiter of another key
    OVER_BOUND = "over-bound"  # the pool's bound was lowered

    # backends, reported by the shell
    OPEN_FAILED = "open-failed"  # connecting, TLS or the login did not succeed
    LOST = "lost"  # EOF, a connection error or unexpected bytes from the server
    RESET_FAILED = "reset-failed"  # a reset or a capture was refused
    RESTORE_FAILED = "restore-failed"  # the state vector could not be restored on it
    DIRTY = "dirty"  # carries state that can be neither moved nor reset
    STALE_EPOCH = "stale-epoch"  # the endpoint has become another server since it was opened

    # frontends
    CLIENT_QUIT = "client-quit"  # COM_QUIT
    BACKEND_LOST = "backend-lost"  # the lease died under the session and cannot be replaced
    LOGIN_FAILED = "login-failed"
    LOGIN_TIMEOUT = "login-timeout"
    TOO_MANY_CLIENTS = "too-many-clients"
    WAIT_TIMEOUT = "wait-timeout"  # idle for longer than its wait_timeout
    IDLE_TRANSACTION = "idle-transaction"  # left a transaction open for idle_transaction_timeout
    KILLED = "killed"  # KILL of its connection id

    # either
    CLIENT_LEFT = (
        "client-left"  # the client's end without COM_QUIT; of a backend: its client left in mid-query
    )
    PROTOCOL_ERROR = "protocol-error"  # the other end broke the rules of the protocol
    DRAINED = "drained"  # nothing new is taken, what runs has finished
    SHUTDOWN = "shutdown"  # closed whatever ran
