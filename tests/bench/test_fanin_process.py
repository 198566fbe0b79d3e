import sys
import tomllib
from pathlib import Path

import pytest

from bench.fanin_process import (
    FaninProcess,
    ProxyError,
    ProxyProcess,
    greets,
    port_or_free,
    settings,
)
from bench.servers import Server, free_port

GREETER = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
while True:
    listening.accept()[0].sendall(b"\\x01\\x00\\x00\\x00\\x0a")
"""


class Script(ProxyProcess):
    """A proxy that is a few lines of Python."""

    name = "script"

    def __init__(self, program: str) -> None:
        super().__init__([free_port()])
        self._program = program

    def command(self, folder: Path) -> list[str]:
        return [sys.executable, "-c", self._program, str(self.port)]


def test_process_is_ready_when_it_greets() -> None:
    with Script(GREETER) as script:
        assert greets(script.port)
        assert script.last_words() == ["up"]
        folder = script.log.parent
    assert not greets(script.port)
    assert not folder.exists()
    script.stop()  # harmless


def test_process_that_ends_is_reported_with_its_log() -> None:
    script = Script("import sys; print('no such upstream'); sys.exit(2)")
    with pytest.raises(ProxyError, match=r"script on port \d+ ended with status 2:\nno such upstream"):
        script.start()


def test_process_that_does_not_greet_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fanin_process.START_SECONDS", 0.2)
    with pytest.raises(ProxyError, match="does not greet clients"):
        Script("import time; time.sleep(60)").start()


COMMON = ["--max-clients", "10000", "--server-tls", "disabled", "--http", "off"]
COMMON += ["--log-level", "warning", "--log-format", "console"]


def test_command_for_one_server() -> None:
    fanin = FaninProcess("127.0.0.1:3306", pool_size=7, port=6033)
    expected = [
        "-m",
        "proxy",
        "serve",
        "--upstream",
        "127.0.0.1:3306",
        "--listen",
        "127.0.0.1:6033",
        "--pool-size",
        "7",
    ]
    assert fanin.command(Path("/nowhere"))[1:] == expected + COMMON
    assert fanin.ports == (6033,)


def test_command_for_a_cluster(tmp_path: Path) -> None:
    fanin = FaninProcess(
        "127.0.0.1:1", readers=["127.0.0.1:2"], pool_size=7, port=3, reader_port=4, options=["--x"]
    )
    config = tmp_path / "fanin.toml"
    listeners = ["--listen", "127.0.0.1:3", "--reader-listen", "127.0.0.1:4", "--pool-size", "7"]
    assert fanin.command(tmp_path)[1:] == [
        "-m",
        "proxy",
        "serve",
        "--config",
        str(config),
        *listeners,
        *COMMON,
        "--x",
    ]
    assert tomllib.loads(config.read_text()) == {
        "upstream": [
            {"host": "127.0.0.1", "port": 1, "role": "writer"},
            {"host": "127.0.0.1", "port": 2, "role": "reader"},
        ]
    }


def test_settings_name_every_server() -> None:
    assert settings("a:1", []) == '[[upstream]]\nhost = "a"\nport = 1\nrole = "writer"\n'


def test_wanted_port_is_taken_when_it_is_free() -> None:
    port = free_port()
    assert port_or_free(port) == port
    with Script(GREETER) as script:
        assert port_or_free(script.port) != script.port


def test_fanin_lets_clients_through(server: Server) -> None:
    with FaninProcess(f"{server.host}:{server.port}", pool_size=2) as fanin:
        assert server.connect(port=fanin.port, user="app", password="app").get_server_info()
