"""Checking a signature that OpenSSF model signing made, without loading that library.

Importing it takes half a second, for Sigstore's clients that a local key does not need, and every
worker of a server would wait for that. What is checked is what the library checks, and stricter:
one form alone is accepted, the one that ``sign_folder`` makes. A test holds the two together.

The forms: DSSE v1 (an envelope whose signature is over the "pre-authentication encoding" of its
payload), in-toto Statement v1, OpenSSF model signing's predicate v1.0, ECDSA on P-256 with SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}


def signed_digests(bundle: bytes, key: EllipticCurvePublicKey) -> dict[str, str]:
    """What a key's owner signed: each file's path and the hex digits of its SHA-256.

    Args:
        bundle: the content of the signature's file.
        key: on curve P-256.

    Raises:
        cryptography.exceptions.InvalidSignature: the key's owner did not sign it.
        ValueError, LookupError, TypeError, AttributeError, RecursionError: it is of another form.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    content = json.loads(bundle)
    hint = content["verificationMaterial"]["publicKey"]["hint"]
    if not hint:
        raise ValueError("a signature that does not name its key")
    _equal(hint, _hint(key), "the key that it names")
    envelope = content["dsseEnvelope"]
    _equal(envelope["payloadType"], _PAYLOAD, "the type of the payload")
    payload = base64.b64decode(envelope["payload"], validate=True)
    (signature,) = envelope["signatures"]
    written = base64.b64decode(signature["sig"], validate=True)
    key.verify(written, _encoded(payload), ec.ECDSA(hashes.SHA256()))
    return _digests(json.loads(payload))


def file_digest(path: Path) -> str:
    """The hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests(statement: Any) -> dict[str, str]:
    """The files of a statement, whose own digest must be that of their digests in order."""
    _equal(statement["_type"], _STATEMENT, "the type of the statement")
    _equal(statement["predicateType"], _PREDICATE, "the type of the predicate")
    (subject,) = statement["subject"]
    predicate = statement["predicate"]
    for name, value in _SERIALIZATION.items():
        _equal(predicate["serialization"][name], value, f"the serialization's {name}")
    digests: dict[str, str] = {}
    root = hashlib.sha256()
    for resource in predicate["resources"]:
        _equal(resource["algorithm"], "sha256", "an algorithm")
        if resource["name"] in digests:
            raise ValueError(f"{resource['name']!r} stands twice in the statement")
        digests[resource["name"]] = resource["digest"]
        root.update(bytes.fromhex(resource["digest"]))
    _equal(subject["digest"]["sha256"], root.hexdigest(), "the digest of all files")
    return digests


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: lengths before what they are of, so nothing can shift."""
    kind = _PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _hint(key: EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _equal(found: object, expected: object, what: str) -> None:
    if found != expected or type(found) is not type(expected):
        raise ValueError(f"{what} is {found!r}, not {expected!r}")
