"""Fitting: what each transform learns from the training split, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from torchyard.core.errors import BadData
from torchyard.records.schema import Field, Schema
from torchyard.records.training import FeatureTensor, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardized:
    """Fitted numbers: ``mean`` and ``deviation`` per field; ``flags`` are the optional fields."""

    tensor: FeatureTensor
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """Fitted vocabulary: the category at place ``i`` becomes ``i + 2``; 0 unknown, 1 missing."""

    tensor: FeatureTensor
    vocabulary: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycled:
    """Recurring time: nothing to learn, only which parts of the clock."""

    tensor: FeatureTensor
    parts: tuple[str, ...]


Fitted = Standardized | LookedUp | Cycled

UNKNOWN, MISSING, FIRST = 0, 1, 2


def fit(transforms: Sequence[Transform], schema: Schema, frame: pl.DataFrame) -> tuple[Fitted, ...]:
    """Fit every transform on the training split.

    Args:
        transforms: declared features, in order.
        schema: the fields.
        frame: training rows.

    Raises:
        BadData: a transform has nothing to learn from, for example a field without any value.
    """
    fitters: dict[str, Callable[[Transform, Schema, pl.DataFrame], Fitted]] = {
        "standardize": _standardize,
        "lookup": _lookup,
        "cyclic_time": _cyclic_time,
    }
    return tuple(fitters[transform.operation](transform, schema, frame) for transform in transforms)


def _standardize(transform: Transform, schema: Schema, frame: pl.DataFrame) -> Standardized:
    mean, deviation = [], []
    for name in transform.fields:
        values = frame[name].cast(pl.Float64).fill_nan(None).drop_nulls().to_numpy()
        if values.size == 0:
            raise _nothing_to_learn(transform, name)
        spread = float(values.std())
        mean.append(float(values.mean()))
        # a constant field carries nothing: it becomes 0 instead of a division by zero
        deviation.append(spread if spread > 0 else 1.0)
    flags = tuple(name for name in transform.fields if schema.field(name).optional)
    return Standardized(
        tensor=_tensor(transform, "float32", (len(transform.fields) + len(flags),)),
        mean=tuple(mean),
        deviation=tuple(deviation),
        flags=flags,
    )


def _lookup(transform: Transform, schema: Schema, frame: pl.DataFrame) -> LookedUp:
    field: Field = schema.field(transform.fields[0])
    least = int(transform.options.get("min_count", 1))
    counts = (
        frame.select(pl.col(field.name).alias("value"))
        .drop_nulls()
        .filter(pl.col("value") != "")
        .group_by("value")
        .agg(pl.len().alias("rows"))
        .filter(pl.col("rows") >= least)
        .sort(["rows", "value"], descending=[True, False])
    )
    if counts.is_empty():
        raise _nothing_to_learn(transform, field.name)
    vocabulary = tuple(counts["value"].to_list())
    return LookedUp(
        tensor=_tensor(transform, "int64", (), cardinality=len(vocabulary) + FIRST),
        vocabulary=vocabulary,
    )


def _cyclic_time(transform: Transform, schema: Schema, frame: pl.DataFrame) -> Cycled:
    parts = tuple(transform.options["parts"])
    return Cycled(tensor=_tensor(transform, "float32", (2 * len(parts),)), parts=parts)


def _tensor(
    transform: Transform, dtype: str, shape: tuple[int, ...], *, cardinality: int = 0
) -> FeatureTensor:
    return FeatureTensor(
        name=transform.output,
        dtype=dtype,  # type: ignore[arg-type]
        shape=shape,
        cardinality=cardinality,
        fields=transform.fields,
        operation=transform.operation,
    )


def _nothing_to_learn(transform: Transform, field: str) -> BadData:
    return BadData(
        where=f"features: {transform.output} = {transform.operation}('{field}')",
        found="no value in the training split that it could learn from",
        expected="at least one present value (min_count times for a lookup)",
        remedy="Drop the field from the features, lower min_count, or move the split.",
    )


def clock_tables() -> dict[str, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Cosine and sine for every minute of a day, day of a week and month of a year.

    Looked up rather than computed in the graph: vectorized cosines differ in the last bit between
    batch sizes, a table cannot.

    Returns:
        Part to ``float32 [steps, 2]``: 1440 minutes, 7 days from Monday, 12 months.
    """
    tables = {}
    for part, steps in (("hour", 1440), ("weekday", 7), ("month", 12)):
        angle = 2 * np.pi * np.arange(steps) / steps
        tables[part] = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return tables
