"""Rows from tensors of the Open Inference Protocol, version 2, under the schema's rules.

Every field is one input, shaped ``[n]`` or ``[n, 1]``, a tensor field ``[n, *shape]``. A missing
value of an optional field is null, ``""`` in a BYTES tensor, what is not a number in one of
floating point, or the smallest INT64 in a timestamp; the input of an optional field may be left
out. A picture is its file's bytes in BYTES, in JSON, which has no bytes, their base64.
Source: the protocol's REST specification,
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from torchyard.core.errors import BadData, YardError, nearest
from torchyard.records.schema import Field, FieldKind, Schema
from torchyard.serve.decoding.misfit import (
    field_misfit,
    field_of,
    known_later,
    misfit,
    place_of,
    value_misfit,
)
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.decoding.wording import describe
from torchyard.serve.inference.binary import RAW_ALONE, WHOLE
from torchyard.serve.inference.elements import arrays, scalars

_WHOLE = ("INT64", *(name for name in WHOLE if name != "INT64"))
_DATATYPES: dict[FieldKind, tuple[str, ...]] = {
    "number": ("FP64", "FP32", *RAW_ALONE, *_WHOLE),
    "integer": (*_WHOLE, "FP64", "FP32", *RAW_ALONE),
    "boolean": ("BOOL",),
    "timestamp": ("BYTES", "INT64"),
}

_MOST_PLANS = 64  # decoders, of releases that are served or were

_CELL = re.compile(r"^\$\[(?P<row>\d+)\](?:\.(?P<rest>.*))?$", re.DOTALL)
_ABSENT = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)


class Tensor(msgspec.Struct):
    """One input.

    Attributes:
        name: of a field.
        shape: rows first.
        datatype: of the protocol.
        data: row-major elements: a flat array of numbers or truth values, a list, flat or nested,
            of values as JSON or the datatype has them (of BYTES ``str`` or ``bytes``), or the JSON
            of such a list.
    """

    name: str
    shape: list[int]
    datatype: str
    data: Any


def datatypes_of(field: Field) -> tuple[str, ...]:
    """The protocol's datatypes that a field's input may have, the field's own first.

    Example:
        >>> datatypes_of(Field(name="review", kind="text"))
        ('BYTES',)
    """
    if field.kind == "tensor":
        return _WHOLE if field.dtype == "int64" else ("FP32", "FP64", *RAW_ALONE, *_WHOLE)
    return _DATATYPES.get(field.kind, ("BYTES",))


def shape_of(field: Field) -> list[int]:
    """The shape of a field's input, -1 for any number of rows."""
    return [-1, *(field.shape or (1,))]


def rules_of(field: Field) -> dict[str, str | float | bool]:
    """What an input accepts, as parameters of its metadata: names of JSON Schema, one value each.

    Example:
        >>> rules_of(Field(name="distance", kind="number", ge=0, le=6000, unit="miles"))
        {'minimum': 0, 'maximum': 6000, 'unit': 'miles'}
        >>> rules_of(Field(name="origin", kind="category", values=("EWR", "JFK"), optional=True))
        {'optional': True, 'example': 'EWR'}
    """
    rules = {
        "optional": field.optional or None,
        "minimum": field.ge,
        "maximum": field.le,
        "unit": field.unit,
        "example": _example(field),
    }
    return {name: rule for name, rule in rules.items() if rule is not None}


def _example(field: Field) -> str | None:
    if field.kind == "timestamp":
        return "2000-01-01T00:00:00"
    if field.values:
        return field.values[0]
    if field.kind in ("category", "text", "id") and field.pattern is None:
        return "a" * max(field.min_length or 1, 1)
    return None


def rows_of(inputs: Sequence[Tensor], decoder: RowDecoder, *, max_rows: int) -> list[object]:
    """The rows that some input tensors hold, decoded and validated like JSON rows.

    Args:
        inputs: one tensor per field.
        decoder: of the release that answers.
        max_rows: most rows of one request.

    Raises:
        BadUsage: JSON that is none.
        BadData: an input is unknown, doubled or missing, or has another shape or datatype than its
            field allows, or a value breaks its field's rules.
    """
    plan = _plan(decoder)
    tensors = _by_field(inputs, plan, decoder)
    count = _row_count(inputs, max_rows)
    columns: dict[str, Any] = {}
    for name, tensor in tensors.items():
        read = plan[name]
        _check_form(tensor, read, count)
        elements = arrays if read.field.shape else scalars
        columns[name] = elements(tensor.data, tensor.datatype, read.field, count, read.where)
    _make_alike(columns, decoder.schema)
    rows = _rows(columns, count)
    try:
        return decoder.convert(rows)
    except msgspec.ValidationError as error:
        raise _cell_misfit(error, rows, decoder.schema) from error


