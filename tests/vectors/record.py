"""Records the vectors of this folder from a real server: ``python tests/vectors/record.py PORT``.

Deliberately knows nothing of protocol/: it logs in as root without a password, sends commands, and takes for the
response whatever comes before the server falls silent. Each dialogue is recorded on four connections, with and
without CLIENT_DEPRECATE_EOF and CLIENT_SESSION_TRACK, in a schema that is made anew for each. The server needs
local_infile=1 (set here). Prints the name of the file written: SERVER-VERSION.json.
"""

from __future__ import annotations

import json
import pathlib
import socket
import struct
import sys
from typing import Any

DEPRECATE_EOF, SESSION_TRACK = 1 << 24, 1 << 23
# LONG_PASSWORD, LONG_FLAG, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS,
# MULTI_RESULTS, PS_MULTI_RESULTS, PLUGIN_AUTH
CAPABILITIES = 0x1 | 0x4 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x10000 | 0x20000 | 0x40000 | 0x80000
SILENCE = 0.12
# Stands for the id of the statement prepared last.
LAST = b"LAST"
UNKNOWN = b"M\0\0\0"

SETUP = [
    "DROP DATABASE IF EXISTS vectors",
    "CREATE DATABASE vectors",
    "USE vectors",
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(300))",
    "INSERT INTO t (v) VALUES " + ",".join(f"('value {n} {'x' * n}')" for n in range(1, 101)),
    "CREATE TABLE u (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(4))",
    "CREATE PROCEDURE p_out(OUT a INT, INOUT b VARCHAR(20)) BEGIN SET a = 7; SET b = CONCAT(b, '!'); END",
    "CREATE PROCEDURE p_results() BEGIN SELECT 1 AS a; SELECT id FROM t WHERE id < 4; SELECT id FROM t WHERE 0; END",
    "CREATE PROCEDURE p_both(OUT a INT) BEGIN SELECT id FROM t WHERE id < 3; SET a = 3; END",
    "CREATE PROCEDURE p_fails() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC BEGIN SET @seen = 1; RETURN 1; END",
]
TRACK_MORE = (
    "SET session_track_schema=1, session_track_state_change=1, session_track_transaction_info='CHARACTERISTICS', "
    "session_track_system_variables='time_zone,autocommit,character_set_client,character_set_results,"
    "character_set_connection,sql_mode'"
)

# A step is SQL text (COM_QUERY), the bytes of another command, or a pair of SQL text and the file to be sent.
Step = str | bytes | tuple[str | bytes, list[bytes]]


def prepare(text: str) -> bytes:
    return b"\x16" + text.encode()


def execute(cursor: int = 0, params: bytes = b"", statement: bytes = LAST) -> bytes:
    return b"\x17" + statement + struct.pack("<BI", cursor, 1) + params


def param_int(value: int) -> bytes:
    return b"\0\x01\x03\x00" + struct.pack("<i", value)


def fetch(rows: int, statement: bytes = LAST) -> bytes:
    return b"\x1c" + statement + struct.pack("<I", rows)


RESET = b"\x1a" + LAST
CLOSE = b"\x19" + LAST


