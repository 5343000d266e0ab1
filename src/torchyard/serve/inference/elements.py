"""A tensor's elements, in whatever form they came, as rows hold them.

Whether names, shapes and datatypes are those of fields was looked at before; whether values obey
their field's rules is looked at after.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import numpy as np

from torchyard.core.errors import BadData
from torchyard.features.columns import MISSING_TIME
from torchyard.records.schema import Field
from torchyard.serve.decoding.misfit import JsonFault, field_misfit, found_in, not_json, place_of
from torchyard.serve.decoding.numbers import Array, read_numbers
from torchyard.serve.decoding.wording import kind_of
from torchyard.serve.inference.binary import WHOLE


class _Range(NamedTuple):
    min: int
    max: int


_RANGES = {
    name: _Range(int(np.iinfo(name.lower()).min), int(np.iinfo(name.lower()).max)) for name in WHOLE
}
_EPOCH = datetime(1970, 1, 1)
_LIST = msgspec.json.Decoder(list[Any])


def scalars(data: Any, datatype: str, field: Field, count: int, where: str) -> list[object]:
    """A value for every row, None where it is missing.

    Args:
        data: see ``tensors.Tensor``.
        datatype: one that the field may have.
        field: no tensor.
        count: rows.
        where: what to call the tensor's data.

    Raises:
        BadUsage: JSON that is none.
        BadData: there are not as many values, or one is not of its datatype.
    """
    values = _list_of(data, where)
    kinds = set(map(type, values))
    if list in kinds:
        values = [
            value[0] if isinstance(value, list) and len(value) == 1 else value for value in values
        ]
    _check_count(values, count, where)
    if _are_plain(values, kinds, datatype, field):
        return values
    return [
        _value(value, datatype, field, f"{where}[{place}]") for place, value in enumerate(values)
    ]


def arrays(data: Any, datatype: str, field: Field, count: int, where: str) -> Array | list[Any]:
    """A tensor for every row: an array ``[count, *shape]`` of the field's dtype.

    Args and raises as ``scalars``, of a tensor field.

    Returns:
        Nested lists where the elements do not make such an array, so that the plain path says why,
        or no quick parser is installed.
    """
    shape = (count, *field.shape)
    if isinstance(data, msgspec.Raw):
        array = read_numbers(data, shape, whole=datatype in _RANGES, may_be_flat=True)
        data = data if array is None or not _is_within(array, datatype) else array
    if isinstance(data, np.ndarray) and _is_within(data, field.dtype.upper()):
        with np.errstate(over="ignore"):
            return data.astype(field.dtype, copy=False).reshape(shape)
    values = _list_of(data, where)
    if datatype in _RANGES and (field.dtype, datatype) != ("int64", "INT64"):
        for place, value in enumerate(_flat(values)):
            _check_whole(value, datatype, f"{where}[{place // math.prod(field.shape)}]")
    return _nested(values, shape, where)


def _are_plain(values: list[Any], kinds: set[type], datatype: str, field: Field) -> bool:
    """Whether all values stand as they are, which is usual and quick to see."""
    if datatype == "BYTES":
        return kinds == {str} and all(values)
    if datatype == "BOOL":
        return kinds == {bool}
    if datatype in _RANGES:
        limits = _RANGES[datatype]
        return (
            kinds == {int}
            and field.kind != "timestamp"
            and min(values) >= limits.min
            and max(values) <= limits.max
        )
    # a sum is finite only where all its terms are
    return kinds == {float} and field.kind == "number" and math.isfinite(sum(values))


def _list_of(data: Any, where: str) -> list[Any]:
    if isinstance(data, list):
        return data
    if isinstance(data, np.ndarray):
        values: list[Any] = data.tolist()
        return values
    try:
        return _LIST.decode(data)
    except JsonFault as error:
        if not isinstance(error, msgspec.ValidationError):
            raise not_json(error, data) from error
        raise _refusal(where, found_in(place_of(error)[0]), "a list of values") from error


def _nested(values: list[Any], shape: Sequence[int], where: str) -> list[Any]:
    """Nested lists for every row, of values that may be flat: the last index moves fastest."""
    if values and isinstance(values[0], list):
        _check_count(values, shape[0], where)
        return values
    _check_count(values, math.prod(shape), where)
    for length in reversed(shape[1:]):
        values = [values[start : start + length] for start in range(0, len(values), length)]
    return values


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _value(value: Any, datatype: str, field: Field, where: str) -> object:
    """A tensor's value as a row would hold it; None when it is missing."""
    if value is None:
        return None
    if datatype == "BYTES":
        return _thing(value, field, where)
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise field_misfit(where, "a number that is not finite", field)
    if datatype in _RANGES:
        _check_whole(value, datatype, where)
        if field.kind == "timestamp":
            return None if value == MISSING_TIME else _time(value, field, where)
    if field.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _thing(value: Any, field: Field, where: str) -> object:
    """A text or a picture; None when it is empty, which is what a missing one is in a tensor."""
    if not isinstance(value, bytes):
        return None if value == "" else value
    if not value:
        return None
    if field.kind == "image":
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        found = f"a byte that is not UTF-8 (byte {error.start} of a text)"
        raise field_misfit(where, found, field) from error


def _time(micros: int, field: Field, where: str) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise field_misfit(where, "microseconds beyond the year 9999", field) from error


def _check_whole(value: Any, datatype: str, where: str) -> None:
    if type(value) is not int:
        raise _refusal(where, kind_of(value), f"a whole number, as {datatype} says")
    if not _RANGES[datatype].min <= value <= _RANGES[datatype].max:
        found = "a number too large" if value > 0 else "a number too small"
        raise _refusal(where, found, f"a number of {datatype}")


def _check_count(values: Sequence[object], count: int, where: str) -> None:
    if len(values) != count:
        raise _refusal(where, f"{len(values)} values", f"{count}, as its shape says")


def _is_within(array: Array, datatype: str) -> bool:
    """Whether an array of whole numbers has only such of a datatype."""
    limits = _RANGES.get(datatype)
    if limits is None or array.dtype.kind not in "iu":
        return True
    return bool(limits.min <= array.min() and array.max() <= limits.max)


def _refusal(where: str, found: str, expected: str) -> BadData:
    return BadData(where=where, found=found, expected=expected, remedy="Correct the request body.")
