"""A proposed schema runs, holds for all rows, and says what it could not be sure of."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.cli.main import run
from torchyard.core.errors import BadData
from torchyard.core.record import from_json
from torchyard.data.check import validate
from torchyard.data.propose import Proposal, propose
from torchyard.data.proposing.infer import outward
from torchyard.data.proposing.shapes import Shapes
from torchyard.data.source import open_source
from torchyard.records.schema import Field, Schema

ROWS = 600
PNG = b"\x89PNG\r\n\x1a\n"


def proposal(frame: object, **options: Any) -> Proposal:
    return propose(open_source(frame, folder=Path()), **options)


def declared(code: str) -> Schema:
    names: dict[str, Any] = {}
    exec(code, names)
    found = names["schema"]
    assert isinstance(found, Schema)
    return found


def one(values: Any, **options: Any) -> tuple[Field, list[str]]:
    """The field proposed for a column of the name x, and the notes on it."""
    found = proposal(pl.DataFrame({"x": values, "other": range(len(values))}), **options)
    return found.schema.field("x"), notes(found, "x")


def notes(found: Proposal, name: str) -> list[str]:
    return [note.text for note in found.notes if note.field == name]


def cycle(values: list[Any], rows: int = ROWS) -> list[Any]:
    """The values again and again, in an order that is not that of the halves."""
    many = (values * (rows // len(values) + 1))[:rows]
    random.Random(3).shuffle(many)
    return many


def shop() -> pl.DataFrame:
    """A table with one column of every kind."""
    random_ = np.random.default_rng(5)
    start = datetime(2024, 1, 1)
    words = ["good value", "broken on arrival", "would buy it again any day", "no", "fine, really"]
    return pl.DataFrame(
        {
            "order": [f"A{n:05}" for n in range(ROWS)],
            "amount": random_.gamma(2, 30, ROWS).round(2),
            "items": random_.integers(1, 5, ROWS),
            "share": random_.random(ROWS),
            "gift": random_.random(ROWS) < 0.2,
            "country": cycle(["DE", "FR", "NL", None]),
            "month": cycle([*range(1, 13)]),
            "when": [start + timedelta(minutes=37 * n) for n in range(ROWS)],
            "day": [str((start + timedelta(days=n)).date()) for n in range(ROWS)],
            "review": cycle([f"{a}; {b} {n}" for n, a in enumerate(words * 20) for b in words]),
            "photo": [PNG + bytes([n % 250]) for n in range(ROWS)],
            "vector": pl.Series(random_.random((ROWS, 2, 3)), dtype=pl.List(pl.List(pl.Float64))),
            "late": random_.random(ROWS) < 0.3,
        }
    )


EXPECTED = {
    "order": Field(name="order", kind="id", pattern=r"A\d{5}", unique=True),
    "items": Field(name="items", kind="integer", ge=1, le=4),
    "share": Field(name="share", kind="number", ge=0, le=1),
    "gift": Field(name="gift", kind="boolean"),
    "country": Field(name="country", kind="category", values=("DE", "FR", "NL"), optional=True),
    "month": Field(name="month", kind="integer", ge=1, le=12),
    "when": Field(name="when", kind="timestamp"),
    "day": Field(name="day", kind="timestamp"),
    "photo": Field(name="photo", kind="image"),
    "vector": Field(name="vector", kind="tensor", shape=(2, 3)),
}


def test_every_kind_is_recognized() -> None:
    found = proposal(shop(), label="late")
    assert found.label == "late"
    assert "late" not in found.schema.names
    assert found.rows == ROWS
    assert found.inferred_rows == found.confirmed_rows == ROWS / 2
    for name, field in EXPECTED.items():
        assert found.schema.field(name) == field
    assert found.schema.field("amount").kind == "number"
    assert found.schema.field("review").kind == "text"
    assert (found.schema.field("review").max_length or 0) >= 40


def test_the_code_runs_and_its_schema_holds_for_the_data() -> None:
    frame = shop().drop("photo")
    found = proposal(frame, label="late")
    schema = declared(found.code)
    assert schema == found.schema
    source = open_source(frame, folder=Path(), schema=schema)
    checked = validate(source, schema)
    assert checked.accepted == ROWS
    assert [(f.rule, f.field) for f in checked.findings] == [("is not in the schema", "late")]


def test_a_csv_is_proposed_as_its_frame_is(tmp_path: Path) -> None:
    frame = shop().select("order", "amount", "items", "gift", "country", "month", "when", "review")
    frame.write_csv(tmp_path / "shop.csv")
    found = propose(open_source("shop.csv", folder=tmp_path))
    assert found.schema == proposal(frame).schema


def test_the_same_seed_gives_the_same_proposal_and_chunks_do_not_matter(tmp_path: Path) -> None:
    frame = shop()
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_parquet(tmp_path / "b.parquet", row_group_size=7)
    one, two = (
        propose(open_source(name, folder=tmp_path), seed=4) for name in ("a.parquet", "b.parquet")
    )
    assert (one.schema, one.code, one.notes) == (two.schema, two.code, two.notes)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (cycle(["yes", "no"]), "category"),
        (cycle([0, 1]), "integer"),
        (cycle([1.0, 2.0, None]), "integer"),
        (cycle([1.0, 2.0]), "number"),
        ([2**60 + n for n in range(ROWS)], "id"),
        (cycle([f"img/{n}.PNG" for n in range(20)]), "image"),
        (cycle(["2024-01-01T10:00", "2024-02-01"]), "timestamp"),
        (cycle([f"N{n}XY" for n in range(100, 400)], 500), "id"),
        (cycle(["Oslo", "Rome", "Łódź"]), "category"),
        ([f"word{'' if n % 3 else ' two'} {n}" for n in range(ROWS)], "text"),
        (cycle([[1, 2], [3, 4]]), "tensor"),
    ],
)
def test_kinds_by_their_values(values: list[Any], kind: str) -> None:
    assert one(values)[0].kind == kind


def test_integer_tensors_and_columns_that_name_entities() -> None:
    found = proposal(
        pl.DataFrame({"t": cycle([[1, 2]]), "customer_id": range(ROWS), "n": range(ROWS)})
    )
    assert found.schema.field("t") == Field(name="t", kind="tensor", shape=(2,), dtype="int64")
    assert found.schema.field("customer_id") == Field(name="customer_id", kind="id", unique=True)
    assert found.schema.field("n").kind == "integer"


def half_of(rows: int, seed: int = 0) -> np.ndarray[Any, np.dtype[Any]]:
    """Which rows confirm: those whose numbers the first half does not see."""
    numbers = pl.DataFrame({"x": [float(n) for n in range(rows)]})
    seen = set[float]()

    class Watched:
        name = "watched"

        def chunks(self, *, rows: int = 0) -> Any:
            return iter([numbers])

    from torchyard.data.propose import _halves

    for _, first, _ in _halves(Watched(), seed):
        seen |= set(first["x"])
    return np.array([float(n) not in seen for n in range(rows)])


def test_the_halves_are_equal_whatever_the_order_of_rows() -> None:
    confirms = half_of(1000)
    assert (confirms.reshape(-1, 2).sum(axis=1) == 1).all()
    assert 300 < confirms[::2].sum() * 2 < 700
    assert (half_of(1000, seed=1) != confirms).any()


def with_odd(values: list[Any], odd: Any, count: int = 1) -> list[Any]:
    """The values, with some that only the confirming half sees."""
    places = np.flatnonzero(half_of(len(values)))[:count]
    return [odd if n in places else value for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "odd", "rule", "expected", "said"),
    [
        (cycle([*range(1, 13)]), 77, "le", None,
         "no firm bound le=12: 1 of 300 rows of the half that confirms lie beyond, such as 77"),
        (cycle([*range(1, 13)]), 0, "ge", 0, "no firm bound ge=1"),
        (cycle([*range(-3, 9)]), -99, "ge", None, "no firm bound ge=-3"),
        (cycle(["a", "b"]), "c", "values", ("a", "b", "c"),
         "values may be incomplete: 1 of 300 rows of the half that confirms hold others, such as"),
        ([f"K{n:04}" for n in range(ROWS)], "?!", "pattern", None,
         "no firm pattern K\\d{4}: 1 of 300 rows of the half that confirms differ, such as '?!'"),
        (cycle(["some words in a row"] * 9 + [f"{n} other words here" for n in range(200)]),
         "long " * 100, "max_length", 800, "up to 500 characters long in 1 of 300 rows"),
        (cycle([1, 2, 3]), None, "optional", True,
         "missing only in 1 of 300 rows of the half that confirms: declared optional"),
        (cycle([True, False]), None, "optional", True, "declared optional"),
        (cycle(["2024-01-01", "2024-01-02"]), "soon", "kind", "category",
         "one half of the rows looks like a timestamp, the other does not: declared as category"),
        (cycle(["a.png", "b.png"]), "none", "kind", "category", "looks like a image"),
        (cycle([1.0, 2.0, None]), 2.5, "kind", "number", "looks like a integer"),
    ],
)  # fmt: skip
def test_what_fails_on_the_other_half_is_widened_or_dropped_with_a_note(
    values: list[Any], odd: Any, rule: str, expected: Any, said: str
) -> None:
    before, _ = one(values)
    assert getattr(before, rule) != expected
    field, found = one(with_odd(values, odd))
    assert getattr(field, rule) == expected
    assert any(said in note for note in found), found


def test_many_unseen_values_open_the_list() -> None:
    field, found = one(with_odd(cycle(["a", "b"]), "c", count=30))
    assert field.values == ()
    assert "no closed list of values: 30 of 300 rows" in found[0]


def test_a_repeat_across_the_halves_is_not_unique() -> None:
    values = [f"K{n:04}" for n in range(ROWS)]
    confirms = np.flatnonzero(half_of(ROWS))
    first = next(n for n in range(ROWS) if n not in confirms)
    values[confirms[-1]] = values[first]
    field, found = one(values)
    assert not field.unique
    assert found == ["not unique: 1 rows repeat an earlier value"]


def test_infinity_is_said() -> None:
    _, found = one(with_odd([n / 7 for n in range(ROWS)], float("inf")))
    assert any("infinite in 1 of 300 rows" in note for note in found)


def test_times_that_no_calendar_has_are_said_to_be_set_aside() -> None:
    micros = pl.Series([0] * 500 + [569_000_000_000_000_000] * 100, dtype=pl.Int64)
    found = proposal(pl.DataFrame({"t": micros.cast(pl.Datetime("us"))}))
    texts = [note.text for note in found.notes]
    assert any("outside the years 1 to 9999 in" in text for text in texts), texts


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (cycle(["NA", "1.5", "2"]), "400 of 600 values are numbers, others are such as 'NA'"),
        (cycle(["Oslo", "Rome", "?"]), "200 values such as NA or ?"),
        (cycle(["2024-01-01T10:00:00Z"]), "times with an offset: convert them to local ones"),
        (cycle([0, 1]), "only 0 and 1: if they mean false and true"),
        (cycle(["Yes", "No"]), "true and false as words"),
        (cycle([1, 3, 9]), "only 3 different whole numbers: codes are better as category"),
        (cycle(["same"]), "one value only ('same'): drop it"),
        (cycle([7]), "one value only (7): drop it"),
        (cycle([None, None, "a", "b", None]), "missing in 60% of the rows"),
    ],
)
def test_hints_from_values(values: list[Any], said: str) -> None:
    assert any(said in note for note in one(values)[1]), one(values)[1]


def test_fields_that_give_the_label_away_are_noted() -> None:
    random_ = np.random.default_rng(1)
    late = random_.random(2000) < 0.4
    frame = pl.DataFrame(
        {
            "delay": np.where(late, 20, -20) + random_.normal(0, 3, 2000),
            "state": np.where(late, "LATE", "ok"),
            "noise": random_.random(2000),
            "hint": np.where(late, 1, -1) + random_.normal(0, 2, 2000),
            "late": late,
        }
    )
    found = proposal(frame, label="late")
    for name in ("delay", "state"):
        assert any("looks like the label in other clothes" in note for note in notes(found, name))
    assert notes(found, "noise") == notes(found, "hint") == []
    assert notes(found, "late")[0].startswith("the label: true in 40.")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["b", "a", "c"], "the label: ty.multiclass_classification('y', classes=['a', 'b', 'c'])"),
        ([1, 0], "the label: 0 or 1; ty.binary_classification takes true and false"),
        ([*range(300)], "the label: ty.regression('y'), of 2"),
        ([0.5, 1.5], "the label: ty.regression('y'), of 2 different numbers"),
        (
            [["b", "a"], [], ["c"]],
            "the label: ty.multilabel_classification('y', classes=['a', 'b', 'c'])",
        ),
        ([[1, 2]], "the label: values of the type List(Int64), which no task predicts"),
        ([f"n{n}" for n in range(300)], "different values, which is no classification"),
    ],
)
def test_the_label_is_described(values: list[Any], said: str) -> None:
    found = proposal(pl.DataFrame({"y": cycle(values), "x": range(ROWS)}), label="y")
    assert said in notes(found, "y")[0]


def test_columns_of_no_kind_are_left_out_with_a_note() -> None:
    frame = pl.DataFrame(
        {
            "x": [1.5, 2.5] * 50,
            "nothing": [None] * 100,
            "blob": [b"zz", b"yy"] * 50,
            "ragged": [[1], [1, 2]] * 50,
            "gaps": [[1, 2], None] * 50,
            "length": [timedelta(1), timedelta(2)] * 50,
            "zoned": pl.Series([datetime(2024, 1, 1)] * 100).dt.replace_time_zone("UTC"),
        }
    )
    found = proposal(frame)
    assert found.schema.names == ("x",)
    for name, said in {
        "nothing": "holds no value at all: left out",
        "blob": "bytes that are no picture: left out",
        "ragged": "lists of different lengths, or not of numbers: left out",
        "gaps": "lists of numbers, some missing: a tensor never is; left out",
        "length": "Duration(time_unit='us') values, which fit no kind of field: left out",
        "zoned": "times of the zone UTC: convert them to local ones; left out",
    }.items():
        assert notes(found, name)[0] == said


def test_a_folder_of_pictures_names_its_split_and_keeps_paths_as_ids(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for number in range(4):
                (folder / f"{number}.png").write_bytes(PNG + label.encode())
    found = propose(open_source(tmp_path, folder=tmp_path), label="label")
    kinds = {field.name: field.kind for field in found.schema.fields}
    assert kinds == {"image": "image", "path": "id", "part": "category"}
    assert "use ty.split_by_column('part')" in notes(found, "part")[0]
    assert notes(found, "")[0] == "only 24 rows: the rules are weak"


def test_names_and_values_that_are_no_identifiers_survive_as_code() -> None:
    frame = pl.DataFrame(
        {
            "net price (€)": cycle([1.5, 2.25]),
            "class": cycle(['say "no"', "it's", "back\\slash", "new\nline", "Łódź"]),
            "schema": cycle(["plain"]),
            "many": cycle([f"value number {n}" for n in range(40)]),
        }
    )
    found = proposal(frame)
    assert declared(found.code) == found.schema
    assert all(len(line) <= 100 for line in found.code.splitlines())


def test_data_that_cannot_be_proposed_for_is_refused() -> None:
    with pytest.raises(BadData) as few:
        proposal(pl.DataFrame({"x": [1]}))
    assert str(few.value) == (
        "DataFrame: found 1 rows; expected at least two: one to infer from, one to confirm with. "
        "Add rows."
    )
    with pytest.raises(BadData, match=r"column 'yy': found no such column.* Did you mean 'y'\?"):
        proposal(pl.DataFrame({"y": [1, 2]}), label="yy")
    with pytest.raises(BadData, match="found the columns x, none of which fits a kind of field"):
        proposal(pl.DataFrame({"x": [b"z", b"z"]}))


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (12.3, 987.6, False, (0, 1100)),
        (0.2, 0.8, False, (0, 1)),
        (3, 98, True, (0, 100)),
        (1990, 2024, True, (1980, 2030)),
        (-0.004, 0.003, False, (-0.005, 0.004)),
        (-170.0, 120.0, False, (-200, 150)),
        (5, 5.5, False, (4.9, 5.6)),
    ],
)
def test_bounds_are_round_and_wider(
    low: float, high: float, whole: bool, expected: tuple[float, float]
) -> None:
    assert outward(low, high, whole=whole) == expected


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(0, 1e12), st.booleans())
def test_bounds_hold_what_they_are_drawn_around(low: float, span: float, whole: bool) -> None:
    if whole:
        low, span = round(low), round(span)
    least, most = outward(low, low + span, whole=whole)
    assert least <= low
    assert most >= low + span


@settings(max_examples=50, deadline=None)
@given(st.lists(st.from_regex(r"[A-Z]{1,2}-?[0-9]{1,4}[a-z]?", fullmatch=True), min_size=1))
def test_a_pattern_matches_every_text_it_was_read_off(texts: list[str]) -> None:
    shapes, left, right = Shapes(), Shapes(), Shapes()
    shapes.see(pl.Series(texts))
    left.see(pl.Series(texts[::2], dtype=pl.String))
    right.see(pl.Series(texts[1::2], dtype=pl.String))
    left.merge(right)
    assert left.pattern == shapes.pattern
    if shapes.pattern is not None:
        assert pl.Series(texts).str.contains(rf"\A(?:{shapes.pattern})\z").all()


VALUES = st.one_of(
    st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=2, max_size=60),
    st.lists(st.none() | st.floats(allow_infinity=False), min_size=2, max_size=60),
    st.lists(st.none() | st.text(max_size=4), min_size=2, max_size=60),
    st.lists(st.sampled_from(["NA", "1", "2024-01-01", "x.png", "K12", ""]), min_size=2),
    st.lists(st.none() | st.booleans(), min_size=2, max_size=60),
)


@settings(max_examples=50, deadline=None)
@given(VALUES, st.integers(0, 3))
def test_whatever_is_proposed_holds_for_all_rows(values: list[Any], seed: int) -> None:
    frame = pl.DataFrame({"x": pl.Series(values, strict=False), "other": range(len(values))})
    found = proposal(frame, seed=seed)
    assert declared(found.code) == found.schema
    if "x" in found.schema.names and found.schema.field("x").kind == "image":
        return  # the files are not there
    checked = validate(open_source(frame, folder=Path(), schema=found.schema), found.schema)
    assert checked.accepted == len(values), checked.findings


def test_the_command_prints_code_that_runs_without_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shop().select("amount", "country", "late").write_csv("shop.csv")
    assert run(["data", "propose", "shop.csv", "--label", "late"]) == 0
    printed = capsys.readouterr().out
    assert declared(printed).names == ("amount", "country")
    assert "# late: the label: true in" in printed
    assert run(["data", "propose", "shop.csv", "--label", "late", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["rows"] == ROWS
    assert declared(found["code"]) == from_json(Schema, found["schema"], where="schema")
    assert run(["data", "propose", "none.csv", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"] == "bad_data"
    assert list(tmp_path.iterdir()) == [tmp_path / "shop.csv"]
