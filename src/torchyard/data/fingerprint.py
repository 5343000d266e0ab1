"""Row digests: 64 bits that stand for what a row holds, the same for as long as the row is.

Splits part rows by them and leak checks recognise rows by them, so the form is fixed here and
depends on no library:

1. A value becomes 64 bits. Numbers, integers and booleans: their IEEE 754 double (``-0.0`` as
   ``0.0``, every NaN as missing). Timestamps: microseconds since 1970-01-01, two's complement.
   Categories, texts, ids: the first eight bytes, big-endian, of the SHA-256 of their UTF-8 form;
   pictures: of their bytes; tensors: of their elements as little-endian doubles or int64.
2. The value is bound to its field: XOR with the first eight bytes of the SHA-256 of the field's
   name, then the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
   number generators", OOPSLA 2014).
3. A row is the finalizer of the sum of its values' bits modulo 2**64. A missing value (null, NaN,
   empty text or picture) adds nothing.

So neither the order of fields nor a new optional field that is still empty changes a row's digest.
Two different rows share one with probability 2**-64: below one pair in a million tables of a
million rows. It is no defence against somebody who makes rows to collide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from torchyard.records.schema import Field

Digests = np.ndarray[Any, np.dtype[np.uint64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_NUMERIC = ("number", "integer", "boolean")


def row_digests(frame: pl.DataFrame, fields: Sequence[Field]) -> Digests:
    """The digest of each row over some of its fields, ``uint64 [rows]``; 0 where all are missing.

    Example:
        >>> age = Field(name="age", kind="integer")
        >>> f"{row_digests(pl.DataFrame({'age': [41]}), [age])[0]:016x}"
        '38eebeb3aadce894'
    """
    return Fingerprints(frame).rows(fields)


class Fingerprints:
    """The digests of one frame for all who ask: each field's values are digested once.

    Args:
        frame: the rows; they are held for as long as this is.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._values: dict[Field, tuple[Digests, Flags]] = {}

    def values(self, field: Field) -> tuple[Digests, Flags]:
        """As ``value_digests``."""
        if field not in self._values:
            self._values[field] = value_digests(self._frame[field.name], field)
        return self._values[field]

    def rows(self, fields: Sequence[Field]) -> Digests:
        """As ``row_digests``."""
        return self.joined(self.values(field) for field in fields)

    def joined(self, values: Iterable[tuple[Digests, Flags]]) -> Digests:
        """The digest of each row over some values of its own, ``[rows]``; 0 where none is there."""
        total = np.zeros(self._frame.height, dtype=np.uint64)
        for digests, present in values:
            total += np.where(present, digests, np.uint64(0))
        return mixed(total)


def value_digests(series: pl.Series, field: Field) -> tuple[Digests, Flags]:
    """The digest of each value of one field, and whether there is a value; both ``[rows]``."""
    if field.kind in _NUMERIC:
        bits, present = _number_bits(series)
    elif field.kind == "timestamp":
        bits = series.cast(pl.Datetime("us")).to_physical().fill_null(0).to_numpy().view(np.uint64)
        present = series.is_not_null().to_numpy()
    elif field.kind == "tensor":
        bits, present = _tensor_bits(series, field)
    else:
        bits, present = _text_bits(series, binary=field.kind == "image")
    return mixed(bits ^ np.uint64(_first_bits(field.name.encode()))), present


def mixed(bits: Digests) -> Digests:
    """The finalizer of SplitMix64: a permutation of 64 bits where each depends on all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _number_bits(series: pl.Series) -> tuple[Digests, Flags]:
    numbers = series.cast(pl.Float64).fill_null(float("nan")).to_numpy() + 0.0  # -0.0 becomes 0.0
    return numbers.view(np.uint64), ~np.isnan(numbers)


def _text_bits(series: pl.Series, *, binary: bool) -> tuple[Digests, Flags]:
    """Each different text is digested once where texts repeat."""
    texts = series if binary else series.cast(pl.String).cast(pl.Binary)
    present = (texts.bin.size() > 0).fill_null(False).to_numpy()
    different = texts.drop_nulls().unique()
    if 2 * len(different) > len(texts):
        return _many_first_bits(texts.fill_null(b"")), present
    known = pl.DataFrame({"text": different, "bits": _many_first_bits(different)})
    found = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return found["bits"].fill_null(0).to_numpy(), present


def _tensor_bits(series: pl.Series, field: Field) -> tuple[Digests, Flags]:
    present = series.is_not_null().to_numpy()
    values = series.drop_nulls().to_numpy().reshape(int(present.sum()), -1)
    if field.dtype == "int64":
        values = values.astype("<i8")
    else:
        values = values.astype("<f8") + 0.0
        values[np.isnan(values)] = np.nan
    bits = np.zeros(len(series), dtype=np.uint64)
    bits[present] = [_first_bits(row.tobytes()) for row in values]
    return bits, present


def _first_bits(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8])


def _many_first_bits(contents: pl.Series) -> Digests:
    """The same for many: half of the time of one call each."""
    sha256 = hashlib.sha256
    digests = b"".join([sha256(content).digest() for content in contents.to_list()])
    return np.frombuffer(digests, dtype=">u8")[::4].astype(np.uint64)
