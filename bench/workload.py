"""What the clients of a load do: schemas, turns of statements, and what each answer must be.

A turn is what a client does in one go, as a web application does for one page: a generator that yields a `Step`
and is sent the `Response` when the caller had to parse it (None when it equals one that was verified before, byte
for byte). Every answer is compared with what this client, and no other, must see.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from random import Random
from typing import Protocol

from bench.response import TEXT, Response, Row

INSERT_BATCH = 1000
TRANSACTION_FLAGS = 0x0003
"""SERVER_STATUS_IN_TRANS and SERVER_STATUS_AUTOCOMMIT."""
BODY = "abcdefghijklmnopqrstuvwxyz0123456789"


class Step:
    """One statement and what must come back.

    ``known`` holds a response that was verified before, when the statement always has the same one: whoever gets
    the same bytes again need not parse them.
    """

    __slots__ = ("affected", "error", "known", "repeats", "rows", "status", "wire")

    form = TEXT  # what the response looks like (bench.response)

    def __init__(
        self,
        sql: str,
        *,
        rows: list[Row] | None = None,
        affected: int | None = None,
        error: int = 0,
        status: int | None = None,
        repeats: bool = False,
    ) -> None:
        """``error``: the code that must be the answer; ``status``: the flags about the transaction that must come with it."""
        self.wire = command(b"\x03" + sql.encode())
        self.rows = rows
        self.affected = affected
        self.error = error
        self.status = status
        self.repeats = repeats
        self.known = b""

    @property
    def sql(self) -> str:
        return self.wire[5:].decode()

    def wrong(self, response: Response) -> str | None:
        """What is wrong with this response to the step, or None."""
        if response.error_code != self.error:
            got = f"{response.error_code} {response.error_message}" if response.error_code else "no error"
            return f"{self.sql}: {got} instead of {self.error}" if self.error else got
        if self.rows is not None and response.rows != self.rows:
            return f"{self.sql}: {response.rows!r:.100} instead of {self.rows!r:.100}"
        if self.affected is not None and response.affected_rows != self.affected:
            return f"{self.sql}: {response.affected_rows} rows affected instead of {self.affected}"
        if self.status is not None and response.status & TRANSACTION_FLAGS != self.status:
            return f"{self.sql}: status {response.status:#x} instead of {self.status:#x}"
        return None


Turn = Generator[Step, Response | None, None]


class Workload(Protocol):
    """What a load needs of a workload. ``number`` tells the clients apart, from 0 up."""

    name: str

    def schema(self, clients: int) -> Iterator[str]:
        """The statements that create everything anew for that many clients."""

    def tables(self) -> list[str]:
        """The tables that ``schema`` creates."""

    def greeting(self, number: int) -> list[Step]:
        """What the client sends after its login, before its first turn."""

    def turn(self, number: int, random: Random) -> Turn:
        """What the client does next. Never called when the workload is idle."""


class Idle:
    """Clients that are there and do nothing."""

    name = "idle"

    def schema(self, clients: int) -> Iterator[str]:
        return iter(())

    def tables(self) -> list[str]:
        return []

    def greeting(self, number: int) -> list[Step]:
        return []

    def turn(self, number: int, random: Random) -> Turn:
        yield Step("DO 0")


class Rows:
    """Each client reads rows of its own: ``per_query`` of some 100 bytes at a time, ``per_turn`` times.

    Above ``owners`` clients, several of them share a block of rows, so that the table keeps a size.
    """

    def __init__(self, name: str, *, per_query: int, per_turn: int, owners: int, prefix: str = "") -> None:
        self.name = name
        self._per_query = per_query
        self._per_turn = per_turn
        self._owners = owners
        self._table = f"{prefix}rows_{name}"
        self._steps: dict[int, list[Step]] = {}

    def schema(self, clients: int) -> Iterator[str]:
        yield f"DROP TABLE IF EXISTS {self._table}"
        yield f"CREATE TABLE {self._table} (id INT PRIMARY KEY, owner INT NOT NULL, body VARCHAR(100) NOT NULL)"
        ids = range(min(clients, self._owners) * self._block)
        yield from inserts(f"INSERT INTO {self._table} VALUES", map(self._values, ids))

    def tables(self) -> list[str]:
        return [self._table]

    def greeting(self, number: int) -> list[Step]:
        return []

    def turn(self, number: int, random: Random) -> Turn:
        owner = number % self._owners
        steps = self._steps.get(owner)
        if steps is None:
            steps = self._steps[owner] = self._steps_of(owner)
        for step in steps:  # noqa: UP028 (`yield from` a list cannot be sent a response)
            yield step

    @property
    def _block(self) -> int:
        return self._per_query * self._per_turn

    def _steps_of(self, owner: int) -> list[Step]:
        first = owner * self._block
        return [self._step(first + n * self._per_query) for n in range(self._per_turn)]

    def _step(self, first: int) -> Step:
        last = first + self._per_query - 1
        where = f"id = {first}" if last == first else f"id BETWEEN {first} AND {last} ORDER BY id"
        rows = [self._row(id_) for id_ in range(first, last + 1)]
        return Step(f"SELECT id, owner, body FROM {self._table} WHERE {where}", rows=rows, repeats=True)

    def _row(self, id_: int) -> Row:
        return b"%d" % id_, b"%d" % (id_ // self._block), body_of(id_).encode()

    def _values(self, id_: int) -> str:
        return f"({id_},{id_ // self._block},'{body_of(id_)}')"


class Shop:
    """A shop: customers look at products, leave visits and place orders.

    A quarter of the clients works with autocommit off, as Python's drivers do by default; the others send single
    statements and explicit transactions. Every client is one customer and checks its own name, its own number of
    visits and its own orders; products never change, so that they can be read on replicas too.
    """

    name = "shop"
    CATEGORIES = 10
    PER_CATEGORY = 20
    PRODUCTS = CATEGORIES * PER_CATEGORY

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._visits: dict[int, int] = {}
        self._orders = 0
        self._products = [self._product_step(id_) for id_ in range(self.PRODUCTS)]
        self._lists = [self._list_step(category) for category in range(self.CATEGORIES)]
        self._customers: dict[int, Step] = {}
        self._begin, self._commit = Step("BEGIN"), Step("COMMIT")

    def schema(self, clients: int) -> Iterator[str]:
        self._visits.clear()
        p = self._prefix
        yield from (f"DROP TABLE IF EXISTS {table}" for table in self.tables())
        yield (
            f"CREATE TABLE {p}products (id INT PRIMARY KEY, category INT NOT NULL, name VARCHAR(60) NOT NULL,"
            " price DECIMAL(8,2) NOT NULL, KEY (category))"
        )
        yield f"CREATE TABLE {p}stock (product_id INT PRIMARY KEY, amount INT NOT NULL)"
        yield (
            f"CREATE TABLE {p}customers (id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, city VARCHAR(40) NOT NULL,"
            " visits INT NOT NULL DEFAULT 0)"
        )
        yield (
            f"CREATE TABLE {p}orders (id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL,"
            " token VARCHAR(40) NOT NULL, placed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, KEY (customer_id))"
        )
        yield (
            f"CREATE TABLE {p}order_lines (order_id INT NOT NULL, product_id INT NOT NULL, quantity INT NOT NULL,"
            " price DECIMAL(8,2) NOT NULL, PRIMARY KEY (order_id, product_id))"
        )
        products = (
            f"({id_},{self._category(id_)},'{product_name(id_)}',{product_price(id_)})"
            for id_ in range(self.PRODUCTS)
        )
        yield from inserts(f"INSERT INTO {p}products VALUES", products)
        yield from inserts(
            f"INSERT INTO {p}stock VALUES", (f"({id_},1000000)" for id_ in range(self.PRODUCTS))
        )
        customers = (f"({id_},'{customer_name(id_)}','{city_of(id_)}',0)" for id_ in range(clients))
        yield from inserts(f"INSERT INTO {p}customers VALUES", customers)

    def tables(self) -> list[str]:
        return [self._prefix + table for table in ("products", "stock", "customers", "orders", "order_lines")]

    def greeting(self, number: int) -> list[Step]:
        steps = [Step("SET NAMES utf8mb4")]
        return [*steps, Step("SET autocommit=0")] if self.is_manual(number) else steps

    def is_manual(self, number: int) -> bool:
        """Whether the client works with autocommit off."""
        return number % 4 == 3

    def turn(self, number: int, random: Random) -> Turn:
        dice = random.random()
        if dice < 0.6:
            turn = self._browse(number, random)
        elif dice < 0.8:
            turn = self._visit(number)
        else:
            turn = self._order(number, random)
        if self.is_manual(number):
            return chain_turn(turn, self._commit)
        return turn

    def _browse(self, number: int, random: Random) -> Turn:
        yield self._customer_step(number)
        category = random.randrange(self.CATEGORIES)
        yield self._lists[category]
        for _ in range(3):
            yield self._products[category * self.PER_CATEGORY + random.randrange(self.PER_CATEGORY)]

    def _visit(self, number: int) -> Turn:
        p = self._prefix
        yield Step(f"UPDATE {p}customers SET visits = visits + 1 WHERE id = {number}", affected=1)
        visits = self._visits[number] = self._visits.get(number, 0) + 1
        yield Step(f"SELECT visits FROM {p}customers WHERE id = {number}", rows=[(b"%d" % visits,)])
        yield self._customer_step(number)

    def _order(self, number: int, random: Random) -> Turn:
        p = self._prefix
        product, quantity = random.randrange(self.PRODUCTS), random.randint(1, 3)
        self._orders += 1
        token = f"client {number} order {self._orders}"
        if not self.is_manual(number):
            yield self._begin
        placed = yield Step(
            f"INSERT INTO {p}orders (customer_id, token) VALUES ({number}, '{token}')", affected=1
        )
        assert placed is not None  # a step that does not repeat is always parsed
        order = placed.insert_id
        price = product_price(product)
        yield Step(f"INSERT INTO {p}order_lines VALUES ({order}, {product}, {quantity}, {price})", affected=1)
        yield Step(
            f"UPDATE {p}stock SET amount = amount - {quantity} WHERE product_id = {product}", affected=1
        )
        yield Step(
            f"SELECT o.customer_id, o.token, l.quantity FROM {p}orders o JOIN {p}order_lines l ON l.order_id = o.id"
            f" WHERE o.id = {order}",
            rows=[(b"%d" % number, token.encode(), b"%d" % quantity)],
        )
        if not self.is_manual(number):
            yield self._commit

    def _category(self, product: int) -> int:
        return product // self.PER_CATEGORY

    def _customer_step(self, number: int) -> Step:
        step = self._customers.get(number)
        if step is None:
            row: Row = (b"%d" % number, customer_name(number).encode(), city_of(number).encode())
            sql = f"SELECT id, name, city FROM {self._prefix}customers WHERE id = {number}"
            step = self._customers[number] = Step(sql, rows=[row], repeats=True)
        return step

    def _product_step(self, id_: int) -> Step:
        sql = f"SELECT id, category, name, price FROM {self._prefix}products WHERE id = {id_}"
        return Step(sql, rows=[self._product_row(id_)], repeats=True)

    def _list_step(self, category: int) -> Step:
        sql = f"SELECT id, category, name, price FROM {self._prefix}products WHERE category = {category} ORDER BY id"
        first = category * self.PER_CATEGORY
        rows = [self._product_row(id_) for id_ in range(first, first + self.PER_CATEGORY)]
        return Step(sql, rows=rows, repeats=True)

    def _product_row(self, id_: int) -> Row:
        return (
            b"%d" % id_,
            b"%d" % self._category(id_),
            product_name(id_).encode(),
            product_price(id_).encode(),
        )


class Catalogue(Shop):
    """The shop's visitors who only look at products: all that they send can be served by a replica."""

    name = "catalogue"

    def greeting(self, number: int) -> list[Step]:
        return [Step("SET NAMES utf8mb4")]

    def turn(self, number: int, random: Random) -> Turn:
        category = random.randrange(self.CATEGORIES)
        yield self._lists[category]
        for _ in range(4):
            yield self._products[category * self.PER_CATEGORY + random.randrange(self.PER_CATEGORY)]


