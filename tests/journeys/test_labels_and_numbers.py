"""Two whole lives, of a model of several labels and of one of numbers: shipped, served, watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

import torchyard as ty
from torchyard.cli.main import app
from torchyard.evaluate.metrics.kinds import MULTILABEL, REGRESSION
from torchyard.monitor import render_markdown
from torchyard.records.live import MonitorReport
from torchyard.release import Release
from torchyard.serve import replay
from torchyard.serve.engine import open_engine
from torchyard.serve.logs.labels import LabelLog, decode_labels
from torchyard.serve.logs.predictions import PredictionLog, segments_in
from torchyard.serve.predictions import predictions
from torchyard.yard.releasing import Released

# MLflow warns of its own libraries; the first release takes some ten seconds
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TOPICS = ("price", "crew", "delay")
_NET = """

class Net(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features["numbers"].width, 16), nn.ReLU(), nn.Linear(16, OUTPUTS)
        )

    def forward(self, numbers, line):
        return self.layers(numbers)


project = ty.Project(
    name="NAME",
    task=TASK,
    schema=ty.Schema(
        distance=ty.number(ge=0, unit="km"), rain=ty.boolean(),
        line=ty.category(["red", "blue"], protected=True),
    ),
    data=rides,
    split=ty.split_by_hash(),
    features=ty.Features(numbers=ty.standardize("distance", "rain"), line=ty.lookup("line")),
    model=Net,
    training=ty.Training(max_epochs=8, batch_size=128, learning_rate=1e-2),
    slices=["line"],
    gates=GATES,
)
"""
_HEAD = """
import numpy as np
import polars as pl
from torch import nn

import torchyard as ty


def drawn(rows):
    draw = np.random.default_rng(4)
    rain = draw.random(rows) < 0.3
    return draw, draw.gamma(4.0, 5.0, rows).round(3), rain, draw.choice(["red", "blue"], rows)

"""
_RIDES = """
def rides():
    '''Made up: how late a ride is follows its distance and the rain, with errors of 6 minutes.'''
    draw, distance, rain, line = drawn(3_000)
    late = 3 * distance + 0.05 * distance**2 + 15 * rain + draw.normal(0, 6, 3_000)
    return pl.DataFrame(
        {"distance": distance, "rain": rain, "line": line, "late": late.round(2)}
    )

"""
_REPORTS = """
def rides():
    '''Made up: what passengers complain of, which may be several things, or nothing.'''
    draw, distance, rain, line = drawn(3_000)
    odds = np.stack([1.5 - distance / 10, distance / 8 - 2.5, 3 * rain - 2.0], axis=1)
    has = draw.random((3_000, 3)) < 1 / (1 + np.exp(-2 * odds))
    about = [[name for name, so in zip(["price", "crew", "delay"], row) if so] for row in has]
    return pl.DataFrame({"distance": distance, "rain": rain, "line": line, "about": about})

"""


def project(name: str, rides: str, *, task: str, outputs: int, gates: str) -> str:
    net = _NET.replace("NAME", name).replace("TASK", task).replace("GATES", gates)
    return _HEAD + rides + net.replace("OUTPUTS", str(outputs))


NUMBERS = project(
    "rides", _RIDES, outputs=1,
    task='ty.regression("late", unit="minutes", coverage=0.8)',
    gates='[ty.gate("mae", at_most=12), ty.gate("interval_coverage", at_least=0.7),'
    ' ty.gate("mae", against="champion", drop_at_most=3)]',
)  # fmt: skip
LABELS = project(
    "reports", _REPORTS, outputs=3,
    task='ty.multilabel_classification("about", classes=["price", "crew", "delay"], threshold=0.4)',
    gates='[ty.gate("micro_f1", at_least=0.4),'
    ' ty.gate("log_loss", against="champion", drop_at_most=0.2)]',
)  # fmt: skip


@dataclass(frozen=True)
class Shipped:
    """A project's folder and its first release."""

    folder: Path
    made: Released

    @property
    def yard(self) -> ty.Yard:
        return ty.Yard(self.folder)

    @property
    def release(self) -> Release:
        return self.yard.find_release(self.made.id)


