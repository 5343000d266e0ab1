"""Models of several labels and of numbers are watched: answers, labels, quality, drift, pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitor.traffic import label_line, write
from torchyard.data.profile import profile, profile_scores
from torchyard.evaluate import Sample, evaluate
from torchyard.evaluate.counting.sample import Truth
from torchyard.evaluate.metrics.kinds import MULTILABEL, REGRESSION
from torchyard.monitor import Reference, render_html, render_markdown, watch
from torchyard.monitor.log import ID, LABEL, SCORES, read_labels, read_predictions
from torchyard.records.live import MonitorReport
from torchyard.records.schema import Field, Schema, Task

RELEASE = "sha256:" + "ab" * 32
SCHEMA = Schema(fields=(Field(name="weight", kind="number"),))
ABOUT = Task(
    kind="multilabel_classification", label="about", classes=("delay", "price", "crew"),
    threshold=0.4,
)  # fmt: skip
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes")

Floats = npt.NDArray[np.float64]
Rows = tuple[Floats, Truth]


def labels(rows: int, *, price: float = 1.0, seed: int) -> Rows:
    """Chances of three labels, and labels drawn with them; ``price`` makes that one rarer."""
    random = np.random.default_rng(seed)
    chances = random.beta(1.2, 2.0, size=(rows, 3)) ** np.array([1.0, price, 1.0])
    return chances, random.random((rows, 3)) < chances


def numbers(rows: int, *, shift: float = 0.0, seed: int) -> Rows:
    """Values with intervals of 90 %, and what came true."""
    random = np.random.default_rng(seed)
    value = random.gamma(3.0, 10.0, rows) + shift
    answers = np.stack([value, value - 8.2, value + 8.2], axis=1)
    return answers, value + random.normal(0.0, 5.0, rows)


def reference(task: Task, rows: Rows) -> Reference:
    weight = pl.DataFrame({"weight": np.random.default_rng(2).normal(size=4_000)})
    report = evaluate(
        Sample(task=task, truth=rows[1], outputs=rows[0]),
        model="fp32", split="test", groups={}, slices={}, baselines={}, resamples=60,
    )  # fmt: skip
    return Reference(
        release=RELEASE, schema=SCHEMA, task=task, inputs=profile(weight, SCHEMA),
        answers=profile_scores(rows[0], task), report=report,
    )  # fmt: skip


def line(number: int, scores: Any, weight: float = 0.0) -> str:
    return json.dumps(
        {
            "id": f"r{number}", "at": 1.7e9 + number, "release": RELEASE, "variant": "fp32",
            "row": {"weight": weight}, "scores": scores,
        }
    )  # fmt: skip


def watched(
    folder: Path, task: Task, rows: Rows, *, known: Rows, labelled: int = 400
) -> MonitorReport:
    """Traffic of one window, labelled up to a number of rows."""
    random = np.random.default_rng(5)
    lines = [line(n, row.tolist(), random.normal()) for n, row in enumerate(rows[0])]
    write(folder / "predictions" / "model", {"0-1-0": lines})
    told = [label_line(f"r{n}", as_logged(task, truth)) for n, truth in enumerate(rows[1])]
    write(folder / "labels" / "model", {"0-1-0": told[:labelled]})
    return watch(
        model="model", release=reference(task, known), predictions=folder / "predictions",
        labels=folder / "labels", every=10_000,
    )  # fmt: skip


def as_logged(task: Task, truth: Any) -> Any:
    """A label as serving writes it."""
    if task.is_regression:
        return float(truth)
    return [name for name, has in zip(task.classes, truth, strict=True) if has]


# several labels


def test_labels_are_counted_class_by_class_and_measured(tmp_path: Path) -> None:
    rows = labels(600, seed=3)
    report = watched(tmp_path, ABOUT, rows, known=labels(4_000, seed=1))
    (window,) = report.windows
    answered = (rows[0] >= ABOUT.threshold).sum(axis=0).tolist()
    assert window.answered == dict(zip(ABOUT.classes, answered, strict=True))
    assert (window.labelled, report.unreadable, report.alerts) == (400, 0, ())
    assert list(window.quality) == list(MULTILABEL.live)
    hits = (rows[0][:400] >= ABOUT.threshold) & rows[1][:400].astype(bool)
    given = (rows[0][:400] >= ABOUT.threshold).sum() + rows[1][:400].sum()
    assert window.quality["micro_f1"].value == pytest.approx(2 * hits.sum() / given)
    shares = {name: f"{name} {100 * n / 600:.1f} %" for name, n in window.answered.items()}
    for page in (render_markdown(report), render_html(report)):
        assert all(share in page for share in shares.values())


def test_a_label_that_is_answered_less_is_told_by_name(tmp_path: Path) -> None:
    rows = labels(800, price=2.5, seed=4)
    report = watched(tmp_path, ABOUT, rows, known=labels(4_000, seed=1), labelled=0)
    (alert,) = report.alerts
    assert (alert.subject, alert.severity) == ("answers", "warning")
    assert alert.message.startswith("Answers moved: probability of 'price', median 0.")
    assert report.windows[0].answers.name == "probability of 'price'"


def test_labels_that_come_true_less_often_are_worse_quality(tmp_path: Path) -> None:
    chances, truth = labels(600, seed=6)
    rows = chances, np.roll(truth, 1, axis=0)
    (alert,) = watched(tmp_path, ABOUT, rows, known=labels(4_000, seed=1)).alerts
    assert (alert.severity, alert.subject) == ("critical", "quality")
    assert alert.message.startswith("Quality got worse: micro_f1 0.")


def test_rows_without_any_label_say_nothing(tmp_path: Path) -> None:
    chances, truth = labels(300, seed=7)
    rows = chances, np.zeros_like(truth)
    report = watched(tmp_path, ABOUT, rows, known=labels(4_000, seed=1), labelled=300)
    assert report.windows[0].labelled == 300
    assert report.windows[0].quality == {}


def test_lists_of_labels_are_read_as_one_boolean_per_class(tmp_path: Path) -> None:
    given = [["crew", "delay"], [], "crew", ["horse"], True, ["price", "price"]]
    write(tmp_path, {"0-1-0": [label_line(f"r{n}", one) for n, one in enumerate(given)]})
    frame, unreadable = read_labels(tmp_path, ABOUT)
    assert unreadable == 3
    assert dict(frame.sort(ID).iter_rows()) == {
        "r0": [True, False, True], "r1": [False, False, False], "r5": [False, True, False]
    }  # fmt: skip
    empty, _ = read_labels(tmp_path / "nowhere", ABOUT)
    assert empty.schema == pl.Schema({ID: pl.String(), LABEL: pl.Array(pl.Boolean, 3)})


# numbers


def test_numbers_are_measured_and_counted_by_no_class(tmp_path: Path) -> None:
    rows = numbers(600, seed=3)
    report = watched(tmp_path, DELAY, rows, known=numbers(4_000, seed=1))
    (window,) = report.windows
    assert (window.answered, window.labelled, report.alerts) == ({}, 400, ())
    assert list(window.quality) == list(REGRESSION.live)
    off = np.abs(rows[0][:400, 0] - rows[1][:400])
    assert window.quality["mae"].value == pytest.approx(off.mean())
    assert window.quality["interval_coverage"].value == pytest.approx((off <= 8.2).mean())
    assert "| no clear change | 400 | mae " in render_markdown(report)


def test_numbers_that_moved_are_told_in_their_unit(tmp_path: Path) -> None:
    rows = numbers(800, shift=12.0, seed=4)
    report = watched(tmp_path, DELAY, rows, known=numbers(4_000, seed=1), labelled=0)
    (alert,) = report.alerts
    assert (alert.subject, alert.severity) == ("answers", "warning")
    assert alert.message.startswith("Answers moved: median ")
    assert " minutes, was " in alert.message
    told = report.windows[0].answers.explanation
    assert told in render_markdown(report)
    assert told in render_html(report)


def test_intervals_that_miss_the_truth_are_worse_quality(tmp_path: Path) -> None:
    answers, _ = numbers(600, seed=6)
    truth = answers[:, 0] + np.random.default_rng(8).normal(0.0, 20.0, 600)
    (alert,) = watched(tmp_path, DELAY, (answers, truth), known=numbers(4_000, seed=1)).alerts
    assert (alert.severity, alert.subject) == ("critical", "quality")
    assert alert.message.startswith("Quality got worse: mae 1")
    assert "interval_coverage 0." in alert.message


def test_labels_of_one_value_are_measured_all_the_same(tmp_path: Path) -> None:
    answers, truth = numbers(300, seed=7)
    rows = answers, np.zeros_like(truth)
    report = watched(tmp_path, DELAY, rows, known=numbers(4_000, seed=1), labelled=300)
    assert report.windows[0].quality["mae"].value == pytest.approx(np.abs(answers[:, 0]).mean())


def test_numbers_that_are_none_are_counted_and_passed_over(tmp_path: Path) -> None:
    given = [1, -2.5, "3", True, None, [4]]
    log = [label_line(f"r{n}", one) for n, one in enumerate(given)]
    log += ['{"id":"r7","label":NaN,"at":1}', '{"id":"r8","label":1e999,"at":1}']
    frame, unreadable = read_labels(write(tmp_path, {"0-1-0": log}), DELAY)
    assert dict(frame.sort(ID).iter_rows()) == {"r0": 1.0, "r1": -2.5}
    assert unreadable == 6


@pytest.mark.parametrize(
    ("task", "scores", "fits"),
    [
        (ABOUT, [0.9, 0.8, 0.7], True),
        (ABOUT, [0.0, 0.0, 0.0], True),
        (ABOUT, [0.9, 0.8], False),
        (ABOUT, [0.9, 0.8, 1.1], False),
        (DELAY, [1e6, -1e6, 2e6], True),
        (DELAY, [5, 5, 5], True),
        (DELAY, [5.0, 6.0, 7.0], False),
        (DELAY, [5.0, 4.0, 4.5], False),
        (DELAY, [5.0, 4.0], False),
        (DELAY, [None, 4.0, 6.0], False),
    ],
)
def test_an_answer_of_another_task_is_no_line_of_this_log(
    tmp_path: Path, task: Task, scores: list[Any], fits: bool
) -> None:
    write(tmp_path, {"0-1-0": [line(0, scores)]})
    (batch, *_) = read_predictions(tmp_path, SCHEMA, task)
    assert (batch.frame.height, batch.unreadable) == (int(fits), int(not fits))
    assert batch.frame[SCORES].to_list() == ([scores] if fits else [])


@given(st.lists(st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 3), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None)
def test_the_same_numbers_have_not_moved(drawn: list[tuple[float, float, float]]) -> None:
    outputs = np.array([[middle, low, high] for low, middle, high in map(sorted, drawn)])
    known = profile_scores(outputs, DELAY)
    again = profile_scores(outputs, DELAY, reference=known)
    assert again.fields[0].counts == known.fields[0].counts
    assert sum(again.fields[0].counts) == len(drawn)
