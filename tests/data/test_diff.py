"""Differences between versions: held against a plain reading of both tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.core.errors import BadUsage
from torchyard.core.record import from_json, to_json
from torchyard.data.comparing.rows import Rows
from torchyard.data.diff import diff
from torchyard.data.profile import Profiler
from torchyard.records.dataset import DatasetVersion
from torchyard.records.difference import DatasetDiff, FieldChange
from torchyard.records.schema import Schema

SCHEMA = ty.Schema(
    id=ty.id(unique=True),
    x=ty.number(optional=True, unit="km"),
    color=ty.category(optional=True),
)


def version_of(frame: pl.DataFrame, schema: Schema, *, label: str | None, rows: int = 3) -> Rows:
    """A version as importing would describe it, read in small chunks."""
    profiler = Profiler(schema)
    profiler.update(frame)
    version = DatasetVersion(
        name="data", digest=f"sha256:{frame.height}", number=1, parent=None, operation="replace",
        table_version=1, created="2026-01-01T00:00:00+00:00", author="sam", reason="", source="x",
        schema=schema, label=label, rows=frame.height, quarantined=0, findings=(),
        profile=profiler.result(),
    )  # fmt: skip

    def read(names: Sequence[str]) -> Iterator[pl.DataFrame]:
        return frame.select(names).iter_slices(rows)

    return Rows(version, read)


def table(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    types = {"id": pl.String, "x": pl.Float64, "color": pl.String, "late": pl.Boolean}
    return pl.DataFrame(rows, schema=types, orient="row")


def compared(
    before: Sequence[tuple[Any, ...]],
    after: Sequence[tuple[Any, ...]],
    *,
    key: Sequence[str] = (),
    schema: Schema = SCHEMA,
) -> DatasetDiff:
    one = version_of(table(before), schema, label="late")
    return diff(one, version_of(table(after), schema, label="late"), key=key)


ROW = st.tuples(
    st.sampled_from([f"r{n}" for n in range(12)]),
    st.none() | st.sampled_from([0.0, -0.0, 1.5, 2.0]),
    st.sampled_from(["red", "blue", None]),
    st.none() | st.booleans(),
)
KEYED = st.lists(ROW, max_size=12, unique_by=lambda row: row[0])


@settings(max_examples=80, deadline=None)
@given(KEYED, KEYED)
def test_rows_by_key_and_as_a_whole_as_a_plain_loop_finds_them(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    found = compared(before, after)
    assert from_json(DatasetDiff, to_json(found), where="diff") == found
    gain = Counter(after)
    gain.subtract(Counter(before))
    assert found.rows_added == sum(n for n in gain.values() if n > 0)
    assert found.rows_removed == -sum(n for n in gain.values() if n < 0)
    old, new = ({row[0]: row for row in rows} for rows in (before, after))
    keyed = found.keyed
    assert keyed is not None
    assert keyed.key == ("id",)
    assert keyed.added_examples == tuple(f"id='{key}'" for key in new if key not in old)[:5]
    assert keyed.removed_examples == tuple(f"id='{key}'" for key in old if key not in new)[:5]
    assert (keyed.added, keyed.removed) == (len(new.keys() - old.keys()), len(old.keys() - new))
    both = [key for key in new if key in old]
    assert keyed.changed == sum(old[key] != new[key] for key in both)
    names = ["id", "x", "color", "late"]
    changed = {
        name: [key for key in both if old[key][place] != new[key][place]]
        for place, name in enumerate(names)
    }
    assert {item.field: item.rows for item in keyed.fields} == {
        name: len(keys) for name, keys in changed.items() if keys
    }
    assert [item.rows for item in keyed.fields] == sorted(
        (len(keys) for keys in changed.values() if keys), reverse=True
    )
    for item in keyed.fields:
        place, keys = names.index(item.field), changed[item.field][:5]
        assert item.examples == tuple(
            f"id='{key}': {shown(new[key][place])}, was {shown(old[key][place])}" for key in keys
        )


def shown(value: object) -> str:
    return "missing" if value is None else repr(value)


ANY = st.lists(ROW, max_size=30)
UNKEYED = ty.Schema(id=ty.category(), x=SCHEMA.field("x"), color=SCHEMA.field("color"))


@settings(max_examples=60, deadline=None)
@given(ANY, ANY)
def test_repeated_rows_count_and_so_do_shares(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    found = compared(before, after, schema=UNKEYED)
    assert found.keyed is None
    gain = Counter(after)
    gain.subtract(Counter(before))
    assert found.rows_added == sum(n for n in gain.values() if n > 0)
    moved = {change.field: change.distance for change in found.changes}
    for place, name in ((2, "color"), (3, "late")):
        shares = [
            {value: n / len(rows) for value, n in Counter(row[place] for row in rows).items()}
            for rows in (before, after)
        ]
        values = shares[0].keys() | shares[1].keys()
        expected = sum(abs(shares[0].get(v, 0) - shares[1].get(v, 0)) for v in values) / 2
        assert moved.get(name, 0.0) == pytest.approx(expected)
    distances = [change.distance for change in found.changes]
    assert distances == sorted(distances, reverse=True)


def change_of(found: DatasetDiff, field: str) -> FieldChange:
    return next(change for change in found.changes if change.field == field)


def test_how_far_numbers_and_categories_moved() -> None:
    before = [(f"r{n}", float(n), "red" if n % 2 else "blue", True) for n in range(100)]
    after = [(f"r{n}", n + 10.0, "red" if n % 2 else "green", True) for n in range(100)]
    found = compared(before, after)
    x, color = change_of(found, "x"), change_of(found, "color")
    assert x.decile_shift == pytest.approx(10)
    assert x.unit == "km"
    assert x.mean_shift == pytest.approx(10 / np.std(np.arange(100.0)))
    assert x.distance == pytest.approx(0.1, abs=0.03)
    assert color.distance == pytest.approx(0.5)
    assert (color.new_values, color.vanished_values) == (("green",), ("blue",))
    assert [change.field for change in found.changes] == ["color", "x"]
    assert compared(before, before).changes == ()


def test_the_smallest_change_of_a_large_table_is_found() -> None:
    random = np.random.default_rng(1)
    rows = 30_000
    frame = pl.DataFrame(
        {
            "id": [f"r{n}" for n in range(rows)],
            "x": random.lognormal(0, 2, rows),
            "color": random.choice(["red", "blue"], rows),
            "late": random.random(rows) < 0.3,
        }
    )
    other = frame.with_columns(
        x=pl.when(pl.col("id") == "r777").then(1e9).otherwise("x"),
    ).sample(fraction=1, shuffle=True, seed=2)
    sides = [version_of(it, SCHEMA, label="late", rows=7_000) for it in (frame, other)]
    found = diff(*sides)
    assert (found.rows_added, found.rows_removed) == (1, 1)
    keyed = found.keyed
    assert keyed is not None
    assert (keyed.added, keyed.removed, keyed.changed) == (0, 0, 1)
    assert [item.field for item in keyed.fields] == ["x"]
    assert keyed.fields[0].examples[0].startswith("id='r777': 1000000000.0, was ")
    # Counted anew in the same bins, though the sketches of both were approximate.
    assert change_of(found, "x").distance == pytest.approx(1 / rows)


def test_declarations_that_changed_are_told() -> None:
    before = ty.Schema(x=ty.number(le=120, unit="km"), gone=ty.integer(), color=ty.category(["a"]))
    after = ty.Schema(x=ty.number(optional=True), color=ty.category(["a", "b"]), new=ty.integer())
    columns = {"x": [1.0], "color": ["a"]}
    one = version_of(pl.DataFrame({**columns, "gone": [1]}), before, label=None)
    two = version_of(pl.DataFrame({**columns, "new": [1]}), after, label=None)
    found = diff(one, two)
    assert (found.fields_added, found.fields_removed) == (("new",), ("gone",))
    assert [(item.field, item.changes) for item in found.fields_redeclared] == [
        ("x", ("optional: yes, was no", "le: none, was 120", "unit: none, was km")),
        ("color", ("values: a, b, was a",)),
    ]
    assert (found.rows_added, found.rows_removed, found.changes) == (0, 0, ())


def test_a_field_of_another_kind_has_other_values_and_no_distance() -> None:
    one = version_of(pl.DataFrame({"x": [1, 2]}), ty.Schema(x=ty.integer()), label=None)
    two = version_of(pl.DataFrame({"x": ["1", "2"]}), ty.Schema(x=ty.category()), label=None)
    found = diff(one, two)
    assert (found.rows_added, found.rows_removed, found.changes) == (2, 2, ())
    assert found.fields_redeclared[0].changes == ("kind: category, was integer",)


def test_texts_pictures_and_tensors_are_compared() -> None:
    schema = ty.Schema(note=ty.text(), photo=ty.image(), point=ty.tensor(shape=(2,)))
    frames = [
        pl.DataFrame(
            {
                "note": pl.Series(notes),
                "photo": pl.Series(photos, dtype=pl.Binary),
                "point": pl.Series(points, dtype=pl.Array(pl.Float32, 2)),
            }
        )
        for notes, photos, points in (
            (["a b", "c d"], [b"1", b"22"], [[0.0, 1.0], [1.0, 2.0]]),
            (["a b", "long and longer"], [b"1", b"3"], [[0.0, 1.0], [0.0, 0.0]]),
        )
    ]
    found = diff(*(version_of(frame, schema, label=None) for frame in frames))
    assert (found.rows_added, found.rows_removed) == (1, 1)
    names = {change.field for change in found.changes}
    assert {"note characters", "note words", "photo bytes", "point mean"} <= names


def test_keys_of_several_fields_and_personal_ones() -> None:
    schema = ty.Schema(day=ty.integer(), who=ty.id(personal=True), age=ty.integer(personal=True))
    one = pl.DataFrame({"day": [1, 1, 2], "who": ["a", "b", "a"], "age": [30, 40, 50]})
    two = pl.DataFrame({"day": [1, 2, 2], "who": ["a", "a", "b"], "age": [31, 50, 60]})
    found = diff(
        *(version_of(frame, schema, label=None) for frame in (one, two)), key=("day", "who")
    )
    keyed = found.keyed
    assert keyed is not None
    assert (keyed.added, keyed.removed, keyed.changed) == (1, 1, 1)
    assert keyed.added_examples == ("day=2, who=(personal)",)
    assert keyed.fields[0].examples == ("day=1, who=(personal): (personal), was (personal)",)


def test_a_key_that_names_several_rows_is_refused() -> None:
    rows = [("a", 1.0, "red", True), ("b", 1.0, "red", True), ("c", 2.0, "blue", True)]
    with pytest.raises(BadUsage) as refusal:
        compared(rows[:1], rows, key=["x", "color"])
    assert str(refusal.value) == (
        "key x, color: found 2 rows of the later version that share theirs with another, for "
        "example x=1.0, color='red'; expected a key that names one row. "
        "Add a field to the key that tells these rows apart."
    )


def test_a_key_that_is_no_field_is_refused() -> None:
    with pytest.raises(BadUsage) as refusal:
        compared([], [], key=["idd"])
    assert str(refusal.value) == (
        "key: found 'idd'; expected a field that both versions have. Did you mean 'id'?"
    )


def test_many_changed_rows_are_compared_a_few_fields_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [(f"r{n}", float(n), "red", True) for n in range(9)]
    after = [(f"r{n}", n + 1.0, "blue", n > 3) for n in range(9)]
    whole = compared(before, after)
    monkeypatch.setattr("torchyard.data.comparing.rows._MOST_VALUES", 10)
    assert compared(before, after) == whole
    assert whole.keyed is not None
    assert [(item.field, item.rows) for item in whole.keyed.fields] == [
        ("x", 9), ("color", 9), ("late", 4),
    ]  # fmt: skip


def test_a_label_that_is_a_number_is_compared_as_one() -> None:
    frames = [
        pl.DataFrame({"x": [1.0] * 6_000, "delay": [shift + n / 10 for n in range(6_000)]})
        for shift in (0.0, 300.0)
    ]
    schema = ty.Schema(x=ty.number())
    found = diff(*(version_of(frame, schema, label="delay", rows=1_000) for frame in frames))
    (delay,) = (change for change in found.changes if change.field == "delay")
    assert delay.new_values == ()
    assert delay.mean_shift == pytest.approx(300 / np.std(frames[0]["delay"].to_numpy()), rel=1e-3)
