"""A small model's traffic: rows, logs and a reference, with faults planted on request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.core.record import Json
from torchyard.data.profile import profile, profile_scores
from torchyard.data.rows import request_rows
from torchyard.monitor import Reference
from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.schema import Field, Schema, Task

RELEASE = "sha256:" + "ab" * 32
SCHEMA = Schema(
    fields=(
        Field(name="scheduled", kind="timestamp"),
        Field(name="origin", kind="category"),
        Field(name="wind_speed", kind="number", unit="mph", optional=True),
        Field(name="stops", kind="integer"),
        Field(name="express", kind="boolean"),
        Field(name="passenger", kind="category", personal=True),
    )
)
LOGGED = Schema(fields=SCHEMA.fields[:-1])
TASK = Task(kind="binary_classification", label="late", classes=("on time", "late"), threshold=0.5)
START = datetime(2013, 12, 2)  # a Monday
DAY_S = 86_400


def draw(rows: int, random: np.random.Generator, *, days: float = 7.0) -> pl.DataFrame:
    """Rows of the logged fields and ``probability``, spread over some days of daytime hours."""
    day = random.uniform(0, days, rows).astype(np.int64)
    second = day * DAY_S + random.integers(5 * 3600, 23 * 3600, rows)
    return pl.DataFrame(
        {
            "scheduled": pl.Series(second * 1_000_000).cast(pl.Duration("us")) + START,
            "origin": random.choice(["EWR", "JFK", "LGA"], rows, p=[0.5, 0.3, 0.2]),
            "wind_speed": pl.Series(random.gamma(4, 2.5, rows)).set(
                pl.Series(random.random(rows) < 0.02), None
            ),
            "stops": random.poisson(1.0, rows),
            "express": random.random(rows) < 0.3,
            "probability": random.beta(2, 3, rows),
        }
    ).sort("scheduled")


@cache
def reference() -> Reference:
    """Papers of a release whose data is ``draw``'s."""
    rows = draw(20_000, np.random.default_rng(77), days=56)
    good = Measured(value=0.75, low=0.73, high=0.77, rows=9_000, method="bootstrap")
    low = Measured(value=0.1, low=0.09, high=0.11, rows=9_000, method="bootstrap")
    report = Report(
        model="fp32",
        split="test",
        task=TASK,
        rows=9_000,
        classes=(5_400, 3_600),
        metrics={"auroc": good, "expected_calibration_error": low},
        baselines={},
        fairness={},
        groups=(),
        slices=(),
        reliability=(),
    )
    return Reference(
        release=RELEASE,
        schema=SCHEMA,
        task=TASK,
        inputs=profile(rows, LOGGED),
        answers=profile_scores(rows["probability"].to_numpy(), TASK),
        report=report,
    )


def lines_of(
    frame: pl.DataFrame,
    *,
    prefix: str = "r",
    at: Callable[[int], float] = lambda number: 1.7e9 + number,
    release: str = RELEASE,
) -> list[str]:
    """Lines of a prediction log for rows from ``draw``."""
    rows = request_rows(frame, LOGGED)
    return [
        json.dumps(
            {
                "id": f"{prefix}{number}",
                "at": at(number),
                "release": release,
                "variant": "fp32",
                "row": row,
                "scores": [1 - probability, probability],
            }
        )
        for number, (row, probability) in enumerate(
            zip(rows, frame["probability"].to_list(), strict=True)
        )
    ]


def scores(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    """The probabilities of both classes, ``[rows, 2]``."""
    second = frame["probability"].to_numpy()
    return np.stack([1.0 - second, second], axis=1)


def write(folder: Path, segments: Mapping[str, Iterable[str]]) -> Path:
    """Write a log's segments: name to lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in segments.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def label_line(name: str, label: Json, at: float = 1.7e9) -> str:
    """A line of a label log."""
    return json.dumps({"id": name, "label": label, "at": at})
