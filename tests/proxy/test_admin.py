from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientSession, UnixConnector

from config.values import Address
from proxy.admin import Admin
from proxy.counters import Counters
from proxy.fleet_report import unseen
from proxy.recorder import RecordingError
from proxy.tasks import spawn

ANYWHERE = Address("127.0.0.1", 0)


class Source:
    """A process that is what a test says."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.refreshed = 0
        self.reasons: list[str] = []
        self.shown: dict[str, object] = {}
        self.holders: dict[str, object] = {"endpoints": []}
        self.recorded: list[tuple[float, float]] = []
        self.is_recording = False
        self.may_end = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.report: dict[str, object] = {"uptime": 60.0, "endpoints": [], "pins": []}

    def endpoint_snapshots(self) -> Sequence[Mapping[str, object]]:
        return []

    def pinned_sessions(self) -> Mapping[str, int]:
        return {}

    def pinned_seconds(self) -> Mapping[str, float]:
        return {}

    def topology(self) -> Mapping[str, object]:
        return {}

    def routes(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    async def refresh(self) -> None:
        self.refreshed += 1

    def workers(self) -> tuple[int, int]:
        return 1, 0

    def processes(self) -> list[tuple[str, int]]:
        return []

    def pin_report(self) -> Mapping[str, object]:
        return self.report

    async def fleet(self) -> Mapping[str, object]:
        return self.holders

    async def record(self, seconds: float, sample: float) -> bytes:
        if self.is_recording:
            raise RecordingError("a recording is under way")
        self.recorded.append((seconds, sample))
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"{}\n\x00"

    def obstacles(self) -> Sequence[str]:
        return self.reasons

    def state(self) -> Mapping[str, object]:
        return self.shown


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def admin(source: Source) -> AsyncIterator[Admin]:
    admin = await Admin.start(ANYWHERE, source)
    yield admin
    await admin.stop()


async def get(admin: Admin, path: str) -> tuple[int, str, str]:
    """Status, content type and text of a page."""
    async with ClientSession() as session, session.get(f"http://{admin.addresses[0]}{path}") as response:
        return response.status, response.headers["Content-Type"], await response.text()


async def get_json(admin: Admin, path: str) -> tuple[int, Any]:
    """Status and value of a page in JSON."""
    status, kind, text = await get(admin, path)
    assert kind.startswith("application/json")
    return status, json.loads(text)


async def test_metrics_are_served_as_prometheus_wants_them(admin: Admin, source: Source) -> None:
    source.counters.queries = 7
    status, kind, text = await get(admin, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert "fanin_queries_total 7.0" in text.splitlines()


async def test_a_process_that_answers_is_alive(admin: Admin, source: Source) -> None:
    source.reasons = ["draining"]
    assert await get_json(admin, "/healthz") == (200, {"status": "alive"})


async def test_a_process_without_obstacles_is_ready(admin: Admin) -> None:
    assert await get_json(admin, "/readyz") == (200, {"status": "ready"})


async def test_a_process_that_is_not_ready_says_why(admin: Admin, source: Source) -> None:
    source.reasons = ["draining", "no writer answers"]
    assert await get_json(admin, "/readyz") == (
        503,
        {"status": "not ready", "reasons": ["draining", "no writer answers"]},
    )


async def test_the_state_is_shown_as_json_whatever_is_in_it(admin: Admin, source: Source) -> None:
    source.shown = {"frontends": 3, "peer": Address("127.0.0.1", 5)}
    assert await get_json(admin, "/state") == (200, {"frontends": 3, "peer": "127.0.0.1:5"})


async def test_pins_are_shown_as_json_or_as_a_text(admin: Admin, source: Source) -> None:
    assert await get_json(admin, "/pins") == (200, source.report)
    status, kind, text = await get(admin, "/pins?format=text")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert text.splitlines()[-1] == "no session was pinned"


async def test_the_fleet_is_shown_as_json_or_as_a_text(admin: Admin, source: Source) -> None:
    assert await get_json(admin, "/fleet") == (200, source.holders)
    source.holders["endpoints"] = [
        unseen("writer", "writer", {"fanin_id": "5f"}, 3, "no answer") | {"age": 1.5}
    ]
    status, kind, text = await get(admin, "/fleet?format=text")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert text.splitlines()[0] == "writer (writer): ? of ? connections, asked 2 s ago"


async def test_a_recording_is_the_answer_to_who_waits_for_it(admin: Admin, source: Source) -> None:
    source.may_end.set()
    assert await get(admin, "/recording") == (200, "application/octet-stream", "{}\n\x00")
    assert (await get(admin, "/recording?seconds=0.5&sample=0.25"))[0] == 200
    assert source.recorded == [(30.0, 1.0), (0.5, 0.25)]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("seconds=0", "expected seconds above 0 and up to 600, got '0'"),
        ("seconds=601", "expected seconds above 0 and up to 600, got '601'"),
        ("seconds=nan", "expected seconds above 0 and up to 600, got 'nan'"),
        ("sample=2", "expected sample above 0 and up to 1, got '2'"),
        ("sample=all", "expected sample above 0 and up to 1, got 'all'"),
    ],
)
async def test_numbers_of_a_recording_are_looked_at(
    admin: Admin, source: Source, query: str, message: str
) -> None:
    assert await get(admin, f"/recording?{query}") == (400, "text/plain; charset=utf-8", f"{message}\n")
    assert source.recorded == []


async def test_there_is_one_recording_at_a_time(admin: Admin, source: Source) -> None:
    source.is_recording = True
    status, _, text = await get(admin, "/recording")
    assert (status, text) == (409, "a recording is under way\n")


async def test_who_does_not_wait_for_a_recording_ends_it(admin: Admin, source: Source) -> None:
    asking = spawn(get(admin, "/recording"), name="recording")
    async with asyncio.timeout(10):
        while not source.recorded:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)
        asking.cancel()
        await source.cancelled.wait()


async def test_there_are_no_other_pages(admin: Admin) -> None:
    assert (await get(admin, "/"))[0] == 404


async def test_an_address_in_use_is_an_error_of_the_system(admin: Admin, source: Source) -> None:
    with pytest.raises(OSError, match="in use"):
        await Admin.start(admin.addresses[0], source)
    assert (await get(admin, "/healthz"))[0] == 200


async def test_an_address_that_cannot_be_had_is_named(source: Source) -> None:
    with pytest.raises(FileNotFoundError, match=r"unix:/nowhere/admin\.sock"):
        await Admin.start(Address(path="/nowhere/admin.sock"), source)


async def test_a_start_may_be_cancelled_while_a_name_is_looked_up(source: Source) -> None:
    task = spawn(Admin.start(Address("localhost", 0), source), name="start")
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stopped_server_answers_nobody(source: Source) -> None:
    admin = await Admin.start(ANYWHERE, source)
    await admin.stop()
    await admin.stop()
    with pytest.raises(ClientConnectorError):
        await get(admin, "/healthz")


@pytest.mark.parametrize("is_removed", [False, True])
async def test_the_pages_may_be_on_a_unix_socket(source: Source, tmp_path: Path, is_removed: bool) -> None:
    path = tmp_path / "admin.sock"
    admin = await Admin.start(Address(path=str(path)), source)
    assert [str(address) for address in admin.addresses] == [f"unix:{path}"]
    async with (
        ClientSession(connector=UnixConnector(str(path))) as session,
        session.get("http://fanin/healthz") as response,
    ):
        assert response.status == 200
    if is_removed:
        path.unlink()
    await admin.stop()
    assert not path.exists()


async def test_ipv6_addresses_are_served_too(source: Source) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    admin = await Admin.start(Address("::1", 0), source)
    assert (await get(admin, "/healthz"))[0] == 200
    await admin.stop()
