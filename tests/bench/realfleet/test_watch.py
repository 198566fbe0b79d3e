"""Looks at the server."""

from __future__ import annotations

import pytest

from bench.client import control
from bench.realfleet.watch import CONNECTED, LOOKS, WHOSE, Look, Watch
from protocol.packets import Column, text_resultset
from proxy.tasks import spawn
from tests.bench.fakes import FakeServer, until


def table(*rows: tuple[bytes, ...]) -> bytes:
    columns = [Column(b"c")] * len(rows[0])
    return text_resultset(columns, [list(row) for row in rows], status=2, deprecate_eof=False)


async def test_it_sees_how_many_connections_there_are_and_whose(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.realfleet.watch.EVERY", 0.0)
    fake.answers[CONNECTED] = table(
        (b"Connection_errors_max_connections", b"3"), (b"Threads_connected", b"17")
    )
    fake.answers[WHOSE] = table((b"100", b"5", b"1"), (b"300", b"4", b"1"), (b"999", b"7", b"0"))
    fake.answers[LOOKS] = table((b"41", b"12"), (b"42", b"14"))
    shown: list[Look] = []
    async with control(fake.target) as ask:
        watch = Watch(ask, lambda: {100: 0, 300: 2}, 3, lambda: 2, phase="quiet")
        running = spawn(watch.run(shown.append), name="watch")
        await until(lambda: len(watch.statements) == 2)
        watch.is_over = True
        await running
        # the connection is free again
        assert await ask.rows("SELECT 1") == []
    first = watch.looks[0]
    assert (first.phase, first.connected, first.refused, first.strangers) == ("quiet", 17, 3, 2)
    assert (watch.shares[0].backends, watch.shares[0].monitors) == ((4, 0, 3), (1, 0, 1))
    assert watch.statements[0].counts == {41: 12, 42: 14}
    assert len(shown) == len(watch.shares) < len(watch.looks)