def dialogues(is_mariadb: bool) -> list[tuple[str, list[Step]]]:
    """Name and steps of each; they run in this order on one connection."""
    file = [b"1001\tone\n1002\ttwo\n", b"1003\tlonger than four\n"]
    load = "LOAD DATA LOCAL INFILE 'some/file' INTO TABLE u"
    found: list[tuple[str, list[Step]]] = [
        ("point select", ["SELECT id, v FROM t WHERE id = 5"]),
        ("no table", ["SELECT 1 AS one, NULL AS nothing"]),
        ("empty result", ["SELECT id, v FROM t WHERE id = 0"]),
        ("two rows", ["SELECT id FROM t WHERE id < 3"]),
        ("100 rows", ["SELECT id, v FROM t ORDER BY id"]),
        (
            "no index used",
            ["SELECT id FROM t WHERE v = 'value 1 x'", "SELECT id FROM t WHERE v LIKE 'value 1%'"],
        ),
        ("warnings", ["SELECT CAST('x' AS SIGNED) AS c, CAST('y' AS SIGNED) AS d", "SHOW WARNINGS"]),
        ("warnings of rows", ["SELECT CAST(v AS SIGNED) FROM t WHERE id < 5"]),
        ("insert", ["INSERT INTO u (v) VALUES ('a')", "INSERT INTO u (v) VALUES ('b'),('c')"]),
        ("insert with big id", ["INSERT INTO u VALUES (70000, 'd')", "DELETE FROM u WHERE id = 70000"]),
        (
            "update",
            ["UPDATE t SET v = 'changed' WHERE id IN (98, 99, 100)", "UPDATE u SET v = 'a' WHERE id = 1"],
        ),
        (
            "warning of an insert",
            ["SET sql_mode=''", "INSERT INTO u (v) VALUES ('abcdefgh')", "SET sql_mode=DEFAULT"],
        ),
        ("syntax error", ["SELEC 1"]),
        ("empty query", [""]),
        (
            "error in the middle of rows",
            ["SELECT id, (SELECT 1 FROM t AS x WHERE x.id <= t.id - 49) FROM t ORDER BY id"],
        ),
        (
            "error in the first row",
            ["SELECT id, (SELECT 1 FROM t AS x WHERE x.id < 99 AND t.id > 0) FROM t ORDER BY id"],
        ),
        (
            "multi-statement",
            [
                "SELECT 1; INSERT INTO u (v) VALUES ('m'); SELECT id FROM t WHERE id < 4; SELECT id FROM t WHERE 0; SET @a = 1"
            ],
        ),
        ("multi-statement with an error", ["SELECT 1; SELECT * FROM nothing; SELECT 2"]),
        ("call", ["CALL p_results()"]),
        ("call with an error", ["CALL p_fails()"]),
        ("call in a multi-statement", ["SELECT 0; CALL p_results(); SELECT 9"]),
        (
            "prepare, execute, close",
            [
                prepare("SELECT id, v FROM t WHERE id = ?"),
                execute(0, param_int(5)),
                execute(0, param_int(0)),
                RESET,
                CLOSE,
            ],
        ),
        ("prepare without parameters", [prepare("SELECT id FROM t WHERE id < 4"), execute(), CLOSE]),
        (
            "prepare without columns",
            [
                prepare("INSERT INTO u (v) VALUES (?)"),
                b"\x18" + LAST + b"\0\0long",
                execute(0, b"\0\x01\xfd\x00"),
                CLOSE,
            ],
        ),
        ("prepare without anything", [prepare("DELETE FROM u"), execute(), CLOSE]),
        ("prepare with an error", [prepare("SELECT * FROM nothing"), prepare("SELECT ? FROM")]),
        ("execute an unknown statement", [execute(statement=UNKNOWN), b"\x1a" + UNKNOWN, fetch(1, UNKNOWN)]),
    ]
    found += [
        (
            "cursor",
            [
                prepare("SELECT id, v FROM t WHERE id < 6 ORDER BY id"),
                execute(1),
                fetch(2),
                fetch(2),
                fetch(2),
                fetch(2),
                execute(1),
                fetch(5),
                fetch(5),
                CLOSE,
            ],
        ),
        ("cursor over nothing", [prepare("SELECT id FROM t WHERE id = 0"), execute(1), fetch(2)]),
        ("cursor for what has none", [prepare("SHOW VARIABLES LIKE 'autocommit'"), execute(1), fetch(2)]),
        (
            "out parameters",
            [prepare("CALL p_out(?, ?)"), execute(0, b"\0\x01\x03\x00\xfd\x00\x00\x00\x00\x00\x01b")],
        ),
        (
            "out parameters and rows",
            [prepare("CALL p_both(?)"), execute(0, b"\0\x01\x03\x00\x00\x00\x00\x00")],
        ),
        (
            "execute with an error",
            [prepare("SELECT id, (SELECT 1 FROM t AS x WHERE x.id < 99 AND t.id > 0) FROM t"), execute()],
        ),
        ("local infile", [(load, file)]),
        ("local infile refused", [(load, [])]),
        (
            "local infile between others",
            [
                (
                    "SELECT 1; REPLACE INTO u VALUES (1, 'x');"
                    + load.replace("INTO T", "IGNORE INTO T")
                    + "; SELECT 2",
                    file,
                )
            ],
        ),
        ("local infile without a table", ["LOAD DATA LOCAL INFILE 'some/file' INTO TABLE nothing"]),
    ]
    if is_mariadb:
        found.append(
            ("local infile prepared", [prepare(load.replace("INTO T", "IGNORE INTO T")), (execute(), file)])
        )
    found += [
        ("field list", [b"\x04t\0", b"\x04t\0v%", b"\x04nothing\0"]),
        ("statistics", [b"\x09"]),
        ("ping", [b"\x0e"]),
        ("debug", [b"\x0d"]),
        ("set option", [b"\x1b\x01\x00", b"\x1b\x00\x00", b"\x1b\x07\x00"]),
        ("init db", [b"\x02vectors", b"\x02nothing"]),
        ("refresh", [b"\x07\x40"]),
        ("process kill", [b"\x0c" + struct.pack("<I", 999999)]),
        ("process info", [b"\x0a"]),
        ("unknown command", [b"\x50"]),
        (
            "default trackers",
            ["SET NAMES utf8mb4", "SET @x = 1", "USE vectors", "SET time_zone = '+01:00'", "SELECT f()"],
        ),
        ("track more", [TRACK_MORE]),
        (
            "set",
            [
                "SET NAMES latin1",
                "SET @x = 2",
                "SET sql_mode = 'ANSI_QUOTES'",
                "SET sql_mode = DEFAULT",
                "USE vectors",
            ],
        ),
        (
            "message and block",
            ["BEGIN", "UPDATE t SET v = 'b' WHERE id = 1", "INSERT INTO t (v) VALUES ('p'), ('q')", "COMMIT"],
        ),
        (
            "autocommit off",
            [
                "SET autocommit = 0",
                "SELECT id FROM t WHERE id = 1",
                "SELECT id FROM t WHERE id < 4",
                "ROLLBACK",
                "SET autocommit = 1",
            ],
        ),
        (
            "read only transaction",
            [
                "START TRANSACTION READ ONLY",
                "SELECT id FROM t WHERE id = 0",
                "COMMIT",
                "SELECT id FROM t WHERE id = 1",
            ],
        ),
        (
            "trackers in a multi-statement",
            ["SET time_zone = '+02:00'; SELECT 1; SET time_zone = '+03:00', @y = 1; SELECT 2"],
        ),
        ("function that changes the session", ["SELECT f()", b"\x0e"]),
        (
            "temporary table",
            ["CREATE TEMPORARY TABLE tt (id INT)", "SELECT * FROM tt", "DROP TEMPORARY TABLE tt"],
        ),
        ("reset connection", [b"\x1f", "SELECT 1"]),
    ]
    return found