def command(payload: bytes) -> bytes:
    """The packet of a command."""
    return len(payload).to_bytes(3, "little") + b"\x00" + payload


def chain_turn(turn: Turn, last: Step) -> Turn:
    """The steps of ``turn``, then ``last``."""
    yield from turn
    yield last


def inserts(head: str, values: Iterator[str]) -> Iterator[str]:
    """Multi-row INSERT statements of at most INSERT_BATCH rows."""
    for first in values:
        batch = [first]
        for value in values:
            batch.append(value)
            if len(batch) == INSERT_BATCH:
                break
        yield f"{head} {','.join(batch)}"


def body_of(id_: int) -> str:
    """100 characters that only the row ``id_`` has."""
    return f"row {id_} ".ljust(100, BODY[id_ % len(BODY)])


def product_name(id_: int) -> str:
    return f"{('oak', 'steel', 'linen', 'glass')[id_ % 4]} {('chair', 'lamp', 'table', 'shelf', 'bowl')[id_ % 5]} no. {id_}"


def product_price(id_: int) -> str:
    return f"{5 + id_ * 37 % 200}.{id_ * 13 % 100:02d}"


def customer_name(number: int) -> str:
    return f"customer {number}"


def city_of(number: int) -> str:
    return ("Lisbon", "Turin", "Graz", "Ghent", "Malmo", "Brno", "Porto")[number % 7]
