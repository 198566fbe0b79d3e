"""Steps that go to and fro more than once, or do not wait, or are long: LOAD DATA LOCAL, COM_CHANGE_USER, pipelined commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.auth import (
    CACHING_SHA2_PASSWORD,
    FULL_AUTH_NEEDED,
    PUBLIC_KEY_REQUEST,
    native_scramble,
    sha2_scramble,
    xor_password,
)
from protocol.handshake import AuthSwitchRequest
from proxy.rsa import encrypt
from tests.integration.steps import Step
from tests.integration.wire import WireClient

NO_PLUGIN: Final = b"no_such_plugin"
"""What a client names that wants to be told which authentication is due, and a nonce."""
UNANSWERED: Final = frozenset(b"\x18\x19")


@dataclass(frozen=True)
class LoadLocal(Step):
    """COM_QUERY of a statement that asks for a file, whose content is sent in these packets when it does ask."""

    text: str
    content: tuple[bytes, ...]

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        answer = client.query(self.text)
        while answer[-1][:1] == b"\xfb":
            for packet in (*self.content, b""):
                _send(client, packet, client.next_id)
                client.next_id += 1
            client.first_id = client.next_id
            answer += client.response(0x03)
        return answer


@dataclass(frozen=True)
class ChangeUser(Step):
    """COM_CHANGE_USER; only its end is compared, for on the way servers differ by what they remember of a user."""

    user: str
    password: str
    schema: str = ""
    collation: int = 45

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        start = b"\x11" + self.user.encode() + b"\0\0" + self.schema.encode() + b"\0"
        client.send(start + self.collation.to_bytes(2, "little") + NO_PLUGIN + b"\0")
        client.next_id = 1
        nonce = b""
        while True:
            payload = client.payload(client.next_id)
            if payload[0] in (0x00, 0xFF):
                return [payload]
            if payload[0] == 0xFE:
                request = AuthSwitchRequest.parse(payload)
                nonce = request.nonce
                is_sha2 = request.plugin == CACHING_SHA2_PASSWORD
                scramble = sha2_scramble if is_sha2 else native_scramble
                _send(client, scramble(self.password.encode(), nonce), client.next_id)
            elif payload[1:] == FULL_AUTH_NEEDED:
                _send(client, PUBLIC_KEY_REQUEST, client.next_id)
            elif payload[1:2] == b"-":
                _send(
                    client, encrypt(payload[1:], xor_password(self.password.encode(), nonce)), client.next_id
                )
            else:
                continue
            client.next_id += 1


@dataclass(frozen=True)
class Pipelined(Step):
    """Commands that are sent at once; the answers come one after the other."""

    payloads: tuple[bytes, ...]

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        client.socket.sendall(
            b"".join(len(each).to_bytes(3, "little") + b"\0" + each for each in self.payloads)
        )
        client.first_id = 1
        answers: list[bytes] = []
        for command in (each[0] for each in self.payloads if each[0] not in UNANSWERED):
            first, *others = client.response(command)
            # not the id of a statement
            is_prepared = command == 0x16 and first[0] == 0
            answers += [first[:1] + first[5:] if is_prepared else first, *others]
        return answers


@dataclass(frozen=True)
class LongQuery(Step):
    """COM_QUERY of a text whose middle is repeated so often."""

    head: str
    filler: str
    count: int
    tail: str

    def run(self, client: WireClient, ids: dict[str, int]) -> list[bytes]:
        return client.query(self.head + self.filler * self.count + self.tail)


def _send(client: WireClient, packet: bytes, sequence_id: int) -> None:
    client.socket.sendall(len(packet).to_bytes(3, "little") + bytes([sequence_id & 0xFF]) + packet)
