"""Every transform of the package: the same bits alone, in any batch, from a request, from a frame.

An operation without an example in ``tests/support/transforms.py`` fails the first test, so a new
transform cannot go without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.rows import body, frame, objects, rows
from tests.support.transforms import FEATURES, SCHEMA, training_rows
from torchyard.features import Encoder, columns_from_frame, columns_from_rows, fit_graph
from torchyard.features.operations import OPERATIONS
from torchyard.records.training import FeatureGraph
from torchyard.serve.decoding.rows import RowDecoder

Tensors = dict[str, Any]


@pytest.fixture(scope="module", name="file")
def _file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graph") / "features.onnx"


@pytest.fixture(scope="module", name="graph")
def _graph(file: Path) -> FeatureGraph:
    return fit(file)


def fit(file: Path, *, chunk: int = 1000) -> FeatureGraph:
    """Fit every example, from chunks of some size."""
    given_rows = training_rows()

    def chunks() -> list[Any]:
        return [given_rows[k : k + chunk] for k in range(0, given_rows.height, chunk)]

    return fit_graph(FEATURES, SCHEMA, chunks, path=file, modules=FEATURES.modules)


def test_every_operation_has_an_example() -> None:
    assert {transform.operation for transform in FEATURES} == set(OPERATIONS)


@given(st.lists(rows(SCHEMA), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_row_has_the_same_bits_however_it_comes(
    graph: FeatureGraph, file: Path, drawn: list[dict[str, Any]]
) -> None:
    encoder = Encoder(file, threads=1)
    trained_on = encoder.encode(columns_from_frame(SCHEMA, frame(SCHEMA, drawn)))
    decoder = RowDecoder(SCHEMA, max_rows=8)
    reverse = columns_from_frame(SCHEMA, frame(SCHEMA, drawn[::-1]))
    ways = {
        "as objects": encoder.encode(columns_from_rows(SCHEMA, objects(drawn))),
        "from a request": encoder.encode(decoder.columns(decoder.decode(body(drawn)).rows)),
        "backwards": {name: made[::-1] for name, made in encoder.encode(reverse).items()},
        "row by row": joined(
            [encoder.encode(columns_from_rows(SCHEMA, objects([row]))) for row in drawn]
        ),
    }
    for tensor in graph.tensors:
        expected = trained_on[tensor.name]
        assert expected.dtype == tensor.dtype
        assert expected.shape == (len(drawn), *tensor.shape), tensor.name
        assert np.isfinite(expected).all(), tensor.name
        if tensor.cardinality:
            assert 0 <= expected.min() <= expected.max() < tensor.cardinality, tensor.name
        for way, made in ways.items():
            assert made[tensor.name].tobytes() == expected.tobytes(), (tensor.name, way)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_has_the_same_bits_at_every_place_of_a_batch(
    graph: FeatureGraph, file: Path, threads: int
) -> None:
    """Vectorized kernels treat the end of a batch, and of a thread's share, in their own way."""
    session = onnxruntime.InferenceSession(str(file), options(threads))
    feed = fed(file, 70)
    one_by_one = [run(session, feed, slice(k, k + 1)) for k in range(70)]
    for size in range(1, 71):
        assert run(session, feed, slice(size)) == [
            b"".join(parts) for parts in zip(*one_by_one[:size], strict=True)
        ], size


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [4095, 4096, 4097, 16_385, 65_537])
def test_a_row_has_the_same_bits_in_a_large_batch(
    graph: FeatureGraph, file: Path, threads: int, size: int
) -> None:
    session = onnxruntime.InferenceSession(str(file), options(threads))
    feed = {
        name: np.resize(values, (size, *values.shape[1:])) for name, values in fed(file).items()
    }
    whole = run(session, feed, slice(None))
    parts = [run(session, feed, slice(k, k + 61)) for k in range(0, size, 61)]
    assert whole == [b"".join(part) for part in zip(*parts, strict=True)]


def test_the_runtime_s_own_rewriting_changes_no_bit(graph: FeatureGraph, file: Path) -> None:
    levels = onnxruntime.GraphOptimizationLevel
    feed = fed(file)
    plain, rewritten = (
        run(onnxruntime.InferenceSession(str(file), options(1, level)), feed, slice(None))
        for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL)
    )
    assert plain == rewritten


def test_the_same_rows_in_any_chunks_give_the_same_file(
    graph: FeatureGraph, file: Path, tmp_path: Path
) -> None:
    assert fit(tmp_path / "again.onnx", chunk=7) == graph
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()
    onnx.checker.check_model(onnx.load(file), full_check=True)


def joined(parts: list[Tensors]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fed(file: Path, count: int = 300) -> Tensors:
    """What enters the ONNX graph itself: raw columns, and what host steps make of them."""
    encoder = Encoder(file)
    columns = columns_from_frame(SCHEMA, training_rows().head(count))
    direct = {item.name for item in onnxruntime.InferenceSession(str(file)).get_inputs()}
    feed = {**columns, **encoder.steps.run(columns)}
    return {name: feed[name] for name in direct}


def options(threads: int, level: Any = None) -> Any:
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.log_severity_level = 3
    if level is not None:
        made.graph_optimization_level = level
    return made


def run(session: Any, feed: Tensors, rows_of: slice) -> list[bytes]:
    part = {name: values[rows_of] for name, values in feed.items()}
    return [made.tobytes() for made in session.run(None, part)]
