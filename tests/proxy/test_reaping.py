"""What dead workers have left at a server is ended."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.auth import Verifier
from protocol.packets import Column, text_resultset
from proxy.credentials import Credential
from proxy.orphans import UPTIME, Connection, told_of
from proxy.reaping import LONGEST_PAUSE, Reaper
from proxy.shares import SETTLES
from tests.fakes.wire import AUTOCOMMIT, error, ok
from tests.fakes.world import World
from tests.proxy.conftest import MakeWorld

ENDED = 0.5
"""Seconds within which an orphan has been ended and told."""
Row = tuple[int, bytes, bytes]


class Scene:
    """A server with connections of the dead: those of `threads` are there, of which KILL ends all but the `stubborn`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[Any] = []
        self.threads: dict[int, tuple[bytes, bytes]] = {}
        self.stubborn: set[int] = set()
        self.killed: list[int] = []
        self.refusal: bytes | None = None
        self.shift = 0
        self.uptime = 100
        self.looks = 0
        self.reaper = Reaper(world.shared, world.log, lambda *told: self.told.append(told), world.loop.time)
        world.server.answers_itself = self._answer

    def _answer(self, payload: bytes) -> bytes | None:
        text = payload[1:]
        if text.startswith(b"KILL "):
            server_id = int(text.split()[-1])
            self.killed.append(server_id)
            if self.refusal is not None:
                return self.refusal
            if server_id not in self.stubborn:
                self.threads.pop(server_id, None)
            return ok()
        if text == UPTIME:
            return self._rows([[b"Uptime", b"%d" % self.uptime]])
        if b"PROCESSLIST" in text:
            self.looks += 1
            end = self.world.server.last
            assert end.login is not None
            own = [b"%d" % end.server_id, end.login.user, b"localhost:%d" % (end.port + self.shift)]
            others = [[b"%d" % each, *seen] for each, seen in self.threads.items()]
            return self._rows([own, *others])
        return None

    def _rows(self, rows: list[list[bytes]]) -> bytes:
        columns = [Column(b"%d" % number) for number in range(len(rows[0]))]
        found: list[list[bytes | None]] = [list(row) for row in rows]
        return text_resultset(columns, found, status=AUTOCOMMIT, deprecate_eof=True)

    def there_is(self, server_id: int, user: bytes = b"app", host: bytes = b"localhost:1007") -> None:
        self.threads[server_id] = (user, host)

    def takes(self, *connections: Connection) -> None:
        credential = self.world.shared.credentials.find(b"app")
        assert credential is not None
        other = told_of(Credential(b"other", b"wrong", Verifier(None, None)))
        told = {"connections": connections, "credentials": {"app": told_of(credential), "other": other}}
        self.world.loop.call(self._take, told)

    def _take(self, told: Any) -> None:
        self.world.loop.create_task(self._taken(told))

    async def _taken(self, told: Any) -> None:
        self.reaper.take(told)

    def passes(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    def stops(self) -> None:
        self.world.loop.run_until_complete(self.reaper.stop())


def connection(server_id: int, port: int = 1007, user: str = "app") -> Connection:
    return Connection("writer", server_id, user, port, 0.0)


@pytest.fixture
def scene(make_world: MakeWorld) -> Scene:
    return Scene(make_world())


def test_what_is_there_is_killed_and_told_when_it_is_gone(scene: Scene) -> None:
    scene.there_is(507)
    scene.takes(connection(507))
    assert (scene.killed, scene.told) == ([507], [])
    scene.passes(SETTLES)
    assert scene.told == [("reaped", [("writer", 507)])]
    (end,) = scene.world.server.ends
    assert end.is_closed and not scene.world.writer.side_lock.locked()
    assert "connections of a dead worker are killed" in [event for _, event, _ in scene.world.log.lines]


def test_what_is_gone_is_told(scene: Scene) -> None:
    scene.takes(connection(507), connection(508))
    scene.passes(SETTLES)
    assert (scene.killed, scene.told) == ([], [("reaped", [("writer", 507), ("writer", 508)])])
    assert (scene.looks, scene.world.log.warnings()) == (1, [])


def test_somebody_elses_is_not_killed(scene: Scene) -> None:
    scene.there_is(507, host=b"localhost:1008")
    scene.there_is(508, user=b"other")
    scene.takes(connection(507), connection(508))
    scene.passes(SETTLES)
    assert (scene.killed, len(scene.told)) == ([], 1)


def test_what_does_not_end_at_once_is_waited_for(scene: Scene) -> None:
    scene.there_is(507)
    scene.there_is(508)
    scene.stubborn.add(507)
    scene.takes(connection(507), connection(508))
    scene.passes(ENDED)
    assert scene.told == [("reaped", [("writer", 508)])]
    before = scene.looks
    scene.passes(10 * LONGEST_PAUSE)
    # each time before a KILL and after it
    assert before + 20 <= scene.looks <= before + 40
    del scene.threads[507]
    scene.passes(2 * LONGEST_PAUSE)
    assert scene.told[1:] == [("reaped", [("writer", 507)])]


def test_while_the_server_does_not_answer_it_is_tried_again(scene: Scene) -> None:
    scene.world.server.is_down = True
    scene.takes(connection(507))
    scene.passes(60)
    assert (scene.told, scene.world.log.warnings()) == (
        [],
        ["connections of a dead worker cannot be ended yet"],
    )
    scene.world.server.is_down = False
    scene.passes(LONGEST_PAUSE + ENDED)
    assert scene.told == [("reaped", [("writer", 507)])]


def test_a_kill_that_comes_too_late_does_not_matter(scene: Scene) -> None:
    scene.there_is(507)
    scene.refusal = error(1094)
    scene.stubborn.add(507)
    scene.takes(connection(507))
    scene.threads.clear()
    scene.passes(ENDED)
    assert (scene.told, scene.world.log.warnings()) == ([("reaped", [("writer", 507)])], [])


def test_what_may_not_be_killed_is_waited_for(scene: Scene) -> None:
    scene.there_is(507)
    scene.refusal = error(1095)
    scene.takes(connection(507))
    scene.passes(60)
    assert (scene.told, len(scene.world.log.warnings())) == ([], 1)
    scene.threads.clear()
    scene.passes(LONGEST_PAUSE + ENDED)
    assert len(scene.told) == 1


def test_where_nobody_knows_whose_it_is_it_is_waited_for(scene: Scene) -> None:
    scene.shift = 1
    scene.there_is(507)
    scene.takes(connection(507))
    scene.passes(60)
    assert (scene.killed, scene.told, len(scene.world.log.warnings())) == ([], [], 1)
    scene.threads.clear()
    scene.passes(LONGEST_PAUSE + ENDED)
    assert len(scene.told) == 1


def test_each_user_looks_for_itself(scene: Scene) -> None:
    scene.world.client(user=b"other", password=b"other")
    before = len(scene.world.server.ends)
    scene.takes(connection(507), connection(508, user="other"))
    scene.passes(ENDED)
    # the password that was told is not the one that a later login has brought
    users = [end.login and end.login.user for end in scene.world.server.ends[before:]]
    assert sorted(map(str, users)) == ["b'app'", "b'other'"]
    assert sorted(scene.told) == [("reaped", [("writer", 507)]), ("reaped", [("writer", 508)])]


def test_who_is_no_more_let_in_holds_up_nobody_else(scene: Scene) -> None:
    scene.takes(connection(507), connection(508, user="other"))
    scene.passes(60)
    assert scene.told == [("reaped", [("writer", 507)])]
    assert len(scene.world.log.warnings()) == 1
    scene.stops()


def test_a_server_that_is_not_known_here_is_waited_for(scene: Scene) -> None:
    scene.takes(connection(507)._replace(endpoint="reader-9"))
    scene.passes(60)
    assert (scene.told, len(scene.world.log.warnings())) == ([], 1)
    scene.stops()


def test_what_is_told_again_is_ended_once(scene: Scene) -> None:
    scene.there_is(507)
    scene.takes(connection(507))
    scene.takes(connection(507))
    scene.passes(ENDED)
    assert (scene.killed, len(scene.told)) == ([507], 1)


def test_it_may_stop_at_any_time(scene: Scene) -> None:
    scene.stops()
    scene.world.server.is_silent = True
    scene.takes(connection(507))
    scene.stops()
    scene.passes(60)
    assert scene.told == []
