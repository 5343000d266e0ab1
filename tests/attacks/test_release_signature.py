"""Hostile signatures, seals and keys around a release folder, one per rule."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from tests.support.hostile import (
    MODEL,
    keys_of,
    refuses,
    rename_by_digest,
    sign_again,
)
from tests.support.releases import sample_release
from torchyard.core.digest import PREFIX, canonical_json, digest_bytes
from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.core.record import write_record
from torchyard.records.manifest import Seal
from torchyard.release import ensure_key
from torchyard.release.signing import sign_folder


def test_signature_removed(folder: Path) -> None:
    (folder / "model.sig").unlink()
    refuses(folder, NotTrusted, r"model\.sig: found no such file")


def test_signature_by_an_untrusted_key(folder: Path, tmp_path: Path) -> None:
    sign_again(folder, ensure_key(tmp_path / "stranger"))
    refuses(folder, NotTrusted, "found a seal by key .*expected one of the 1 keys in")


def test_signature_by_an_untrusted_key_under_a_trusted_name(folder: Path, tmp_path: Path) -> None:
    sign_folder(folder, ensure_key(tmp_path / "stranger"))
    refuses(
        folder, NotTrusted, r"model\.sig: found the key that it names is .*expected a trusted key's"
    )


def test_signature_with_a_borrowed_key_name(folder: Path, tmp_path: Path) -> None:
    """The stranger's signature, which claims to be made by the trusted key."""
    trusted = json.loads((folder / "model.sig").read_text())
    sign_folder(folder, ensure_key(tmp_path / "stranger"))
    forged = json.loads((folder / "model.sig").read_text())
    forged["verificationMaterial"] = trusted["verificationMaterial"]
    (folder / "model.sig").write_text(json.dumps(forged))
    refuses(folder, NotTrusted, "found a signature that its key did not make")


def test_signature_without_a_key_name(folder: Path) -> None:
    signature = json.loads((folder / "model.sig").read_text())
    signature["verificationMaterial"]["publicKey"] = {"hint": ""}
    (folder / "model.sig").write_text(json.dumps(signature))
    refuses(folder, NotTrusted, "found a signature that does not name its key")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"verificationMaterial": 1}'],
    ids=["empty", "list", "object", "null", "utf8", "deep", "shape"],
)
def test_signature_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "model.sig").write_bytes(content)
    refuses(folder, NotTrusted, r"model\.sig: found .*expected a trusted key's signature")


def test_signed_statement_edited(folder: Path) -> None:
    """The statement names the new bytes, the signature is still of the old statement."""
    signature = json.loads((folder / "model.sig").read_text())
    payload = base64.b64decode(signature["dsseEnvelope"]["payload"])
    edited = payload.replace(b".staging-", b".changed-")
    assert edited != payload
    signature["dsseEnvelope"]["payload"] = base64.b64encode(edited).decode()
    (folder / "model.sig").write_text(json.dumps(signature))
    refuses(folder, NotTrusted, "found a signature that its key did not make")


@pytest.mark.parametrize("left_out", ["seal.json", MODEL, "golden"])
def test_signature_that_leaves_files_out(folder: Path, left_out: str) -> None:
    """The trusted key's own signature, made by a tool that was told to ignore something."""
    from model_signing import hashing, signing

    ignored = ["model.sig", left_out]
    rules = hashing.Config().set_ignored_paths(paths=ignored, ignore_git_paths=False)
    config = signing.Config().set_hashing_config(rules)
    config.use_elliptic_key_signer(private_key=keys_of(folder).private)
    config.sign(folder, folder / "model.sig")
    refuses(folder, NotTrusted, f"found a signature over other files than these: .*{left_out}")


def test_manifest_edited_and_digested_again_without_signing(folder: Path) -> None:
    """All that anyone can do who lacks the key: every digest fits, the signature does not."""
    content = bytearray((folder / MODEL).read_bytes())
    content[100] ^= 1
    (folder / MODEL).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    entry = next(one for one in manifest["files"] if one["path"] == MODEL)
    entry["sha256"] = digest_bytes(bytes(content))
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    renamed = rename_by_digest(folder)
    seal = json.loads((renamed / "seal.json").read_text())
    write_record(
        renamed / "seal.json",
        Seal(release=PREFIX + renamed.name, sealed_at=seal["sealed_at"], key=seal["key"]),
    )
    refuses(renamed, NotTrusted, r"found a signature over other bytes of manifest\.json")


def test_seal_of_another_release(folder: Path) -> None:
    other = sample_release(folder.parent.parent, model="other")
    shutil.copy(other.folder / "seal.json", folder / "seal.json")
    refuses(folder, NotTrusted, "found the seal of release .*expected the seal of this release")


def test_seal_and_signature_of_another_release(folder: Path) -> None:
    other = sample_release(folder.parent.parent, model="other")
    for name in ("seal.json", "model.sig"):
        shutil.copy(other.folder / name, folder / name)
    refuses(folder, NotTrusted, "found the seal of release")


def test_signature_of_another_release(folder: Path) -> None:
    other = sample_release(folder.parent.parent, model="other")
    shutil.copy(other.folder / "model.sig", folder / "model.sig")
    refuses(folder, NotTrusted, "found a signature over other bytes of card.html")


def test_time_of_sealing_edited(folder: Path) -> None:
    seal = json.loads((folder / "seal.json").read_text())
    seal["sealed_at"] = "2020-01-01T00:00:00+00:00"
    (folder / "seal.json").write_text(json.dumps(seal))
    refuses(folder, NotTrusted, r"found a signature over other bytes of seal\.json")


def test_seal_nested_without_end(folder: Path) -> None:
    (folder / "seal.json").write_bytes(b"[" * 100_000)
    refuses(folder, BadRecord, "found JSON nested without end")


def test_seal_with_an_unknown_field(folder: Path) -> None:
    seal = json.loads((folder / "seal.json").read_text())
    (folder / "seal.json").write_text(json.dumps({**seal, "trusted": True}))
    refuses(folder, BadRecord, "found unknown field 'trusted'")


def test_damaged_file_among_the_trusted_keys(folder: Path) -> None:
    (keys_of(folder).trusted / "zz.pub").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n")
    refuses(folder, BadRecord, r"zz\.pub: found .*expected an EC P-256 key")
