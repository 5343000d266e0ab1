"""Rows as a client would send them: JSON objects of a frame's rows."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from torchyard.core.record import Json
from torchyard.records.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    import polars as pl

_TEXTS: frozenset[FieldKind] = frozenset({"category", "text", "id"})


def request_rows(frame: pl.DataFrame, schema: Schema) -> list[dict[str, Json]]:
    """One JSON object per row, with what a request carries.

    Times are ISO 8601, pictures base64, tensors nested lists. Missing values are left out (nulls,
    numbers that are none, empty texts and pictures), and so are ``later`` fields.

    Args:
        frame: checked rows, with the schema's fields as columns.
        schema: the fields.

    Example:
        >>> import polars as pl
        >>> from torchyard.project import Schema, category, number
        >>> frame = pl.DataFrame({"carrier": ["UA", "B6"], "seats": [180.0, None]})
        >>> request_rows(frame, Schema(carrier=category(), seats=number(optional=True)))
        [{'carrier': 'UA', 'seats': 180.0}, {'carrier': 'B6'}]
    """
    rows: list[dict[str, Json]] = [{} for _ in range(frame.height)]
    for field in schema.request.fields:
        for row, value in zip(rows, _sent(frame[field.name], field), strict=True):
            if value is not None:
                row[field.name] = value
    return rows


def _sent(column: pl.Series, field: Field) -> list[Any]:
    """A field's values as JSON, None where one is missing."""
    values = column.to_list()
    if field.kind == "timestamp":
        return [None if value is None else value.isoformat() for value in values]
    if field.kind == "image":
        return [base64.b64encode(value).decode() if value else None for value in values]
    if field.kind == "number":
        return [None if value is None or value != value else value for value in values]  # noqa: PLR0124 - NaN differs from itself
    if field.kind in _TEXTS:
        return [value or None for value in values]
    return values
