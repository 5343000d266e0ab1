"""Metrics of a classifier of three or more classes: a closed set, each a function of a tally.

As in ``binary.py``; a row is answered with its most probable class, the first of equals. What
binary metrics say of one class is averaged over the classes ("macro"), each counting alike. A class
for which a metric is undefined, usually because the sample has no rows of it, is left out of the
average: so it is in a small slice, and nothing else can be said there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from torchyard.evaluate.counting.class_tally import ClassTally
from torchyard.evaluate.counting.ranking import Ranking
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.metrics import binary
from torchyard.evaluate.metrics.binary import BENT, NOISE, Metric, ratio

TOP = 3


class Counted(Protocol):
    """Weights of the rows that have each class, are answered with it, and both."""

    @property
    def rows(self) -> Floats:
        """Of all rows, ``[...]``."""

    @property
    def members(self) -> Floats:
        """Of those that have each class, ``[..., classes]``."""

    @property
    def answered(self) -> Floats:
        """Of those that are answered with each class, ``[..., classes]``."""

    @property
    def hits(self) -> Floats:
        """Of those that have a class and are answered with it, ``[..., classes]``."""


class Ranked(Protocol):
    """Weights of rows, of those that have each class, and these among all rows."""

    @property
    def rows(self) -> Floats:
        """Of all rows, ``[...]``."""

    @property
    def members(self) -> Floats:
        """Of those that have each class, ``[..., classes]``."""

    @property
    def ranking(self) -> Ranking:
        """By each class's probability, ``[..., classes]``."""


def accuracy(tally: ClassTally) -> Floats:
    """The share of rows answered with their class."""
    return ratio(tally.hits.sum(axis=-1), tally.rows)


def balanced_accuracy(tally: ClassTally) -> Floats:
    """The share of a class's rows answered rightly, averaged over the classes."""
    return macro(recalls(tally))


def macro_f1(tally: ClassTally) -> Floats:
    """The harmonic mean of precision and recall of a class, averaged over the classes.

    Left out are classes that no row has and none is answered with; 0 counts where only one holds.
    """
    return macro(f1s(tally))


def weighted_f1(tally: ClassTally) -> Floats:
    """The F1 of a class, averaged over the classes by their rows: frequent classes count most.

    Where the classes matter as often as they occur, and accuracy hides what is mistaken for what.
    """
    of_class = np.nan_to_num(f1s(tally))
    return ratio(np.vecdot(of_class, tally.members), tally.rows)


def matthews_correlation(tally: ClassTally) -> Floats:
    """The correlation of answer and truth, at most 1, 0 for guessing (Gorodkin 2004).

    Undefined where all rows have one class or one answer.
    """
    chance = np.vecdot(tally.members, tally.answered)
    hits = tally.hits.sum(axis=-1) * tally.rows - chance
    spread = _spread(tally.rows, tally.members) * _spread(tally.rows, tally.answered)
    return ratio(hits, np.sqrt(spread))


def cohens_kappa(tally: ClassTally) -> Floats:
    """Agreement of answer and truth beyond chance, at most 1 (Cohen 1960).

    To compare a model with the people who label: their agreement is told by it. Undefined where
    truth and answers all have the same one class.
    """
    chance = np.vecdot(tally.members, tally.answered)
    agreed = tally.hits.sum(axis=-1) * tally.rows
    return ratio(agreed - chance, np.square(tally.rows) - chance)


def macro_auroc(tally: Ranked) -> Floats:
    """The chance that a row of a class is ranked above another, averaged over the classes.

    One against the rest, by the class's own probability (Provost and Domingos 2000, each class
    counting alike); ties count half.
    """
    others = tally.rows[..., None] - tally.members
    return macro(ratio(tally.ranking.wins, 2.0 * tally.members * others))


def macro_average_precision(tally: Ranked) -> Floats:
    """Precision averaged over the rows of a class, by its probability, averaged over the classes.

    As scikit-learn defines it: no interpolation.
    """
    return macro(ratio(tally.ranking.precisions, tally.members))


def log_loss(tally: ClassTally) -> Floats:
    """Mean negative log-likelihood in nats, probabilities clipped at machine epsilon."""
    return ratio(tally.total(tally.scores.surprise), tally.rows)


def brier(tally: ClassTally) -> Floats:
    """Mean over rows of the squared differences summed over classes (Brier 1950): 0 to 2."""
    return ratio(tally.total(tally.scores.squares), tally.rows)


def expected_calibration_error(tally: ClassTally) -> Floats:
    """Mean absolute gap of the largest probability and the accuracy over 15 equal-mass bins.

    Of the top label (Guo et al. 2017, section 2), in the bins of the binary metric and as biased
    as it: noise in a bin never cancels.
    """
    return binary.expected_calibration_error(tally.confidence)


