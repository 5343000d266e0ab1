"""Whether a model beats the simple ones, in words that hold what the interval holds."""

from __future__ import annotations

from torchyard.evaluate.judging.wording import number_text
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.records.evidence import Report
from torchyard.records.measures import Measured
from torchyard.records.verdicts import CHAMPION

_NAMES = {
    "majority": "the majority",
    "linear": "a linear model",
    "trees": "gradient-boosted trees",
    "last_value": "the last period's value",
    "champion": "the champion",
}


def rival_text(rival: str, worse: Measured, *, metric: str) -> str:
    """One comparison, from how much worse the model is than a rival.

    Example:
        >>> worse = Measured(value=-0.012, low=-0.016, high=-0.008, rows=900, method="paired")
        >>> rival_text("trees", worse, metric="auroc")
        'beats gradient-boosted trees by 0.0120 [0.0080, 0.0160] in auroc'
    """
    name = _NAMES.get(rival, rival)
    low = worse.value if worse.low is None else worse.low
    high = worse.value if worse.high is None else worse.high
    if high < 0:
        return f"beats {name} by {_span(-worse.value, -high, -low)} in {metric}"
    if low > 0:
        return f"is worse than {name} by {_span(worse.value, low, high)} in {metric}"
    return f"is not shown to beat {name} in {metric}: better by {_span(-worse.value, -high, -low)}"


def rival_lines(report: Report) -> tuple[str, ...]:
    """How the model compares with each baseline, by its headline metric; the best one first."""
    metric = report.task.headline
    return tuple(
        rival_text(rival, report.against[rival][metric], metric=metric)
        for rival in _by_rank(report)
    )


def unbeaten(report: Report) -> str | None:
    """How the model compares with the best simple one that it does not beat; None if it beats it.

    The best by the headline metric; which that is, is chosen on the rows that judge, so a narrow
    win over it is a little harder to show than one over a rival that was named before.
    """
    ranked = [name for name in _by_rank(report) if name != CHAMPION]
    metric = report.task.headline
    if not ranked:
        return None
    worse = report.against[ranked[0]][metric]
    high = worse.value if worse.high is None else worse.high
    return None if high < 0 else rival_text(ranked[0], worse, metric=metric)


def _by_rank(report: Report) -> list[str]:
    metric = report.task.headline
    rises = bool(kind_of(report.task).metrics[metric].higher_is_better)
    known = [name for name in report.baselines if metric in report.against.get(name, {})]

    def badness(name: str) -> float:
        value = report.baselines[name][metric].value
        return -value if rises else value

    return sorted(known, key=badness)


def _span(value: float, low: float, high: float) -> str:
    return f"{number_text(value)} [{number_text(low)}, {number_text(high)}]"
