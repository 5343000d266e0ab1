"""Rows from tensors: a body of the Open Inference Protocol, version 2, under the schema's rules.

Every field is one input, shaped ``[n]`` or ``[n, 1]``, a tensor field ``[n, *shape]``. A missing
value of an optional field is null, ``""`` in a BYTES tensor, or the smallest INT64 in a timestamp;
the input of an optional field may be left out. Pictures are base64 in BYTES, as JSON has no bytes.
Source: the protocol's REST specification,
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from torchyard.core.errors import BadData, YardError, nearest
from torchyard.features.columns import MISSING_TIME
from torchyard.records.schema import Field, FieldKind, Schema
from torchyard.serve.decoding.misfit import (
    JsonFault,
    field_misfit,
    field_of,
    known_later,
    misfit,
    not_json,
    place_of,
    value_misfit,
)
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.decoding.wording import describe, kind_of

_DATATYPES: dict[FieldKind, tuple[str, ...]] = {
    "number": ("FP64", "FP32", "INT64"),
    "integer": ("INT64", "FP64", "FP32"),
    "boolean": ("BOOL",),
    "timestamp": ("BYTES", "INT64"),
}

_EPOCH = datetime(1970, 1, 1)
_CELL = re.compile(r"^\$\[(?P<row>\d+)\](?:\.(?P<rest>.*))?$", re.DOTALL)
_ABSENT = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)
_KNOWN = ("inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data")

Parameters = dict[str, str | int | float | bool]


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """One input: row-major ``data``, flat or nested."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: Parameters | None = None


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """An output that the client asks for."""

    name: str
    parameters: Parameters | None = None


class InferBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an infer request."""

    inputs: Annotated[list[Tensor], Meta(min_length=1)]
    id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    parameters: Parameters | None = None
    outputs: list[Wanted] | None = None


_DECODER = msgspec.json.Decoder(InferBody)


def datatypes_of(field: Field) -> tuple[str, ...]:
    """The protocol's datatypes that a field's input may have, the field's own first.

    Example:
        >>> datatypes_of(Field(name="review", kind="text"))
        ('BYTES',)
    """
    if field.kind == "tensor":
        return ("INT64",) if field.dtype == "int64" else ("FP32", "FP64", "INT64")
    return _DATATYPES.get(field.kind, ("BYTES",))


def shape_of(field: Field) -> list[int]:
    """The shape of a field's input, -1 for any number of rows."""
    return [-1, *(field.shape or (1,))]


def decode_infer(body: bytes) -> InferBody:
    """Read an infer body; its values are not looked at yet.

    Raises:
        BadUsage: it is not JSON.
        BadData: it is not of the protocol's form.
    """
    try:
        return _DECODER.decode(body)
    except JsonFault as error:
        if not isinstance(error, msgspec.ValidationError):
            raise not_json(error, body) from error
        what, path = place_of(error)
        raise misfit(path, what, known=_KNOWN) from error


def rows_of(inputs: Sequence[Tensor], decoder: RowDecoder, *, max_rows: int) -> list[object]:
    """The rows that some input tensors hold, decoded and validated like JSON rows.

    Args:
        inputs: one tensor per field.
        decoder: of the release that answers.
        max_rows: most rows of one request.

    Raises:
        BadData: an input is unknown, doubled or missing, or has another shape or datatype than its
            field allows, or a value breaks its field's rules.
    """
    schema = decoder.schema
    tensors = _by_field(inputs, decoder)
    count = _row_count(inputs, max_rows)
    rows: list[dict[str, object]] = [{} for _ in range(count)]
    for name, tensor in tensors.items():
        field = schema.field(name)
        _check_form(tensor, field, count)
        values = _elements(tensor, field) if field.shape else _values(tensor, field)
        _check_count(values, tensor, count)
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                row[name] = value
    try:
        return decoder.convert(rows)
    except msgspec.ValidationError as error:
        raise _cell_misfit(error, rows, schema) from error


