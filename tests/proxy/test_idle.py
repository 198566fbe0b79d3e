from __future__ import annotations

from proxy.idle import IdleWatch


class Client:
    due_tick = 0


def test_a_client_is_looked_at_when_it_is_due_and_not_before() -> None:
    watch: IdleWatch[Client] = IdleWatch(100.0)
    client = Client()
    watch.watch(client, 101.0)

    assert watch.count == 1
    assert watch.take_due(100.9) == []
    assert watch.take_due(101.2) == [client]
    assert (watch.count, client.due_tick) == (0, 0)
    assert watch.take_due(500.0) == []


def test_a_client_that_is_far_from_its_end_is_looked_at_early_and_seldom() -> None:
    watch: IdleWatch[Client] = IdleWatch(1000.0)
    client, now, looks = Client(), 1000.0, 0
    watch.watch(client, now + 28800)
    while now < 29801.0:
        now += 0.1
        for due in watch.take_due(now):
            looks += 1
            if now < 29800.0:
                assert now > 29700
                watch.watch(due, 29800.0)

    assert 1 < looks < 8
    assert watch.count == 0


def test_many_clients_share_few_buckets() -> None:
    watch: IdleWatch[Client] = IdleWatch(0.0)
    clients = [Client() for _ in range(1000)]
    for number, client in enumerate(clients):
        watch.watch(client, 28800 + number / 10)

    assert len({client.due_tick for client in clients}) <= 3


def test_watching_again_moves_a_client() -> None:
    watch: IdleWatch[Client] = IdleWatch(0.0)
    client, other = Client(), Client()
    watch.watch(client, 2.0)
    watch.watch(other, 2.0)
    watch.watch(client, 1.0)

    assert watch.count == 2
    assert watch.take_due(1.5) == [client]
    assert watch.take_due(2.5) == [other]


def test_who_has_left_is_not_looked_at() -> None:
    watch: IdleWatch[Client] = IdleWatch(0.0)
    client, other = Client(), Client()
    watch.watch(client, 2.0)
    watch.watch(other, 2.0)
    watch.forget(client)
    watch.forget(client)

    assert watch.take_due(9.0) == [other]
    watch.watch(client, 20.0)
    watch.forget(client)
    assert (watch.count, watch.take_due(30.0)) == (0, [])


def test_what_is_overdue_is_looked_at_next() -> None:
    watch: IdleWatch[Client] = IdleWatch(50.0)
    client = Client()
    watch.watch(client, 10.0)

    assert watch.take_due(50.05) == []
    assert watch.take_due(50.15) == [client]


def test_a_tick_that_comes_late_finds_all_in_order() -> None:
    watch: IdleWatch[Client] = IdleWatch(0.0)
    first, second = Client(), Client()
    watch.watch(second, 3.0)
    watch.watch(first, 1.0)

    assert watch.take_due(60.0) == [first, second]
