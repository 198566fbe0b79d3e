"""Backends of a server from before it became the writer: whether they still lead to it. Functions on a `Lessee`.

A server that takes the writer's place has backends that readers' sessions have used. They are as good as new ones, provided that they lead to the server
that the topology means, by whatever name they were opened, and that it may be written. So those that are free are kept, and who is granted one
asks first; thus a failover does not begin with as many logins as there are clients. What is leased or parked then is closed when it is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.backend import Backend
from proxy.pool_states import IDLE
from proxy.reasons import CloseReason
from proxy.results import text_rows
from proxy.states import VERIFYING
from proxy.topology_actions import ClusterKind, Signal

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.lessee import Lessee

AURORA: Final = b"\x03SELECT @@aurora_server_id,@@innodb_read_only,0 LIMIT 1"
REPLICATION: Final = b"\x03SELECT @@GLOBAL.server_id,@@GLOBAL.innodb_read_only,@@GLOBAL.read_only LIMIT 1"
_OFF: Final = (b"0", b"OFF")


def doubt(endpoint: Endpoint) -> None:
    """It has become the writer."""
    now = endpoint.loop.time()
    for member in endpoint.core.members():
        if isinstance(member, Backend) and member.state == IDLE:
            member.is_doubtful = True
        else:
            member.expire(now)
    endpoint.tick()


def asks(lessee: Lessee, backend: Backend) -> bool:
    """A lease of it has begun: it is asked. True: the command waits for that."""
    cluster = lessee.shared.cluster
    if cluster is None or cluster.core is None:
        return False
    lessee.state = VERIFYING
    question = AURORA if cluster.core.kind is ClusterKind.AURORA else REPLICATION
    backend.run(lessee, [question], keeps_answers=True)
    return True


def answered(lessee: Lessee, backend: Backend, is_failed: bool) -> None:
    """It goes on, or another backend is used."""
    cluster, endpoint = lessee.shared.cluster, lessee.endpoint
    assert cluster is not None and cluster.core is not None and endpoint is not None
    answers = backend.answers or []
    backend.answers = None
    rows = text_rows(answers[0]) if answers and not is_failed else []
    member = cluster.core.members.get(endpoint.name)
    seen = None if member is None else member.seen
    # in whatever character set the session before has left
    found = [(value or b"").replace(b"\0", b"") for value in rows[0]] if rows else []
    is_same = seen is not None and found[:1] == [seen.server_id.encode()]
    is_writable = all([value in _OFF for value in found[1:]])
    if is_same and (is_writable or endpoint not in lessee.shared.writers):
        backend.is_doubtful = False
        lessee.prepare(backend)
        return
    lessee.discard(CloseReason.STALE_EPOCH)
    if is_same:
        cluster.suspected(endpoint, Signal.READ_ONLY_ERROR)
    lessee.run_elsewhere()
