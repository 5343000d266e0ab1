"""The check of a signature accepts what the library that signs accepts, and nothing it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st
from model_signing import hashing, verifying

from torchyard.release.signing import SIGNATURE, SigningKey, ensure_key, sign_folder
from torchyard.release.verifying import _encoded, file_digest, signed_digests

REFUSALS = (InvalidSignature, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@pytest.fixture(scope="module", name="signed")
def _signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SigningKey]:
    folder = tmp_path_factory.mktemp("signed")
    key = ensure_key(folder / "keys")
    content = folder / "content"
    (content / "deep" / "er").mkdir(parents=True)
    for name, data in {
        "a": b"",
        "b.bin": b"\0\xff",
        "deep/er/ü": b"text",
        ".gitignore": b"*",
    }.items():
        (content / name).write_bytes(data)
    sign_folder(content, key)
    return content, key


def private_of(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    private = load_pem_private_key(key.private.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private


def ours(bundle: bytes, key: SigningKey) -> dict[str, str] | None:
    try:
        return signed_digests(bundle, private_of(key).public_key())
    except REFUSALS:
        return None


def the_library_accepts(folder: Path, bundle: bytes, key: SigningKey, place: Path) -> bool:
    rules = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    config = verifying.Config().set_hashing_config(rules)
    config.use_elliptic_key_verifier(public_key=next(key.trusted.glob("*.pub")))
    place.write_bytes(bundle)
    try:
        config.verify(folder, place)
    except REFUSALS:
        return False
    return True


def test_both_accept_what_was_signed(signed: tuple[Path, SigningKey], tmp_path: Path) -> None:
    folder, key = signed
    bundle = (folder / SIGNATURE).read_bytes()

    assert the_library_accepts(folder, bundle, key, tmp_path / "sig")
    assert ours(bundle, key) == {
        name: file_digest(folder / name) for name in ("a", "b.bin", "deep/er/ü", ".gitignore")
    }


@given(data=st.data())
@settings(deadline=None, max_examples=80)
def test_a_changed_byte_of_the_signature_is_refused_unless_it_says_the_same(
    signed: tuple[Path, SigningKey], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder, key = signed
    whole = (folder / SIGNATURE).read_bytes()
    bundle = bytearray(whole)
    bundle[data.draw(st.integers(0, len(bundle) - 1))] ^= data.draw(st.integers(1, 255))

    found = ours(bytes(bundle), key)

    assert found in (None, ours(whole, key))  # spaces, and what nobody reads, may change


def resigned(bundle: bytes, key: SigningKey, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The statement changed, and signed again by the same key."""
    content = json.loads(bundle)
    envelope = content["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    signature = private_of(key).sign(_encoded(payload), ec.ECDSA(hashes.SHA256()))
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(content).encode()


def other_root(statement: dict[str, Any]) -> None:
    statement["subject"][0]["digest"]["sha256"] = "0" * 64


def other_predicate(statement: dict[str, Any]) -> None:
    statement["predicateType"] = "https://example.org/other"


def two_subjects(statement: dict[str, Any]) -> None:
    statement["subject"] *= 2


def weak_algorithm(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"][0]["algorithm"] = "md5"


def in_shards(statement: dict[str, Any]) -> None:
    statement["predicate"]["serialization"]["method"] = "shards"


def twice(statement: dict[str, Any]) -> None:
    statement["predicate"]["resources"].append(statement["predicate"]["resources"][0])


def nothing(statement: dict[str, Any]) -> None:
    del statement


@pytest.mark.parametrize(
    "change", [other_root, other_predicate, two_subjects, weak_algorithm, in_shards, twice]
)
def test_a_statement_of_another_form_is_refused_even_signed(
    signed: tuple[Path, SigningKey],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
) -> None:
    folder, key = signed
    whole = (folder / SIGNATURE).read_bytes()
    assert ours(resigned(whole, key, nothing), key) == ours(whole, key)

    bundle = resigned(whole, key, change)

    assert ours(bundle, key) is None
    assert not the_library_accepts(folder, bundle, key, tmp_path / "sig")


def test_another_key_is_refused(signed: tuple[Path, SigningKey], tmp_path: Path) -> None:
    folder, _ = signed
    stranger = private_of(ensure_key(tmp_path)).public_key()
    with pytest.raises(ValueError, match="the key that it names is"):
        signed_digests((folder / SIGNATURE).read_bytes(), stranger)
