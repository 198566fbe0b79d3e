"""The arithmetic of the authentication plugins: pure functions of passwords, hashes and nonces.

Who talks when is decided in `server` and `client`; here is only what is computed. Three plugins:

- ``mysql_native_password`` ("Native Authentication" in the MySQL source documentation):
  ``SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))``. *stage1* is ``SHA1(password)``, all a client needs to log in;
  *stage2* is ``SHA1(stage1)``, what a server stores (as ``*HEX``) and needs to check a login. A successful check
  reveals stage1 to the server.
- ``caching_sha2_password`` ("Caching_sha2_password information"): fast path
  ``SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)``, checked with the *double digest*
  ``SHA256(SHA256(password))``; full path: the password itself, in clear over a secure transport, else XORed with
  the nonce and encrypted with the server's RSA key.
- ``mysql_clear_password`` ("Clear text client plugin"): the password, NUL-terminated.

A nonce is 20 bytes here; the NUL that follows it on the wire is not part of it. Everything that compares secrets
compares in constant time. Nothing here appears in a repr or in the text of an exception.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

NATIVE_PASSWORD: Final = b"mysql_native_password"
CACHING_SHA2_PASSWORD: Final = b"caching_sha2_password"
CLEAR_PASSWORD: Final = b"mysql_clear_password"
SHA256_PASSWORD: Final = b"sha256_password"

NONCE_LENGTH: Final = 20

# The one-byte messages of caching_sha2_password: two of the server's (inside AuthMoreData), one of the client's.
FAST_AUTH_SUCCESS: Final = b"\x03"
FULL_AUTH_NEEDED: Final = b"\x04"
PUBLIC_KEY_REQUEST: Final = b"\x02"
SHA256_KEY_REQUEST: Final = b"\x01"  # the same in sha256_password


def nonce_of(entropy: bytes) -> bytes:
    """A nonce made of 20 random bytes. Clients take it for a C string, and MySQL also leaves out "$" and 8-bit bytes."""
    if len(entropy) != NONCE_LENGTH:
        raise ValueError("a nonce is made of 20 random bytes")
    return bytes([33 + byte % 3 if byte in (0, 36) else byte for byte in [byte & 0x7F for byte in entropy]])


def _sha1(message: bytes) -> bytes:
    return hashlib.sha1(message).digest()


def _sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    """XOR of two strings of the same length."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def native_stage1(password: bytes) -> bytes:
    """SHA1(password): as good as the password to a server that uses mysql_native_password. A secret."""
    return _sha1(password)


def native_stage2(password: bytes) -> bytes:
    """SHA1(SHA1(password)): what a server keeps in order to check logins."""
    return _sha1(_sha1(password))


def native_scramble(password: bytes, nonce: bytes) -> bytes:
    """The 20-byte response of mysql_native_password; empty for the empty password."""
    if not password:
        return b""
    return native_scramble_stage1(_sha1(password), nonce)


def native_scramble_stage1(stage1: bytes, nonce: bytes) -> bytes:
    """The same from SHA1(password), when the password itself is not known."""
    return _xor(stage1, _sha1(nonce + _sha1(stage1)))


def verify_native(response: bytes, nonce: bytes, stage2: bytes) -> bytes | None:
    """Check a response to `nonce` against SHA1(SHA1(password)); stage1 when it is right, None when not."""
    if len(response) != 20 or len(stage2) != 20:
        return None
    stage1 = _xor(response, _sha1(nonce + stage2))
    if hmac.compare_digest(_sha1(stage1), stage2):
        return stage1
    return None


def sha2_double_digest(password: bytes) -> bytes:
    """SHA256(SHA256(password)): what is needed to check the fast path of caching_sha2_password."""
    return _sha256(_sha256(password))


def sha2_scramble(password: bytes, nonce: bytes) -> bytes:
    """The 32-byte response of caching_sha2_password; empty for the empty password."""
    if not password:
        return b""
    stage1 = _sha256(password)
    return _xor(stage1, _sha256(_sha256(stage1) + nonce))


def verify_sha2(response: bytes, nonce: bytes, double_digest: bytes) -> bool:
    """Check a fast-path response to `nonce` against SHA256(SHA256(password))."""
    if len(response) != 32 or len(double_digest) != 32:
        return False
    stage1 = _xor(response, _sha256(double_digest + nonce))
    return hmac.compare_digest(_sha256(stage1), double_digest)


def xor_password(password: bytes, nonce: bytes) -> bytes:
    """What is encrypted with the RSA key: password and NUL, XORed with the nonce repeated as often as needed."""
    plain = password + b"\x00"
    return _xor(plain, _repeat(nonce, len(plain)))


def unxor_password(secret: bytes, nonce: bytes) -> bytes | None:
    """The password out of a decrypted `xor_password`; None when the NUL at its end is missing."""
    plain = _xor(secret, _repeat(nonce, len(secret)))
    return plain[:-1] if plain.endswith(b"\x00") else None


def _repeat(nonce: bytes, length: int) -> bytes:
    return (nonce * (length // len(nonce) + 1))[:length]


class Verifier:
    """What we keep of a password in order to check it: hashes only, either of them or both.

    `sha2` is SHA256(SHA256(password)) or None; `native` is SHA1(SHA1(password)) or None. A verifier made of a
    password has both, one made of a ``*HEX`` hash only `native`.
    """

    __slots__ = ("native", "sha2")

    sha2: bytes | None
    native: bytes | None

    def __init__(self, sha2: bytes | None = None, native: bytes | None = None) -> None:
        self.sha2 = sha2
        self.native = native

    @staticmethod
    def of_password(password: bytes) -> Verifier:
        return Verifier(sha2_double_digest(password), native_stage2(password))

    @staticmethod
    def of_native_hash(text: str) -> Verifier:
        """Of a hash as servers show it: ``*`` and 40 hexadecimal digits. ValueError when it is not one."""
        # The text is as good as a password to an attacker with time: no exception repeats it.
        try:
            stage2 = bytes.fromhex(text[1:])
        except ValueError:
            stage2 = b""
        if text[:1] != "*" or len(text) != 41 or len(stage2) != 20:
            raise ValueError("a mysql_native_password hash is '*' and 40 hexadecimal digits")
        return Verifier(None, stage2)

    @property
    def is_native_only(self) -> bool:
        """Whether only mysql_native_password (or the password itself) can be checked."""
        return self.sha2 is None and self.native is not None

    def matches(self, password: bytes) -> bool:
        """Whether this is the password, for when the client sent it whole. False when nothing is known."""
        if self.sha2 is not None:
            return hmac.compare_digest(sha2_double_digest(password), self.sha2)
        if self.native is not None:
            return hmac.compare_digest(native_stage2(password), self.native)
        return False

    def __repr__(self) -> str:
        return "Verifier(...)"
