"""TLS and Unix sockets, on the side of the clients and on that of the servers."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.constants import COMMAND

from bench.servers import HOST, Server
from protocol.constants import Capability
from protocol.framing import frame
from protocol.packets import parse_err
from tests.integration.certificates import Authority
from tests.integration.fixtures import Connect, MakeFanin
from tests.integration.running import Fanin, rows, run, value
from tests.integration.wire import PLAIN, Refusal, WireClient

HASTY = {"acquire_timeout": 0.5}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def pair(authority: Authority) -> tuple[Path, Path]:
    """Fanin's certificate and key."""
    return authority.sign(HOST)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "another CA")


def client_tls(pair: tuple[Path, Path], **settings: object) -> dict[str, object]:
    return {"certificate": pair[0], "key": pair[1], **settings}


def is_encrypted(client: Any) -> bool:
    return isinstance(client._sock, ssl.SSLSocket)


# --- clients


def test_tls_is_offered_by_default(one: Fanin, connect: Connect) -> None:
    client = connect(one, ssl={"check_hostname": False, "verify_mode": "none"})
    assert is_encrypted(client)
    assert client._sock.version() in ("TLSv1.2", "TLSv1.3")
    assert value(client, "SELECT 1") == 1
    assert len(value(client, "SELECT REPEAT('a', 1000000)")) == 1_000_000


def ends(connection: ssl.SSLSocket) -> None:
    """Read what comes until the other end has closed the connection itself, and not just TLS on it; fails while that is there."""
    with socket.socket(fileno=os.dup(connection.fileno())) as raw, contextlib.suppress(ConnectionResetError):
        raw.settimeout(20)
        while raw.recv(65536):
            pass


def test_connection_of_a_stranger_who_does_not_close_tls_is_not_kept(one: Fanin) -> None:
    with socket.create_connection((HOST, one.port), timeout=20) as connection:
        greeting = connection.recv(4096)
        asked = int(PLAIN | Capability.SSL).to_bytes(4, "little") + (1 << 24).to_bytes(4, "little")
        assert greeting[4] == 10
        connection.sendall(frame(asked + b"\x2d" + bytes(23), 1))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connection) as secure:
            secure.sendall(frame(b"abcde", 2))
            assert parse_err(secure.recv(4096)[4:]).code == 1043
            ends(secure)


def test_connection_of_a_client_that_has_quit_without_closing_tls_is_not_kept(
    one: Fanin, connect: Connect
) -> None:
    client = connect(one, ssl={"check_hostname": False, "verify_mode": "none"})
    client._execute_command(COMMAND.COM_QUIT, b"")
    ends(client._sock)


def test_tls_that_is_optional_is_up_to_the_client(
    fanin: MakeFanin, server: Server, connect: Connect, pair: tuple[Path, Path], authority: Authority
) -> None:
    secure = fanin(server, client_tls=client_tls(pair, mode="optional"))
    verified = connect(secure, ssl={"ca": str(authority.certificate), "check_hostname": True})
    plain = connect(secure, ssl_disabled=True)
    assert is_encrypted(verified) and not is_encrypted(plain)
    assert value(verified, "SELECT 1") == value(plain, "SELECT 1") == 1


def test_tls_that_is_disabled_is_not_offered(
    fanin: MakeFanin, server: Server, connect: Connect, authority: Authority
) -> None:
    plain = fanin(server, client_tls={"mode": "disabled"})
    assert not is_encrypted(connect(plain))
    with pytest.raises(pymysql.err.OperationalError):
        connect(plain, ssl={"ca": str(authority.certificate)})


def test_tls_that_is_required_keeps_others_out(
    fanin: MakeFanin, server: Server, connect: Connect, pair: tuple[Path, Path]
) -> None:
    strict = fanin(server, client_tls=client_tls(pair, mode="required"))
    assert value(connect(strict, ssl={"check_hostname": False, "verify_mode": "none"}), "SELECT 1") == 1
    with pytest.raises(Refusal) as caught:
        WireClient(strict.port)
    assert caught.value.code == 3159
    assert "insecure transport" in caught.value.message