def ship(folder: Path, text: str) -> Shipped:
    (folder / "project.py").write_text(text)
    return Shipped(folder, ty.Yard(folder).ship())


@pytest.fixture(scope="module", name="numbers")
def _numbers(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return ship(tmp_path_factory.mktemp("rides"), NUMBERS)


@pytest.fixture(scope="module", name="labels")
def _labels(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return ship(tmp_path_factory.mktemp("reports"), LABELS)


def traffic(
    shipped: Shipped,
    truth: Callable[[Any, Any], Sequence[Any]],
    *,
    rows: int = 400,
    longer: float = 1.0,
) -> MonitorReport:
    """Serve rows to the logs as a worker does, tell the truth about them, and watch."""
    draw = np.random.default_rng(9)
    engine, places = open_engine(shipped.release, max_rows=rows), shipped.yard.workspace
    answered = PredictionLog(
        segments_in(places.predictions, worker=0, start=1, most_bytes=1 << 24),
        most_rows=10_000, count_dropped=lambda model, count: pytest.fail("a row was dropped"),
    )  # fmt: skip
    told = LabelLog(
        segments_in(places.labels, worker=0, start=1, most_bytes=1 << 24), clock=lambda: 1.7e9
    )
    distance, rain = longer * draw.gamma(4.0, 5.0, rows), draw.random(rows) < 0.3
    sent = [
        {"distance": float(one), "rain": bool(wet), "line": "red"}
        for one, wet in zip(distance, rain, strict=True)
    ]
    decoded = engine.decoder.decode(json.dumps({"rows": sent}).encode()).rows
    scores, ids = engine.score(decoded), [f"r{number}" for number in range(rows)]
    answered.append(engine, at=1.7e9, ids=ids, rows=decoded, scores=scores)
    body = [
        {"id": name, "label": label} for name, label in zip(ids, truth(distance, rain), strict=True)
    ]
    given = decode_labels(json.dumps({"labels": body}).encode(), engine.task)
    told.append(engine.model, given, lambda problem: None)
    answered.close()
    told.close()
    report, page = shipped.yard.monitor(every=str(rows))
    assert page.exists()
    return report


def asked(shipped: Shipped, **row: Any) -> dict[str, Any]:
    engine = open_engine(shipped.release, max_rows=1)
    scores = engine.score(engine.decoder.decode(json.dumps({"rows": [row]}).encode()).rows)
    (answer,) = predictions(engine.task, ["a"], scores)
    return answer


def said(shipped: Shipped, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--project", str(shipped.folder)])
    assert done.exit_code == 0, done.output
    return done.output


def late(distance: Any, rain: Any) -> Any:
    """What a ride's delay would be without chance."""
    return 3 * distance + 0.05 * distance**2 + 15 * rain


def test_a_number_is_answered_near_the_truth_with_an_interval(numbers: Shipped) -> None:
    assert {verdict.outcome for verdict in numbers.made.verdicts} == {"pass"}
    for distance, rain in ((10.0, False), (30.0, True)):
        answer = asked(numbers, distance=distance, rain=rain, line="red")
        assert answer["value"] == pytest.approx(late(distance, rain), abs=8)
        assert answer["low"] < answer["value"] < answer["high"]
        assert 8 < answer["high"] - answer["low"] < 40
        assert answer["unit"] == "minutes"
    assert replay(numbers.release) < 1e-4


def test_labels_are_answered_each_by_itself(labels: Shipped) -> None:
    assert {verdict.outcome for verdict in labels.made.verdicts} == {"pass"}
    answer = asked(labels, distance=1.0, rain=True, line="blue")
    assert answer["labels"] == ["price", "delay"]
    assert list(answer["probabilities"]) == list(TOPICS)
    assert sum(answer["probabilities"].values()) > 1.2
    assert asked(labels, distance=60.0, rain=False, line="blue")["labels"] == ["crew"]
    assert replay(labels.release) < 1e-4


def test_traffic_of_numbers_is_watched(numbers: Shipped) -> None:
    report = traffic(numbers, lambda distance, rain: (late(distance, rain) + 90).tolist(), longer=2)
    (window,) = report.windows
    assert (window.answered, window.labelled, report.unreadable) == ({}, 400, 0)
    assert list(window.quality) == list(REGRESSION.live)
    assert 70 < window.quality["mae"].value < 130
    assert "mae " in said(numbers, "monitor", "--every", "400")
    told = {alert.subject: alert for alert in report.alerts}
    assert {"quality", "answers", "distance"} <= set(told)
    assert "Quality got worse: mae " in told["quality"].message
    assert "interval_coverage 0 (0 to " in told["quality"].message
    assert told["answers"].message.startswith("Answers moved: median ")
    assert " minutes, was " in render_markdown(report)


def test_traffic_of_labels_is_watched_label_by_label(labels: Shipped) -> None:
    def wrong(distance: Any, rain: Any) -> list[list[str]]:
        return [["crew"] if one < 15 else ["price"] for one in distance]

    report = traffic(labels, wrong, longer=0.3)
    (window,) = report.windows
    assert list(window.answered) == list(TOPICS)
    assert window.answered["price"] > 350 > window.answered["delay"]
    assert (window.labelled, report.unreadable) == (400, 0)
    assert list(window.quality) == list(MULTILABEL.live)
    told = {alert.subject: alert for alert in report.alerts}
    assert {"quality", "answers", "distance"} <= set(told)
    assert told["quality"].message.startswith("Quality got worse: micro_f1 0.")
    assert told["answers"].message.startswith("Answers moved: probability of '")
    assert "micro_f1 " in said(labels, "monitor", "--every", "400")


@pytest.mark.parametrize(("kind", "headline"), [("numbers", "mae"), ("labels", "micro_f1")])
def test_every_screen_has_words_for_it(
    kind: str, headline: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shipped: Shipped = request.getfixturevalue(kind)
    for words in (["evaluate"], ["optimize"], ["ship"], ["releases"], ["score"]):
        text = said(shipped, *words)
        assert "nan" not in text.lower().split()
    machine = json.loads(said(shipped, "ship", "--json").splitlines()[-1])
    assert machine["metrics"][headline]["value"] == shipped.made.report.metrics[headline].value
    file = tmp_path / "model.onnx"
    assert shipped.release.task.output_name in said(
        shipped, "package", "onnx", "1", "-o", str(file)
    )
    feed = {
        "distance": np.array([[10.0]]),
        "rain": np.array([[0.0]]),
        "line": np.array([["red"]], dtype=object),
    }
    session = onnxruntime.InferenceSession(str(file))
    wanted = {one.name for one in session.get_inputs()}
    (outputs,) = session.run(None, {name: feed[name] for name in wanted})
    answer = asked(shipped, distance=10.0, rain=False, line="red")
    values = answer.get("probabilities", answer)
    assert outputs[0].tolist() == [values[name] for name in shipped.release.task.outputs]


@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_a_second_release_is_compared_with_the_first(
    kind: str, request: pytest.FixtureRequest
) -> None:
    shipped: Shipped = request.getfixturevalue(kind)
    shipped.yard.deploy(shipped.made.id)
    made = shipped.yard.ship(training={"seed": 2})
    assert made.number == 2
    compared = [one for one in made.verdicts if "against champion" in one.gate]
    assert compared
    assert all(one.measured is not None for one in compared)


def test_a_run_is_trained_again_to_the_same_bits(numbers: Shipped) -> None:
    assert numbers.yard.reproduce(numbers.release.run.id).identical
