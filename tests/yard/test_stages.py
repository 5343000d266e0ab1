from __future__ import annotations

from pathlib import Path

import pytest

from torchyard.yard.stages import Silent, Stages


class Seen(Silent):
    """Remembers which stages ran and which were skipped."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []

    def end(self, stage: str, summary: str, *, seconds: float, skipped: bool) -> None:
        self.ended.append((summary, skipped))


def test_a_stage_runs_once_per_inputs(tmp_path: Path) -> None:
    seen = Seen()
    stages = Stages(tmp_path, seen)
    made: list[int] = []

    def run(value: int) -> Path:
        def make(folder: Path) -> None:
            made.append(value)
            (folder / "value").write_text(str(value))

        return stages.run("double", {"value": value}, make, lambda f: (f / "value").read_text())

    assert [run(value).name for value in (1, 2, 1)].count(run(1).name) == 2
    assert made == [1, 2]
    assert seen.ended == [("1", False), ("2", False), ("1", True), ("1", True)]


def test_a_stage_that_fails_leaves_nothing_and_runs_again(tmp_path: Path) -> None:
    stages = Stages(tmp_path, Silent())

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stages.run("work", {}, fails, str)
    assert list((tmp_path / "work").iterdir()) == []
    folder = stages.run("work", {}, lambda made: (made / "whole").touch(), str)
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_results_that_no_longer_hold_are_made_again(tmp_path: Path) -> None:
    stages = Stages(tmp_path, Silent())
    count: list[int] = []

    def make(folder: Path) -> None:
        count.append(1)

    for holds in (True, True, False):
        stages.run("work", {}, make, str, still_holds=lambda folder, holds=holds: holds)  # type: ignore[misc]
    assert len(count) == 2


def test_results_that_no_longer_hold_are_never_seen_half_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(tmp_path, Silent())

    def make(folder: Path) -> None:
        (folder / "one").touch()
        (folder / "two").touch()

    def run(*, holds: bool) -> list[str]:
        folder = stages.run("work", {}, make, str, still_holds=lambda _: holds)
        return sorted(path.name for path in folder.iterdir())

    def half(folder: Path, **options: object) -> None:
        next(folder.rglob("one")).unlink()
        raise KeyboardInterrupt

    run(holds=True)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", half)
        with pytest.raises(KeyboardInterrupt):
            run(holds=False)
    assert run(holds=True) == ["one", "two"]