def test_client_without_the_right_certificate_is_turned_away(
    fanin: MakeFanin,
    server: Server,
    connect: Connect,
    pair: tuple[Path, Path],
    authority: Authority,
    stranger: Authority,
) -> None:
    strict = fanin(server, client_tls=client_tls(pair, mode="required", client_ca=authority.certificate))
    certificate, key = authority.sign("client")
    known = connect(strict, ssl={"ca": str(authority.certificate), "cert": str(certificate), "key": str(key)})
    assert value(known, "SELECT 1") == 1
    for wrong in ({}, dict(zip(("cert", "key"), map(str, stranger.sign("client")), strict=True))):
        with pytest.raises(pymysql.err.OperationalError):
            run(connect(strict, ssl={"ca": str(authority.certificate), **wrong}), "SELECT 1")
    assert value(known, "SELECT 2") == 2


def test_old_tls_is_refused(fanin: MakeFanin, server: Server, pair: tuple[Path, Path]) -> None:
    strict = fanin(server, client_tls=client_tls(pair, mode="required"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(pymysql.err.OperationalError):
        strict.connect(ssl=context)


# --- servers


def cipher(client: Any) -> str:
    ((_, name),) = rows(client, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    return str(name)


def test_server_with_tls_is_met_with_tls(fanin: MakeFanin, mysql: Server, connect: Connect) -> None:
    assert cipher(connect(fanin(mysql)))
    assert not cipher(connect(fanin(mysql, server_tls={"mode": "disabled"}), ssl_disabled=True))
    assert cipher(connect(fanin(mysql, server_tls={"mode": "required"})))


def test_server_without_tls_is_refused_where_it_is_required(
    fanin: MakeFanin, mariadb: Server, connect: Connect
) -> None:
    assert not cipher(connect(fanin(mariadb)))
    with pytest.raises(pymysql.err.OperationalError, match=r"TLS|SSL") as caught:
        connect(fanin(mariadb, server_tls={"mode": "required"}, pool=HASTY))
    assert caught.value.args[0] in (2003, 2026)


def test_ca_of_the_server_is_verified(
    fanin: MakeFanin, mysql: Server, connect: Connect, authority: Authority
) -> None:
    # MySQL makes a CA and a certificate for itself when it is initialised
    own = mysql.directory / "ca.pem"
    assert cipher(connect(fanin(mysql, server_tls={"mode": "verify-ca", "ca": own})))
    with pytest.raises(pymysql.err.OperationalError, match="certificate verify failed") as caught:
        connect(fanin(mysql, server_tls={"mode": "verify-ca", "ca": authority.certificate}, pool=HASTY))
    assert caught.value.args[0] == 2026
    assert "primary" in caught.value.args[1]


def test_name_of_the_server_is_verified(fanin: MakeFanin, mysql: Server, connect: Connect) -> None:
    own = mysql.directory / "ca.pem"
    with pytest.raises(pymysql.err.OperationalError, match=r"(?i)mismatch|not match|not valid for") as caught:
        connect(fanin(mysql, server_tls={"mode": "verify-identity", "ca": own}, pool=HASTY))
    assert caught.value.args[0] == 2026


# --- Unix sockets


def test_unix_sockets_on_both_sides(server: Server, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "fanin.sock"
    with Fanin(upstream=[{"socket": server.socket, "name": "primary"}], unix=path, pool={"size": 1}) as fanin:
        by_socket = connect(fanin, unix_socket=str(path), host=None, port=0)
        by_port = connect(fanin)
        for _ in range(2):
            assert value(by_socket, "SELECT CURRENT_USER()") == "app@%"
            assert value(by_port, "SELECT 1") == 1
        assert value(by_port, "SELECT USER()") == "app@localhost"
        by_socket.close()
        by_port.close()
        fanin.terminate()
        assert fanin.exit_status() == 0
        assert not path.exists()


def test_password_goes_in_clear_over_a_unix_socket_only_there(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "fanin.sock"
    with Fanin(server, unix=path, pool={"size": 1}) as fanin:
        client = fanin.connect(unix_socket=str(path), host=None, port=0)
        assert value(client, "SELECT 1") == 1
        client.close()
        # the first login over TCP: RSA, without TLS
        with WireClient(fanin.port) as wire:
            assert wire.value("SELECT 1") == b"1"
