"""Metrics of many classes against scikit-learn, and what the fast path must not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from tests.evaluate.samples import binary, many, task_of
from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats, Sample, Truth
from torchyard.evaluate.metrics.kinds import compute
from torchyard.evaluate.metrics.multiclass import CLASS_METRICS
from torchyard.evaluate.resampling.bootstrap import (
    bootstrap,
    bootstrap_plainly,
    measure,
)
from torchyard.evaluate.resampling.differences import paired_difference

Definition = Callable[[Sample, Floats], float]
ROWS = 700


def of_answers(function: Callable[..., float], **options: object) -> Definition:
    return lambda s, w: function(s.truth, s.outputs.argmax(1), sample_weight=w, **options)


def one_hot(sample: Sample) -> Floats:
    return np.eye(len(sample.task.classes))[sample.truth]


def macro_precision(sample: Sample, weights: Floats) -> float:
    """Over the classes that occur: the peer calls the others 0."""
    occurs = [k for k, rows in enumerate(sample.classes) if rows]
    return float(
        np.mean(
            [
                peer.average_precision_score(
                    sample.truth == k, sample.outputs[:, k], sample_weight=weights
                )
                for k in occurs
            ]
        )
    )


def plain_calibration_error(sample: Sample, weights: Floats) -> float:
    top, right = sample.outputs.max(1), sample.outputs.argmax(1) == sample.truth
    return float(plain_gaps(top, right, weights)[0].sum() / weights.sum())


def of_each_class(definition: Callable[[Sample, Floats], float]) -> Definition:
    """Its mean over the classes, each against the others; as the largest probability of a class."""
    return lambda s, w: float(
        np.mean([definition(one_against_rest(s, k), w) for k in range(len(s.task.classes))])
    )


def one_against_rest(sample: Sample, place: int) -> Sample:
    yes = sample.outputs[:, place]
    return binary(sample.truth == place, yes)


def plain_gaps(value: Floats, right: Truth, weights: Floats) -> tuple[Floats, Floats]:
    """Rows one by one into bins, each of which ends with the tie that completes its share."""
    gaps, masses, total, place = np.zeros(15), np.zeros(15), 0.0, 0
    for one in np.unique(value):
        tied = value == one
        total += float(weights[tied].sum())
        masses[place] += float(weights[tied].sum())
        gaps[place] += float((weights[tied] * (one - right[tied])).sum())
        while place < 14 and total >= (place + 1) / 15 * weights.sum() * (1.0 - 1e-12):
            place += 1
    return np.abs(gaps), masses


def plain_largest_gap(sample: Sample, weights: Floats) -> float:
    gaps, masses = plain_gaps(
        sample.outputs.max(1), np.asarray(sample.outputs.argmax(1) == sample.truth), weights
    )
    return float((gaps[masses > 0] / masses[masses > 0]).max())


PEERS: dict[str, Definition] = {
    "accuracy": of_answers(peer.accuracy_score),
    "balanced_accuracy": of_answers(peer.balanced_accuracy_score),
    "macro_f1": of_answers(peer.f1_score, average="macro"),
    "weighted_f1": of_answers(peer.f1_score, average="weighted"),
    "matthews_correlation": of_answers(peer.matthews_corrcoef),
    "cohens_kappa": lambda s, w: peer.cohen_kappa_score(
        s.truth, s.outputs.argmax(1), sample_weight=w
    ),
    "macro_auroc": lambda s, w: peer.roc_auc_score(
        one_hot(s), s.outputs, average="macro", sample_weight=w
    ),
    "macro_average_precision": macro_precision,
    "log_loss": lambda s, w: peer.log_loss(
        s.truth, s.outputs, sample_weight=w, labels=range(len(s.task.classes))
    ),
    "brier": lambda s, w: float(np.average(np.square(s.outputs - one_hot(s)).sum(1), weights=w)),
    "expected_calibration_error": plain_calibration_error,
    "maximum_calibration_error": plain_largest_gap,
    "classwise_calibration_error": of_each_class(
        lambda s, w: float(plain_gaps(s.outputs[:, 1], s.truth, w)[0].sum() / w.sum())
    ),
    "calibration_gap": lambda s, w: float(
        np.average(s.outputs.max(1) - (s.outputs.argmax(1) == s.truth), weights=w)
    ),
    "top_3_accuracy": lambda s, w: peer.top_k_accuracy_score(
        s.truth, s.outputs, k=3, labels=range(len(s.task.classes)), sample_weight=w
    ),
    "top_5_accuracy": lambda s, w: peer.top_k_accuracy_score(
        s.truth, s.outputs, k=5, labels=range(len(s.task.classes)), sample_weight=w
    ),
}


def test_every_metric_has_a_peer() -> None:
    assert set(PEERS) == set(CLASS_METRICS)


@pytest.mark.parametrize("classes", [6, 11])
@pytest.mark.parametrize("name", CLASS_METRICS)
def test_agrees_with_its_peer(name: str, classes: int) -> None:
    sample = many(ROWS, classes=classes)
    assert compute(name, sample) == pytest.approx(PEERS[name](sample, np.ones(ROWS)))


@pytest.mark.parametrize("name", [n for n in CLASS_METRICS if not n.startswith("top_")])
def test_agrees_with_its_peer_on_ties_and_weights(name: str) -> None:
    sample = many(300, seed=1, decimals=0)
    weights = np.random.default_rng(2).random(300)
    assert compute(name, sample, weights=weights) == pytest.approx(PEERS[name](sample, weights))


def test_equal_probabilities_are_taken_in_the_tasks_order() -> None:
    even = Sample(
        task=task_of(5),
        truth=np.arange(5, dtype=np.int64),
        outputs=np.full((5, 5), 0.2),
    )
    assert compute("accuracy", even) == 0.2
    assert compute("top_3_accuracy", even) == pytest.approx(0.6)
    assert compute("macro_auroc", even) == 0.5


def test_three_best_of_three_say_nothing() -> None:
    assert compute("top_3_accuracy", many(50, classes=3)) is None
    assert compute("top_5_accuracy", many(50, classes=5)) is None


def test_a_class_without_rows_is_left_out_of_averages() -> None:
    sample = many(ROWS, classes=3)
    chosen = sample.of(np.flatnonzero(sample.truth != 1))
    answered = chosen.outputs.argmax(1)
    recalls = [float((answered[chosen.truth == k] == k).mean()) for k in (0, 2)]
    assert compute("balanced_accuracy", chosen) == pytest.approx(np.mean(recalls))
    areas = [peer.roc_auc_score(chosen.truth == k, chosen.outputs[:, k]) for k in (0, 2)]
    assert compute("macro_auroc", chosen) == pytest.approx(np.mean(areas))
    f1s = peer.f1_score(chosen.truth, answered, average=None, labels=range(3))
    assert f1s[1] == 0.0  # it is still answered with, and that is a mistake
    assert compute("macro_f1", chosen) == pytest.approx(np.mean(f1s))


def test_one_class_alone_has_no_ranking() -> None:
    sample = many(ROWS)
    alone = sample.of(np.flatnonzero(sample.truth == 2))
    assert compute("macro_auroc", alone) is None
    assert compute("macro_average_precision", alone) == pytest.approx(1.0)
    none = sample.of(np.zeros(0, dtype=np.intp))
    assert {name: compute(name, none) for name in CLASS_METRICS} == dict.fromkeys(CLASS_METRICS)


def test_a_certain_error_is_clipped_as_the_peer_clips_it() -> None:
    truth = np.array([0, 1, 2], dtype=np.int64)
    wrong = Sample(task=task_of(3), truth=truth, outputs=np.eye(3)[[1, 1, 2]])
    assert compute("log_loss", wrong) == pytest.approx(PEERS["log_loss"](wrong, np.ones(3)))


@given(
    truth=st.lists(st.integers(0, 3), max_size=25),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_order_of_rows_repetition_and_bounds(truth: list[int], data: st.DataObject) -> None:
    rows = len(truth)
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=4 * rows, max_size=4 * rows))
    raw = np.array(drawn, dtype=np.float64).reshape(rows, 4) + 0.25
    sample = Sample(
        task=task_of(4),
        truth=np.array(truth, dtype=np.int64),
        outputs=raw / raw.sum(axis=1, keepdims=True),
    )
    weights = data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    shuffled = np.array(data.draw(st.permutations(range(rows))), dtype=np.intp)
    copies = np.repeat(np.arange(rows), weights)
    for name, metric in CLASS_METRICS.items():
        value = compute(name, sample)
        assert compute(name, sample.of(shuffled)) == pytest.approx(value)
        weighted = compute(name, sample, weights=np.array(weights, dtype=np.float64))
        assert weighted == pytest.approx(compute(name, sample.of(copies)))
        if value is not None:
            assert metric.bounds[0] - 1e-12 <= value <= metric.bounds[1] + 1e-12


@pytest.mark.parametrize("name", CLASS_METRICS)
def test_its_direction_is_the_better_one(name: str) -> None:
    sample = many(400, classes=6)
    right = replace(sample, outputs=one_hot(sample))
    wrong = replace(sample, outputs=np.roll(one_hot(sample), 1, axis=1))
    best, worst = compute(name, right), compute(name, wrong)
    assert best is not None
    assert worst is not None
    better = CLASS_METRICS[name].higher_is_better
    if better is not None and not name.startswith("top_"):
        assert (best > worst) == better
        assert best == pytest.approx(1.0 if better else 0.0, abs=1e-12)


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("rows", [60, 1500])
def test_the_fast_path_answers_what_the_plain_one_defines(rows: int, decimals: int | None) -> None:
    sample = many(rows, classes=6, decimals=decimals)
    fast = bootstrap(sample, generator=np.random.default_rng(5), resamples=40).samples
    plain = bootstrap_plainly(sample, generator=np.random.default_rng(5), resamples=40)
    assert set(fast) == set(CLASS_METRICS)
    for name, samples in fast.items():
        np.testing.assert_allclose(samples, plain[name], rtol=0, atol=1e-12, err_msg=name)
        assert np.nanstd(samples) > 0, name


def test_a_rare_class_is_never_lost() -> None:
    sample = many(80, classes=3)
    truth = np.where(np.arange(80) == 7, 2, np.minimum(sample.truth, 1))
    rare = replace(sample, truth=truth.astype(np.int64))
    found = bootstrap(
        rare, generator=np.random.default_rng(0), resamples=300,
        vectors={"members": lambda tally: tally.members},
    )  # fmt: skip
    counts = found.vector_samples["members"]
    assert counts[:, 2].min() == 1.0
    assert counts[:, 2].mean() == pytest.approx(1.0, abs=0.7)
    assert (counts.sum(axis=1) == 80).all()


def test_intervals_cover_about_95_percent() -> None:
    large = many(200_000, classes=6, seed=10**6)
    true = {name: compute(name, large) for name in CLASS_METRICS}
    hits = dict.fromkeys(CLASS_METRICS, 0)
    for seed in range(60):
        found = measure(
            many(500, classes=6, seed=seed), generator=np.random.default_rng(seed), resamples=120
        )
        for name, one in found.items():
            assert one.low is not None
            assert one.high is not None
            hits[name] += one.low <= (true[name] or 0.0) <= one.high
    for name, metric in CLASS_METRICS.items():
        if not metric.biased:
            assert hits[name] >= 52, (name, hits[name])


def test_a_worse_challenger_has_a_positive_difference() -> None:
    champion = many(1200)
    noise = np.random.default_rng(1).dirichlet(np.ones(4), 1200)
    worse = replace(champion, outputs=0.3 * champion.outputs + 0.7 * noise)
    for name in ("accuracy", "macro_auroc", "log_loss", "brier"):
        found = paired_difference(
            name, challenger=worse, champion=champion, generator=np.random.default_rng(0),
            resamples=100,
        )  # fmt: skip
        assert found is not None
        assert found.low is not None
        assert 0 < found.low <= found.value


def test_models_of_other_classes_are_not_compared() -> None:
    sample = many(100)
    names = tuple(f"other {number}" for number in range(4))
    other = replace(sample, task=replace(sample.task, classes=names))
    with pytest.raises(BadData, match="in the same classes"):
        paired_difference(
            "accuracy", challenger=sample, champion=other, generator=np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    ("truth", "text"),
    [
        (np.array([True, False]), "labels: found values of type bool; expected whole numbers"),
        (np.array([0, 4]), r"labels: found 1 outside the classes, for example \[4\]"),
        (np.array([0, -1]), r"expected indices from 0 to 3"),
        (np.array([0, 1, 2]), r"found shapes \[3\] and \[2, 4\]"),
    ],
)
def test_what_is_no_sample_is_refused(truth: np.ndarray, text: str) -> None:
    with pytest.raises(BadData, match=text):
        Sample(task=task_of(4), truth=truth, outputs=np.full((2, 4), 0.25))
