"""One example of every transform, a schema of every kind of field, and ordinary training rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

import torchyard as ty
from tests.support.rows import frame, pictures

SCHEMA = ty.Schema(
    fare=ty.number(optional=True),
    miles=ty.number(),
    stops=ty.integer(optional=True),
    wide=ty.boolean(optional=True),
    left=ty.timestamp(optional=True),
    landed=ty.timestamp(),
    carrier=ty.category(optional=True),
    tail=ty.id(optional=True),
    tags=ty.category(optional=True),
    note=ty.text(optional=True),
    photo=ty.image(optional=True),
    scan=ty.image(),
    sensor=ty.tensor((2, 3)),
    steps=ty.tensor((2,), dtype="int64", ge=0, le=9),
)


class Gate(nn.Module):
    """Element-wise arithmetic, comparisons, a look-up: ``float32 [rows, width + 1]``."""

    table: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.tensor([0.25, 4.0]))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        place = (values[:, :1] > 1).long()
        return torch.cat([(values * 3 - 1).clamp(-5, 5), self.table[place]], dim=1)


EXAMPLES: dict[str, Any] = {
    "numbers": ty.numbers("fare", "miles", "wide"),
    "standardize": ty.standardize("fare", "miles", "stops"),
    "standardize_of": ty.standardize(ty.log("fare"), "miles", ty.calendar_time("left", "hour")),
    "robust_scale": ty.robust_scale("fare", ty.impute("stops")),
    "quantile": ty.quantile("fare", "stops", points=9),
    "quantile_of": ty.quantile(ty.elapsed("left", "landed", unit="days"), points=4),
    "log": ty.log("fare", "stops", "wide"),
    "clip": ty.clip("fare", low=0, high_share=0.9),
    "clip_low": ty.clip("miles", low_share=0.1),
    "impute": ty.impute("fare", "miles", "stops", value="mean"),
    "impute_quietly": ty.impute("stops", value=-1, flag=False),
    "elapsed": ty.elapsed("left", "landed"),
    "calendar_time": ty.calendar_time(
        "left", "year", "quarter", "month", "day", "day_of_year", "weekday", "hour", "minute",
        "weekend",
    ),
    "cyclic_time": ty.cyclic_time("left", "hour", "weekday", "month"),
    "cyclic_landed": ty.cyclic_time("landed", "weekday"),
    "bucket": ty.bucket(ty.standardize("fare"), buckets=4),
    "bucket_edges": ty.bucket("miles", edges=[-1.0, 0.0, 1.0]),
    "lookup": ty.lookup("carrier"),
    "hash_bucket": ty.hash_bucket("note", buckets=50),
    "hash_tail": ty.hash_bucket("tail", buckets=3),
    "cross": ty.cross(ty.lookup("carrier"), ty.bucket("fare", buckets=3)),
    "cross_hashed": ty.cross(ty.hash_bucket("tail", buckets=9), ty.lookup("tags"), buckets=7),
    "multi_hot": ty.multi_hot("tags"),
    "tokenize": ty.tokenize("note", length=6, vocabulary=20),
    "pixels": ty.pixels("photo", size=(3, 4)),
    "pixels_grey": ty.pixels("scan", size=(2, 2), channels=1, resize="pad", mean=[0.5],
                             deviation=[0.5]),
    "passthrough": ty.passthrough("sensor"),
    "passthrough_whole": ty.passthrough("steps"),
    "custom": ty.custom(Gate(), "fare", ty.log("miles")),
}  # fmt: skip
FEATURES = ty.Features(**EXAMPLES)


@cache
def training_rows(count: int = 300) -> pl.DataFrame:
    """Rows as ordinary data has them, a fifth of every optional field missing."""
    draw = np.random.default_rng(0)
    start = datetime(2024, 1, 1)
    words = np.array(["UA", "Ärlines", "DL", "AA"])

    def minutes() -> list[datetime]:
        return [start + timedelta(minutes=float(m)) for m in draw.integers(0, 900_000, count)]

    def chosen() -> list[str]:
        return [str(word) for word in draw.choice(words, count)]

    def photos() -> list[bytes]:
        return [pictures()[n] for n in draw.integers(0, len(pictures()), count)]

    columns: dict[str, list[Any]] = {
        "fare": draw.lognormal(3, 1, count).tolist(),
        "miles": draw.normal(500, 200, count).tolist(),
        "stops": draw.integers(0, 4, count).tolist(),
        "wide": (draw.random(count) < 0.5).tolist(),
        "left": minutes(),
        "landed": minutes(),
        "carrier": chosen(),
        "tail": [f"N{n}" for n in draw.integers(0, 99, count)],
        "tags": ["|".join(pair) for pair in zip(chosen(), chosen(), strict=True)],
        "note": [f"{word}, it's late" for word in chosen()],
        "photo": photos(),
        "scan": photos(),
        "sensor": draw.normal(size=(count, 2, 3)).tolist(),
        "steps": draw.integers(0, 10, (count, 2)).tolist(),
    }
    for field in SCHEMA.fields:
        if field.optional:
            for row in np.flatnonzero(draw.random(count) < 0.2):
                columns[field.name][row] = None
    return frame(
        SCHEMA,
        [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    )
