from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadData, BadProject
from torchyard.data import check
from torchyard.data.check import Checker, Validation, validate
from torchyard.data.checking import conditions
from torchyard.data.source import open_source
from torchyard.records.dataset import Finding
from torchyard.records.schema import Schema, Task

SCHEMA = ty.Schema(
    when=ty.timestamp(),
    origin=ty.category(["A", "B"]),
    distance=ty.number(unit="miles", ge=0, le=100),
    seats=ty.integer(ge=1, optional=True),
    wide=ty.boolean(optional=True),
)


def frame(**columns: list[object]) -> pl.DataFrame:
    rows = max((len(column) for column in columns.values()), default=3)
    given: dict[str, list[object]] = {
        "when": [datetime(2024, 1, 1)] * rows,
        "origin": ["A"] * rows,
        "distance": [1.0] * rows,
        "seats": [2] * rows,
        "wide": [True] * rows,
    }
    return pl.DataFrame({**given, **columns}, strict=False)


def checked(rows: pl.DataFrame, schema: Schema = SCHEMA, **options: Any) -> Validation:
    return validate(open_source(rows, folder=Path()), schema, **options)


def counts(found: Validation) -> dict[tuple[str, str], int]:
    return {(finding.field, finding.rule): finding.rows for finding in found.findings}


def only(found: Validation) -> Finding:
    assert len(found.findings) == 1, found.findings
    return found.findings[0]


def test_good_rows_pass_without_findings() -> None:
    assert checked(frame()) == Validation(3, 3, 0, ())
    assert checked(frame()).ok


def test_every_broken_rule_is_counted_with_examples_and_its_rows_set_aside() -> None:
    rows = frame(
        distance=[1.0, -2.0, 300.0, None, float("nan"), float("inf"), 5.0, -1.0],
        origin=["A", "A", "Z", "A", "A", "A", None, ""],
    )
    checker = Checker(SCHEMA)
    parted = checker.update(rows)
    found = checker.result()
    assert counts(found) == {
        ("origin", "is missing"): 2,
        ("origin", "is not an allowed value"): 1,
        ("distance", "is missing"): 2,
        ("distance", "is infinite"): 1,
        ("distance", "is below 0 miles"): 2,
        ("distance", "is above 100 miles"): 2,
    }
    assert (found.accepted, found.quarantined, found.ok) == (1, 7, False)
    assert parted.accepted.columns == list(SCHEMA.names)
    assert parted.quarantined["broke"][1] == (
        "origin: is not an allowed value; distance: is above 100 miles"
    )
    below = next(item for item in found.findings if item.rule == "is below 0 miles")
    assert below.examples == ("row 2: -2.0", "row 8: -1.0")


@given(
    st.lists(
        st.one_of(st.none(), st.floats(-50, 150), st.just(float("nan"))), min_size=1, max_size=30
    ),
    st.integers(1, 7),
)
@settings(max_examples=30, deadline=None)
def test_chunks_change_nothing_and_no_row_is_lost(values: list[float | None], size: int) -> None:
    rows = frame(distance=[1.0, *values])
    whole, parts = Checker(SCHEMA), Checker(SCHEMA)
    accepted = whole.update(rows).accepted
    pieces = [parts.update(chunk) for chunk in rows.iter_slices(size)]
    assert parts.result() == whole.result()
    assert pl.concat([piece.accepted for piece in pieces]).equals(accepted)
    assert accepted.height + sum(piece.quarantined.height for piece in pieces) == rows.height
    assert accepted["distance"].is_between(0, 100).all()


