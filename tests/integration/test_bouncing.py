"""What ends a READ ONLY transaction on a reader by something that may write: every byte of every answer is that of a direct connection to the writer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from bench.cluster import Cluster
from protocol.constants import Capability
from tests.integration.answers import comparable, told
from tests.integration.running import Fanin, run
from tests.integration.test_placing import BOTH, placing, put_up_a_sign
from tests.integration.wire import NEWEST, PLAIN, WireClient

SEVERAL = int(Capability.MULTI_STATEMENTS)
KINDS = {"plain": PLAIN | SEVERAL, "newest": NEWEST | SEVERAL}
CONTENT = (
    "DROP TABLE IF EXISTS app.n, app.m",
    "CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY, v INT)",
    "DELETE FROM app.t",
    "INSERT INTO app.t VALUES (1, 10), (2, 20)",
)
BEGIN = "START TRANSACTION READ ONLY"
READ = "SELECT v FROM t WHERE id = 1"
INSERT = "INSERT INTO t VALUES (5, 50)"
ALL = "SELECT id, v FROM t ORDER BY id"
BINARY = "binary: "
"""In front of a text that is prepared and executed."""

Script = tuple[str, ...]


SET = "SET TRANSACTION READ ONLY"
LEVEL = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
SESSION = "SET SESSION TRANSACTION READ ONLY"
LATER = "INSERT INTO t VALUES (6, 60)"

ENDING = (
    "CREATE TABLE n (a INT)",
    BINARY + "CREATE TABLE n (a INT)",
    "FLUSH TABLES",
    BINARY + "FLUSH TABLES",
    BINARY + "ANALYZE TABLE t",
    "LOCK TABLES t READ",
    "TRUNCATE nope",
    "CREATE TEMPORARY TABLE n (a INT)",
    "UNINSTALL PLUGIN nope",
    "SET PASSWORD = 'app'",
    "BEGIN",
    "START TRANSACTION READ WRITE",
    f"COMMIT; {INSERT}",
    f"ROLLBACK; BEGIN; {INSERT}; COMMIT",
    f"SELECT 1; COMMIT; {INSERT}",
    f"SELECT 1; COMMIT AND CHAIN; {INSERT}",
    f"SELECT 1; {INSERT}",
    f"{INSERT}; COMMIT; SELECT 1",
    "SELECT 1 UNION SELECT 2; COMMIT; SELECT FOUND_ROWS(), ROW_COUNT()",
    "DO 1/0; ROLLBACK; SHOW WARNINGS",
    "SELECT nope; COMMIT; SELECT 1",
    f"SELECT 1; SELECT 2; COMMIT; {INSERT}; SELECT nope",
    "SELECT 1; FLUSH TABLES; SELECT 2",
    "FLUSH TABLES; SELECT 1",
    "CREATE TABLE n (a INT); INSERT INTO n VALUES (1)",
    "SELECT 1; CREATE TABLE n (a INT); SELECT * FROM n",
    f"BEGIN; {INSERT}; COMMIT",
    f"START TRANSACTION READ WRITE; {INSERT}; COMMIT",
)
AFTER_SET = (
    INSERT,
    BINARY + INSERT,
    "CREATE TABLE n (a INT)",
    BINARY + "CREATE TABLE n (a INT)",
    "LOCK TABLES t WRITE",
    "FLUSH TABLES",
    "START TRANSACTION READ WRITE",
    "SET TRANSACTION READ WRITE",
    "SELECT v FROM t FOR UPDATE",
    f"SELECT 1; {INSERT}",
    "SET @a = 7",
    "SELECT 1",
    "COMMIT",
)
SCRIPTS: tuple[Script, ...] = (
    *[(BEGIN, READ, text, "SELECT 1", LATER) for text in ENDING],
    *[(SET, text, "SELECT 1", LATER, "SELECT @a") for text in AFTER_SET],
    (SET, LEVEL, "BEGIN", "SELECT 1", INSERT, "COMMIT"),
    (SET, LEVEL, "SET TRANSACTION READ WRITE", "BEGIN", INSERT, "COMMIT"),
    *[
        (SET, f"SET @@{name} = 0", "BEGIN", INSERT, "COMMIT")
        for name in ("transaction_read_only", "tx_read_only")
    ],
    (SET, SET, SET, SET, SET, SET, INSERT, LATER),
    ("SET autocommit = 0", SET, INSERT, "COMMIT", LATER, "COMMIT"),
    ("SET autocommit = 0", SESSION, READ, INSERT, f"COMMIT; {INSERT}", "FLUSH TABLES", "ROLLBACK"),
    ("SET autocommit = 0", SESSION, READ, "SET autocommit = 1", INSERT, "CREATE TABLE n (a INT)"),
    ("SET autocommit = 0", SET, READ, f"SET autocommit = 1; {INSERT}", LATER),
    (BEGIN, "SET completion_type = 1", f"COMMIT; {INSERT}", "SET completion_type = 0", f"COMMIT; {INSERT}"),
    ("/* fanin: reader */ BEGIN", READ, "CREATE TABLE n (a INT)", INSERT),
    ("/* fanin: reader */ BEGIN", READ, f"SELECT 1; COMMIT; {INSERT}"),
)
TRACKED = (
    "CREATE TABLE n (a INT)",
    "FLUSH TABLES",
    "LOCK TABLES t WRITE",
    "BEGIN",
    "TRUNCATE nope",
    "SELECT 1; FLUSH TABLES; SELECT 2",
    f"COMMIT; {INSERT}",
)


@pytest.fixture(scope="module", params=BOTH)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param, readers=1) as started:
        started.writer.sql("CREATE TABLE app.place (port INT)")
        started.catch_up()
        for server in started.servers:
            put_up_a_sign(server)
        yield started


@pytest.fixture(scope="module")
def fanin(cluster: Cluster) -> Iterator[Fanin]:
    with placing(cluster, pool_size=1) as started:
        yield started


def play(client: WireClient, script: Script) -> list[list[bytes]]:
    """The answers to each step, by the packet."""
    answers = []
    for step in script:
        if step.startswith(BINARY):
            prepared = client.command(b"\x16" + step.removeprefix(BINARY).encode())
            answers.append([] if prepared[0][0] == 0 else prepared)
            if prepared[0][0] == 0:
                answers.append(client.command(b"\x17" + prepared[0][1:5] + b"\0" + (1).to_bytes(4, "little")))
        else:
            answers.append(client.query(step))
    return answers


def played(cluster: Cluster, port: int, capabilities: int, script: Script) -> list[list[bytes]]:
    with contextlib.closing(cluster.writer.connect()) as root:
        run(root, *CONTENT)
    # fails where a reader has something in its own log that stops its replication
    cluster.catch_up()
    with WireClient(port, capabilities=capabilities) as client:
        return play(client, (*script, "ROLLBACK", ALL))


def compare(cluster: Cluster, fanin: Fanin, capabilities: int, script: Script) -> None:
    direct, through = [
        played(cluster, port, capabilities, script) for port in (cluster.writer.port, fanin.port)
    ]
    for wanted, got in zip(direct, through, strict=True):
        assert [told(each, capabilities) for each in got] == [told(each, capabilities) for each in wanted]
        assert [comparable(each, capabilities) for each in got] == [
            comparable(each, capabilities) for each in wanted
        ]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("script", SCRIPTS, ids=" | ".join)
def test_it_is_as_if_there_were_only_the_writer(
    cluster: Cluster, fanin: Fanin, kind: str, script: Script
) -> None:
    compare(cluster, fanin, KINDS[kind], script)


@pytest.mark.parametrize("info", ["STATE", "CHARACTERISTICS"])
@pytest.mark.parametrize("text", TRACKED)
def test_who_tracks_transactions_is_told_of_their_end(
    cluster: Cluster, fanin: Fanin, info: str, text: str
) -> None:
    tracking = f"SET SESSION session_track_transaction_info = '{info}'"
    compare(cluster, fanin, KINDS["newest"], (tracking, BEGIN, READ, text, "SELECT 1", LATER, "COMMIT"))
