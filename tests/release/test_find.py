"""Finding a release by what a person types."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.releases import sample_release
from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.record import write_record
from torchyard.records.manifest import Seal
from torchyard.release import list_releases, resolve


def seal_only(releases: Path, name: str, sealed_at: str) -> Path:
    write_record(releases / name / "seal.json", Seal(release=name, sealed_at=sealed_at, key="k"))
    return releases / name


def test_ids_prefixes_and_numbers_all_find_it(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    name = release.folder.name
    for wanted in (release.id, name, name[:4], name[:12].upper(), f"sha256:{name[:8]}", "1"):
        assert resolve(wanted, tmp_path / "releases") == release.folder


def test_numbers_count_by_time_of_sealing(tmp_path: Path) -> None:
    late = sample_release(tmp_path, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    early = sample_release(tmp_path, model="b", clock=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    releases = tmp_path / "releases"
    assert list_releases(releases) == (early.folder, late.folder)
    assert (resolve("1", releases), resolve("2", releases)) == (early.folder, late.folder)


def test_folders_that_are_no_releases_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".staging-abc").mkdir()
    (tmp_path / "notes").mkdir()
    assert list_releases(tmp_path) == ()
    assert list_releases(tmp_path / "nowhere") == ()


def test_a_folder_without_a_readable_seal_comes_last(tmp_path: Path) -> None:
    good = seal_only(tmp_path, "b" * 64, "2026-01-01T00:00:00+00:00")
    (tmp_path / ("a" * 64)).mkdir()
    os.mkfifo(tmp_path / ("a" * 64) / "seal.json")
    assert list_releases(tmp_path) == (good, tmp_path / ("a" * 64))


def test_an_ambiguous_prefix_is_refused(tmp_path: Path) -> None:
    for last in "01":
        seal_only(tmp_path, "a" * 63 + last, "2026-01-01T00:00:00+00:00")
    with pytest.raises(
        BadUsage, match=r"'aaaa', with which 2 ids start.*Type more of it: aaaaaaaaa"
    ):
        resolve("aaaa", tmp_path)


@pytest.mark.parametrize("wanted", ["abc", "sha256:zz", "latest", "", "../x", "0", "12345g"])
def test_what_cannot_be_an_id_is_refused(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(BadUsage, match="expected an id, at least four hex digits of one, or"):
        resolve(wanted, tmp_path)


def test_nothing_found_names_the_latest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no release 'abcd'.*Nothing was sealed here yet"):
        resolve("abcd", tmp_path)
    seal_only(tmp_path, "c" * 64, "2026-01-01T00:00:00+00:00")
    with pytest.raises(NotFound, match=r"no release '2'.*The latest are cccccccccccc"):
        resolve("2", tmp_path)
