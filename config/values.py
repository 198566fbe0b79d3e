"""The kinds of values that settings have: addresses, sizes, spans of time, lists.

Each parser takes what a person writes in a file, the environment or a flag, and raises ValueError with a
text that says what was expected. None of them shows what it was given: `config.problems` does, masked.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

DEFAULT_PORT: Final = 3306
AUTO: Final = "auto"
MOST_WORKERS: Final = 256

_SIZE: Final = re.compile(r"(\d+)\s*(?:([KMG])(?:iB|B)?|B)?", re.IGNORECASE)
_SIZE_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_SPAN_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_YEAR: Final = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect: a host and a port, or the path of a Unix socket.

    `str()` gives the spelling that `parse_address` reads.
    """

    host: str = ""  # name or IP address without brackets; "" for a Unix socket
    port: int = 0  # 0 asks the system for a free one (listening only); 0 for a Unix socket
    path: str | None = None  # absolute path of a Unix socket

    @property
    def is_unix(self) -> bool:
        """Is it a Unix socket?"""
        return self.path is not None

    @property
    def is_loopback(self) -> bool:
        """Can only this machine reach it? (A host name other than localhost is not believed.)"""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: object, *, default_port: int | None = None) -> Address:
    """Read "HOST:PORT", "[IPv6]:PORT" or "unix:/PATH"; the port may be missing if there is a default.

    Raises ValueError with what was expected.
    """
    if isinstance(text, Address):
        return text
    expected = 'expected "HOST:PORT", "[IPv6]:PORT" or "unix:/PATH"'
    if not isinstance(text, str):
        raise ValueError(expected)
    if "@" in text or "//" in text.removeprefix("unix:"):
        raise ValueError(f"{expected}, without scheme, user and password")
    text = text.strip()
    if text.startswith("unix:"):
        return Address(path=parse_socket_path(text.removeprefix("unix:")))
    host, port = _split_port(text)
    if not host or re.search(r"[\s/\[\]]", host):
        raise ValueError(expected)
    if port == "" and default_port is not None:
        return Address(host, default_port)
    if not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"{expected}, with a port from 0 to 65535")
    return Address(host, int(port))


def _split_port(text: str) -> tuple[str, str]:
    """Host and port, "" for what is missing; an IPv6 address needs its brackets when a port follows."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port


def parse_socket_path(path: str) -> str:
    """The path of a Unix socket: absolute, and at most 107 bytes long, as unix(7) says."""
    if not path.startswith("/") or len(path.encode()) > 107:
        raise ValueError("expected an absolute path of at most 107 bytes for a Unix socket")
    return path


def parse_listen(value: object) -> Address | None:
    """One address to listen on, or "off"."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "off"):
        return None
    return parse_address(value)


def parse_size(value: object) -> object:
    """A number of bytes: a number, or a text such as "512K", "64M", "1G", "64MiB" (all powers of 1024)."""
    _refuse_bool(value)
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError('expected a number of bytes, or one with K, M or G such as "64M"')
    return int(match[1]) * _SIZE_UNITS[(match[2] or "").upper()]


def parse_span(value: object) -> object:
    """A span of time in seconds: a number, or a text such as "500ms", "30s", "5m", "1h", "1d"."""
    _refuse_bool(value)
    if not isinstance(value, str):
        return value
    match = _SPAN.fullmatch(value.strip())
    return float(match[1]) * _SPAN_UNITS[match[2].lower()] if match is not None else value


def parse_workers(value: object) -> object:
    """A number of processes, or AUTO."""
    _refuse_bool(value)
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    with suppress(ValueError):
        number = int(value) if isinstance(value, str) else value
        if isinstance(number, int) and 1 <= number <= MOST_WORKERS:
            return number
    raise ValueError(f'expected a number from 1 to {MOST_WORKERS}, or "auto"')


def parse_list(value: object) -> object:
    """Several values: a list, or one text with commas (environment, flags); "off" is none."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return value
    parts: list[object] = []
    for item in value:
        if isinstance(item, str):
            parts += [part.strip() for part in item.split(",") if part.strip() not in ("", "off")]
        else:
            parts.append(item)
    return parts


def _refuse_bool(value: object) -> object:
    # A bool is an int to Python, and `size = true` would mean 1.
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


def _readable_file(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as exc:
        raise ValueError(f"expected a file that can be read: {exc.strerror}") from exc


Count = Annotated[int, BeforeValidator(_refuse_bool)]
"""A whole number."""

Workers = Annotated[int | str, BeforeValidator(parse_workers)]
"""A number of processes, or AUTO."""

Fraction = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, le=1, allow_inf_nan=False)]
"""A share from 0 to 1."""

Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], BeforeValidator(parse_list)
]
"""Names of users or schemas."""

Weight = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, le=1000, allow_inf_nan=False)]
"""A share in relation to others."""

Seconds = Annotated[float, BeforeValidator(parse_span), Field(ge=0, le=_YEAR, allow_inf_nan=False)]
"""A span of time, at most a year."""

Size = Annotated[int, BeforeValidator(parse_size)]
"""A number of bytes."""

ExistingFile = Annotated[Path, AfterValidator(_readable_file)]
"""A file that can be read now."""

ListenAddress = Annotated[Address, BeforeValidator(parse_address), PlainSerializer(str)]
"""An address to listen on."""

OptionalListenAddress = Annotated[
    Address | None, BeforeValidator(parse_listen), PlainSerializer(lambda address: str(address or "off"))
]
"""An address to listen on, or "off"."""