def test_examples_are_five_and_count_rows_over_all_chunks() -> None:
    checker = Checker(SCHEMA)
    for _ in range(3):
        checker.update(frame(distance=[1.0, -1.0, -1.0]))
    finding = only(checker.result())
    assert (finding.rows, finding.rows_checked) == (6, 9)
    assert [text.split(":")[0] for text in finding.examples] == [
        "row 2", "row 3", "row 5", "row 6", "row 8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (frame().drop("distance"), r"data, column 'distance': found no such column"),
        (
            frame(distance=["1", "x", "2"]),
            r"found String values such as '1', 'x', '2'; expected num",
        ),
        (frame(seats=[1.5, 2.0, 3.5]), r"Float64 values such as 1.5, 3.5; expected whole numbers"),
        (frame(when=["soon"] * 3), "expected local dates and times"),
        (frame(distance=[None] * 3), "found no value at all; expected numbers"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_whole(rows: pl.DataFrame, said: str) -> None:
    rows = rows.cast({name: pl.Null for name in rows.columns if rows[name].is_null().all()})
    checker = Checker(SCHEMA)
    with pytest.raises(BadData, match=said):
        checker.update(rows)


def test_when_no_row_fits_the_data_fails() -> None:
    found = checked(frame(distance=[-1.0]))
    assert [item.severity for item in found.findings] == ["quarantine", "fail"]
    assert found.failures[0].rule == "fits the schema in no case"


def test_a_column_the_schema_does_not_know_is_reported_and_left_out() -> None:
    checker = Checker(SCHEMA)
    parted = checker.update(frame(surprise=[1, 2, 3]))
    finding = only(checker.result())
    assert (finding.field, finding.severity, finding.rows) == ("surprise", "warn", 3)
    assert checker.result().ok
    assert "surprise" not in parted.accepted.columns


def test_an_optional_column_may_be_empty() -> None:
    checker = Checker(SCHEMA)
    accepted = checker.update(frame(seats=[None] * 3)).accepted
    assert accepted["seats"].null_count() == 3
    assert accepted["seats"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("series", "field", "kept"),
    [
        (pl.Series([1, 2]), ty.number(), [1.0, 2.0]),
        (pl.Series([1.0, None, 3.0, float("nan")]), ty.integer(optional=True), [1, None, 3, None]),
        (pl.Series([5, 6], dtype=pl.UInt8), ty.integer(), [5, 6]),
        (pl.Series(["x", ""]), ty.text(optional=True), ["x", None]),
        (pl.Series(["x", None], dtype=pl.Categorical), ty.category(optional=True), ["x", None]),
        (pl.Series([17, 18]), ty.id(), ["17", "18"]),
        (pl.Series([b"", None]), ty.image(optional=True), [None, None]),
    ],
)
def test_safe_casts_give_the_schema_its_types_and_missing_one_form(
    series: pl.Series, field: Any, kept: list[object]
) -> None:
    checker = Checker(ty.Schema(x=field))
    assert checker.update(series.alias("x").to_frame()).accepted["x"].to_list() == kept


def test_an_integer_beyond_53_bits_is_set_aside() -> None:
    values = pl.Series("x", [2**53, 2**53 + 1, -(2**63), 5], dtype=pl.Int64)
    assert only(checked(values.to_frame(), ty.Schema(x=ty.integer()))).rows == 2
    large = pl.Series("x", [2**64 - 1, 5], dtype=pl.UInt64)
    assert only(checked(large.to_frame(), ty.Schema(x=ty.integer()))).rule == "is too large"


@pytest.mark.parametrize(
    ("field", "values", "rule", "broken"),
    [
        (ty.text(min_length=2), ["ab", "é", "日本"], "is shorter than 2 characters", 1),
        (ty.text(max_length=2), ["ab", "éé", "abc"], "is longer than 2 characters", 1),
        (ty.id(pattern="[A-Z][0-9]+"), ["A1", "A1x", "xA1", "A1\n"], "does not match", 3),
        (ty.category(pattern="a|b"), ["a", "b", "ab"], "does not match a|b", 1),
        (ty.category([f"v{n}" for n in range(20)]), ["v3", "v30"], "is not an allowed value", 1),
        (ty.id(unique=True), ["x", "y", "x", "x"], "repeats an earlier row", 2),
    ],
)
def test_rules_of_texts(field: Any, values: list[str], rule: str, broken: int) -> None:
    finding = only(checked(pl.DataFrame({"x": values}), ty.Schema(x=field)))
    assert finding.rule.startswith(rule)
    assert finding.rows == broken


def test_a_pattern_that_only_python_knows_is_refused() -> None:
    with pytest.raises(BadProject, match=r"field 'x'.*without look-around.*ty\.rule"):
        Checker(ty.Schema(x=ty.text(pattern="(?=a)a")))


def test_values_of_personal_fields_are_not_shown() -> None:
    rows = pl.DataFrame({"mail": ["ada@example.org", "nobody"]})
    finding = only(checked(rows, ty.Schema(mail=ty.text(pattern=".+@.+", personal=True))))
    assert finding.examples == ("row 2: (personal)",)


def test_times_that_no_calendar_of_requests_has_are_set_aside() -> None:
    micros = [0, 2**63 - 1, -(2**63) + 1, 569_000_000_000_000_000, None]
    times = pl.Series(micros, dtype=pl.Int64).cast(pl.Datetime("us"))
    schema = ty.Schema(x=ty.timestamp(optional=True))
    found = checked(
        pl.DataFrame({"x": times}),
        schema,
        checks=ty.Checks(fresh="x"),
        now=datetime(1970, 1, 2, tzinfo=UTC),
    )
    assert counts(found) == {("x", "is outside the years 1 to 9999"): 3}
    assert found.findings[0].examples[2] == (
        "row 4: 569,000,000,000,000,000 microseconds from 1970 on"
    )
    edges = pl.DataFrame({"x": [datetime.min, datetime.max]})
    assert checked(edges, schema).ok


def test_objects_in_a_column_are_refused_with_what_they_are() -> None:
    things = pl.DataFrame({"x": pl.Series([{1}, {1}], dtype=pl.Object)})
    with pytest.raises(BadData, match=r"found Object values such as \{1\}; expected numbers"):
        checked(things, ty.Schema(x=ty.number()))


def test_long_values_are_cut_in_examples() -> None:
    finding = only(
        checked(pl.DataFrame({"x": ["y" * 999, "y"]}), ty.Schema(x=ty.text(max_length=9)))
    )
    assert len(finding.examples[0]) < 100


def picture(size: int = 2) -> bytes:
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (size, size)).save(file, "png")
    return file.getvalue()


def test_pictures_must_open() -> None:
    good = picture()
    rows = pl.DataFrame({"x": [good, b"not a picture", good[:-20], b"", None]})
    found = checked(rows, ty.Schema(x=ty.image()))
    assert counts(found) == {("x", "is missing"): 2, ("x", "cannot be opened as a picture"): 2}
    assert found.findings[1].examples[0].startswith("row 2: 13 bytes")


def test_a_picture_that_no_request_may_carry_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "LARGEST_IMAGE_BYTES", 2 << 20)
    rows = pl.DataFrame({"x": [picture(), b"x" * (2 << 20), b"x" * ((2 << 20) + 1)]})
    found = checked(rows, ty.Schema(x=ty.image()))
    assert counts(found) == {
        ("x", "is larger than 2 MiB"): 1,
        ("x", "cannot be opened as a picture"): 1,
    }
    assert found.findings[0].examples[0].startswith("row 3: 2,097,153 bytes")
    assert found.findings[0].meaning == "A request with such a picture is refused."


