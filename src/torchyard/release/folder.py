"""Sealing a folder and opening one: the gate between research and production.

The order of checks in ``open_release`` is part of the design: what costs nothing and touches
nothing comes first, bytes are read once their sizes are known, and no record beside the manifest
and the seal is parsed before the signature holds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from torchyard.core.digest import PREFIX, digest_bytes, short
from torchyard.core.errors import NotTrusted
from torchyard.core.files import publish_folder, write_atomically
from torchyard.core.record import write_record
from torchyard.records.manifest import FORMAT, Lineage, Manifest, Seal
from torchyard.release.layout import MANIFEST, SEAL, Release
from torchyard.release.rules import (
    PAPERS,
    check_bytes,
    check_manifest,
    check_tree,
    holds_code,
    list_files,
    manifest_bytes,
    read_manifest,
    read_paper,
)
from torchyard.release.signing import (
    CODE,
    SIGNATURE,
    SigningKey,
    sign_folder,
    trusted_keys,
    verify_folder,
)
from torchyard.version import __version__


def seal(
    stage: Path,
    *,
    model: str,
    ladder: tuple[str, ...],
    lineage: Lineage,
    key: SigningKey,
    releases: Path,
    clock: Callable[[], datetime],
) -> Release:
    """Turn a stage that ``write_contents`` laid out into a release, by one rename.

    The same contents sealed again give the release that exists already; the stage is then left for
    its owner to remove.

    Args:
        stage: a folder on the same file system as ``releases``, as ``staged_folder(releases)``
            gives; it holds no manifest yet.
        model: the project's name.
        ladder: the servable variants, the one to serve first, first.
        lineage: the digests of what the release was made from.
        key: signs the folder.
        releases: the folder of sealed releases.
        clock: gives an aware time; only the seal holds it, so the id does not depend on it.

    Raises:
        BadRecord: a part of a release is missing from the stage, or is named badly.
        NotTrusted: the stage holds a link or a special file, or the release that exists already
            does not open.
    """
    manifest = Manifest(
        format=FORMAT,
        model=model,
        torchyard=__version__,
        ladder=ladder,
        lineage=lineage,
        files=list_files(stage),
    )
    check_manifest(manifest, where=f"stage {stage.name}")
    content = manifest_bytes(manifest)
    identity = digest_bytes(content)
    target = releases / identity.removeprefix(PREFIX)
    if not target.exists():
        sealed_at = clock().astimezone(UTC).isoformat(timespec="seconds")
        paper = Seal(release=identity, sealed_at=sealed_at, key=key.fingerprint)
        write_atomically(stage / MANIFEST, content)
        write_record(stage / SEAL, paper)
        sign_folder(stage, key)
        publish_folder(stage, target)
    return open_release(target, trusted=key.trusted)


def open_release(folder: Path, *, trusted: Path) -> Release:
    """Open a sealed folder, or refuse it.

    Reads every byte twice (once against the manifest, once against the signature): about 0.13 s for
    90 MB.

    Args:
        folder: ``releases/<64 hex digits>``.
        trusted: the folder of trusted public keys, ``*.pub``; those in its folder ``code`` are
            trusted for variants that are programs, too.

    Raises:
        NotTrusted: the folder is not what its manifest says, or no trusted key signed it.
        BadRecord: the manifest or the seal is damaged or from a later version.
    """
    manifest = read_manifest(folder)
    check_tree(folder, manifest)
    paper = read_paper(Seal, folder / SEAL)
    if paper.release != PREFIX + folder.name:
        raise NotTrusted(
            where=f"release {short(folder.name)}, {SEAL}",
            found=f"the seal of release {short(paper.release)}",
            expected="the seal of this release",
            remedy="Copy the release again from where it was sealed; do not serve this folder.",
        )
    keys = trusted_keys(trusted)
    if paper.key not in keys:
        raise NotTrusted(
            where=f"release {short(folder.name)}",
            found=f"a seal by key {short(paper.key)}",
            expected=f"one of the {len(keys)} keys in {trusted}",
            remedy="If you trust that key's owner, put its .pub file there; else do not serve it.",
        )
    if holds_code(manifest) and paper.key not in trusted_keys(trusted / CODE):
        raise NotTrusted(
            where=f"release {short(folder.name)}",
            found=f"a variant that is code, sealed by key {short(paper.key)}",
            expected=f"a key that is trusted for code: one of those in {trusted / CODE}",
            remedy="If its owner may run programs here, put its .pub file there too.",
        )
    check_bytes(folder, manifest)
    names = frozenset(entry.path for entry in manifest.files)
    verify_folder(folder, keys[paper.key], names | (PAPERS - {SIGNATURE}))
    return Release(folder=folder, manifest=manifest, seal=paper)
