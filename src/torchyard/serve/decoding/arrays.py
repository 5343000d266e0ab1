"""From one tensor field's JSON to an array that obeys its rules, plainly and quickly.

JSON numbers are doubles, so two things are left for after decoding: whether an element of a
``float32`` tensor is finite and within bounds once it is rounded, as it is in data. The quick paths
answer where they are sure; what they leave is decided, and its fault found, by the plain one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any, final

import msgspec
import numpy as np

from torchyard.records.schema import Field
from torchyard.serve.decoding.numbers import (
    Array,
    LoneInput,
    read_input,
    read_numbers,
    read_rows,
)
from torchyard.serve.decoding.values import json_type

_FEW = 256  # numbers: a list of so many costs less than a second look at its text
_INT64 = np.iinfo(np.int64)
_LARGEST = float(np.finfo(np.float32).max)


@final
class TensorReader:
    """Reads the values of one tensor field.

    Args:
        attribute: what rows call it.
        field: a tensor.

    Attributes:
        quick_type: what its nested lists are decoded as, for ``read_quickly``.
        flat_type: what one list of all its numbers is decoded as, for ``read_flat``.
    """

    def __init__(self, attribute: str, field: Field) -> None:
        self.attribute = attribute
        self.field = field
        self._shape = field.shape
        self._dtype = np.dtype(field.dtype)
        self._is_whole = field.dtype == "int64"
        self._low, self._high = _limits(field)
        is_bounded = field.ge is not None or field.le is not None
        self._is_simple = not self._is_whole and not is_bounded
        self._is_flat = len(field.shape) == 1
        self._is_small = math.prod(field.shape) <= _FEW
        flat = dataclasses.replace(field, shape=(math.prod(field.shape),))
        self.quick_type: Any = json_type(field) if self._is_small else msgspec.Raw
        self.flat_type: Any = json_type(flat) if self._is_small else msgspec.Raw

    def read_quickly(self, value: Any) -> Array | None:
        """What decoding and ``array`` give, of a ``quick_type``; None where they have to decide."""
        if not self._is_small:
            return self.read_text(value)
        if self._is_flat and self._is_simple and _is_finite(value):
            return np.array(value, self._dtype)
        array = self.array(value)
        return array if self.is_fit(array) else None

    def read_flat(self, value: Any) -> Array | None:
        """The same of a ``flat_type``: all numbers in one list, the last index moves fastest."""
        if not self._is_small:
            return self.read_text(value, may_be_flat=True)
        if self._is_simple and _is_finite(value):
            return np.array(value, self._dtype).reshape(self._shape)
        array = self.array(value).reshape(self._shape)
        return array if self.is_fit(array) else None

    def read_text(self, text: bytes, *, may_be_flat: bool = False) -> Array | None:
        """The same of JSON that nobody has looked at."""
        array = read_numbers(text, self._shape, whole=self._is_whole, may_be_flat=may_be_flat)
        if array is None:
            return None
        return self._rounded(array)

    def read_rows(self, body: bytes, *, most: int) -> list[Array] | None:
        """What rows of this field alone have in a predict body, where it has nothing but rows."""
        if self._is_small:
            return None
        name, shape = self.field.name, self._shape
        arrays = read_rows(body, name, shape, whole=self._is_whole, most=most)
        if arrays is None:
            return None
        rounded = [self._rounded(array) for array in arrays]
        return None if any(array is None for array in rounded) else rounded  # type: ignore[return-value]

    def read_input(self, body: bytes, datatypes: Collection[str]) -> LoneInput | None:
        """An infer request for one row of this field alone; see ``numbers.read_input``."""
        if self._is_small:
            return None
        name, shape = self.field.name, self._shape
        found = read_input(body, name, datatypes, shape, whole=self._is_whole)
        array = None if found is None else self._rounded(found.array)
        return None if found is None or array is None else found._replace(array=array)

    def _rounded(self, array: Array) -> Array | None:
        """A quickly read array as elements are in data; None where one does not fit."""
        with np.errstate(over="ignore"):
            array = array.astype(self._dtype, copy=False)
        return array if self.is_fit(array) else None

    def array(self, nested: list[Any]) -> Array:
        """Decoded lists as an array ``dtype [*shape]`` in C order; see ``find_misfit``."""
        with np.errstate(over="ignore"):
            return np.array(nested, self._dtype)

    def is_fit(self, array: Array) -> bool:
        """Whether an array of the dtype has no misfit, for what that costs least."""
        if self._is_small and self._is_simple:
            return _is_finite(array.ravel().tolist()) or self.find_misfit(array) is None
        return self.find_misfit(array) is None

    def find_misfit(self, array: Array) -> str | None:
        """Where an array of the dtype is not finite or out of bounds: ``[0][3]``, or None.

        Bounds of ``float32`` are rounded to it, as elements are.
        """
        low, high = self._low, self._high
        # no comparison holds for what is not a number
        least, most = np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)
        if low <= least and most <= high:
            return None
        wrong = np.argwhere(~((array >= low) & (array <= high)))[0]
        return "".join(f"[{index}]" for index in wrong)


def _is_finite(values: list[float]) -> bool:
    """Whether all are surely finite as ``float32``: a vector is no shorter than any part of it."""
    return math.hypot(*values) < _LARGEST / 2


def _limits(field: Field) -> tuple[Any, Any]:
    """The least and the largest element of a tensor, both finite."""
    if field.dtype == "int64":
        return (
            _INT64.min if field.ge is None else max(_INT64.min, math.ceil(field.ge)),
            _INT64.max if field.le is None else min(_INT64.max, math.floor(field.le)),
        )
    return (
        -_LARGEST if field.ge is None else max(-_LARGEST, _rounded(field.ge)),
        _LARGEST if field.le is None else min(_LARGEST, _rounded(field.le)),
    )


def _rounded(bound: float) -> float:
    return float(np.float32(bound)) if abs(bound) <= _LARGEST else math.copysign(math.inf, bound)