TENSOR = ty.Schema(x=ty.tensor((2, 2), ge=0, le=9))


@pytest.mark.parametrize("nested", [True, False])
def test_tensors_hold_finite_numbers_within_bounds(nested: bool) -> None:
    values = np.arange(20.0).reshape(5, 2, 2) - 4
    values[2, 0, 0] = np.nan
    series = pl.Series("x", values)
    rows = (series if not nested else series.arr.to_list()).to_frame()
    assert counts(checked(rows, TENSOR)) == {
        ("x", "holds elements that are not finite"): 1,
        ("x", "holds elements below 0"): 1,
        ("x", "holds elements above 9"): 2,
    }
    checker = Checker(TENSOR)
    assert checker.update(rows).accepted.schema["x"] == pl.Array(pl.Float32, (2, 2))


def test_a_tensor_of_another_shape_is_set_aside() -> None:
    cells = [[[1, 2], [3, 4]], [[1, 2]], [[1], [2]], None, [[1, None], [3, 4]]]
    found = checked(pl.DataFrame({"x": cells}), TENSOR)
    assert counts(found) == {
        ("x", "is not of shape [2, 2]"): 2,
        ("x", "is missing"): 1,
        ("x", "holds elements that are not finite"): 1,
    }
    assert found.accepted == 1


