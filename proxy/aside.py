"""Side connections: outside the pool and one at a time, so that a server never has more than `pool.size` + 1 connections of ours,
and the one that looks at it.

For what has to be said while every backend is leased: KILL, and what a login must ask a server, so that a client can come in to KILL.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.backend import CLOSED, OPENING, Backend, LossListener, Owner
from proxy.connector import open_backend
from proxy.credentials import Credential
from proxy.identity import Identity
from proxy.replies import Failure, refused_by_server, unreachable

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint


async def run_aside(
    endpoint: Endpoint, credential: Credential, identity: Identity, command: bytes
) -> Failure | None:
    """Log in and run one command (b"": none), each given up after `pool.connect_timeout`; the caller has `endpoint.side_lock`. What was
    wrong, or None."""
    backend = Backend(_NOBODY, endpoint.target.peer)
    try:
        await open_backend(
            backend,
            endpoint.target,
            credential,
            identity.key_without_schema,
            None,
            identity.collation,
            endpoint.facts,
            endpoint.attributes,
        )
        endpoint.learn_init_connect(credential.user, backend)
        return await _run(endpoint, backend, command) if command else None
    except Failure as failure:
        if failure.is_credential:
            endpoint.credentials.forget(credential)
        endpoint.was_refused(credential.user, failure)
        return failure
    except ConnectionError as error:
        return unreachable(endpoint.name, str(error))
    except TimeoutError:
        return unreachable(endpoint.name, "no answer on a side connection")
    finally:
        await _leave(backend, endpoint.target.connect_timeout)


async def _leave(backend: Backend, limit: float) -> None:
    """Until the server has closed it, too: it counts it for so long."""
    if backend.mode == CLOSED or backend.mode == OPENING:
        # where a login was refused the server has closed it
        backend.close(is_polite=True)
        return
    backend.leave()
    try:
        await backend.wait_until_gone(limit)
    finally:
        backend.transport.abort()


async def _run(endpoint: Endpoint, backend: Backend, command: bytes) -> Failure | None:
    job = SideJob(endpoint.loop)
    backend.run(job, [command])
    async with asyncio.timeout(endpoint.target.connect_timeout):
        is_failed = await job.done
    return refused_by_server(backend.tracker) if is_failed else None


class SideJob(Owner):
    """Waits for one command of a side connection."""

    __slots__ = ("done",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done: asyncio.Future[bool] = loop.create_future()

    def ran(self, is_failed: bool) -> None:
        if not self.done.done():
            self.done.set_result(is_failed)

    def backend_lost(self, cause: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(cause))


_NOBODY: Final = LossListener()
