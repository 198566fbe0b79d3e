from __future__ import annotations

import contextlib
import datetime
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from config.sections import ClientTls, ServerTls
from proxy import tls
from proxy.rsa import self_signed_certificate

NOW = datetime.datetime.now(datetime.UTC)


@dataclass
class Papers:
    """A CA, and a certificate of it with its key, as PEM files."""

    ca: Path
    certificate: Path
    key: Path


def issue(
    name: str,
    key: EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: EllipticCurvePrivateKey,
    is_ca: bool,
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(issuer_key, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    made = Papers(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    made.ca.write_bytes(issue("ca", ca_key, ca_name, ca_key, True))
    made.certificate.write_bytes(issue("db.example", key, ca_name, ca_key, False))
    made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None) -> str:
    """The version of TLS that the two agree on. Raises ssl.SSLError when they do not."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    version = ends[0].version()
    # TLS 1.3: the server's verdict on a certificate comes with the first read
    with contextlib.suppress(ssl.SSLWantReadError):
        ends[0].read()
    assert version is not None
    return version


def accepting(papers: Papers, **more: object) -> ssl.SSLContext:
    table = {"certificate": papers.certificate, "key": papers.key, **more}
    context = tls.client_side(ClientTls.model_validate(table))
    assert context is not None
    return context


def meeting(**table: object) -> ssl.SSLContext:
    context = tls.server_side(ServerTls.model_validate(table))
    assert context is not None
    return context


# Towards clients


def test_tls_may_be_switched_off_on_both_sides() -> None:
    assert tls.client_side(ClientTls.model_validate({"mode": "disabled"})) is None
    assert tls.server_side(ServerTls.model_validate({"mode": "disabled"})) is None


def test_clients_meet_the_configured_certificate(papers: Papers) -> None:
    client = ssl.create_default_context(cafile=str(papers.ca))
    assert shake_hands(accepting(papers), client, "db.example") == "TLSv1.3"


def test_without_a_certificate_one_is_made() -> None:
    context = tls.client_side(ClientTls())
    assert context is not None
    assert shake_hands(context, meeting(mode="required")) == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_old_versions_of_tls_are_refused(papers: Papers) -> None:
    client = meeting(mode="required")
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake_hands(accepting(papers), client)


def test_clients_without_a_certificate_are_refused_where_one_is_asked_for(papers: Papers) -> None:
    server = accepting(papers, client_ca=papers.ca)
    with pytest.raises(ssl.SSLError):
        shake_hands(server, meeting(mode="required"))
    client = meeting(mode="required", certificate=papers.certificate, key=papers.key)
    assert shake_hands(server, client) == "TLSv1.3"


# Towards servers


@pytest.mark.parametrize("mode", ["preferred", "required"])
def test_any_certificate_will_do_where_none_is_verified(papers: Papers, mode: str) -> None:
    assert shake_hands(accepting(papers), meeting(mode=mode), "elsewhere") == "TLSv1.3"


def test_verify_ca_wants_a_certificate_of_the_ca(papers: Papers) -> None:
    assert shake_hands(accepting(papers), meeting(mode="verify-ca", ca=papers.ca), "elsewhere") == "TLSv1.3"
    stranger = tls.client_side(ClientTls())
    assert stranger is not None
    for mode in ({"mode": "verify-ca", "ca": papers.ca}, {"mode": "verify-ca"}):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(stranger, meeting(**mode), "elsewhere")


def test_verify_identity_wants_the_right_name_as_well(papers: Papers) -> None:
    client = meeting(mode="verify-identity", ca=papers.ca)
    assert shake_hands(accepting(papers), client, "db.example") == "TLSv1.3"
    assert shake_hands(accepting(papers), client, "127.0.0.1") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(accepting(papers), client, "elsewhere")


@pytest.mark.parametrize(
    ("mode", "demand"),
    [
        ("disabled", "disabled"),
        ("preferred", "preferred"),
        ("required", "required"),
        ("verify-ca", "required"),
        ("verify-identity", "required"),
    ],
)
def test_the_demand_on_servers(mode: str, demand: str) -> None:
    assert tls.demand_on_servers(ServerTls.model_validate({"mode": mode})) == demand


# Files that cannot be used


def test_an_unusable_file_is_named_with_its_setting(papers: Papers, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no PEM")
    table = {"certificate": bad, "key": papers.key}
    with pytest.raises(tls.TlsError, match=f"client_tls.certificate {bad}: "):
        tls.client_side(ClientTls.model_validate(table))
    with pytest.raises(tls.TlsError, match=f"client_tls.client_ca {bad}: "):
        accepting(papers, client_ca=bad)
    with pytest.raises(tls.TlsError, match=f"server_tls.certificate {bad}: "):
        tls.server_side(ServerTls.model_validate({"mode": "required", **table}))
    with pytest.raises(tls.TlsError, match=f"server_tls.ca {bad}: "):
        meeting(mode="verify-ca", ca=bad)


def test_a_certificate_of_ours_may_be_given() -> None:
    assert tls.client_side(ClientTls(), self_signed_certificate()) is not None
