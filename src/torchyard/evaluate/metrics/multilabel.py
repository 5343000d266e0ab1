"""Metrics of a classifier whose rows have any number of classes: a closed set of functions.

As in ``binary.py``. "Macro" averages a metric over the classes, each counting alike, those for
which it is undefined left out; "micro" takes every pair of a row and a class as a row of its own,
so that frequent classes count most.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from torchyard.evaluate.counting.label_tally import LabelTally
from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.metrics import binary
from torchyard.evaluate.metrics import multiclass as by_class
from torchyard.evaluate.metrics.binary import BENT, NOISE, Metric, ratio
from torchyard.evaluate.metrics.multiclass import f1s, macro, precisions, recalls


def micro_f1(tally: LabelTally) -> Floats:
    """The harmonic mean of precision and recall of all labels: overall quality of the answers."""
    given = tally.members.sum(axis=-1) + tally.answered.sum(axis=-1)
    return ratio(2.0 * tally.hits.sum(axis=-1), given)


def micro_precision(tally: LabelTally) -> Floats:
    """Of all labels answered the share that is right: what a user sees wrongly tagged."""
    return ratio(tally.hits.sum(axis=-1), tally.answered.sum(axis=-1))


def micro_recall(tally: LabelTally) -> Floats:
    """Of all labels that rows have the share answered: what a user does not find."""
    return ratio(tally.hits.sum(axis=-1), tally.members.sum(axis=-1))


def macro_f1(tally: LabelTally) -> Floats:
    """The F1 of a class, averaged: whether rare classes are answered as well as frequent ones."""
    return macro(f1s(tally))


def macro_precision(tally: LabelTally) -> Floats:
    """The precision of a class, averaged over those that any row is answered with."""
    return macro(precisions(tally))


def macro_recall(tally: LabelTally) -> Floats:
    """The recall of a class, averaged over those that any row has."""
    return macro(recalls(tally))


def subset_accuracy(tally: LabelTally) -> Floats:
    """The share of rows answered with just their classes: where one wrong label spoils a row."""
    return ratio(tally.total(tally.scores.is_exact), tally.rows)


def hamming_loss(tally: LabelTally) -> Floats:
    """The share of pairs of a row and a class answered wrongly: of labels to correct by hand."""
    return ratio(tally.total(tally.scores.wrong_share), tally.rows)


def micro_auroc(tally: LabelTally) -> Floats:
    """The chance that a label a row has is ranked above one that another, or it, has not.

    All classes at one threshold, which is how they are answered.
    """
    return binary.auroc(tally.pairs)


def macro_auroc(tally: LabelTally) -> Floats:
    """The chance that a row of a class is ranked above another, averaged over the classes."""
    return by_class.macro_auroc(tally)


def macro_average_precision(tally: LabelTally) -> Floats:
    """Precision averaged over the rows of a class, averaged over the classes ("mAP")."""
    return by_class.macro_average_precision(tally)


def label_ranking_average_precision(tally: LabelTally) -> Floats:
    """How high a row's own classes stand among all classes: where a list of tags is shown.

    At each class that a row has, the share of those at least as probable that it has, too; 1 where
    it has none (Tsoumakas et al. 2010, as scikit-learn defines it).
    """
    return ratio(tally.total(tally.scores.ranking_precision), tally.rows)


def log_loss(tally: LabelTally) -> Floats:
    """Mean negative log-likelihood of a label, in nats, clipped at machine epsilon."""
    return ratio(tally.total(tally.scores.surprise), tally.rows)


def brier(tally: LabelTally) -> Floats:
    """Mean squared difference of probability and outcome of a label (Brier 1950)."""
    return ratio(tally.total(tally.scores.squares), tally.rows)


def expected_calibration_error(tally: LabelTally) -> Floats:
    """Mean absolute gap of predicted and observed rate over 15 equal-mass bins of all labels.

    In the bins of the binary metric and as biased as it: noise in a bin never cancels.
    """
    return binary.expected_calibration_error(tally.pairs)


def maximum_calibration_error(tally: LabelTally) -> Floats:
    """The largest gap of those bins, more biased still: see the binary metric."""
    return binary.maximum_calibration_error(tally.pairs)


def classwise_calibration_error(tally: LabelTally) -> Floats:
    """The expected calibration error of a class, averaged over the classes.

    Kull et al. 2019, section 2: classes that err in opposite directions do not cancel.
    """
    return by_class.classwise_calibration_error(tally)


def calibration_gap(tally: LabelTally) -> Floats:
    """Mean probability less observed rate of a label: above 0 the model promises too much."""
    return ratio(tally.total(tally.scores.gap), tally.rows)


LABEL_METRICS: Mapping[str, Metric[LabelTally]] = MappingProxyType(
    {
        "micro_f1": Metric(micro_f1, "decision", higher_is_better=True),
        "macro_f1": Metric(macro_f1, "decision", higher_is_better=True),
        "micro_precision": Metric(micro_precision, "decision", higher_is_better=True),
        "micro_recall": Metric(micro_recall, "decision", higher_is_better=True),
        "macro_precision": Metric(macro_precision, "decision", higher_is_better=True),
        "macro_recall": Metric(macro_recall, "decision", higher_is_better=True),
        "subset_accuracy": Metric(
            subset_accuracy, "decision", higher_is_better=True, share_of=lambda tally: tally.rows
        ),
        "hamming_loss": Metric(hamming_loss, "decision", higher_is_better=False),
        "micro_auroc": Metric(micro_auroc, "order", higher_is_better=True),
        "macro_auroc": Metric(macro_auroc, "order", higher_is_better=True),
        "macro_average_precision": Metric(
            macro_average_precision, "order", higher_is_better=True, biased=BENT
        ),
        "label_ranking_average_precision": Metric(
            label_ranking_average_precision, "order", higher_is_better=True
        ),
        "log_loss": Metric(log_loss, "probability", higher_is_better=False, bounds=(0.0, np.inf)),
        "brier": Metric(brier, "probability", higher_is_better=False),
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
    }
)
