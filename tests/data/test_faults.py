"""Whatever interrupts an import, the dataset is at its last complete version, and goes on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from tests.support.disks import small_disk
from torchyard.core.errors import BadData
from torchyard.core.files import STAGING, abandoned
from torchyard.data.keeping.staging import new_stage
from torchyard.data.source import open_source
from torchyard.data.versions import Dataset
from torchyard.records.dataset import DatasetVersion

SCHEMA = ty.Schema(x=ty.number(ge=0))
ALLOWED = ty.Checks(quarantine_at_most=1.0)
# the moments of an import, in order: what is called next
MOMENTS = (
    "torchyard.data.keeping.staging.Stage.close",
    "torchyard.data.keeping.lancetable.sync_folder",
    "lance.LanceDataset.commit",
    "torchyard.data.keeping.lancetable._tag",
    "torchyard.data.versions.write_record",
)
LAST = "torchyard.data.versions.Dataset._publish"


def add(folder: Path, *values: float) -> DatasetVersion:
    frame = pl.DataFrame({"x": [float(value) for value in values]})
    source = open_source(frame, folder=Path())
    return Dataset(folder).add(source, SCHEMA, checks=ALLOWED)


def check_whole(folder: Path, *expected: list[float]) -> None:
    """Just these versions, all readable; and nothing beside them."""
    dataset = Dataset(folder)
    versions = dataset.versions()
    assert [dataset.read(version)["x"].to_list() for version in versions] == list(expected)
    assert [version.number for version in versions] == list(range(1, len(expected) + 1))
    assert not list((folder / "data").glob(".staging-*"))
    files = len(list((folder / "data" / "rows.lance" / "data").iterdir()))
    assert files == len(expected)
    aside = {path.stem for path in (folder / "data" / "quarantine").glob("*.parquet")}
    assert aside == {f"{v.number:06d}" for v in versions if v.quarantined}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("first", [True, False], ids=["the first import", "a later import"])
def test_an_import_that_stops_leaves_the_last_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, first: bool
) -> None:
    before = [] if first else [[7.0]]
    if not first:
        add(tmp_path, 7)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moment, stop)
        with pytest.raises(KeyboardInterrupt):
            add(tmp_path, 1, 2, -3)
    assert len(Dataset(tmp_path).versions()) == len(before)
    add(tmp_path, 1, 2)
    check_whole(tmp_path, *before, [1.0, 2.0])


@pytest.mark.parametrize("moment", [MOMENTS[0], MOMENTS[2], MOMENTS[4]])
def test_a_disk_that_fills_is_a_clear_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    add(tmp_path, 7)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(moment, full)
        with pytest.raises(BadData, match=r"No space left on device; expected a disk.*Make room"):
            add(tmp_path, 1, 2)
    assert len(Dataset(tmp_path).versions()) == 1
    add(tmp_path, 1, 2)
    check_whole(tmp_path, [7.0], [1.0, 2.0])


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kibibytes=2048) as place:
        add(place, 7)
        noise = np.random.default_rng(0).random(400_000)
        with pytest.raises(BadData, match="No space left on device") as refused:
            add(place, *noise)
        assert ".rs:" not in refused.value.found
        assert refused.value.exit_status == 1
        add(place, 1, 2)
        check_whole(place, [7.0], [1.0, 2.0])


def test_a_folder_that_cannot_be_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = add(tmp_path, 7)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "lock")

    monkeypatch.setattr("torchyard.core.files.fcntl.flock", denied)
    with pytest.raises(BadData, match=r"Permission denied.*give access"):
        add(tmp_path, 1)
    dataset = Dataset(tmp_path)
    assert dataset.read(dataset.version())["x"].to_list() == [7.0]
    assert dataset.versions() == (one,)


def test_threads_that_write_at_once_all_end_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(pool.map(lambda value: add(tmp_path, value).number, range(6)))
    assert numbers == [1, 2, 3, 4, 5, 6]
    dataset = Dataset(tmp_path)
    kept = sorted(dataset.read(version)["x"][0] for version in dataset.versions())
    assert kept == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_appends_at_once_lose_no_row(tmp_path: Path) -> None:
    def append(value: int) -> None:
        source = open_source(pl.DataFrame({"x": [float(value)]}), folder=Path())
        Dataset(tmp_path).append(source, SCHEMA)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(6)))
    dataset = Dataset(tmp_path)
    assert sorted(dataset.read(dataset.version())["x"]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_running_import_is_not_mistaken_for_a_dead_one(tmp_path: Path) -> None:
    class Waiting:
        name = "waiting"

        def chunks(self, *, rows: int = 0) -> Iterator[pl.DataFrame]:
            yield pl.DataFrame({"x": [1.0]})
            add(tmp_path, 2)
            yield pl.DataFrame({"x": [3.0]})

    version = Dataset(tmp_path).add(Waiting(), SCHEMA)
    assert version.number == 2
    check_whole(tmp_path, [2.0], [1.0, 3.0])


def test_a_stage_that_its_owner_is_removing_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, seen = shutil.rmtree, []

    def slowly(folder: Path, **options: Any) -> None:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
            seen.append(abandoned(tmp_path))
        remove(folder, **options)
        seen.append(abandoned(tmp_path))

    monkeypatch.setattr("torchyard.data.keeping.staging.shutil.rmtree", slowly)
    with new_stage(tmp_path) as stage:
        (stage.folder / "rows").touch()
    assert seen == [[], []]


def test_a_stage_that_goes_while_others_look_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / f"{STAGING}gone").symlink_to(tmp_path / "nowhere")
    assert abandoned(tmp_path) == []


CHILD = """
import os, signal, sys
from pathlib import Path
import tests.data.test_faults as faults
from pkgutil import resolve_name

folder, moment, values = Path(sys.argv[1]), sys.argv[2], map(float, sys.argv[3:])
if moment:
    owner, _, name = moment.rpartition(".")
    owner = resolve_name(owner)
    setattr(owner, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
faults.add(folder, *values)
"""


def child(folder: Path, moment: str, *values: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", CHILD, str(folder), moment, *map(str, values)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2])


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*MOMENTS, LAST])
def test_an_import_that_is_killed_leaves_the_last_version(tmp_path: Path, moment: str) -> None:
    add(tmp_path, 7)
    assert child(tmp_path, moment, 1, 2, -3).wait() == -signal.SIGKILL
    assert len(Dataset(tmp_path).versions()) == 1
    assert list((tmp_path / "data").glob(".staging-*"))
    add(tmp_path, 1, 2)
    check_whole(tmp_path, [7.0], [1.0, 2.0])


@pytest.mark.slow
def test_two_processes_that_write_at_once_both_end_whole(tmp_path: Path) -> None:
    running = [child(tmp_path, "", value) for value in (1.0, 2.0)]
    assert [one.wait() for one in running] == [0, 0]
    dataset = Dataset(tmp_path)
    kept = sorted(dataset.read(version)["x"].to_list() for version in dataset.versions())
    assert kept == [[1.0], [2.0]]
