"""Whatever interrupts the features stage, nothing half made is taken for whole, and it goes on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest

from tests.support.disks import small_disk
from tests.yard.test_featuring import open_project
from torchyard.core.errors import BadData
from torchyard.train import ArrayWriter
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Featured, OpenProject

# the moments of the stage, in order: what is called, for which time, when it stops
MOMENTS = (
    ("torchyard.data.leaks.find_leaks", 1),
    ("torchyard.yard.featuring.part_rows", 1),
    ("torchyard.yard.rowfile.RowWriter.append", 2),
    ("torchyard.yard.featuring.fit_training", 1),
    ("torchyard.train.ArrayWriter.append", 4),
    ("torchyard.yard.featuring.encode_part", 2),
    ("torchyard.train.ArrayWriter.append", 6),
    ("torchyard.yard.stages.publish_folder", 1),
    ("torchyard.core.files.sync_folder", 7),
)
# their rows take some 250 KiB in the stage's folder, their tensors twice that
MANY = ("600", "60_000")


def run(folder: Path, *changes: tuple[str, str]) -> Featured:
    """The features stage of the project in a folder."""
    opened, _ = open_project(folder, *changes)
    return fit_features(opened, add_data(opened))


def content(featured: Featured) -> dict[str, bytes]:
    """Every file that the stage made; compressed rows as well."""
    files = [path for path in featured.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(featured.folder)): path.read_bytes() for path in files}


def left(folder: Path) -> list[Path]:
    """What lies where the features stage keeps its results."""
    return list((folder / ".torchyard" / "stages" / "features").iterdir())


def stop_at(moment: str, call: int, stop: Callable[[], object]) -> tuple[Any, str, Any]:
    """Owner, name and replacement of a function that stops at a call, halfway if it writes."""
    owner, _, name = moment.rpartition(".")
    original, calls = getattr(resolve_name(owner), name), iter(range(1, 1_000))

    def stopping(*given: Any, **named: Any) -> Any:
        if next(calls) < call:
            return original(*given, **named)
        if isinstance(given[0], ArrayWriter):
            original(given[0], given[1][: len(given[1]) // 2])
            given[0]._file.flush()  # type: ignore[union-attr]
        return stop()

    return resolve_name(owner), name, stopping


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the stage makes when nothing disturbs it."""
    return content(run(tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize(("moment", "call"), MOMENTS)
def test_a_stage_that_stops_leaves_nothing_and_makes_the_same_when_run_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: dict[str, bytes],
    moment: str,
    call: int,
) -> None:
    opened, _ = open_project(tmp_path)
    version = add_data(opened)
    with monkeypatch.context() as patch:
        patch.setattr(*stop_at(moment, call, interrupt))
        with pytest.raises(KeyboardInterrupt):
            fit_features(opened, version)
    assert left(tmp_path) == []
    assert content(fit_features(opened, version)) == expected


@pytest.mark.parametrize(
    ("moment", "call"),
    [MOMENTS[2], MOMENTS[6], ("torchyard.core.files.sync_folder", 1), MOMENTS[8]],
)
def test_a_disk_that_fills_at_any_moment_is_a_clear_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, call: int
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened, _ = open_project(tmp_path)
    version = add_data(opened)
    with monkeypatch.context() as patch:
        patch.setattr(*stop_at(moment, call, full))
        with pytest.raises(BadData, match=r"No space left on device; expected a disk.*Make room"):
            fit_features(opened, version)
    assert left(tmp_path) == []


@pytest.mark.parametrize("room", [128, 448], ids=["for some rows", "for rows and some tensors"])
def test_a_disk_that_is_really_full(tmp_path: Path, expected: dict[str, bytes], room: int) -> None:
    with small_disk(tmp_path / "disk", kibibytes=room) as place:
        opened, _ = open_project(tmp_path, MANY)
        version = add_data(opened)
        stages = opened.workspace.stages
        stages.mkdir(parents=True)
        (stages / "features").symlink_to(place)
        with pytest.raises(BadData, match="No space left on device") as refused:
            fit_features(opened, version)
        assert refused.value.exit_status == 1
        assert list(place.iterdir()) == []
        assert content(run(tmp_path)) == expected


CHILD = """
import os, signal, sys
from pathlib import Path
import tests.yard.test_featuring_faults as faults

folder, moment, call = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
opened, _ = faults.open_project(folder)
version = faults.add_data(opened)
if moment:
    setattr(*faults.stop_at(moment, call, lambda: os.kill(os.getpid(), signal.SIGKILL)))
faults.fit_features(opened, version)
"""


def child(folder: Path, moment: str = "", call: int = 0) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", CHILD, str(folder), moment, str(call)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2])


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "call"), MOMENTS)
def test_a_stage_that_is_killed_is_never_read_as_complete(
    tmp_path: Path, expected: dict[str, bytes], moment: str, call: int
) -> None:
    assert child(tmp_path, moment, call).wait() == -signal.SIGKILL
    assert [path.name.startswith(".staging-") for path in left(tmp_path)] == [True]
    featured = run(tmp_path)
    assert content(featured) == expected
    assert left(tmp_path) == [featured.folder]


@pytest.mark.slow
def test_two_stages_at_once_end_with_one_result(tmp_path: Path, expected: dict[str, bytes]) -> None:
    run(tmp_path)
    shutil.rmtree(tmp_path / ".torchyard" / "stages")
    running = [child(tmp_path) for _ in range(2)]
    assert [one.wait() for one in running] == [0, 0]
    featured = run(tmp_path)
    assert content(featured) == expected
    assert left(tmp_path) == [featured.folder]


def test_the_second_of_two_stages_goes_on_with_what_the_first_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    opened, _ = open_project(tmp_path)
    version = add_data(opened)
    first: list[Featured] = []

    def meanwhile(owner: OpenProject, folder: Path) -> Any:
        monkeypatch.undo()
        first.append(fit_features(opened, version))
        places = {path: path.stat().st_ino for path in first[0].folder.rglob("*")}
        assert places
        inodes.update(places)
        return fit(owner, folder)

    inodes: dict[Path, int] = {}
    owner = resolve_name("torchyard.yard.featuring")
    fit = owner.fit_training
    monkeypatch.setattr(owner, "fit_training", meanwhile)
    second = fit_features(opened, version)
    assert second.folder == first[0].folder
    assert content(second) == expected
    assert {path: path.stat().st_ino for path in second.folder.rglob("*")} == inodes
    assert left(tmp_path) == [second.folder]
    assert np.array_equal(second.truth("test"), first[0].truth("test"))
