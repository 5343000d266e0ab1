"""Decoding is validating: what fits comes through unchanged, what does not is told exactly."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from torchyard.core.errors import BadData, BadRecord, BadUsage
from torchyard.features.columns import MISSING_TIME
from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.decoding.values import LARGEST_WHOLE

SCHEMA = Schema(
    fields=(
        Field(name="distance", kind="number", ge=0, le=6000, unit="miles"),
        Field(name="wind speed", kind="number", optional=True, unit="mph"),
        Field(name="class", kind="integer", ge=1, le=3),
        Field(name="stops", kind="integer", optional=True),
        Field(name="holiday", kind="boolean"),
        Field(name="origin", kind="category", values=("EWR", "JFK", "LGA")),
        Field(name="carrier", kind="category"),
        Field(name="tail", kind="category", optional=True, personal=True),
        Field(name="scheduled", kind="timestamp"),
        Field(name="landed", kind="timestamp", optional=True),
    )
)
ROW: dict[str, Any] = {
    "distance": 719,
    "class": 2,
    "holiday": False,
    "origin": "JFK",
    "carrier": "UA",
    "scheduled": "2013-07-01T09:30:00",
}
DECODER = RowDecoder(SCHEMA, max_rows=5)


def body(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"rows": list(rows), **more}).encode()


def refusal(content: bytes) -> BadData:
    with pytest.raises(BadData) as caught:
        DECODER.decode(content)
    return caught.value


def test_rows_become_raw_columns() -> None:
    full = {**ROW, "wind speed": 12.5, "stops": 0, "tail": "N1", "landed": "1969-12-31T23:59:59.5"}
    request = DECODER.decode(body(ROW, full, ids=["a", "b"], key="k"))
    columns = DECODER.columns(request.rows)

    assert (request.ids, request.key) == (["a", "b"], "k")
    assert tuple(columns) == SCHEMA.names
    assert all(column.shape == (2, 1) for column in columns.values())
    np.testing.assert_array_equal(columns["wind speed"][:, 0], [np.nan, 12.5])
    np.testing.assert_array_equal(columns["stops"][:, 0], [np.nan, 0.0])
    assert columns["class"].dtype == np.float64
    assert columns["origin"].tolist() == [["JFK"], ["JFK"]]
    assert columns["tail"].tolist() == [[""], ["N1"]]
    assert columns["landed"].tolist() == [[MISSING_TIME], [-500_000]]


def test_null_is_the_same_as_absent_for_optional_fields() -> None:
    nulls = {name: None for name in ("wind speed", "stops", "tail", "landed")}
    absent, null = (DECODER.decode(body(row)).rows for row in (ROW, {**ROW, **nulls}))

    assert absent == null


def test_the_log_gets_no_personal_and_no_missing_values() -> None:
    row = DECODER.decode(body({**ROW, "tail": "N1", "stops": 0})).rows[0]
    others = tuple(field for field in SCHEMA.fields if not field.personal)
    impersonal = RowDecoder(Schema(fields=others), max_rows=5)
    same = impersonal.decode(body({**ROW, "stops": 0})).rows[0]

    logged = [
        json.loads(msgspec.json.encode(decoder.loggable(one)))
        for decoder, one in ((DECODER, row), (impersonal, same))
    ]

    assert logged == [{**ROW, "stops": 0}] * 2


@pytest.mark.parametrize(
    ("field", "value", "found", "expected"),
    [
        ("distance", -1, "a number below 0", "a number from 0 to 6000 miles"),
        ("distance", 6000.5, "a number above 6000", "a number from 0 to 6000 miles"),
        ("distance", "719", "a text of 3 characters", "a number from 0 to 6000 miles"),
        ("distance", True, "a boolean", "a number from 0 to 6000 miles"),
        ("distance", None, "null", "a number from 0 to 6000 miles"),
        ("distance", [719], "a list of 1", "a number from 0 to 6000 miles"),
        ("wind speed", "calm", "a text of 4 characters", "a number, or null"),
        ("class", 2.0, "a number written with a fraction", "a whole number from 1 to 3"),
        ("class", 4, "a number above 3", "a whole number from 1 to 3"),
        ("class", 10**30, "a number above 3", "a whole number from 1 to 3"),
        ("stops", LARGEST_WHOLE + 1, "a number too large", "a whole number, or null"),
        ("stops", False, "a boolean", "a whole number, or null"),
        ("holiday", 1, "a number", "true or false"),
        ("holiday", "true", "a text of 4 characters", "true or false"),
        (
            "origin",
            "SFO",
            "a text of 3 characters that is none of them",
            "one of 'EWR', 'JFK', 'LGA'",
        ),
        ("origin", 7, "a number", "one of 'EWR', 'JFK', 'LGA'"),
        ("carrier", "", "an empty text", "text that is not empty"),
        ("tail", {"n": 1}, "an object", "text, or null"),
        *(
            ("scheduled", text, found, "a time without a zone, such as '2013-07-01T09:30:00'")
            for text, found in (
                ("2013-07-01T09:30:00Z", "a time with a zone"),
                ("2013-07-01T09:30:00+02:00", "a time with a zone"),
                ("2013-07-01", "a text of 10 characters that is no time"),
                ("noon", "a text of 4 characters that is no time"),
                ("2013-02-30T00:00:00", "a text of 19 characters that is no time"),
            )
        ),
        ("scheduled", 1372671000, "a number", None),
    ],
)
def test_a_value_that_breaks_its_rule_is_told(
    field: str, value: object, found: str, expected: str | None
) -> None:
    error = refusal(body(ROW, ROW, {**ROW, field: value}))

    assert error.where == f"$.rows[2].{field}"
    assert error.found == found
    assert error.expected.startswith(expected or "a time without a zone")
    assert error.remedy == f"Correct '{field}' in this row."


def test_bounds_are_inclusive() -> None:
    rows = DECODER.decode(body({**ROW, "distance": 0}, {**ROW, "distance": 6000})).rows

    assert DECODER.columns(rows)["distance"].tolist() == [[0.0], [6000.0]]


def test_a_misspelt_value_gets_the_nearest_allowed_one() -> None:
    error = refusal(body({**ROW, "origin": "JKF"}))

    assert error.found == "a text of 3 characters that is none of them"
    assert error.remedy == "Did you mean 'JFK'? Correct 'origin' in this row."


def test_a_long_value_is_counted() -> None:
    error = refusal(body({**ROW, "distance": "x" * 10_000}))

    assert error.found == "a text of 10,000 characters"


def test_a_place_is_told_only_where_the_server_knows_its_names() -> None:
    """An unknown name may be worded like the end of the decoder's message."""
    for spoof in ("` - at `$.rows[0].sold", "` - at `$.sold[3]", "` - at `$.rows[99999999999999]"):
        error = refusal(json.dumps({f"x{spoof}": 1}).encode())
        assert (error.where, error.found) == ("$", "a name that has no meaning here")


