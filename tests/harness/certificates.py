"""Certificates for tests, good and bad: an authority of our own, and what it signs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_HOUR = timedelta(hours=1)


@dataclass
class Authority:
    """Signs certificates; `file` is what a client has to trust."""

    folder: Path
    file: Path
    _key: ec.EllipticCurvePrivateKey
    _name: x509.Name

    def server(
        self, *, host: str = "127.0.0.1", age: timedelta = _HOUR, life: timedelta = 24 * _HOUR
    ) -> ssl.SSLContext:
        """Return what a server speaks with: begun `age` ago, valid for `life` from then."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(_called(host), self._name, key, host, age, life).sign(
            self._key, hashes.SHA256()
        )
        return _context(self.folder / "server.pem", signed, key)


def authority(folder: Path, name: str = "an authority") -> Authority:
    """Return a new authority that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = _called(name)
    signed = (
        _certificate(called, called, key, None, _HOUR, 24 * _HOUR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return Authority(folder, file, key, called)


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return what a server speaks with that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _called("127.0.0.1")
    made = _certificate(name, name, key, "127.0.0.1", _HOUR, 24 * _HOUR).sign(key, hashes.SHA256())
    return _context(folder / "self.pem", made, key)


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    host: str | None,
    age: timedelta,
    life: timedelta,
) -> x509.CertificateBuilder:
    begun = datetime.now(UTC) - age
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(begun + life)
    )
    if host is None:
        return made
    try:
        named: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    return made.add_extension(x509.SubjectAlternativeName([named]), critical=False)


def _context(
    file: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> ssl.SSLContext:
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
