"""A real reader whose connections are cut in the middle of an answer, or of a read-only transaction: another server answers for it, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from bench.cluster import Cluster
from bench.servers import HOST
from tests.fakes.loop_thread import LoopThread
from tests.fakes.toxics import BlackHole, ToxicProxy
from tests.fakes.wire import packets
from tests.integration.running import Fanin, eventually
from tests.integration.test_placing import BOTH, WHERE, placing, put_up_a_sign
from tests.integration.wire import NEWEST, PLAIN, WireClient
from tests.traps.trap import error_code, is_closed

ROWS: Final = 3000
PART: Final = 150_000
"""Bytes: more than what is collected for a client that wants an EOF, and about half of the answer."""
ALL: Final = b"SELECT id, v FROM t ORDER BY id"
ONE: Final = "SELECT v FROM t WHERE id = 7"
BEGIN: Final = "START TRANSACTION READ ONLY"
CAPABILITIES: Final = pytest.mark.parametrize("capabilities", [PLAIN, NEWEST], ids=["plain", "newest"])
AS: Final = pytest.mark.parametrize("is_binary", [False, True], ids=["text", "binary"])


class Lines:
    """A cluster whose reader is at the other end of a line that can be cut, and Fanin before it."""

    def __init__(self, cluster: Cluster, fanin: Fanin, network: ToxicProxy, loop: LoopThread) -> None:
        self.cluster = cluster
        self.fanin = fanin
        self._network = network
        self._loop = loop

    def client(self, capabilities: int = PLAIN) -> WireClient:
        """A client whose reads come from the reader."""
        client = WireClient(self.fanin.port, capabilities=capabilities)
        port = str(self.cluster.readers[0].port).encode()
        eventually(lambda: client.value(WHERE) == port)
        return client

    def stop_after(self, size: int) -> None:
        """The reader's answers end after so many bytes of each connection."""
        self._loop.call(self._network.to_client.add, BlackHole(size))

    def cut(self) -> None:
        """The reader's connections end; the next ones are in order."""
        self._loop.call(self._cut)

    def _cut(self) -> None:
        self._network.cut()
        self._network.to_client.replace()


@pytest.fixture(scope="module", params=BOTH)
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    with Cluster(request.param, readers=1) as cluster, LoopThread() as loop:
        writer, reader = cluster.servers
        writer.sql("CREATE TABLE app.place (port INT)")
        writer.sql("CREATE TABLE app.t (id INT PRIMARY KEY, v VARCHAR(100))")
        rows = ",".join(f"({id}, '{id % 10}{'x' * 90}')" for id in range(ROWS))
        writer.sql(f"INSERT INTO app.t VALUES {rows}")
        cluster.catch_up()
        for server in cluster.servers:
            put_up_a_sign(server)
        network = ToxicProxy(HOST, reader.port)
        loop.run(network.accept())
        with placing(cluster, ways={reader.port: network.port}) as fanin:
            yield Lines(cluster, fanin, network, loop)
        loop.run(network.stop())


def reading(client: WireClient, is_binary: bool) -> bytes:
    """The command for `ALL`."""
    if not is_binary:
        return b"\x03" + ALL
    answer = client.command(b"\x16" + ALL)
    return b"\x17" + answer[0][1:5] + b"\0" + (1).to_bytes(4, "little")


def read(client: WireClient, is_binary: bool) -> bytes:
    """The whole answer, as it comes."""
    command = reading(client, is_binary)
    size = sum(4 + len(payload) for payload in client.command(command))
    client.send(command)
    return client.stream.read(size)


def reads_a_part(lines: Lines, client: WireClient, is_binary: bool) -> bytes:
    """Of the answer; the connection to the reader has ended then."""
    command = reading(client, is_binary)
    lines.stop_after(PART)
    client.send(command)
    part = client.stream.read(PART // 2)
    lines.cut()
    return part


@CAPABILITIES
@AS
def test_a_long_answer_goes_on(lines: Lines, capabilities: int, is_binary: bool) -> None:
    with lines.client(capabilities) as client:
        wanted = read(client, is_binary)
        got = reads_a_part(lines, client, is_binary)
        got += client.stream.read(len(wanted) - len(got))
        assert packets(got) == packets(wanted)
        assert client.value(ONE) == b"7" + b"x" * 90


@CAPABILITIES
@AS
def test_so_does_one_in_a_transaction_that_has_read(lines: Lines, capabilities: int, is_binary: bool) -> None:
    with lines.client(capabilities) as client:
        client.ok(BEGIN)
        wanted = read(client, is_binary)
        assert client.value(ONE) == b"7" + b"x" * 90
        got = reads_a_part(lines, client, is_binary)
        got += client.stream.read(len(wanted) - len(got))
        assert packets(got) == packets(wanted)
        assert client.value(ONE) == b"7" + b"x" * 90
        client.ok("COMMIT")


@AS
def test_a_transaction_goes_on_between_two_reads(lines: Lines, is_binary: bool) -> None:
    with lines.client() as client:
        command = reading(client, is_binary)
        client.ok(BEGIN)
        answer = client.command(command)
        lines.cut()
        # the last line is of the same transaction, on another connection
        assert client.value(ONE) == b"7" + b"x" * 90
        assert error_code(client.query("DELETE FROM t")) == 1792
        assert client.command(command) == answer
        client.ok("COMMIT")


def test_a_session_without_autocommit_goes_on_too(lines: Lines) -> None:
    with lines.client() as client:
        client.ok("SET SESSION TRANSACTION READ ONLY")
        client.ok("SET autocommit = 0")
        for _ in range(2):
            assert client.value("SELECT COUNT(*) FROM t") == str(ROWS).encode()
            lines.cut()
            assert client.value(ONE) == b"7" + b"x" * 90
            assert error_code(client.query("DELETE FROM t")) == 1792
            client.ok("COMMIT")


@pytest.fixture
def changed(lines: Lines) -> Iterator[str]:
    """A statement that changes what was read, run on the writer; what it does is undone."""
    yield "UPDATE app.t SET v = CONCAT('y', v) WHERE id = 7"
    lines.cluster.writer.sql("UPDATE app.t SET v = SUBSTR(v, 2) WHERE v LIKE 'y%'")
    lines.cluster.catch_up()


def test_who_would_see_another_moment_begins_again(lines: Lines, changed: str) -> None:
    with lines.client() as client:
        client.ok(BEGIN)
        assert client.value(ONE) == b"7" + b"x" * 90
        lines.cluster.writer.sql(changed)
        lines.cluster.catch_up()
        assert client.value(ONE) == b"7" + b"x" * 90
        lines.cut()
        assert error_code(client.query("SELECT COUNT(*) FROM t")) == 1213
        client.ok(BEGIN)
        assert client.value(ONE) == b"y7" + b"x" * 90


def test_in_the_middle_of_an_answer_its_connection_ends(lines: Lines, changed: str) -> None:
    with lines.client() as client:
        command = reading(client, False)
        lines.stop_after(PART)
        client.send(command)
        client.stream.read(PART // 2)
        lines.cluster.writer.sql(changed)
        lines.cluster.catch_up()
        lines.cut()
        while client.stream.read1():
            pass
        assert is_closed(client)
