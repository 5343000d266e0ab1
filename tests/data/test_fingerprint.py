from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.data.fingerprint import row_digests
from torchyard.records.schema import Field

FIELDS = (
    Field(name="amount", kind="number"),
    Field(name="count", kind="integer"),
    Field(name="open", kind="boolean"),
    Field(name="when", kind="timestamp"),
    Field(name="colour", kind="category"),
    Field(name="words", kind="text"),
    Field(name="picture", kind="image"),
)
TYPES = {
    "amount": pl.Float64(),
    "count": pl.Int64(),
    "open": pl.Boolean(),
    "when": pl.Datetime("us"),
    "colour": pl.String(),
    "words": pl.String(),
    "picture": pl.Binary(),
}
MASK = (1 << 64) - 1
ROWS = st.tuples(
    st.none() | st.floats(allow_infinity=False),
    st.none() | st.integers(-(2**53), 2**53),
    st.none() | st.booleans(),
    st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.none() | st.sampled_from(["", "red", "grün", "青"]),
    st.none() | st.text(max_size=20),
    st.none() | st.binary(max_size=8),
)


def frame_of(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def first_bits(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8])


def mixed(bits: int) -> int:
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & MASK
    return bits ^ (bits >> 31)


def bits_of(value: object) -> int | None:
    """The plain form of one value, None where it is missing."""
    if value is None or value in ("", b"") or value != value:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, (bool, int, float)):
        return int.from_bytes(struct.pack(">d", float(value) + 0.0))
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1)) // timedelta(microseconds=1) & MASK
    return first_bits(value if isinstance(value, bytes) else str(value).encode())


def plain(row: Sequence[object]) -> int:
    total = 0
    for field, value in zip(FIELDS, row, strict=True):
        bits = bits_of(value)
        total += 0 if bits is None else mixed(bits ^ first_bits(field.name.encode()))
    return mixed(total & MASK)


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=12))
def test_digests_are_those_of_the_plain_form(rows: list[tuple[object, ...]]) -> None:
    assert row_digests(frame_of(rows), FIELDS).tolist() == [plain(row) for row in rows]


@settings(deadline=None, max_examples=30)
@given(st.lists(ROWS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_fields_and_of_rows_changes_nothing(
    rows: list[tuple[object, ...]], random: np.random.Generator
) -> None:
    frame = frame_of(rows)
    fields, places = list(FIELDS), list(range(len(rows)))
    random.shuffle(fields)
    random.shuffle(places)
    moved = row_digests(frame[places], fields)
    assert moved.tolist() == row_digests(frame, FIELDS)[places].tolist()


def test_repeated_texts_have_the_digests_of_single_ones() -> None:
    field = Field(name="colour", kind="category")
    many = pl.DataFrame({"colour": ["red", None, "", "blue", "red", "red", "blue"] * 3})
    one_by_one = [int(row_digests(row, [field])[0]) for row in many.iter_slices(1)]
    assert row_digests(many, [field]).tolist() == one_by_one
    assert len(set(one_by_one)) == 3


def test_zero_has_no_sign_and_a_kind_may_change_between_whole_and_real_numbers() -> None:
    zeros = pl.DataFrame({"x": [0.0, -0.0, None, float("nan")]})
    one, other, *missing = row_digests(zeros, [Field(name="x", kind="number")]).tolist()
    assert one == other != 0
    assert missing == [0, 0]
    whole = row_digests(pl.DataFrame({"x": [3]}), [Field(name="x", kind="integer")])
    real = row_digests(pl.DataFrame({"x": [3.0]}), [Field(name="x", kind="number")])
    assert whole.tolist() == real.tolist()


def test_an_empty_new_field_keeps_the_digests() -> None:
    before = pl.DataFrame({"x": [1.5, 2.5]})
    after = before.with_columns(y=pl.lit(None, dtype=pl.String))
    x, y = Field(name="x", kind="number"), Field(name="y", kind="category", optional=True)
    assert row_digests(before, [x]).tolist() == row_digests(after, [x, y]).tolist()


def test_the_same_value_in_another_field_is_another_row() -> None:
    frame = pl.DataFrame(
        {"a": ["x", None], "b": [None, "x"]}, schema={"a": pl.String, "b": pl.String}
    )
    fields = [Field(name="a", kind="category"), Field(name="b", kind="category")]
    assert len(set(row_digests(frame, fields).tolist())) == 2


@pytest.mark.parametrize(("dtype", "kind"), [("float32", pl.Float32), ("int64", pl.Int64)])
def test_tensors_are_their_elements(dtype: str, kind: type[pl.DataType]) -> None:
    frame = pl.DataFrame({"t": [[1, 2], [2, 1], [1, 2], [0, -0]]}, schema={"t": pl.Array(kind, 2)})
    field = Field(name="t", kind="tensor", shape=(2,), dtype=dtype)  # type: ignore[arg-type]
    digests = row_digests(frame, [field]).tolist()
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3


def test_the_form_is_pinned_because_stored_splits_rest_on_it() -> None:
    row = (1.5, 3, True, datetime(2024, 2, 29, 12, 30), "red", "two words", b"\x89PNG")
    assert f"{row_digests(frame_of([row]), FIELDS)[0]:016x}" == "92ac3273fd1b3ee8"
