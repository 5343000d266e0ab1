"""Rows that a schema accepts: missing, unknown, extreme, non-ASCII, empty and very long ones."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from PIL import Image

from torchyard.records.schema import Field, Schema

Row = dict[str, Any]

LARGEST = 2**53
_NUMBERS = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e-9, -1e-9, 0.1, 1.0, 1e15, 1e16, 1e308, -1e308]
_TEXTS = ["UA", "ua", "Ärlines", "A|B", "A||B|Ä", "|", " ", "🛩 off", "e\u0301", "\u00e9", "a\x00b",
          "日本 語", "it's, OK?"]  # fmt: skip
_TIMES = [
    datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(1970, 1, 1),
          datetime(2000, 2, 29, 12), datetime(2100, 2, 28), datetime(9999, 12, 31, 23, 59, 59),
]  # fmt: skip


def rows(schema: Schema) -> st.SearchStrategy[Row]:
    """One row as plain Python values; a missing value is None."""
    return st.fixed_dictionaries(
        {
            field.name: st.none() | value(field) if field.optional else value(field)
            for field in schema.fields
        }
    )


def value(field: Field) -> st.SearchStrategy[Any]:
    """A present value that a field accepts."""
    match field.kind:
        case "number":
            low, high = field.ge, field.le
            usual = st.floats(low, high, allow_nan=False, allow_infinity=False)
            extreme = [
                x for x in _NUMBERS if (low is None or x >= low) and (high is None or x <= high)
            ]
            return st.sampled_from(extreme) | usual if extreme else usual
        case "integer":
            low = -LARGEST if field.ge is None else int(field.ge)
            high = LARGEST if field.le is None else int(field.le)
            return st.sampled_from([low, high]) | st.integers(low, high)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.sampled_from(_TIMES) | st.datetimes()
        case "image":
            return st.integers(0, len(pictures()) - 1).map(pictures().__getitem__)
        case "tensor":
            return _nested(field.shape, field)
        case _:
            if field.values:
                return st.sampled_from(field.values)
            size = 0 if field.optional else 1
            return (
                st.sampled_from(_TEXTS)
                | st.integers(1_000, 4_000).map("wörter ".__mul__)
                | st.text(st.characters(exclude_categories=["Cs"]), min_size=size, max_size=30)
            )


def frame(schema: Schema, given: Sequence[Row]) -> pl.DataFrame:
    """Rows as training sees them."""
    return pl.DataFrame(
        {
            field.name: pl.Series([row[field.name] for row in given], dtype=column_type(field))
            for field in schema.fields
        }
    )


def objects(given: Sequence[Row]) -> list[object]:
    """Rows as objects with one attribute per field, as serving decodes them."""
    return [SimpleNamespace(**row) for row in given]


def body(given: Sequence[Row]) -> bytes:
    """Rows as the body of a request."""

    def plain(item: Any) -> Any:
        if isinstance(item, datetime):
            return item.isoformat()
        return base64.b64encode(item).decode()

    return json.dumps({"rows": list(given)}, default=plain).encode()


def column_type(field: Field) -> pl.DataType:
    """What a field is in a frame."""
    if field.kind == "tensor":
        inner = pl.Int64() if field.dtype == "int64" else pl.Float32()
        return pl.Array(inner, field.shape)
    kinds: Mapping[str, pl.DataType] = {
        "number": pl.Float64(),
        "integer": pl.Int64(),
        "boolean": pl.Boolean(),
        "timestamp": pl.Datetime("us"),
        "image": pl.Binary(),
    }
    return kinds.get(field.kind, pl.String())


@cache
def pictures() -> tuple[bytes, ...]:
    """Tiny pictures in several modes, formats, sizes and orientations, the same every time."""
    draw = np.random.default_rng(0)
    colours = Image.fromarray(draw.integers(0, 256, (5, 9, 4), dtype=np.uint8), "RGBA")
    made = [
        encoded(colours.convert(mode), kind)
        for mode, kind in (
            ("1", "PNG"), ("L", "PNG"), ("P", "GIF"), ("RGB", "PNG"), ("RGB", "JPEG"),
            ("RGBA", "PNG"), ("LA", "PNG"), ("CMYK", "JPEG"), ("RGB", "BMP"), ("RGB", "WEBP"),
        )
    ]  # fmt: skip
    grey = Image.fromarray(draw.integers(0, 65_536, (4, 4), dtype=np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    return (
        *made,
        encoded(grey, "PNG"),
        encoded(colours.convert("RGB"), "JPEG", exif=turned),
        encoded(Image.new("L", (4, 4)), "PNG"),
        encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
    )


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _nested(shape: tuple[int, ...], field: Field) -> st.SearchStrategy[Any]:
    if not shape:
        low, high = field.ge, field.le
        if field.dtype == "int64":
            return st.integers(
                -LARGEST if low is None else int(low), LARGEST if high is None else int(high)
            )
        return st.floats(low, high, width=32, allow_nan=False, allow_infinity=False)
    return st.lists(_nested(shape[1:], field), min_size=shape[0], max_size=shape[0])
