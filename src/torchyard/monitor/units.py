"""Unit mistakes: a sender's values that look like the right quantity in another unit.

Only fields whose unit is declared and known are looked at, against known units of the same
quantity; a factor that no pair of units explains is a shift, not a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Traffic has its own weather on top of a wrong unit, so a fit is not exact.
FIT = 0.15
FITTING_DECILES = 7
CLEARLY_BETTER = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit: ``value in SI = scale * value + offset`` for quantities of the same ``quantity``."""

    quantity: str
    scale: float
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Values look like ``looks_like`` instead of ``unit``: about ``factor * value + offset``."""

    unit: str
    looks_like: str
    factor: float
    offset: float


# Exact by definition (BIPM, The International System of Units, 9th edition; the international yard
# and pound of 1959; international nautical mile), but inHg: NIST SP 811, appendix B.8.
UNITS: dict[str, Unit] = {
    "m/s": Unit(quantity="speed", scale=1.0),
    "mph": Unit(quantity="speed", scale=0.44704),
    "km/h": Unit(quantity="speed", scale=1 / 3.6),
    "knots": Unit(quantity="speed", scale=1852 / 3600),
    "K": Unit(quantity="temperature", scale=1.0),
    "°C": Unit(quantity="temperature", scale=1.0, offset=273.15),
    "°F": Unit(quantity="temperature", scale=5 / 9, offset=459.67 * 5 / 9),
    "m": Unit(quantity="length", scale=1.0),
    "km": Unit(quantity="length", scale=1000.0),
    "miles": Unit(quantity="length", scale=1609.344),
    "feet": Unit(quantity="length", scale=0.3048),
    "inches": Unit(quantity="length", scale=0.0254),
    "cm": Unit(quantity="length", scale=0.01),
    "mm": Unit(quantity="length", scale=0.001),
    "Pa": Unit(quantity="pressure", scale=1.0),
    "hPa": Unit(quantity="pressure", scale=100.0),
    "inHg": Unit(quantity="pressure", scale=3386.389),
    "s": Unit(quantity="duration", scale=1.0),
    "ms": Unit(quantity="duration", scale=0.001),
    "minutes": Unit(quantity="duration", scale=60.0),
    "hours": Unit(quantity="duration", scale=3600.0),
    "kg": Unit(quantity="mass", scale=1.0),
    "g": Unit(quantity="mass", scale=0.001),
    "lb": Unit(quantity="mass", scale=0.45359237),
    "fraction": Unit(quantity="share", scale=1.0),
    "percent": Unit(quantity="share", scale=0.01),
}
_ALIASES = {
    "mi/h": "mph",
    "kph": "km/h",
    "kmh": "km/h",
    "kn": "knots",
    "kt": "knots",
    "kts": "knots",
    "knot": "knots",
    "c": "°C",
    "celsius": "°C",
    "degc": "°C",
    "f": "°F",
    "fahrenheit": "°F",
    "degf": "°F",
    "kelvin": "K",
    "mile": "miles",
    "mi": "miles",
    "ft": "feet",
    "foot": "feet",
    "in": "inches",
    "inch": "inches",
    "metres": "m",
    "meters": "m",
    "mbar": "hPa",
    "millibars": "hPa",
    "mb": "hPa",
    "sec": "s",
    "seconds": "s",
    "milliseconds": "ms",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hour": "hours",
    "lbs": "lb",
    "pounds": "lb",
    "%": "percent",
    "pct": "percent",
}


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
    for mistake in _conversions(unit):
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


def _conversions(unit: str) -> Iterator[Mistake]:
    """What each other unit of the same quantity would make of a value."""
    name = _ALIASES.get(unit.strip().lower().lstrip("°"), unit.strip())
    declared = UNITS.get(name)
    if declared is None:
        return
    for other, known in UNITS.items():
        if known.quantity == declared.quantity and other != name:
            yield Mistake(
                unit=unit,
                looks_like=other,
                factor=declared.scale / known.scale,
                offset=(declared.offset - known.offset) / known.scale,
            )


def _errors(sent: Floats, expected: Floats, *, spread: float, shifted: bool) -> Floats:
    """Differences of deciles: relative to the value, or to the spread where zero is arbitrary."""
    floor = spread if shifted else 0.1 * spread
    scale = np.full_like(expected, floor) if shifted else np.maximum(np.abs(expected), floor)
    return np.abs(sent - expected) / scale
