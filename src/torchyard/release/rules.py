"""The rules a release folder must keep, one function each; ``docs/format.md`` says why.

They run on a folder that nobody vouches for yet: names, kinds and sizes are looked at before a
byte is read, nothing outside the folder is touched, and what is read is bounded.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from torchyard.core.digest import PREFIX, canonical_json, digest_bytes, digest_file, short
from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.core.record import VERSION, Json, RecordType, from_json, read_record, to_json
from torchyard.records.evidence import CODE_FILES
from torchyard.records.manifest import FORMAT, FileEntry, Manifest
from torchyard.release.layout import MANIFEST, SEAL, required_files, variant_models
from torchyard.release.signing import SIGNATURE

PAPERS = frozenset({MANIFEST, SEAL, SIGNATURE})
_LARGEST_PAPER_BYTES = 16 << 20
_HEX = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COPY_AGAIN = "Copy the release again from where it was sealed; do not serve this folder."


def manifest_bytes(manifest: Manifest) -> bytes:
    """The one byte string of a manifest, whose digest is the release's id."""
    return canonical_json(
        {"record": Manifest.__name__, "version": VERSION, **to_json(manifest)},
    )


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest and check that the folder is named after it.

    Raises:
        NotTrusted: the folder or its manifest is a link or special, or the digest of the manifest
            is not the folder's name.
        BadRecord: the manifest is of another format, has unknown fields, is not written
            canonically, lists a path twice or one that leaves the folder, or lacks a part.
    """
    if folder.is_symlink() or not folder.is_dir() or not _HEX.fullmatch(folder.name):
        raise NotTrusted(
            where=str(folder),
            found="a link" if folder.is_symlink() else "no folder named by a digest",
            expected="a release: a folder named by the 64 hex digits of its manifest's SHA-256",
            remedy="Name the folder under .torchyard/releases itself.",
        )
    path = folder / MANIFEST
    check_paper(path)
    content = path.read_bytes()
    found = digest_bytes(content)
    if found != PREFIX + folder.name:
        raise NotTrusted(
            where=str(path),
            found=f"a manifest with digest {short(found)}",
            expected=f"the digest in the folder's name, {short(folder.name)}",
            remedy=_COPY_AGAIN,
        )
    manifest = _parse_manifest(content, where=f"release {short(found)}, {MANIFEST}")
    check_manifest(manifest, where=f"release {short(found)}, {MANIFEST}")
    return manifest


def read_paper(kind: type[RecordType], path: Path) -> RecordType:
    """Read a small record that nobody vouches for yet.

    Raises:
        NotTrusted: it is missing, a link, special or larger than 16 MiB.
        BadRecord: it does not fit its kind.
    """
    check_paper(path)
    try:
        return read_record(kind, path)
    except RecursionError as error:
        raise _unreadable(str(path), "JSON nested without end", kind.__name__) from error


def check_paper(path: Path) -> None:
    """Refuse to read a manifest, seal or signature that is not a small plain file."""
    found = _odd_kind(path)
    if found is None and path.stat().st_size > _LARGEST_PAPER_BYTES:
        found = f"{path.stat().st_size} bytes"
    if found is not None:
        raise NotTrusted(
            where=str(path),
            found=found,
            expected=f"a plain file of at most {_LARGEST_PAPER_BYTES >> 20} MiB",
            remedy=_COPY_AGAIN,
        )


def check_manifest(manifest: Manifest, *, where: str) -> None:
    """Refuse a manifest whose paths leave the folder or repeat, or that lacks a part."""
    paths = [entry.path for entry in manifest.files]
    for entry in manifest.files:
        if not _stays_inside(entry.path) or entry.path in PAPERS:
            raise _unreadable(where, f"the path {entry.path!r}", "relative paths with '/' only")
        if entry.size_bytes < 0 or not _DIGEST.fullmatch(entry.sha256):
            raise _unreadable(where, f"a bad size or digest of {entry.path!r}", "bytes and sha256:")
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise _unreadable(where, f"'{twice[0]}' listed twice", "every file once")
    if paths != sorted(paths):
        raise _unreadable(where, "files out of order", "files sorted by path")
    if not manifest.ladder or len(set(manifest.ladder)) != len(manifest.ladder):
        raise _unreadable(where, f"the ladder {manifest.ladder}", "at least one variant, each once")
    missing = sorted(required_files(manifest.ladder) - set(paths))
    if missing:
        raise _unreadable(where, f"no '{missing[0]}' among the files", "every part of a release")
    for name in manifest.ladder:
        if len(variant_models(name) & set(paths)) != 1:
            expected = f"one of {', '.join(sorted(variant_models(name)))}"
            raise _unreadable(where, f"not one model of variant '{name}'", expected)


def holds_code(manifest: Manifest) -> bool:
    """Whether a release holds a file that runs as code when it is opened."""
    return any(PurePosixPath(entry.path).name in CODE_FILES for entry in manifest.files)


def check_tree(folder: Path, manifest: Manifest) -> None:
    """Refuse links, special files, and anything more, less, larger or smaller than listed.

    Reads no file. Folders are entered only where listed files lie, so a hostile tree costs nothing.

    Raises:
        NotTrusted: one of these was found.
    """
    sizes = {entry.path: entry.size_bytes for entry in manifest.files}
    expected = set(sizes) | PAPERS
    parents = {str(parent) for path in sizes for parent in PurePosixPath(path).parents}
    for name in sorted(PAPERS):
        check_paper(folder / name)
    found = set(PAPERS)
    for path in _walk(folder, parents):
        name = path.relative_to(folder).as_posix()
        odd = _odd_kind(path)
        if odd is not None:
            raise _changed(folder, name, odd, "plain files and folders only")
        if name not in expected:
            raise _changed(folder, name, "a file that is not listed", "the manifest's files only")
        size = path.stat().st_size
        if size != sizes.get(name, size):
            raise _changed(folder, name, f"{size} bytes", f"{sizes[name]} bytes, as listed")
        found.add(name)
    for name in sorted(expected - found):
        raise _changed(folder, name, "no such file", "every file of the manifest")


def check_bytes(folder: Path, manifest: Manifest) -> None:
    """Refuse a file whose digest is not the listed one.

    Raises:
        NotTrusted: at the first such file.
    """
    for entry in manifest.files:
        found = digest_file(folder / entry.path)
        if found != entry.sha256:
            expected = f"{short(entry.sha256)}, as listed"
            raise _changed(folder, entry.path, f"bytes with digest {short(found)}", expected)


def list_files(stage: Path) -> tuple[FileEntry, ...]:
    """Every file of a folder about to be sealed, sorted by path, with its size and digest.

    Raises:
        NotTrusted: something in it is a link or special.
    """
    entries = []
    for path in stage.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        name = path.relative_to(stage).as_posix()
        odd = _odd_kind(path)
        if odd is not None:
            raise _changed(stage, name, odd, "plain files and folders only")
        size = path.stat().st_size
        entries.append(FileEntry(path=name, size_bytes=size, sha256=digest_file(path)))
    return tuple(sorted(entries, key=lambda entry: entry.path))


def _parse_manifest(content: bytes, *, where: str) -> Manifest:
    try:
        value: Json = json.loads(content)
        canonical = canonical_json(value) == content
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, str(error), "canonical JSON") from error
    if not isinstance(value, dict) or value.pop("record", None) != Manifest.__name__:
        raise _unreadable(where, "another kind of record", "a Manifest")
    formats = (value.pop("version", None), value.get("format"))
    if formats != (VERSION, FORMAT):
        raise BadRecord(
            where=where,
            found=f"record version {formats[0]!r}, format {formats[1]!r}",
            expected=f"record version {VERSION}, format {FORMAT}",
            remedy="Open it with the torchyard that sealed it, or seal it again with this one.",
        )
    if not canonical:
        raise _unreadable(where, "JSON in another form", "sorted keys, each once, no spaces")
    return from_json(Manifest, value, where=where)


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    normal = path == str(pure) and path.isprintable() and "\\" not in path
    return normal and path != "." and not pure.is_absolute() and ".." not in pure.parts


def _walk(folder: Path, parents: set[str]) -> Iterator[Path]:
    """Everything in a folder but the folders that hold listed files, which are entered."""
    pending = [folder]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            inside = path.relative_to(folder).as_posix() in parents
            if inside and path.is_dir() and not path.is_symlink():
                pending.append(path)
            else:
                yield path


def _odd_kind(path: Path) -> str | None:
    """What a path is when it is not a plain file; never follows it."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "no such file"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a folder that holds nothing listed" if stat.S_ISDIR(mode) else "a special file"


def _changed(folder: Path, name: str, found: str, expected: str) -> NotTrusted:
    # A hostile name must not reach a terminal as control characters.
    shown = name if name.isprintable() else ascii(name)
    where = f"release {short(folder.name)}, {shown}"
    return NotTrusted(where=where, found=found, expected=expected, remedy=_COPY_AGAIN)


def _unreadable(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(where=where, found=found, expected=expected, remedy=_COPY_AGAIN)
