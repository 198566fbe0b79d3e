"""`GET /recording` of a real Fanin under load, read and replayed. Counts, not times: how near a replay comes to what was measured depends on
what else the machine does (README of bench/ has figures)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bench.servers import Server
from bench.whatif.recorded import Recorded, load, parse
from bench.whatif.replay import replay, traffic_of
from proxy.recording import FREE, PARKED
from tests.integration.running import Fanin, eventually
from tests.integration.wire import WireClient

CLIENTS, TURNS = 4, 10
SECONDS = 3


class Recorder:
    """A recording that is taken in the background."""

    def __init__(self, fanin: Fanin) -> None:
        self.url = f"http://127.0.0.1:{fanin.http_port}/recording?seconds={SECONDS}"
        self.content = b""
        self._thread = threading.Thread(target=self._take)
        self._thread.start()
        eventually(self._is_on, "the recording has begun")

    def _take(self) -> None:
        while not self.content:
            # the other thread may be trying whether it could record
            with suppress(HTTPError), urlopen(self.url, timeout=60) as answer:
                self.content = answer.read()

    def _is_on(self) -> bool:
        if not self._thread.is_alive():
            return True
        try:
            with urlopen(self.url.replace(f"={SECONDS}", "=0.01"), timeout=60):
                return False
        except HTTPError as error:
            assert error.code == 409
            return True

    def taken(self) -> Recorded:
        self._thread.join()
        return parse(self.content)


@pytest.fixture
def fanin(server: Server) -> Iterator[Fanin]:
    """A process of the test's own: others would be recorded, too."""
    with Fanin(server, pool={"size": 2}) as fanin:
        yield fanin


def test_a_recording_has_what_sessions_did_and_can_be_replayed(fanin: Fanin) -> None:
    clients = [WireClient(fanin.port) for _ in range(CLIENTS)]
    recorder = Recorder(fanin)
    for _ in range(TURNS):
        for client in clients:
            for statement in ("BEGIN", "SELECT 'very secret'", "COMMIT"):
                assert client.query(statement)[0][0] != 0xFF
    found = recorder.taken()
    for client in clients:
        client.close()
    assert b"secret" not in recorder.content
    (pool,) = found.pools
    leases = [lease for session in found.sessions for lease in session]
    assert (pool.name, pool.size, found.sample) == ("primary", 2, 1.0)
    # a machine that stands still for seconds is not in time for all of them
    assert 1 <= len(leases) == pool.leases <= CLIENTS * TURNS
    assert len(found.sessions) <= CLIENTS
    assert sum(lease.outcome in (FREE, PARKED) for lease in leases) >= len(leases) - 1
    assert sum(lease.held for lease in leases) == pytest.approx(pool.busy, abs=0.01)
    again = replay(traffic_of(found, pool, 1), pool.size)
    assert again.asked == again.served == len(leases) and again.timeouts == 0


def test_a_page_that_records_is_a_source_for_whatif(fanin: Fanin) -> None:
    with WireClient(fanin.port) as client:
        assert client.query("BEGIN")[0][0] != 0xFF
        found = load(f"http://127.0.0.1:{fanin.http_port}/recording?seconds=0.1")
        ((lease,),) = found.sessions
        # held from before the beginning until after the end
        assert lease.gap == lease.wait == 0 and lease.held == pytest.approx(found.seconds, abs=0.01)
