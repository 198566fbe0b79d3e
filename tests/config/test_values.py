from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from config.values import (
    Address,
    Count,
    ExistingFile,
    Fraction,
    Seconds,
    Size,
    parse_address,
    parse_list,
    parse_listen,
    parse_size,
    parse_socket_path,
    parse_span,
    parse_workers,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("db:3306", Address("db", 3306)),
        (" 127.0.0.1:0 ", Address("127.0.0.1", 0)),
        ("[::1]:65535", Address("::1", 65535)),
        ("unix:/run/fanin.sock", Address(path="/run/fanin.sock")),
        (Address("db", 1), Address("db", 1)),
    ],
)
def test_addresses_are_read(text: object, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("db", Address("db", 3306)),
        ("::1", Address("::1", 3306)),
        ("[::1]", Address("::1", 3306)),
        ("db:3307", Address("db", 3307)),
    ],
)
def test_a_port_may_be_missing_where_there_is_a_default(text: str, address: Address) -> None:
    assert parse_address(text, default_port=3306) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":3306",
        "db",
        "db:",
        "db:x",
        "db:65536",
        "db:-1",
        "db:٣",
        "::1",
        "a b:1",
        "db/x:1",
        "[::1:1",
        3306,
        None,
        "mysql://db:3306",
        "app:secret@db:3306",
        "unix:run/fanin.sock",
        "unix:/" + "x" * 107,
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: object) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        (Address("127.0.0.2", 1), True),
        (Address("::1", 1), True),
        (Address("localhost", 1), True),
        (Address(path="/x"), True),
        (Address("0.0.0.0", 1), False),
        (Address("::", 1), False),
        (Address("db", 1), False),
    ],
)
def test_only_this_machine_reaches_a_loopback_address(address: Address, is_loopback: bool) -> None:
    assert address.is_loopback is is_loopback


def test_a_unix_socket_knows_that_it_is_one() -> None:
    assert (Address(path="/x").is_unix, Address("db", 1).is_unix) == (True, False)


def test_a_socket_path_may_have_107_bytes() -> None:
    assert parse_socket_path("/" + "x" * 106)
    with pytest.raises(ValueError, match="107 bytes"):
        parse_socket_path("/" + "é" * 54)


@pytest.mark.parametrize("value", ["off", " OFF ", None])
def test_off_is_nowhere_to_listen(value: object) -> None:
    assert parse_listen(value) is None


def test_anything_but_off_is_an_address_to_listen_on() -> None:
    assert parse_listen("127.0.0.1:1") == Address("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("parse", "value", "result"),
    [
        (parse_size, 5, 5),
        (parse_size, "5", 5),
        (parse_size, "5B", 5),
        (parse_size, "2k", 2048),
        (parse_size, " 64 MiB ", 64 << 20),
        (parse_size, "1GB", 1 << 30),
        (parse_span, 5, 5),
        (parse_span, "5", "5"),
        (parse_span, "five", "five"),
        (parse_span, "500ms", 0.5),
        (parse_span, "1.5s", 1.5),
        (parse_span, "5 m", 300.0),
        (parse_span, "1H", 3600.0),
        (parse_span, "2d", 172800.0),
        (parse_list, "a:1, b:2,", ["a:1", "b:2"]),
        (parse_list, ["a:1,b:2", "c:3"], ["a:1", "b:2", "c:3"]),
        (parse_list, ({"host": "a"}, "b"), [{"host": "a"}, "b"]),
        (parse_list, "off", []),
        (parse_list, "", []),
        (parse_list, 5, 5),
    ],
)
def test_spellings_are_read(parse: Callable[[object], object], value: object, result: object) -> None:
    assert parse(value) == result


@pytest.mark.parametrize("text", ["", "M", "64X", "6.4M", "-1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Count, True),
        (Size, False),
        (Seconds, True),
        (Fraction, True),
        (Seconds, float("inf")),
        (Seconds, "nan"),
        (Seconds, "1" + "0" * 400 + "s"),
        (Seconds, "400d"),
        (Seconds, -1),
        (Fraction, 1.1),
        (Size, "many"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_file_must_be_there_and_be_a_file(tmp_path: Path) -> None:
    adapter: TypeAdapter[Path] = TypeAdapter(ExistingFile)
    file = tmp_path / "ca.pem"
    with pytest.raises(ValidationError, match="No such file"):
        adapter.validate_python(file)
    with pytest.raises(ValidationError, match="Is a directory"):
        adapter.validate_python(tmp_path)
    file.touch()
    assert adapter.validate_python(str(file)) == file


@pytest.mark.parametrize(("value", "workers"), [(1, 1), ("4", 4), (" Auto ", "auto"), (256, 256)])
def test_workers_are_counted_or_as_many_as_cores(value: object, workers: object) -> None:
    assert parse_workers(value) == workers


@pytest.mark.parametrize("value", [0, -1, 257, "many", 1.5, None, True])
def test_other_numbers_of_workers_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse_workers(value)
