"""An evaluation in sentences for somebody who decides about a product, not about a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torchyard.pages.numbers import shown_number, title_of
from torchyard.records.conditions import told
from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.schema import Schema, Task
from torchyard.records.verdicts import Verdict


def tried_on(report: Report) -> str:
    """How many rows, and what they were.

    ``"It was tried on 28,112 rows that it had not seen; 17 of 100 were 'late'."``
    """
    rows = f"It was tried on {report.rows:,} rows that it had not seen"
    task = report.task
    if task.is_regression or not report.classes:
        return f"{rows}."
    if task.is_binary:
        return f"{rows}; {of_hundred(report.classes[1] / report.rows)} were '{task.classes[1]}'."
    most = max(range(len(report.classes)), key=report.classes.__getitem__)
    share = of_hundred(report.classes[most] / report.rows)
    return f"{rows}; {share} were '{task.classes[most]}', the most frequent of its classes."


def how_good(report: Report) -> list[str]:
    """What its main numbers mean, one sentence each."""
    metrics, task = report.metrics, report.task
    tell = {
        "binary_classification": _binary,
        "multiclass_classification": _multiclass,
        "multilabel_classification": _multilabel,
        "regression": _regression,
    }[task.kind]
    return list(tell(metrics, task))


def _binary(metrics: Mapping[str, Measured], task: Task) -> Iterator[str]:
    no, yes = task.classes
    if "auroc" in metrics:
        yield (
            f"Shown one row that is '{yes}' and one that is '{no}', it gives the higher "
            f"probability to '{yes}' in {of_hundred(metrics['auroc'].value)} cases; a coin does "
            "in 50."
        )
    if "selection_rate" in metrics:
        said = f"It answers '{yes}' to {of_hundred(metrics['selection_rate'].value)} rows"
        if "precision" in metrics:
            said += f"; {of_hundred(metrics['precision'].value)} such answers are right"
        if "recall" in metrics:
            said += f", and {of_hundred(metrics['recall'].value)} rows that are '{yes}' are found"
        yield f"{said}."
    yield from _confidence(metrics, f"the probability of '{yes}'")


def _multiclass(metrics: Mapping[str, Measured], task: Task) -> Iterator[str]:
    if "accuracy" in metrics:
        said = f"It answers {of_hundred(metrics['accuracy'].value)} rows rightly"
        if "top_3_accuracy" in metrics:
            among = of_hundred(metrics["top_3_accuracy"].value)
            said += f", and has the right class among its first three in {among}"
        yield f"{said}."
    if "balanced_accuracy" in metrics:
        yield (
            f"Each of the {len(task.classes)} classes counting alike, it is "
            f"{of_hundred(metrics['balanced_accuracy'].value)}."
        )
    yield from _confidence(metrics, "its probability")


def _multilabel(metrics: Mapping[str, Measured], task: Task) -> Iterator[str]:
    if "micro_precision" in metrics and "micro_recall" in metrics:
        yield (
            f"Of the labels that it gives, {of_hundred(metrics['micro_precision'].value)} are "
            f"right; of those that rows have, it gives {of_hundred(metrics['micro_recall'].value)}."
        )
    if "subset_accuracy" in metrics:
        yield (
            f"In {of_hundred(metrics['subset_accuracy'].value)} rows all {len(task.classes)} "
            "labels are right at once."
        )
    yield from _confidence(metrics, "the probability of a label")


def _regression(metrics: Mapping[str, Measured], task: Task) -> Iterator[str]:
    unit = f" {task.unit}" if task.unit else ""
    if "mae" in metrics:
        said = f"Its values are {shown_number(metrics['mae'].value)}{unit} off on average"
        if "median_absolute_error" in metrics:
            half = shown_number(metrics["median_absolute_error"].value)
            said += f", in half of the rows by less than {half}{unit}"
        yield f"{said}."
    if "r2" in metrics:
        yield f"It explains {max(0.0, metrics['r2'].value):.0%} of what makes the rows differ."
    if "interval_coverage" in metrics:
        said = (
            f"{of_hundred(metrics['interval_coverage'].value).capitalize()} true values lie in the "
            f"interval that it states, where {of_hundred(task.coverage)} should"
        )
        if "mean_interval_width" in metrics:
            said += f"; it is {shown_number(metrics['mean_interval_width'].value)}{unit} wide"
        yield f"{said}."


def _confidence(metrics: Mapping[str, Measured], what: str) -> Iterator[str]:
    error = metrics.get("expected_calibration_error")
    if error is None:
        return
    points = 100 * error.value
    said = f"What it says of its own certainty is off by {points:.1f} points on average"
    gap = metrics.get("calibration_gap")
    if gap is not None and gap.low is not None and gap.high is not None and gap.low * gap.high > 0:
        said += f": {what} is {'too high' if gap.value > 0 else 'too low'}"
    yield f"{said}."


def against_simple(report: Report) -> str:
    """Whether the model beats the best of the simple models, in its main metric.

    Empty where no baseline was measured.
    """
    name = report.task.headline
    found = {
        rival: (report.baselines[rival][name], report.against[rival][name])
        for rival in report.against
        if rival != "champion"
        and name in report.against[rival]
        and name in report.baselines.get(rival, {})
    }
    if not found:
        return ""
    rival, (own, worse) = max(found.items(), key=lambda item: item[1][1].value)
    beside = (
        f"The best of the simple models, '{rival}', has {title_of(name)} "
        f"{shown_number(own.value)}: the model"
    )
    if worse.low is None or worse.high is None or worse.low * worse.high <= 0:
        return f"{beside} cannot be told from it."
    by = f"by {abs(worse.value):.2g}"
    ends = sorted((abs(worse.low), abs(worse.high)))
    between = f"({ends[0]:.2g} to {ends[1]:.2g})"
    return f"{beside} is {'worse' if worse.value > 0 else 'better'} {by} {between}."


def where_weak(report: Report, schema: Schema) -> str:
    """The worst slice that was found; empty where none was, or nobody searched."""
    search = report.weaknesses
    if search is None or not search.found:
        return ""
    worst = search.found[0]
    return (
        f"It is weakest where {told(worst, schema)} ({worst.rows:,} rows): "
        f"{title_of(search.metric)} {worst.measured.value:.2g} there, {worst.others:.2g} elsewhere."
    )


def how_it_behaves(report: Report) -> str:
    """How many behaviours hold, and which fails most; empty where none is declared."""
    tried = [one for one in report.behaviours if one.failure_rate is not None]
    if not tried:
        return ""
    failing = [one for one in tried if one.failed]
    if not failing:
        return f"All {len(tried)} behaviours hold in every row that was tried."
    worst = max(failing, key=lambda one: one.failed / one.rows)
    return (
        f"{len(tried) - len(failing)} of {len(tried)} behaviours hold in every row that was tried; "
        f"'{worst.says}' fails in {of_hundred(worst.failed / worst.rows)}."
    )


def readiness(verdicts: Sequence[Verdict]) -> str:
    """Whether the gates let the model out, and what stands in the way."""
    required = [one for one in verdicts if one.required]
    if not required:
        return "The project requires nothing of it: no gate is declared."
    held = [one for one in required if one.outcome != "pass"]
    waived = [one for one in held if one.waiver is not None]
    open_ones = [one for one in held if one.waiver is None]
    if not open_ones:
        if not waived:
            return f"Every required gate passes, {len(required)} in all."
        return (
            f"{len(required) - len(waived)} of {len(required)} required gates pass; "
            f"{len(waived)} are waived."
        )
    counts = {
        "missed": sum(one.outcome == "fail" for one in open_ones),
        "not settled by so few rows": sum(
            one.outcome == "inconclusive" and one.measured is not None for one in open_ones
        ),
        "not measured yet": sum(
            one.outcome == "inconclusive" and one.measured is None for one in open_ones
        ),
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    passed = len(required) - len(open_ones)
    end = ": it is not let out as it is" if counts["missed"] else ""
    return f"{passed} of {len(required)} required gates pass, {told}{end}."


def of_hundred(share: float) -> str:
    """A share in words.

    Example:
        >>> of_hundred(0.167), of_hundred(0.0004), of_hundred(1.0)
        ('17 of 100', 'fewer than 1 of 100', '100 of 100')
    """
    if 0 < share < 0.005:
        return "fewer than 1 of 100"
    if 0.995 <= share < 1:
        return "more than 99 of 100"
    return f"{100 * share:.0f} of 100"
