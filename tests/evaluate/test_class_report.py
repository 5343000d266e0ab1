"""A report on many classes: each class alone, mistakes, groups, baselines, calibration."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as peer
from sklearn.linear_model import LogisticRegression

from tests.evaluate.samples import many, task_of, variant
from torchyard.core.record import read_record, write_record
from torchyard.evaluate import evaluate, judge
from torchyard.evaluate.counting.sample import Floats, Sample, Truth
from torchyard.evaluate.metrics.kinds import MULTICLASS
from torchyard.evaluate.metrics.multiclass import CLASS_METRICS
from torchyard.evaluate.metrics.per_class import MOST_CONFUSED
from torchyard.evaluate.rivals.baselines import (
    MOST_NUMBERS,
    Linear,
    Majority,
    fit_linear,
    fit_majority,
)
from torchyard.evaluate.rivals.design import Features, bag, columns
from torchyard.records.evidence import Report
from torchyard.records.verdicts import Gate


def report(sample: Sample, *, baselines: dict[str, Floats] | None = None) -> Report:
    generator = np.random.default_rng(3)
    return evaluate(
        sample,
        model="fp32",
        split="test",
        groups={"sex": generator.choice(["f", "m"], sample.rows)},
        slices={"city": generator.choice(["A", "B", "tiny"], sample.rows, p=[0.5, 0.45, 0.05])},
        baselines=baselines or {},
        resamples=100,
    )


def test_a_report_holds_every_metric_and_each_class_alone() -> None:
    sample = many(1500, classes=6)
    found = report(sample)
    assert set(found.metrics) == set(CLASS_METRICS)
    assert found.classes == tuple(np.bincount(sample.truth).tolist())
    answered = sample.outputs.argmax(1)
    assert found.confusion == tuple(
        map(tuple, peer.confusion_matrix(sample.truth, answered).tolist())
    )
    precision, recall, f1, rows = peer.precision_recall_fscore_support(sample.truth, answered)
    for place, one in enumerate(found.per_class):
        assert (one.name, one.rows) == (sample.task.classes[place], rows[place])
        assert one.answered == (answered == place).sum()
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
            measured = one.metrics[name]
            assert measured.value == pytest.approx(expected[place])
            assert measured.low is not None
            assert measured.high is not None
            assert measured.low < measured.value < measured.high
    assert sum(one.rows for one in found.reliability) == 1500


def test_a_class_that_never_occurs_has_no_recall() -> None:
    sample = many(600, classes=3)
    found = report(sample.of(np.flatnonzero(sample.truth != 2))).per_class[2]
    assert (found.rows, set(found.metrics)) == (0, {"precision", "f1"})
    assert found.metrics["precision"].value == 0.0


def test_groups_and_slices_are_measured_by_their_rows_alone() -> None:
    found = report(many(1500, classes=6))
    assert {one.value: bool(one.metrics) for one in found.slices} == {
        "A": True, "B": True, "tiny": False,
    }  # fmt: skip
    assert set(found.fairness["sex"]) == set(MULTICLASS.rates)
    rates = [one.metrics["accuracy"].value for one in found.groups]
    assert found.fairness["sex"]["accuracy_difference"].value == pytest.approx(
        abs(rates[0] - rates[1])
    )


def test_parity_is_the_largest_difference_of_any_class() -> None:
    sample = many(1000, classes=3)
    labels = np.where(np.arange(1000) < 500, "a", "b")
    answered = sample.outputs.argmax(1)
    rates = np.array(
        [np.bincount(answered[labels == group], minlength=3) / 500 for group in ("a", "b")]
    )
    found = evaluate(
        sample, model="m", split="test", groups={"g": labels}, slices={}, baselines={}, resamples=60
    )
    parity = found.fairness["g"]["demographic_parity_difference"]
    assert parity.value == pytest.approx(np.abs(rates[0] - rates[1]).max())


def test_many_classes_carry_no_matrix() -> None:
    sample = many(400, classes=MOST_CONFUSED + 1)
    found = report(sample)
    assert found.confusion == ()
    assert len(found.per_class) == MOST_CONFUSED + 1


def test_a_report_survives_the_disk_and_meets_gates(tmp_path: Path) -> None:
    found = report(many(1500, sure=4.0))
    write_record(tmp_path / "report.json", found)
    assert read_record(Report, tmp_path / "report.json") == found
    gates = (
        Gate(metric="accuracy", at_least=0.6),
        Gate(metric="macro_f1", per_slice="city", min_rows=300, at_least=0.5),
        Gate(metric="accuracy_difference", group="sex", at_most=0.2),
    )
    assert [
        v.outcome for v in judge(gates, report=found, variant=variant(), today=date(2026, 1, 1))
    ] == ["pass"] * 3


def rows(count: int, *, seed: int = 0) -> tuple[dict[str, np.ndarray], Truth]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, count)
    numbers = generator.normal(3.0, 20.0, (count, 2)) + 20.0 * np.eye(3)[truth][:, :2]
    return {
        "numbers": numbers.astype(np.float32),
        "kind": np.where(generator.random(count) < 0.5, truth, generator.integers(0, 4, count)),
    }, truth


def test_the_line_is_that_of_the_library_that_fits_it() -> None:
    features, truth = rows(900)
    numbers = features["numbers"].astype(np.float64)
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    matrix = np.hstack([scaled, np.eye(4)[features["kind"]]])
    expected = LogisticRegression(max_iter=200).fit(matrix, truth).predict_proba(matrix)
    found = fit_linear(features, truth, task_of(3), seed=0).predict(features)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_class_without_training_rows_gets_nothing(missing: int) -> None:
    features, truth = rows(600)
    kept = truth != missing
    some: Features = {name: tensor[kept] for name, tensor in features.items()}
    for model in (
        fit_linear(some, truth[kept], task_of(3), seed=0),
        fit_majority(truth[kept], task_of(3)),
    ):
        found = model.predict(features)
        assert (found[:, missing] == 0).all()
        assert found.sum(axis=1) == pytest.approx(1.0)
    line = fit_linear(some, truth[kept], task_of(3), seed=0).predict(some)
    assert (line.argmax(1) == truth[kept]).mean() > 0.6


def test_the_majority_answers_with_the_shares() -> None:
    truth = np.array([2, 2, 0, 2])
    assert fit_majority(truth, task_of(3)) == Majority(answer=(0.25, 0.0, 0.75))
    assert fit_linear({"x": np.ones((3, 1), np.float32)}, truth[[0, 1, 3]], task_of(3), seed=0) == (
        Majority(answer=(0.0, 0.0, 1.0))
    )


def test_texts_are_bags_of_tokens_wherever_a_token_stands() -> None:
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, 50, (600, 12))
    truth = generator.integers(0, 3, 600)
    tokens[np.arange(600), generator.integers(0, 12, 600)] = 50 + truth
    model = fit_linear({"tokens": tokens[:400]}, truth[:400], task_of(3), seed=0)
    assert (model.predict({"tokens": tokens[400:]}).argmax(1) == truth[400:]).mean() > 0.95


def test_pictures_are_judged_by_blocks_of_pixels() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 400)
    pictures = generator.normal(size=(400, 1, 28, 28)).astype(np.float32)
    for place, (top, left) in enumerate([(0, 0), (0, 14), (14, 0), (14, 14)]):
        pictures[truth == place, 0, top : top + 14, left : left + 14] += 0.5
    model = fit_linear({"pixels": pictures[:300]}, truth[:300], task_of(4), seed=0)
    assert isinstance(model, Linear)
    assert model.numbers["pixels"].shape == (14 * 14, 4)
    assert (model.predict({"pixels": pictures[300:]}).argmax(1) == truth[300:]).mean() > 0.95


def test_blocks_are_means_of_neighbours() -> None:
    flat = np.arange(2 * 3000, dtype=np.float32).reshape(2, 3000)
    found = columns("flat", flat)
    assert found.shape == (2, 1000)
    assert found[0, :2].tolist() == [1.0, 4.0]
    picture = np.arange(40 * 17, dtype=np.float32).reshape(1, 40, 17)
    assert columns("picture", picture).shape == (1, 14 * 9)
    assert columns("picture", picture)[0, -1] == picture[0, 39, 16]
    small = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert columns("small", small).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_a_bag_counts_what_it_knows() -> None:
    assert bag(np.array([3, -1, 0]), size=3).toarray().tolist() == [
        [0, 0, 0], [0, 0, 0], [1, 0, 0],
    ]  # fmt: skip


def test_too_many_rows_are_fitted_in_part_with_every_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, truth = rows(2000)
    truth = np.where(np.arange(2000) == 1500, 3, truth)
    whole = fit_linear(features, truth, task_of(4), seed=0)
    monkeypatch.setattr("torchyard.evaluate.rivals.baselines.MOST_NUMBERS", 300 * 3 * 4)
    part = fit_linear(features, truth, task_of(4), seed=0)
    again = fit_linear(features, truth, task_of(4), seed=0)
    assert MOST_NUMBERS > 2000 * 3 * 4
    assert (part.predict(features) == again.predict(features)).all()
    assert (part.predict(features) != whole.predict(features)).any()
    assert (part.predict(features)[:, 3] > 0).all()
