"""Keys: RSA for the full exchange of caching_sha2_password over connections without TLS, and a certificate of our own. The only
user of `cryptography`.

Towards clients we are the server and own a key pair, made in memory when it is first needed and never written anywhere: a
client asks for the public key at every such login. Towards servers we encrypt with the key that the server sends.

"Caching_sha2_password information" (MySQL source documentation): the password "is encrypted with RSA/ECB/OAEPWithSHA-1AndMGF1Padding".
"""

from __future__ import annotations

import datetime
import threading
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

KEY_BITS: Final = 2048
"""What MySQL makes for itself (sha256_password_auto_generate_rsa_keys)."""
LONGEST_KEY_BITS: Final = 16384
"""A server could name a key that takes us seconds to use; no real one is longer than this."""


def _padding() -> OAEP:
    return OAEP(mgf=MGF1(algorithm=SHA1()), algorithm=SHA1(), label=None)


class KeyPair:
    """Our own key pair. Making it takes some 100 ms of CPU: call `public_key_pem` in a thread before the first client needs it."""

    __slots__ = ("_key", "_lock", "_pem")

    def __init__(self, private_pem: bytes = b"") -> None:
        """``private_pem``: the one that another process has made (`private_key_pem`); b"" for a new one."""
        self._lock = threading.Lock()
        self._key: RSAPrivateKey | None = None
        self._pem: bytes = b""
        if private_pem:
            key = load_pem_private_key(private_pem, None)
            assert isinstance(key, RSAPrivateKey)
            self._own(key)

    def private_key_pem(self) -> bytes:
        """For another process of ours: whoever has it can read passwords."""
        return self._private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_key_pem(self) -> bytes:
        """The public key as clients expect it: PEM, SubjectPublicKeyInfo."""
        self._private_key()
        return self._pem

    def decrypt(self, secret: bytes) -> bytes:
        """What `secret` was made of. ValueError, without saying more, if it was not made with our public key."""
        try:
            return self._private_key().decrypt(secret, _padding())
        except ValueError:
            raise ValueError("not encrypted with our public key") from None

    def _private_key(self) -> RSAPrivateKey:
        with self._lock:
            if self._key is None:
                self._own(generate_private_key(public_exponent=65537, key_size=KEY_BITS))
            assert self._key is not None
            return self._key

    def _own(self, key: RSAPrivateKey) -> None:
        self._pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._key = key

    def __repr__(self) -> str:
        return "KeyPair(...)"


def encrypt(pem: bytes, plain: bytes) -> bytes:
    """`plain` encrypted with a server's public key. ValueError, without saying more, for no usable RSA key or too long a text."""
    try:
        key = load_pem_public_key(pem)
        if isinstance(key, RSAPublicKey) and key.key_size <= LONGEST_KEY_BITS:
            return key.encrypt(plain, _padding())
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise ValueError("cannot encrypt with this public key")


CERTIFICATE_DAYS: Final = 3650
"""What MySQL gives to the certificates that it makes for itself."""


def self_signed_certificate() -> bytes:
    """A certificate for clients that want TLS where none is configured, with its private key behind it, both PEM.

    Nobody vouches for it, so it keeps listeners out and impostors not, like the one that MySQL makes for itself ("Creating SSL
    and RSA Certificates and Keys using MySQL"). An EC key: a handshake costs a tenth of one with RSA.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fanin auto-generated certificate")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private
