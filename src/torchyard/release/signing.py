"""Keys and signatures: who sealed a folder, and whether a byte of it changed since.

Signatures are made by OpenSSF model signing (a DSSE envelope around an in-toto statement that lists
the SHA-256 of every file) with a local elliptic-curve key, and checked by ``verifying.py``. Not
here: what a release folder must hold, see ``folder.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.digest import digest_bytes, short
from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.core.files import locked, write_atomically
from torchyard.release.verifying import file_digest, signed_digests

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SIGNATURE = "model.sig"
CODE = "code"  # the folder, among the trusted keys, of those that are trusted for programs too
_PRIVATE = "signing.pem"
_TRUSTED = "trusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key on this machine.

    ``folder`` holds it; ``fingerprint`` is ``sha256:`` and the digest of the public key's DER form.
    """

    folder: Path
    fingerprint: str

    @property
    def private(self) -> Path:
        """The PEM file of the private key, readable by its owner alone."""
        return self.folder / _PRIVATE

    @property
    def trusted(self) -> Path:
        """The folder of the public keys that this machine trusts, this key's among them."""
        return self.folder / _TRUSTED


def ensure_key(folder: Path) -> SigningKey:
    """The folder's signing key, made on first use; safe to call from several processes.

    Raises:
        BadRecord: there is a key file, and it is not an EC P-256 private key in PEM form without a
            password.
        NotTrusted: others than the owner may read the key file.
    """
    with locked(folder / ".lock"):
        return _read_key(folder) if (folder / _PRIVATE).exists() else _make_key(folder)


def trusted_keys(trusted: Path) -> dict[str, Path]:
    """The public keys (``*.pub``, PEM) of a folder, by fingerprint.

    Raises:
        BadRecord: a file is not an EC P-256 public key. One bad file stops everything: a set of
            trusted keys is either known or it is not.
    """
    return {
        _fingerprint(_checked(_load_public(path), path)): path
        for path in sorted(trusted.glob("*.pub"))
    }


def sign_folder(folder: Path, key: SigningKey) -> None:
    """Write ``model.sig``: a signature over every other file of a folder."""
    from model_signing import hashing, signing

    rules = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    config = signing.Config().set_hashing_config(rules)
    config.use_elliptic_key_signer(private_key=key.private)
    config.sign(folder, folder / SIGNATURE)


def verify_folder(folder: Path, public_key: Path, files: frozenset[str]) -> None:
    """Check that a key's owner signed exactly these files with exactly these bytes.

    Args:
        folder: plain files and folders only; the caller has made sure.
        public_key: the PEM file of a trusted key.
        files: relative POSIX paths that the signature must cover, no more and no fewer.

    Raises:
        NotTrusted: the signature is malformed, of another key, of other files or other bytes.
    """
    from cryptography.exceptions import InvalidSignature

    signature = folder / SIGNATURE
    key = _checked(_load_public(public_key), public_key)
    try:
        signed = signed_digests(signature.read_bytes(), key)
    except InvalidSignature as error:
        raise _unsigned(signature, "a signature that its key did not make") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _unsigned(signature, str(error) or type(error).__name__) from error
    if signed.keys() != files:
        odd = ", ".join(sorted(signed.keys() ^ files)[:5])
        raise _unsigned(signature, f"a signature over other files than these: {odd}")
    for name in sorted(files):
        if file_digest(folder / name) != signed[name]:
            raise _unsigned(signature, f"a signature over other bytes of {name}")


def _read_key(folder: Path) -> SigningKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = folder / _PRIVATE
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise NotTrusted(
            where=str(path),
            found=f"a private key with mode {mode:04o}",
            expected="mode 0600: only its owner may read it",
            remedy=f"Run: chmod 600 {path}",
        )
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path, str(error)) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _not_a_key(path, type(private).__name__)
    return SigningKey(folder=folder, fingerprint=_fingerprint(_checked(private.public_key(), path)))


def _make_key(folder: Path) -> SigningKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    key = SigningKey(folder=folder, fingerprint=_fingerprint(private.public_key()))
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for folder_of_keys in (key.trusted, key.trusted / CODE):  # its owner's programs run here anyway
        write_atomically(folder_of_keys / f"{short(key.fingerprint)}.pub", public)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomically(key.private, pem, mode=0o600)
    return key


def _load_public(path: Path) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(path.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path, str(error)) from error


def _checked(public: object, path: Path) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise _not_a_key(path, type(public).__name__)
    if public.curve.name != "secp256r1":
        raise _not_a_key(path, f"a key on curve {public.curve.name}")
    return public


def _fingerprint(public: EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return digest_bytes(
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _not_a_key(path: Path, found: str) -> BadRecord:
    return BadRecord(
        where=str(path),
        found=found,
        expected="an EC P-256 key in PEM form",
        remedy="Restore the file from where the key was made, or remove it.",
    )


def _unsigned(signature: Path, found: str) -> NotTrusted:
    return NotTrusted(
        where=str(signature),
        found=found,
        expected="a trusted key's signature over every file of the release",
        remedy="Copy the release again from where it was sealed; do not serve this folder.",
    )
