import pytest

from bench.client import ClientError, Target
from bench.servers import Server
from bench.sysbench import Sysbench, find_sysbench, number_of

needs_sysbench = pytest.mark.skipif(
    find_sysbench() is None, reason="no sysbench here: apt-get install sysbench"
)

PRINTED = """
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       0.500 |********************                     3
       2.000 |****************************************  6

SQL statistics:
    queries:                             90     (44.9 per sec.)
    ignored errors:                      1      (0.5 per sec.)
    reconnects:                          0      (0.00 per sec.)
"""


def test_output_is_read() -> None:
    load = Sysbench(Target("127.0.0.1", 1), "oltp_read_write", 4)
    load._take(PRINTED)
    assert load.queries == 90 and load.errors == {} and load.connected == 4
    assert (load.histogram.total, load.histogram.percentile(10)) == (9, 503)
    load._take(PRINTED.replace("reconnects:                          0", "reconnects: 2"))
    assert load.errors == {"reconnects": 1}
    assert number_of(r"(\d+) of nothing", PRINTED) == 0


@needs_sysbench
@pytest.mark.mariadb
async def test_run_on_a_real_server(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.sysbench.LINES", 100)
    load = Sysbench(Target(mariadb.host, mariadb.port), "oltp_point_select", 2, prepared=True)
    await load.prepare()
    await load.open()
    load.start()
    await load.window(1.0)
    load.close()
    assert load.errors == {}
    assert load.queries > 10 and load.histogram.total > 0


@needs_sysbench
async def test_failure_is_an_error() -> None:
    load = Sysbench(Target("127.0.0.1", 1), "oltp_point_select", 1)
    with pytest.raises(ClientError, match=r"status 1: (?s:.*)Can't connect"):
        await load.prepare()
    await load.window(1.0)
    assert load.errors == {"sysbench": 1}
