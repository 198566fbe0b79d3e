"""RSA as caching_sha2_password wants it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy import rsa as own
from proxy.rsa import KeyPair, encrypt


@pytest.fixture(scope="module")
def key_pair() -> KeyPair:
    return KeyPair()


def pem_of(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_what_is_encrypted_with_our_key_can_be_decrypted(key_pair: KeyPair) -> None:
    assert key_pair.decrypt(encrypt(key_pair.public_key_pem(), b"secret\0")) == b"secret\0"


def test_key_is_made_once(key_pair: KeyPair) -> None:
    pem = key_pair.public_key_pem()
    assert pem.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert key_pair.public_key_pem() is pem


def test_each_pair_has_a_key_of_its_own(key_pair: KeyPair) -> None:
    other = KeyPair()
    with pytest.raises(ValueError, match="not encrypted with our public key"):
        other.decrypt(encrypt(key_pair.public_key_pem(), b"secret\0"))


@pytest.mark.parametrize("secret", [b"", b"x", bytes(255), b"\xff" * 256, bytes(257)])
def test_garbage_is_not_decrypted(key_pair: KeyPair, secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not encrypted with our public key$"):
        key_pair.decrypt(secret)


@pytest.mark.parametrize(
    "pem", [b"", b"garbage", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"^cannot encrypt with this public key$"):
        encrypt(pem, b"secret\0")


def test_key_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^cannot encrypt"):
        encrypt(pem_of(ec.generate_private_key(ec.SECP256R1()).public_key()), b"secret\0")


def test_key_of_absurd_length_is_refused() -> None:
    absurd = rsa.RSAPublicNumbers(65537, (1 << own.LONGEST_KEY_BITS) + 1).public_key()
    with pytest.raises(ValueError, match=r"^cannot encrypt"):
        encrypt(pem_of(absurd), b"secret\0")


def test_password_that_does_not_fit_is_refused_without_repeating_it(key_pair: KeyPair) -> None:
    with pytest.raises(ValueError, match=r"^cannot encrypt") as caught:
        encrypt(key_pair.public_key_pem(), b"secret" * 100)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(which("openssl") is None, reason="no openssl command")
def test_openssl_encrypts_for_us(key_pair: KeyPair, tmp_path: Path) -> None:
    """OAEP with SHA-1 is what a client's OpenSSL does by default."""
    pem = tmp_path / "key.pem"
    pem.write_bytes(key_pair.public_key_pem())
    command = [
        "openssl",
        "pkeyutl",
        "-encrypt",
        "-pubin",
        "-inkey",
        str(pem),
        "-pkeyopt",
        "rsa_padding_mode:oaep",
    ]
    done = subprocess.run(command, input=b"secret\0", capture_output=True, check=True)
    assert key_pair.decrypt(done.stdout) == b"secret\0"


def test_key_pair_shows_nothing(key_pair: KeyPair) -> None:
    assert repr(key_pair) == "KeyPair(...)"


def test_own_certificate_comes_with_its_key_and_is_another_each_time(tmp_path: Path) -> None:
    pem = own.self_signed_certificate()
    (tmp_path / "own.pem").write_bytes(pem)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "own.pem")
    assert own.self_signed_certificate() != pem


def test_another_process_may_have_the_same_key() -> None:
    pair = KeyPair()
    other = KeyPair(pair.private_key_pem())
    assert other.public_key_pem() == pair.public_key_pem()
    assert other.decrypt(encrypt(pair.public_key_pem(), b"secret")) == b"secret"
