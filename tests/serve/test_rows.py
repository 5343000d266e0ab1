"""From a frame to JSON and through the decoder a row becomes the same bits as straight away."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import rows as made
from torchyard.data.rows import request_rows
from torchyard.features.columns import Columns, columns_from_frame
from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.tensors import datatypes_of, rows_of

SCHEMA = Schema(
    fields=(
        Field(name="number", kind="number", ge=-1e300),
        Field(name="maybe number", kind="number", optional=True),
        Field(name="integer", kind="integer"),
        Field(name="maybe integer", kind="integer", optional=True),
        Field(name="boolean", kind="boolean"),
        Field(name="maybe boolean", kind="boolean", optional=True),
        Field(name="listed", kind="category", values=("a", "ä", " ")),
        Field(name="maybe listed", kind="category", values=("a", "b"), optional=True),
        Field(name="category", kind="category"),
        Field(name="timestamp", kind="timestamp"),
        Field(name="maybe timestamp", kind="timestamp", optional=True),
        Field(name="text", kind="text"),
        Field(name="maybe text", kind="text", optional=True),
        Field(name="id", kind="id"),
        Field(name="image", kind="image"),
        Field(name="maybe image", kind="image", optional=True),
        Field(name="floats", kind="tensor", shape=(2, 3), ge=-3, le=1),
        Field(name="wholes", kind="tensor", shape=(4,), dtype="int64"),
        Field(name="later", kind="number", later=True),
    )
)
REQUEST = SCHEMA.request
DECODER = RowDecoder(REQUEST, max_rows=10)


def same_bits(found: Columns, expected: Columns) -> None:
    assert list(found) == list(expected) == list(REQUEST.names)
    for name, column in expected.items():
        other = found[name]
        assert (other.dtype, other.shape) == (column.dtype, column.shape), name
        if column.dtype == object:
            assert other.tolist() == column.tolist(), name
        else:
            assert other.tobytes() == column.tobytes(), name


def as_tensors(rows: list[dict[str, Any]]) -> bytes:
    """The rows as a body of the Open Inference Protocol, tensors flat."""
    inputs = []
    for field in REQUEST.fields:
        values = [row.get(field.name) for row in rows]
        if field.shape:
            values = np.array(values, dtype=field.dtype).ravel().tolist()
        shape = [len(rows), *field.shape]
        inputs.append(
            {"name": field.name, "datatype": datatypes_of(field)[0], "shape": shape, "data": values}
        )
    return json.dumps({"inputs": inputs}).encode()


@settings(max_examples=60, deadline=None)
@given(st.lists(made.rows(SCHEMA), min_size=1, max_size=4))
def test_requests_give_the_raw_columns_that_the_frame_gives(given: list[made.Row]) -> None:
    frame = made.frame(SCHEMA, given)
    expected = columns_from_frame(REQUEST, frame)
    rows = request_rows(frame, SCHEMA)

    body = json.dumps({"rows": rows}).encode()
    same_bits(DECODER.columns(DECODER.decode(body).rows), expected)
    inputs = decode_infer(as_tensors(rows)).inputs
    same_bits(DECODER.columns(rows_of(inputs, DECODER, max_rows=10)), expected)


def test_missing_values_and_later_fields_are_left_out() -> None:
    schema = Schema(
        fields=(
            *(Field(name=kind, kind=kind, optional=True) for kind in (
                "number", "integer", "boolean", "category", "timestamp", "text", "id", "image",
            )),
            Field(name="known later", kind="number", later=True),
        )
    )  # fmt: skip
    nothing = [float("nan"), None, None, "", None, "", "", b"", 1.0]
    something = [0.0, 0, False, " ", datetime(2026, 2, 1, microsecond=1), "0", "-", b"\0\xff", 1.0]
    given = [dict(zip(schema.names, values, strict=True)) for values in (nothing, something)]
    empty, full = request_rows(made.frame(schema, given), schema)

    assert empty == {}
    assert full == {
        "number": 0.0, "integer": 0, "boolean": False, "category": " ",
        "timestamp": "2026-02-01T00:00:00.000001", "text": "0", "id": "-", "image": "AP8=",
    }  # fmt: skip
    assert base64.b64decode(str(full["image"])) == b"\0\xff"
