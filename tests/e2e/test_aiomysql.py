"""aiomysql with its own pool, unmodified: plain connections, so its first login is by RSA."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from bench.servers import HOST, PASSWORD, SCHEMA, USER
from tests.integration.running import Fanin

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import aiomysql


async def test_pool_of_many_shares_few_backends(two: Fanin, table: str) -> None:
    # others use the process, too
    pinned, opened = two.metric("fanin_pins_total"), two.metric("fanin_backends_opened_total")
    pool = await aiomysql.create_pool(
        host=HOST, port=two.port, user=USER, password=PASSWORD, db=SCHEMA, minsize=10, maxsize=10
    )

    async def work(number: int) -> None:
        async with pool.acquire() as client, client.cursor() as cursor:
            for turn in range(5):
                await cursor.execute(f"INSERT INTO {table} (v) VALUES (%s)", (number * 100 + turn,))
                mine = cursor.lastrowid
                await cursor.execute("SELECT LAST_INSERT_ID()")
                assert await cursor.fetchone() == (mine,)
                await client.commit()

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(number) for number in range(20)))
    async with pool.acquire() as client, client.cursor() as cursor:
        await cursor.execute(f"SELECT COUNT(*), COUNT(DISTINCT v) FROM {table}")
        assert await cursor.fetchone() == (100, 100)
    pool.close()
    await pool.wait_closed()
    assert two.metric("fanin_pins_total") == pinned
    assert two.metric("fanin_backends_opened_total") - opened <= 12


async def test_cancelled_query_does_not_harm_others(two: Fanin) -> None:
    arguments = {"host": HOST, "port": two.port, "user": USER, "password": PASSWORD, "db": SCHEMA}
    first, second = await aiomysql.connect(**arguments), await aiomysql.connect(**arguments)
    async with first.cursor() as cursor:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await cursor.execute("SELECT SLEEP(20)")
    first.close()
    async with second.cursor() as cursor:
        await cursor.execute("SELECT 7")
        assert await cursor.fetchone() == (7,)
    second.close()
