"""Stand-ins: they fit, they say nothing, they are the same every time, and only where needed."""

from __future__ import annotations

import io
import re
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData
from torchyard.data.stand_ins import STAND_IN_IMAGE, with_stand_ins
from torchyard.records.schema import Field, Schema


def made(field: Field, values: list[Any], dtype: Any = None) -> list[Any]:
    frame = pl.DataFrame({field.name: pl.Series(values, dtype=dtype), "other": range(len(values))})
    schema = Schema(fields=(field, Field(name="other", kind="integer")))
    found = with_stand_ins(frame, schema)
    assert found.schema == frame.schema
    assert found["other"].to_list() == list(range(len(values)))
    assert found.equals(with_stand_ins(frame, schema))
    return found[field.name].to_list()


def personal(kind: Any, **rules: Any) -> Field:
    return Field(name="who", kind=kind, personal=True, **rules)


def test_what_may_be_missing_is() -> None:
    assert made(personal("text", optional=True), ["Ann", None]) == [None, None]
    assert made(personal("number", optional=True), [1.5, None]) == [None, None]


@pytest.mark.parametrize(
    "field",
    [
        Field(name="who", kind="category"),
        personal("category", allow=("log",)),
        personal("category", allow=("feature", "log")),
    ],
)
def test_what_may_be_logged_is_kept(field: Field) -> None:
    assert made(field, ["Ann", "Bob"]) == ["Ann", "Bob"]


def test_a_feature_is_not_a_log() -> None:
    assert "Ann" not in made(personal("category", allow=("feature",)), ["Ann", "Bob"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_numbers_lie_in_their_range(data: st.DataObject) -> None:
    bounds = st.none() | st.floats(-1e300, 1e300)
    low, high = data.draw(bounds), data.draw(bounds)
    if low is not None and high is not None and low > high:
        low, high = high, low
    values = made(personal("number", ge=low, le=high), [1.0] * 5, pl.Float64)
    assert all(np.isfinite(value) for value in values)
    assert low is None or min(values) >= low
    assert high is None or max(values) <= high


@settings(max_examples=60, deadline=None)
@given(st.integers(-(2**53), 2**53), st.integers(0, 2**53), st.booleans(), st.booleans())
def test_whole_numbers_lie_in_their_range(
    low: int, span: int, has_low: bool, has_high: bool
) -> None:
    high = min(low + span, 2**53)
    field = personal("integer", ge=low if has_low else None, le=high if has_high else None)
    values = made(field, [0] * 5, pl.Int64)
    assert not has_low or min(values) >= low
    assert not has_high or max(values) <= high


def test_a_range_of_one_number_has_one_stand_in() -> None:
    assert made(personal("integer", ge=3, le=3), [3, 3]) == [3, 3]
    assert made(personal("number", ge=0.5, le=0.5), [0.5]) == [0.5]


def test_rows_differ_and_do_not_depend_on_the_values() -> None:
    field = personal("number", ge=0, le=100)
    assert len(set(made(field, [7.0] * 20))) == 20
    assert made(field, [7.0, 8.0]) == made(field, [1.0, 2.0])
    assert set(made(personal("boolean"), [True] * 50)) == {True, False}
    times = made(personal("timestamp"), [datetime(1990, 5, 17)] * 20, pl.Datetime("us"))
    assert len(set(times)) == 20
    assert all(time.year == 2000 for time in times)


def test_listed_values_are_drawn_from_the_list() -> None:
    field = personal("category", values=("a", "b", "cc"), max_length=1)
    assert set(made(field, ["a"] * 50)) == {"a", "b"}


@pytest.mark.parametrize(("least", "most"), [(None, None), (20, None), (None, 3), (5, 5), (1, 1)])
def test_free_texts_have_the_allowed_length(least: int | None, most: int | None) -> None:
    for text in made(personal("text", min_length=least, max_length=most), ["Ann Smith"] * 12):
        assert len(text) >= (least or 1)
        assert most is None or len(text) <= most
        assert "Ann" not in text


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("N[0-9]{1,5}[A-Z]{0,2}", "N14228UA"),
        (r"[A-Z]{2}\d{6}", "AB123456"),
        (r"(?:19|20)\d\d-\d\d-\d\d", "1984-03-27"),
        (r"[^@]+@[^@]+\.[a-z]+", "ann.smith@example.org"),
        ("[а-я]+", "анна"),
        (r"\w+", "José"),
    ],
)
def test_under_a_pattern_what_can_be_exchanged_is(pattern: str, value: str) -> None:
    for text in made(personal("id", pattern=pattern), [value] * 3):
        assert re.fullmatch(pattern, text)
        kept = sum(new == old for new, old in zip(text, value, strict=True) if old.isalnum())
        assert kept <= len(value) / 3


def test_a_pattern_that_leaves_no_choice_is_refused() -> None:
    with pytest.raises(BadData) as caught:
        made(personal("id", pattern="ann|bob"), ["ann"])
    assert caught.value.where == "field 'who', which is personal"
    assert caught.value.found == "a pattern that no other value could be made up for"
    assert "optional=True" in caught.value.remedy


def test_a_picture_is_one_grey_pixel() -> None:
    from PIL import Image

    assert made(personal("image"), [b"a face"]) == [STAND_IN_IMAGE]
    with Image.open(io.BytesIO(STAND_IN_IMAGE)) as image:
        assert (image.size, image.mode, image.getpixel((0, 0))) == ((1, 1), "L", 128)


def test_tensors_keep_shape_type_and_bounds() -> None:
    dtype = pl.Array(pl.Float32, (2, 3))
    face = np.full((2, 2, 3), 0.25, dtype=np.float32)
    frame = pl.DataFrame({"who": pl.Series(face, dtype=dtype)})
    field = personal("tensor", shape=(2, 3), ge=0.3, le=0.4)
    found = with_stand_ins(frame, Schema(fields=(field,)))["who"]
    assert found.dtype == dtype
    values = found.to_numpy()
    assert values.min() >= np.float32(0.3)
    assert values.max() <= np.float32(0.4)
    whole = made(
        personal("tensor", shape=(2,), dtype="int64", ge=5, le=9),
        [[1, 2], [3, 4]],
        pl.Array(pl.Int64, 2),
    )
    assert all(5 <= element <= 9 for row in whole for element in row)