class Recorder:
    def __init__(self, port: int, capabilities: int) -> None:
        self.last = UNKNOWN
        self.socket = socket.create_connection(("127.0.0.1", port))
        greeting = self.packet()
        self.version = greeting[1 : greeting.index(b"\0")].decode()
        plugin = b"mysql_native_password" if "MariaDB" in self.version else b"caching_sha2_password"
        login = (
            struct.pack("<IIB23x", CAPABILITIES | capabilities, 1 << 24, 45) + b"root\0\0" + plugin + b"\0"
        )
        self.send(login, 1)
        while (answer := self.packet())[0] != 0:
            if answer[0] == 0xFF:
                raise SystemExit(answer)

    def send(self, payload: bytes, sequence_id: int = 0) -> None:
        self.socket.sendall(struct.pack("<I", len(payload) | sequence_id << 24) + payload)

    def exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            chunk = self.socket.recv(size - len(got))
            if not chunk:
                raise SystemExit("the server closed the connection")
            got += chunk
        return got

    def packet(self) -> bytes:
        return self.exactly(int.from_bytes(self.exactly(4)[:3], "little"))

    def response(self, silence: float = SILENCE) -> bytes:
        got = b""
        self.socket.settimeout(silence)
        try:
            while chunk := self.socket.recv(1 << 20):
                got += chunk
        except TimeoutError:
            pass
        self.socket.settimeout(None)
        return got

    def ask(self, payload: bytes) -> bytes:
        """Sends a command whose response is sure to come; slow ones are waited for."""
        self.send(payload)
        first = self.exactly(1)
        return first + self.response()

    def step(self, step: Step) -> dict[str, Any]:
        file = None
        if isinstance(step, tuple):
            step, file = step
        command = b"\x03" + step.encode() if isinstance(step, str) else step
        recorded: dict[str, Any] = {"says": describe(step), "command": command.hex()}
        self.send(command.replace(LAST, self.last))
        recorded["response"] = (response := self.response()).hex()
        if command[0] == 0x16 and response[4] == 0:
            self.last = response[5:9]
        if file is not None:
            sequence_id = response[last_packet(response) + 3] + 1
            sent = b""
            for part in [*file, b""]:
                sent += struct.pack("<I", len(part) | sequence_id << 24) + part
                sequence_id += 1
            self.socket.sendall(sent)
            recorded["file"] = sent.hex()
            recorded["response_to_file"] = self.response().hex()
        return recorded


def describe(step: str | bytes) -> str:
    return step if isinstance(step, str) else f"COM 0x{step[0]:02X} {step[1:]!r}"


def last_packet(wire: bytes) -> int:
    pos = 0
    while (after := pos + 4 + int.from_bytes(wire[pos : pos + 3], "little")) < len(wire):
        pos = after
    return pos


def record(port: int) -> None:
    sessions = []
    version = ""
    for capabilities in (0, SESSION_TRACK, DEPRECATE_EOF, DEPRECATE_EOF | SESSION_TRACK):
        recorder = Recorder(port, capabilities)
        version = recorder.version
        for text in ["SET GLOBAL local_infile = 1", "SET NAMES latin1", *SETUP]:
            if recorder.ask(b"\x03" + text.encode())[4] == 0xFF:
                raise SystemExit(f"{text} failed")
        found = {}
        for name, steps in dialogues("MariaDB" in version):
            found[name] = [recorder.step(step) for step in steps]
        sessions.append(
            {
                "deprecate_eof": bool(capabilities & DEPRECATE_EOF),
                "session_track": bool(capabilities & SESSION_TRACK),
                "dialogues": found,
            }
        )
    kind = "mariadb" if "MariaDB" in version else "mysql"
    number = version.removeprefix("5.5.5-").split("-")[0]
    path = pathlib.Path(__file__).with_name(f"{kind}-{number}.json")
    comment = f"Recorded by record.py from {version}: what the server sent (hex, headers included) for each command."
    path.write_text(
        json.dumps({"comment": comment, "version": version, "sessions": sessions}, indent=1) + "\n"
    )
    print(path.name)


if __name__ == "__main__":
    record(int(sys.argv[1]))
