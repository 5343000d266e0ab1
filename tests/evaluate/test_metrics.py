"""Each metric against scikit-learn, and the properties that its registration claims.

The tests run over ``METRICS``: a metric registered there is tested without being named here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tests.evaluate.samples import LATE, binary, both, draw
from torchyard.core.errors import BadData, BadProject
from torchyard.evaluate.counting.sample import Bools, Floats, Sample
from torchyard.evaluate.metrics.binary import METRICS
from torchyard.evaluate.metrics.kinds import compute, find

THRESHOLD = 0.3
Definition = Callable[[Bools, Floats, Floats], float]


def plain_calibration_error(truth: Bools, probability: Floats, weights: Floats) -> float:
    """Rows one by one into bins, each of which ends with the tie that completes its share."""
    total = 0.0
    gaps = np.zeros(15)
    place = 0
    for value in np.unique(probability):
        tied = probability == value
        total += float(weights[tied].sum())
        gaps[place] += float((weights[tied] * (value - truth[tied])).sum())
        while place < 14 and total >= (place + 1) / 15 * weights.sum() * (1.0 - 1e-12):
            place += 1
    return float(np.abs(gaps).sum() / weights.sum())


def plain_largest_gap(truth: Bools, probability: Floats, weights: Floats) -> float:
    """The same bins, each gap over its own weight."""
    gaps, masses, total, place = np.zeros(15), np.zeros(15), 0.0, 0
    for value in np.unique(probability):
        tied = probability == value
        total += float(weights[tied].sum())
        masses[place] += float(weights[tied].sum())
        gaps[place] += float((weights[tied] * (value - truth[tied])).sum())
        while place < 14 and total >= (place + 1) / 15 * weights.sum() * (1.0 - 1e-12):
            place += 1
    return float((np.abs(gaps[masses > 0]) / masses[masses > 0]).max())


def decided(function: Callable[..., float], **options: float) -> Definition:
    return lambda y, p, w: function(y, p >= THRESHOLD, sample_weight=w, **options)


PEERS: dict[str, Definition] = {
    "auroc": lambda y, p, w: peer.roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda y, p, w: peer.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, w: peer.log_loss(y, p, sample_weight=w, labels=[False, True]),
    "brier": lambda y, p, w: peer.brier_score_loss(y, p, sample_weight=w),
    "expected_calibration_error": plain_calibration_error,
    "maximum_calibration_error": plain_largest_gap,
    "calibration_gap": lambda y, p, w: float(np.average(p - y, weights=w)),
    "accuracy": decided(peer.accuracy_score),
    "precision": decided(peer.precision_score),
    "recall": decided(peer.recall_score),
    "false_positive_rate": lambda y, p, w: (
        1.0 - peer.recall_score(~y, p < THRESHOLD, sample_weight=w)
    ),
    "specificity": lambda y, p, w: peer.recall_score(~y, p < THRESHOLD, sample_weight=w),
    "balanced_accuracy": decided(peer.balanced_accuracy_score),
    "f1": decided(peer.f1_score),
    "f2": decided(peer.fbeta_score, beta=2.0),
    "f_half": decided(peer.fbeta_score, beta=0.5),
    "matthews_correlation": decided(peer.matthews_corrcoef),
    "positive_rate": lambda y, p, w: float(np.average(y, weights=w)),
    "selection_rate": lambda y, p, w: float(np.average(p >= THRESHOLD, weights=w)),
}


def of(name: str, truth: Bools, probability: Floats, weights: Floats | None = None) -> float | None:
    return compute(name, binary(truth, probability, threshold=THRESHOLD), weights=weights)


def every_metric(truth: Bools, probability: Floats) -> dict[str, float | None]:
    return {name: of(name, truth, probability) for name in METRICS}


def test_every_metric_has_a_peer() -> None:
    assert set(PEERS) == set(METRICS)


@pytest.mark.parametrize("decimals", [None, 2, 1])
@pytest.mark.parametrize("name", METRICS)
def test_agrees_with_its_peer(name: str, decimals: int | None) -> None:
    truth, probability = draw(1500, decimals=decimals)
    ones = np.ones(truth.size)
    assert of(name, truth, probability) == pytest.approx(PEERS[name](truth, probability, ones))


@pytest.mark.parametrize("name", METRICS)
def test_agrees_with_its_peer_under_weights(name: str) -> None:
    truth, probability = draw(400, seed=1, decimals=2)
    weights = np.random.default_rng(2).random(truth.size)
    found = of(name, truth, probability, weights)
    assert found == pytest.approx(PEERS[name](truth, probability, weights))


def test_log_loss_of_a_certain_error_is_clipped_as_the_peer_clips_it() -> None:
    truth, probability = np.array([True, False, True]), np.array([0.0, 1.0, 1.0])
    assert of("log_loss", truth, probability) == pytest.approx(
        PEERS["log_loss"](truth, probability, np.ones(3))
    )


@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])), max_size=30
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_order_of_rows_repetition_and_bounds(
    rows: list[tuple[bool, float]], data: st.DataObject
) -> None:
    truth = np.array([row[0] for row in rows], dtype=bool)
    probability = np.array([row[1] for row in rows], dtype=np.float64)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=truth.size, max_size=truth.size))
    shuffled = np.array(data.draw(st.permutations(range(truth.size))), dtype=np.intp)
    copies = np.repeat(np.arange(truth.size), weights)
    for name, metric in METRICS.items():
        value = of(name, truth, probability)
        assert of(name, truth[shuffled], probability[shuffled]) == pytest.approx(value)
        assert of(name, truth, probability, np.ones(truth.size)) == pytest.approx(value)
        weighted = of(name, truth, probability, np.array(weights, dtype=np.float64))
        assert weighted == pytest.approx(of(name, truth[copies], probability[copies]))
        if value is not None:
            assert metric.bounds[0] - 1e-12 <= value <= metric.bounds[1] + 1e-12


@pytest.mark.parametrize("name", METRICS)
def test_depends_on_what_it_says_and_nothing_else(name: str) -> None:
    truth, probability = draw(600)
    squeezed = probability**2 * 0.99
    same_decisions = np.where(probability >= THRESHOLD, 0.9, 0.1)
    changed = {
        "order": of(name, truth, 1.0 - probability),
        "probability": of(name, truth, squeezed),
        "decision": of(name, truth, np.where(same_decisions > 0.5, 0.1, 0.9)),
    }
    value, aspect = of(name, truth, probability), METRICS[name].looks_at
    if aspect == "order":
        assert of(name, truth, squeezed) == pytest.approx(value)
    if aspect == "decision":
        assert of(name, truth, same_decisions) == pytest.approx(value)
    if aspect == "truth":
        assert all(found == value for found in changed.values())
    else:
        assert changed[aspect] != pytest.approx(value)


@pytest.mark.parametrize("name", METRICS)
def test_its_direction_is_the_better_one(name: str) -> None:
    truth, _ = draw(600)
    better = METRICS[name].higher_is_better
    best, worst = (
        of(name, truth, truth.astype(np.float64)),
        of(name, truth, (~truth).astype(np.float64)),
    )
    assert best is not None
    assert worst is not None
    if better is not None:
        assert (best > worst) == better
        assert best == pytest.approx(1.0 if better else 0.0, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("constant", [0.2, THRESHOLD, 0.7])
def test_a_constant_prediction_is_measured_as_its_peer_measures_it(
    name: str, constant: float
) -> None:
    truth, _ = draw(200)
    value = of(name, truth, np.full(200, constant))
    if value is None:  # the peer calls what is undefined 0
        undefined = {"precision"} if constant < THRESHOLD else set()
        assert name in undefined | {"matthews_correlation"}
        return
    expected = PEERS[name](truth, np.full(200, constant), np.ones(200))
    assert value == pytest.approx(expected)


def test_undefined_is_none_never_not_a_number() -> None:
    truth, probability = np.array([False, True]), np.array([0.1, 0.2])
    no_rows = every_metric(truth[:0], probability[:0])
    assert set(no_rows.values()) == {None}
    only_negative = every_metric(truth[:1], probability[:1])
    undefined = {name for name, value in only_negative.items() if value is None}
    needs_both = {"auroc", "balanced_accuracy", "matthews_correlation"}
    nothing = {"average_precision", "precision", "recall", "f1", "f2", "f_half"}
    assert undefined == needs_both | nothing
    only_positive = every_metric(truth[1:], probability[1:])
    undefined = {name for name, value in only_positive.items() if value is None}
    assert undefined == needs_both | {"precision", "false_positive_rate", "specificity"}
    assert only_positive["average_precision"] == 1.0
    assert only_positive["f1"] == 0.0


def test_calibration_error_is_biased_upwards_as_documented() -> None:
    rows, repeats = 500, 200
    errors = [of("expected_calibration_error", *draw(rows, seed=seed)) for seed in range(repeats)]
    mean = float(np.mean([error for error in errors if error is not None]))
    truth, _ = draw(100_000)
    rate = float(truth.mean())
    assert mean == pytest.approx(0.8 * np.sqrt(15 * rate * (1 - rate) / rows), rel=0.15)


def test_the_largest_calibration_error_is_more_biased_as_documented() -> None:
    rows, repeats = 3000, 100
    flat = [
        of("maximum_calibration_error", np.random.default_rng(seed).random(rows) < 0.3,
           np.linspace(0.29, 0.31, rows))
        for seed in range(repeats)
    ]  # fmt: skip
    mean = float(np.mean([error for error in flat if error is not None]))
    assert mean == pytest.approx(1.8 * np.sqrt(15 * 0.3 * 0.7 / rows), rel=0.25)


def test_a_misspelt_metric_is_refused() -> None:
    with pytest.raises(BadProject) as refused:
        find("aurok", task=LATE, where="gate aurok")
    assert str(refused.value) == (
        "gate aurok: found metric 'aurok'; expected a metric of the report on a binary task. "
        "Did you mean 'auroc'?"
    )


@pytest.mark.parametrize(
    ("truth", "probabilities", "text"),
    [
        (np.array([0, 1]), both(np.array([0.1, 0.2])), "labels: found values of type int64"),
        (np.array([True]), both(np.array([0.1, 0.2])), r"found shapes \[1\] and \[2, 2\]"),
        (np.array([True]), np.array([0.1]), r"found shapes \[1\] and \[1\]"),
        (np.array([True]), both(np.array([1.5])), r"found 2 outside 0 to 1, for example \[-0\.5"),
        (np.array([True]), both(np.array([np.nan])), "Give calibrated probabilities, not logits"),
        (np.array([True]), np.array([[0.5, 0.6]]), "found 1 rows that add up to something else"),
    ],
)
def test_what_is_no_sample_is_refused(truth: Bools, probabilities: Floats, text: str) -> None:
    with pytest.raises(BadData, match=text):
        Sample(task=LATE, truth=truth, outputs=probabilities)
