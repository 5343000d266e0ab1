"""One whole life of a model of four classes: shipped, served, told what turned out, watched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import torchyard as ty
from torchyard.cli.main import app
from torchyard.core.errors import BadProject, Refused
from torchyard.monitor import render_markdown
from torchyard.records.evidence import Report
from torchyard.release import Release
from torchyard.serve import replay
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.logs.labels import Label, LabelLog, decode_labels
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.predictions import label_of
from torchyard.yard.releasing import Released

# MLflow warns of its own libraries; the first release takes some ten seconds
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CLASSES = ("bronze", "silver", "gold", "none")
PROJECT = '''
import numpy as np
import polars as pl
import torch
from torch import nn

import torchyard as ty

CLASSES = ["bronze", "silver", "gold", "none"]


def races():
    """Made up: a racer's class is that of their speed, mostly."""
    draw = np.random.default_rng(4)
    rows = 3_000
    speed, team = draw.normal(size=rows), draw.choice(["red", "blue"], rows)
    noise = draw.normal(size=(rows, 4))
    odds = np.stack([0.5 - speed, speed * 0.5, 2 * speed - 1, -2 * speed - 0.5], axis=1) * 2 + noise
    return pl.DataFrame({
        "speed": speed.round(4), "team": team,
        "age": draw.integers(18, 60, rows), "won": np.array(CLASSES)[odds.argmax(axis=1)],
    })


class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features["numbers"].width, 16), nn.ReLU(), nn.Linear(16, len(CLASSES))
        )

    def forward(self, numbers, team):
        return self.layers(numbers)


