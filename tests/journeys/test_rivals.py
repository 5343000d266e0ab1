"""Candidates beside the release that serves: with other fields, and too slow for the objective."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import torchyard as ty
from torchyard.core.errors import Refused
from torchyard.yard.releasing import Released
from torchyard.yard.stages import Silent

# MLflow warns of its own libraries; a release takes some ten seconds
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PROJECT = """
import numpy as np
import polars as pl
from torch import nn

import torchyard as ty


def rows():
    draw = np.random.default_rng(2)
    x, age = draw.normal(size=900).round(3), draw.integers(18, 60, 900)
    return pl.DataFrame({
        "x": x, "age": age, "town": draw.choice(["10", "20"], 900),
        "y": x + 0.3 * draw.normal(size=900) > 0,
    })


class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.last = nn.Linear(features["numbers"].width, 1)

    def forward(self, numbers):
        return self.last(numbers)


project = ty.Project(
    name="rivals", task=ty.binary_classification("y"), data=rows,
    schema=ty.Schema(x=ty.number(), age=ty.integer(ge=0)),
    split=ty.split_by_hash(),
    features=ty.Features(numbers=ty.standardize("x", "age")),
    model=Net,
    training=ty.Training(max_epochs=4, learning_rate=0.05),
    gates=[ty.gate("auroc", against="champion", drop_at_most=0.1)],
    objective=ty.Objective(p99_ms=1000),
)
"""
FIELDS = "schema=ty.Schema(x=ty.number(), age=ty.integer(ge=0))"
USED = 'ty.standardize("x", "age")'


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Rivals:
    folder: Path
    champion: Released

    def ship(self, *changes: tuple[str, str], told: Told | None = None) -> Released:
        """Ship the project with some of its text replaced."""
        text = PROJECT
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        (self.folder / "project.py").write_text(text)
        return ty.Yard(self.folder, progress=told or Told()).ship()


@pytest.fixture(scope="module", name="rivals")
def _rivals(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    folder = tmp_path_factory.mktemp("rivals")
    (folder / "project.py").write_text(PROJECT)
    return Rivals(folder, ty.Yard(folder).ship())


def test_a_new_field_is_no_hindrance(rivals: Rivals) -> None:
    made = rivals.ship(
        (FIELDS, FIELDS[:-1] + ", town=ty.category())"), ("max_epochs=4", "max_epochs=5")
    )
    assert made.id != rivals.champion.id
    compared = [one for one in made.verdicts if one.gate.startswith("auroc against champion")]
    assert compared
    assert all(one.outcome == "pass" and one.measured is not None for one in compared)
    report = ty.Yard(rivals.folder).find_release(made.id).evidence.reports[0]
    champion, own = report.baselines["champion"]["auroc"], report.metrics["auroc"]
    assert 0 < champion.value < 1
    assert report.against["champion"]["auroc"].value == pytest.approx(champion.value - own.value)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (((FIELDS, "schema=ty.Schema(x=ty.number())"), (USED, 'ty.standardize("x")')),
         "test rows without the champion's fields age"),
        (((FIELDS, "schema=ty.Schema(x=ty.number(), age=ty.category())"),
          (USED, 'ty.standardize("x")'), ('"age": age', '"age": age.astype(str)')),
         "test rows with the champion's fields in another form: age, integer and now category"),
    ],
    ids=["gone", "another kind"],
)  # fmt: skip
def test_rows_that_the_champion_cannot_answer_are_refused(
    rivals: Rivals, changes: tuple[tuple[str, str], ...], found: str
) -> None:
    with pytest.raises(Refused) as refused:
        rivals.ship(*changes)
    assert refused.value.where == "gates against the champion"
    assert refused.value.found == found
    assert refused.value.expected == "rows that both models can answer"
    assert "take the gate out" in refused.value.remedy


def test_whole_numbers_that_become_real_ones_are_compared(rivals: Rivals) -> None:
    made = rivals.ship(("age=ty.integer(ge=0)", "age=ty.number(ge=0)"))
    compared = [one for one in made.verdicts if one.gate.startswith("auroc against champion")]
    assert compared
    assert all(one.outcome == "pass" and one.measured is not None for one in compared)


def test_a_model_too_slow_for_its_objective_is_told_with_its_time(rivals: Rivals) -> None:
    told = Told()
    with pytest.raises(Refused) as refused:
        rivals.ship(("p99_ms=1000", "p99_ms=0.000001"), told=told)
    assert refused.value.where.startswith("gates of rivals, variant onnx-")
    assert "latency_p99_ms at most 1e-06: fail: " in refused.value.found
    assert "calls on " in refused.value.found
    assert "auroc" not in refused.value.found
    slow = [note for note in told.notes if "latency_p99_ms at most 1e-06: fail" in note]
    assert {note.split(":")[0] for note in slow} == {"torch-fp32", "onnx-fp32", "onnx-int8"}
    sealed = list((rivals.folder / ".torchyard" / "releases").iterdir())
    assert rivals.champion.id.removeprefix("sha256:") in {path.name for path in sealed}
