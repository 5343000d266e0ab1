"""What cards and reports say of calibration: the method, what it did, and what else was tried."""

from __future__ import annotations

from torchyard.pages.blocks import Block, Reliability, Table, Text
from torchyard.records.calibration import Calibration, CalibrationMethod, Interval, Tried
from torchyard.records.evidence import Report
from torchyard.records.schema import Task

_SAID: dict[CalibrationMethod, str] = {
    "temperature": "Temperature scaling: logits are divided by one number",
    "vector": "Vector scaling: each class's logit gets a slope and a shift",
    "platt": "Platt scaling: logits get a slope and a shift before the sigmoid",
    "beta": "Beta calibration: the logarithm of each class's odds gets a slope below even odds, "
    "one above, and a shift",
    "isotonic": "Isotonic regression: probabilities are read off a rising curve per class",
}
_POINTS = (
    "Each point is a share of the rows with similar answers: on the dashed line, what was promised "
    "came true."
)
_NUMERIC_POINTS = (
    "Each point is a share of the rows with similar predictions: below the dashed line, too much "
    "was predicted there."
)
_WIDTHS = {
    "symmetric": "of one width",
    "asymmetric": "of one width, its ends at different distances",
    "normalised": "wider where predictions err more",
}


def calibration_blocks(fitted: Calibration, report: Report) -> tuple[Block, ...]:
    """What was done about the module's confidence, what else was tried, and what came of it."""
    task = report.task
    blocks: list[Block] = [Text(calibration_sentence(fitted, task))]
    if fitted.tried:
        rows = tuple(_row(one) for one in fitted.tried)
        unit = f" in {task.unit}" if task.unit else ""
        loss = f"interval score{unit}" if task.is_regression else "log loss"
        lead = "Tried on validation rows that the fit had not seen."
        blocks.append(Table(lead, ("method", loss, "above the best (standard error)"), rows))
    if report.reliability:
        blocks.append(Text(_NUMERIC_POINTS if task.is_regression else _POINTS))
        of = "" if task.is_binary or task.is_regression else " of the answer"
        of = " of a class" if task.is_multilabel else of
        blocks.append(Reliability(report.reliability, of, is_numeric=task.is_regression))
    return tuple(blocks)


def calibration_sentence(fitted: Calibration, task: Task) -> str:
    """The method in plain words, with the rows that it was fitted on.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> calibration_sentence(Calibration(method="none", rows=1200), late)
        'Not calibrated: nothing helped beyond noise on 1,200 validation rows.'
    """
    if fitted.interval is not None:
        return _interval(fitted.interval, task)
    if fitted.method == "none":
        return f"Not calibrated: nothing helped beyond noise on {fitted.rows:,} validation rows."
    number = ""
    if fitted.method == "temperature":
        number = " per class" if fitted.slopes else f", {fitted.temperature:.3f}"
    losses = ""
    if fitted.log_loss_before is not None and fitted.log_loss_after is not None:
        losses = (
            f": log loss there {fitted.log_loss_before:.4f} before, "
            f"{fitted.log_loss_after:.4f} after"
        )
    said = f"{_SAID[fitted.method]}{number}"
    return f"{said}, fitted on {fitted.rows:,} validation rows{losses}."


def _interval(interval: Interval, task: Task) -> str:
    far = ""
    if interval.kind != "normalised":
        far = f", {interval.lower:.4g} below to {interval.upper:.4g}{_unit(task)} above the value"
    return (
        f"Each value comes with an interval that holds the truth in {interval.coverage:.0%} of "
        f"rows like the {interval.rows:,} validation rows it was made from (split conformal "
        f"prediction), {_WIDTHS[interval.kind]}{far}. Rows of another time or place may be missed "
        "more often."
    )


def _row(one: Tried) -> tuple[str, str, str]:
    if one.loss is None:
        return one.method, "not tried", one.why
    return one.method, f"{one.loss:.4f}", f"{one.excess:.4f} ({one.error:.4f})"


def _unit(task: Task) -> str:
    return f" {task.unit}" if task.unit else ""
