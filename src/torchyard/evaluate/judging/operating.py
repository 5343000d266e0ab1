"""The threshold of a binary task: chosen on validation rows by a stated rule, judged on test rows.

Every threshold that parts the validation rows differently is tried. Chosen ones lie halfway between
two probabilities, so that a variant which rounds them decides the same rows alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from torchyard.core.errors import BadProject, Refused, nearest
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.judging.compare import Limit, decide
from torchyard.evaluate.judging.gate_checks import OPERATING_COST
from torchyard.evaluate.judging.wording import number_text, with_interval
from torchyard.evaluate.metrics.binary import METRICS
from torchyard.evaluate.resampling.intervals import by_resamples
from torchyard.records.evidence import OperatingPoint, Report
from torchyard.records.measures import Measured
from torchyard.records.schema import OperatingRule, Task
from torchyard.records.verdicts import Outcome

_RESAMPLES = 1000
CHOICES: tuple[str, ...] = tuple(
    name
    for name, metric in METRICS.items()
    if metric.looks_at == "decision" and metric.higher_is_better
)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """The sample at every threshold that parts it differently: as a tally, ``[thresholds]``."""

    thresholds: Floats
    positives: Floats
    negatives: Floats
    selected_positives: Floats
    selected_negatives: Floats

    @property
    def selected(self) -> Floats:
        """Rows at or above each threshold."""
        return self.selected_positives + self.selected_negatives

    @property
    def rows(self) -> Floats:
        """All rows."""
        return self.positives + self.negatives


def check_operating(task: Task) -> None:
    """Refuse a rule of metrics that say nothing of decisions, or of which more is not better.

    Raises:
        BadProject: there is no such metric among ``CHOICES``.
    """
    rule = task.operating
    for name in () if rule is None else (rule.metric, rule.subject_to):
        if name is not None and name not in CHOICES:
            raise BadProject(
                where=f"threshold of {task.label}",
                found=f"metric '{name}'",
                expected="a metric of decisions of which more is better",
                remedy=f"{nearest(name, CHOICES)} They are: {', '.join(CHOICES)}.",
            )


def choose_threshold(sample: Sample, rule: OperatingRule) -> OperatingPoint:
    """The threshold that a rule chooses on these rows; what it comes to elsewhere is left open.

    Among thresholds that are equally good, the one nearest to ``false_positive / (false_positive +
    false_negative)``, which is the best one for perfect probabilities (Elkan 2001, theorem 1); with
    a constraint, the one that meets it best.

    Args:
        sample: the validation rows with calibrated probabilities.
        rule: costs, or a metric and what it is subject to.

    Raises:
        Refused: no threshold meets the constraint.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> yes = np.array([0.1, 0.2, 0.4, 0.8])
        >>> rows = Sample(task=late, truth=np.array([False, False, True, True]),
        ...               outputs=np.stack([1 - yes, yes], axis=1))
        >>> round(choose_threshold(rows, OperatingRule(false_positive=1, false_negative=5)
        ...                        ).threshold, 3)
        0.3
    """
    cuts = _cuts(sample)
    values, chosen = _cheapest(cuts, rule) if rule.metric is None else _best(cuts, rule)
    return OperatingPoint(
        threshold=float(cuts.thresholds[chosen]),
        measures=tuple(values),
        validation_rows=sample.rows,
        validation={name: float(one[chosen]) for name, one in values.items()},
        test={},
        outcome=None,
        says="",
    )


def judge_operating(report: Report, sample: Sample, chosen: OperatingPoint, *, seed: int) -> Report:
    """The report with what a chosen threshold comes to on the rows it was not chosen on.

    Args:
        report: of the sample, whose task has the chosen threshold.
        sample: rows, truth and probabilities.
        chosen: what ``choose_threshold`` made.
        seed: of the draws for the cost's interval.
    """
    rule = report.task.operating
    if rule is None:
        return report
    if rule.metric is None:
        test = {OPERATING_COST: _cost_of(sample, rule, seed=seed)}
    else:
        test = {name: report.metrics[name] for name in chosen.measures if name in report.metrics}
    outcome = _constraint(rule, test)
    point = replace(chosen, test=test, outcome=outcome)
    return replace(report, operating=replace(point, says=_says(point, rule, report.split)))


def _cuts(sample: Sample) -> _Cuts:
    values, place = np.unique(sample.outputs[:, 1], return_inverse=True)
    positive = np.bincount(place, weights=sample.truth, minlength=values.size)
    negative = np.bincount(place, minlength=values.size) - positive
    edges = np.concatenate([[0.0], values, [1.0]])
    halfway = (edges[:-1] + edges[1:]) / 2.0
    # halfway between two floats that are neighbours may be the lower one, which would be selected
    thresholds = np.where(halfway > edges[:-1], halfway, edges[1:])
    above = np.cumsum(positive[::-1])[::-1], np.cumsum(negative[::-1])[::-1]
    selected = [np.append(one, 0.0) for one in above]
    usable = (thresholds > 0.0) & (thresholds < 1.0)
    ones = np.ones(int(usable.sum()))
    return _Cuts(
        thresholds=thresholds[usable],
        positives=ones * positive.sum(),
        negatives=ones * negative.sum(),
        selected_positives=selected[0][usable],
        selected_negatives=selected[1][usable],
    )


def _cheapest(cuts: _Cuts, rule: OperatingRule) -> tuple[Mapping[str, Floats], int]:
    false_positive, false_negative = _costs(rule)
    missed = cuts.positives - cuts.selected_positives
    cost = (cuts.selected_negatives * false_positive + missed * false_negative) / cuts.rows
    ideal = false_positive / (false_positive + false_negative)
    order = np.lexsort((np.abs(cuts.thresholds - ideal), cost))
    return {OPERATING_COST: cost}, int(order[0])


def _best(cuts: _Cuts, rule: OperatingRule) -> tuple[Mapping[str, Floats], int]:
    wanted, subject = str(rule.metric), str(rule.subject_to)
    values = {name: _at(cuts, name) for name in (wanted, subject)}
    least = float(rule.at_least or 0.0)
    meets = (values[subject] >= least) & ~np.isnan(values[wanted])
    if not meets.any():
        raise _unreachable(cuts, values[subject], rule)
    order = np.lexsort((-values[subject], -np.where(meets, values[wanted], -np.inf)))
    return values, int(order[0])


def _at(cuts: _Cuts, metric: str) -> Floats:
    """A metric of decisions at every threshold; its function reads only what cuts have."""
    function: Any = METRICS[metric].function
    return np.asarray(function(cuts), dtype=np.float64)


def _unreachable(cuts: _Cuts, values: Floats, rule: OperatingRule) -> Refused:
    rows = f"{int(cuts.rows[0]):,} validation rows"
    if np.isnan(values).all():
        found = f"{rows} on which {rule.subject_to} is undefined"
    else:
        best = int(np.nanargmax(values))
        found = (
            f"{rule.subject_to} of at most {number_text(float(values[best]))} on {rows}, at "
            f"threshold {cuts.thresholds[best]:.4g}"
        )
    return Refused(
        where="operating point",
        found=found,
        expected=f"a threshold with {rule.subject_to} at least {rule.at_least:g}",
        remedy="Ask for no more than can be had, or improve the model.",
    )


def _cost_of(sample: Sample, rule: OperatingRule, *, seed: int) -> Measured:
    """Mean cost per row. A resample is another count of either error: a multinomial draw."""
    false_positive, false_negative = _costs(rule)
    selected = sample.outputs[:, 1] >= sample.task.threshold
    truth = np.asarray(sample.truth, dtype=np.bool_)
    errors = np.array([(selected & ~truth).sum(), (~selected & truth).sum()])
    costs = np.array([false_positive, false_negative, 0.0])
    shares = np.append(errors, sample.rows - errors.sum()) / sample.rows
    drawn = np.random.default_rng(seed).multinomial(sample.rows, shares, size=_RESAMPLES)
    found = by_resamples(
        float(shares @ costs), drawn @ costs / sample.rows,
        rows=sample.rows, bounds=(0.0, np.inf), biased=0.0, drawn="bootstrap",
    )  # fmt: skip
    assert found is not None, "a mean cost is defined on every resample"
    return found


def _constraint(rule: OperatingRule, test: Mapping[str, Measured]) -> Outcome | None:
    if rule.subject_to is None or rule.at_least is None:
        return None
    if rule.subject_to not in test:
        return "inconclusive"
    return decide(test[rule.subject_to], Limit(bound=rule.at_least, is_floor=True))


def _says(point: OperatingPoint, rule: OperatingRule, split: str) -> str:
    rows = f"{point.validation_rows:,} validation rows"
    if rule.metric is None:
        false_positive, false_negative = _costs(rule)
        return (
            f"Threshold {point.threshold:.4g} is the cheapest on {rows}, where a false alarm costs "
            f"{false_positive:g} and a miss {false_negative:g}: "
            f"{number_text(point.validation[OPERATING_COST])} a row there, "
            f"{with_interval(point.test[OPERATING_COST])} on {split} rows."
        )
    wanted, subject = str(rule.metric), str(rule.subject_to)
    on_test = ", ".join(f"{name} {with_interval(one)}" for name, one in point.test.items())
    shown = {
        "pass": f"{subject} holds there, too",
        "fail": f"{subject} does not hold there",
        "inconclusive": f"that {subject} holds there is not shown (inconclusive)",
    }[point.outcome or "inconclusive"]
    return (
        f"Threshold {point.threshold:.4g} gives the best {wanted} "
        f"({number_text(point.validation[wanted])}) with {subject} at least {rule.at_least:g} "
        f"({number_text(point.validation[subject])}) on {rows}. "
        f"On {split} rows: {on_test}; {shown}."
    )


def _costs(rule: OperatingRule) -> tuple[float, float]:
    assert rule.false_positive is not None, "a rule has costs or a metric"
    assert rule.false_negative is not None, "a rule has both costs"
    return float(rule.false_positive), float(rule.false_negative)
