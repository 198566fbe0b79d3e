"""Nobody can tell: each script of `scripts` is run on a direct connection, and through Fanin with a rival that takes the only backend
between any two steps. Every byte of every answer has to be the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bench.servers import Server
from tests.integration.answers import comparable, told
from tests.integration.fixtures import MakeFanin
from tests.integration.running import Fanin, Shared, run
from tests.integration.scripts import CLEAN, CONTENT
from tests.integration.scripts import SCRIPTS as OTHER_SCRIPTS
from tests.integration.setting_scripts import SETTING_SCRIPTS
from tests.integration.steps import Script
from tests.integration.wire import NEWEST, PLAIN, WireClient

SCRIPTS = (*OTHER_SCRIPTS, *SETTING_SCRIPTS)
KINDS = {"plain": PLAIN, "newest": NEWEST}
RIVAL_STATE = (
    "SET NAMES latin1 COLLATE latin1_german1_ci",
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT', time_zone = '-05:00', foreign_key_checks = 0",
    "SET group_concat_max_len = 77, lc_time_names = 'fr_FR', autocommit = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
)


class Rival:
    """A client that leaves as much as it can on the backend, and looks whether its own is still there."""

    def __init__(self, fanin: Fanin, server: Server) -> None:
        server.sql("CREATE DATABASE IF NOT EXISTS rival")
        server.sql(
            "CREATE TABLE IF NOT EXISTS rival.r (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=1000000"
        )
        self.fanin = fanin
        self.client = WireClient(fanin.port, database="rival")
        for statement in RIVAL_STATE:
            self.client.ok(statement)
        self.insert_id = b"0"
        # its last turn went well
        self.is_fit = True

    def turn(self) -> None:
        """Take the backend and use it."""
        client, self.is_fit = self.client, False
        assert client.value("SELECT LAST_INSERT_ID()") == self.insert_id
        assert client.value(
            "SELECT CONCAT_WS('|', @@sql_mode, @@group_concat_max_len, DATABASE(), @@collation_connection)"
        ) == (b"PIPES_AS_CONCAT,ANSI_QUOTES|77|rival|latin1_german1_ci")
        self.insert_id = str(client.ok("INSERT INTO r () VALUES ()").insert_id).encode()
        client.query("SELECT * FROM nothing")
        self.is_fit = True

    def read(self) -> None:
        """Use a reader's backend, too: it has what this client has written."""
        client, self.is_fit = self.client, False
        client.ok("START TRANSACTION READ ONLY")
        assert client.value("SELECT MAX(id) >= LAST_INSERT_ID() FROM r") == b"1"
        assert client.value("SELECT CONCAT_WS('|', @@sql_mode, DATABASE(), LAST_INSERT_ID())") == (
            b"PIPES_AS_CONCAT,ANSI_QUOTES|rival|" + self.insert_id
        )
        client.ok("COMMIT")
        client.query("SELECT * FROM nothing")
        self.is_fit = True


@pytest.fixture(scope="module")
def rivals(shared_fanins: Shared) -> Iterator[dict[int, Rival]]:
    made: dict[int, Rival] = {}
    yield made
    for rival in made.values():
        rival.client.close()


@pytest.fixture
def rival(server: Server, rivals: dict[int, Rival], fanin: MakeFanin) -> Rival:
    if server.port not in rivals:
        for statement in CONTENT:
            server.sql(statement)
        dirty.add(server.port)
    elif not rivals[server.port].is_fit:
        rivals.pop(server.port).client.close()
    if server.port not in rivals:
        rivals[server.port] = Rival(fanin(server, pool_size=1), server)
    return rivals[server.port]


Answers = list[list[bytes]]


WRITES = re.compile(r"INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|inserts|XA|Prepare")
dirty: set[int] = set()
"""Ports of servers whose content is not known to be clean."""


def clean(root: Any, port: int, script: Script) -> None:
    """The content as every script expects it."""
    writes = WRITES.search(str(script)) is not None
    if port in dirty or writes:
        run(root, *CLEAN)
    if writes:
        dirty.add(port)
    else:
        dirty.discard(port)


def play(script: Script, client: WireClient, between: Rival | None = None) -> Answers:
    """Run a script. The rival takes its turn wherever the session has not kept its backend."""
    ids: dict[str, int] = {}
    answers = []
    for step in script.steps:
        if between is not None and not between.fanin.is_holding(client.thread_id):
            between.turn()
        answers.append(step.run(client, ids))
    return answers


@functools.cache
def names() -> list[str]:
    return [script.name for script in SCRIPTS]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("script", SCRIPTS, ids=names())
def test_answers_are_those_of_a_direct_connection(
    script: Script, kind: str, server: Server, root: Any, rival: Rival, request: pytest.FixtureRequest
) -> None:
    if server.kind not in script.kinds:
        pytest.skip("not a statement of this server")
    if script.differs:
        request.applymarker(pytest.mark.xfail(reason=script.differs, strict=True))
    capabilities = KINDS[kind] | script.capabilities
    played: list[Answers] = []
    for port, between in ((server.port, None), (rival.fanin.port, rival)):
        clean(root, server.port, script)
        with WireClient(
            port, capabilities=capabilities, database=script.database, collation=script.collation
        ) as client:
            played.append(play(script, client, between))
            client.quit()
    played = [
        [[comparable(each, capabilities) for each in answer] for answer in answers] for answers in played
    ]
    direct, through = played
    for step, wanted, got in zip(script.steps, direct, through, strict=True):
        assert [told(each, capabilities) for each in got] == [told(each, capabilities) for each in wanted], (
            step
        )
        assert got == wanted, step


def test_names_of_scripts_differ() -> None:
    assert len(set(names())) == len(names())
