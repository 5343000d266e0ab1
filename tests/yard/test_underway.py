from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tests.support.tracked import HERE
from torchyard.core.errors import NotReady
from torchyard.yard.underway import Underway, clear_forgotten

DAY = 24 * 3600


def begun(runs: Path, name: str, *, days_ago: float, now: float) -> Underway:
    one = Underway(runs / name)
    one.begin(f"run of {name}")
    (one.folder / "checkpoints").mkdir()
    (one.folder / "checkpoints" / "000000000003-ab.safetensors").write_bytes(b"state")
    for path in one.folder.rglob("*"):
        os.utime(path, (now - days_ago * DAY, now - days_ago * DAY))
    return one


def test_runs_that_nobody_goes_on_with_are_removed_after_thirty_days(tmp_path: Path) -> None:
    now = 2_000_000_000.0
    old = begun(tmp_path, "old", days_ago=31, now=now)
    recent = begun(tmp_path, "recent", days_ago=29, now=now)
    running = begun(tmp_path, "running", days_ago=300, now=now)
    saved = begun(tmp_path, "saved", days_ago=300, now=now)
    os.utime(saved.folder / "checkpoints" / "000000000003-ab.safetensors", (now, now))
    with running.held():
        clear_forgotten(tmp_path, now=now)
    assert not old.folder.exists()
    assert all(one.folder.exists() for one in (recent, running, saved))
    assert recent.run_id == "run of recent"
    clear_forgotten(tmp_path, now=now)
    assert not running.folder.exists()
    clear_forgotten(tmp_path / "none", now=now)


def test_one_process_at_a_time_is_at_a_run(tmp_path: Path) -> None:
    one = Underway(tmp_path / "run")
    assert (one.run_id, one.is_running()) == (None, False)
    one.begin("abc")
    said = "another process that trains the same run, abc; .* goes on where it stood"
    with one.held():
        assert one.is_running()
        with pytest.raises(NotReady, match=said), one.held():
            pass
    assert not one.is_running()
    one.clear()
    assert (one.run_id, one.folder.exists()) == (None, False)


def test_a_run_remembers_where_it_began_once_it_has_saved(tmp_path: Path) -> None:
    began = dataclasses.replace(HERE, threads=2)
    later = dataclasses.replace(HERE, threads=4)
    one = Underway(tmp_path / "run")
    assert one.began_in(later) == later
    assert one.began_in(began) == began  # nothing was saved: it begins anew
    one.checkpoints(every=0).save(3, {"step": 3})
    assert one.began_in(later) == began
