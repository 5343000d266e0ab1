"""TLS by file: what a server shows its clients, and whose clients' certificates it accepts.

Protocols from TLS 1.2 on, with the ciphers of Python's defaults for servers (ECDHE or DHE with
AEAD first, no SHA-1); no renegotiation, no compression. A client is verified against the file of
certificate authorities and nothing else, never against those of the operating system.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torchyard.core.errors import BadUsage

_OUTPUT = logging.getLogger("torchyard.serve")

_Sign = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The files of a server's TLS, all PEM.

    Attributes:
        certificate: the server's, followed by those between it and a known authority.
        key: its private key, without a password.
        client_ca: authorities that clients' certificates are held against; a client without one is
            turned away. None where clients need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        files = (self.certificate, self.key)
        return files if self.client_ca is None else (*files, self.client_ca)


def tls_files(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> TlsFiles | None:
    """The files that a server's settings name; None for a server without TLS.

    Raises:
        BadUsage: one is named and another that it needs is not.
    """
    if certificate is None and key is None and client_ca is None:
        return None
    if certificate is None or key is None:
        missing = "tls_certificate" if certificate is None else "tls_key"
        raise BadUsage(
            where=f"serve setting {missing}",
            found="nothing",
            expected="a file: TLS takes a certificate and its key",
            remedy=f"Set {missing} as well, or leave all of tls_* out.",
        )
    return TlsFiles(certificate=certificate, key=key, client_ca=client_ca)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that accepts clients.

    Raises:
        BadUsage: a file cannot be read or is not what it should be; ``check_files`` of
            ``certificates`` says more.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        # a key with a password would have it asked for on the terminal
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # ssl's own errors are among them
        raise BadUsage(
            where=", ".join(map(str, files.paths)),
            found=getattr(error, "reason", None) or str(error),
            expected="a certificate, its key and certificates of authorities, as PEM",
            remedy="Correct the file.",
        ) from error
    return context


@final
class Tls:
    """The context for the next connection, from files that may be renewed at any time.

    Args:
        files: of the server's TLS.

    Attributes:
        files: where they lie.
        context: for connections from now on; those that are open keep theirs.

    Raises:
        BadUsage: see ``server_context``.
    """

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._sign = _signed(files)
        self._failed: _Sign | None = None
        self.context = server_context(files)

    def look(self) -> None:
        """Take renewed files up; call about once a second.

        Files are replaced one after the other, so that for a moment they do not fit together: what
        was there before goes on, and only what stays so is told, once.
        """
        sign = _signed(self.files)
        if sign == self._sign:
            return
        try:
            self.context = server_context(self.files)
        except BadUsage as error:
            if self._failed == sign:
                self._sign = sign
                _OUTPUT.error("the certificate of before is kept: %s", error)
            self._failed = sign
            return
        self._sign, self._failed = sign, None
        _OUTPUT.warning("a renewed certificate is shown from now on")


def read_pems(files: TlsFiles) -> tuple[bytes, bytes, bytes | None]:
    """Key, certificates and clients' authorities as bytes, for a library that has TLS of its own.

    ``grpc.ssl_server_credentials([(key, certificates)], authorities, authorities is not None)``

    Raises:
        OSError: a file cannot be read.
    """
    authorities = None if files.client_ca is None else files.client_ca.read_bytes()
    return files.key.read_bytes(), files.certificate.read_bytes(), authorities


def client_name(peer_certificate: object) -> str:
    """The common name in a client's verified certificate as ``ssl`` gives it; empty without one.

    Example:
        >>> client_name({"subject": ((("organizationName", "Shop"),), (("commonName", "till-4"),))})
        'till-4'
    """
    if not isinstance(peer_certificate, dict):
        return ""
    parts = [part for parts in peer_certificate.get("subject", ()) for part in parts]
    return next((str(value) for name, value in parts if name == "commonName"), "")


def _signed(files: TlsFiles) -> _Sign:
    return tuple(_sign_of(path) for path in files.paths)


def _sign_of(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
