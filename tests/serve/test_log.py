"""The prediction log: its format, its bound, and that it never stops an answer."""

from __future__ import annotations

import errno
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from torchyard.serve.engine import Engine
from torchyard.serve.logs.predictions import PredictionLog, encode, segments_in
from torchyard.serve.logs.segments import Segments

ROW = {"carrier": "DL", "departs": "2026-02-01T09:30:00", "seat": "12A"}


def answered(engine: Engine, *ids: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"rows": [{**ROW, **fields}] * len(ids)}).encode()
    rows = engine.decoder.decode(body).rows
    return {"at": 1700000000.25, "ids": ids, "rows": rows, "scores": engine.score(rows)}


def open_log(folder: Path, dropped: Counter[str], *, most_rows: int = 1000) -> PredictionLog:
    return PredictionLog(
        segments_in(folder, worker=0, start=1, most_bytes=1 << 20),
        most_rows=most_rows,
        count_dropped=lambda model, rows: dropped.update({model: rows}),
    )


def lines(folder: Path) -> list[Any]:
    paths = sorted(folder.glob("demo/*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def test_a_line_is_what_the_record_says(engine: Engine) -> None:
    content = encode(engine, **answered(engine, "a", distance=1000.0))

    assert content.endswith(b"\n")
    assert json.loads(content) == {
        "id": "a",
        "at": 1700000000.25,
        "release": engine.release,
        "variant": "onnx-fp32",
        "row": {"distance": 1000.0, "carrier": "DL", "departs": "2026-02-01T09:30:00"},
        "scores": [0.5, 0.5],
    }
    assert b"12A" not in content


def test_rows_are_logged_in_order_and_flushed_when_closed(tmp_path: Path, engine: Engine) -> None:
    dropped: Counter[str] = Counter()
    log = open_log(tmp_path, dropped)
    for number in range(200):
        log.append(engine, **answered(engine, f"{number}-0", f"{number}-1"))
    log.close()

    expected = [f"{number}-{place}" for number in range(200) for place in (0, 1)]
    assert [line["id"] for line in lines(tmp_path)] == expected
    assert not dropped


def test_the_writers_thread_flushes_by_itself(tmp_path: Path, engine: Engine) -> None:
    log = open_log(tmp_path, Counter())
    log.start()
    log.append(engine, **answered(engine, "a"))
    end = time.monotonic() + 10
    while not lines(tmp_path):
        assert time.monotonic() < end
        time.sleep(0.01)
    log.close()

    assert [line["id"] for line in lines(tmp_path)] == ["a"]


def test_a_full_queue_drops_and_counts_rows(tmp_path: Path, engine: Engine) -> None:
    dropped: Counter[str] = Counter()
    log = open_log(tmp_path, dropped, most_rows=5)
    for name in "abcd":
        log.append(engine, **answered(engine, f"{name}0", f"{name}1"))
    assert dropped == {"demo": 4}
    log.flush()
    log.append(engine, **answered(engine, "e0"))
    log.close()

    assert [line["id"] for line in lines(tmp_path)] == ["a0", "a1", "b0", "b1", "e0"]


def test_a_full_disk_drops_and_counts_rows_and_goes_on(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: Counter[str] = Counter()
    log = open_log(tmp_path, dropped)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Segments, "append", fail)
        log.append(engine, **answered(engine, "a", "b", "c"))
        log.flush()
    log.append(engine, **answered(engine, "d"))
    log.close()

    assert dropped == {"demo": 3}
    assert [line["id"] for line in lines(tmp_path)] == ["d"]
