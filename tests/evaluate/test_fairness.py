from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluate.samples import LATE, binary, draw, many, numbers
from tests.evaluate.samples import labels as labelled
from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Bools, Floats
from torchyard.evaluate.metrics.kinds import BINARY, MIN_PER_CLASS, MIN_ROWS, kind_of
from torchyard.evaluate.parting.fairness import fairness
from torchyard.evaluate.parting.groups import Texts
from torchyard.records.measures import Measured


def judged(truth: Bools, probability: Floats, labels: Texts) -> dict[str, Measured]:
    return fairness(
        binary(truth, probability),
        labels=labels,
        generator=np.random.default_rng(0),
        resamples=200,
    )


def by_hand() -> tuple[Bools, Floats, Texts]:
    """Two groups of 100: counts of (true positive, miss, false alarm, true negative)."""
    cells = {"a": (40, 10, 5, 45), "b": (20, 20, 15, 45)}
    truth, probability, labels = [], [], []
    for label, counts in cells.items():
        truth += np.repeat([True, True, False, False], counts).tolist()
        probability += np.repeat([0.8, 0.2, 0.8, 0.2], counts).tolist()
        labels += [label] * 100
    return np.array(truth), np.array(probability), np.array(labels)


def test_differences_by_hand() -> None:
    found = judged(*by_hand())
    mean_a, mean_b = 0.45 * 0.8 + 0.55 * 0.2, 0.35 * 0.8 + 0.65 * 0.2
    assert {name: one.value for name, one in found.items()} == {
        "demographic_parity_difference": pytest.approx(45 / 100 - 35 / 100),
        "demographic_parity_ratio": pytest.approx(35 / 45),
        "equalized_odds_difference": pytest.approx(max(40 / 50 - 20 / 40, 15 / 60 - 5 / 50)),
        "equal_opportunity_difference": pytest.approx(40 / 50 - 20 / 40),
        "predictive_parity_difference": pytest.approx(40 / 45 - 20 / 35),
        "calibration_difference": pytest.approx((mean_a - 0.5) * -1 + (mean_b - 0.4)),
    }
    for name, one in found.items():
        assert one.low is not None
        assert one.high is not None
        assert 0.0 <= one.low <= one.value <= one.high
        assert one.high > one.low, name
        assert one.rows == 200


def test_the_names_of_groups_do_not_matter() -> None:
    truth, probability, labels = by_hand()
    swapped = np.where(labels == "a", "z", "b")
    assert {k: v.value for k, v in judged(truth, probability, labels).items()} == {
        k: v.value for k, v in judged(truth, probability, swapped).items()
    }


def test_small_groups_are_left_out_by_name() -> None:
    truth, probability, labels = by_hand()
    truth = np.append(truth, [True] * 30)
    probability = np.append(probability, [0.0] * 30)
    labels = np.append(labels, ["tiny"] * 30)
    found = judged(truth, probability, labels)["equal_opportunity_difference"]
    assert found.value == pytest.approx(0.3)
    assert found.rows == 200
    assert found.method == (
        "simultaneous bootstrap by class, 200 resamples, 2 groups; left out: tiny (30 rows)"
    )


@pytest.mark.parametrize(
    ("rows", "positive", "reason"),
    [
        (MIN_ROWS - 1, 50, "99 rows"),
        (MIN_ROWS, MIN_PER_CLASS - 1, "9 positive rows"),
        (MIN_ROWS, MIN_ROWS - MIN_PER_CLASS + 1, "9 negative rows"),
        (MIN_ROWS, MIN_PER_CLASS, ""),
    ],
)
def test_what_is_too_small(rows: int, positive: int, reason: str) -> None:
    assert kind_of(LATE).too_small(rows, (rows - positive, positive)) == reason


def test_one_group_has_no_differences() -> None:
    truth, probability, _ = by_hand()
    assert judged(truth, probability, np.array(["a"] * 200)) == {}
    assert judged(truth[:0], probability[:0], np.array([], dtype=str)) == {}


def test_precision_without_selection_leaves_its_measure_out() -> None:
    truth, probability, labels = by_hand()
    probability = np.where(labels == "b", 0.1, probability)
    found = judged(truth, probability, labels)
    assert set(BINARY.rates) - set(found) == {"predictive_parity_difference"}


def test_noise_between_equal_groups_is_not_called_a_difference() -> None:
    """Twelve groups that are treated alike look 0.2 apart; no interval may claim more than 0.1."""
    claims, values = 0, []
    for seed in range(60):
        truth, probability = draw(3000, seed=seed)
        labels = np.random.default_rng(seed + 1000).integers(0, 12, 3000).astype(str)
        one = judged(truth, probability, labels)["equal_opportunity_difference"]
        assert one.low is not None
        values.append(one.value)
        claims += one.low > 0.1
    assert np.mean(values) > 0.15
    assert claims <= 6


