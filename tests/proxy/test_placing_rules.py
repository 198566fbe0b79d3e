"""The settings of routing, as the data path has them."""

from __future__ import annotations

from config.cluster import Fallback, Routing, Side
from config.sections import Pool, Upstream
from config.settings import Settings
from proxy.hints import TO_READER
from proxy.placing_rules import TO_FAIL, TO_WAIT, TO_WRITER, placing_rules


def test_the_defaults_send_read_only_transactions_to_readers_and_fall_back_on_the_writer() -> None:
    rules = placing_rules(Settings(upstream=(Upstream(host="h"),)))
    assert rules.read_only_transactions and not rules.autocommit_reads
    assert (rules.fallback, rules.fallback_rate, rules.causal_keys) == (TO_WRITER, 1000, 10_000)


def test_everything_is_as_configured() -> None:
    routing = Routing(
        read_only_transactions=Side.WRITER,
        autocommit_reads=Side.READER,
        fallback=Fallback.WAIT,
        fallback_wait=0.25,
        gtid_wait=0.02,
        fallback_rate=5,
        causal_keys=7,
        reader_users=("reports",),
    )
    settings = Settings(upstream=(Upstream(host="h"),), routing=routing, pool=Pool(acquire_timeout=3.0))
    rules = placing_rules(settings)
    assert not rules.read_only_transactions and rules.autocommit_reads
    assert (rules.fallback, rules.fallback_wait, rules.fallback_rate) == (TO_WAIT, 0.25, 5)
    assert (rules.acquire_timeout, rules.causal_keys, rules.gtid_wait) == (3.0, 7, 0.02)
    assert rules.names.side(b"reports", None) == TO_READER
    failing = Routing(fallback=Fallback.ERROR)
    assert placing_rules(Settings(upstream=(Upstream(host="h"),), routing=failing)).fallback == TO_FAIL
