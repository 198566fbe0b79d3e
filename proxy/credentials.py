"""Who may log in, and with what we log in to servers for them. Pure: no I/O, no clock.

A credential comes from the configuration (`[[users]]`) or is learnt at a login (passthrough): a password that a client sent
and that a server then accepted. Learnt ones live in memory only, and are forgotten when a server refuses them, when the session
sees a statement that changes accounts, and at the end of the process.

References: MySQL documentation, "Caching SHA-2 Pluggable Authentication", "Native Pluggable Authentication".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.auth import Verifier

PROOF_LIFETIME: Final = 60.0
"""Seconds for which a server's word about a password or a schema is taken for granted: a revoked password opens new sessions for so
long at most."""
DELAY_BASE: Final = 0.1
"""Seconds that the first wrong password of a user costs; each further one doubles it."""
DELAY_MEMORY: Final = 300.0
"""Seconds after which earlier failures no longer count."""
DELAY_USERS: Final = 10_000
"""Users remembered at most: an attacker chooses the names."""


class Credential:
    """What logs one user in to a server: a password, or SHA1(password) where only a native hash is configured."""

    __slots__ = ("is_configured", "native_stage1", "password", "proven_at", "user", "verifier")

    def __init__(
        self,
        user: bytes,
        password: bytes | None,
        verifier: Verifier,
        is_configured: bool = False,
        native_stage1: bytes | None = None,
    ) -> None:
        self.user: bytes = user
        self.password: bytes | None = password
        self.verifier: Verifier = verifier
        self.is_configured: bool = is_configured
        # SHA1(password): from a client's mysql_native_password answer, when only a native hash is configured.
        self.native_stage1: bytes | None = native_stage1
        # when a server accepted it last, as far as a login waited for that
        self.proven_at: float = 0.0

    def needs_proof(self, now: float) -> bool:
        """Whether a server has to be asked again before the next login: the password may have been revoked there meanwhile. What the
        configuration says is believed."""
        return not self.is_configured and now - self.proven_at > PROOF_LIFETIME

    def __repr__(self) -> str:
        return f"Credential(user={self.user!r}, is_configured={self.is_configured})"


class Credentials:
    """Every credential that this process knows."""

    __slots__ = ("_configured", "_learnt", "allows_passthrough", "heard")

    def __init__(self, configured: list[Credential], allows_passthrough: bool) -> None:
        self._configured: dict[bytes, Credential] = {c.user: c for c in configured}
        self._learnt: dict[bytes, Credential] = {}
        self.allows_passthrough: bool = allows_passthrough
        # called when a server has accepted a credential
        self.heard: Callable[[], None] | None = None

    def find(self, user: bytes) -> Credential | None:
        """The configured credential of `user`, else the learnt one."""
        return self._configured.get(user) or self._learnt.get(user)

    def first(self) -> Credential | None:
        """With a password: of those that were learnt the first that is not forgotten, else one of the configuration."""
        for credential in (*self._learnt.values(), *self._configured.values()):
            if credential.password is not None:
                return credential
        return None

    def put_last(self, user: bytes) -> None:
        """Another is `first` from now on, if there is one that was learnt."""
        credential = self._learnt.pop(user, None)
        if credential is not None:
            self._learnt[user] = credential

    def learn(self, credential: Credential) -> None:
        """Remember a credential that a server has accepted just now."""
        if credential.user not in self._configured:
            self._learnt[credential.user] = credential
        if self.heard is not None:
            self.heard()

    def forget(self, credential: Credential) -> None:
        """A server refused it: the next login has to prove itself again."""
        if self._learnt.get(credential.user) is credential:
            del self._learnt[credential.user]

    def forget_all(self) -> None:
        """Accounts were changed: every learnt password has to be proven again."""
        self._learnt.clear()


class LoginDelays:
    """How long the next failed login of a user is held back before its error is sent, up to a limit in seconds. (MySQL's
    connection_control plugin goes from 1 s up to 24 days; a proxy holds a socket meanwhile.)"""

    __slots__ = ("_failures", "_limit")

    def __init__(self, limit: float) -> None:
        self._limit: float = limit
        # user -> (failures in a row, time of the last); in order of the last failure
        self._failures: dict[bytes, tuple[int, float]] = {}

    def failed(self, user: bytes, now: float) -> float:
        """Count one failure; the seconds to wait before answering it."""
        count, last = self._failures.pop(user, (0, now))
        count = 1 if now - last > DELAY_MEMORY else count + 1
        self._failures[user] = (count, now)
        if len(self._failures) > DELAY_USERS:
            del self._failures[next(iter(self._failures))]
        return self._delay(count)

    def remaining(self, user: bytes, now: float) -> float:
        """Seconds before the next password of this user may be tried on a server: its proof would cost a connection of the pool."""
        failures = self._failures.get(user)
        return 0.0 if failures is None else max(0.0, failures[1] + self._delay(failures[0]) - now)

    def _delay(self, count: int) -> float:
        return float(min(self._limit, DELAY_BASE * 2 ** min(count - 1, 16)))

    def succeeded(self, user: bytes) -> None:
        """A good login forgives the failures before it."""
        self._failures.pop(user, None)
