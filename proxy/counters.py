"""What the process has counted since it started: plain integers on one object.

The data path adds to them; the Prometheus collector (`proxy.metrics`) and /state read them when somebody asks.
Nothing here knows of either.
"""

from __future__ import annotations

from typing import Final

from proxy.recording import Recording

# Upper bounds in seconds of the buckets of the waiting time. Below 1 ms a wait does not show in a query's time; at
# 5 s `pool.acquire_timeout` ends it by default.
WAIT_BOUNDS: Final[tuple[float, ...]] = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


class Counters:
    """Counts of one process. Reasons are the texts of CloseReason, PinReason and of login failures."""

    __slots__ = (
        "_wait_bucket",
        "acquire_failures",
        "backend_closes",
        "backends_opened",
        "bytes_in",
        "bytes_out",
        "captures",
        "frontend_closes",
        "frontends_open",
        "frontends_refused",
        "frontends_total",
        "leases",
        "login_failures",
        "open_failures",
        "pinned_commands",
        "pins",
        "queries",
        "recording",
        "resets",
        "restores",
        "wait_buckets",
        "wait_seconds",
        "waits",
    )

    def __init__(self) -> None:
        # clients ever accepted, and connected now (those in the connection phase included)
        self.frontends_total: int = 0
        self.frontends_open: int = 0
        # clients told 1040, for want of `limits.max_clients`
        self.frontends_refused: int = 0
        # commands of clients
        self.queries: int = 0
        # bytes from and to clients
        self.bytes_in: int = 0
        self.bytes_out: int = 0
        # leases begun, those without a wait included
        self.leases: int = 0
        # tickets that have left the queue: how many, after how many seconds in all, and how many by time (the last
        # bucket: above all bounds); of them, those that left it without a lease
        self.waits: int = 0
        self.wait_seconds: float = 0.0
        self.wait_buckets: list[int] = [0] * (len(WAIT_BOUNDS) + 1)
        # that of the last one
        self._wait_bucket: int = 0
        self.acquire_failures: int = 0
        # logins to servers that succeeded, and that did not
        self.backends_opened: int = 0
        self.open_failures: int = 0
        # COM_RESET_CONNECTION sent on our own account
        self.resets: int = 0
        # residue read from a parked backend
        self.captures: int = 0
        # leases that began with a state vector, or residue, being put back
        self.restores: int = 0
        # commands that ran outside a transaction on a lease that a pin had kept for their session
        self.pinned_commands: int = 0
        # pins set, by reason
        self.pins: dict[str, int] = {}
        # logins of clients refused, by reason
        self.login_failures: dict[str, int] = {}
        # connections of clients and of servers closed, by reason
        self.frontend_closes: dict[str, int] = {}
        self.backend_closes: dict[str, int] = {}
        # where leases are written down, one by one; None: nobody wants them now
        self.recording: Recording | None = None

    def observe_wait(self, seconds: float) -> None:
        """A ticket left the queue after so long, with a lease (count it in `leases` as well) or without one."""
        # most wait for about as long as the one before: bisect costs five times as much
        bucket = self._wait_bucket
        while bucket < len(WAIT_BOUNDS) and WAIT_BOUNDS[bucket] < seconds:
            bucket += 1
        while bucket > 0 and WAIT_BOUNDS[bucket - 1] >= seconds:
            bucket -= 1
        self._wait_bucket = bucket
        buckets = self.wait_buckets
        buckets[bucket] = buckets[bucket] + 1
        self.wait_seconds += seconds
        self.waits += 1

    def count_pin(self, reason: str) -> None:
        """A session was pinned."""
        self.pins[reason] = self.pins.get(reason, 0) + 1

    def count_login_failure(self, reason: str) -> None:
        """A client's login was refused."""
        self.login_failures[reason] = self.login_failures.get(reason, 0) + 1

    def count_close(self, side: str, reason: str) -> None:
        """A connection was closed, by whomever; `side` is "frontend" or "backend"."""
        closes = self.frontend_closes if side == "frontend" else self.backend_closes
        closes[reason] = closes.get(reason, 0) + 1
