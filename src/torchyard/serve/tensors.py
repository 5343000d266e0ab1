"""Rows from tensors: a body of the Open Inference Protocol, version 2, under the schema's rules.

Every field is one input, shaped ``[n]`` or ``[n, 1]``. A missing value of an optional field is
null, ``""`` in a BYTES tensor, or the smallest INT64 in a timestamp; the input of an optional field
may be left out. Source: the protocol's REST specification,
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
from torchyard.serve.decode import RowDecoder
from torchyard.serve.misfit import (
    JsonFault,
    describe,
    field_misfit,
    found_in,
    misfit,
    not_json,
    place_of,
    show,
)

DATATYPES: dict[FieldKind, tuple[str, ...]] = {
    "number": ("FP64", "FP32", "INT64"),
    "integer": ("INT64", "FP64", "FP32"),
    "boolean": ("BOOL",),
    "category": ("BYTES",),
    "timestamp": ("BYTES", "INT64"),
}

_EPOCH = datetime(1970, 1, 1)
_CELL = re.compile(r"^\$\[(?P<row>\d+)\](?:\.(?P<field>.*))?$", re.DOTALL)
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
            raise not_json(error) from error
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
    tensors = _by_field(inputs, schema)
    count = _row_count(inputs, max_rows)
    rows: list[dict[str, object]] = [{} for _ in range(count)]
    for name, tensor in tensors.items():
        field = schema.field(name)
        for row, value in zip(rows, _values(tensor, field, count), strict=True):
            if value is not None:
                row[name] = value
    try:
        return decoder.convert(rows)
    except msgspec.ValidationError as error:
        raise _cell_misfit(error, rows, schema) from error


def _by_field(inputs: Sequence[Tensor], schema: Schema) -> dict[str, Tensor]:
    tensors = {tensor.name: tensor for tensor in inputs}
    for name in tensors:
        if name not in schema.names:
            raise _refuse(
                "$.inputs", f"input '{name}'", "an input named like a field", schema.names
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
        raise _refuse(where, show(inputs[0].shape), f"[n] or [n,1] with n from 1 to {max_rows}")
    for tensor in inputs:
        if tensor.shape not in ([count], [count, 1]):
            where = f"$.inputs['{tensor.name}'].shape"
            raise _refuse(where, show(tensor.shape), f"[{count}] or [{count},1]")
    return count


def _values(tensor: Tensor, field: Field, count: int) -> list[object]:
    where = f"$.inputs['{tensor.name}']"
    allowed = DATATYPES[field.kind]
    if tensor.datatype not in allowed:
        raise _refuse(f"{where}.datatype", f"'{tensor.datatype}'", f"{' or '.join(allowed)}")
    data = tensor.data
    if any(isinstance(value, list) for value in data):
        data = [
            value[0] if isinstance(value, list) and len(value) == 1 else value for value in data
        ]
    if len(data) != count:
        raise _refuse(f"{where}.data", f"{len(data)} values", f"{count}, as its shape says")
    return [_value(value, tensor.datatype, field, where, place) for place, value in enumerate(data)]


def _value(value: Any, datatype: str, field: Field, where: str, place: int) -> object:
    """A tensor's value as a row would hold it; None when it is missing."""
    if value is None or (value == "" and datatype == "BYTES"):
        return None
    if datatype == "INT64" and type(value) is not int:
        raise _refuse(f"{where}.data[{place}]", show(value), "a whole number, as INT64 says")
    if field.kind == "timestamp" and datatype == "INT64":
        return None if value == MISSING_TIME else _time(value, field, f"{where}.data[{place}]")
    if field.kind == "integer" and isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    return value


def _time(micros: int, field: Field, where: str) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise field_misfit(where, f"{micros} microseconds since 1970", field) from error


def _cell_misfit(error: Exception, rows: list[dict[str, object]], schema: Schema) -> YardError:
    what, path = place_of(error)
    cell = _CELL.match(path)
    if cell is None:
        return misfit(path, what, known=_KNOWN)
    row = int(cell["row"])
    absent = _ABSENT.match(what)
    name = absent["name"] if absent else cell["field"]
    where = f"$.inputs['{name}'].data[{row}]"
    found = "a missing value" if absent else _shown(rows[row].get(name), what)
    return field_misfit(where, found, schema.field(name))


def _shown(value: object, what: str) -> str:
    return found_in(what) if value is None else show(value)


def _refuse(where: str, found: str, expected: str, known: Sequence[str] = ()) -> BadData:
    word = found.partition("'")[2].rstrip("'")
    remedy = nearest(word, known) if known else "Correct the request body."
    return BadData(where=where, found=found, expected=expected, remedy=remedy)
