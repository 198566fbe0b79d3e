"""Recordings are read as they were written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.whatif.recorded import Lease, load, parse
from proxy.pool_states import Ticket
from proxy.recording import DISCARDED, FREE, REFUSED, Recording
from tests.bench.whatif.samples import FACTS, START, content_of, recorded

LEASES = [
    (1, 1.0, 1.5, 2.0, FREE),
    (2, 1.0, 1.0, 3.0, DISCARDED),
    (1, 4.0, 9.0, 9.0, REFUSED),
]


def test_what_is_read_is_what_was_recorded() -> None:
    found = recorded(LEASES)
    assert found.sessions == (
        (Lease(1.0, 0.5, 0.5, 0, FREE), Lease(2.0, 5.0, 0.0, 0, REFUSED)),
        (Lease(1.0, 0.0, 2.0, 0, DISCARDED),),
    )
    (pool,) = found.pools
    assert (pool.name, pool.size, pool.leases, pool.busy, pool.refused) == ("writer", 10, 2, 2.5, 1)
    assert (found.about, found.seconds, found.sample, found.is_full) == ("fanin 1", 10.0, 1.0, False)


def test_waits_are_those_of_leases() -> None:
    found = recorded(LEASES)
    waits = found.waits_of(found.pools[0])
    assert (waits.total, waits.maximum) == (2, 500_000)


def test_leases_of_another_server_are_pauses() -> None:
    recording = Recording(START, 1.0)
    ticket = Ticket("key")
    for endpoint, began, ended in (("writer", 1.0, 2.0), ("reader", 3.0, 5.0), ("writer", 6.0, 7.0)):
        recording.note(1, endpoint, ticket, START + began, START + ended, FREE)
    found = parse(recording.as_bytes(START + 10.0, {"writer": FACTS, "reader": FACTS, "idle": FACTS}, ""))
    writer, reader, idle = found.pools
    ((first, second),) = found.sessions_of(writer)
    assert (first.gap, second.gap) == (1.0, 4.0)
    ((only,),) = found.sessions_of(reader)
    assert only.gap == 3.0
    assert found.sessions_of(idle) == []


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content_of(LEASES))
    assert load(str(path)) == recorded(LEASES)


async def test_a_page_is_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + content_of(LEASES))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await asyncio.to_thread(load, f"http://127.0.0.1:{port}/recording?seconds=1")
    assert found == recorded(LEASES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"<html>",
        b'{"format": "fanin-recording", "version": 2}\n',
        content_of(LEASES)[:-3],
        b"7\n",
    ],
)
def test_what_is_no_recording_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no recording of Fanin's, or cut off"):
        load(str(path))


def test_a_recording_without_some_of_its_sessions_is_none() -> None:
    content = content_of(LEASES).replace(b'"sessions": 2', b'"sessions": 3')
    with pytest.raises(ValueError, match="2 of 3 sessions"):
        parse(content)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="cannot read /nowhere"):
        load("/nowhere")