project = ty.Project(
    name="races",
    task=ty.multiclass_classification("won", classes=CLASSES),
    schema=ty.Schema(
        speed=ty.number(), team=ty.category(["red", "blue"], protected=True),
        age=ty.integer(ge=0),
    ),
    data=races,
    split=ty.split_by_hash(),
    features=ty.Features(numbers=ty.standardize("speed", "age"), team=ty.lookup("team")),
    model=Net,
    training=ty.Training(max_epochs=12, batch_size=128, learning_rate=1e-2),
    slices=["team"],
    gates=[
        ty.gate("accuracy", at_least=0.5),
        ty.gate("macro_auroc", per_slice="team", at_least=0.7, min_rows=100),
        ty.gate("accuracy_difference", group="team", at_most=0.3),
        ty.gate("log_loss", against="champion", drop_at_most=0.2),
    ],
)
'''


@dataclass(frozen=True)
class Shipped:
    """The project's folder and its first release."""

    folder: Path
    made: Released

    @property
    def yard(self) -> ty.Yard:
        return ty.Yard(self.folder)

    @property
    def release(self) -> Release:
        return self.yard.find_release(self.made.id)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("races")
    (folder / "project.py").write_text(PROJECT)
    return Shipped(folder, ty.Yard(folder).ship())


def test_what_is_judged_beats_its_baselines_and_is_calibrated(shipped: Shipped) -> None:
    report: Report = shipped.made.report
    accuracy = report.metrics["accuracy"]
    assert accuracy.low is not None
    assert accuracy.low > 0.5
    assert sum(report.classes) == report.rows
    assert [one.name for one in report.per_class] == list(CLASSES)
    reports = {one.model: one for one in shipped.release.evidence.reports}
    assert set(reports) == {"torch-fp32", "onnx-fp32", "onnx-int8"}
    baselines = reports["torch-fp32"].baselines
    assert baselines["majority"]["accuracy"].value < accuracy.value
    assert baselines["linear"]["log_loss"].value < baselines["majority"]["log_loss"].value
    calibration = shipped.release.evidence.calibration
    assert [one.method for one in calibration.tried][:2] == ["none", "temperature"]
    assert calibration.log_loss_before is not None
    assert calibration.log_loss_after is not None
    assert calibration.log_loss_after <= calibration.log_loss_before
    outcomes = {verdict.outcome for verdict in shipped.made.verdicts}
    assert outcomes == {"pass"}


def test_the_release_answers_as_it_was_judged_and_says_so_in_words(shipped: Shipped) -> None:
    release = shipped.release
    assert replay(release) < 1e-4
    card = (release.folder / "card.md").read_text()
    assert "the probability of each of 4 classes (bronze, silver, gold, none)" in card
    assert "| class | rows | answered with it | precision | recall | f1 |" in card
    assert "Most often mistaken: '" in card
    assert "Rows of similar predicted probability of the answer" in card


def answer(engine: Engine, **row: Any) -> tuple[str, list[float]]:
    body = json.dumps({"rows": [row]}).encode()
    (scores,) = engine.score(engine.decoder.decode(body).rows)
    return label_of(engine.task, scores), scores


def test_the_engine_answers_with_the_most_probable_class(shipped: Shipped) -> None:
    engine = open_engine(shipped.release, max_rows=10)
    for speed, expected in ((3.0, "gold"), (-3.0, "none")):
        label, scores = answer(engine, speed=speed, team="red", age=30)
        assert label == expected
        assert CLASSES[int(np.argmax(scores))] == label
        assert sum(scores) == pytest.approx(1.0, abs=1e-6)


def traffic(shipped: Shipped, *, rows: int, speed: float, wrong: bool = False) -> Any:
    """Serve rows to the logs as a worker does, and watch them."""
    draw = np.random.default_rng(9)
    engine = open_engine(shipped.release, max_rows=rows)
    folder = shipped.yard.workspace
    predictions = PredictionLog(
        segments_in(folder.predictions, worker=0, start=1, most_bytes=1 << 24),
        most_rows=10_000, count_dropped=lambda model, count: pytest.fail("a row was dropped"),
    )  # fmt: skip
    labels = LabelLog(
        segments_in(folder.labels, worker=0, start=1, most_bytes=1 << 24), clock=lambda: 1.7e9
    )
    sent = [
        {"speed": float(draw.normal() + speed), "team": "red", "age": int(draw.integers(18, 60))}
        for _ in range(rows)
    ]
    decoded = engine.decoder.decode(json.dumps({"rows": sent}).encode()).rows
    scores = engine.score(decoded)
    ids = [f"r{number}" for number in range(rows)]
    predictions.append(engine, at=1.7e9, ids=ids, rows=decoded, scores=scores)
    told = [
        {"id": name, "label": CLASSES[(CLASSES.index(label_of(engine.task, row)) + wrong) % 4]}
        for name, row in zip(ids, scores, strict=True)
    ]
    body = json.dumps({"labels": told}).encode()
    given: list[Label] = decode_labels(body, engine.task)
    labels.append(engine.model, given, lambda problem: None)
    predictions.close()
    labels.close()
    report, page = shipped.yard.monitor(every=str(rows))
    assert page.exists()
    return report


def test_traffic_is_watched_by_class(shipped: Shipped) -> None:
    report = traffic(shipped, rows=400, speed=1.5, wrong=True)
    (window,) = report.windows
    assert sum(window.answered.values()) == 400
    assert list(window.answered) == list(CLASSES)
    assert window.labelled == 400
    assert window.quality["accuracy"].value == 0.0
    told = {alert.subject: alert for alert in report.alerts}
    assert {"quality", "answers", "speed"} <= set(told)
    assert "Quality got worse: accuracy 0 (0 to " in told["quality"].message
    assert "Answers moved: 'gold' in " in told["answers"].message
    assert "gold " in render_markdown(report)


def test_screens_name_the_task_s_own_metric(shipped: Shipped) -> None:
    runner, here = CliRunner(), ["--project", str(shipped.folder)]

    def said(*words: str) -> str:
        done = runner.invoke(app, [*words, *here])
        assert done.exit_code == 0, done.output
        return done.output

    evaluated = said("evaluate")
    assert "test rows, of 4 classes" in evaluated
    assert "macro_auroc" in evaluated
    assert "bronze" in evaluated
    assert "accuracy" in said("optimize")
    assert "accuracy 0." in said("releases")
    assert "accuracy 0." in said("ship")
    machine = json.loads(said("ship", "--json").splitlines()[-1])
    assert machine["metrics"]["accuracy"]["value"] == shipped.made.report.metrics["accuracy"].value


def test_a_second_release_is_compared_with_the_first(shipped: Shipped) -> None:
    made = shipped.yard.ship(training={"seed": 2})
    assert made.number == 2
    compared = [one for one in made.verdicts if one.gate.startswith("log_loss against champion")]
    assert compared
    assert all(one.measured is not None for one in compared)


def test_a_gate_of_another_task_is_refused_before_anything_runs(
    shipped: Shipped, tmp_path: Path
) -> None:
    text = PROJECT.replace('ty.gate("accuracy", at', 'ty.gate("auroc", at')
    (tmp_path / "project.py").write_text(text)
    with pytest.raises(BadProject) as refused:
        ty.Yard(tmp_path).ship()
    assert str(refused.value) == (
        "gate auroc: found metric 'auroc', of binary tasks only; expected a metric of the report "
        "on a multiclass task. Did you mean 'macro_auroc'?"
    )
    assert not (tmp_path / ".torchyard" / "stages").exists()


def test_other_classes_are_not_compared_with_the_champion(shipped: Shipped) -> None:
    project = shipped.folder / "project.py"
    order = 'CLASSES = ["none", "gold", "silver", "bronze"]'
    project.write_text(PROJECT.replace('CLASSES = ["bronze", "silver", "gold", "none"]', order))
    try:
        with pytest.raises(Refused) as refused:
            shipped.yard.ship()
    finally:
        project.write_text(PROJECT)
    assert refused.value.where == "gates against the champion"
    assert refused.value.found == "a champion that answers with bronze, silver, gold, none"
    assert refused.value.expected == "one that answers with none, gold, silver, bronze"
