"""Metrics of a binary classifier: a closed set, each a function of a tally.

A function takes a ``Tally`` with any leading axes and answers one number per sample, ``[...]``,
not-a-number where the metric is undefined (no positive rows, nothing selected, no rows). Undefined
metrics never reach a record: they are left out. To add one, write the function and register it in
``METRICS``; the contract test finds it there. Each earns its place by a use that its docstring or
docs/evaluation.md names. Other kinds of tasks: ``multiclass.py``, ``multilabel.py``,
``regression.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Generic, Literal

import numpy as np

from torchyard.evaluate.counting.sample import Floats, TallyType
from torchyard.evaluate.counting.tally import Tally

Aspect = Literal["order", "probability", "decision", "truth", "answer"]
Function = Callable[[Tally], Floats]


# A curve of the rows' weights: a sample lies off the truth about as far as a resample lies off the
# sample (Efron and Tibshirani 1993, chapter 10).
BENT = 1.0
# Gaps that noise opens. Where all are noise, resampling makes them sqrt(2) as wide: they are 2.4
# times what it adds, and more where chance made them wide. With 4 the interval of a calibrated
# model holds 0 in about 95 % of samples; to one that is off, noise adds next to nothing, and it is
# hardly shifted (tests/evaluate/test_coverage.py).
NOISE = 4.0


@dataclass(frozen=True, slots=True)
class Metric(Generic[TallyType]):
    """One metric of a tally.

    Attributes:
        function: its definition.
        looks_at: all that it depends on beside the labels: the order of the probabilities, their
            values, the decisions at the threshold, or nothing; of a regression the whole answer.
        higher_is_better: None when it has no better direction.
        bounds: the smallest and largest possible value.
        share_of: the rows it is a share of, when it is one; its interval is then exact.
        biased: how far it lies beside the truth, in multiples of what its resamples lie beside
            it on average; 0 where it does not. See ``BENT`` and ``NOISE``.
    """

    function: Callable[[TallyType], Floats]
    looks_at: Aspect
    _: KW_ONLY
    higher_is_better: bool | None
    bounds: tuple[float, float] = (0.0, 1.0)
    share_of: Callable[[TallyType], Floats] | None = None
    biased: float = 0.0


def auroc(tally: Tally) -> Floats:
    """The chance that a positive row is ranked above a negative one, ties counting half.

    The Mann-Whitney statistic over the number of pairs (Hanley and McNeil 1982). Undefined
    without both classes.
    """
    return ratio(tally.twice_the_wins, 2.0 * tally.positives * tally.negatives)


def average_precision(tally: Tally) -> Floats:
    """Precision averaged over the positive rows, as scikit-learn defines it: no interpolation.

    Undefined without positive rows.
    """
    return ratio(tally.precisions, tally.positives)


def log_loss(tally: Tally) -> Floats:
    """Mean negative log-likelihood in nats, probabilities clipped at machine epsilon."""
    scores = tally.scores
    lost = tally.total(
        if_positive=scores.surprise_if_positive, if_negative=scores.surprise_if_negative
    )
    return ratio(lost, tally.rows)


def brier(tally: Tally) -> Floats:
    """Mean squared difference of probability and outcome (Brier 1950, one of two classes)."""
    scores = tally.scores
    lost = tally.total(if_positive=scores.square_if_positive, if_negative=scores.square_if_negative)
    return ratio(lost, tally.rows)


def expected_calibration_error(tally: Tally) -> Floats:
    """Mean absolute gap of predicted and observed rate over 15 equal-mass bins.

    Equal-mass binning as in Nguyen and O'Connor 2015 (adaptive bins). It is biased upwards: noise
    in a bin never cancels, so a perfectly calibrated model shows about
    ``0.8 * sqrt(15 * p * (1 - p) / rows)`` at a positive rate ``p`` - 0.007 for 28,000 rows and
    0.05 for 500 at ``p`` 0.2 (Kumar et al. 2019, section 5; Roelofs et al. 2022).
    """
    return ratio(np.abs(tally.gaps).sum(axis=-1), tally.rows)


def maximum_calibration_error(tally: Tally) -> Floats:
    """The largest gap of predicted and observed rate of any of those bins (Guo et al. 2017).

    For uses where a wrong probability anywhere does harm. The largest of 15 noisy gaps is far more
    biased than their mean: a perfectly calibrated model shows about ``1.8 * sqrt(15 * p * (1 - p) /
    rows)`` and more where bins differ. Compare models by it, and do not read it as a distance.
    """
    gaps, weights = np.abs(tally.gaps), tally.bin_weights
    shares = np.divide(gaps, weights, out=np.zeros_like(gaps), where=weights > 0)
    return np.where(tally.rows > 0, shares.max(axis=-1), np.nan)


def calibration_gap(tally: Tally) -> Floats:
    """Mean probability less observed rate: above 0 the model promises too much."""
    values = tally.scores.values
    predicted = tally.total(if_positive=values, if_negative=values)
    return ratio(predicted - tally.positives, tally.rows)


def accuracy(tally: Tally) -> Floats:
    """The share of rows answered rightly."""
    return ratio(tally.negatives - tally.selected_negatives + tally.selected_positives, tally.rows)


def precision(tally: Tally) -> Floats:
    """The share of selected rows that are positive. Undefined when nothing is selected."""
    return ratio(tally.selected_positives, tally.selected)


def recall(tally: Tally) -> Floats:
    """The share of positive rows that are selected. Undefined without positive rows."""
    return ratio(tally.selected_positives, tally.positives)


def false_positive_rate(tally: Tally) -> Floats:
    """The share of negative rows that are selected. Undefined without negative rows."""
    return ratio(tally.selected_negatives, tally.negatives)


def specificity(tally: Tally) -> Floats:
    """The share of negative rows that are not selected: what a test promises to the healthy.

    Undefined without negative rows.
    """
    return ratio(tally.negatives - tally.selected_negatives, tally.negatives)


def balanced_accuracy(tally: Tally) -> Floats:
    """The mean of recall and specificity: accuracy as if both classes were equally frequent.

    0.5 for whatever answers without looking, however rare a class is. Undefined without both.
    """
    return 0.5 * (recall(tally) + specificity(tally))


def f1(tally: Tally) -> Floats:
    """The harmonic mean of precision and recall.

    Undefined when no row is positive and none is selected; 0 when only one of the two holds.
    """
    return _f_beta(tally, beta=1.0)


def f2(tally: Tally) -> Floats:
    """As F1, recall counting twice as much (van Rijsbergen 1979): where a miss costs more."""
    return _f_beta(tally, beta=2.0)


def f_half(tally: Tally) -> Floats:
    """As F1, precision counting twice as much: where a false alarm costs more."""
    return _f_beta(tally, beta=0.5)


def matthews_correlation(tally: Tally) -> Floats:
    """The correlation of answer and truth, -1 to 1 (Matthews 1975).

    High only if both classes are answered well, and the same when they are swapped: one number for
    rare classes of equal interest. Undefined where all rows have one class or one answer.
    """
    hits = tally.rows * tally.selected_positives - tally.positives * tally.selected
    spread = tally.positives * tally.negatives * tally.selected * (tally.rows - tally.selected)
    return ratio(hits, np.sqrt(spread))


def positive_rate(tally: Tally) -> Floats:
    """The share of rows that are positive, whatever the model says."""
    return ratio(tally.positives, tally.rows)


def selection_rate(tally: Tally) -> Floats:
    """The share of rows that are selected."""
    return ratio(tally.selected, tally.rows)


METRICS: Mapping[str, Metric[Tally]] = MappingProxyType(
    {
        "auroc": Metric(auroc, "order", higher_is_better=True),
        "average_precision": Metric(average_precision, "order", higher_is_better=True, biased=BENT),
        "log_loss": Metric(log_loss, "probability", higher_is_better=False, bounds=(0.0, np.inf)),
        "brier": Metric(brier, "probability", higher_is_better=False),
        "expected_calibration_error": Metric(
            expected_calibration_error, "probability", higher_is_better=False, biased=NOISE
        ),
        "maximum_calibration_error": Metric(
            maximum_calibration_error, "probability", higher_is_better=False, biased=NOISE
        ),
        "calibration_gap": Metric(
            calibration_gap, "probability", higher_is_better=None, bounds=(-1.0, 1.0)
        ),
        "accuracy": Metric(
            accuracy, "decision", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
        "precision": Metric(
            precision, "decision", higher_is_better=True, share_of=lambda tally: tally.selected
        ),
        "recall": Metric(
            recall, "decision", higher_is_better=True, share_of=lambda tally: tally.positives
        ),
        "false_positive_rate": Metric(
            false_positive_rate,
            "decision",
            higher_is_better=False,
            share_of=lambda tally: tally.negatives,
        ),
        "specificity": Metric(
            specificity, "decision", higher_is_better=True, share_of=lambda tally: tally.negatives
        ),
        "balanced_accuracy": Metric(balanced_accuracy, "decision", higher_is_better=True),
        "f1": Metric(f1, "decision", higher_is_better=True),
        "f2": Metric(f2, "decision", higher_is_better=True),
        "f_half": Metric(f_half, "decision", higher_is_better=True),
        "matthews_correlation": Metric(
            matthews_correlation, "decision", higher_is_better=True, bounds=(-1.0, 1.0)
        ),
        "positive_rate": Metric(
            positive_rate, "truth", higher_is_better=None, share_of=lambda tally: tally.rows
        ),
        "selection_rate": Metric(
            selection_rate, "decision", higher_is_better=None, share_of=lambda tally: tally.rows
        ),
    }
)


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, not-a-number where ``below`` is 0."""
    above, below = np.broadcast_arrays(above, below)
    ratio = np.full(below.shape, np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _f_beta(tally: Tally, *, beta: float) -> Floats:
    weight = beta * beta
    given = weight * tally.positives + tally.selected
    return ratio((1.0 + weight) * tally.selected_positives, given)
