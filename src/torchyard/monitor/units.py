"""Unit mistakes: a sender's values that look like the right quantity in another unit.

Only fields whose unit is declared and known are looked at, against known units of the same
quantity; a factor that no pair of units explains is a shift, not a mistake.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from torchyard.core.units import Mistake, conversions

Floats = npt.NDArray[np.float64]

# Traffic has its own weather on top of a wrong unit, so a fit is not exact.
FIT = 0.15
FITTING_DECILES = 7
CLEARLY_BETTER = 3.0


def mistaken_unit(
    *, reference: Sequence[float], current: Sequence[float], unit: str | None
) -> Mistake | None:
    """The unit that current values seem to be in, when that is clearly not the declared one.

    A unit explains the values when at least seven of the nine deciles lie within 15 % of the
    reference's converted ones, each at least three times closer than to the unconverted one (so
    knots for mph, 13 % apart, must fit within about 4 %). Of several units the one with the
    smallest median error is named. A quantity can swing that far by itself: a window should be
    long enough that its deciles seldom halve (for the weather, a week rather than a day).

    Args:
        reference: nine deciles in the declared unit.
        current: nine deciles of what was sent.
        unit: the declared unit, or None.

    Example:
        >>> deciles = [2.0, 4, 5, 7, 9, 10, 12, 14, 17]
        >>> found = mistaken_unit(
        ...     reference=deciles, current=[x * 0.45 for x in deciles], unit="mph"
        ... )
        >>> found.looks_like, round(found.factor, 3)
        ('m/s', 0.447)
    """
    if unit is None or len(reference) != 9 or len(current) != 9:
        return None
    expected, sent = np.array(reference), np.array(current)
    spread = expected[-1] - expected[0]
    if spread <= 0:
        return None
    unexplained = _errors(sent, expected, spread=spread, shifted=False)
    fits = []
    for mistake in conversions(unit):
        errors = _errors(
            sent,
            expected * mistake.factor + mistake.offset,
            spread=spread * mistake.factor,
            shifted=mistake.offset != 0,
        )
        fitting = (errors <= FIT) & (errors * CLEARLY_BETTER <= unexplained)
        if fitting.sum() >= FITTING_DECILES:
            fits.append((float(np.median(errors)), mistake.looks_like, mistake))
    return min(fits, key=lambda fit: fit[:2])[2] if fits else None


def _errors(sent: Floats, expected: Floats, *, spread: float, shifted: bool) -> Floats:
    """Differences of deciles: relative to the value, or to the spread where zero is arbitrary."""
    floor = spread if shifted else 0.1 * spread
    scale = np.full_like(expected, floor) if shifted else np.maximum(np.abs(expected), floor)
    return np.abs(sent - expected) / scale
