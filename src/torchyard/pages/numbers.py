"""Numbers, and the names of metrics, as pages show them."""

from __future__ import annotations

from torchyard.records.measures import Measured

_ACRONYMS = {"auroc": "AUROC", "mae": "MAE", "rmse": "RMSE", "r2": "R²", "f1": "F1"}


def title_of(metric: str) -> str:
    """A metric's name for people.

    Example:
        >>> title_of("auroc"), title_of("log_loss")
        ('AUROC', 'log loss')
    """
    return _ACRONYMS.get(metric, metric.replace("_", " "))


def shown_number(value: float) -> str:
    """Four significant digits, whole numbers with commas, tiny ones with two digits.

    Example:
        >>> [shown_number(value) for value in (0.68812, 18.375, 12345.6, 0.000042, 0.0, 30.0)]
        ['0.6881', '18.38', '12,346', '4.2e-05', '0', '30']
    """
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2g}" if 0 < size < 0.001 else f"{value:.4g}"


def shown(measured: Measured | None) -> str:
    """A number with its interval, for a table's cell; a dash for none."""
    if measured is None:
        return "-"
    value = shown_number(measured.value)
    if measured.low is None or measured.high is None:
        return value
    return f"{value} ({shown_number(measured.low)} to {shown_number(measured.high)})"
