"""Gates and numbers in words that a person reads in one line."""

from __future__ import annotations

from torchyard.records.measures import Measured
from torchyard.records.verdicts import Gate


def describe(gate: Gate) -> str:
    """A gate as one line.

    Example:
        >>> describe(Gate(metric="auroc", at_least=0.7))
        'auroc at least 0.70'
        >>> describe(Gate(metric="equalized_odds_difference", group="origin", at_most=0.1))
        'equalized_odds_difference between origin groups at most 0.10'
        >>> describe(Gate(metric="auroc", per_slice="carrier", at_least=0.6, min_rows=500))
        'auroc per carrier at least 0.60 (slices of 500 rows or more)'
        >>> describe(Gate(metric="auroc", against="champion", drop_at_most=0.005))
        'auroc against champion worse by at most 0.005'
        >>> describe(Gate(metric="auroc", against="trees", drop_at_most=-0.01))
        'auroc against trees better by at least 0.01'
        >>> describe(Gate(metric="failure_rate", behaviour="typos", at_most=0.05))
        'failure_rate of typos at most 0.05'
        >>> describe(Gate(metric="findings", severity="warn", at_most=3))
        'findings of severity warn at most 3'
    """
    subject = gate.metric
    if gate.behaviour is not None:
        subject += f" of {gate.behaviour}"
    if gate.severity is not None:
        subject += f" of severity {gate.severity}"
    if gate.group is not None:
        subject += f" between {gate.group} groups"
    if gate.per_slice is not None:
        subject += f" per {gate.per_slice}"
    if gate.against is not None:
        subject += f" against {gate.against}"
        if gate.drop_at_most is not None and gate.drop_at_most < 0:
            return f"{subject} better by at least {limit_text(-gate.drop_at_most)}"
        subject += " worse by"
    sized = f" (slices of {gate.min_rows:,} rows or more)" if gate.min_rows else ""
    return f"{subject} {describe_limit(gate)}{sized}"


def describe_limit(gate: Gate) -> str:
    """The limit alone: ``at least 0.70`` or ``at most 20``."""
    if gate.at_least is not None:
        return f"at least {limit_text(gate.at_least)}"
    most = gate.at_most if gate.at_most is not None else gate.drop_at_most
    return f"at most {limit_text(0.0 if most is None else most)}"


def with_interval(measured: Measured) -> str:
    """A value with its interval, where it has one.

    Example:
        >>> with_interval(Measured(value=0.6812, low=0.6741, high=0.688, rows=9, method=""))
        '0.6812 [0.6741, 0.6880]'
    """
    value = number_text(measured.value)
    if measured.low is None or measured.high is None:
        return value
    return f"{value} [{number_text(measured.low)}, {number_text(measured.high)}]"


def number_text(value: float) -> str:
    """A number as reports show it: four decimals, fewer when large, two digits when tiny.

    Example:
        >>> [number_text(value) for value in (0.688, 18.375, 12345.6, 0.000042, 0.0)]
        ['0.6880', '18.38', '12,346', '4.2e-05', '0.0000']
    """
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.4g}"
    return f"{value:.4f}" if size >= 0.001 or size == 0 else f"{value:.2g}"


def limit_text(limit: float) -> str:
    """A limit as a person would write it: no needless digits, at least two decimals if any.

    Example:
        >>> [limit_text(limit) for limit in (0.7, 0.005, 20.0, 1500.0)]
        ['0.70', '0.005', '20', '1,500']
    """
    if abs(limit) >= 1000:
        return f"{limit:,.0f}"
    text = f"{limit:.4g}"
    return f"{text}0" if "." in text and len(text.partition(".")[2]) == 1 else text
