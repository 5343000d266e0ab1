"""The digest that names a dataset version: of its rows in order, its schema, and nothing else.

It does not depend on chunks, file formats or libraries. Every column has hashers of its own that
take its chunks in turn, and the digest is made of theirs at the end (SHA-256 throughout):

- the places of missing values, as int64 little-endian, counted from the first row;
- the sizes in bytes of present texts and pictures, as int64;
- the present values, end to end: float64 (with one zero and one NaN), int64, booleans as bytes,
  microseconds since 1970-01-01, UTF-8, the elements of tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from torchyard.core.digest import PREFIX, digest_json
from torchyard.core.record import from_json, to_json
from torchyard.records.schema import Schema

Array = np.ndarray[Any, np.dtype[Any]]


class ContentDigest:
    """The digest of accepted rows, chunk by chunk.

    Example:
        >>> from torchyard.records.schema import Field
        >>> schema = Schema(fields=(Field(name="x", kind="number"),))
        >>> whole, parts = ContentDigest(schema), ContentDigest(schema)
        >>> whole.update(pl.DataFrame({"x": [1.0, None, 3.0]}))
        >>> parts.update(pl.DataFrame({"x": [1.0]}))
        >>> parts.update(pl.DataFrame({"x": [None, 3.0]}))
        >>> whole.result() == parts.result()
        True
    """

    def __init__(self, schema: Schema) -> None:
        # as a record gives it back: a bound of 0 and one of 0.0 are the same bound
        self._schema = from_json(Schema, to_json(schema), where="schema")
        self._rows = 0
        self._columns: dict[str, _ColumnDigest] = {}

    def update(self, frame: pl.DataFrame) -> None:
        """Add rows: the schema's fields in order and the label, of the types of ``fit_table``."""
        for series in frame:
            column = self._columns.setdefault(series.name, _ColumnDigest())
            column.update(series, self._rows)
        self._rows += frame.height

    def result(self) -> str:
        """The digest of the rows so far."""
        state = hashlib.sha256(digest_json(to_json(self._schema)).encode())
        state.update(f"{self._rows} rows".encode())
        for name, column in self._columns.items():
            state.update(digest_json([name, *column.result()]).encode())
        return PREFIX + state.hexdigest()


class _ColumnDigest:
    def __init__(self) -> None:
        self._type = ""
        self._missing, self._sizes, self._values = (hashlib.sha256() for _ in range(3))

    def update(self, series: pl.Series, offset: int) -> None:
        self._type = str(series.dtype)
        if series.null_count():
            places = series.is_null().arg_true().to_numpy().astype("<i8") + offset
            self._missing.update(places.tobytes())
            series = series.drop_nulls()
        if series.dtype in (pl.String, pl.Binary):
            for sizes, content in _texts(series):
                self._sizes.update(sizes.tobytes())
                self._values.update(content)
        else:
            self._values.update(np.ascontiguousarray(_numbers(series)).data)

    def result(self) -> list[str]:
        hashers = (self._missing, self._sizes, self._values)
        return [self._type, *(hasher.hexdigest() for hasher in hashers)]


def _texts(series: pl.Series) -> Iterator[tuple[Array, memoryview]]:
    """The sizes of values and their bytes end to end."""
    arrow = series.to_arrow(compat_level=pl.CompatLevel.oldest())
    if len(arrow):
        _, offsets, content = arrow.buffers()
        bounds = np.frombuffer(offsets, dtype="<i8")[arrow.offset : arrow.offset + len(arrow) + 1]
        yield np.diff(bounds), memoryview(content or b"")[bounds[0] : bounds[-1]]


def _numbers(series: pl.Series) -> Array:
    values = series.to_physical().to_numpy()
    if values.dtype.kind == "f":
        values = values + values.dtype.type(0)  # one zero: -0.0 becomes 0.0
        odd = np.isnan(values)
        if odd.any():
            values[odd] = np.nan
    return values.astype(values.dtype.newbyteorder("<"), copy=False)
