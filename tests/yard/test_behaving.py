"""Declared behaviours, tried on stored rows; what they depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from tests.yard.test_featuring import Told
from torchyard.core.record import from_json, to_json
from torchyard.evaluate import Sample, evaluate
from torchyard.records.evidence import Report
from torchyard.records.schema import Task
from torchyard.yard.behaving import behaviour_inputs, with_behaviours
from torchyard.yard.datasets import add_data
from torchyard.yard.evaluating import Subject
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Array, Featured, OpenProject
from torchyard.yard.stages import Stages
from torchyard.yard.workspace import Workspace, load_project

PROJECT = """
import polars as pl

import torchyard as ty

ROWS = 300
FAR = 200


def rows():
    return pl.DataFrame({
        "distance": [float(row) for row in range(ROWS)],
        "seats": [row % 7 for row in range(ROWS)],
        "holder": [f"Secret {row}" for row in range(ROWS)],
        "y": [row % 3 == 0 for row in range(ROWS)],
    })


@ty.behaviour
def far_is_late(rows, answer):
    \"\"\"Who flies far is late.\"\"\"
    return (rows["distance"] > FAR) & pl.Series(answer(rows)[:, 1] < 0.5)


project = ty.Project(
    name="demo", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(
        distance=ty.number(ge=0, le=300, unit="miles"), seats=ty.integer(optional=True),
        holder=ty.id(personal=True),
    ),
    split=ty.split_by_hash(), checks=ty.Checks(leaks="warn"),
    features=ty.Features(x=ty.standardize("distance", "seats")), model=print,
    behaviours=[
        ty.directional("distance", change=10, expect="down", rows=20),
        ty.robust(missing="seats"),
        ty.minimum(where=lambda rows: rows["distance"] > FAR, expect="y"),
        far_is_late,
    ],
)
"""


def opened(folder: Path, declared: str = PROJECT) -> OpenProject:
    (folder / "project.py").write_text(declared)
    loaded = load_project(Workspace(folder))
    return OpenProject(loaded, Stages(loaded.workspace.stages, Told()))


@dataclass(frozen=True)
class Planted:
    """Answers by distance alone."""

    name: str
    task: Task

    def answer(self, featured: Featured, rows: pl.DataFrame) -> Array:
        given = rows["distance"].to_numpy() / 300
        return np.column_stack([1 - given, given])


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Report:
    project = opened(tmp_path_factory.mktemp("project"))
    featured = fit_features(project, add_data(project))
    subject = Planted("onnx-fp32", project.project.task)
    rows = featured.rows("test")
    sample = Sample(
        task=subject.task, truth=featured.truth("test"), outputs=subject.answer(featured, rows)
    )
    report = evaluate(sample, model="onnx-fp32", split="test", groups={}, slices={}, baselines={},
                      seed=1)  # fmt: skip
    return with_behaviours(report, project, featured, cast("Subject", subject))


def test_each_behaviour_is_tried_on_test_rows(reported: Report) -> None:
    down, missing, known, far = reported.behaviours
    assert 15 <= down.rows <= 20
    assert down.failed == down.rows == 20 - down.left_out
    assert down.worst == pytest.approx(10 / 300)
    assert missing.failed == 0
    assert 0 < missing.rows <= reported.rows
    assert known.failed == 0 < known.rows < reported.rows
    assert far.says == "Who flies far is late."
    assert far.failed == 0


def test_no_personal_value_reaches_the_report(reported: Report) -> None:
    assert reported.behaviours[0].examples
    assert "Secret" not in repr(reported)
    assert from_json(Report, to_json(reported), where="report") == reported


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("change=10", "change=11"),
        ("rows=20", "rows=21"),
        ("[:, 1] < 0.5", "[:, 1] < 0.6"),
        ("FAR = 200", "FAR = 201"),
    ],
)
def test_a_changed_behaviour_is_tried_again(tmp_path: Path, old: str, new: str) -> None:
    before: Any = behaviour_inputs(opened(tmp_path))
    assert behaviour_inputs(opened(tmp_path)) == before
    assert behaviour_inputs(opened(tmp_path, PROJECT.replace(old, new))) != before