def test_a_large_difference_is_covered() -> None:
    truth, probability = draw(1_000_000, seed=10**6)

    def unfair(truth: Bools, probability: Floats, seed: int) -> tuple[Bools, Floats, Texts]:
        labels = np.random.default_rng(seed).choice(["a", "b"], truth.size)
        return truth, np.where(labels == "a", np.sqrt(probability), probability), labels

    name, hits = "equalized_odds_difference", 0
    truth, probability, labels = unfair(truth, probability, 0)
    chosen = probability >= 0.5
    rates = [
        [chosen[(labels == group) & (truth == value)].mean() for group in ("a", "b")]
        for value in (True, False)
    ]
    true = max(abs(a - b) for a, b in rates)
    for seed in range(100):
        one = judged(*unfair(*draw(1500, seed=seed), seed))[name]
        assert one.low is not None
        assert one.high is not None
        hits += one.low <= true <= one.high
    assert hits >= 88


def test_values_of_other_rows_are_refused() -> None:
    truth, probability, labels = by_hand()
    with pytest.raises(BadData) as refused:
        judged(truth, probability, labels[1:])
    assert str(refused.value) == (
        "group or slice values: found shape [199] beside 200 labelled rows; "
        "expected one value per row. Take the values from the same rows as the labels."
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("groups", [2, 5])
def test_differences_are_those_of_fairlearn(groups: int) -> None:
    from fairlearn import metrics as peer

    truth, probability = draw(4000, seed=3)
    labels = np.random.default_rng(0).integers(0, groups, 4000).astype(str)
    probability = np.where(labels == "0", np.sqrt(probability), probability)
    found, answered = judged(truth, probability, labels), probability >= LATE.threshold
    for name, difference in {
        "demographic_parity_difference": peer.demographic_parity_difference,
        "equalized_odds_difference": peer.equalized_odds_difference,
        "equal_opportunity_difference": peer.equal_opportunity_difference,
    }.items():
        expected = difference(truth, answered, sensitive_features=labels)
        assert found[name].value == pytest.approx(expected), name


def test_differences_of_other_kinds_are_those_of_a_metric_frame() -> None:
    from fairlearn.metrics import MetricFrame
    from sklearn import metrics as peer

    def spread(metric: Any, truth: Any, answered: Any, labels: Texts) -> float:
        frame = MetricFrame(
            metrics=metric, y_true=truth, y_pred=answered, sensitive_features=labels
        )
        return float(frame.difference())

    labels = np.random.default_rng(0).integers(0, 3, 1500).astype(str)
    price, kinds, tags = numbers(1500), many(1500), labelled(1500)
    value, places = price.outputs[:, 0], np.arange(1500)
    expected = {
        ("regression", "mae_difference"): (peer.mean_absolute_error, price.truth, value),
        ("regression", "mean_error_difference"): (
            lambda y, p: float(np.mean(p - y)), price.truth, value,
        ),
        ("multiclass", "accuracy_difference"): (
            peer.accuracy_score, kinds.truth, kinds.outputs.argmax(1),
        ),
        ("multilabel", "hamming_loss_difference"): (
            # a frame takes one column of answers: the numbers of the rows stand for them
            lambda y, p: peer.hamming_loss(
                tags.truth[p], tags.outputs[p] >= tags.task.threshold
            ),
            places, places,
        ),
    }  # fmt: skip
    samples = {"regression": price, "multiclass": kinds, "multilabel": tags}
    for (kind, name), (metric, truth, answered) in expected.items():
        found = fairness(
            samples[kind], labels=labels, generator=np.random.default_rng(0), resamples=60
        )
        assert found[name].value == pytest.approx(spread(metric, truth, answered, labels)), name


def test_selection_in_no_group_has_no_ratio() -> None:
    truth, probability, labels = by_hand()
    found = judged(truth, probability * 0.1, labels)
    assert "demographic_parity_ratio" not in found
    assert found["demographic_parity_difference"].value == 0.0


def test_selection_in_one_group_alone_is_a_ratio_of_nothing() -> None:
    truth, probability, labels = by_hand()
    one = judged(truth, np.where(labels == "b", 0.1, probability), labels)[
        "demographic_parity_ratio"
    ]
    assert (one.value, one.low) == (0.0, 0.0)
    assert one.high == pytest.approx((1 - 0.025 ** (1 / 100)) / 0.45)


def fair_set(seed: int, rows: int = 1200) -> tuple[Bools, Floats, Texts]:
    """A model that is blind to two groups with equal base rates."""
    truth, probability = draw(rows, seed=seed)
    return truth, probability, np.random.default_rng(10_000 + seed).choice(["a", "b"], rows)


@pytest.mark.slow
def test_where_nothing_differs_intervals_hold_that_in_95_of_100_sets() -> None:
    names = [name for name in BINARY.rates if name != "demographic_parity_ratio"]
    held = dict.fromkeys(BINARY.rates, 0)
    for seed in range(400):
        found = judged(*fair_set(seed))
        for name in names:
            low = found[name].low
            held[name] += low is not None and low == 0.0
        high = found["demographic_parity_ratio"].high
        held["demographic_parity_ratio"] += high is not None and high == 1.0
    assert min(held.values()) >= 0.93 * 400, held


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_difference_is_found(seed: int) -> None:
    truth, probability, labels = fair_set(seed, rows=3000)
    found = judged(truth, np.where(labels == "a", probability**2, probability), labels)
    for name in ("demographic_parity_difference", "equalized_odds_difference"):
        low = found[name].low
        assert low is not None
        assert low > 0.02, name
    ratio = found["demographic_parity_ratio"].high
    assert ratio is not None
    assert ratio < 0.8