def test_rows_whose_every_tensor_has_another_shape_are_set_aside() -> None:
    found = checked(pl.DataFrame({"x": [[[1, 2, 3], [4, 5, 6]], [[1, 2]]]}), TENSOR)
    assert counts(found)["x", "is not of shape [2, 2]"] == 2
    assert found.findings[0].examples == (
        "row 1: [[1, 2, 3], [4, 5, 6]]",
        "row 2: [[1, 2]]",
    )
    assert found.accepted == 0


@pytest.mark.parametrize("values", [[1.0], [[1.0]], [[["a"]]]])
def test_a_column_without_such_dimensions_is_no_tensor(values: list[object]) -> None:
    with pytest.raises(BadData, match=r"expected float32 numbers in the shape \[2, 2\]"):
        checked(pl.DataFrame({"x": values}), TENSOR)


# rules of the project

ORDER = ty.rule(
    "arrives before it departs",
    lambda rows: rows["arrives"] >= rows["departs"],
    fields=("departs", "arrives"),
)
TIMES = ty.Schema(departs=ty.number(), arrives=ty.number(optional=True))


def test_a_rule_between_fields_sets_rows_aside() -> None:
    rows = pl.DataFrame({"departs": [1.0, 5.0, 2.0], "arrives": [2.0, 4.0, None]})
    finding = only(checked(rows, TIMES, checks=ty.Checks(rules=[ORDER])))
    assert (finding.field, finding.rows, finding.severity) == ("departs, arrives", 1, "quarantine")
    assert finding.examples == ("row 2: departs=5.0, arrives=4.0",)


def test_a_rule_that_is_not_required_warns() -> None:
    rule = ty.rule("is odd", lambda rows: pl.col("departs") < 2, required=False)
    rows = pl.DataFrame({"departs": [1.0, 5.0], "arrives": [2.0, 6.0]})
    found = checked(rows, TIMES, checks=ty.Checks(rules=[rule]))
    assert (only(found).severity, found.accepted, found.ok) == ("warn", 2, True)
    assert only(found).examples == ("row 2",)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda rows: rows["nope"] > 1, r"rule 'mine': found ColumnNotFoundError"),
        (lambda rows: 1 / 0, r"rule 'mine': found ZeroDivisionError: division by zero"),
        (lambda rows: True, r"found a bool; expected a boolean per row"),
        (lambda rows: rows["departs"], r"found a Series of Float64"),
        (lambda rows: (rows["departs"] > 1)[:1], r"found 1 answers for 2 rows"),
        (lambda rows: pl.lit(True), r"found 1 answers for 2 rows"),
        (lambda rows: rows["departs"] < rows["departs"].mean(), r"for row 1 among others but"),
    ],
)
def test_a_faulty_rule_is_a_fault_of_the_project(function: Any, said: str) -> None:
    rows = pl.DataFrame({"departs": [1.0, 5.0], "arrives": [2.0, 6.0]})
    with pytest.raises(BadProject, match=said):
        checked(rows, TIMES, checks=ty.Checks(rules=[ty.rule("mine", function)]))


@pytest.mark.parametrize("names", [(), "day", 3])
def test_what_names_no_set_of_fields_cannot_be_unique(names: Any) -> None:
    with pytest.raises(BadProject, match=r"found unique=\[.*sets of one field or more"):
        ty.Checks(unique=[names])


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(BadProject, match="two rules of one name"):
        ty.Checks(rules=[ORDER, ORDER])


