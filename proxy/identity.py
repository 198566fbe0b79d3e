"""Who a session is towards servers: what opens a backend for it, and which backends are interchangeable for it. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from protocol.constants import Capability
from proxy.credentials import Credential
from proxy.vector import Vector

FOUND_ROWS: Final = int(Capability.FOUND_ROWS)
LOCAL_FILES: Final = int(Capability.LOCAL_FILES)
IGNORE_SPACE: Final = int(Capability.IGNORE_SPACE)
MULTI_STATEMENTS: Final = int(Capability.MULTI_STATEMENTS)
MULTI_RESULTS: Final = int(Capability.MULTI_RESULTS)
KEY_CAPABILITIES: Final = FOUND_ROWS | LOCAL_FILES | IGNORE_SPACE | MULTI_RESULTS
"""What a server fixes at login and acts upon: part of the pool key (design.md, Capabilities). IGNORE_SPACE becomes part of sql_mode
at login and is lost at a reset, so a backend that has it is never reset but closed. Without MULTI_RESULTS, which old clients lack, a
procedure that gives rows is refused."""


class PoolKey:
    """Backends with equal keys are interchangeable. Interned: the same object for equal keys (`KeyTable`)."""

    __slots__ = ("capabilities", "has_schema", "user")

    def __init__(self, user: bytes, capabilities: int, has_schema: bool) -> None:
        self.user: bytes = user
        self.capabilities: int = capabilities
        # a schema cannot be unset by a command, so sessions without one have backends of their own
        self.has_schema: bool = has_schema

    def __repr__(self) -> str:
        return f"PoolKey({self.user!r}, {self.capabilities:#x}, has_schema={self.has_schema})"


def user_of(key: Hashable) -> Hashable:
    """Whose a pool key is: between users backends are shared out."""
    return key.user if isinstance(key, PoolKey) else None


class KeyTable:
    """Makes pool keys, each once."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[bytes, int, bool], PoolKey] = {}

    def key(self, user: bytes, capabilities: int, has_schema: bool) -> PoolKey:
        """The key of a user's sessions with these client capabilities."""
        if capabilities & MULTI_STATEMENTS:
            # a server understands it to include that
            capabilities |= MULTI_RESULTS
        wanted = (user, capabilities & KEY_CAPABILITIES, has_schema)
        key = self._keys.get(wanted)
        if key is None:
            key = self._keys[wanted] = PoolKey(*wanted)
        return key


class Identity:
    """What a session needs of a backend that is opened for it. One for each session; the pool's tickets carry it."""

    __slots__ = (
        "collation",
        "credential",
        "is_batch",
        "key",
        "key_with_schema",
        "key_without_schema",
        "process",
        "proves_credential",
        "vector",
    )

    def __init__(
        self, credential: Credential, capabilities: int, collation: int, keys: KeyTable, schema: bytes | None
    ) -> None:
        self.credential: Credential = credential
        # collation id of the client's handshake: decides the character sets that a new connection starts with
        self.collation: int = collation
        self.key_with_schema: PoolKey = keys.key(credential.user, capabilities, True)
        self.key_without_schema: PoolKey = keys.key(credential.user, capabilities, False)
        self.key: PoolKey = self.key_without_schema if schema is None else self.key_with_schema
        # a login that asks the server whether this very credential is right
        self.proves_credential: bool = False
        # the client's process, as far as it can be told from others
        self.process: str = ""
        # it gives way to others
        self.is_batch: bool = False
        # the session's state vector when it last asked for a backend
        self.vector: Vector | None = None

    def lose_ignore_space(self, keys: KeyTable) -> None:
        """What COM_RESET_CONNECTION does to a session on MariaDB (MySQL keeps it)."""
        for_user, without = self.credential.user, self.key.capabilities & ~IGNORE_SPACE
        self.key_with_schema = keys.key(for_user, without, True)
        self.key_without_schema = keys.key(for_user, without, False)
        self.key = self.key_with_schema if self.key.has_schema else self.key_without_schema

    def key_for(self, schema: bytes | None) -> PoolKey:
        """The key for a session that is in `schema` now."""
        return self.key_without_schema if schema is None else self.key_with_schema
