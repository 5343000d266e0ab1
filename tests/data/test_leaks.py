"""Each kind of leak is planted and found; data without a leak gives no finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

import torchyard as ty
from torchyard.core.errors import BadData
from torchyard.data.leaks import find_leaks
from torchyard.data.rules import Checks
from torchyard.data.split import fit_splitter
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Field, Schema, Task

BOUGHT = ty.binary_classification("bought", classes=("no", "yes"))
FIELDS = {
    "amount": ty.number(ge=0),
    "visits": ty.integer(),
    "colour": ty.category(),
    "member": ty.boolean(optional=True),
    "seen": ty.timestamp(),
    "part": ty.category(["train", "validation", "test"], later=True),
}
GIVEN = ty.split_by_column("part")
HASH = ty.split_by_hash()


def clean(seed: int = 0, rows: int = 3000) -> pl.DataFrame:
    """Rows whose label depends a little on their fields, and nothing else on it."""
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 50.0, rows)
    visits = random.poisson(4, rows)
    chance = 1 / (1 + np.exp(-(amount - 100) / 60 - (visits - 4) / 4))
    member = pl.Series(random.random(rows) < 0.4)
    start = datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "amount": amount,
            "visits": visits.astype(np.int64),
            "colour": random.choice(["red", "green", "blue"], rows),
            "member": member.set(pl.Series(random.random(rows) < 0.1), None),
            "seen": [start + timedelta(seconds=float(s)) for s in random.uniform(0, 3e7, rows)],
            "part": random.choice(["train", "validation", "test"], rows, p=[0.6, 0.2, 0.2]),
            "bought": random.random(rows) < chance,
        }
    )


def leaks(
    frame: pl.DataFrame,
    rule: SplitRule = GIVEN,
    task: Task = BOUGHT,
    size: int = 1000,
    checks: Checks | None = None,
    fields: Mapping[str, Field] = {},
    **more: Field,
) -> tuple[Finding, ...]:
    schema: Schema = ty.Schema(**{**FIELDS, **fields, **more})

    def chunks() -> Iterator[pl.DataFrame]:
        return frame.iter_slices(size)

    splitter = fit_splitter(rule, task, schema, chunks)
    return find_leaks(chunks, splitter, schema, task, rule, checks or Checks())


def the(findings: tuple[Finding, ...]) -> Finding:
    assert len(findings) == 1, [(found.field, found.rule) for found in findings]
    return findings[0]


def flags(frame: pl.DataFrame, share: float, seed: int = 1) -> pl.Series:
    return pl.Series(np.random.default_rng(seed).random(frame.height) < share)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "rule",
    [
        GIVEN,
        HASH,
        ty.split_stratified(),
        ty.split_by_group("colour", validation=0.3, test=0.3),
        ty.split_by_time("seen", validation="2024-08-01", test="2024-10-01"),
    ],
    ids=lambda rule: rule.by,
)
def test_clean_data_has_no_leak(seed: int, rule: SplitRule) -> None:
    assert leaks(clean(seed), rule) == ()


def test_the_findings_do_not_depend_on_chunks_and_serious_ones_come_first() -> None:
    frame = clean(rows=1500).with_columns(
        who=pl.Series([f"c{n % 300}" for n in range(1500)]),
        outcome=pl.when("bought").then(pl.lit("Yes")).otherwise(pl.lit("no")),
    )
    found = [
        leaks(frame, size=size, who=ty.id(), outcome=ty.category()) for size in (61, 640, 1500)
    ]
    assert found[0] == found[1] == found[2]
    assert [item.severity for item in found[0]] == ["fail", "warn"]


def test_leaks_that_are_only_to_be_reported_are_warnings() -> None:
    frame = clean().with_columns(copy=pl.col("bought"))
    assert the(leaks(frame, copy=ty.boolean())).severity == "fail"
    checks = Checks(leaks="warn")
    assert the(leaks(frame, checks=checks, copy=ty.boolean())).severity == "warn"


def test_rows_copied_from_test_into_train_are_found() -> None:
    frame = clean()
    copies = frame.filter(pl.col("part") == "test").head(200)
    copies = copies.with_columns(part=pl.lit("train"), bought=~pl.col("bought"))
    found = the(leaks(pl.concat([frame, copies])))
    assert found.rule == "are equal in rows of train and test"
    assert found.field == "amount, visits, colour, member, seen"
    assert (found.severity, found.rows) == ("fail", 200)
    assert found.rows_checked == frame.filter(pl.col("part") == "test").height
    assert len(found.examples) == 5
    assert found.examples[0].startswith("amount=")
    assert "200 of these stand with different labels." in found.meaning
    assert "ty.split_by_hash()" in found.meaning


def test_some_repeats_everywhere_are_a_warning_and_a_split_by_hash_cures_them() -> None:
    frame = clean(rows=4000)
    repeats = frame.head(400).with_columns(part=frame["part"].reverse().head(400))
    doubled = pl.concat([frame, repeats])
    assert {found.severity for found in leaks(doubled)} == {"warn"}
    assert leaks(doubled, HASH) == ()


def test_rows_of_little_content_repeat_by_nature() -> None:
    frame = clean().with_columns(seen=pl.lit(datetime(2024, 1, 1)), amount=1.0, visits=1)
    assert leaks(frame) == ()


def test_copies_with_other_ids_and_noise_are_nearly_equal() -> None:
    frame = clean().with_columns(key=pl.Series([f"k{n}" for n in range(3000)]))
    copies = frame.filter(pl.col("part") == "test").head(200)
    copies = copies.with_columns(
        part=pl.lit("train"), key=pl.lit("x") + pl.col("key"), amount=pl.col("amount") * 1.000001
    )
    found = the(leaks(pl.concat([frame, copies]), key=ty.id()))
    assert found.rule == "are nearly equal in rows of train and test"
    assert found.severity == "warn"
    assert 150 < found.rows <= 200
    assert "rounded to 4 digits and ids are left out" in found.meaning


def test_what_coincides_once_rounded_is_told_from_copies_by_more_digits() -> None:
    frame = clean(rows=6000).with_columns(
        amount=pl.Series(10 ** np.random.default_rng(0).uniform(0, 6, 6000)),
        visits=1, colour=pl.lit("red"), member=True, seen=pl.lit(datetime(2024, 1, 1)),
    )  # fmt: skip
    assert leaks(frame) == ()
    some = frame.head(900).with_columns(part=frame["part"].reverse().head(900))
    copies = pl.concat([frame, some.with_columns(amount=pl.col("amount") * (1 + 1e-9))])
    found = leaks(copies)
    assert {item.severity for item in found} == {"warn"}
    assert {item.rule for item in found} == {
        f"are nearly equal in rows of {pair}"
        for pair in ("train and validation", "train and test", "validation and test")
    }


def test_rows_of_a_few_categories_may_repeat_as_often_as_chance_has_it() -> None:
    random = np.random.default_rng(0)
    values = [str(value) for value in random.integers(0, 20_000, 6000)]
    frame = clean(rows=6000).with_columns(pl.Series("colour", values))
    fields = ("visits", "seen", "amount", "member")
    later = {name: dataclasses.replace(FIELDS[name], later=True) for name in fields}
    assert leaks(frame, fields=later) == ()
    some = frame.filter(pl.col("part") == "test").head(600).with_columns(part=pl.lit("train"))
    assert the(leaks(pl.concat([frame, some]), fields=later)).severity == "fail"


def test_entities_in_two_parts_are_named_unless_the_split_is_by_them() -> None:
    frame = clean().with_columns(who=pl.Series([f"c{n % 300}" for n in range(3000)]))
    found = the(leaks(frame, HASH, who=ty.id(later=True)))
    assert (found.field, found.severity) == ("who", "warn")
    assert found.rule.startswith("stands in train and ")
    assert found.rows == found.rows_checked
    assert all(example.startswith("who='c") for example in found.examples)
    assert "ty.split_by_group('who')" in found.meaning
    assert leaks(frame, ty.split_by_group("who"), who=ty.id(later=True)) == ()


def test_personal_values_are_not_shown() -> None:
    frame = clean().with_columns(who=pl.Series([f"c{n % 300}" for n in range(3000)]))
    found = the(leaks(frame, HASH, who=ty.id(personal=True, later=True)))
    assert set(found.examples) == {"who=(personal)"}


def leaky(name: str, frame: pl.DataFrame) -> tuple[pl.Series, Field]:
    """A column that gives the label away without being it."""
    random = np.random.default_rng(3)
    label = frame["bought"].to_numpy()
    noise = random.random(frame.height)
    columns: dict[str, tuple[Sequence[object], Field]] = {
        "number": ((label * 2 + noise).tolist(), ty.number()),
        "category": (
            [f"{'ab'[int(late)]}{n % 20}" for n, late in enumerate(label)],
            ty.category(),
        ),
        "time": (
            [datetime(2023, 1, 1) + timedelta(days=400 * float(late) + float(r))
             for late, r in zip(label, noise, strict=True)],
            ty.timestamp(),
        ),
        "length": (["x" * (3 + 9 * int(late)) + f"{n}" for n, late in enumerate(label)], ty.text()),
        "picture": ([b"p" * (1 + 9 * int(late)) + bytes([n % 256])
                     for n, late in enumerate(label)], ty.image()),
    }  # fmt: skip
    values, field = columns[name]
    return pl.Series("leaky", values), field


@pytest.mark.parametrize("name", ["number", "category", "time", "length", "picture"])
def test_a_field_that_predicts_the_label_alone_is_found(name: str) -> None:
    column, field = leaky(name, clean())
    found = the(leaks(clean().with_columns(column), leaky=field))
    assert (found.field, found.rule) == ("leaky", "predicts the label alone")
    assert found.severity == "fail"
    assert found.rows == clean().filter(pl.col("part") == "validation").height
    assert len(found.examples) == 5
    assert "alone reaches AUROC 1.000 on the validation part, above 0.98" in found.meaning
    assert "Declare it later=True" in found.meaning
    assert leaks(clean().with_columns(column), leaky=_later(field)) == ()


def _later(field: Field) -> Field:
    return dataclasses.replace(field, later=True)


def test_the_limit_on_what_a_field_predicts_is_the_projects() -> None:
    noisy = clean().with_columns(
        hint=pl.when(flags(clean(), 0.1)).then(~pl.col("bought")).otherwise("bought")
    )
    assert leaks(noisy, hint=ty.boolean()) == ()
    checks = Checks(predicts_alone_at_most=0.85)
    assert the(leaks(noisy, checks=checks, hint=ty.boolean())).field == "hint"


def test_one_field_that_holds_each_of_several_classes_is_found() -> None:
    task = ty.multiclass_classification("kind", classes=["cat", "dog", "owl"])
    kind = np.random.default_rng(5).integers(0, 3, 3000)
    frame = clean().with_columns(
        kind=pl.Series([task.classes[code] for code in kind]),
        code=pl.Series([10, 5, 7]).gather(kind),
    )
    found = the(leaks(frame, task=task, code=ty.integer()))
    assert (found.rule, found.field) == ("predicts the label alone", "code")
    assert leaks(frame, task=task) == ()


def test_a_field_that_is_missing_exactly_with_the_label_is_found() -> None:
    frame = clean().with_columns(paid=pl.when("bought").then("amount"))
    found = the(leaks(frame, paid=ty.number(optional=True)))
    assert found.rule == "is missing exactly when the label is 'no'"
    assert (found.field, found.severity) == ("paid", "fail")
    assert "Declare it later=True" in found.meaning


def test_a_field_that_is_filled_in_one_class_alone_is_warned_of() -> None:
    refunded = pl.col("bought") & flags(clean(), 0.2)
    frame = clean().with_columns(refund=pl.when(refunded).then("amount"))
    found = the(leaks(frame, refund=ty.number(optional=True)))
    assert found.rule == "is filled only when the label is 'yes'"
    assert found.severity == "warn"
    assert found.rows == frame["refund"].count()


def test_a_field_that_comes_with_the_label_is_warned_of() -> None:
    known = flags(clean(), 0.8)
    frame = clean().with_columns(
        bought=pl.when(known).then("bought"), note=pl.when(known).then("colour")
    )
    found = the(leaks(frame, note=ty.category(optional=True)))
    assert found.rule == "is filled only where the label is known"
    assert found.severity == "warn"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (pl.col("bought"), ty.boolean()),
        (pl.col("bought").cast(pl.Float64), ty.number()),
        (pl.col("bought").cast(pl.Int64), ty.integer()),
        (pl.when("bought").then(pl.lit("YES")).otherwise(pl.lit("No")), ty.category()),
        (pl.col("bought").cast(pl.String), ty.text()),
    ],
)
def test_a_field_that_equals_the_label_is_found_once(values: pl.Expr, field: Field) -> None:
    found = the(leaks(clean().with_columns(outcome=values), outcome=field))
    assert (found.field, found.rule) == ("outcome", "equals the label")
    assert (found.severity, found.rows) == ("fail", 3000)
    assert found.examples[0].endswith((": yes", ": no"))
    assert "It says what 'bought' says" in found.meaning


def test_classes_that_are_numbers_are_compared_as_numbers() -> None:
    task = ty.multiclass_classification("kind", classes=["1", "2", "30"])
    kind = pl.Series([1, 2, 30]).gather(np.random.default_rng(5).integers(0, 3, 3000))
    frame = clean().with_columns(kind=kind, again=kind.cast(pl.Float64))
    assert the(leaks(frame, task=task, again=ty.number())).rule == "equals the label"


def test_a_field_named_like_the_label_is_warned_of() -> None:
    frame = clean().with_columns(was_Bought=pl.col("member"))
    found = the(leaks(frame, was_Bought=ty.boolean(optional=True)))
    assert (found.rule, found.severity) == ("is named like the label", "warn")


def test_a_time_after_the_moment_of_prediction_is_warned_of() -> None:
    rule = ty.split_by_time("seen", validation="2024-08-01", test="2024-10-01")
    frame = clean().with_columns(shipped=pl.col("seen") + pl.duration(hours=30))
    found = the(leaks(frame, rule, shipped=ty.timestamp()))
    assert (found.field, found.rule) == ("shipped", "lies after seen")
    assert (found.severity, found.rows) == ("warn", 3000)
    assert "Declare it later=True if it is measured." in found.meaning
    assert leaks(frame, rule, shipped=ty.timestamp(later=True)) == ()


def test_without_a_split_by_time_the_moment_is_the_latest_other_time() -> None:
    frame = clean().with_columns(shipped=pl.col("seen") + pl.duration(hours=30))
    assert the(leaks(frame, HASH, shipped=ty.timestamp())).rule == "lies after seen"


def test_label_rates_that_move_in_time_ask_for_a_split_by_time() -> None:
    late = pl.col("seen").rank() / 3000
    moved = pl.Series(np.random.default_rng(2).random(3000)) < 0.2 + 0.5 * late
    frame = clean().with_columns(bought=moved)
    found = the(leaks(frame, HASH))
    assert (found.field, found.rule) == ("seen", "carries a trend of the label")
    assert found.severity == "warn"
    assert len(found.examples) == 10
    assert "Use ty.split_by_time('seen', ...)" in found.meaning
    by_time = ty.split_by_time("seen", validation="2024-08-01", test="2024-10-01")
    assert leaks(frame, by_time) == ()
    place = pl.when(late < 0.6).then(pl.lit("train")).when(late < 0.8).then(pl.lit("validation"))
    assert leaks(frame.with_columns(part=place.otherwise(pl.lit("test")))) == ()


def test_rows_in_no_part_are_counted() -> None:
    frame = clean().with_columns(
        part=pl.when(flags(clean(), 0.1)).then(pl.lit("Test")).otherwise("part")
    )
    found = the(leaks(frame))
    assert (found.field, found.rule) == ("part", "is in no part")
    assert found.examples == ("'Test'",)
    assert found.rows == (frame["part"] == "Test").sum()


def test_a_label_that_is_no_class_is_refused() -> None:
    task = ty.multiclass_classification("colour_then", classes=["red", "green", "grey"])
    with pytest.raises(BadData, match="found 'blue'; expected one of red, green, grey"):
        leaks(clean().with_columns(colour_then=pl.col("colour")), task=task)


def test_no_rows_are_no_leak() -> None:
    assert leaks(clean().clear()) == ()
    assert leaks(clean(rows=12)) == ()
