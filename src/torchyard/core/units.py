"""Units that quantities are declared in, and what a value looks like in another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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


def conversions(unit: str) -> Iterator[Mistake]:
    """What each other unit of the same quantity would make of a value.

    Nothing where there is no such unit.

    Example:
        >>> [one.looks_like for one in conversions("F")]
        ['K', '°C']
    """
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
