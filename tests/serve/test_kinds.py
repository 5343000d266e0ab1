"""Texts, ids, pictures and tensors in requests: what fits, and what is said of the rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from torchyard.core.errors import BadData, BadRecord
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field, Schema
from torchyard.serve.decoding.rows import RowDecoder

PICTURE = b"\x89PNG\r\n\x1a\n and so on"
TENSOR = Field(name="pixels", kind="tensor", shape=(2, 3), ge=0, le=1)
CODES = Field(name="codes", kind="tensor", shape=(2,), dtype="int64", ge=-5)
IMAGE = Field(name="photo", kind="image")


def decoder_of(*fields: Field) -> RowDecoder:
    return RowDecoder(Schema(fields=fields), max_rows=5)


def sent(field: Field, value: Any) -> Any:
    """What a field's value decodes to, behind its attribute's name."""
    body = json.dumps({"rows": [{field.name: value}]}).encode()
    return getattr(decoder_of(field).decode(body).rows[0], "f0")  # noqa: B009 - made at run time


def refusal(field: Field, value: Any) -> BadData:
    with pytest.raises(BadData) as caught:
        sent(field, value)
    return caught.value


@pytest.mark.parametrize("kind", ["text", "category", "id"])
@pytest.mark.parametrize(
    "value",
    ["a", " ", "naïve", "שלום \u202e", "👩‍👩‍👧", "a\x00b", "line\nline", "x" * 1_000_000],
    ids=lambda value: f"{value[:4]!r}",
)
def test_any_text_comes_through_unchanged(kind: Any, value: str) -> None:
    assert sent(Field(name="f", kind=kind), value) == value


@pytest.mark.parametrize(
    ("rules", "value", "found", "expected"),
    [
        ({}, "", "an empty text", "text that is not empty"),
        ({"max_length": 3}, "👩👩👩👩", "a text of 4 characters", "text of 1 to 3 characters"),
        ({"min_length": 3}, "ab", "a text of 2 characters", "text of at least 3 characters"),
        (
            {"min_length": 2, "max_length": 3},
            "a",
            "a text of 1 character",
            "text of 2 to 3 characters",
        ),
        ({"pattern": "N[0-9]+"}, "xN12", "a text of 4 characters", "text that matches 'N[0-9]+'"),
        ({"pattern": "N[0-9]+"}, "N12\n", "a text of 4 characters", "text that matches 'N[0-9]+'"),
        ({"pattern": "a|b"}, "ab", "a text of 2 characters", "text that matches 'a|b'"),
        (
            {"pattern": "(?i)n[0-9]"},
            "N12",
            "a text of 3 characters",
            "text that matches '(?i)n[0-9]'",
        ),
        ({"pattern": "(?x)a # and no more"}, "b", "a text of 1 character", "text that matches"),
        (
            {"pattern": "a+", "max_length": 3, "optional": True},
            "b",
            "a text of 1 character",
            "text of 1 to 3 characters that matches 'a+', or null",
        ),
        (
            {"min_length": 3, "optional": True},
            "ab",
            "a text of 2 characters",
            "text of at least 3 characters, or",
        ),
        (
            {"min_length": 3, "pattern": "a*", "optional": True},
            "aa",
            "a text of 2 characters",
            "text of at least",
        ),
    ],
)
def test_a_text_that_breaks_a_rule_is_told(
    rules: dict[str, Any], value: str, found: str, expected: str
) -> None:
    error = refusal(Field(name="f", kind="text", **rules), value)

    assert error.where == "$.rows[0].f"
    assert error.found == found
    assert error.expected.startswith(expected)


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ({"max_length": 3}, "👩👩👩"),
        ({"pattern": "N[0-9]+"}, "N12"),
        ({"pattern": "a|b"}, "b"),
        ({"pattern": "(?i)n[0-9]"}, "N1"),
        ({"pattern": "(?x)a # and no more"}, "a"),
        ({"pattern": "^a$"}, "a"),
        ({"min_length": 3, "pattern": "a*"}, "aaa"),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_a_text_that_obeys_its_rules_fits(
    rules: dict[str, Any], value: str, optional: bool
) -> None:
    assert sent(Field(name="f", kind="text", optional=optional, **rules), value) == value


@pytest.mark.parametrize(
    "rules",
    [{}, {"pattern": "N[0-9]+"}, {"min_length": 3}, {"min_length": 3, "pattern": "a+"},
     {"max_length": 5}, {"values": ("a", "b")}],
)  # fmt: skip
def test_the_empty_text_is_a_missing_one(rules: dict[str, Any]) -> None:
    field = Field(name="f", kind="category", **rules)
    assert sent(Field(name="f", kind="category", optional=True, **rules), "") == ""
    assert sent(Field(name="f", kind="category", optional=True, **rules), None) is None
    assert refusal(field, "").found == "an empty text"
    assert refusal(field, None).found == "null"


def test_allowed_values_obey_the_other_rules() -> None:
    field = Field(name="f", kind="category", values=("ab", "abc", "b"), pattern="a.*", max_length=2)
    assert sent(field, "ab") == "ab"
    assert refusal(field, "abc").expected == "one of 'ab', 'abc', 'b'"
    with pytest.raises(BadRecord, match="found allowed values that all break its pattern"):
        decoder_of(Field(name="f", kind="category", values=("x",), pattern="y"))


def test_a_picture_is_bytes() -> None:
    assert sent(IMAGE, base64.b64encode(PICTURE).decode()) == PICTURE
    assert sent(Field(name="photo", kind="image", optional=True), None) is None
    assert sent(Field(name="photo", kind="image", optional=True), "") == b""


@pytest.mark.parametrize(
    ("value", "found", "remedy"),
    [
        ("", "an empty text", "Send the bytes of the picture's file as base64 text in 'photo'."),
        (None, "null", "Correct 'photo' in this row."),
        (7, "a number", "Send the bytes of the picture's file as base64 text in 'photo'."),
        ([1, 2], "a list of 2", "Send the bytes"),
        (
            "data:image/png;base64,YWJj",
            "a data: URL",
            "Send only what follows 'base64,' as 'photo'",
        ),
        ("YWJj\nYWJj", "base64 with line breaks or spaces", "Send 'photo' as one line without"),
        (" YWJj", "base64 with line breaks or spaces", "Send 'photo' as one line without"),
        ("YW-_", "base64 in the alphabet for URLs", "Encode 'photo' with '+' and '/' in place of"),
        ("YWJjY", "5 characters of base64, not a multiple of four", "Send 'photo' whole, filled"),
        ("YWJ%", "something at character 3 that base64 does not have", "Encode the bytes"),
        ("YW=j", "a text of 4 characters that is not base64", "Encode the bytes"),
        ("photo.png", "something at character 5 that base64 does not have", "Encode the bytes"),
    ],
)
def test_a_picture_that_is_not_base64_is_told_how_to_become_it(
    value: Any, found: str, remedy: str
) -> None:
    error = refusal(IMAGE, value)

    assert (error.where, error.found) == ("$.rows[0].photo", found)
    assert error.expected == "a picture's file as base64 text, at most 16 MiB of bytes"
    assert error.remedy.startswith(remedy)


def test_a_picture_of_too_many_bytes_is_refused() -> None:
    error = refusal(IMAGE, "A" * (LARGEST_IMAGE_BYTES // 3 * 4 + 8))

    assert error.found == "16,777,221 bytes"
    assert error.remedy == "Send 'photo' in a smaller size."


def test_a_tensor_is_an_array_of_its_type_and_shape() -> None:
    pixels = sent(TENSOR, [[0, 0.5, 1], [0.1, 1e-50, 1.0]])
    codes = sent(CODES, [-5, 2**63 - 1])

    assert (pixels.dtype, pixels.shape, pixels.flags.c_contiguous) == (np.float32, (2, 3), True)
    np.testing.assert_array_equal(
        pixels, np.array([[0, 0.5, 1], [0.1, 1e-50, 1.0]], dtype=np.float32)
    )
    assert codes.dtype == np.int64
    assert codes.tolist() == [-5, 2**63 - 1]


def test_bounds_of_a_tensor_hold_after_rounding_as_they_do_in_data() -> None:
    field = Field(name="f", kind="tensor", shape=(1,), ge=-0.1, le=0.1)
    rounded = float(np.float32(0.1))
    assert rounded > 0.1
    assert sent(field, [rounded]).tolist() == [rounded]
    assert sent(field, [-rounded]).tolist() == [-rounded]
    assert refusal(field, [0.1001]).found == "a number above 0.1"


@pytest.mark.parametrize(
    ("value", "place", "found"),
    [
        ([[0, 0, 0]], "", "a list of 1"),
        ([[0, 0, 0]] * 3, "", "a list of 3"),
        ([[0, 0, 0], [0, 0]], "[1]", "a list of 2"),
        ([[0, 0, 0], [0, 0, 0, 0]], "[1]", "a list of 4"),
        ([0, 0, 0, 0, 0, 0], "[0]", "a number"),
        ([[[0], 0, 0], [0, 0, 0]], "[0][0]", "a list of 1"),
        ([[0, 0, True], [0, 0, 0]], "[0][2]", "a boolean"),
        ([[0, 0, "0"], [0, 0, 0]], "[0][2]", "a text of 1 character"),
        ([[0, 0, None], [0, 0, 0]], "[0][2]", "null"),
        ([[0, 0, 0], [0, -0.5, 0]], "[1][1]", "a number below 0"),
        ([[0, 0, 0], [0, 0, 1.001]], "[1][2]", "a number above 1"),
        ([[0, 0, 0], [0, 1e39, 0]], "[1][1]", "a number above 1"),
        ([[0, 0, 0], None], "[1]", "null"),
        (None, "", "null"),
        ({}, "", "an object"),
        (0.5, "", "a number"),
    ],
)
def test_a_tensor_that_does_not_fit_is_told_with_the_place(
    value: Any, place: str, found: str
) -> None:
    error = refusal(TENSOR, value)

    assert (error.where, error.found) == (f"$.rows[0].pixels{place}", found)
    assert error.expected == "nested lists of 2 x 3 float32 numbers from 0 to 1"
    assert error.remedy == "Correct 'pixels' in this row."


@pytest.mark.parametrize(
    ("value", "place", "found"),
    [
        ([1, 2.0], "[1]", "a number written with a fraction"),
        ([1, True], "[1]", "a boolean"),
        ([1, 2**63], "[1]", "a number too large"),
        ([1, -6], "[1]", "a number below -5"),
        ([1, 10**30], "[1]", "a number too large"),
    ],
)
def test_a_tensor_of_whole_numbers_takes_no_others(value: Any, place: str, found: str) -> None:
    error = refusal(CODES, value)

    assert (error.where, error.found) == (f"$.rows[0].codes{place}", found)
    assert error.expected == "nested lists of 2 int64 numbers of at least -5"


def test_a_tensor_that_is_left_out_is_missed() -> None:
    with pytest.raises(BadData) as caught:
        decoder_of(TENSOR).decode(b'{"rows": [{}]}')

    assert caught.value.found == "no field 'pixels'"
    assert caught.value.expected == "nested lists of 2 x 3 float32 numbers from 0 to 1"


def test_tensors_of_names_with_brackets_are_told_apart() -> None:
    outer = Field(name="a", kind="tensor", shape=(2, 2))
    inner = Field(name="a[1]", kind="tensor", shape=(2,))
    for first, second, where in (
        ([[0, 0], [0, None]], [0, 0], "$.rows[0].a[1][1]"),
        ([[0, 0], [0, 0]], [0, None], "$.rows[0].a[1][1]"),
    ):
        body = json.dumps({"rows": [{"a": first, "a[1]": second}]}).encode()
        with pytest.raises(BadData) as caught:
            decoder_of(outer, inner).decode(body)
        assert caught.value.where == where


def test_a_field_that_is_known_later_is_told_so() -> None:
    decoder = RowDecoder(Schema(fields=(TENSOR,)), max_rows=1, later=("delay",))
    body = json.dumps({"rows": [{"pixels": [[0, 0, 0]] * 2, "delay": 3}]}).encode()
    with pytest.raises(BadData) as caught:
        decoder.decode(body)

    assert caught.value.found == "field 'delay'"
    assert caught.value.expected == "only what is known when a prediction is asked for"
    assert caught.value.remedy.startswith("Leave 'delay' out")


def test_half_a_character_is_named() -> None:
    from torchyard.core.errors import BadUsage

    for text in (b"\\ud800", b"\\uD800x", b"\\ud83d\\ud83d"):
        with pytest.raises(BadUsage, match="half of a character's two parts"):
            decoder_of(Field(name="f", kind="text")).decode(b'{"rows":[{"f":"%b"}]}' % text)
