"""What names of hosts lead to, and when that is news."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from proxy.resolving import RESPITE, HostNames

WRITER = "prod.cluster-c7tj4example.us-east-1.rds.amazonaws.com"
READERS = "prod.cluster-ro-c7tj4example.us-east-1.rds.amazonaws.com"


class Dns:
    """Answers whoever asks in the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.now = 100.0
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.getaddrinfo)

    async def getaddrinfo(self, host: str, port: int, **rest: Any) -> list[Any]:
        self.asked.append(host)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, rest["type"], 6, "", (address, port)) for address in self.addresses[host]]

    def clock(self) -> float:
        return self.now


@pytest.fixture
async def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    return Dns(monkeypatch)


def names_of(dns: Dns, **hosts: str) -> HostNames:
    names = HostNames(dns.clock)
    for name, host in hosts.items():
        names.add(name, host, 3306)
    return names


async def test_a_name_that_leads_elsewhere_is_news_once(dns: Dns) -> None:
    names = names_of(dns, w=WRITER, other="db.example")
    dns.addresses = {WRITER: ["10.0.0.1"], "db.example": ["10.0.0.9"]}
    assert await names.moved() == []
    assert await names.moved() == []
    dns.addresses[WRITER] = ["10.0.0.2"]
    assert await names.moved() == ["w"]
    assert names.host("w") == WRITER
    assert await names.moved() == []
    assert dns.asked == [WRITER, "db.example"] * 4


async def test_other_addresses_of_the_same_place_are_none(dns: Dns) -> None:
    names = names_of(dns, w=WRITER)
    for addresses in (["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"], ["10.0.0.2", "10.0.0.3"]):
        dns.addresses[WRITER] = addresses
        assert await names.moved() == []


async def test_no_answer_is_none(dns: Dns) -> None:
    names = names_of(dns, w=WRITER)
    dns.addresses[WRITER] = ["10.0.0.1"]
    assert await names.moved() == []
    del dns.addresses[WRITER]
    assert await names.moved() == []
    dns.addresses[WRITER] = ["10.0.0.1"]
    assert await names.moved() == []
    dns.addresses[WRITER] = ["10.0.0.2"]
    assert await names.moved() == ["w"]


async def test_a_name_that_moves_all_the_time_is_heeded_once_in_a_while(dns: Dns) -> None:
    names = names_of(dns, w=WRITER)
    moves = 0
    for number in range(60):
        dns.addresses[WRITER] = [f"10.0.0.{number}"]
        moves += len(await names.moved())
        dns.now += RESPITE / 20
    assert moves == 3


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "fe80::1%eth0", READERS])
async def test_addresses_and_names_that_move_by_design_are_not_asked_about(dns: Dns, host: str) -> None:
    names = names_of(dns, r=host)
    assert not names
    assert await names.moved() == [] and dns.asked == []


async def test_a_resolver_that_does_not_answer_is_not_waited_for(
    dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.resolving.PATIENCE", 0.0)

    async def never(*arguments: Any, **rest: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    names = names_of(dns, w=WRITER)
    assert names and await names.moved() == []
