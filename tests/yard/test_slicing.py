"""Groups and slices of stored rows: by bands, parts of a time, lengths, and functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.yard.test_featuring import Told
from torchyard.core.errors import BadProject
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Array, Featured, OpenProject
from torchyard.yard.slicing import group_texts, parting_inputs, slice_texts
from torchyard.yard.stages import Stages
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
from datetime import datetime, timedelta

import polars as pl

import torchyard as ty

ROWS = 60
FAR = 300


def rows():
    return pl.DataFrame({
        "age": [None if row == 0 else row for row in range(ROWS)],
        "born": [datetime(1950 + row, 1, 31) for row in range(ROWS)],
        "at": [datetime(2024, 1, 1) + timedelta(hours=7 * row) for row in range(ROWS)],
        "distance": [10.0 * row for row in range(ROWS)],
        "note": ["x" * row for row in range(ROWS)],
        "name": [f"Secret {row}" for row in range(ROWS)],
        "y": [row % 3 == 0 for row in range(ROWS)],
        "part": ["train"] * 10 + ["validation"] * 10 + ["test"] * 40,
    }).with_columns(age=pl.when(pl.col("age") == 33).then(None).otherwise("age"))


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        age=ty.integer(optional=True, protected=[30, 50], personal=True),
        born=ty.timestamp(protected=[1980]), at=ty.timestamp(), distance=ty.number(),
        note=ty.text(optional=True), name=ty.id(personal=True), part=ty.category(later=True),
    ),
    split=ty.split_by_column("part"), checks=ty.Checks(leaks="warn"),
    features=ty.Features(x=ty.standardize("distance")),
    model=print,
    gates=[ty.gate("demographic_parity_ratio", group=["born", "age"], at_least=0.8)],
    slices=[
        ty.slice("distance", edges=[300, 500.5]), ty.slice("note", edges=[40]),
        ty.slice("at", by="hour"), ty.slice("at", by="weekday"), ty.slice("at", by="month"),
        SLICE,
    ],
)
"""


def opened(folder: Path, function: str = "lambda rows: rows['distance'] < FAR") -> OpenProject:
    declared = PROJECT.replace("SLICE", f'ty.slice("near", {function})')
    (folder / "project.py").write_text(declared)
    loaded = load_project(Workspace(folder))
    stages = Stages(loaded.workspace.stages, Told())
    return OpenProject(loaded, stages)


def featured(project: OpenProject) -> Featured:
    return fit_features(project, add_data(project))


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    project = opened(tmp_path_factory.mktemp("slices"))
    rows = featured(project)
    return {**group_texts(project, rows), **slice_texts(project, rows)}


def test_numbers_and_years_are_parted_at_their_edges(parted: dict[str, Array]) -> None:
    ages = parted["age"].tolist()
    assert ages[9:11] == ["under 30", "30 to under 50"]
    assert ages[29:31] == ["30 to under 50", "50 or more"]
    assert ages[13] == "(missing)"
    assert parted["born"].tolist() == ["under 1980"] * 10 + ["1980 or more"] * 30
    assert parted["distance"].tolist().count("300 to under 500.5") == 21
    assert parted["note"].tolist() == ["under 40"] * 20 + ["40 or more"] * 20


def test_times_are_parted_by_what_people_call_them(parted: dict[str, Array]) -> None:
    assert list(parted)[2:] == [
        "distance", "note", "at by hour", "at by weekday", "at by month", "near",
    ]  # fmt: skip
    assert parted["at by hour"].tolist()[:2] == ["20", "03"]
    assert parted["at by weekday"].tolist()[:2] == ["Saturday", "Sunday"]
    assert set(parted["at by month"].tolist()) == {"January"}


def test_a_function_parts_rows_by_yes_and_no(parted: dict[str, Array]) -> None:
    assert parted["near"].tolist() == ["true"] * 10 + ["false"] * 30


def test_a_function_sees_no_personal_field_and_no_label(tmp_path: Path) -> None:
    function = "lambda rows: pl.Series([' '.join(rows.columns)] * len(rows))"
    project = opened(tmp_path, function)
    seen = np.unique(slice_texts(project, featured(project))["near"]).tolist()
    assert seen == ["born at distance note part"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("lambda rows: rows['age']", "slices, near: found ColumnNotFoundError"),
        ("lambda rows: True", "found a bool; expected a polars Series of booleans or texts"),
        ("lambda rows: rows['distance']", "found 40 values of Float64 for 40 rows"),
        ("lambda rows: rows['note'].head(3)", "found 3 values of String for 40 rows"),
    ],
)
def test_what_is_no_slice_is_refused_by_name(tmp_path: Path, function: str, said: str) -> None:
    project = opened(tmp_path, function)
    with pytest.raises(BadProject, match=said):
        slice_texts(project, featured(project))


def test_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = opened(tmp_path, "lambda rows: rows['note']")
    monkeypatch.setattr("torchyard.yard.slicing.MOST_VALUES", 39)
    with pytest.raises(BadProject, match="found 40 different values, of at most 39"):
        slice_texts(project, featured(project))


def test_what_a_function_says_and_uses_is_an_input_of_the_stage(tmp_path: Path) -> None:
    first = parting_inputs(opened(tmp_path))
    assert parting_inputs(opened(tmp_path)) == first
    assert parting_inputs(opened(tmp_path, "lambda rows: rows['distance'] < 301")) != first
    text = (tmp_path / "project.py").read_text().replace("FAR = 300", "FAR = 400")
    (tmp_path / "project.py").write_text(text.replace("< 301", "< FAR"))
    loaded = load_project(Workspace(tmp_path))
    other = parting_inputs(OpenProject(loaded, Stages(loaded.workspace.stages, Told())))
    assert other != first
    assert {**other, "slices": None} == {**first, "slices": None}


def test_a_gate_names_an_intersection_in_the_order_of_the_schema(tmp_path: Path) -> None:
    assert opened(tmp_path).project.gates[0].group == "age, born"
