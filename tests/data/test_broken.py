"""The fast ways of finding broken rows, held to the plain ones that define them."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.data.check import Checker
from torchyard.data.checking.broken import broken_conditions, broken_plainly, places
from torchyard.data.checking.conditions import conditions
from torchyard.data.checking.forms import form_breaker
from torchyard.data.checking.ranges import value_range
from torchyard.data.checking.table import fit_table
from torchyard.data.reading import asking
from torchyard.records.schema import Schema

SCHEMA = ty.Schema(
    number=ty.number(ge=-3, le=5),
    integer=ty.integer(ge=-3, le=5, optional=True),
    few=ty.category(["a", "b"]),
    many=ty.category([*"abcdefghij"], optional=True),
    coded=ty.id(pattern="[A-C][0-9]{2}", unique=True),
    free=ty.text(pattern="[^b]*", min_length=2, max_length=4, optional=True),
)
LARGE = st.sampled_from([2**53, 2**53 + 1, -(2**63)])
TEXTS = st.none() | st.text("abcA17é日\0\n", max_size=6) | st.sampled_from(["A17", "B01", "ab"])
FLOATS = st.none() | st.floats(-9, 9) | st.sampled_from([float("nan"), float("inf"), -float("inf")])
ROWS = st.lists(
    st.tuples(FLOATS, st.none() | st.integers(-9, 9) | LARGE,
              TEXTS, TEXTS, TEXTS, TEXTS),
    min_size=1, max_size=30,
)  # fmt: skip
TYPES = {
    name: {"number": pl.Float64, "integer": pl.Int64}.get(name, pl.String) for name in SCHEMA.names
}


def frame_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def pieces(frame: pl.DataFrame, size: int) -> pl.DataFrame:
    """The same rows, each column in several pieces of memory."""
    return pl.concat(list(frame.iter_slices(size)), rechunk=False)


@pytest.mark.parametrize("many_rows", [1, 1 << 16])
@given(rows=ROWS, size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_all_at_once_finds_what_each_condition_alone_does(
    many_rows: int, rows: list[tuple[Any, ...]], size: int
) -> None:
    table = fit_table(pieces(frame_of(rows), size), SCHEMA, label=None, source="rows")
    frame = table.frame
    asked = conditions(SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "MANY_ROWS", many_rows)
        found = [
            (item, rows.tolist()) for item, rows in broken_conditions(asked, frame, table.ranges)
        ]
    plain = [(item, broken_plainly(item, frame).arg_true().to_list()) for item in asked]
    assert found == [(item, rows) for item, rows in plain if rows]


@given(
    mask=st.lists(st.sampled_from([True, False, False, False, None]), max_size=120),
    gaps=st.integers(0, 60), size=st.integers(1, 40), start=st.integers(0, 20),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_places_are_those_of_what_is_true(
    mask: list[bool | None], gaps: int, size: int, start: int
) -> None:
    spread = [mark for each in mask for mark in (each, *[False] * gaps)]
    series = pl.Series("x", spread, dtype=pl.Boolean)
    for form in (series, series[start:], pieces(series.to_frame(), size)["x"] if mask else series):
        expected = [place for place, mark in enumerate(form.to_list()) if mark]
        assert places(form).tolist() == expected


@given(rows=ROWS, size=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_findings_and_parted_rows_are_those_of_the_rules_row_by_row(
    rows: list[tuple[Any, ...]], size: int
) -> None:
    frame = frame_of(rows)
    checker = Checker(SCHEMA)
    parts = [checker.update(chunk) for chunk in frame.iter_slices(size)]
    table = fit_table(frame, SCHEMA, label=None, source="rows").frame
    reasons = plain_reasons(table)
    whole = pl.concat([part.accepted for part in parts])
    aside = pl.concat([part.quarantined for part in parts])
    kept = [not broke for broke in reasons]
    assert whole.equals(table.filter(pl.Series(kept, dtype=pl.Boolean)))
    assert aside.drop("broke").equals(table.filter(~pl.Series(kept, dtype=pl.Boolean)))
    assert aside["broke"].to_list() == ["; ".join(broke) for broke in reasons if broke]
    for finding in checker.result().findings:
        if finding.severity == "quarantine":
            name = f"{finding.field}: {finding.rule}"
            where = [row for row, broke in enumerate(reasons, 1) if name in broke]
            assert finding.rows == len(where)
            assert [text.split(":")[0] for text in finding.examples] == [
                f"row {row}" for row in where[:5]
            ]


def plain_reasons(table: pl.DataFrame) -> list[list[str]]:
    """The rules that each row breaks, one condition and one row at a time."""
    asked = [
        (f"{c.field}: {c.rule}", broken_plainly(c, table).to_list()) for c in conditions(SCHEMA)
    ]
    seen: set[str] = set()
    reasons = []
    for row, code in enumerate(table["coded"]):
        broke = [name for name, mask in asked if mask[row]]
        if code in seen:
            broke.append("coded: repeats an earlier row")
        if code is not None:
            seen.add(code)
        reasons.append(broke)
    return reasons


ATOM = st.sampled_from(["K", "-", r"\.", "[0-9]", "[A-Z]", "[b]", "[a-c]", "_", " "])
PATTERNS = st.lists(st.tuples(ATOM, st.sampled_from(["", "{1}", "{2}", "{0}", "{5}"])), max_size=6)


@given(PATTERNS, st.data())
@settings(max_examples=150, deadline=None)
def test_a_form_is_what_the_regular_expression_says(
    atoms: list[tuple[str, str]], data: st.DataObject
) -> None:
    pattern = "".join(atom + times for atom, times in atoms)
    near = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
    values = data.draw(st.lists(near | near.map(lambda t: t + "x") | TEXTS, min_size=1))
    texts = pl.Series("x", values, dtype=pl.String)
    find = form_breaker(pattern)
    regex = rf"\A(?:{pattern})\z"
    if find is None:
        places = sum(int(times[1:-1] or 1) if times else 1 for _, times in atoms)
        assert not 0 < places <= 12
    else:
        expected = (~texts.str.contains(regex)).drop_nulls().to_list()
        start = data.draw(st.integers(0, len(values) - 1))
        present = texts.is_not_null()
        assert find(texts).filter(present).to_list() == expected
        assert find(texts[start:]).filter(present[start:]).to_list() == (
            (~texts[start:].str.contains(regex)).drop_nulls().to_list()
        )


@pytest.mark.parametrize(
    "pattern",
    ["a|b", "a+", "a?", "a*", ".", r"\d{3}", r"\w", "[^a]", "[a-cx]", "[é]", "é", "a{2,3}", "(a)",
     "^a", "a$", r"\<a", "(?i)a", "[0-9]{13}", "", "[[:alpha:]]", "a{2}{3}", "[A-Z0-9]", "[z-a]"],
)  # fmt: skip
def test_other_patterns_are_left_to_the_regular_expression(pattern: str) -> None:
    assert form_breaker(pattern) is None


def test_a_form_is_found_in_many_values_at_once() -> None:
    draw = np.random.default_rng(0)
    values = [f"K{n:05d}" if n % 7 else f"k{n}" for n in draw.integers(0, 10**5, 40_000)]
    texts = pl.Series("x", values)
    find = form_breaker("K[0-9]{5}")
    assert find is not None
    assert find(texts).to_list() == (~texts.str.contains(r"\AK[0-9]{5}\z")).to_list()


def test_a_schema_without_rules_breaks_none() -> None:
    schema: Schema = ty.Schema(x=ty.boolean(optional=True))
    assert list(broken_conditions(conditions(schema), pl.DataFrame({"x": [True]}), {})) == []


@given(rows=st.lists(FLOATS, max_size=40), size=st.integers(1, 40), start=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_no_value_lies_outside_the_range(rows: list[float | None], size: int, start: int) -> None:
    series = pl.Series("x", rows, dtype=pl.Float64)
    column = pieces(series.to_frame(), size)["x"][start:] if rows else series
    low, high = value_range(column)
    values = [value for value in column if value is not None]
    if any(math.isnan(value) for value in values):
        assert math.isnan(low)
    elif not math.isnan(low):
        assert all(low <= value <= high for value in values)


def test_the_range_of_large_integers_is_exact() -> None:
    assert value_range(pl.Series([2**53, 2**53 + 1])) == (2**53, 2**53 + 1)
    assert value_range(pl.Series([-(2**63), 2**63 - 1])) == (-(2**63), 2**63 - 1)
    assert value_range(pl.Series([], dtype=pl.Int64)) == (math.inf, -math.inf)


def test_a_range_within_the_bounds_saves_the_masks() -> None:
    rule = next(c for c in conditions(SCHEMA) if c.rule == "is below -3" and c.field == "number")
    frame = pl.DataFrame({"number": [0.0, -4.0]})
    assert len(list(broken_conditions([rule], frame, {"number": (-4.0, 0.0)}))) == 1
    assert len(list(broken_conditions([rule], frame, {}))) == 1
    assert list(broken_conditions([rule], frame, {"number": (-3.0, 0.0)})) == []
