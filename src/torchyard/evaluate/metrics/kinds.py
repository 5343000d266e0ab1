"""What is measured of a task, by its kind: the one place where kinds of tasks part ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Generic

import numpy as np

from torchyard.core.errors import BadProject, nearest
from torchyard.evaluate.counting.class_tally import ClassTally, class_sheet
from torchyard.evaluate.counting.label_tally import LabelTally, label_sheet
from torchyard.evaluate.counting.regression_tally import RegressionTally, regression_sheet
from torchyard.evaluate.counting.sample import Floats, Sample, Sheet, TallyType
from torchyard.evaluate.counting.tally import Tally, sheet
from torchyard.evaluate.metrics import binary as metrics
from torchyard.evaluate.metrics import multiclass as class_metrics
from torchyard.evaluate.metrics import multilabel as label_metrics
from torchyard.evaluate.metrics import regression as regression_metrics
from torchyard.evaluate.metrics.binary import METRICS, Metric
from torchyard.evaluate.metrics.multiclass import CLASS_METRICS
from torchyard.evaluate.metrics.multilabel import LABEL_METRICS
from torchyard.evaluate.metrics.regression import REGRESSION_METRICS
from torchyard.evaluate.metrics.reliability import numeric_reliability, reliability
from torchyard.records.evidence import ReliabilityBin
from torchyard.records.schema import Task, TaskKind

MIN_ROWS = 100
MIN_PER_CLASS = 10


@dataclass(frozen=True, slots=True)
class Rates(Generic[TallyType]):
    """Rates that should be the same in every group: ``[..., rates]``, and how far they can differ.

    A fairness difference is the largest spread of any of them; with ``is_ratio`` the measure is the
    least over the largest instead, from 0 to 1.
    """

    function: Callable[[TallyType], Floats]
    widest: float = 1.0
    is_ratio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[TallyType]):
    """What is measured of the tasks of one kind.

    Attributes:
        name: ``binary``, ``multiclass``, ``multilabel`` or ``regression``.
        metrics: by name.
        rates: per fairness difference what should be the same in every group.
        live: the metrics that are watched once labels arrive.
        sheet: makes a sample ready to be counted.
        reliability: the bins of a sample in which predictions are held against the truth.
        too_small: why a part with so many rows, and rows of each class, is too small to be
            measured, else empty.
        tells_classes: whether each class is reported alone: the tally counts ``members``,
            ``answered`` and ``hits``.
        has_confusion: whether a row has one class and one answer, so that they can be crossed.
    """

    name: str
    metrics: Mapping[str, Metric[TallyType]]
    rates: Mapping[str, Rates[TallyType]]
    live: tuple[str, ...]
    sheet: Callable[[Sample], Sheet[TallyType]]
    reliability: Callable[[TallyType], tuple[ReliabilityBin, ...]]
    too_small: Callable[[int, tuple[int, ...]], str]
    tells_classes: bool
    has_confusion: bool


def kind_of(task: Task) -> Kind[Any]:
    """The kind of a task."""
    return KINDS[task.kind]


def find(name: str, *, task: Task, where: str) -> Metric[Any]:
    """The metric of that name among those of the task's kind.

    Raises:
        BadProject: there is none.
    """
    kind = kind_of(task)
    if name not in kind.metrics:
        raise unknown_metric(name, kind.metrics, kind=kind, where=where)
    return kind.metrics[name]


def unknown_metric(
    name: str, known: Mapping[str, object] | tuple[str, ...], *, kind: Kind[Any], where: str
) -> BadProject:
    """The refusal of a metric that reports on such a task do not have."""
    others = [one.name for one in KINDS.values() if name in one.metrics or name in one.rates]
    return BadProject(
        where=where,
        found=f"metric '{name}'" + (f", of {' and '.join(others)} tasks only" if others else ""),
        expected=f"a metric of the report on a {kind.name} task",
        remedy=nearest(name, known),
    )


def compute(name: str, sample: Sample, *, weights: Floats | None = None) -> float | None:
    """One metric of one sample.

    Args:
        name: a metric of the task's kind.
        sample: rows, truth and probabilities.
        weights: how often each row counts, ``[rows]``; once when left out.

    Returns:
        The value, or None where it is undefined.

    Raises:
        BadProject: there is no such metric.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> compute("auroc", Sample(task=late, truth=np.array([True, False]),
        ...                         outputs=np.array([[0.2, 0.8], [0.7, 0.3]])))
        1.0
    """
    metric = find(name, task=sample.task, where="metric")
    value = float(metric.function(kind_of(sample.task).sheet(sample).whole(weights)))
    return None if np.isnan(value) else value


def _binary_too_small(rows: int, classes: tuple[int, ...]) -> str:
    negative, positive = classes
    if rows < MIN_ROWS:
        return f"{rows} rows"
    if positive < MIN_PER_CLASS:
        return f"{positive} positive rows"
    return f"{negative} negative rows" if negative < MIN_PER_CLASS else ""


def _few_rows(rows: int, classes: tuple[int, ...]) -> str:
    """Only rows count: a part seldom has many of every class, and averages leave the rest out."""
    return f"{rows} rows" if rows < MIN_ROWS else ""


def _rates(*functions: Callable[[TallyType], Floats], widest: float = 1.0) -> Rates[TallyType]:
    """Metrics as rates, ``[..., functions]``."""
    return Rates(lambda tally: np.stack([function(tally) for function in functions], -1), widest)


BINARY: Kind[Tally] = Kind(
    name="binary",
    metrics=METRICS,
    rates=MappingProxyType(
        {
            # Dwork et al. 2012: the same share is selected.
            "demographic_parity_difference": _rates(metrics.selection_rate),
            # The four-fifths rule (EEOC 1978, 29 CFR 1607.4 D): 0.8 or more.
            "demographic_parity_ratio": replace(_rates(metrics.selection_rate), is_ratio=True),
            # Hardt et al. 2016, definition 2.1: the same error rates.
            "equalized_odds_difference": _rates(metrics.recall, metrics.false_positive_rate),
            # Hardt et al. 2016, definition 2.2: the same recall.
            "equal_opportunity_difference": _rates(metrics.recall),
            # Chouldechova 2017: being selected means the same.
            "predictive_parity_difference": _rates(metrics.precision),
            # Calibration in the large: the mean probability errs alike.
            "calibration_difference": _rates(metrics.calibration_gap, widest=2.0),
        }
    ),
    live=("auroc", "log_loss", "brier", "expected_calibration_error"),
    sheet=sheet,
    reliability=reliability,
    too_small=_binary_too_small,
    tells_classes=False,
    has_confusion=True,
)

MULTICLASS: Kind[ClassTally] = Kind(
    name="multiclass",
    metrics=CLASS_METRICS,
    rates=MappingProxyType(
        {
            # The same share is answered rightly (overall accuracy equality, Berk et al. 2018).
            "accuracy_difference": _rates(class_metrics.accuracy),
            # Dwork et al. 2012, for every class: the same share is answered with it.
            "demographic_parity_difference": Rates(class_metrics.answer_rates),
            # Calibration in the large: the largest probability errs alike.
            "calibration_difference": _rates(class_metrics.calibration_gap, widest=2.0),
        }
    ),
    live=("accuracy", "macro_f1", "log_loss", "brier", "expected_calibration_error"),
    sheet=class_sheet,
    reliability=lambda tally: reliability(tally.confidence),
    too_small=_few_rows,
    tells_classes=True,
    has_confusion=True,
)

MULTILABEL: Kind[LabelTally] = Kind(
    name="multilabel",
    metrics=LABEL_METRICS,
    rates=MappingProxyType(
        {
            # Dwork et al. 2012, for every class: the same share is answered with it.
            "demographic_parity_difference": Rates(class_metrics.answer_rates),
            # Hardt et al. 2016, definition 2.2, of all labels: the same share is found.
            "equal_opportunity_difference": _rates(label_metrics.micro_recall),
            # Chouldechova 2017, of all labels: being answered means the same.
            "predictive_parity_difference": _rates(label_metrics.micro_precision),
            # The same share of labels is answered wrongly.
            "hamming_loss_difference": _rates(label_metrics.hamming_loss),
            # Calibration in the large: the mean probability errs alike.
            "calibration_difference": _rates(label_metrics.calibration_gap, widest=2.0),
        }
    ),
    live=("micro_f1", "macro_f1", "log_loss", "brier", "expected_calibration_error"),
    sheet=label_sheet,
    reliability=lambda tally: reliability(tally.pairs),
    too_small=_few_rows,
    tells_classes=True,
    has_confusion=False,
)

REGRESSION: Kind[RegressionTally] = Kind(
    name="regression",
    metrics=REGRESSION_METRICS,
    rates=MappingProxyType(
        {
            # Predictions are too high, or too low, alike (Calders et al. 2013, balanced residuals).
            "mean_error_difference": _rates(regression_metrics.mean_error, widest=np.inf),
            # Predictions are equally good (Agarwal et al. 2019, bounded group loss).
            "mae_difference": _rates(regression_metrics.mae, widest=np.inf),
            # Intervals hold the truth equally often (Romano et al. 2020, equalized coverage).
            "coverage_difference": _rates(regression_metrics.interval_coverage),
        }
    ),
    live=("mae", "rmse", "mean_error", "interval_coverage"),
    sheet=regression_sheet,
    reliability=numeric_reliability,
    too_small=_few_rows,
    tells_classes=False,
    has_confusion=False,
)

KINDS: Mapping[TaskKind, Kind[Any]] = MappingProxyType(
    {
        "binary_classification": BINARY,
        "multiclass_classification": MULTICLASS,
        "multilabel_classification": MULTILABEL,
        "regression": REGRESSION,
    }
)