class _Input(NamedTuple):
    """What is known of a field's input before a request: ``tails`` is its shape but for rows."""

    field: Field
    where: str
    datatypes: tuple[str, ...]
    tails: tuple[list[int], ...]


@lru_cache(maxsize=_MOST_PLANS)
def _plan(decoder: RowDecoder) -> dict[str, _Input]:
    return {
        field.name: _Input(
            field,
            f"$.inputs['{field.name}'].data",
            datatypes_of(field),
            (list(field.shape),) if field.shape else ([], [1]),
        )
        for field in decoder.schema.fields
    }


def _by_field(
    inputs: Sequence[Tensor], plan: Mapping[str, _Input], decoder: RowDecoder
) -> dict[str, Tensor]:
    tensors = {tensor.name: tensor for tensor in inputs}
    for name in tensors:
        if name in plan:
            continue
        if name in decoder.later:
            raise known_later("$.inputs", name)
        raise BadData(
            where="$.inputs",
            found="an input that the schema does not have",
            expected="an input named like a field",
            remedy=nearest(name, plan),
        )
    if len(tensors) < len(inputs):
        raise _refuse("$.inputs", "two inputs of one name", "one input for each field")
    if len(tensors) < len(plan):
        for name, wanted in plan.items():
            if name not in tensors and not wanted.field.optional:
                raise _refuse("$.inputs", f"no input '{name}'", describe(wanted.field))
    return tensors


def _row_count(inputs: Sequence[Tensor], max_rows: int) -> int:
    count = inputs[0].shape[0] if inputs[0].shape else 0
    if not 1 <= count <= max_rows:
        where = f"$.inputs['{inputs[0].name}'].shape"
        raise _refuse(where, "another number of rows", f"[n,...] with n from 1 to {max_rows}")
    return count


def _check_form(tensor: Tensor, wanted: _Input, count: int) -> None:
    where, allowed = f"$.inputs['{wanted.field.name}']", wanted.datatypes
    if tensor.shape[:1] != [count] or tensor.shape[1:] not in wanted.tails:
        shapes = " or ".join(str([count, *tail]) for tail in wanted.tails)
        raise _refuse(f"{where}.shape", "another shape", shapes)
    is_json = isinstance(tensor.data, msgspec.Raw)
    if tensor.datatype not in allowed or (is_json and tensor.datatype in RAW_ALONE):
        known = [name for name in allowed if not (is_json and name in RAW_ALONE)]
        raise _refuse(f"{where}.datatype", "another datatype", " or ".join(known))


def _rows(columns: Mapping[str, Any], count: int) -> list[dict[str, object]]:
    """Rows without what is missing."""
    rows: list[dict[str, object]] = [{} for _ in range(count)]
    for name, column in columns.items():
        for row, value in zip(rows, column, strict=True):
            if value is not None:
                row[name] = value
    return rows


def _make_alike(columns: dict[str, Any], schema: Schema) -> None:
    """Where one tensor field has to go the plain way, through lists, all of them do."""
    names = [field.name for field in schema.fields if field.shape and field.name in columns]
    if any(isinstance(columns[name], list) for name in names):
        for name in names:
            column = columns[name]
            columns[name] = column if isinstance(column, list) else column.tolist()


def _cell_misfit(error: Exception, rows: list[dict[str, object]], schema: Schema) -> YardError:
    what, path = place_of(error)
    cell = _CELL.match(path)
    if cell is None:
        return misfit(path, what, known=())
    row, absent = int(cell["row"]), _ABSENT.match(what)
    if absent:
        field = schema.field(absent["name"])
        where = f"$.inputs['{field.name}'].data[{row}]"
        return field_misfit(where, "a missing value", field)
    field, within = field_of(cell["rest"], schema)
    place = "".join(f"[{index}]" for index in within)
    where = f"$.inputs['{field.name}'].data[{row}]{place}"
    value = rows[row].get(field.name)
    if isinstance(value, bytes):
        remedy = f"Send '{field.name}' in a smaller size."
        return field_misfit(where, f"{len(value):,} bytes", field, remedy)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return value_misfit(where, what, field, value, within)


def _refuse(where: str, found: str, expected: str) -> BadData:
    remedy = "Correct the request body."
    return BadData(where=where, found=found, expected=expected, remedy=remedy)
