"""What is wrong with the files of a server's TLS, before it starts: said of each one by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadUsage
from torchyard.serve.guarding.exposure import exposed
from torchyard.serve.guarding.tls import TlsFiles, server_context

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SOON = timedelta(days=14)


def check_files(files: TlsFiles, now: datetime) -> list[str]:
    """Hold that a server can start with these files.

    Args:
        files: certificate, key, clients' authorities.
        now: the time, in UTC.

    Returns:
        Sentences on what a person should know of all the same: a certificate that soon expires, a
        key that everybody on the machine may read.

    Raises:
        BadUsage: a file cannot be read, is not what its setting says, has expired or is not valid
            yet; or the key is another certificate's.
    """
    certificates = _certificates(files.certificate, "tls_certificate")
    shown = certificates[0]
    _check_times(shown, files.certificate, now)
    _check_fit(shown, files)
    if files.client_ca is not None:
        for authority in _certificates(files.client_ca, "tls_client_ca"):
            _check_times(authority, files.client_ca, now, setting="tls_client_ca")
    server_context(files)  # what is left: OpenSSL's own rules, such as the length of a key
    told = []
    if shown.not_valid_after_utc - now < _SOON:
        day = shown.not_valid_after_utc.date()
        told.append(f"warning: the certificate expires on {day}: renew {files.certificate}")
    if warning := exposed(files.key, "the TLS key"):
        told.append(warning)
    return told


def _certificates(path: Path, setting: str) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(_content(path, setting))
    except ValueError as error:
        raise _refuse(setting, path, "no certificate in it", "certificates as PEM") from error


def _check_times(
    certificate: Certificate, path: Path, now: datetime, *, setting: str = "tls_certificate"
) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= ends:
        found = f"a certificate that expired on {ends:%Y-%m-%d %H:%M} UTC"
        raise _refuse(setting, path, found, "one that is valid now", "Renew it.")
    if now < begins:
        found = f"a certificate that is valid from {begins:%Y-%m-%d %H:%M} UTC on"
        raise _refuse(setting, path, found, "one that is valid now", "Look at the machine's clock.")


def _check_fit(certificate: Certificate, files: TlsFiles) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(files.key, "tls_key")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        found, expected = "a key with a password", "a key without one"
        raise _refuse("tls_key", files.key, found, expected) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _refuse("tls_key", files.key, "no private key in it", "one as PEM") from error
    if key.public_key() != certificate.public_key():
        found = "the key of another certificate"
        raise _refuse("tls_key", files.key, found, f"the key of {files.certificate}")


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
        raise _refuse(setting, path, found, "a file that the server may read") from error


def _refuse(
    setting: str,
    path: Path,
    found: str,
    expected: str,
    remedy: str = "Correct the setting or the file.",
) -> BadUsage:
    return BadUsage(where=f"{setting}, {path}", found=found, expected=expected, remedy=remedy)
