"""TLS contexts for both sides, from the settings. Never below TLS 1.2."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from config.sections import ClientTls, ClientTlsMode, ServerTls, ServerTlsMode
from proxy.rsa import self_signed_certificate


class TlsError(Exception):
    """A certificate, key or CA file cannot be used; the text names the setting and the file."""


def client_side(settings: ClientTls, own: bytes = b"") -> ssl.SSLContext | None:
    """What clients meet, or None where TLS is not offered. ``own``: a certificate of ours with its key, in place of a new one where none is configured. Raises
    TlsError."""
    if settings.mode is ClientTlsMode.DISABLED:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is None:
        _load_own_certificate(context, own or self_signed_certificate())
    else:
        _load_certificate(context, settings.certificate, settings.key, "client_tls.certificate")
    if settings.client_ca is not None:
        _load_ca(context, str(settings.client_ca), "client_tls.client_ca")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def server_side(settings: ServerTls) -> ssl.SSLContext | None:
    """How servers are met, or None where TLS is not wanted. Raises TlsError."""
    if settings.mode is ServerTlsMode.DISABLED:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = settings.mode is ServerTlsMode.VERIFY_IDENTITY
    if settings.mode in (ServerTlsMode.VERIFY_CA, ServerTlsMode.VERIFY_IDENTITY):
        if settings.ca is None:
            context.load_default_certs()
        else:
            _load_ca(context, str(settings.ca), "server_tls.ca")
    else:
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        _load_certificate(context, settings.certificate, settings.key, "server_tls.certificate")
    return context


def demand_on_servers(settings: ServerTls) -> str:
    """What the connection phase asks of a server: disabled, preferred or required."""
    if settings.mode in (ServerTlsMode.DISABLED, ServerTlsMode.PREFERRED):
        return settings.mode.value
    return "required"


def _load_own_certificate(context: ssl.SSLContext, own: bytes) -> None:
    """The library takes certificates from files only: this one is readable by us alone and gone at once."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(own)
        file.flush()
        context.load_cert_chain(file.name)


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None, setting: str) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{setting} {certificate}: {error}") from error


def _load_ca(context: ssl.SSLContext, path: str, setting: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{setting} {path}: {error}") from error
