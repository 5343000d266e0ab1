"""Metrics of numbers against scikit-learn and torchmetrics, and degenerate rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tests.evaluate.samples import PRICE, numbers
from torchyard.core.errors import BadData, BadProject
from torchyard.evaluate import evaluate
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import REGRESSION, compute, find
from torchyard.evaluate.metrics.regression import REGRESSION_METRICS
from torchyard.evaluate.resampling.bootstrap import bootstrap, bootstrap_plainly, measure
from torchyard.evaluate.resampling.differences import paired_difference

Definition = Callable[[Sample, Floats], float]


def of_value(function: Callable[..., float]) -> Definition:
    return lambda s, w: function(s.truth, s.outputs[:, 0], sample_weight=w)


def pinball(sample: Sample, weights: Floats) -> float:
    levels = (0.5, 0.1, 0.9)
    losses = [
        peer.mean_pinball_loss(
            sample.truth, sample.outputs[:, place], alpha=level, sample_weight=weights
        )
        for place, level in enumerate(levels)
    ]
    return float(np.mean(losses))


def covered(sample: Sample) -> Any:
    return (sample.outputs[:, 1] <= sample.truth) & (sample.truth <= sample.outputs[:, 2])


PEERS: dict[str, Definition] = {
    "mae": of_value(peer.mean_absolute_error),
    "rmse": of_value(peer.root_mean_squared_error),
    "r2": of_value(peer.r2_score),
    "median_absolute_error": of_value(peer.median_absolute_error),
    "mean_error": lambda s, w: float(np.average(s.outputs[:, 0] - s.truth, weights=w)),
    "mape": of_value(peer.mean_absolute_percentage_error),
    "pinball_loss": pinball,
    "interval_coverage": lambda s, w: float(np.average(covered(s), weights=w)),
    "mean_interval_width": lambda s, w: float(
        np.average(s.outputs[:, 2] - s.outputs[:, 1], weights=w)
    ),
}


def sample_of(truth: list[float], value: list[float], half: float = 1.0) -> Sample:
    given = np.array(value, dtype=np.float64)
    outputs = np.stack([given, given - half, given + half], axis=1)
    return Sample(task=PRICE, truth=np.array(truth, dtype=np.float64), outputs=outputs)


def test_every_metric_has_a_peer() -> None:
    assert set(PEERS) == set(REGRESSION_METRICS)


@pytest.mark.parametrize("rows", [600, 601])
@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("name", REGRESSION_METRICS)
def test_agrees_with_its_peer(name: str, decimals: int | None, rows: int) -> None:
    sample = numbers(rows, decimals=decimals)
    assert compute(name, sample) == pytest.approx(PEERS[name](sample, np.ones(rows)))


@pytest.mark.parametrize("name", REGRESSION_METRICS)
def test_agrees_with_its_peer_under_weights(name: str) -> None:
    sample = numbers(300, seed=1)
    weights = np.random.default_rng(2).random(300)
    assert compute(name, sample, weights=weights) == pytest.approx(PEERS[name](sample, weights))


def test_agrees_with_the_metrics_that_train_in_torch() -> None:
    import torch
    from torchmetrics.functional import regression as torch_peer

    sample = numbers(400)
    value, truth = torch.from_numpy(sample.outputs[:, 0].copy()), torch.from_numpy(sample.truth)
    found = {
        "mae": torch_peer.mean_absolute_error(value, truth),
        "rmse": torch_peer.mean_squared_error(value, truth, squared=False),
        "r2": torch_peer.r2_score(value, truth),
        "mape": torch_peer.mean_absolute_percentage_error(value, truth),
    }
    for name, expected in found.items():
        assert compute(name, sample) == pytest.approx(float(expected)), name


def test_digits_survive_a_truth_far_from_zero() -> None:
    sample = numbers(500)
    truth = np.asarray(sample.truth, np.float64)
    far = replace(sample, truth=truth + 1e9, outputs=sample.outputs + 1e9)
    assert compute("r2", far) == pytest.approx(compute("r2", sample), abs=1e-6)


def test_what_is_undefined_is_none() -> None:
    none = sample_of([], [])
    assert {name: compute(name, none) for name in REGRESSION_METRICS} == dict.fromkeys(
        REGRESSION_METRICS
    )
    assert compute("r2", sample_of([0.1] * 7, [1.0] * 7)) is None
    assert compute("r2", sample_of([3.0], [3.0])) is None
    zero = sample_of([0.0, 2.0], [1.0, 3.0])
    assert compute("mape", zero) is None
    assert compute("mape", zero, weights=np.array([0.0, 1.0])) == 0.5
    assert "mape" not in measure(
        sample_of([0.0, *range(1, 200)], [1.0] * 200),
        generator=np.random.default_rng(0),
        resamples=40,
    )


def test_a_constant_prediction_explains_nothing() -> None:
    truth = np.random.default_rng(0).normal(5.0, 2.0, 400).tolist()
    mean = float(np.mean(truth))
    found = sample_of(truth, [mean] * 400)
    assert compute("r2", found) == pytest.approx(0.0, abs=1e-12)
    assert compute("mean_error", found) == pytest.approx(0.0, abs=1e-12)
    assert [one.rows for one in report(found).reliability] == [400]


@given(
    rows=st.lists(
        st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 3)), max_size=25
    ),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_order_of_rows_repetition_and_bounds(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    numbers = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    truth, value, half = numbers.T
    sample = Sample(
        task=PRICE, truth=truth.copy(), outputs=np.stack([value, value - half, value + half], 1)
    )
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    shuffled = np.array(data.draw(st.permutations(range(len(rows)))), dtype=np.intp)
    copies = np.repeat(np.arange(len(rows)), weights)
    for name, metric in REGRESSION_METRICS.items():
        found = compute(name, sample)
        assert compute(name, sample.of(shuffled)) == pytest.approx(found, abs=1e-9), name
        weighted = compute(name, sample, weights=np.array(weights, dtype=np.float64))
        assert weighted == pytest.approx(compute(name, sample.of(copies)), abs=1e-9), name
        if found is not None:
            assert metric.bounds[0] - 1e-12 <= found <= metric.bounds[1] + 1e-12


@pytest.mark.parametrize("name", REGRESSION_METRICS)
def test_its_direction_is_the_better_one(name: str) -> None:
    sample = numbers(300)
    truth = np.asarray(sample.truth, np.float64)
    best = compute(name, replace(sample, outputs=np.stack([truth] * 3, axis=1)))
    far = np.stack([truth + 9.0, truth + 1.0, truth + 10.0], axis=1)
    worst = compute(name, replace(sample, outputs=far))
    assert best is not None
    assert worst is not None
    better = REGRESSION_METRICS[name].higher_is_better
    if better is not None:
        assert (best > worst) == better
        assert best == pytest.approx(1.0 if better else 0.0, abs=1e-12)


@pytest.mark.parametrize("decimals", [None, 0])
def test_the_fast_path_answers_what_the_plain_one_defines(decimals: int | None) -> None:
    sample = numbers(90, decimals=decimals)
    fast = bootstrap(sample, generator=np.random.default_rng(5), resamples=40).samples
    plain = bootstrap_plainly(sample, generator=np.random.default_rng(5), resamples=40)
    assert set(fast) == set(REGRESSION_METRICS)
    for name, samples in fast.items():
        np.testing.assert_allclose(samples, plain[name], rtol=0, atol=1e-9, err_msg=name)


def test_intervals_cover_about_95_percent() -> None:
    large = numbers(200_000, seed=10**6)
    true = {name: compute(name, large) for name in REGRESSION_METRICS}
    hits = dict.fromkeys(REGRESSION_METRICS, 0)
    for seed in range(100):
        found = measure(
            numbers(300, seed=seed), generator=np.random.default_rng(seed), resamples=100
        )
        for name, one in found.items():
            if name != "mean_interval_width":  # every interval here is equally wide
                assert one.low is not None
                assert one.high is not None
                hits[name] += one.low <= (true[name] or 0.0) <= one.high
    hits.pop("mean_interval_width")
    assert min(hits.values()) >= 87, hits


def report(sample: Sample) -> Any:
    return evaluate(
        sample,
        model="fp32",
        split="test",
        groups={"sex": np.where(np.arange(sample.rows) % 2, "f", "m")},
        slices={"city": np.where(np.arange(sample.rows) < sample.rows - 50, "A", "tiny")},
        baselines={"mean": np.full((sample.rows, 3), float(np.mean(sample.truth)))},
        resamples=60,
    )


def test_a_report_on_numbers_has_no_classes() -> None:
    sample = numbers(1200)
    found = report(sample)
    assert set(found.metrics) == set(REGRESSION_METRICS)
    assert (found.rows, found.classes, found.per_class, found.confusion) == (1200, (), (), ())
    assert found.metrics["interval_coverage"].method == "exact binomial (Clopper-Pearson)"
    assert found.metrics["interval_coverage"].value == pytest.approx(0.8, abs=0.04)
    tiny = next(one for one in found.slices if one.value == "tiny")
    assert (tiny.rows, tiny.small, tiny.metrics) == (50, "50 rows", {})
    assert found.baselines["mean"]["r2"].value == pytest.approx(0.0, abs=1e-9)


def test_bins_hold_predictions_against_means_of_truths() -> None:
    sample = numbers(1500)
    bins = report(sample).reliability
    assert [one.rows for one in bins] == [100] * 15
    order = np.argsort(sample.outputs[:, 0])
    for one, rows in zip(bins, order.reshape(15, 100), strict=True):
        assert one.predicted == pytest.approx(sample.outputs[rows, 0].mean())
        assert one.observed == pytest.approx(np.asarray(sample.truth)[rows].mean())


def test_differences_between_groups_are_those_of_their_metrics() -> None:
    found = report(numbers(1200))
    assert set(found.fairness["sex"]) == set(REGRESSION.rates)
    first, second = (one.metrics for one in found.groups)
    for difference, metric in (
        ("mean_error_difference", "mean_error"),
        ("mae_difference", "mae"),
        ("coverage_difference", "interval_coverage"),
    ):
        expected = abs(first[metric].value - second[metric].value)
        assert found.fairness["sex"][difference].value == pytest.approx(expected)


def test_a_worse_challenger_has_a_positive_difference() -> None:
    champion = numbers(600)
    noise = np.random.default_rng(1).normal(size=(600, 1))
    worse = replace(champion, outputs=champion.outputs + noise)
    for name in ("mae", "rmse", "r2", "interval_coverage"):
        found = paired_difference(
            name,
            challenger=worse,
            champion=champion,
            generator=np.random.default_rng(0),
            resamples=60,
        )
        assert found is not None
        assert 0 < (found.low or 0.0) <= found.value


def test_a_metric_of_another_kind_is_refused_by_naming_it() -> None:
    with pytest.raises(BadProject) as refused:
        find("brier", task=PRICE, where="gate brier")
    assert str(refused.value).startswith(
        "gate brier: found metric 'brier', of binary and multiclass and multilabel tasks only; "
        "expected a metric of the report on a regression task."
    )


@pytest.mark.parametrize(
    ("truth", "outputs", "text"),
    [
        (np.array([1]), np.ones((1, 3)), "labels: found values of type int64; expected numbers"),
        (np.ones(2), np.ones((2, 1)), r"shapes \[2\] and \[2, 1\]; expected one number, and value"),
        (np.ones(2), np.ones((3, 3)), r"per row, \[rows\] and \[rows, 3\]"),
        (np.array([1.0, np.nan]), np.ones((2, 3)), "labels: found 1 that are not finite"),
        (np.ones(1), np.array([[1.0, 0.0, np.inf]]), "predictions: found 1 that are not finite"),
        (np.ones(1), np.array([[1.0, 2.0, 3.0]]), "found 1 rows whose interval does not hold"),
    ],
)
def test_what_is_no_sample_is_refused(truth: Any, outputs: Any, text: str) -> None:
    with pytest.raises(BadData, match=text):
        Sample(task=PRICE, truth=truth, outputs=outputs)
