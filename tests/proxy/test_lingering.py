from __future__ import annotations

import asyncio
from typing import Any

from proxy.lingering import Lingering


class Transport(asyncio.Transport):
    """One that has so much to send, and is not gone before its client lets it."""

    def __init__(self, size: int = 0, is_tls: bool = False) -> None:
        self.size = size
        self.is_tls = is_tls
        self.fate = ""

    def close(self) -> None:
        self.fate = "closed"

    def abort(self) -> None:
        self.fate = "aborted"

    def get_write_buffer_size(self) -> int:
        return self.size

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "sslcontext" and self.is_tls else default


def test_what_has_sent_everything_is_forgotten() -> None:
    lingering, transport = Lingering(5.0), Transport()
    lingering.close(transport, 100.0)
    lingering.look(200.0)
    assert (transport.fate, len(lingering)) == ("closed", 0)


def test_under_tls_its_client_has_so_long_to_close_too() -> None:
    lingering, transport = Lingering(5.0), Transport(is_tls=True)
    lingering.close(transport, 100.0)
    lingering.look(104.9)
    assert transport.fate == "closed"
    lingering.look(105.0)
    assert (transport.fate, len(lingering)) == ("aborted", 0)


def test_who_reads_may_go_on_and_who_does_not_is_ended() -> None:
    lingering, slow, dead = Lingering(5.0), Transport(1000), Transport(1000)
    for each in (slow, dead):
        lingering.close(each, 100.0)
    slow.size = 999
    lingering.look(105.0)
    assert (slow.fate, dead.fate) == ("closed", "aborted")
    slow.size = 0
    lingering.look(110.0)
    assert slow.fate == "closed"
    lingering.look(115.0)
    assert (slow.fate, len(lingering)) == ("aborted", 0)


def test_without_grace_it_is_the_next_look() -> None:
    lingering, transport = Lingering(0.0), Transport(is_tls=True)
    lingering.close(transport, 100.0)
    lingering.look(100.1)
    assert transport.fate == "aborted"
