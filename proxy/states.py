"""The states of a session, as `Lessee` and its parts go through them.

A session is always in one of these states:

    READY       no lease; waits for a command
    HOLDING     keeps its lease between commands (transaction, pin); waits for a command
    WAITING     has a ticket in the pool's queue
    CLEANING    COM_RESET_CONNECTION takes another session's user variables off the backend
    PREPARING   our own commands bring the backend to the session's state
    PREPARING_STATEMENT  a statement that the client prepared elsewhere is being prepared on the backend
    RELAYING    a command runs, its answer goes to the client
    PROBING     COM_PING after an error: only OK packets have status flags
    RESETTING   COM_RESET_CONNECTION runs on the lease that the session had
    KILLING     a KILL for another session is under way on a side connection; KILLING_HELD: with a lease
    AWAITING_CAPTURE  the residue that it left on a backend is being read for it, because another session needs the backend
    AWAITING_KILL  the statement is over, a KILL aimed at it is still under way; ABSORBING_KILL: a command of ours takes it
    CAPTURING   the residue on its lease is being read, because commands of ours have to run there before the client's
    TIDYING     the command is over, commands of ours ask for variables and put the backend back (`tidying`)
    SURVEYING   its backend is asked which views and triggers read the insert id (`unseen`)
    CHANGING    COM_CHANGE_USER: the new user is being authenticated
    BEGINNING   the server's init_connect runs for the session, before its first command (`beginning`)
    CLOSED
    PLACING     it is a read and waits for a reader that may have it (`placing`)
    VERIFYING   its backend is asked whether it leads to the writer (`verifying`)
    CATCHING_UP a reader is to wait until it has what the session has written (`catching_up`)
"""

from __future__ import annotations

from typing import Final

READY: Final = 0
HOLDING: Final = 1
WAITING: Final = 2
PREPARING: Final = 3
RELAYING: Final = 4
PROBING: Final = 5
RESETTING: Final = 6
KILLING: Final = 7
CHANGING: Final = 8
AWAITING_KILL: Final = 9
KILLING_HELD: Final = 10
AWAITING_CAPTURE: Final = 11
PREPARING_STATEMENT: Final = 12
CLEANING: Final = 13
CAPTURING: Final = 14
TIDYING: Final = 15
ABSORBING_KILL: Final = 16
BEGINNING: Final = 17
SURVEYING: Final = 18
CLOSED: Final = 19
PLACING: Final = 20
CATCHING_UP: Final = 21
VERIFYING: Final = 22
BEFORE_COMMAND: Final = frozenset(
    {CAPTURING, CATCHING_UP, CLEANING, PREPARING, PREPARING_STATEMENT, SURVEYING, VERIFYING}
)
"""The command has not been sent."""
BETWEEN_COMMANDS: Final = (HOLDING, PROBING)
UNSTARTED: Final = -1  # as the command
STATE_NAMES: Final = (
    "ready",
    "holding",
    "waiting",
    "preparing",
    "relaying",
    "probing",
    "resetting",
    "killing",
    "changing-user",
    "awaiting-kill",
    "killing",
    "awaiting-capture",
    "preparing-statement",
    "cleaning",
    "capturing",
    "tidying",
    "awaiting-kill",
    "beginning",
    "surveying",
    "closed",
    "placing",
    "catching-up",
    "verifying",
)
