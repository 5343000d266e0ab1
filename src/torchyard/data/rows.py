"""Rows as a client would send them: JSON objects of a frame's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchyard.core.record import Json
from torchyard.records.schema import Schema

if TYPE_CHECKING:
    import polars as pl


def request_rows(frame: pl.DataFrame, schema: Schema) -> list[dict[str, Json]]:
    """One JSON object per row: times as ISO 8601, missing values left out.

    Example:
        >>> import polars as pl
        >>> from torchyard.project import Schema, category, number
        >>> frame = pl.DataFrame({"carrier": ["UA", "B6"], "seats": [180.0, None]})
        >>> request_rows(frame, Schema(carrier=category(), seats=number(optional=True)))
        [{'carrier': 'UA', 'seats': 180.0}, {'carrier': 'B6'}]
    """
    times = {field.name for field in schema.fields if field.kind == "timestamp"}
    return [
        {
            name: value.isoformat() if name in times else value
            for name, value in row.items()
            if value is not None and value == value  # noqa: PLR0124 - NaN differs from itself
        }
        for row in frame.select(schema.names).iter_rows(named=True)
    ]
