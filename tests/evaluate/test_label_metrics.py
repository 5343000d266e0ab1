"""Metrics of several classes at once against scikit-learn and torchmetrics, and degenerate rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tests.evaluate.samples import label_task, labels
from tests.evaluate.test_class_metrics import plain_gaps
from torchyard.core.errors import BadData
from torchyard.evaluate import evaluate
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import MULTILABEL, compute
from torchyard.evaluate.metrics.multilabel import LABEL_METRICS
from torchyard.evaluate.resampling.bootstrap import bootstrap, bootstrap_plainly, measure

Definition = Callable[[Sample, Floats], float]
CLASSES = 4


def answered(sample: Sample) -> Any:
    return sample.outputs >= sample.task.threshold


def of_answers(function: Callable[..., float], **options: object) -> Definition:
    return lambda s, w: function(s.truth, answered(s), sample_weight=w, **options)


def of_scores(function: Callable[..., float], **options: object) -> Definition:
    return lambda s, w: function(s.truth, s.outputs, sample_weight=w, **options)


def of_pairs(definition: Callable[[Any, Any, Any], float]) -> Definition:
    return lambda s, w: definition(
        s.truth.reshape(-1), s.outputs.reshape(-1), np.repeat(w, s.truth.shape[1])
    )


def of_each_class(definition: Callable[[Any, Any, Any], float]) -> Definition:
    return lambda s, w: float(
        np.mean([definition(s.truth[:, k], s.outputs[:, k], w) for k in range(CLASSES)])
    )


def plain_error(truth: Any, probability: Any, weights: Any) -> float:
    return float(plain_gaps(probability, truth, weights)[0].sum() / weights.sum())


def plain_largest(truth: Any, probability: Any, weights: Any) -> float:
    gaps, masses = plain_gaps(probability, truth, weights)
    return float((gaps[masses > 0] / masses[masses > 0]).max())


PEERS: dict[str, Definition] = {
    "micro_f1": of_answers(peer.f1_score, average="micro"),
    "macro_f1": of_answers(peer.f1_score, average="macro"),
    "micro_precision": of_answers(peer.precision_score, average="micro"),
    "micro_recall": of_answers(peer.recall_score, average="micro"),
    "macro_precision": of_answers(peer.precision_score, average="macro"),
    "macro_recall": of_answers(peer.recall_score, average="macro"),
    "subset_accuracy": of_answers(peer.accuracy_score),
    "hamming_loss": of_answers(peer.hamming_loss),
    "micro_auroc": of_scores(peer.roc_auc_score, average="micro"),
    "macro_auroc": of_scores(peer.roc_auc_score, average="macro"),
    "macro_average_precision": of_scores(peer.average_precision_score, average="macro"),
    "label_ranking_average_precision": of_scores(peer.label_ranking_average_precision_score),
    "log_loss": of_pairs(
        lambda y, p, w: peer.log_loss(y, p, sample_weight=w, labels=[False, True])
    ),
    "brier": of_pairs(lambda y, p, w: peer.brier_score_loss(y, p, sample_weight=w)),
    "expected_calibration_error": of_pairs(plain_error),
    "maximum_calibration_error": of_pairs(plain_largest),
    "classwise_calibration_error": of_each_class(plain_error),
    "calibration_gap": of_pairs(lambda y, p, w: float(np.average(p - y, weights=w))),
}


def test_every_metric_has_a_peer() -> None:
    assert set(PEERS) == set(LABEL_METRICS)


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("name", LABEL_METRICS)
def test_agrees_with_its_peer(name: str, decimals: int | None) -> None:
    sample = labels(600, classes=CLASSES, decimals=decimals)
    assert compute(name, sample) == pytest.approx(PEERS[name](sample, np.ones(600)))


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_agrees_with_its_peer_under_weights(name: str) -> None:
    sample = labels(300, classes=CLASSES, seed=1, decimals=1)
    weights = np.random.default_rng(2).random(300)
    assert compute(name, sample, weights=weights) == pytest.approx(PEERS[name](sample, weights))


def test_agrees_with_the_metrics_that_train_in_torch() -> None:
    import torch
    from torchmetrics.functional import classification as torch_peer

    sample = labels(400, classes=CLASSES, decimals=2)
    predicted, truth = torch.from_numpy(sample.outputs), torch.from_numpy(sample.truth).long()
    at: dict[str, Any] = {"num_labels": CLASSES, "threshold": sample.task.threshold - 1e-6}
    found = {
        "micro_f1": torch_peer.multilabel_f1_score(predicted, truth, average="micro", **at),
        "subset_accuracy": torch_peer.multilabel_exact_match(predicted, truth, **at),
        "hamming_loss": torch_peer.multilabel_hamming_distance(
            predicted, truth, average="micro", **at
        ),
        "macro_auroc": torch_peer.multilabel_auroc(predicted, truth, num_labels=CLASSES),
        "label_ranking_average_precision": torch_peer.multilabel_ranking_average_precision(
            predicted, truth, num_labels=CLASSES
        ),
    }
    for name, expected in found.items():
        assert compute(name, sample) == pytest.approx(float(expected), abs=1e-5), name


def test_a_class_without_rows_is_left_out_of_averages() -> None:
    sample = labels(500, classes=3)
    truth = sample.truth.copy()
    truth[:, 1] = False
    found = replace(sample, truth=truth)
    areas = [peer.roc_auc_score(truth[:, k], sample.outputs[:, k]) for k in (0, 2)]
    assert compute("macro_auroc", found) == pytest.approx(np.mean(areas))
    recalls = peer.recall_score(truth, answered(found), average=None, zero_division=np.nan)
    assert compute("macro_recall", found) == pytest.approx(np.nanmean(recalls))


def test_constant_probabilities_rank_nothing() -> None:
    sample = labels(200)
    flat = replace(sample, outputs=np.full(sample.outputs.shape, 0.5))
    assert compute("micro_auroc", flat) == 0.5
    assert compute("macro_auroc", flat) == pytest.approx(0.5)
    for name in ("label_ranking_average_precision", "macro_average_precision", "micro_recall"):
        assert compute(name, flat) == pytest.approx(PEERS[name](flat, np.ones(200)))


def test_no_rows_and_a_single_row_say_only_what_they_can() -> None:
    none = labels(10).of(np.zeros(0, dtype=np.intp))
    assert {name: compute(name, none) for name in LABEL_METRICS} == dict.fromkeys(LABEL_METRICS)
    one = Sample(
        task=label_task(2), truth=np.array([[False, False]]), outputs=np.array([[0.1, 0.2]])
    )
    undefined = {name for name in LABEL_METRICS if compute(name, one) is None}
    answers = {"micro_f1", "macro_f1", "micro_precision", "micro_recall"}
    averages = {"macro_precision", "macro_recall", "macro_auroc", "macro_average_precision"}
    assert undefined == answers | averages | {"micro_auroc"}
    assert compute("subset_accuracy", one) == 1.0
    assert compute("label_ranking_average_precision", one) == 1.0


@given(cells=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=45), data=st.data())
@settings(max_examples=30, deadline=None)
def test_order_of_rows_repetition_and_bounds(
    cells: list[tuple[bool, int]], data: st.DataObject
) -> None:
    rows = len(cells) // 3
    truth = np.array([cell[0] for cell in cells[: 3 * rows]], dtype=bool).reshape(rows, 3)
    outputs = np.array([cell[1] / 4 for cell in cells[: 3 * rows]]).reshape(rows, 3)
    sample = Sample(task=label_task(3), truth=truth, outputs=outputs)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    shuffled = np.array(data.draw(st.permutations(range(rows))), dtype=np.intp)
    copies = np.repeat(np.arange(rows), weights)
    for name, metric in LABEL_METRICS.items():
        value = compute(name, sample)
        assert compute(name, sample.of(shuffled)) == pytest.approx(value)
        weighted = compute(name, sample, weights=np.array(weights, dtype=np.float64))
        assert weighted == pytest.approx(compute(name, sample.of(copies)))
        if value is not None:
            assert metric.bounds[0] - 1e-12 <= value <= metric.bounds[1] + 1e-12


@pytest.mark.parametrize("name", LABEL_METRICS)
def test_its_direction_is_the_better_one(name: str) -> None:
    sample = labels(300)
    best, worst = (
        compute(name, replace(sample, outputs=outputs.astype(np.float64)))
        for outputs in (sample.truth, ~sample.truth.astype(bool))
    )
    assert best is not None
    assert worst is not None
    better = LABEL_METRICS[name].higher_is_better
    if better is not None:
        assert (best > worst) == better
        assert best == pytest.approx(1.0 if better else 0.0, abs=1e-12)


def test_the_fast_path_answers_what_the_plain_one_defines() -> None:
    sample = labels(90, decimals=1)
    fast = bootstrap(sample, generator=np.random.default_rng(5), resamples=40).samples
    plain = bootstrap_plainly(sample, generator=np.random.default_rng(5), resamples=40)
    assert set(fast) == set(LABEL_METRICS)
    for name, samples in fast.items():
        np.testing.assert_allclose(samples, plain[name], rtol=0, atol=1e-12, err_msg=name)
        assert np.nanstd(samples) > 0, name


def test_intervals_cover_about_95_percent() -> None:
    large = labels(60_000, seed=10**6)
    true = {name: compute(name, large) for name in LABEL_METRICS}
    hits = dict.fromkeys(LABEL_METRICS, 0)
    for seed in range(40):
        found = measure(
            labels(600, seed=seed), generator=np.random.default_rng(seed), resamples=120
        )
        for name, one in found.items():
            assert one.low is not None
            assert one.high is not None
            hits[name] += one.low <= (true[name] or 0.0) <= one.high
    for name, metric in LABEL_METRICS.items():
        if not metric.biased:
            assert hits[name] >= 33, (name, hits[name])


def test_a_report_tells_each_class_and_compares_groups() -> None:
    sample = labels(1200)
    found = evaluate(
        sample,
        model="fp32",
        split="test",
        groups={"sex": np.random.default_rng(3).choice(["f", "m"], 1200)},
        slices={"city": np.where(np.arange(1200) < 1150, "A", "tiny")},
        baselines={"never": np.zeros(sample.outputs.shape)},
        resamples=60,
    )
    truth = np.asarray(sample.truth)
    assert set(found.metrics) == set(LABEL_METRICS)
    assert found.classes == tuple(truth.sum(axis=0).tolist())
    assert found.confusion == ()
    precision, recall, f1, rows = peer.precision_recall_fscore_support(truth, answered(sample))
    for place, one in enumerate(found.per_class):
        assert (one.name, one.rows) == (sample.task.classes[place], rows[place])
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
            measured = one.metrics[name]
            assert measured.value == pytest.approx(expected[place])
            assert (measured.low or 0.0) < measured.value < (measured.high or 0.0)
    assert sum(one.rows for one in found.reliability) == truth.size
    assert set(found.fairness["sex"]) == set(MULTILABEL.rates)
    tiny = next(one for one in found.slices if one.value == "tiny")
    assert (tiny.small, tiny.metrics) == ("50 rows", {})
    assert tiny.classes == tuple(truth[1150:].sum(axis=0).tolist())
    assert found.baselines["never"]["micro_recall"].value == 0.0


@pytest.mark.parametrize(
    ("truth", "outputs", "text"),
    [
        (np.ones((2, 2), dtype=np.int64), np.ones((2, 2)), "expected true or false for each class"),
        (np.ones(2, dtype=bool), np.ones((2, 2)), r"found shapes \[2\] and \[2, 2\]"),
        (np.ones((2, 3), dtype=bool), np.ones((2, 3)), r"\[rows, 2\] and \[rows, 2\]"),
        (np.ones((2, 2), dtype=bool), np.full((2, 2), np.nan), "found 4 outside 0 to 1"),
        (np.ones((2, 2), dtype=bool), np.full((2, 2), 1.5), "Give calibrated probabilities"),
    ],
)
def test_what_is_no_sample_is_refused(truth: Any, outputs: Any, text: str) -> None:
    with pytest.raises(BadData, match=text):
        Sample(task=label_task(2), truth=truth, outputs=outputs)
