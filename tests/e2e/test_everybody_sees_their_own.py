"""200 clients on a pool of 5: each only ever sees what is its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import warnings
from typing import Any

from bench.servers import HOST, PASSWORD, SCHEMA, USER, Server
from tests.integration.fixtures import MakeFanin
from tests.integration.running import Fanin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import aiomysql

CLIENTS = 200
POOL = 5
TURNS = 6
ZONES = [f"{sign}{hour:02}:00" for sign in "+-" for hour in range(1, 12)]


class Client:
    """One client and what it knows of itself."""

    def __init__(self, number: int, table: str, connection: Any) -> None:
        self.number = number
        self.table = table
        self.connection = connection
        self.dice = random.Random(number)
        self.rows: dict[int, str] = {}
        self.insert_id = 0
        self.zone = ""

    async def ask(self, statement: str, *arguments: object) -> Any:
        async with self.connection.cursor() as cursor:
            await cursor.execute(statement, arguments or None)
            if cursor.lastrowid:
                self.insert_id = cursor.lastrowid
            return await cursor.fetchall()

    async def live(self) -> None:
        """Do a few things in any order, and look."""
        self.zone = self.dice.choice(ZONES)
        await self.ask(f"SET time_zone = '{self.zone}', group_concat_max_len = {1000 + self.number}")
        things = [self.insert, self.insert_and_roll_back, self.prepare, self.fail, self.lock, self.remember]
        for _ in range(TURNS):
            await self.dice.choice(things)()
            await self.look()
        self.connection.close()

    async def look(self) -> None:
        found = await self.ask(
            "SELECT @@time_zone, @@group_concat_max_len, LAST_INSERT_ID(), DATABASE(), CURRENT_USER()"
        )
        assert found == ((self.zone, 1000 + self.number, self.insert_id, "app", "app@%"),), self.number
        found = await self.ask(f"SELECT id, s FROM {self.table} WHERE owner = %s", self.number)
        assert dict(found) == self.rows, self.number
        assert await self.ask("SELECT LAST_INSERT_ID()") == ((self.insert_id,),), self.number

    async def insert(self) -> None:
        text = f"{self.number}-{self.dice.random()}"
        await self.ask(f"INSERT INTO {self.table} (owner, s) VALUES (%s, %s)", self.number, text)
        self.rows[self.insert_id] = text

    async def insert_and_roll_back(self) -> None:
        await self.connection.begin()
        await self.ask(f"INSERT INTO {self.table} (owner, s) VALUES (%s, 'undone')", self.number)
        assert (
            len(await self.ask(f"SELECT id FROM {self.table} WHERE owner = %s", self.number))
            == len(self.rows) + 1
        )
        await self.connection.rollback()

    async def prepare(self) -> None:
        """A text prepared statement under a name that everybody uses."""
        await self.ask(f"PREPARE mine FROM 'SELECT {self.number} + ?'")
        await self.ask("SET @one = 1")
        assert await self.ask("EXECUTE mine USING @one") == ((self.number + 1,),)
        await self.ask("DEALLOCATE PREPARE mine")
        await self.reset()

    async def remember(self) -> None:
        await self.ask("SET @me = %s", self.number)
        assert await self.ask("SELECT @me") == ((self.number,),)
        await self.ask("CREATE TEMPORARY TABLE mine AS SELECT %s AS number", self.number)
        assert await self.ask("SELECT number FROM mine") == ((self.number,),)
        await self.ask("DROP TEMPORARY TABLE mine")
        await self.reset()

    async def lock(self) -> None:
        name = f"lock {self.number}"
        assert await self.ask("SELECT GET_LOCK(%s, 5)", name) == ((1,),)
        assert await self.ask("SELECT IS_USED_LOCK(%s) IS NOT NULL", name) == ((1,),)
        assert await self.ask("SELECT RELEASE_LOCK(%s)", name) == ((1,),)

    async def fail(self) -> None:
        try:
            await self.ask(f"SELECT * FROM missing_{self.number}")
        except aiomysql.ProgrammingError:
            ((_, code, message),) = await self.ask("SHOW WARNINGS")
            assert code == 1146
            assert f"missing_{self.number}" in message, self.number

    async def reset(self) -> None:
        """Give up user variables, which pin, by becoming the same user once more (aiomysql has no COM_RESET_CONNECTION)."""
        self.connection.close()
        self.connection = await connect(self.port)
        self.insert_id = 0
        await self.ask(f"SET time_zone = '{self.zone}', group_concat_max_len = {1000 + self.number}")

    port = 0


async def connect(port: int) -> Any:
    return await aiomysql.connect(
        host=HOST, port=port, user=USER, password=PASSWORD, db=SCHEMA, autocommit=True
    )


async def leave(clients: list[Client]) -> None:
    """Close all connections; their transports need a turn of the loop for that."""
    for client in clients:
        client.connection.close()
    await asyncio.sleep(0)


async def test_200_clients_on_a_pool_of_5_only_see_their_own(fanin: MakeFanin, server: Server) -> None:
    name = "app.owned"
    server.sql(f"DROP TABLE IF EXISTS {name}")
    server.sql(
        f"CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, owner INT, s VARCHAR(50), KEY (owner))"
    )
    five: Fanin = fanin(server, pool_size=POOL, pool={"acquire_timeout": 50})
    Client.port = five.port
    clients: list[Client] = []
    async with contextlib.AsyncExitStack() as exits, asyncio.timeout(55):
        exits.push_async_callback(leave, clients)
        for first in range(0, CLIENTS, 20):
            connections = await asyncio.gather(*(connect(five.port) for _ in range(20)))
            clients += [
                Client(number, name, connection) for number, connection in enumerate(connections, first)
            ]
        await asyncio.gather(*(client.live() for client in clients))
    endpoint = five.endpoint()
    assert sum(endpoint[state] for state in ("opening", "idle", "parked", "leased", "resetting")) <= POOL
    assert five.metric("fanin_acquire_failures_total") == 0
