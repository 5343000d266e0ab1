from __future__ import annotations

import numpy as np
import pytest

from tests.evaluate.samples import binary, draw
from torchyard.core.errors import BadData, BadProject, BadUsage
from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.metrics.binary import METRICS
from torchyard.evaluate.metrics.kinds import compute
from torchyard.evaluate.resampling.bootstrap import (
    bootstrap,
    bootstrap_plainly,
    measure,
)
from torchyard.evaluate.resampling.differences import paired_difference
from torchyard.evaluate.resampling.intervals import exact, percentile

THRESHOLD = 0.3


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("rows", [60, 2500])
def test_the_fast_path_answers_what_the_plain_one_defines(rows: int, decimals: int | None) -> None:
    truth, probability = draw(rows, decimals=decimals)
    fast = bootstrap(
        binary(truth, probability, threshold=THRESHOLD),
        generator=np.random.default_rng(5),
        resamples=40,
    ).samples
    plain = bootstrap_plainly(
        binary(truth, probability, threshold=THRESHOLD),
        generator=np.random.default_rng(5),
        resamples=40,
    )
    assert set(fast) == set(METRICS)
    for name, samples in fast.items():
        np.testing.assert_allclose(samples, plain[name], rtol=0, atol=1e-12, err_msg=name)
        assert np.nanstd(samples) > 0, name


def found(
    truth: Bools, probability: Floats, *, seed: int = 0, resamples: int = 200
) -> dict[str, tuple[float, ...]]:
    measured = measure(
        binary(truth, probability, threshold=THRESHOLD),
        generator=np.random.default_rng(seed),
        resamples=resamples,
    )
    return {
        name: (one.value, one.low, one.high)
        for name, one in measured.items()
        if one.low is not None and one.high is not None
    }


@pytest.mark.parametrize("rows", [150, 4000])
def test_intervals_hold_their_value_and_stay_in_bounds(rows: int) -> None:
    truth, probability = draw(rows)
    measured = found(truth, probability)
    assert set(measured) == set(METRICS)
    for name, (value, low, high) in measured.items():
        assert METRICS[name].bounds[0] <= low <= value <= high <= METRICS[name].bounds[1], name
        assert value == compute(name, binary(truth, probability, threshold=THRESHOLD))


def test_four_times_the_rows_halve_the_interval() -> None:
    small, large = (found(*draw(rows), resamples=2000) for rows in (2000, 8000))
    for name in METRICS:
        ratio = (small[name][2] - small[name][1]) / (large[name][2] - large[name][1])
        assert 1.5 < ratio < 2.7, name


def test_same_generator_same_numbers() -> None:
    truth, probability = draw(300)
    assert found(truth, probability, seed=1) == found(truth, probability, seed=1)
    assert found(truth, probability, seed=1) != found(truth, probability, seed=2)


def test_the_method_says_how_the_interval_came_about() -> None:
    truth, probability = draw(200)
    measured = measure(
        binary(truth, probability, threshold=0.3), generator=np.random.default_rng(0)
    )
    assert measured["auroc"].method == "bootstrap by class, 1,000 resamples"
    assert measured["auroc"].rows == 200
    assert measured["expected_calibration_error"].method == (
        "bootstrap by class, 1,000 resamples, shifted by their bias"
    )
    assert measured["recall"].method == "exact binomial (Clopper-Pearson)"


def test_one_positive_row_is_never_lost() -> None:
    truth = np.arange(50) == 7
    sample = bootstrap(
        binary(truth, np.linspace(0, 1, 50), threshold=0.5),
        generator=np.random.default_rng(0),
        resamples=200,
    )
    assert np.isfinite(sample.samples["auroc"]).all()
    assert sample.samples["positive_rate"].min() == pytest.approx(1 / 50)


def test_undefined_metrics_are_absent() -> None:
    assert found(np.zeros(0, dtype=bool), np.zeros(0)) == {}
    one_class = found(np.zeros(40, dtype=bool), np.linspace(0, 1, 40))
    assert {"auroc", "average_precision", "recall"}.isdisjoint(one_class)
    assert {"log_loss", "false_positive_rate", "precision", "selection_rate"} <= set(one_class)


def test_a_share_at_its_end_is_not_certain() -> None:
    truth = np.arange(100) % 2 == 0
    value, low, high = found(truth, truth * 1.0)["accuracy"]
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 100))


def test_exact_interval_against_scipy() -> None:
    from scipy.stats import binomtest

    for hits, trials in ((0, 7), (3, 7), (7, 7), (250, 1000)):
        peer = binomtest(hits, trials).proportion_ci(0.95, method="exact")
        assert exact(hits=hits, trials=trials) == pytest.approx((peer.low, peer.high))


def test_percentile_of_mostly_undefined_resamples_is_none() -> None:
    samples = np.array([0.5] * 4 + [np.nan] * 6)
    assert percentile(samples, value=0.5, bounds=(0, 1), biased=0.0) is None
    assert percentile(samples[:7], value=0.5, bounds=(0, 1), biased=0.0) == (0.5, 0.5)


def test_a_biased_interval_is_shifted_back() -> None:
    samples = np.linspace(0.05, 0.15, 1001)
    low, high = percentile(samples, value=0.08, bounds=(0, 1), biased=1.0) or (0.0, 0.0)
    # The 25.05th of 1001, and that from above.
    assert (low, high) == pytest.approx((0.052405 - 2 * 0.02, 0.147595 - 0.02))


def test_few_resamples_do_not_narrow_an_interval() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(4000):
        samples = generator.normal(size=41)
        low, high = percentile(samples, value=0.0, bounds=(-9, 9), biased=0.0) or (0.0, 0.0)
        held += low <= generator.normal() <= high
    assert held / 4000 == pytest.approx(0.95, abs=0.012)


