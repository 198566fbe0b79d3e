"""SQLAlchemy, core and ORM, with its own pool in front: an ordinary application is shared between transactions and never pinned."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from bench.servers import HOST, PASSWORD, SCHEMA, USER, Server
from tests.integration.running import Fanin

_numbers = itertools.count(1)


@pytest.fixture(params=["pymysql", "mysqldb"])
def engine(request: pytest.FixtureRequest, two: Fanin) -> Iterator[sa.Engine]:
    if request.param == "mysqldb":
        pytest.importorskip("MySQLdb", reason="mysqlclient is not installed")
    url = f"mysql+{request.param}://{USER}:{PASSWORD}@{HOST}:{two.port}/{SCHEMA}?charset=utf8mb4"
    made = sa.create_engine(url, pool_size=10, max_overflow=5, pool_pre_ping=True)
    yield made
    made.dispose()


def models() -> tuple[Any, Any]:
    """Two classes with tables of their own: an author and books."""
    number = next(_numbers)
    registry = type("Registry", (orm.DeclarativeBase,), {})

    class Author(registry):  # type: ignore[misc, valid-type]
        __tablename__ = f"author{number}"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String(50), unique=True)
        books = orm.relationship("Book", back_populates="author", cascade="all, delete-orphan")

    class Book(registry):  # type: ignore[misc, valid-type]
        __tablename__ = f"book{number}"
        id = sa.Column(sa.Integer, primary_key=True)
        title = sa.Column(sa.String(50))
        author_id: Any = sa.Column(sa.ForeignKey(f"author{number}.id"))
        author = orm.relationship("Author", back_populates="books")

    return Author, Book


def test_application_with_an_orm_is_never_pinned(engine: sa.Engine, two: Fanin) -> None:
    pinned = two.metric("fanin_pins_total")
    author_class, book_class = models()
    author_class.metadata.create_all(engine)

    def work(number: int) -> None:
        with orm.Session(engine) as session:
            author = author_class(name=f"author {number}")
            author.books = [book_class(title=f"book {number}.{book}") for book in range(3)]
            session.add(author)
            session.commit()
        with orm.Session(engine) as session, session.begin():
            found: Any = session.scalars(
                sa.select(author_class).where(author_class.name == f"author {number}")
            ).one()
            assert sorted(book.title for book in found.books) == [
                f"book {number}.{book}" for book in range(3)
            ]
            found.books.pop()
        with orm.Session(engine) as session:
            with pytest.raises(sa.exc.IntegrityError):
                session.add(author_class(name=f"author {number}"))
                session.flush()
            session.rollback()
            session.add(author_class(name=f"other {number}"))
            session.flush()
            with session.begin_nested():
                session.add(author_class(name=f"nested {number}"))
            session.rollback()

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(work, range(30)))
    with orm.Session(engine) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(author_class)) == 30
        assert session.scalar(sa.select(sa.func.count()).select_from(book_class)) == 60
    assert two.metric("fanin_pins_total") == pinned
    assert two.endpoint()["leased"] == 0


def test_savepoint_before_anything_else_pins_until_the_end_of_the_transaction(
    engine: sa.Engine, two: Fanin
) -> None:
    # under autocommit=0 the server does not take it for the beginning of a transaction, but it is one
    with engine.connect() as connection:
        with connection.begin_nested():
            connection.exec_driver_sql("DO 1")
            assert two.metric("fanin_pinned", reason="savepoint") == 1
        connection.rollback()
        assert two.metric("fanin_pinned") == 0


def test_core_reads_its_inserted_key(engine: sa.Engine, two: Fanin) -> None:
    table = sa.Table(
        f"core{next(_numbers)}",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("v", sa.Integer),
    )
    table.create(engine)
    keys = set()
    lock = threading.Lock()

    def work(number: int) -> None:
        with engine.begin() as connection:
            key = connection.execute(table.insert().values(v=number)).inserted_primary_key
            assert key is not None
            assert connection.scalar(sa.select(table.c.v).where(table.c.id == key[0])) == number
            with lock:
                keys.add(key[0])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    assert len(keys) == 40
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 40


def test_isolation_level_of_one_connection_stays_its_own(engine: sa.Engine, server: Server) -> None:
    name = "transaction_isolation" if server.kind == "mysql" else "tx_isolation"
    with (
        engine.connect() as plain,
        engine.connect().execution_options(isolation_level="SERIALIZABLE") as strict,
    ):
        assert strict.scalar(sa.text(f"SELECT @@{name}")) == "SERIALIZABLE"
        assert plain.scalar(sa.text(f"SELECT @@{name}")) == "REPEATABLE-READ"
        strict.rollback()
        plain.rollback()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as loose:
        assert loose.scalar(sa.text("SELECT @@autocommit")) == 1


def test_reflection_and_streaming(engine: sa.Engine) -> None:
    name = f"reflected{next(_numbers)}"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, s VARCHAR(20) NOT NULL, UNIQUE (s))"
        )
        connection.execute(
            sa.text(f"INSERT INTO {name} (s) VALUES (:s)"), [{"s": f"row {n}"} for n in range(500)]
        )
    table = sa.Table(name, sa.MetaData(), autoload_with=engine)
    assert [column.name for column in table.columns] == ["id", "s"]
    with engine.connect().execution_options(stream_results=True) as connection:
        assert sum(1 for _ in connection.execute(sa.select(table))) == 500
