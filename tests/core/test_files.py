from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchyard.core.files import (
    clear_abandoned,
    discard_folder,
    locked,
    publish_folder,
    staged_folder,
    write_atomically,
)


def test_a_write_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"old and long")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


def test_a_failed_write_leaves_the_old_content_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_stage_is_published_whole_or_removed(tmp_path: Path) -> None:
    with staged_folder(tmp_path) as stage:
        (stage / "a").write_text("1")
        assert publish_folder(stage, tmp_path / "done")
    assert (tmp_path / "done" / "a").read_text() == "1"
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path) as stage:
        (stage / "b").write_text(str(1 // 0))
    assert os.listdir(tmp_path) == ["done"]


def test_what_is_already_published_stays(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "first").touch()
    with staged_folder(tmp_path) as stage:
        assert not publish_folder(stage, tmp_path / "done")
    assert os.listdir(tmp_path / "done") == ["first"]


def test_what_another_publishes_in_the_last_moment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(stage: Path, mode: int) -> None:
        (tmp_path / "done").mkdir()
        (tmp_path / "done" / "first").touch()

    monkeypatch.setattr(Path, "chmod", meanwhile)
    with staged_folder(tmp_path) as stage:
        (stage / "second").touch()
        assert not publish_folder(stage, tmp_path / "done")
    assert os.listdir(tmp_path) == ["done"]
    assert os.listdir(tmp_path / "done") == ["first"]


def test_a_folder_is_discarded_whole_even_if_its_removal_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "file").touch()

    def stop(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("torchyard.core.files.shutil.rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            discard_folder(tmp_path / "done")
    assert not (tmp_path / "done").exists()
    clear_abandoned(tmp_path)
    assert os.listdir(tmp_path) == []
    discard_folder(tmp_path / "done")
    assert os.listdir(tmp_path) == []


def test_a_lock_keeps_another_process_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'a')\n"
        "try:\n    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError:\n    sys.exit(3)\n"
    )
    probe = [sys.executable, "-c", code, str(lock)]
    with locked(lock):
        assert subprocess.run(probe, check=False).returncode == 3
    assert subprocess.run(probe, check=False).returncode == 0


def test_what_a_killed_owner_left_is_cleared_and_what_is_being_filled_is_not(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from torchyard.core.files import staged_folder\n"
        "with staged_folder(Path(sys.argv[1])) as stage:\n"
        "    (stage / 'half').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert (left / "half").exists()
    with staged_folder(tmp_path) as stage:
        clear_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [stage]
