"""Arithmetic on repeats. Ratios are taken within a round: what slows one, slows both."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def summary(values: Sequence[float]) -> dict[str, object]:
    """All repeats, their median and their ends.

    Example:
        >>> summary([3.0, 1.0, 2.0])
        {'repeats': [3.0, 1.0, 2.0], 'median': 2.0, 'min': 1.0, 'max': 3.0}
    """
    return {
        "repeats": list(values),
        "median": median(values),
        "min": min(values),
        "max": max(values),
    }


def paired(
    ours: Sequence[float | None], theirs: Sequence[float | None]
) -> dict[str, object] | None:
    """Ours over theirs, round by round; rounds that one of them lacks are left out.

    Returns:
        None when no round has both.

    Example:
        >>> paired([10.0, None, 30.0], [5.0, 8.0, 10.0])["median"]
        2.5
    """
    ratios = [
        one / other
        for one, other in zip(ours, theirs, strict=True)
        if one is not None and other is not None and other > 0
    ]
    return summary(ratios) if ratios else None


def overhead_us(server_us: float, model_us: float) -> float:
    """What a server adds to a model's own time, both of one row at a time, in microseconds."""
    return server_us - model_us