@pytest.mark.parametrize("mostly", [0.0, 0.99])
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", None])), max_size=40),
    st.integers(1, 9),
)
@settings(max_examples=50, deadline=None)
def test_sets_of_fields_are_unique_over_all_rows(
    mostly: float, pairs: list[tuple[int, str | None]], size: int
) -> None:
    rows = pl.DataFrame(
        pairs, schema={"n": pl.Int64, "s": pl.String}, orient="row"
    )  # fmt: skip
    schema = ty.Schema(n=ty.integer(), s=ty.category(optional=True))
    checker = Checker(schema, checks=ty.Checks(unique=[("n", "s")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "_MOSTLY", mostly)
        kept = [checker.update(chunk).accepted for chunk in rows.iter_slices(size) if chunk.height]
    expected, seen = [], set()
    for pair in pairs:
        if pair[1] is None or pair not in seen:
            expected.append(pair)
            seen.add(pair)
    assert [row for part in kept for row in part.rows()] == expected


def test_freshness_is_measured_from_the_clock() -> None:
    checks = ty.Checks(fresh="when", fresh_within_days=10)
    rows = frame()
    assert checked(rows, checks=checks, now=datetime(2024, 1, 11, tzinfo=UTC)).ok
    finding = only(checked(rows, checks=checks, now=datetime(2024, 1, 12, tzinfo=UTC)))
    assert (finding.severity, finding.field) == ("fail", "when")
    assert finding.rule == "is at most 2024-01-01 00:00:00, 11 days ago"


# labels

TASK = ty.binary_classification("late")
KINDS = ty.multiclass_classification("kind", classes=["1", "2", "3"])


def labelled(labels: list[Any], task: Task = TASK, **columns: Any) -> Validation:
    rows = pl.DataFrame({"x": [float(n) for n in range(len(labels))], task.label: labels})
    return checked(rows.with_columns(**columns), ty.Schema(x=ty.number()), task=task)


@pytest.mark.parametrize(
    ("labels", "task", "rule", "severity"),
    [
        ([True, False], TASK, None, ""),
        ([True, True], TASK, "is always late", "fail"),
        ([None, None], TASK, "is missing in every row", "fail"),
        ([True, False, None, None, None], TASK, "is missing in 60.0% of rows", "warn"),
        ([True] + [False] * 200, TASK, "is late in 0.50% of rows", "warn"),
        ([1, 2, 3], KINDS, None, ""),
        (["1", "2", "3", "4"], KINDS, "is not one of the task's classes", "fail"),
        (["1", "2"], KINDS, "is never 3", "fail"),
    ],
)
def test_labels_must_be_fit_to_learn_from(
    labels: list[Any], task: Task, rule: str | None, severity: str
) -> None:
    found = labelled(labels, task)
    assert [(item.rule, item.severity) for item in found.findings] == (
        [] if rule is None else [(rule, severity)]
    )


def test_a_label_of_another_type_is_refused() -> None:
    with pytest.raises(BadData, match=r"column 'late'.*expected true or false"):
        labelled(["yes", "no"])


def test_equal_rows_with_different_labels_are_counted() -> None:
    rows = pl.DataFrame(
        {"id": ["a", "b", "c", "d"], "x": [1.0, 1.0, 1.0, 2.0], "late": [True, False, None, False]}
    )
    schema = ty.Schema(id=ty.id(), x=ty.number())
    for size in (1, 2, 4):
        checker = Checker(schema, task=TASK)
        for chunk in rows.iter_slices(size):
            checker.update(chunk)
        finding = only(checker.result())
        assert (finding.rule, finding.rows, finding.severity) == (
            "differs between equal rows", 1, "warn",
        )  # fmt: skip
        assert finding.examples == ("row 2: False",)


def test_rows_seen_before_are_neither_counted_nor_repeated() -> None:
    schema = ty.Schema(x=ty.id(unique=True))
    checker = Checker(schema)
    checker.seed(pl.DataFrame({"x": ["a", "b"]}))
    parted = checker.update(pl.DataFrame({"x": ["b", "c"]}))
    assert parted.accepted["x"].to_list() == ["c"]
    assert (checker.result().rows, only(checker.result()).rows) == (2, 1)
