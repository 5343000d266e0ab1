"""Segments: whole lines or none, whatever the disk does and whenever the process dies."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from torchyard.serve.logs.segments import Segments


def segments(folder: Path, **changes: int) -> Segments:
    settings = {"worker": 3, "start": 1700, "most_bytes": 1 << 20, **changes}
    return Segments(folder / "demo", **settings)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "demo").iterdir())}


def test_lines_are_on_file_when_append_returns(tmp_path: Path) -> None:
    log = segments(tmp_path)
    log.append(b"one\n")
    log.append(b"two\nthree\n", durably=True)

    assert content(tmp_path) == {"3-1700-0.jsonl": b"one\ntwo\nthree\n"}
    log.close()


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    log = segments(tmp_path, most_bytes=8)
    for line in (b"12345\n", b"67890\n", b"x\n"):
        log.append(line)
    log.close()

    assert content(tmp_path) == {"3-1700-0.jsonl": b"12345\n67890\n", "3-1700-1.jsonl": b"x\n"}


def test_nothing_is_made_before_the_first_line(tmp_path: Path) -> None:
    segments(tmp_path).close()

    assert list(tmp_path.iterdir()) == []


def test_a_restart_does_not_append_to_what_a_crash_cut_off(tmp_path: Path) -> None:
    before = segments(tmp_path)
    before.append(b"whole\ncut o")  # as a kill inside the write leaves it
    before.close()
    after = segments(tmp_path, start=1800)
    after.append(b"new\n")
    after.close()

    assert content(tmp_path) == {"3-1700-0.jsonl": b"whole\ncut o", "3-1800-0.jsonl": b"new\n"}


def test_a_write_that_fails_half_way_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = segments(tmp_path), os.write
    log.append(b"first\n")
    calls: list[int] = []

    def half(handle: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, bytes(data)[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            log.append(b"second line\n")
    log.append(b"third\n")
    log.close()

    assert calls == [12, 6]
    assert content(tmp_path) == {"3-1700-0.jsonl": b"first\nthird\n"}


def test_a_segment_that_cannot_be_repaired_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = segments(tmp_path)
    log.append(b"first\n")

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output"):
            log.append(b"second\n")
    log.append(b"third\n")
    log.close()

    assert content(tmp_path) == {"3-1700-0.jsonl": b"first\n", "3-1700-1.jsonl": b"third\n"}


def test_a_durable_append_that_cannot_be_made_durable_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = segments(tmp_path)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            log.append(b"label\n", durably=True)
    log.append(b"other\n")
    log.close()

    assert content(tmp_path) == {"3-1700-0.jsonl": b"other\n"}
