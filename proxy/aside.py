"""Side connections: outside the pool and one at a time, so that a server never has more than `pool.size` + 1 connections of ours,
and the one that looks at it.

For what has to be said while every backend is leased: KILL, and what a login must ask a server, so that a client can come in to KILL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.backend import CLOSED, OPENING, Backend, LossListener, Owner
from proxy.connector import open_backend
from proxy.credentials import Credential
from proxy.identity import Identity
from proxy.replies import Failure, refused_by_server, unreachable
from proxy.results import text_rows

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint

Talk = Callable[[Backend], Awaitable[Failure | None]]
"""What is said on a side connection: what was wrong, or None. It may raise that, too."""


async def run_aside(
    endpoint: Endpoint, credential: Credential, identity: Identity, command: bytes
) -> Failure | None:
    """Log in and run one command (b"": none), each given up after `pool.connect_timeout`; the caller has `endpoint.side_lock`. What was
    wrong, or None."""
    return await talk_aside(
        endpoint, credential, identity, partial(_run, endpoint, command) if command else None
    )


async def talk_aside(
    endpoint: Endpoint, credential: Credential, identity: Identity, talk: Talk | None
) -> Failure | None:
    """The same with as many commands as are wanted (`asked`)."""
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
        return None if talk is None else await talk(backend)
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


async def _run(endpoint: Endpoint, command: bytes, backend: Backend) -> Failure | None:
    try:
        await asked(endpoint, command, backend)
    except Failure as failure:
        return failure
    return None


async def asked(endpoint: Endpoint, command: bytes, backend: Backend) -> list[list[bytes | None]]:
    """Run a command on a side connection; the rows that it gives. Raises Failure when the server refuses it."""
    job = SideJob(endpoint.loop)
    backend.run(job, [command], keeps_answers=True)
    async with asyncio.timeout(endpoint.target.connect_timeout):
        is_failed = await job.done
    if is_failed:
        raise refused_by_server(backend.tracker)
    assert backend.answers is not None
    return text_rows(backend.answers[0])


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
