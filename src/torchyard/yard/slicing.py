"""What parts the test rows: the groups of protected fields, and the declared slices."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadProject, YardError
from torchyard.core.record import Json
from torchyard.project.slicing import Slice
from torchyard.records.bands import band_names
from torchyard.records.schema import Field
from torchyard.yard.results import Array, Featured, OpenProject
from torchyard.yard.sources import function_source

if TYPE_CHECKING:
    import polars as pl

MOST_VALUES = 1000  # of a function's slice: each is measured, and shown
_MISSING = "(missing)"
_NAMES: dict[str, tuple[str, ...]] = {
    "hour": tuple(f"{hour:02d}" for hour in range(24)),
    "weekday": tuple(calendar.day_name),
    "month": tuple(calendar.month_name),  # the first is empty: months count from 1
}


def group_texts(opened: OpenProject, featured: Featured) -> dict[str, Array]:
    """Each protected field's value, or band, in each test row, ``str [rows]``."""
    return {field.name: _group(field, featured) for field in _protected(opened)}


def slice_texts(opened: OpenProject, featured: Featured) -> dict[str, Array]:
    """Each declared slice's value in each test row, ``str [rows]``.

    Raises:
        BadProject: a function of the project file fails, or returns what is no slice.
    """
    return {one.name: _slice(one, featured) for one in opened.project.sliced}


def parting_inputs(opened: OpenProject) -> dict[str, Json]:
    """What decides both, as inputs of a stage: a function by its source."""
    return {
        "protected": [[field.name, list(field.bands)] for field in _protected(opened)],
        "slices": [
            {
                "name": one.name,
                "field": one.field,
                "edges": list(one.edges),
                "by": one.by,
                "function": one.function and function_source(opened.loaded, one.function),
            }
            for one in opened.project.sliced
        ],
    }


def _protected(opened: OpenProject) -> list[Field]:
    return [field for field in opened.project.schema.fields if field.protected]


def _group(field: Field, featured: Featured) -> Array:
    column = featured.rows("test", [field.name])[field.name]
    if not field.bands:
        return _values(column)
    return _banded(column.dt.year() if field.kind == "timestamp" else column, field.bands)


def _slice(one: Slice, featured: Featured) -> Array:
    if one.function is not None:
        return _by_function(one, featured)
    assert one.field is not None, "ty.slice gives a field where there is no function"
    column = featured.rows("test", [one.field])[one.field]
    if one.by is not None:
        return _time_parts(column, one.by)
    if one.edges:
        is_text = featured.version.schema.field(one.field).kind == "text"
        return _banded(column.str.len_chars() if is_text else column, one.edges)
    return _values(column)


def _values(column: pl.Series) -> Array:
    import polars as pl

    values: Array = column.cast(pl.String).fill_null(_MISSING).to_numpy()
    return values


def _banded(column: pl.Series, edges: Sequence[float]) -> Array:
    import polars as pl

    numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    places = np.searchsorted(np.array(edges), numbers, side="right")
    return _named(places, band_names(edges), missing=np.isnan(numbers))


def _time_parts(column: pl.Series, by: str) -> Array:
    parts = getattr(column.dt, by)()
    places = parts.fill_null(0).cast(int).to_numpy() - (by == "weekday")  # Monday is 1 in polars
    return _named(places, _NAMES[by], missing=parts.is_null().to_numpy())


def _named(places: Array, names: Sequence[str], *, missing: Array) -> Array:
    named: Array = np.array([*names, _MISSING])[np.where(missing, len(names), places)]
    return named


def _by_function(one: Slice, featured: Featured) -> Array:
    import polars as pl

    assert one.function is not None
    shown = [
        field.name
        for field in featured.version.schema.fields
        if not field.is_withheld and field.kind not in ("image", "tensor")
    ]
    rows = featured.rows("test", shown)
    try:
        found = one.function(rows)
    except YardError:
        raise
    except Exception as error:
        raise _bad(one, f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(found, pl.Series):
        raise _bad(one, f"a {type(found).__name__}")
    if found.dtype not in (pl.Boolean, pl.String, pl.Categorical) or len(found) != rows.height:
        raise _bad(one, f"{len(found):,} values of {found.dtype} for {rows.height:,} rows")
    if found.n_unique() > MOST_VALUES:
        raise _bad(one, f"{found.n_unique():,} different values, of at most {MOST_VALUES:,}")
    return _values(found)


def _bad(one: Slice, found: str) -> BadProject:
    return BadProject(
        where=f"slices, {one.name}",
        found=found,
        expected="a polars Series of booleans or texts, one per row",
        remedy="Its rows have the fields of the schema, but for personal ones, pictures and "
        "tensors. Try the function on a frame of them.",
    )
