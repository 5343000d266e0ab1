"""Hostile release folders, one per rule.

Those with an edited manifest are named after it, sealed and signed again with the trusted key, so
nothing but the rule itself can refuse them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile import (
    MODEL,
    opened,
    refuses,
    rename_by_digest,
    sign_again,
    with_entry,
    with_manifest,
)
from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadRecord, NotTrusted


def test_the_folder_before_any_attack_opens(folder: Path) -> None:
    assert opened(folder).id == PREFIX + folder.name


def test_a_manifest_edited_back_to_itself_opens(folder: Path) -> None:
    """The tools of these tests do not break a folder by themselves."""
    assert opened(with_manifest(folder, lambda manifest: None)).folder.name == folder.name


def test_extra_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    refuses(folder, NotTrusted, r"notes\.txt: found a file that is not listed")


def test_extra_file_signed(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    sign_again(folder)
    refuses(folder, NotTrusted, r"notes\.txt: found a file that is not listed")


def test_extra_hidden_git_folder(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("[core]")
    refuses(folder, NotTrusted, r"\.git: found a folder that holds nothing listed")


def test_extra_file_with_control_characters_in_its_name(folder: Path) -> None:
    (folder / "a\x1b[2Jb").write_text("")
    refuses(folder, NotTrusted, r"'a\\x1b\[2Jb': found a file that is not listed")


def test_missing_file(folder: Path) -> None:
    (folder / "schema.json").unlink()
    refuses(folder, NotTrusted, r"schema\.json: found no such file; expected every file")


def test_changed_byte(folder: Path) -> None:
    content = bytearray((folder / MODEL).read_bytes())
    content[100] ^= 1
    (folder / MODEL).write_bytes(content)
    refuses(folder, NotTrusted, r"model\.onnx: found bytes with digest .*as listed")


def test_changed_byte_signed(folder: Path) -> None:
    content = bytearray((folder / MODEL).read_bytes())
    content[100] ^= 1
    (folder / MODEL).write_bytes(content)
    sign_again(folder)
    refuses(folder, NotTrusted, r"model\.onnx: found bytes with digest .*as listed")


def test_longer_file(folder: Path) -> None:
    size = (folder / MODEL).stat().st_size
    with (folder / MODEL).open("ab") as file:
        file.write(b"\0")
    refuses(folder, NotTrusted, rf"found {size + 1} bytes; expected {size} bytes, as listed")


def test_symlink_to_a_file(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "model.onnx"
    (folder / MODEL).rename(elsewhere)
    (folder / MODEL).symlink_to(elsewhere)
    refuses(folder, NotTrusted, r"model\.onnx: found a symbolic link")


def test_symlink_to_a_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "golden").rename(tmp_path / "golden")
    (folder / "golden").symlink_to(tmp_path / "golden")
    refuses(folder, NotTrusted, r"golden: found a symbolic link")


@pytest.mark.parametrize("name", ["manifest.json", "seal.json", "model.sig"])
def test_symlink_instead_of_a_paper(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    refuses(folder, NotTrusted, rf"{name}: found a symbolic link")


def test_symlink_to_the_release(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(moved)
    refuses(folder, NotTrusted, "found a link; expected a release")


def test_named_pipe_instead_of_a_file(folder: Path) -> None:
    (folder / MODEL).unlink()
    os.mkfifo(folder / MODEL)
    refuses(folder, NotTrusted, r"model\.onnx: found a special file")


@pytest.mark.parametrize("name", ["manifest.json", "seal.json", "model.sig"])
def test_named_pipe_instead_of_a_paper(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refuses(folder, NotTrusted, rf"{name}: found a special file")


@pytest.mark.parametrize(
    "path",
    [
        "../model.onnx", "variants/../../model.onnx", "/etc/passwd", "variants\\model.onnx",
        "./model.onnx", "variants//model.onnx", "variants/", "", ".", "..", "a\nb", "a\0b",
        "manifest.json", "model.sig",
    ],
)  # fmt: skip
def test_path_that_leaves_the_folder_or_has_two_spellings(folder: Path, path: str) -> None:
    refuses(
        with_entry(folder, path=path),
        BadRecord,
        "found the path .*expected relative paths with '/'",
    )


def test_duplicate_entry(folder: Path) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["files"].insert(1, manifest["files"][0])

    refuses(with_manifest(folder, edit), BadRecord, r"found 'card\.html' listed twice")


def test_entries_out_of_order(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest["files"].reverse())
    refuses(renamed, BadRecord, "found files out of order")


def test_huge_size_in_the_manifest(folder: Path) -> None:
    refuses(
        with_entry(folder, size_bytes=10**18), NotTrusted, r"expected 1000000000000000000 bytes"
    )


def test_huge_file_is_refused_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(folder / MODEL, 1 << 40)
    monkeypatch.setattr("torchyard.release.rules.digest_file", lambda path: pytest.fail("was read"))
    refuses(folder, NotTrusted, r"found 1099511627776 bytes; expected \d+ bytes, as listed")


@pytest.mark.parametrize("name", ["manifest.json", "seal.json", "model.sig"])
def test_huge_paper_is_refused_unread(folder: Path, name: str) -> None:
    os.truncate(folder / name, 1 << 40)
    refuses(folder, NotTrusted, rf"{name}: found 1099511627776 bytes; .*at most 16 MiB")


@pytest.mark.parametrize("changes", [{"size_bytes": -1}, {"sha256": "md5:00"}])
def test_impossible_size_or_digest(folder: Path, changes: dict[str, object]) -> None:
    refuses(with_entry(folder, **changes), BadRecord, "found a bad size or digest of 'variants/")


def test_unknown_field_in_the_manifest(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(extra=1))
    refuses(renamed, BadRecord, "found unknown field 'extra'")


def test_format_2(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(format=2, later="field"))
    refuses(renamed, BadRecord, "format 2; expected record version 1, format 1")


def test_record_version_2(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(version=2))
    refuses(renamed, BadRecord, "found record version 2, format 1")


def test_another_kind_of_record(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(record="Seal"))
    refuses(renamed, BadRecord, "found another kind of record; expected a Manifest")


def test_field_given_twice(folder: Path) -> None:
    """Two readers could each believe another one."""
    path = folder / "manifest.json"
    path.write_bytes(b'{"model":"other",' + path.read_bytes()[1:])
    renamed = rename_by_digest(folder)
    sign_again(renamed)
    refuses(renamed, BadRecord, "found JSON in another form")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"{", b"\xff", b'{"kind":NaN}'], ids=["deep", "cut", "utf8", "nan"]
)
def test_manifest_that_is_no_canonical_json(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    renamed = rename_by_digest(folder)
    sign_again(renamed)
    refuses(renamed, BadRecord, "expected canonical JSON")


def test_part_of_a_release_not_listed(folder: Path) -> None:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["files"] = [one for one in manifest["files"] if one["path"] != "task.json"]

    (folder / "task.json").unlink()
    refuses(with_manifest(folder, edit), BadRecord, r"found no 'task\.json' among the files")


@pytest.mark.parametrize("ladder", [[], ["onnx-fp32", "onnx-fp32"]])
def test_ladder_that_is_none(folder: Path, ladder: list[str]) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(ladder=ladder))
    refuses(renamed, BadRecord, "expected at least one variant, each once")


def test_ladder_that_climbs_out(folder: Path) -> None:
    renamed = with_manifest(folder, lambda manifest: manifest.update(ladder=["../../x"]))
    refuses(renamed, BadRecord, r"found no 'variants/\.\./\.\./x/variant\.json' among the files")


def test_folder_named_by_something_else(folder: Path) -> None:
    refuses(folder.rename(folder.with_name("latest")), NotTrusted, "expected a release: a folder")


def test_folder_named_by_another_digest(folder: Path) -> None:
    refuses(folder.rename(folder.with_name("0" * 64)), NotTrusted, "folder's name, 000000000000")


def test_no_folder(folder: Path) -> None:
    refuses(folder.with_name("1" * 64), NotTrusted, "found no folder named by a digest")