def _by_field(inputs: Sequence[Tensor], decoder: RowDecoder) -> dict[str, Tensor]:
    schema = decoder.schema
    tensors = {tensor.name: tensor for tensor in inputs}
    for name in tensors:
        if name in decoder.later:
            raise known_later("$.inputs", name)
        if name not in schema.names:
            raise BadData(
                where="$.inputs",
                found="an input that the schema does not have",
                expected="an input named like a field",
                remedy=nearest(name, schema.names),
            )
    if len(tensors) < len(inputs):
        raise _refuse("$.inputs", "two inputs of one name", "one input for each field")
    for field in schema.fields:
        if field.name not in tensors and not field.optional:
            raise _refuse("$.inputs", f"no input '{field.name}'", describe(field))
    return tensors


def _row_count(inputs: Sequence[Tensor], max_rows: int) -> int:
    count = inputs[0].shape[0] if inputs[0].shape else 0
    if not 1 <= count <= max_rows:
        where = f"$.inputs['{inputs[0].name}'].shape"
        raise _refuse(where, "another number of rows", f"[n,...] with n from 1 to {max_rows}")
    return count


def _check_form(tensor: Tensor, field: Field, count: int) -> None:
    where = f"$.inputs['{tensor.name}']"
    shapes = [[count, *field.shape]] if field.shape else [[count], [count, 1]]
    if tensor.shape not in shapes:
        raise _refuse(f"{where}.shape", "another shape", " or ".join(map(str, shapes)))
    allowed = datatypes_of(field)
    if tensor.datatype not in allowed:
        raise _refuse(f"{where}.datatype", "another datatype", " or ".join(allowed))


def _check_count(values: Sequence[object], tensor: Tensor, count: int) -> None:
    if len(values) != count:
        where = f"$.inputs['{tensor.name}'].data"
        raise _refuse(where, f"{len(values)} values", f"{count}, as its shape says")


def _values(tensor: Tensor, field: Field) -> list[object]:
    """A value for every row."""
    data, where = tensor.data, f"$.inputs['{tensor.name}'].data"
    if any(isinstance(value, list) for value in data):
        data = [
            value[0] if isinstance(value, list) and len(value) == 1 else value for value in data
        ]
    return [
        _value(value, tensor.datatype, field, f"{where}[{place}]")
        for place, value in enumerate(data)
    ]


def _elements(tensor: Tensor, field: Field) -> list[Any]:
    """Nested lists for every row, of data that may be flat: row after row, the last index first."""
    data, size = tensor.data, math.prod(field.shape)
    if isinstance(data[0] if data else None, list):
        return data
    if len(data) != size * tensor.shape[0]:
        expected = f"{size * tensor.shape[0]}, as its shape says"
        raise _refuse(f"$.inputs['{tensor.name}'].data", f"{len(data)} values", expected)
    for length in reversed(field.shape):
        data = [data[start : start + length] for start in range(0, len(data), length)]
    return data


def _value(value: Any, datatype: str, field: Field, where: str) -> object:
    """A tensor's value as a row would hold it; None when it is missing."""
    if value is None or (value == "" and datatype == "BYTES"):
        return None
    if datatype == "INT64" and type(value) is not int:
        raise _refuse(where, kind_of(value), "a whole number, as INT64 says")
    if field.kind == "timestamp" and datatype == "INT64":
        return None if value == MISSING_TIME else _time(value, field, where)
    if field.kind == "integer" and isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    return value


def _time(micros: int, field: Field, where: str) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise field_misfit(where, "microseconds beyond the year 9999", field) from error


def _cell_misfit(error: Exception, rows: list[dict[str, object]], schema: Schema) -> YardError:
    what, path = place_of(error)
    cell = _CELL.match(path)
    if cell is None:
        return misfit(path, what, known=_KNOWN)
    row, absent = int(cell["row"]), _ABSENT.match(what)
    if absent:
        field = schema.field(absent["name"])
        where = f"$.inputs['{field.name}'].data[{row}]"
        return field_misfit(where, "a missing value", field)
    field, within = field_of(cell["rest"], schema)
    place = "".join(f"[{index}]" for index in within)
    where = f"$.inputs['{field.name}'].data[{row}]{place}"
    return value_misfit(where, what, field, rows[row].get(field.name), within)


def _refuse(where: str, found: str, expected: str) -> BadData:
    remedy = "Correct the request body."
    return BadData(where=where, found=found, expected=expected, remedy=remedy)
