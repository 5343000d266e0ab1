"""What an attacker does to a release folder, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchyard.core.digest import PREFIX, canonical_json, digest_bytes
from torchyard.core.record import write_record
from torchyard.records.manifest import Seal
from torchyard.release import Release, ensure_key, open_release
from torchyard.release.signing import SigningKey, sign_folder

MODEL = "variants/onnx-fp32/model.onnx"

Edit = Callable[[dict[str, Any]], None]


def keys_of(folder: Path) -> SigningKey:
    return ensure_key(folder.parent.parent / "keys")


def opened(folder: Path) -> Release:
    return open_release(folder, trusted=keys_of(folder).trusted)


def refuses(folder: Path, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        opened(folder)


def sign_again(folder: Path, key: SigningKey | None = None) -> None:
    key = key or keys_of(folder)
    paper = Seal(release=PREFIX + folder.name, sealed_at="2026-03-01T12:00:00", key=key.fingerprint)
    write_record(folder / "seal.json", paper)
    sign_folder(folder, key)


def rename_by_digest(folder: Path) -> Path:
    content = (folder / "manifest.json").read_bytes()
    return folder.rename(folder.with_name(digest_bytes(content).removeprefix(PREFIX)))


def with_manifest(folder: Path, edit: Edit) -> Path:
    """The folder with an edited manifest, under its new name and signed again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    edit(manifest)
    path.write_bytes(canonical_json(manifest))
    renamed = rename_by_digest(folder)
    sign_again(renamed)
    return renamed


def with_entry(folder: Path, **changes: object) -> Path:
    """The folder with a changed manifest entry of the model file, sorted by path again."""

    def edit(manifest: dict[str, Any]) -> None:
        entry = next(one for one in manifest["files"] if one["path"] == MODEL)
        entry.update(changes)
        manifest["files"].sort(key=lambda one: one["path"])

    return with_manifest(folder, edit)
