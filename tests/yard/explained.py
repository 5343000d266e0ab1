"""A small project whose rows come in time, for what is asked of a model beyond its report."""

from __future__ import annotations

from pathlib import Path

from torchyard.yard import Yard

PROJECT = """
import numpy as np
import polars as pl
import torch
from torch import nn

import torchyard as ty

DAYS, DAILY, DRIFT = 360, {daily}, {drift}


def rows():
    draw = np.random.default_rng(3)
    day = np.repeat(np.arange(DAYS), DAILY)
    use, idle = draw.normal(size=(2, day.size))
    turn = day / DAYS * DRIFT
    other = draw.normal(size=day.size)
    kind = draw.choice(["a", "b"], day.size)
    score = 3 * (np.cos(turn) * use + np.sin(turn) * other) + np.where(kind == "a", 1.5, -1.5)
    return pl.DataFrame({{
        "at": pl.Series(np.datetime64("2024-01-01", "us") + day * np.timedelta64(1, "D")
                        + np.arange(day.size) % DAILY * np.timedelta64(60, "s")),
        "use": use, "other": other, "idle": np.where(draw.random(day.size) < 0.2, np.nan, idle),
        "kind": kind, "y": score > draw.logistic(size=day.size),
    }}).with_columns(pl.col("idle").fill_nan(None))


class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.kind = nn.Embedding(features["kind"].cardinality, 2)
        self.out = nn.Linear(features["numbers"].width + 2, 1)

    def forward(self, numbers, kind):
        return self.out(torch.cat([numbers, self.kind(kind)], dim=1)).squeeze(1)


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        at=ty.timestamp(), use=ty.number(), other=ty.number(), idle=ty.number(optional=True),
        kind=ty.category(),
    ),
    split=ty.split_by_time("at", validation="2024-08-01", test="2024-10-01"),
    features=ty.Features(numbers=ty.standardize("use", "other", "idle"), kind=ty.lookup("kind")),
    model=Net,
    training=ty.Training(max_epochs=4, batch_size=64, learning_rate=0.05, preflight=False),
    {more}
)
"""


def make_yard(folder: Path, *, drift: float = 0.0, daily: int = 12, more: str = "") -> Yard:
    """The project in a folder: ``use`` and ``kind`` decide the label, ``idle`` does not.

    Over the year, what ``use`` decides moves to ``other`` by an angle of ``drift``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code = PROJECT.format(drift=drift, daily=daily, more=more)
    (folder / "project.py").write_text(code)
    return Yard(folder)
