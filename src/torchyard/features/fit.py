"""Fitting: what each transform learns from the training split, and from nothing else.

The rows stream past, cut into the same blocks however they were chunked, so the same rows in the
same order give the same file. A transform inside another is fitted first; the outer one then learns
from what the part of the graph that is already fitted makes of each block: there is one
implementation of every transform, the graph. Every level of nesting costs one more pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.digest import digest_bytes
from torchyard.core.errors import BadData
from torchyard.core.files import write_atomically
from torchyard.features.columns import column_from_series
from torchyard.features.encode import OUTPUT_PREFIX, Encoder
from torchyard.records.schema import Schema
from torchyard.records.training import FeatureGraph, Transform

if TYPE_CHECKING:
    import polars as pl
    from onnx import ModelProto
    from torch import nn

    from torchyard.features.learn import Learner

Places = dict[tuple[str | int, ...], Transform]
Chunks = Callable[[], Iterable["pl.DataFrame"]]

BLOCK_ROWS = 1 << 16
# real rows that ``ty.custom`` is checked with: as many as an Encoder runs at once
_CHECKED_ROWS = 1 << 12


def fit_graph(
    transforms: Sequence[Transform],
    schema: Schema,
    chunks: Chunks,
    *,
    path: Path,
    modules: Mapping[str, nn.Module] | None = None,
) -> FeatureGraph:
    """Fit on the training split, compile, and write the ONNX file.

    Args:
        transforms: declared features.
        schema: the fields.
        chunks: gives the training rows in chunks, anew at each call: images as Binary, texts as
            String, tensors as Array or List.
        path: where the graph goes.
        modules: those of ``ty.custom``, by output.

    Raises:
        BadData: a transform has nothing to learn from, for example a field without any value.
        BadProject: a tokenizers file cannot be read, or a cross has too many combinations.
        BadModel: a module of ``ty.custom`` cannot be exported, or gives a row other bits in
            another batch.
    """
    from torchyard.features.graph import build_graph

    learnt, rows = _learn(transforms, schema, chunks)
    model, tensors, steps = build_graph(transforms, schema, learnt, modules or {})
    _check_custom(model, transforms, schema, chunks)
    content = model.SerializeToString(deterministic=True)
    write_atomically(path, content)
    used = {name for tensor in tensors for name in tensor.fields}
    return FeatureGraph(
        digest=digest_bytes(content),
        inputs=tuple(name for name in schema.names if name in used),
        tensors=tensors,
        fitted_rows=rows,
        host_steps=steps,
    )


def _learn(
    transforms: Sequence[Transform], schema: Schema, chunks: Chunks
) -> tuple[dict[tuple[str | int, ...], Any], int]:
    """What every transform learnt, and the number of rows."""
    learnt: dict[tuple[str | int, ...], Any] = {}
    places = dict(_places(transforms))
    waiting = _learners(places, schema)
    if not waiting:
        return learnt, sum(frame.height for frame in chunks())
    rows = 0
    while waiting:
        ready = {
            path: learner
            for path, learner in waiting.items()
            if not any(other[: len(path)] == path for other in waiting if other != path)
        }
        inner = _inner({path: places[path] for path in ready}, schema, learnt)
        rows = 0
        for frame in cut(chunks(), BLOCK_ROWS):
            rows += frame.height
            block = _FrameBlock(schema, frame, places, inner)
            for learner in ready.values():
                learner.add(block)
        for path, learner in ready.items():
            learnt[path] = _conclude(learner, places, path)
            del waiting[path]
    return learnt, rows


def cut(chunks: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of ``rows`` rows, the last one shorter; none is empty."""
    import polars as pl

    held: list[pl.DataFrame] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += chunk.height
        if count < rows:
            continue
        whole = pl.concat(held)
        end = count - count % rows
        for first in range(0, end, rows):
            yield whole[first : first + rows]
        held, count = [whole[end:]], count - end
    if count:
        yield pl.concat(held)


def _places(transforms: Sequence[Transform]) -> Iterator[tuple[tuple[str | int, ...], Transform]]:
    stack: list[tuple[tuple[str | int, ...], Transform]] = [
        ((transform.output,), transform) for transform in transforms
    ]
    while stack:
        path, transform = stack.pop(0)
        yield path, transform
        stack += [
            ((*path, k), item)
            for k, item in enumerate(transform.inputs)
            if isinstance(item, Transform)
        ]


