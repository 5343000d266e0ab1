"""The record of a feature graph, running one in batches, and comparing what two runs made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from torchyard.features import Encoder, columns_from_frame, difference, fit_graph

SCHEMA = ty.Schema(
    unused=ty.id(),
    miles=ty.number(),
    seats=ty.integer(optional=True),
    carrier=ty.category(optional=True),
    sensor=ty.tensor((2, 2)),
    level=ty.tensor((3,), dtype="int64", ge=0, le=4),
)
FEATURES = ty.Features(
    numbers=ty.standardize("miles", "seats"),
    carrier=ty.lookup("carrier", min_count=2),
    sensor=ty.passthrough("sensor"),
    level=ty.passthrough("level"),
)
ROWS = pl.DataFrame(
    {
        "unused": ["a", "b", "c", "d"],
        "miles": [1.0, 2.0, 3.0, 4.0],
        "seats": [10, None, 20, 30],
        "carrier": ["UA", "UA", "Ärlines", None],
        "sensor": [[[n, 1.0], [2.0, 3.0]] for n in range(4)],
        "level": [[n, 0, 4] for n in range(4)],
    },
    schema_overrides={"sensor": pl.Array(pl.Float32, (2, 2)), "level": pl.Array(pl.Int64, 3)},
)


def test_the_record_describes_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "features.onnx"
    graph = fit_graph(FEATURES, SCHEMA, lambda: [ROWS], path=path)
    assert graph.inputs == ("miles", "seats", "carrier", "sensor", "level")
    assert [(t.name, t.dtype, t.shape, t.cardinality, t.width) for t in graph.tensors] == [
        ("numbers", "float32", (3,), 0, 3),
        ("carrier", "int64", (), 3, 1),  # unknown, missing, UA
        ("sensor", "float32", (2, 2), 0, 4),
        ("level", "int64", (3,), 5, 3),
    ]
    assert graph["numbers"].fields == ("miles", "seats")
    assert graph.host_steps == ()
    assert graph.fitted_rows == 4
    with pytest.raises(KeyError):
        graph["nothing"]
    encoder = Encoder(path)
    assert encoder.inputs == graph.inputs
    assert encoder.outputs == tuple(tensor.name for tensor in graph.tensors)


def test_many_rows_run_in_batches_to_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "features.onnx"
    fit_graph(FEATURES, SCHEMA, lambda: [ROWS], path=path)
    encoder = Encoder(path, threads=1)
    many = columns_from_frame(SCHEMA, pl.concat([ROWS] * 2_500))
    made = encoder.encode(many)
    few = encoder.encode(columns_from_frame(SCHEMA, ROWS))
    repeated = {name: np.concatenate([tensor] * 2_500) for name, tensor in few.items()}
    elements, differing, _ = difference(repeated, made)
    assert (elements, differing) == (10_000 * (3 + 1 + 4 + 3), 0)


def test_a_difference_of_one_bit_is_seen() -> None:
    reference = {"x": np.array([1.0, 2.0], dtype=np.float32)}
    other = {"x": np.array([1.0, np.nextafter(np.float32(2), np.float32(3))], dtype=np.float32)}
    elements, differing, worst = difference(reference, other)
    assert (elements, differing) == (2, 1)
    assert 0 < worst < 1e-6
