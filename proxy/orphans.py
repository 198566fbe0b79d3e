"""Connections to servers that outlive the worker whose they were: *orphans*. Pure: `now` is a time of `time.monotonic()`.

When a process dies its sockets are closed, but a server that runs a statement notices that at its end. Until then the connection is there, and counts for every bound. So
each worker tells the parent what connections it has (`Connection`), which keeps that (`Known`); of one that has died they are orphans (`Orphans`), and hold their slots. Some
worker is told to end them (`reaping`): it looks at the server as their user, and `judge` says of each whether it is there.

An id says which connection it is as long as the server runs, and by its name another server may be found later on. What tells ours from another's is the port of our end, which
a server shows. A Unix socket has none: there is the time since which the server runs.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from protocol.auth import Verifier
from proxy.credentials import Credential

GONE: Final = 0
OURS: Final = 1
UNCLEAR: Final = 2
"""What can be said of an orphan: it has ended, is there, or it is not certain which of the two."""
SLACK: Final = 2.0
"""Seconds by which a server may be younger than it says, or our clock differ from its."""
MOST_ROWS: Final = 1 << 32
"""Of an answer to `question`: a limit of its own, so that the server's sql_select_limit does not hide any."""
UPTIME: Final = b"SHOW GLOBAL STATUS LIKE 'Uptime'"

Key = tuple[str, int]
"""The endpoint's name, and the id that the server has given a connection."""
Told = Sequence[str | None]
"""A credential, for a frame. Over a channel only: it has secrets."""


class Connection(NamedTuple):
    """One to a server, logged in."""

    endpoint: str
    server_id: int
    user: str
    port: int  # of our end; 0: a Unix socket
    opened_at: float

    @property
    def key(self) -> Key:
        """Of all connections that there are at a time nobody else has it."""
        return self.endpoint, self.server_id


def told_of(credential: Credential) -> Told:
    """What `credential_of` understands."""
    known = [credential.user, credential.password, credential.native_stage1]
    return [None if each is None else base64.b64encode(each).decode() for each in known]


def credential_of(told: Told) -> Credential:
    """What `told_of` has told: good for a login to a server."""
    user, password, stage1 = [None if each is None else base64.b64decode(each) for each in told]
    assert user is not None
    return Credential(user, password, Verifier(None, None), native_stage1=stage1)


def name_of_user(user: bytes) -> str:
    """For a frame; any name has one of its own."""
    return user.decode("utf-8", "surrogateescape")


def port_of(address: object) -> int:
    """Of a socket's address; a Unix socket has none."""
    return int(address[1]) if isinstance(address, tuple) else 0


class Known:
    """What one worker has told of its connections."""

    def __init__(self) -> None:
        self.connections: Final[dict[Key, Connection]] = {}
        self.credentials: Final[dict[str, Told]] = {}

    def may_log_in(self, user: str, credential: Told) -> None:
        """With this its connections from now on are opened."""
        self.credentials[user] = credential

    def opened(self, told: Sequence[Any]) -> Connection:
        """A connection has been opened."""
        connection = Connection(*told)
        self.connections[connection.key] = connection
        return connection

    def closed(self, keys: Iterable[Sequence[Any]]) -> None:
        """These have ended."""
        for name, server_id in keys:
            self.connections.pop((name, server_id), None)


class Orphans:
    """Of all workers that have died."""

    def __init__(self) -> None:
        # with the worker whose they were
        self._orphans: Final[dict[Key, tuple[int, Connection]]] = {}
        self._credentials: Final[dict[str, Told]] = {}

    def __len__(self) -> int:
        return len(self._orphans)

    def left(self, worker: int, known: Known) -> None:
        """A worker has died, of whose connections this is known."""
        for connection in known.connections.values():
            self._orphans[connection.key] = (worker, connection)
            self._credentials[connection.user] = known.credentials[connection.user]

    def ended(self, keys: Iterable[Sequence[Any]]) -> bool:
        """These are gone; False if that was known of all."""
        before = len(self._orphans)
        for name, server_id in keys:
            self._orphans.pop((name, server_id), None)
        users = {connection.user for _, connection in self._orphans.values()}
        for user in self._credentials.keys() - users:
            del self._credentials[user]
        return len(self._orphans) < before

    def count_of(self, worker: int) -> int:
        """How many were this one's."""
        return sum(whose == worker for whose, _ in self._orphans.values())

    def connections(self) -> list[Connection]:
        """All."""
        return [connection for _, connection in self._orphans.values()]

    def as_json(self) -> dict[str, object]:
        """For who shall end them (`Reaper.take`). It has secrets."""
        return {"connections": self.connections(), "credentials": dict(self._credentials)}


def counts(connections: Iterable[Connection], bounds: Callable[[str, str], Iterable[str]]) -> Counter[str]:
    """How many there are by bound. ``bounds``: which ones connections of a user to an endpoint count for."""
    return Counter(name for each in connections for name in bounds(each.endpoint, each.user))


class Seen(NamedTuple):
    """What a server shows of one connection."""

    user: bytes
    port: int


class Look(NamedTuple):
    """What a server shows of connections, to one of that user."""

    own: Seen  # the one that looks
    own_port: int  # of our end of that; 0: a Unix socket
    uptime: float  # seconds for which the server runs
    seen: Mapping[int, Seen]  # by id


def question(ids: Iterable[int]) -> bytes:
    """Asks for connections with these ids, and the one that asks, which comes first."""
    wanted = ",".join(str(each) for each in ids)
    return (
        "SELECT ID, USER, HOST FROM information_schema.PROCESSLIST"
        f" WHERE ID IN ({wanted}) OR ID = CONNECTION_ID() ORDER BY ID != CONNECTION_ID()"
        f" LIMIT {MOST_ROWS}"
    ).encode()


def look_of(rows: Sequence[Sequence[bytes | None]], uptime: bytes | None, own_port: int) -> Look:
    """The answers to `question` and UPTIME."""
    seen = [(int(row[0] or 0), Seen(row[1] or b"", _port_in(row[2] or b""))) for row in rows]
    return Look(seen[0][1], own_port, float(uptime or 0), dict(seen[1:]))


def _port_in(host: bytes) -> int:
    _, _, port = host.rpartition(b":")
    return int(port) if b":" in host and port.isdigit() else 0


def judge(connection: Connection, look: Look, now: float) -> int:
    """Whether an orphan is there. ``look``: of `now`, by its user."""
    seen = look.seen.get(connection.server_id)
    if seen is None or seen.user != look.own.user:
        return GONE
    if look.own.port != look.own_port:
        # ports are changed on the way: they say nothing
        return UNCLEAR
    if connection.port or seen.port:
        return OURS if seen.port == connection.port else GONE
    return OURS if connection.opened_at > now - look.uptime - SLACK else GONE
