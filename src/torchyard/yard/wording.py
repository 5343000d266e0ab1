"""A report in one number, for the lines and tables that have room for no more."""

from __future__ import annotations

from collections.abc import Mapping

from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.schema import Task

_NAMES = {"auroc": "AUROC", "micro_f1": "micro F1", "mae": "MAE"}


def headline_name(task: Task) -> str:
    """What people call the metric that stands for such a model's quality.

    Example:
        >>> headline_name(Task(kind="binary_classification", label="late", classes=("no", "yes")))
        'AUROC'
    """
    return _NAMES.get(task.headline, task.headline)


def headline_value(task: Task, metrics: Mapping[str, Measured]) -> str:
    """That metric's value to four decimals; a dash where it is undefined."""
    measured = metrics.get(task.headline)
    return "-" if measured is None else f"{measured.value:.4f}"


def headline(report: Report) -> str:
    """The metric, its value and its 95 % interval, ``AUROC 0.6712 [0.6630, 0.6791]``."""
    measured = report.metrics.get(report.task.headline)
    value = f"{headline_name(report.task)} {headline_value(report.task, report.metrics)}"
    if measured is None or measured.low is None or measured.high is None:
        return value
    return f"{value} [{measured.low:.4f}, {measured.high:.4f}]"


def beside_baselines(report: Report) -> tuple[str, ...]:
    """Whether the model beats each baseline, the best one first: ``beats the majority by ...``."""
    from torchyard.evaluate import rival_lines

    return rival_lines(report)