def test_an_absent_field_is_named_with_what_it_takes() -> None:
    error = refusal(body(ROW, {name: ROW[name] for name in ROW if name != "distance"}))

    assert (error.where, error.found) == ("$.rows[1]", "no field 'distance'")
    assert error.expected == "a number from 0 to 6000 miles"
    assert error.remedy == "Add 'distance' to this row."


def test_an_unknown_field_gets_the_nearest_known() -> None:
    error = refusal(body({**ROW, "distanse": 1}))

    assert error.found == "a field that the schema does not have"
    assert error.remedy == "Did you mean 'distance'?"


@pytest.mark.parametrize(
    ("content", "where", "found", "expected"),
    [
        (b"{}", "$", "no 'rows'", "'rows'"),
        (b"[]", "$", "a list", "an object"),
        (b'{"rows": []}', "$.rows", "too short", "a list of at least 1"),
        (b'{"rows": [3]}', "$.rows[0]", "a number", "an object"),
        (b'{"rows": 3}', "$.rows", "a number", "a list"),
        (b'{"row": []}', "$", "a name that has no meaning here", "Did you mean 'rows'?"),
        (body(ROW, ids=[1]), "$.ids[0]", "a number", "a text"),
        (body(ROW, ids=[""]), "$.ids[0]", "too short", "a text of at least 1"),
        (body(ROW, ids=["a", "b"]), "$.ids", "2 ids", "1, one for each row"),
        (body(ROW, key=3), "$.key", "a number", "a text or null"),
        (body(*[ROW] * 6), "$.rows", "too long", "a list of at most 5"),
    ],
)
def test_a_misshapen_body_is_told(content: bytes, where: str, found: str, expected: str) -> None:
    error = refusal(content)

    assert (error.where, error.found, error.expected) == (where, found, expected)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"rows",
        b'{"rows": [',
        b'{"rows": [{"distance": NaN}]}',
        b"\xff\xfe",
        body(ROW).replace(b"UA", b"\xff\xff"),
        body(ROW).replace(b"UA", b"\\ud800"),
    ],
)
def test_what_is_not_json_is_not_called_a_misfit(content: bytes) -> None:
    with pytest.raises(BadUsage) as caught:
        DECODER.decode(content)

    assert caught.value.where == "request body"
    assert caught.value.expected == "JSON in UTF-8"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("start", [b'{"rows": [{"distance": ', b'{"x": ', b'{"rows": ', b""])
def test_deep_nesting_is_refused(start: bytes, opening: bytes) -> None:
    with pytest.raises((BadData, BadUsage)):
        DECODER.decode(start + opening * 200_000)


def test_infinity_cannot_be_written() -> None:
    error = refusal(body(ROW).replace(b"719", b"1e999"))

    assert error.where == "$.rows[0].distance"
    assert error.expected == "a number from 0 to 6000 miles"


def test_field_names_that_are_no_identifiers_cannot_collide() -> None:
    names = ("f1", "f0", "a-b", "class", "__init__", "ä", "a'b", "a.b", "rows")
    schema = Schema(fields=tuple(Field(name=name, kind="number") for name in names))
    decoder = RowDecoder(schema, max_rows=2)
    row = {name: float(place) for place, name in enumerate(names)}

    columns = decoder.columns(decoder.decode(body(row)).rows)

    assert {name: column.item() for name, column in columns.items()} == row


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_a_field_name_that_cannot_be_read_back_is_refused(name: str) -> None:
    schema = Schema(fields=(Field(name=name, kind="number"),))

    with pytest.raises(BadRecord, match="expected names without quotes") as caught:
        RowDecoder(schema, max_rows=1)

    assert caught.value.found == f"a field named {name!r}"
