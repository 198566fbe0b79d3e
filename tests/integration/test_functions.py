"""The lists of functions are complete: no ordinary statement of either server is taken for one that runs a stored function."""

from __future__ import annotations

import contextlib
import re

import pymysql
import pytest

from bench.servers import Server
from proxy.classify import classify
from proxy.statement import MAY_CALL, MAY_CALL_ON_MARIADB, MAY_CALL_ON_MYSQL

NO_SUCH_FUNCTION = (1305, 1630)
NAME = re.compile(r"[a-z_][a-z0-9_]*")


def own_names(server: Server, *queries: str) -> list[str]:
    """The words that these queries list and that the server, seeing them called, does not look for among stored functions."""
    listed = {word for query in queries for (topic,) in server.sql(query) for word in topic.lower().split()}
    own = []
    with contextlib.closing(server.connect(database="mysql")) as connection, connection.cursor() as cursor:
        for word in sorted(filter(NAME.fullmatch, listed)):
            try:
                cursor.execute(f"SELECT {word}(1,2,3,4,5,6,7,8,9,10,11,12)")
            except pymysql.MySQLError as error:
                if error.args[0] in NO_SUCH_FUNCTION:
                    continue
            own.append(word)
    return own


def suspected(names: list[str], flags: int) -> list[str]:
    return [name for name in names if classify(f"SELECT a, {name}(1) FROM t".encode(), 0).flags & flags]


@pytest.mark.mariadb
def test_no_function_of_mariadb_is_taken_for_a_stored_one(mariadb: Server) -> None:
    names = own_names(
        mariadb,
        "SELECT function FROM information_schema.sql_functions",
        "SELECT word FROM information_schema.keywords",
    )

    assert len(names) > 250
    assert suspected(names, MAY_CALL | MAY_CALL_ON_MARIADB) == []


@pytest.mark.mysql
def test_no_function_of_mysql_is_taken_for_a_stored_one(mysql: Server) -> None:
    names = own_names(
        mysql, "SELECT name FROM mysql.help_topic", "SELECT word FROM information_schema.keywords"
    )

    assert len(names) > 600
    assert suspected(names, MAY_CALL | MAY_CALL_ON_MYSQL) == []