def maximum_calibration_error(tally: ClassTally) -> Floats:
    """The largest gap of those bins, more biased still: see the binary metric."""
    return binary.maximum_calibration_error(tally.confidence)


def classwise_calibration_error(tally: Ranked) -> Floats:
    """The expected calibration error of each class's probability, averaged over the classes.

    Kull et al. 2019, section 2. Where all probabilities are used, not only the answer's; classes
    that err in opposite directions do not cancel.
    """
    return macro(ratio(np.abs(tally.ranking.gaps).sum(axis=-1), tally.rows[..., None]))


def calibration_gap(tally: ClassTally) -> Floats:
    """Mean largest probability less accuracy: above 0 the model is too sure of itself."""
    return binary.calibration_gap(tally.confidence)


def top_3_accuracy(tally: ClassTally) -> Floats:
    """The share of rows whose class is among the three most probable, the first of equals.

    Undefined with three classes, where it would say nothing.
    """
    return _top_accuracy(tally, TOP)


def top_5_accuracy(tally: ClassTally) -> Floats:
    """As top 3, among the five most probable. Undefined with five classes or fewer."""
    return _top_accuracy(tally, 5)


def precisions(tally: Counted) -> Floats:
    """Of the rows answered with each class the share that has it, ``[..., classes]``."""
    return ratio(tally.hits, tally.answered)


def recalls(tally: Counted) -> Floats:
    """Of each class's rows the share answered rightly, ``[..., classes]``."""
    return ratio(tally.hits, tally.members)


def f1s(tally: Counted) -> Floats:
    """The harmonic mean of both, ``[..., classes]``."""
    return ratio(2.0 * tally.hits, tally.members + tally.answered)


def answer_rates(tally: Counted) -> Floats:
    """The share of rows answered with each class, ``[..., classes]``."""
    return ratio(tally.answered, tally.rows[..., None])


CLASS_METRICS: Mapping[str, Metric[ClassTally]] = MappingProxyType(
    {
        "accuracy": Metric(
            accuracy, "decision", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
        "balanced_accuracy": Metric(balanced_accuracy, "decision", higher_is_better=True),
        "macro_f1": Metric(macro_f1, "decision", higher_is_better=True),
        "weighted_f1": Metric(weighted_f1, "decision", higher_is_better=True),
        "matthews_correlation": Metric(
            matthews_correlation, "decision", higher_is_better=True, bounds=(-1.0, 1.0)
        ),
        "cohens_kappa": Metric(cohens_kappa, "decision", higher_is_better=True, bounds=(-1.0, 1.0)),
        "macro_auroc": Metric(macro_auroc, "order", higher_is_better=True),
        "macro_average_precision": Metric(
            macro_average_precision, "order", higher_is_better=True, biased=BENT
        ),
        "log_loss": Metric(log_loss, "probability", higher_is_better=False, bounds=(0.0, np.inf)),
        "brier": Metric(brier, "probability", higher_is_better=False, bounds=(0.0, 2.0)),
        "expected_calibration_error": Metric(
            expected_calibration_error, "probability", higher_is_better=False, biased=NOISE
        ),
        "maximum_calibration_error": Metric(
            maximum_calibration_error, "probability", higher_is_better=False, biased=NOISE
        ),
        "classwise_calibration_error": Metric(
            classwise_calibration_error, "probability", higher_is_better=False, biased=NOISE
        ),
        "calibration_gap": Metric(
            calibration_gap, "probability", higher_is_better=None, bounds=(-1.0, 1.0)
        ),
        "top_3_accuracy": Metric(
            top_3_accuracy, "decision", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
        "top_5_accuracy": Metric(
            top_5_accuracy, "decision", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
    }
)


def macro(of_class: Floats) -> Floats:
    """The mean over the classes that have a number; not-a-number where none has."""
    is_defined = ~np.isnan(of_class)
    total = np.where(is_defined, of_class, 0.0).sum(axis=-1)
    return ratio(total, is_defined.sum(axis=-1))


def _top_accuracy(tally: ClassTally, places: int) -> Floats:
    if tally.scores.classes <= places:
        return np.full(tally.rows.shape, np.nan)
    is_among = (tally.scores.place_of_truth < places).astype(np.float64)
    return ratio(tally.total(is_among), tally.rows)


def _spread(rows: Floats, of_class: Floats) -> Floats:
    """How far rows are from all being of one class, ``rows^2`` less the sum of squares."""
    return np.asarray(np.square(rows) - np.square(of_class).sum(axis=-1))
