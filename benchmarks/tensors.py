"""Tensors in requests: bytes, JSON by the quick path and by the plain one, as ratios in one run.

A row of 3 x 32 x 32 float32 numbers (3,072; 12 KB as bytes, about 60 KB as JSON in full precision)
and a row of 15 scalars, from a request's body to validated raw columns. The ways take turns, so
what else the machine does meets them alike; printed are the median and the range over the rounds of
each way's time as a multiple of the first's.

Run: python benchmarks/tensors.py
"""

from __future__ import annotations

import json
import platform
import struct
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding import numbers
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.tensors import rows_of

ROUNDS = 15
CALLS = 40
SHAPE = (3, 32, 32)

Way = Callable[[], object]


def main() -> None:
    """Compare and print."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    compare("3 x 32 x 32 float32", tensor_ways())
    compare("15 scalars", scalar_ways())


def tensor_ways() -> dict[str, Way]:
    """The same row in every form, the binary one first."""
    decoder = RowDecoder(Schema(fields=(Field(name="x", kind="tensor", shape=SHAPE),)), max_rows=8)
    pixels = np.random.default_rng(7).random(SHAPE, dtype=np.float32)
    nested, flat = pixels.astype(float).tolist(), pixels.astype(float).ravel().tolist()
    rows = json.dumps({"rows": [{"x": nested}]}).encode()
    short = json.dumps({"rows": [{"x": np.round(pixels.astype(float), 6).tolist()}]}).encode()
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, *SHAPE]}
    protocol = json.dumps({"inputs": [{**tensor, "data": flat}]}).encode()
    size = {"binary_data_size": pixels.nbytes}
    head = json.dumps({"inputs": [{**tensor, "parameters": size}]}).encode()
    binary, length = head + pixels.tobytes(), b"%d" % len(head)

    def infer(body: bytes, header: bytes | None = None) -> Way:
        return lambda: decoder.columns(
            rows_of(decode_infer(body, header).inputs, decoder, max_rows=8)
        )

    return {
        "protocol, binary": infer(binary, length),
        "protocol, JSON, flat": infer(protocol),
        "protocol, JSON, flat, plain": plainly(infer(protocol)),
        "rows, JSON": lambda: decoder.columns(decoder.decode(rows).rows),
        "rows, JSON, plain": plainly(lambda: decoder.columns(decoder.decode(rows).rows)),
        "rows, JSON, six digits": lambda: decoder.columns(decoder.decode(short).rows),
        "rows, JSON, six digits, plain": plainly(
            lambda: decoder.columns(decoder.decode(short).rows)
        ),
        "floor: bytes to a checked array": lambda: floor(pixels.tobytes()),
    }


def scalar_ways() -> dict[str, Way]:
    """Ten numbers and five texts: rows, then the protocol's forms."""
    fields = [Field(name=f"n{n}", kind="number", ge=0, le=1) for n in range(10)]
    texts = [Field(name=f"c{n}", kind="category", values=("a", "b", "c")) for n in range(5)]
    decoder = RowDecoder(Schema(fields=(*fields, *texts)), max_rows=8)
    row: dict[str, Any] = {**{f.name: 0.25 for f in fields}, **{f.name: "b" for f in texts}}
    body = json.dumps({"rows": [row]}).encode()
    kinds = {float: "FP64", str: "BYTES"}
    inputs = [{"name": n, "datatype": kinds[type(v)], "shape": [1]} for n, v in row.items()]
    told = [{**one, "data": [row[str(one["name"])]]} for one in inputs]
    protocol = json.dumps({"inputs": told}).encode()
    content = [
        struct.pack("<d", v) if isinstance(v, float) else struct.pack("<I", 1) + v.encode()
        for v in row.values()
    ]
    sized = [
        {**one, "parameters": {"binary_data_size": len(piece)}}
        for one, piece in zip(inputs, content, strict=True)
    ]
    head = json.dumps({"inputs": sized}).encode()
    binary, length = head + b"".join(content), b"%d" % len(head)

    def infer(body: bytes, header: bytes | None = None) -> Way:
        return lambda: decoder.columns(
            rows_of(decode_infer(body, header).inputs, decoder, max_rows=8)
        )

    return {
        "rows, JSON": lambda: decoder.columns(decoder.decode(body).rows),
        "protocol, JSON": infer(protocol),
        "protocol, binary": infer(binary, length),
    }


def plainly(way: Way) -> Way:
    """The same without the quick parser."""

    def run() -> object:
        quick = numbers._simdjson
        numbers._simdjson = lambda: None  # type: ignore[assignment]
        try:
            return way()
        finally:
            numbers._simdjson = quick

    return run


def floor(content: bytes) -> object:
    """What nobody can leave out: the array, its bounds, one copy into a batch."""
    array = np.frombuffer(content, np.float32).reshape(SHAPE)
    return array.min(), array.max(), np.array([array])


def compare(title: str, ways: dict[str, Way]) -> None:
    """Time the ways in turns and print each as a multiple of the first."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            for _ in range(CALLS):
                way()
            seconds[name].append((time.perf_counter() - began) / CALLS)
    first = seconds[next(iter(ways))]
    print(f"\n{title}: {ROUNDS} rounds of {CALLS} calls")
    for name, times in seconds.items():
        ratios = sorted(one / other for one, other in zip(times, first, strict=True))
        best = f"{1e6 * min(times):8.1f} us at best"
        print(f"  {name:34} {median(ratios):6.2f} ({ratios[1]:.2f} to {ratios[-2]:.2f}) {best}")


if __name__ == "__main__":
    main()
