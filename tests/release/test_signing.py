"""Keys: made once, private, and refused with a reason when they are not what they should be."""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.release.signing import ensure_key, trusted_keys


def pem(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_key_is_private_and_its_public_half_is_trusted(tmp_path: Path) -> None:
    key = ensure_key(tmp_path)
    assert stat.S_IMODE(key.private.stat().st_mode) == 0o600
    (public,) = key.trusted.glob("*.pub")
    loaded = serialization.load_pem_public_key(public.read_bytes())
    der = loaded.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key.fingerprint == f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert public.name == f"{key.fingerprint.removeprefix('sha256:')[:12]}.pub"
    assert trusted_keys(key.trusted) == {key.fingerprint: public}
    assert set(trusted_keys(key.trusted / "code")) == {key.fingerprint}  # its owner's own programs


def test_a_key_is_made_once(tmp_path: Path) -> None:
    assert ensure_key(tmp_path) == ensure_key(tmp_path)


def test_several_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(ensure_key, [tmp_path] * 4))
    assert len(keys) == 1
    assert len(trusted_keys(tmp_path / "trusted")) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ensure_key(tmp_path).private.chmod(0o644)
    with pytest.raises(NotTrusted, match=r"mode 0644; expected mode 0600.*Run: chmod 600"):
        ensure_key(tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"hello", "expected an EC P-256 key in PEM form"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "found Ed25519PrivateKey"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "found a key on curve secp384r1"),
    ],
    ids=["text", "ed25519", "p384"],
)
def test_another_kind_of_key_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "signing.pem").write_bytes(content)
    (tmp_path / "signing.pem").chmod(0o600)
    with pytest.raises(BadRecord, match=text):
        ensure_key(tmp_path)


def test_a_private_key_among_the_trusted_is_refused(tmp_path: Path) -> None:
    key = ensure_key(tmp_path)
    (key.trusted / "mine.pub").write_bytes(key.private.read_bytes())
    with pytest.raises(BadRecord, match=r"mine\.pub: found .*expected an EC P-256 key"):
        trusted_keys(key.trusted)


def test_no_folder_of_trusted_keys_trusts_nobody(tmp_path: Path) -> None:
    assert trusted_keys(tmp_path / "nowhere") == {}
