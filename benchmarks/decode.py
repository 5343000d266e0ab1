"""Requests to raw columns: what decoding and validating costs, by kind of field, one row a body."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding.rows import RowDecoder

ROUNDS, SECONDS = 7, 0.15


def main() -> None:
    """One line per case: microseconds a row for decoding alone and for raw columns after it."""
    for name, fields, row in cases():
        decoder = RowDecoder(Schema(fields=fields), max_rows=100)
        for rows in (1, 100):
            body = json.dumps({"rows": [row] * rows}).encode()
            decoded = decoder.decode(body).rows
            decode, spread = microseconds(lambda b=body, d=decoder: d.decode(b))  # type: ignore[misc]
            columns, _ = microseconds(lambda r=decoded, d=decoder: d.columns(r))  # type: ignore[misc]
            print(
                f"{name}, {rows:3d} rows of {len(body) // rows:,} bytes: decode "
                f"{decode / rows:.2f} us a row ({spread:.0%} spread), columns {columns / rows:.2f}"
            )


def cases() -> list[tuple[str, tuple[Field, ...], dict[str, Any]]]:
    """Tabular rows as the flights example has them, a text, a picture, a small tensor."""
    draw = np.random.default_rng(0)
    tabular = (
        *(Field(name=f"number{n}", kind="number", ge=0, le=6000) for n in range(4)),
        Field(name="wind", kind="number", optional=True),
        Field(name="stops", kind="integer"),
        Field(name="holiday", kind="boolean"),
        Field(name="origin", kind="category", values=("EWR", "JFK", "LGA")),
        Field(name="carrier", kind="category"),
        Field(name="destination", kind="category", optional=True),
        Field(name="departs", kind="timestamp"),
    )
    row = {
        **{f"number{n}": 719.5 + n for n in range(4)},
        "stops": 1, "holiday": False, "origin": "JFK", "carrier": "UA", "destination": "SFO",
        "departs": "2013-07-01T09:30:00",
    }  # fmt: skip
    picture = base64.b64encode(draw.bytes(30_000)).decode()
    tensor = Field(name="pixels", kind="tensor", shape=(3, 32, 32), ge=0, le=1)
    pixels = draw.random(tensor.shape, dtype=np.float32).tolist()
    return [
        ("tabular", tabular, row),
        ("text", (Field(name="review", kind="text", max_length=5000),), {"review": "good " * 40}),
        ("picture of 30 kB", (Field(name="photo", kind="image"),), {"photo": picture}),
        ("tensor 3 x 32 x 32", (tensor,),
         {"pixels": pixels}),
    ]  # fmt: skip


def microseconds(call: Callable[[], object]) -> tuple[float, float]:
    """The median of some rounds, and the rounds' range over it."""
    calls = 1
    while _seconds(call, calls) < SECONDS / 4:
        calls *= 2
    rounds = sorted(_seconds(call, calls) / calls * 1e6 for _ in range(ROUNDS))
    middle = rounds[ROUNDS // 2]
    return middle, (rounds[-1] - rounds[0]) / middle


def _seconds(call: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
