import contextlib
from dataclasses import replace

import pytest

from bench import contestants
from bench.client import raise_file_limit
from bench.contestants import PROXIES, WHY_MISSING, Settings, process_of, started, why_missing, why_unfit
from bench.servers import Server

SMALL = Settings(2, 10)


def test_fanin_and_the_bare_server_are_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("haproxy", "mysqlrouter", "proxysql", "maxscale"):
        monkeypatch.setattr(contestants, f"find_{name}", lambda: None)
    assert {name for name in PROXIES if why_missing(name) is None} == {"fanin", "direct"}
    assert [why_missing(name) for name in WHY_MISSING] == list(WHY_MISSING.values())


def test_who_needs_more_files_than_there_are_is_unfit() -> None:
    crowd = replace(SMALL, clients=12_000)
    most = raise_file_limit()
    if most < 24_000:
        assert why_unfit("haproxy", crowd, "mariadb") == (
            f"HAProxy needs two file descriptors a client: {most // 2:,} clients at most"
        )
    assert why_unfit("fanin", replace(SMALL, clients=1 << 30), "mariadb") is not None
    assert why_unfit("fanin", SMALL, "mariadb") is why_unfit("haproxy", SMALL, "mariadb") is None


def test_router_is_for_mysql_only() -> None:
    assert why_unfit("mysqlrouter", SMALL, "mysql") is None
    assert why_unfit("mysqlrouter", SMALL, "mariadb") == "MySQL Router shares connections of MySQL only"


def test_workers_are_used_where_this_fanin_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    two = replace(SMALL, workers=2)
    monkeypatch.setattr(contestants, "has_workers", lambda: False)
    assert why_unfit("fanin", two, "mariadb") == "this Fanin has no workers"
    monkeypatch.setattr(contestants, "has_workers", lambda: True)
    assert why_unfit("fanin", two, "mariadb") is None
    assert contestants.fanin_of("127.0.0.1:3306", two)._flags[-2:] == ["--workers", "2"]


def test_each_proxy_has_its_process() -> None:
    made = {name: process_of(name, "127.0.0.1:3306", SMALL) for name in PROXIES}
    assert {name: proxy and proxy.name for name, proxy in made.items()} == {
        **{name: name for name in PROXIES},
        "direct": None,
    }
    encrypted = contestants.fanin_of("127.0.0.1:3306", replace(SMALL, server_tls=True))
    assert encrypted._flags[-2:] == ["--server-tls", "required"]


@pytest.mark.mariadb
def test_contestants_stand_before_a_real_server(mariadb: Server) -> None:
    wanted = [("fanin", SMALL), ("direct", SMALL), ("fanin", SMALL), ("fanin", replace(SMALL, pool_size=3))]
    with started(wanted, f"{mariadb.host}:{mariadb.port}") as field:
        assert len(field) == 3 and len({each.port for each in field.values()}) == 3
        assert field["direct", SMALL].port == mariadb.port and field["direct", SMALL].proxy is None
        for contestant in field.values():
            user = {"user": mariadb.user, "password": mariadb.password}
            with contextlib.closing(mariadb.connect(port=contestant.port, **user)) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT @@port")
                assert cursor.fetchall() == ((mariadb.port,),)
