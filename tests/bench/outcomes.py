"""Outcomes of trials that never took place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.trial import Outcome, Sample

OUTCOME = Outcome(
    name="fanin",
    workload="point",
    clients=2000,
    connected=2000,
    active=200,
    seconds=10.0,
    login_seconds=0.5,
    queries=123_450,
    p50=1.5,
    p95=3.0,
    p99=123.4,
    slowest=200.0,
    errors={},
    examples={},
    before=(2, 0, 0),
    peak=(15, 13, 13),
    peak_is_exact=True,
    after=(15, 13, 13),
    user_us=4.25,
    system_us=18.0,
    cpu_share=0.283,
    proxy_memory=40 << 20,
    proxy_memory_per_client=2048.0,
    server_memory_per_client=3 << 20,
    load_share=0.5,
    samples=tuple(Sample("running", at / 4, 2000, (15, 13, 13), 12_000.0, at * 3000, 0) for at in range(4)),
)


def outcome(**changes: Any) -> Outcome:
    return replace(OUTCOME, **changes)
