"""Tensors of the Open Inference Protocol obey the rules that rows obey."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serve.test_decode import ROW, SCHEMA
from torchyard.core.errors import BadData, BadUsage
from torchyard.features.columns import MISSING_TIME
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.tensors import rows_of

DECODER = RowDecoder(SCHEMA, max_rows=5)
TYPES = {
    "distance": "FP64",
    "class": "INT64",
    "holiday": "BOOL",
    "origin": "BYTES",
    "carrier": "BYTES",
    "scheduled": "BYTES",
}


def tensor(name: str, datatype: str, *data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(data)] if shape is None else shape,
        "datatype": datatype,
        "data": list(data),
    }


def inputs(rows: int = 1, /, **others: Any) -> list[dict[str, Any]]:
    tensors = {name: tensor(name, kind, *[ROW[name]] * rows) for name, kind in TYPES.items()}
    return [one for one in {**tensors, **others}.values() if one is not None]


def read(tensors: list[dict[str, Any]]) -> list[object]:
    request = decode_infer(json.dumps({"inputs": tensors}).encode())
    return rows_of(request.inputs, DECODER, max_rows=5)


def from_json(*rows: dict[str, Any]) -> list[object]:
    return DECODER.decode(json.dumps({"rows": rows}).encode()).rows


def refusal(tensors: list[dict[str, Any]]) -> BadData:
    with pytest.raises(BadData) as caught:
        read(tensors)
    return caught.value


def test_tensors_give_the_rows_that_json_gives() -> None:
    full = {**ROW, "wind speed": 3.5, "stops": 2, "tail": "N1", "landed": "2013-07-01T11:00:00"}
    more = [
        tensor("wind speed", "FP32", None, 3.5),
        tensor("stops", "FP64", None, 2.0),
        tensor("tail", "BYTES", "", "N1"),
        tensor("landed", "BYTES", None, full["landed"]),
    ]

    assert read([*inputs(2), *more]) == from_json(ROW, full)


@pytest.mark.parametrize(
    ("name", "datatype", "given", "as_json"),
    [
        ("distance", "INT64", 719, 719),
        ("distance", "FP32", 719.5, 719.5),
        ("class", "FP64", 3.0, 3),
        ("scheduled", "INT64", 1_372_671_000_000_000, "2013-07-01T09:30:00"),
        ("scheduled", "INT64", -1, "1969-12-31T23:59:59.999999"),
    ],
)
def test_other_datatypes_of_a_kind(name: str, datatype: str, given: Any, as_json: Any) -> None:
    rows = read(inputs(**{name: tensor(name, datatype, given)}))

    assert rows == from_json({**ROW, name: as_json})


def test_shapes_may_be_flat_or_columns_and_data_may_nest() -> None:
    flat = inputs(2)
    columns = [{**one, "shape": [2, 1]} for one in flat]
    nested = [{**one, "data": [[value] for value in one["data"]]} for one in columns]

    assert read(flat) == read(columns) == read(nested)


def test_the_smallest_time_is_a_missing_one() -> None:
    landed = tensor("landed", "INT64", MISSING_TIME)

    assert read([*inputs(), landed]) == from_json(ROW)


@pytest.mark.parametrize(
    ("changed", "where", "found", "expected"),
    [
        (
            tensor("distance", "FP64", 1, 7000),
            "$.inputs['distance'].data[1]",
            "a number above 6000",
            "a number from 0 to 6000 miles",
        ),
        (
            tensor("distance", "FP64", 1, None),
            "$.inputs['distance'].data[1]",
            "a missing value",
            "a number from 0 to 6000 miles",
        ),
        (
            tensor("distance", "FP64", 1, "2"),
            "$.inputs['distance'].data[1]",
            "a text of 1 character",
            "a number from 0 to 6000 miles",
        ),
        (
            tensor("distance", "FP64", 1, 10**400),
            "$.inputs['distance'].data[1]",
            None,
            "a number from 0 to 6000 miles",
        ),
        (
            tensor("class", "INT64", 1, 2.0),
            "$.inputs['class'].data[1]",
            "a number",
            "a whole number, as INT64 says",
        ),
        (
            tensor("class", "FP64", 1.0, 2.5),
            "$.inputs['class'].data[1]",
            "a number written with a fraction",
            "a whole number from 1 to 3",
        ),
        (
            tensor("holiday", "BOOL", True, 0),
            "$.inputs['holiday'].data[1]",
            "a number",
            "true or false",
        ),
        (
            tensor("origin", "BYTES", "JFK", "SFO"),
            "$.inputs['origin'].data[1]",
            "a text of 3 characters that is none of them",
            "one of 'EWR', 'JFK', 'LGA'",
        ),
        (
            tensor("carrier", "BYTES", "UA", ""),
            "$.inputs['carrier'].data[1]",
            "a missing value",
            "text that is not empty",
        ),
        (
            tensor("scheduled", "INT64", 0, 2**62),
            "$.inputs['scheduled'].data[1]",
            "microseconds beyond the year 9999",
            "a time without a zone, such as '2013-07-01T09:30:00'",
        ),
        (
            tensor("carrier", "FP64", 1, 2),
            "$.inputs['carrier'].datatype",
            "another datatype",
            "BYTES",
        ),
        (
            tensor("distance", "FP16", 1, 2),
            "$.inputs['distance'].datatype",
            "another datatype",
            None,
        ),
        (tensor("class", "INT64", 1), "$.inputs['class'].shape", "another shape", "[2] or [2, 1]"),
        (
            tensor("class", "INT64", 1, 2, shape=[1, 2]),
            "$.inputs['class'].shape",
            "another shape",
            "[2] or [2, 1]",
        ),
        (
            tensor("class", "INT64", 1, shape=[2]),
            "$.inputs['class'].data",
            "1 values",
            "2, as its shape says",
        ),
    ],
)
def test_a_misfit_is_told_with_its_place(
    changed: dict[str, Any], where: str, found: str | None, expected: str | None
) -> None:
    error = refusal(inputs(2, **{changed["name"]: changed}))

    assert error.where == where
    assert error.found == (found or error.found)
    assert error.expected == (expected or error.expected)


@pytest.mark.parametrize("shape", [[], [0], [6], [-1]])
def test_a_count_of_rows_out_of_range_is_refused(shape: list[int]) -> None:
    error = refusal(inputs(distance=tensor("distance", "FP64", 1, shape=shape)))

    assert error.where == "$.inputs['distance'].shape"
    assert error.expected == "[n,...] with n from 1 to 5"


def test_inputs_are_the_schemas_fields() -> None:
    unknown = refusal([*inputs(), tensor("distanc", "FP64", 1)])
    absent = refusal(inputs(distance=None))
    doubled = refusal([*inputs(), tensor("distance", "FP64", 1)])

    assert unknown.found == "an input that the schema does not have"
    assert unknown.remedy == "Did you mean 'distance'?"
    assert (absent.found, absent.expected) == (
        "no input 'distance'",
        "a number from 0 to 6000 miles",
    )
    assert doubled.found == "two inputs of one name"


@pytest.mark.parametrize(
    ("content", "where", "found"),
    [
        (b"{}", "$", "no 'inputs'"),
        (b'{"inputs": []}', "$.inputs", "too short"),
        (b'{"inputs": [{"name": 3}]}', "$.inputs[0].name", "a number"),
        (b'{"inputs": [{"nam": "a"}]}', "$.inputs[0]", "a name that has no meaning here"),
        (b'{"inputs": {}}', "$.inputs", "an object"),
    ],
)
def test_a_misshapen_body_is_told(content: bytes, where: str, found: str) -> None:
    with pytest.raises(BadData) as caught:
        decode_infer(content)

    assert (caught.value.where, caught.value.found) == (where, found)


@pytest.mark.parametrize("content", [b"", b"{", b'{"inputs": [{"data": ' + b"[" * 200_000])
def test_what_is_not_json_is_not_called_a_misfit(content: bytes) -> None:
    with pytest.raises(BadUsage, match="expected JSON in UTF-8"):
        decode_infer(content)