def _learners(places: Places, schema: Schema) -> dict[tuple[str | int, ...], Learner[Any]]:
    from torchyard.features.operations import OPERATIONS

    found = {
        path: OPERATIONS[transform.operation].learner(transform, path, schema)
        for path, transform in places.items()
    }
    return {path: learner for path, learner in found.items() if learner is not None}


def _inner(ready: Places, schema: Schema, learnt: Mapping[Any, Any]) -> _Inner | None:
    """The graph that leads to the inputs of those transforms that take other transforms."""
    from torchyard.features.graph import build_values

    nested = {
        path: transform
        for path, transform in ready.items()
        if any(isinstance(item, Transform) for item in transform.inputs)
    }
    if not nested:
        return None
    return _Inner(list(nested), Encoder(build_values(nested, schema, learnt).SerializeToString()))


class _Inner:
    """What nested transforms learn from, by running the graph that is fitted so far."""

    def __init__(self, paths: list[tuple[str | int, ...]], encoder: Encoder) -> None:
        self._paths = paths
        self.inputs = encoder.inputs
        self._encoder = encoder

    def values(self, columns: Mapping[str, Any]) -> dict[tuple[str | int, ...], Any]:
        made = self._encoder.encode(columns)
        return dict(zip(self._paths, made.values(), strict=True))


class _FrameBlock:
    """Some training rows; raw columns and inner values are made once and shared by learners."""

    def __init__(
        self, schema: Schema, frame: pl.DataFrame, places: Places, inner: _Inner | None
    ) -> None:
        self._schema = schema
        self._frame = frame
        self._places = places
        self._columns: dict[str, Any] = {}
        self._values = (
            {}
            if inner is None
            else inner.values({name: self.column(name) for name in inner.inputs})
        )

    def series(self, field: str) -> pl.Series:
        return self._frame[field]

    def column(self, field: str) -> Any:
        if field not in self._columns:
            self._columns[field] = column_from_series(self._schema.field(field), self._frame[field])
        return self._columns[field]

    def numbers(self, path: tuple[str | int, ...]) -> Any:
        if path in self._values:
            return self._values[path]
        names = [str(name) for name in self._places[path].inputs]
        return np.concatenate([self.column(name) for name in names], axis=1)


def _conclude(learner: Learner[Any], places: Places, path: tuple[str | int, ...]) -> Any:
    from torchyard.features.learn import Nothing

    try:
        return learner.learn()
    except Nothing:
        raise BadData(
            where=f"features: {path[0]} = {spelled(places[path])}",
            found="no value in the training split that it could learn from",
            expected="at least one present value (min_count times for a vocabulary)",
            remedy="Drop the field from the features, lower min_count, or move the split.",
        ) from None


def spelled(transform: Transform) -> str:
    """A transform as it is written in a project file, without its options."""
    inputs = [spelled(i) if isinstance(i, Transform) else f"'{i}'" for i in transform.inputs]
    return f"{transform.operation}({', '.join(inputs)})"


def _check_custom(
    model: ModelProto, transforms: Sequence[Transform], schema: Schema, chunks: Chunks
) -> None:
    """Run the part of the graph that leads to custom tensors on the first real rows."""
    from onnx.utils import Extractor

    from torchyard.features.custom import check_rows

    custom = [transform for transform in transforms if transform.operation == "custom"]
    if not custom:
        return
    fields = list(dict.fromkeys(name for transform in custom for name in transform.fields))
    outputs = [f"{OUTPUT_PREFIX}{transform.output}" for transform in custom]
    content = Extractor(model).extract_model(fields, outputs).SerializeToString()
    encoders = {
        f"by {threads} thread{'s' * (threads > 1)}": Encoder(content, threads=threads)
        for threads in (1, 2)
    }
    for frame in cut(chunks(), _CHECKED_ROWS):
        columns = {name: column_from_series(schema.field(name), frame[name]) for name in fields}
        modules = {item.output: str(item.options["module"]) for item in custom}
        check_rows(encoders, columns, modules)
        break
