import signal
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from bench.cluster import Cluster
from bench.servers import KINDS, ServerError
from tests.processes import started

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in sorted(KINDS)]
)
def test_readers_follow_the_writer_and_refuse_writes(kind: str) -> None:
    with Cluster(kind) as cluster:
        cluster.writer.sql("CREATE TABLE app.t (id INT PRIMARY KEY)")
        cluster.writer.sql("INSERT INTO app.t VALUES (7)")
        cluster.catch_up()
        for reader in cluster.readers:
            assert reader.sql("SELECT id FROM app.t") == [(7,)]
            with reader.connect(user=reader.user, password=reader.password) as connection:
                with pytest.raises(pymysql.Error) as refused, connection.cursor() as cursor:
                    cursor.execute("INSERT INTO app.t VALUES (8)")
                assert refused.value.args[0] == 1290
        assert len({server.value("SELECT @@server_id") for server in cluster.servers}) == 3


@pytest.mark.mariadb
def test_reader_that_follows_nobody_does_not_catch_up() -> None:
    with Cluster("mariadb", readers=1) as cluster:
        cluster.readers[0].sql("STOP SLAVE")
        with pytest.raises(ServerError, match="does not replicate"):
            cluster.catch_up(seconds=0.1)
        cluster.writer.sql("CREATE TABLE app.t (id INT)")
        with pytest.raises(ServerError, match="does not catch up"):
            cluster.catch_up(seconds=0.1)


@pytest.mark.mariadb
def test_command_keeps_a_cluster_until_it_is_interrupted() -> None:
    cluster = [sys.executable, "-m", "bench.cluster", "--kind", "mariadb", "--readers", "1"]
    with started(cluster, cwd=ROOT, stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        lines = [command.stdout.readline() for _ in range(4)]
        roles = [line.split()[0] for line in lines[1:3]]
        sockets = [Path(line.split()[3]) for line in lines[1:3]]
        assert roles == ["writer", "reader"]
        assert all(path.is_socket() for path in sockets)
        command.send_signal(signal.SIGINT)
        assert command.wait() == 0
    assert not any(path.parent.exists() for path in sockets)