def coverage(*, simulations: int, rows: int, resamples: int) -> dict[str, float]:
    """How often each interval holds the value of a very large sample."""
    truth, probability = draw(1_000_000, seed=10**6)
    true = {
        name: compute(name, binary(truth, probability, threshold=THRESHOLD)) for name in METRICS
    }
    hits = dict.fromkeys(METRICS, 0)
    for seed in range(simulations):
        truth, probability = draw(rows, seed=seed)
        measured = measure(
            binary(truth, probability, threshold=THRESHOLD),
            generator=np.random.default_rng(seed),
            resamples=resamples,
        )
        for name, one in measured.items():
            value = true[name]
            assert value is not None
            assert one.low is not None
            assert one.high is not None
            hits[name] += one.low <= value <= one.high
    return {name: count / simulations for name, count in hits.items()}


# The sample is perfectly calibrated, the one case where calibration error has no honest interval:
# it cannot be below 0, so the interval cannot lie around its truth.
UNBIASED = [name for name, metric in METRICS.items() if not metric.biased]


def test_intervals_cover_about_95_percent() -> None:
    covered = coverage(simulations=150, rows=600, resamples=200)
    assert min(covered[name] for name in UNBIASED) > 0.89, covered


@pytest.mark.slow
def test_intervals_cover_95_percent() -> None:
    covered = coverage(simulations=800, rows=1000, resamples=400)
    for name in UNBIASED:
        assert 0.93 <= covered[name] <= 0.98, (name, covered[name])


def test_calibration_error_interval_covers_a_miscalibrated_model() -> None:
    large_truth, large_probability = draw(1_000_000, seed=10**6)
    name = "expected_calibration_error"
    true = compute(name, binary(large_truth, large_probability**0.7))
    assert true is not None
    hits = 0
    for seed in range(150):
        truth, probability = draw(1000, seed=seed)
        one = measure(
            binary(truth, probability**0.7, threshold=THRESHOLD),
            generator=np.random.default_rng(seed),
            resamples=200,
            metrics=(name,),
        )[name]
        assert one.low is not None
        assert one.high is not None
        hits += one.low <= true <= one.high
    assert 0.89 < hits / 150 <= 1.0


def compare(metric: str, challenger: Floats, champion: Floats, truth: Bools) -> tuple[float, ...]:
    one = paired_difference(
        metric,
        challenger=binary(truth, challenger, threshold=THRESHOLD),
        champion=binary(truth, champion, threshold=THRESHOLD),
        generator=np.random.default_rng(3),
        resamples=200,
    )
    assert one is not None
    assert one.low is not None
    assert one.high is not None
    assert one.method.startswith("paired bootstrap by class, 200 resamples")
    return one.value, one.low, one.high


@pytest.mark.parametrize(
    "metric", [name for name, known in METRICS.items() if known.higher_is_better is not None]
)
def test_a_worse_challenger_has_a_positive_difference(metric: str) -> None:
    truth, probability = draw(1500)
    noise = np.random.default_rng(9).random(truth.size)
    value, low, high = compare(metric, 0.2 * probability + 0.8 * noise, probability, truth)
    if metric not in {"recall", "f1"}:  # noise selects more rows, and so finds more positives
        assert 0 < low <= value <= high
    mirrored = compare(metric, probability, 0.2 * probability + 0.8 * noise, truth)
    assert mirrored[0] == pytest.approx(-value)
    if not METRICS[metric].biased:  # both of whose ends lean towards no difference
        assert (mirrored[1], mirrored[2]) == pytest.approx((-high, -low))


def test_a_model_does_not_differ_from_itself() -> None:
    truth, probability = draw(500)
    assert compare("auroc", probability, probability, truth) == (0.0, 0.0, 0.0)


def test_pairing_narrows_the_interval() -> None:
    truth, probability = draw(2000)
    nudged = np.clip(probability + np.random.default_rng(1).normal(0, 0.01, 2000), 0, 1)
    _, low, high = compare("auroc", nudged, probability, truth)
    _, alone_low, alone_high = found(truth, nudged)["auroc"]
    assert high - low < 0.2 * (alone_high - alone_low)


def test_a_difference_of_an_undefined_metric_is_none() -> None:
    nobody = np.zeros(10, dtype=bool)
    difference = paired_difference(
        "auroc",
        challenger=binary(nobody, np.full(10, 0.1)),
        champion=binary(nobody, np.full(10, 0.2)),
        generator=np.random.default_rng(0),
    )
    assert difference is None


def test_a_metric_without_direction_is_not_compared() -> None:
    truth, probability = draw(50)
    with pytest.raises(BadProject) as refused:
        compare("selection_rate", probability, probability, truth)
    assert refused.value.found == (
        "metric 'selection_rate', of which neither more nor less is better"
    )
    assert refused.value.remedy.startswith("Use one of: auroc, average_precision, log_loss")


def test_too_few_resamples_are_refused() -> None:
    truth, probability = draw(50)
    with pytest.raises(BadUsage) as refused:
        measure(
            binary(truth, probability, threshold=0.5),
            generator=np.random.default_rng(0),
            resamples=10,
        )
    assert str(refused.value) == (
        "resamples: found 10; expected at least 40, for the ends of a 95 % interval. "
        "Leave it out: 1,000 take seconds."
    )


def test_models_of_other_rows_are_refused() -> None:
    truth, probability = draw(50)
    few = binary(truth[1:], probability[1:])
    with pytest.raises(BadData, match="found 50 rows of 2 classes and 49 rows of 2, or other"):
        paired_difference(
            "auroc", challenger=binary(truth, probability), champion=few,
            generator=np.random.default_rng(0),
        )  # fmt: skip
