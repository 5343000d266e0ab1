"""A run is killed at any moment, by SIGKILL, and ends as one that was not."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.killing import begin, sit, sit_until
from tests.support.tiny import SETTINGS, STEPS, fit, result_of
from torchyard.core.errors import Stopped
from torchyard.train import Checkpoints, Watch

SIGKILL = -9
SELDOM = dataclasses.replace(SETTINGS, checkpoint_seconds=3600)


class Told(Watch):
    """Remembers notes, and stops after so many steps; 0 for never."""

    def __init__(self, steps: int = 0) -> None:
        self.left = steps
        self.notes: list[str] = []

    def on_note(self, text: str) -> None:
        self.notes.append(text)

    def should_stop(self) -> str:
        self.left -= 1
        return "asked to" if self.left == 0 else ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an uninterrupted run makes."""
    return result_of(fit(tmp_path_factory.mktemp("whole"), how=SELDOM))


def finished(folder: Path, *, saving: bool) -> tuple[str, int]:
    process = begin(sit, folder, saving)
    process.join()
    assert process.exitcode == 0
    result, resumes = (folder / "result").read_text().split()
    return result, int(resumes)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path, whole: str) -> None:
    """Most of the time goes into checkpoints here, so most kills hit the writing of one."""
    draw = random.Random(4)
    kills = 0
    for run in range(3):
        folder = tmp_path / str(run)
        folder.mkdir()
        while kills < 10 * (run + 1):
            (folder / "begun").unlink(missing_ok=True)
            process = begin(sit, folder)
            while not (folder / "begun").exists() and process.is_alive():
                time.sleep(0.001)
            time.sleep(draw.uniform(0.0, 0.25))
            process.kill()
            process.join()
            if process.exitcode != SIGKILL:  # it was faster
                break
            kills += 1
        result, _ = finished(folder, saving=True)
        assert result == whole
        assert len(list((folder / "checkpoints").iterdir())) == 2
    assert kills > 5


WRITING = "torchyard.train.checkpoints"


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("write_state", False), ("write_state", True), ("os.fsync", True), ("_mark", True),
        ("sync_folder", False), ("Path.unlink", False), ("Path.unlink", True),
    ],
)  # fmt: skip
def test_killed_inside_the_writing_of_a_checkpoint(
    tmp_path: Path, whole: str, name: str, after: bool, count: int
) -> None:
    process = begin(sit_until, tmp_path, WRITING, name, count, after)
    process.join()
    assert process.exitcode == SIGKILL
    result, resumes = finished(tmp_path, saving=False)
    assert result == whole
    assert resumes == (0 if count == 1 and name in ("write_state", "os.fsync", "_mark") else 1)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def other(path: Path) -> None:
    path.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")


Damage = Callable[[Path], None]
DAMAGES = [truncated, emptied, flipped, garbage, other]


def stopped_at(folder: Path, steps: int) -> list[Path]:
    with pytest.raises(Stopped, match="run the same command again"):
        fit(folder, watch=Told(steps))
    return sorted(folder.glob("*.safetensors"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, whole: str, damage: Damage
) -> None:
    _, newest = stopped_at(tmp_path, 3)
    damage(newest)
    told = Told()
    resumed = fit(tmp_path, watch=told, how=SELDOM)
    assert (result_of(resumed), resumed.resumes) == (whole, 1)
    assert told.notes == [f"checkpoint {newest.name} is damaged: the one before it is taken"]


@pytest.mark.parametrize("damage", [truncated, garbage])
def test_two_damaged_checkpoints_begin_anew_and_do_not_outlive_new_ones(
    tmp_path: Path, whole: str, damage: Damage
) -> None:
    files = stopped_at(tmp_path, 5)
    for path in files:
        damage(path)
    told = Told(3)
    with pytest.raises(Stopped):
        fit(tmp_path, watch=told)
    assert told.notes == [
        f"checkpoint {files[1].name}, {files[0].name} is damaged: training begins anew"
    ]
    kept = sorted(path.name[:12] for path in tmp_path.glob("*.safetensors"))
    assert kept == ["000000000002", "000000000003"]
    resumed = fit(tmp_path, how=SELDOM)
    assert (result_of(resumed), resumed.resumes) == (whole, 1)


def test_a_file_of_another_kind_among_checkpoints_is_passed_over(
    tmp_path: Path, whole: str
) -> None:
    stopped_at(tmp_path, 2)
    (tmp_path / "zebra.safetensors").write_bytes(b"stripes")
    (tmp_path / "999999999999-00.safetensors").write_bytes(b"")
    assert result_of(fit(tmp_path, how=SELDOM)) == whole


@pytest.mark.parametrize("room", [8, 40])
def test_a_full_disk_ends_the_run_and_leaves_earlier_checkpoints(
    tmp_path: Path, whole: str, room: int
) -> None:
    with small_disk(tmp_path / "disk", kibibytes=room) as disk:
        folder = disk / "checkpoints"
        with pytest.raises(OSError, match=r"No space left on device: .*checkpoints"):
            fit(folder)
        kept = list(folder.iterdir())
        assert all(path.suffix == ".safetensors" for path in kept)
        moved = tmp_path / "moved"
        moved.mkdir()
        for path in kept:
            (moved / path.name).write_bytes(path.read_bytes())
    state = Checkpoints(moved).newest()
    assert (state is None) == (not kept)
    assert result_of(fit(moved, how=SELDOM)) == whole


def test_it_saves_when_it_is_time_and_keeps_two(tmp_path: Path) -> None:
    class Counts(Told):
        saved: list[int]

        def should_stop(self) -> str:
            self.saved.append(len(list(tmp_path.glob("*.safetensors"))))
            return ""

    counts = Counts()
    counts.saved = []
    fit(tmp_path, watch=counts, how=SELDOM)
    assert counts.saved == [0] * STEPS
    counts.saved.clear()
    fit(tmp_path, watch=counts, how=dataclasses.replace(SETTINGS, max_epochs=1))
    assert counts.saved == [0, 1, 2, 2, 2, 2]
