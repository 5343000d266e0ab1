"""Live quality: late labels find their rows; what cannot be said is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.monitor.traffic import LOGGED, TASK, draw, label_line, lines_of, reference, scores, write
from torchyard.evaluate import Sample, measure
from torchyard.evaluate.metrics.kinds import BINARY
from torchyard.monitor.log import read_labels, read_predictions
from torchyard.monitor.quality import labelled_rows, live_quality, worse_than
from torchyard.monitor.reference import only_logged
from torchyard.monitor.windows import Traffic, gather, parse_cut
from torchyard.records.measures import Measured


def window(tmp_path: Path, frame: pl.DataFrame, labels: list[str]) -> Traffic:
    predictions = write(tmp_path / "p", {"0-1-0": lines_of(frame)})
    given, _ = read_labels(write(tmp_path / "l", {"0-1-0": labels}), TASK)
    cut = parse_cut(LOGGED, every=frame.height, time=None)
    batches = read_predictions(predictions, LOGGED, TASK, batch_rows=37)
    (found,) = gather(batches, cut, only_logged(reference()), labels=given).windows
    return found


def quality(traffic: Traffic) -> dict[str, Measured]:
    return live_quality(traffic, TASK, resamples=100, generator=np.random.default_rng(0))


def test_late_and_repeated_labels_are_joined_by_id(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    frame = draw(400, random)
    truth = random.random(400) < frame["probability"].to_numpy()
    numbers = random.permutation(400)[:300]  # a quarter never gets one, none come in order
    wrong = [label_line(f"r{n}", not truth[n], at=1.7e9) for n in numbers[:100]]
    right = [label_line(f"r{n}", bool(truth[n]), at=1.8e9) for n in numbers]
    strangers = [label_line(f"s{n}", True) for n in range(50)]
    found = window(tmp_path, frame, [*right, *wrong, *strangers])
    assert labelled_rows(found) == 300
    kept = np.sort(numbers)
    expected = measure(
        Sample(task=TASK, truth=truth[kept], outputs=scores(frame)[kept]),
        generator=np.random.default_rng(0),
        resamples=100,
        metrics=BINARY.live,
    )
    assert set(expected) == set(BINARY.live)
    for name, value in quality(found).items():
        assert value.value == pytest.approx(expected[name].value)
        assert value.rows == 300
        assert value.low is not None
        assert value.high is not None
        assert value.low < value.value < value.high


def test_fewer_than_fifty_labels_say_nothing(tmp_path: Path) -> None:
    frame = draw(60, np.random.default_rng(2))
    labels = [label_line(f"r{n}", n % 2 == 0) for n in range(50)]
    assert quality(window(tmp_path, frame, labels[:49])) == {}
    assert set(quality(window(tmp_path, frame, labels))) == set(BINARY.live)


@pytest.mark.parametrize("label", [True, False])
def test_labels_of_one_class_say_nothing(tmp_path: Path, label: bool) -> None:
    frame = draw(80, np.random.default_rng(3))
    found = window(tmp_path, frame, [label_line(f"r{n}", label) for n in range(80)])
    assert labelled_rows(found) == 80
    assert quality(found) == {}


def test_no_labels_say_nothing(tmp_path: Path) -> None:
    assert quality(window(tmp_path, draw(5, np.random.default_rng(4)), [])) == {}


def test_worse_is_a_whole_interval_on_the_worse_side() -> None:
    known = Measured(value=0.7, low=0.6, high=0.8, rows=100, method="bootstrap")
    above = replace(known, value=0.9, low=0.85, high=0.95)
    below = replace(known, value=0.5, low=0.45, high=0.55)
    touching = replace(known, value=0.55, low=0.5, high=0.6)
    assert worse_than(current=below, reference=known, metric="auroc", task=TASK)
    assert not worse_than(current=above, reference=known, metric="auroc", task=TASK)
    assert not worse_than(current=touching, reference=known, metric="auroc", task=TASK)
    assert worse_than(current=above, reference=known, metric="log_loss", task=TASK)
    assert not worse_than(current=below, reference=known, metric="log_loss", task=TASK)
    unsure = replace(below, low=None, high=None)
    assert not worse_than(current=unsure, reference=known, metric="auroc", task=TASK)
    assert not worse_than(current=below, reference=unsure, metric="auroc", task=TASK)
