from __future__ import annotations

import gc

from proxy.shared import FIRST_CONNECTION_ID, ID_COUNT
from tests.fakes.loop import StepLoop
from tests.fakes.wire import IN_TRANS, ok, query
from tests.fakes.world import Log, World, make_shared
from tests.proxy.conftest import MakeWorld


def test_connection_ids_wrap_around_and_pass_over_those_in_use(world: World) -> None:
    client = world.client()
    assert client.connection_id == FIRST_CONNECTION_ID
    world.shared.next_id = ID_COUNT - 1
    assert world.shared.new_connection_id() == FIRST_CONNECTION_ID + ID_COUNT - 1 == 0xFFFFFFFE
    assert world.shared.new_connection_id() == FIRST_CONNECTION_ID + 1


def test_one_password_of_a_user_is_proven_at_a_time(world: World) -> None:
    lock = world.shared.proof_lock(b"a")
    assert world.shared.proof_lock(b"a") is lock
    assert world.shared.proof_lock(b"b") is not lock
    del lock
    gc.collect()
    assert list(world.shared.proof_locks) == []


def test_waiting_for_a_server_ends_after_a_while(make_world: MakeWorld) -> None:
    world = make_world(knows_server=False)
    task = world.loop.create_task(world.shared.wait_for_facts())
    world.loop.advance(4.9)
    assert not task.done()
    world.loop.advance(0.2)
    assert task.done()


def test_sessions_of_the_first_listener_use_the_writer(make_world: MakeWorld) -> None:
    world = make_world(readers=2)
    assert [endpoint.name for endpoint in world.shared.endpoints()] == ["writer", "reader-1", "reader-2"]
    for _ in range(3):
        assert world.shared.choose(False).name == "writer"


def test_without_a_writer_whoever_there_is_is_asked(make_world: MakeWorld) -> None:
    world = make_world(readers=1)
    world.shared.writers.clear()
    assert world.shared.choose(False).name == "reader-1"


def test_readers_are_used_in_turns_and_by_their_leases(make_world: MakeWorld) -> None:
    world = make_world(readers=2, pool_size=5)
    world.doorway.is_reader = True
    used = []
    for _ in range(4):
        client = world.client()
        client.sends(query("BEGIN"))
        (server,) = [end for fake in world.reader_servers for end in fake.ends if end.got()]
        server.answers(ok(IN_TRANS))
        used.append(server.server.host)
    assert used == ["reader-1", "reader-2", "reader-1", "reader-2"]
    assert world.server.ends == []
    # the one with fewer leases is preferred
    for client in world.clients[1::2]:
        client.leaves()
    assert [world.shared.choose(True).name for _ in range(2)] == ["reader-2", "reader-2"]


def test_ids_tell_whose_client_it_is() -> None:
    loop = StepLoop()
    workers = [make_shared(loop, Log()) for _ in range(3)]
    for number, shared in enumerate(workers):
        shared.workers, shared.worker = 3, number
    ids = [shared.new_connection_id() for shared in workers for _ in range(4)]
    assert len(set(ids)) == 12
    first, second, _ = workers
    connection_id = second.new_connection_id()
    assert (first.is_colleagues(connection_id), second.is_colleagues(connection_id)) == (True, False)
    for shared in workers:
        shared.next_id = ID_COUNT // 3 - 1
        last = shared.new_connection_id()
        assert FIRST_CONNECTION_ID <= last < 1 << 32
        assert not shared.is_colleagues(last)
        assert shared.new_connection_id() == FIRST_CONNECTION_ID + shared.worker
    loop.close()
