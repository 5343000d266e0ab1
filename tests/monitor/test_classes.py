"""A model of many classes is watched: its answers by class, its labels by name, its quality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from tests.monitor.traffic import label_line, write
from torchyard.data.profile import profile, profile_scores
from torchyard.evaluate import Sample, evaluate
from torchyard.evaluate.metrics.kinds import MULTICLASS
from torchyard.monitor import Reference, render_html, render_markdown, watch
from torchyard.monitor.log import ID, LABEL, read_labels
from torchyard.records.live import MonitorReport
from torchyard.records.schema import Field, Schema, Task

RELEASE = "sha256:" + "ab" * 32
SCHEMA = Schema(fields=(Field(name="weight", kind="number"),))
PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))

Floats = npt.NDArray[np.float64]


def answers(rows: int, *, owls: float = 1.0, seed: int = 0) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Probabilities, and labels drawn with them; ``owls`` are that much likelier to be answered."""
    random = np.random.default_rng(seed)
    weights = random.gamma(0.7, size=(rows, 3)) * np.array([1.0, 1.0, owls]) + 1e-9
    scores = weights / weights.sum(axis=1, keepdims=True)
    return scores, (scores.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)


def reference() -> Reference:
    scores, truth = answers(4_000, seed=1)
    weight = pl.DataFrame({"weight": np.random.default_rng(2).normal(size=4_000)})
    return Reference(
        release=RELEASE,
        schema=SCHEMA,
        task=PETS,
        inputs=profile(weight, SCHEMA),
        answers=profile_scores(scores, PETS),
        report=evaluate(
            Sample(task=PETS, truth=truth, outputs=scores),
            model="fp32",
            split="test",
            groups={},
            slices={},
            baselines={},
            resamples=60,
        ),
    )


def watched(
    folder: Path, scores: Floats, labels: npt.NDArray[np.int64], *, labelled: int = 400
) -> MonitorReport:
    """Traffic of one window, all of it labelled up to a number of rows."""
    random = np.random.default_rng(5)
    lines = [
        json.dumps(
            {
                "id": f"r{number}", "at": 1.7e9 + number, "release": RELEASE, "variant": "fp32",
                "row": {"weight": random.normal()}, "scores": row.tolist(),
            }
        )
        for number, row in enumerate(scores)
    ]  # fmt: skip
    write(folder / "predictions" / "pets", {"0-1-0": [*lines, lines[0].replace("[", "[0.5, ")]})
    told = [label_line(f"r{n}", PETS.classes[labels[n]]) for n in range(labelled)]
    write(folder / "labels" / "pets", {"0-1-0": [*told, label_line("r1", "horse")]})
    return watch(
        model="pets", release=reference(), predictions=folder / "predictions",
        labels=folder / "labels", every=10_000,
    )  # fmt: skip


def test_quiet_traffic_is_counted_by_class_and_measured(tmp_path: Path) -> None:
    scores, truth = answers(600, seed=3)
    report = watched(tmp_path, scores, truth)
    (window,) = report.windows
    counts = np.bincount(scores.argmax(1), minlength=3)
    assert window.answered == dict(zip(PETS.classes, counts.tolist(), strict=True))
    assert window.labelled == 400
    assert report.unreadable == 2  # four scores, and a label that is no class
    assert list(window.quality) == list(MULTICLASS.live)
    right = float((scores.argmax(1) == truth)[:400].mean())
    assert window.quality["accuracy"].value == pytest.approx(right)
    assert report.alerts == ()


def test_answers_that_moved_are_told_by_class(tmp_path: Path) -> None:
    report = watched(tmp_path, *answers(800, owls=6.0, seed=4), labelled=0)
    (alert,) = report.alerts
    assert (alert.subject, alert.severity) == ("answers", "warning")
    assert alert.message.startswith("Answers moved: 'owl' in ")
    assert "of present rows, was 34 %" in alert.message
    (window,) = report.windows
    assert window.answers.name == "class"
    told = render_markdown(report)
    share = 100 * window.answered["owl"] / 800
    assert f"owl {share:.1f} %, " in told
    assert f"owl {share:.1f} %, " in render_html(report)


def test_worse_quality_is_critical(tmp_path: Path) -> None:
    scores, truth = answers(600, seed=6)
    alerts = watched(tmp_path, scores, (truth + 1) % 3).alerts
    assert [alert.severity for alert in alerts] == ["critical"]
    assert alerts[0].message.startswith("Quality got worse: accuracy 0.")
    assert "on 400 labelled rows, was 0." in alerts[0].message


def test_labels_of_one_class_say_nothing(tmp_path: Path) -> None:
    scores, truth = answers(300, seed=7)
    report = watched(tmp_path, scores, np.full_like(truth, 2), labelled=300)
    assert report.windows[0].quality == {}


def test_labels_are_read_as_places_in_the_tasks_order(tmp_path: Path) -> None:
    lines = [label_line("a", "owl"), label_line("b", "cat"), label_line("c", True), "junk"]
    write(tmp_path, {"0-1-0": lines})
    frame, unreadable = read_labels(tmp_path, PETS)
    assert dict(frame.select(ID, LABEL).sort(ID).iter_rows()) == {"a": 2, "b": 0}
    assert unreadable == 2
    empty, _ = read_labels(tmp_path / "nowhere", PETS)
    assert empty.schema == pl.Schema({ID: pl.String(), LABEL: pl.Int64()})
