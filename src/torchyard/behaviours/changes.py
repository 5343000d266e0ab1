"""Changes of a frame: from the options of a behaviour to frames with one field changed.

Whether a changed row still keeps the schema is not asked here: see ``Trial.fits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.units import conversions
from torchyard.records.behaviours import Behaviour
from torchyard.records.schema import Field, Schema

if TYPE_CHECKING:
    import polars as pl

Options = Mapping[str, Any]


def changed_columns(
    behaviour: Behaviour, rows: pl.DataFrame, schema: Schema, draw: np.random.Generator
) -> Iterator[pl.Series]:
    """Each way in which a behaviour changes rows: a column that takes its field's place.

    Args:
        behaviour: an invariance, direction or robustness.
        rows: the fields of a request.
        schema: the same fields.
        draw: for typos and noise.
    """
    options = behaviour.options
    fields = behaviour.fields or tuple(one.name for one in schema.fields if one.optional)
    for field in map(schema.field, fields):
        column = rows[field.name]
        if options["change"] == "missing":
            yield column.clear(len(column))
        elif options["change"] == "unit":
            for factor, offset in _mistakes(field, options):
                yield _rescaled(column, factor, offset)
        else:
            yield _CHANGES[str(options["change"])](column, field, options, draw)


def _mistakes(field: Field, options: Options) -> Iterator[tuple[float, float]]:
    for mistake in conversions(field.unit or ""):
        if options["sent_in"] in (None, mistake.looks_like):
            yield mistake.factor, mistake.offset


def _rescaled(column: pl.Series, factor: float, offset: float) -> pl.Series:
    """``factor * value + offset``; whole numbers are rounded, and stay whole."""
    import polars as pl

    scaled = column.cast(pl.Float64) * factor + offset
    if column.dtype.is_integer():
        return scaled.round().cast(column.dtype, strict=False)
    return scaled


def _shift(column: pl.Series, _: Field, options: Options, draw: np.random.Generator) -> pl.Series:
    return _rescaled(column, 1.0, options["by"])


def _scale(column: pl.Series, _: Field, options: Options, draw: np.random.Generator) -> pl.Series:
    return _rescaled(column, options["by"], 0.0)


def _swap(
    column: pl.Series, field: Field, options: Options, draw: np.random.Generator
) -> pl.Series:
    from torchyard.behaviours.texts import exchange_words

    values = options["values"]
    following = dict(zip(values, (*values[1:], values[0]), strict=True))
    if field.kind == "text":
        return _each(column, lambda text: exchange_words(text, following))
    return _each(column, lambda value: following.get(value, value))


def _typos(column: pl.Series, _: Field, options: Options, draw: np.random.Generator) -> pl.Series:
    from torchyard.behaviours.texts import mistype

    return _each(column, lambda text: mistype(text, options["by"], draw))


def _noise(
    column: pl.Series, field: Field, options: Options, draw: np.random.Generator
) -> pl.Series:
    if field.kind == "image":
        return _picture(column, field, options, draw)
    spread: Any = column.std()
    noise = draw.normal(size=len(column)) * options["by"] * (spread or 0.0)
    noisy: pl.Series = column + noise
    return noisy


def _picture(column: pl.Series, _: Field, options: Options, draw: np.random.Generator) -> pl.Series:
    from torchyard.behaviours.pictures import SEVERITIES, change_picture

    name, by = str(options["change"]), options["by"]
    if name == "corruption":
        name = str(options["name"])
        by = SEVERITIES[name][by - 1]
    return _each(column, lambda content: change_picture(content, name, by, draw))


def _each(column: pl.Series, change: Callable[[Any], Any]) -> pl.Series:
    """Every value that is there, changed."""
    import polars as pl

    values = [None if value is None else change(value) for value in column]
    return pl.Series(column.name, values, dtype=column.dtype)


_CHANGES: dict[str, Callable[[pl.Series, Field, Options, np.random.Generator], pl.Series]] = {
    "shift": _shift,
    "scale": _scale,
    "swap": _swap,
    "typos": _typos,
    "noise": _noise,
    **dict.fromkeys(("rotate", "brightness", "blur", "jpeg", "corruption"), _picture),
}
