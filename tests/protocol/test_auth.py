"""The arithmetic of the plugins, against values recorded from real servers and against its own inverse."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from protocol.auth import (
    Verifier,
    native_scramble,
    native_scramble_stage1,
    native_stage1,
    native_stage2,
    nonce_of,
    sha2_double_digest,
    sha2_scramble,
    unxor_password,
    verify_native,
    verify_sha2,
    xor_password,
)
from protocol.handshake import HandshakeResponse41, HandshakeV10

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "handshake.json").read_text())
NONCE = bytes(range(1, 21))


def test_native_hash_is_the_one_that_servers_store() -> None:
    # SELECT PASSWORD('password')
    assert native_stage2(b"password").hex().upper() == "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_native_response_is_checked_and_gives_stage1() -> None:
    response = native_scramble(b"secret", NONCE)
    assert len(response) == 20
    assert response == native_scramble_stage1(native_stage1(b"secret"), NONCE)
    assert verify_native(response, NONCE, native_stage2(b"secret")) == hashlib.sha1(b"secret").digest()


def test_wrong_native_response_is_refused() -> None:
    stage2 = native_stage2(b"secret")
    assert verify_native(native_scramble(b"Secret", NONCE), NONCE, stage2) is None
    assert verify_native(native_scramble(b"secret", NONCE[::-1]), NONCE, stage2) is None
    assert verify_native(b"", NONCE, stage2) is None
    assert verify_native(bytes(20), NONCE, b"") is None


def test_sha2_response_is_checked() -> None:
    response = sha2_scramble(b"secret", NONCE)
    assert len(response) == 32
    assert verify_sha2(response, NONCE, sha2_double_digest(b"secret"))


def test_wrong_sha2_response_is_refused() -> None:
    digest = sha2_double_digest(b"secret")
    assert not verify_sha2(sha2_scramble(b"Secret", NONCE), NONCE, digest)
    assert not verify_sha2(sha2_scramble(b"secret", NONCE[::-1]), NONCE, digest)
    assert not verify_sha2(b"", NONCE, digest)
    assert not verify_sha2(bytes(32), NONCE, b"")


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["responses"] if "greeting" in v], ids=lambda v: v["comment"]
)
def test_response_of_a_real_client_is_right(vector: dict[str, str]) -> None:
    nonce = HandshakeV10.parse(bytes.fromhex(vector["greeting"])).nonce
    response = HandshakeResponse41.parse(bytes.fromhex(vector["payload"]))
    if response.plugin == b"caching_sha2_password":
        assert response.auth_response == sha2_scramble(b"app", nonce)
        assert verify_sha2(response.auth_response, nonce, sha2_double_digest(b"app"))
    else:
        assert response.auth_response == native_scramble(b"app", nonce)
        assert verify_native(response.auth_response, nonce, native_stage2(b"app")) == native_stage1(b"app")


def test_empty_password_has_an_empty_response() -> None:
    assert native_scramble(b"", NONCE) == b""
    assert sha2_scramble(b"", NONCE) == b""


@pytest.mark.parametrize("password", [b"", b"x", b"as long as nonces are", b"longer than the nonce " * 9])
def test_password_survives_being_xored(password: bytes) -> None:
    secret = xor_password(password, NONCE)
    assert len(secret) == len(password) + 1
    assert unxor_password(secret, NONCE) == password


def test_xored_password_without_its_nul_is_refused() -> None:
    assert unxor_password(xor_password(b"secret", NONCE)[:-1], NONCE) is None
    assert unxor_password(b"", NONCE) is None


def test_nonce_has_no_byte_that_a_client_could_stumble_over() -> None:
    nonce = nonce_of(bytes([0, 36, 128, 164, *range(240, 256)]))
    assert len(nonce) == 20
    assert not set(nonce) & {0, 36, *range(128, 256)}


def test_nonce_is_made_of_exactly_twenty_bytes() -> None:
    with pytest.raises(ValueError, match="20 random bytes"):
        nonce_of(bytes(21))


def test_verifier_of_a_password_checks_both_plugins() -> None:
    verifier = Verifier.of_password(b"secret")
    assert (verifier.sha2, verifier.native) == (sha2_double_digest(b"secret"), native_stage2(b"secret"))
    assert not verifier.is_native_only
    assert verifier.matches(b"secret")
    assert not verifier.matches(b"Secret")


def test_verifier_of_a_native_hash_checks_passwords_too() -> None:
    verifier = Verifier.of_native_hash("*2470c0C06DEE42FD1618BB99005ADCA2EC9D1E19")
    assert verifier.is_native_only
    assert verifier.matches(b"password")
    assert not verifier.matches(b"app")


def test_empty_verifier_matches_nothing() -> None:
    assert not Verifier().matches(b"")
    assert not Verifier().is_native_only


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19*",
        "*2470C0",
        "*" + "G" * 40,
        "*" + "0 " * 20,
        "*" + "é" * 40,
    ],
)
def test_what_is_no_native_hash_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="40 hexadecimal digits") as caught:
        Verifier.of_native_hash(text)
    assert str(caught.value) == "a mysql_native_password hash is '*' and 40 hexadecimal digits"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_verifier_shows_nothing() -> None:
    assert repr(Verifier.of_password(b"secret")) == "Verifier(...)"
