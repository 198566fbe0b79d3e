"""Django's ORM with mysqlclient, unmodified: an ordinary application with persistent connections shares two backends, and is never pinned."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.servers import HOST, PASSWORD, SCHEMA, USER, Server
from tests.integration.running import Fanin

django = pytest.importorskip("django")
pytest.importorskip("MySQLdb", reason="mysqlclient is not installed")

from django.conf import settings  # noqa: E402
from django.db import IntegrityError, close_old_connections, connections, models, transaction  # noqa: E402

THREADS = 12
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def set_up() -> None:
    """Django is configured once for a process; `database` says where connections go."""
    if not settings.configured:
        settings.configure(DATABASES={}, INSTALLED_APPS=[], USE_TZ=True)
        django.setup()


@pytest.fixture
def database(two: Fanin) -> Iterator[str]:
    """The alias of a database behind Fanin."""
    alias = f"fanin{next(_numbers)}"
    connections.databases[alias] = connections.configure_settings(
        {
            "default": {},
            alias: {
                "ENGINE": "django.db.backends.mysql",
                "HOST": HOST,
                "PORT": two.port,
                "USER": USER,
                "PASSWORD": PASSWORD,
                "NAME": SCHEMA,
                "CONN_MAX_AGE": None,
                "CONN_HEALTH_CHECKS": True,
                "OPTIONS": {"charset": "utf8mb4"},
            },
        }
    )[alias]
    yield alias
    connections[alias].close()
    del connections[alias]
    del connections.databases[alias]


@pytest.fixture
def note(database: str) -> Any:
    """A model with a table of its own."""
    name = f"Note{next(_numbers)}"
    meta = type("Meta", (), {"app_label": "notes"})
    fields: dict[str, Any] = {
        "__module__": __name__,
        "Meta": meta,
        "owner": models.IntegerField(),
        "title": models.CharField(max_length=50, unique=True),
        "visits": models.IntegerField(default=0),
    }
    model = type(name, (models.Model,), fields)
    with connections[database].schema_editor() as editor:
        editor.create_model(model)
    return model


def in_threads(database: str, work: Callable[[int], None], count: int) -> None:
    """Each piece of work as a request: on the thread's own persistent connection."""
    opened: set[Any] = set()
    lock = threading.Lock()

    def request(number: int) -> None:
        close_old_connections()
        work(number)
        close_old_connections()
        with lock:
            opened.add(connections[database])
        connections[database].inc_thread_sharing()  # so that it can be closed from here

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(request, range(count)))
    for connection in opened:
        connection.close()


def test_requests_of_many_threads_are_never_pinned(database: str, note: Any, two: Fanin) -> None:
    pinned, commands = two.metric("fanin_pins_total"), two.metric("fanin_pinned_commands_total")
    rows = note.objects.using(database)

    def work(number: int) -> None:
        with transaction.atomic(using=database):
            mine = rows.create(owner=number, title=f"note {number}")
            with pytest.raises(IntegrityError), transaction.atomic(using=database):
                rows.create(owner=number, title=f"note {number}")
            with transaction.atomic(using=database):
                rows.create(owner=number, title=f"nested {number}")
        assert rows.get(pk=mine.pk).title == f"note {number}"
        with pytest.raises(KeyError), transaction.atomic(using=database):
            rows.filter(pk=mine.pk).update(visits=99)
            raise KeyError
        with transaction.atomic(using=database):
            locked = rows.select_for_update().get(pk=mine.pk)
            locked.visits += 1
            locked.save(using=database)
        found, is_new = rows.get_or_create(title=f"got {number}", defaults={"owner": number})
        again, is_new_again = rows.get_or_create(title=f"got {number}", defaults={"owner": number})
        assert (is_new, is_new_again, found.pk) == (True, False, again.pk)
        many = [note(owner=number, title=f"bulk {number}.{each}") for each in range(5)]
        rows.bulk_create(many)
        rows.bulk_create(many, ignore_conflicts=True)
        assert sorted(rows.filter(owner=number).values_list("title", flat=True)) == sorted(
            [f"note {number}", f"nested {number}", f"got {number}", *(each.title for each in many)]
        )
        assert rows.get(pk=mine.pk).visits == 1
        assert rows.filter(title=f"bulk {number}.0").delete()[0] == 1

    in_threads(database, work, 3 * THREADS)
    assert rows.count() == 3 * THREADS * 7
    assert two.metric("fanin_pins_total") == pinned
    assert two.metric("fanin_pinned_commands_total") == commands
    assert two.endpoint()["leased"] == 0


def test_insert_id_of_plain_sql_is_the_connections_own(database: str, note: Any) -> None:
    def work(number: int) -> None:
        with connections[database].cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {note._meta.db_table} (owner, title, visits) VALUES (%s, %s, 0)",
                [number, f"sql {number}"],
            )
            mine = cursor.lastrowid
            cursor.execute("SELECT LAST_INSERT_ID()")
            assert cursor.fetchone() == (mine,)
        assert note.objects.using(database).get(pk=mine).owner == number

    in_threads(database, work, 4 * THREADS)


def test_isolation_level_and_autocommit_are_those_that_django_has_set(
    database: str, note: Any, server: Server
) -> None:
    name = "transaction_isolation" if server.kind == "mysql" else "tx_isolation"

    def work(number: int) -> None:
        connection = connections[database]
        assert connection.get_autocommit()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT @@{name}, @@autocommit")
            assert cursor.fetchone() == ("READ-COMMITTED", 1)
            with transaction.atomic(using=database):
                cursor.execute(f"SELECT @@{name}, @@autocommit")
                assert cursor.fetchone() == ("READ-COMMITTED", 0)

    in_threads(database, work, 4 * THREADS)
