"""Hostile requests: whatever is sent, rows that break a rule of their fields never come through.

What a refusal says is told in ``tests/serve``; here it only matters that there is one, that it is
of the request's own family, and that it stays small.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData, BadUsage, YardError
from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.tensors import rows_of

FIELDS = (
    Field(name="number", kind="number", ge=-1, le=1),
    Field(name="integer", kind="integer", ge=0),
    Field(name="boolean", kind="boolean"),
    Field(name="category", kind="category", values=("a", "b")),
    Field(name="timestamp", kind="timestamp"),
    Field(name="text", kind="text", max_length=10),
    Field(name="id", kind="id", pattern="N[0-9]+"),
    Field(name="image", kind="image"),
    Field(name="floats", kind="tensor", shape=(2, 2), ge=0, le=1),
    Field(name="wholes", kind="tensor", shape=(3,), dtype="int64", le=9),
)
GOOD: dict[str, Any] = {
    "number": 0.5, "integer": 3, "boolean": True, "category": "a",
    "timestamp": "2026-02-01T09:30:00", "text": "fine", "id": "N12",
    "image": base64.b64encode(b"a picture").decode(), "floats": [[0, 0.25], [0.5, 1]],
    "wholes": [1, -2, 9],
}  # fmt: skip
DECODER = RowDecoder(Schema(fields=FIELDS), max_rows=4)
DEEP = 200_000

HOSTILE: dict[str, list[Any]] = {
    "number": [-1.01, 1.01, "0", True, None, [0, 0], {}, 10**400, float("nan"), float("inf")],
    "integer": [-1, 1.0, 2**53 + 1, 10**400, "1", False, None, float("-inf")],
    "boolean": [0, 1, "true", None, []],
    "category": ["c", "A", "a ", "a\x00", "", 1, None, ["a", "b"]],
    "timestamp": ["2026-02-01", "2026-02-01T09:30:00Z", "2026-02-30T00:00:00", "now", 0, None,
                  "0000-01-01T00:00:00", "10000-01-01T00:00:00", "2026-02-01T09:30:00+00:00"],
    "text": ["", "x" * 11, "👩" * 11, "x" * 1_000_000, 7, None, ["x", "y"], {"text": "x"}],
    "id": ["", "n1", "N1 ", "N1\n", "\nN1", "N", "N1\x00", "N" + "a" * 100_000, None],
    "image": ["", "data:image/png;base64,YWJj", "YWJj\n", "YWJj ", "YW Jj", "YW-_", "YWI", "YWI==",
              "=", "====", "YWJj=", "ÿ", "a\x00bc", "http://localhost/a.png", None, 1, [97, 98]],
    "floats": [None, 0.5, [], [[]], [0, 0, 0, 0], [[0, 0]], [[0, 0], [0]], [[0, 0], [0, 0, 0]],
               [[0, 0]] * 3, [[0, True], [0, 0]], [["0", 0], [0, 0]], [[None, 0], [0, 0]],
               [[[0], 0], [0, 0]], [[1.5, 0], [0, 0]], [[-1e-9, 0], [0, 0]], [[1e39, 0], [0, 0]],
               [[10**400, 0], [0, 0]], [[float("nan"), 0], [0, 0]], [[float("inf"), 0], [0, 0]],
               {"0": [0, 0], "1": [0, 0]}, "[[0,0],[0,0]]", base64.b64encode(b"\0" * 16).decode()],
    "wholes": [[1, 2], [1, 2, 3, 4], [1, 2, 3.0], [1, 2, 10], [1, 2, True], [1, 2, 2**63],
               [1, 2, -(2**63) - 1], [1, 2, 10**400], [1, 2, "3"], [[1, 2, 3]], [1, 2, None]],
}  # fmt: skip


def refused(body: bytes) -> YardError:
    with pytest.raises((BadData, BadUsage)) as caught:
        DECODER.decode(body)
    assert len(str(caught.value)) < 2000
    return caught.value


def as_tensors(row: dict[str, Any]) -> bytes:
    types = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "floats": "FP32",
             "wholes": "INT64"}  # fmt: skip
    shapes = {"floats": [2, 2], "wholes": [3]}
    inputs = [
        {"name": name, "datatype": types.get(name, "BYTES"), "shape": [1, *shapes.get(name, [])],
         "data": [value]}
        for name, value in row.items()
    ]  # fmt: skip
    return json.dumps({"inputs": inputs}).encode()


def infer(body: bytes) -> list[object]:
    return rows_of(decode_infer(body).inputs, DECODER, max_rows=4)


def test_the_good_row_comes_through_both_doors() -> None:
    (row,) = DECODER.decode(json.dumps({"rows": [GOOD]}).encode()).rows
    (other,) = infer(as_tensors(GOOD))
    for one, two in zip(DECODER.columns([row]), DECODER.columns([other]), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in HOSTILE.items() for value in values],
    ids=lambda value: repr(value)[:30],
)
def test_a_hostile_value_is_refused_at_both_doors(name: str, value: Any) -> None:
    row = {**GOOD, name: value}
    error = refused(json.dumps({"rows": [GOOD, row]}).encode())
    assert name in error.where or isinstance(error, BadUsage)
    with pytest.raises((BadData, BadUsage)) as caught:
        infer(as_tensors(row))
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[[[[0],"])
def test_nesting_without_end_is_refused(name: str, opening: bytes) -> None:
    good = json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()[:-1]
    refused(b'{"rows": [%b, "%b": %b' % (good, name.encode(), opening * DEEP))
    closing = b"]" if opening == b"[" else b""
    refused(b'{"rows": [%b, "%b": %b%b}]}' % (good, name.encode(), opening * 500, closing * 500))
    with pytest.raises((BadData, BadUsage)):
        infer(b'{"inputs": [{"name": "floats", "datatype": "FP32", "shape": [1, 2, 2], "data": '
              + opening * DEEP)  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_field_sent_twice_counts_once_and_is_checked(name: str) -> None:
    good = json.dumps(GOOD)[:-1]
    for value in (HOSTILE[name][0], HOSTILE[name][-1]):
        refused(f'{{"rows": [{good}, "{name}": {json.dumps(value)}}}]}}'.encode())


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("floats", "wholes")])
def test_a_wrong_value_before_another_of_the_same_name_is_refused(name: str) -> None:
    rest = json.dumps({k: v for k, v in GOOD.items() if k != name})[1:-1]
    for value in HOSTILE[name]:
        others: list[Any] = [GOOD[name], None, 1, "a", [], [[1]], {}]
        for other in others:
            pair = f'"{name}": {json.dumps(value)}, "{name}": {json.dumps(other)}'
            refused(f'{{"rows": [{{{rest}, {pair}}}]}}'.encode())


@pytest.mark.parametrize("other", [1, "a", None, [], [[1]], [[[1]]], {}], ids=repr)
@pytest.mark.parametrize("name", ["floats", "wholes"])
def test_a_wrong_tensor_before_one_of_another_form_is_refused(name: str, other: Any) -> None:
    rest = json.dumps({k: v for k, v in GOOD.items() if k != name})[1:-1]
    for value in HOSTILE[name]:
        pair = f'"{name}": {json.dumps(value)}, "{name}": {json.dumps(other)}'
        refused(f'{{"rows": [{{{rest}, {pair}}}]}}'.encode())


@pytest.mark.parametrize("second", ['["a"]', "[]", "[1]", "[[]]", "[null]", "{}", "[{}]"])
@pytest.mark.parametrize("name", GOOD)
def test_wrong_rows_before_others_are_refused(name: str, second: str) -> None:
    for value in HOSTILE[name]:
        row = json.dumps({**GOOD, name: value})
        refused(f'{{"rows": [{row}], "rows": {second}}}'.encode())


@pytest.mark.parametrize(
    "shape",
    [[1], [1, 4], [1, 2, 2, 1], [2, 2, 2], [1, 2, -2], [0, 2, 2], [10**30, 2, 2], [1, 2, 2.0], []],
)
def test_a_tensor_of_another_shape_is_refused_at_the_protocols_door(shape: list[Any]) -> None:
    body = json.loads(as_tensors(GOOD))
    next(one for one in body["inputs"] if one["name"] == "floats")["shape"] = shape
    with pytest.raises(BadData):
        infer(json.dumps(body).encode())


@pytest.mark.parametrize("data", [[], [0] * 3, [0] * 5, [[0, 0], [0, 0]], [[[0, 0], [0, 0]]] * 2])
def test_data_of_another_size_than_its_shape_is_refused(data: list[Any]) -> None:
    body = json.loads(as_tensors(GOOD))
    next(one for one in body["inputs"] if one["name"] == "floats")["data"] = data
    with pytest.raises(BadData):
        infer(json.dumps(body).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), json_values, min_size=1, max_size=3))
@example({"floats": [[0, 1e-320], [5e-324, 1]]})
def test_what_comes_through_obeys_every_rule(changes: dict[str, Any]) -> None:
    body = json.dumps({"rows": [{**GOOD, **changes}]}).encode()
    try:
        (row,) = DECODER.decode(body).rows
    except (BadData, BadUsage):
        return
    values: dict[str, Any] = {
        field.name: getattr(row, f"f{place}") for place, field in enumerate(FIELDS)
    }
    assert type(values["number"]) is float
    assert -1 <= values["number"] <= 1
    assert type(values["integer"]) is int
    assert 0 <= values["integer"] <= 2**53
    assert type(values["boolean"]) is bool
    assert values["category"] in ("a", "b")
    assert type(values["timestamp"]) is datetime
    assert 1 <= len(values["text"]) <= 10
    assert values["id"].removeprefix("N").isdigit()
    assert values["image"]
    assert (values["floats"].dtype, values["floats"].shape) == (np.float32, (2, 2))
    assert ((values["floats"] >= 0) & (values["floats"] <= 1)).all()
    assert (values["wholes"].dtype, values["wholes"].shape) == (np.int64, (3,))
    assert (values["wholes"] <= 9).all()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_body_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(json.dumps({"rows": [GOOD, GOOD]}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for door in (DECODER.decode, infer):
        try:
            door(bytes(body))
        except (BadData, BadUsage):
            continue
