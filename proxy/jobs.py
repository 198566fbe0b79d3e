"""What an endpoint does with a backend that nobody leases: resetting it, reading a session's residue off it; and what it does when a task that cared for one
has ended.

Each job is the backend's `Owner` while its commands run, and reports to its `Endpoint`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.commands import reset_connection
from proxy.backend import Backend, Owner
from proxy.pool_states import OPENING
from proxy.reasons import CloseReason
from proxy.variables import CAPTURED, CAPTURING

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.tenants import Holder

_COM_QUERY: Final = b"\x03"


def reset_commands(backend: Backend) -> list[bytes]:
    """Payloads that make a backend as new: a reset switches the trackers off."""
    return [reset_connection(), _COM_QUERY + backend.setup]


class Cleaning(Owner):
    """Resets a backend: COM_RESET_CONNECTION, then the trackers again (a reset switches them off)."""

    __slots__ = ("backend", "endpoint")

    def __init__(self, endpoint: Endpoint, backend: Backend) -> None:
        self.endpoint: Endpoint = endpoint
        self.backend: Backend = backend

    def start(self) -> None:
        """Send the commands."""
        self.endpoint.watch(self.backend)
        self.endpoint.counters.resets += 1
        self.backend.run(self, reset_commands(self.backend))

    def ran(self, is_failed: bool) -> None:
        if is_failed:
            self.endpoint.discard(self.backend, CloseReason.RESET_FAILED)
            return
        self.endpoint.was_reset(self.backend)

    def backend_lost(self, cause: str) -> None:
        self.endpoint.discard(self.backend, CloseReason.LOST)


class Capturing(Owner):
    """Reads a session's residue off a parked backend that the pool needs for another session."""

    __slots__ = ("backend", "endpoint", "holder")

    def __init__(self, endpoint: Endpoint, backend: Backend, holder: Holder) -> None:
        self.endpoint: Endpoint = endpoint
        self.backend: Backend = backend
        self.holder: Holder = holder

    def start(self) -> None:
        """Send the commands, if there are any."""
        self.endpoint.watch(self.backend)
        commands = self.holder.capture_commands()
        if commands:
            self.endpoint.counters.captures += 1
            self._ask(commands)
        else:
            self.backend.answers = []
            self.ran(False)

    def _ask(self, commands: list[bytes]) -> None:
        self.backend.run(self, commands, keeps_answers=True)

    def ran(self, is_failed: bool) -> None:
        answers = self.backend.answers or []
        self.backend.answers = None
        if is_failed and not self.holder.may_be_refused():
            self.holder.capture_failed(self.backend)
            self.endpoint.discard(self.backend, CloseReason.RESET_FAILED)
            return
        result = self.holder.captured(self.backend, [] if is_failed else answers)
        if result == CAPTURED:
            self.endpoint.was_captured(self.backend)
        elif result == CAPTURING:
            self._ask(self.holder.capture_commands())
        else:
            self.endpoint.is_kept(self.backend, self.holder)

    def backend_lost(self, cause: str) -> None:
        self.holder.capture_failed(self.backend)
        self.endpoint.discard(self.backend, CloseReason.LOST)


class Ended:
    """Discards a backend when the task that cared for it has ended, cancelled before its first step included. Nothing when that has opened
    the backend."""

    __slots__ = ("backend", "endpoint", "reason")

    def __init__(self, endpoint: Endpoint, backend: Backend, reason: CloseReason) -> None:
        self.endpoint: Endpoint = endpoint
        self.backend: Backend = backend
        self.reason: CloseReason = reason

    def told(self, task: object) -> None:
        """The task is over."""
        del task
        if self.reason is not CloseReason.OPEN_FAILED or self.backend.state == OPENING:
            self.endpoint.discard(self.backend, self.reason)
