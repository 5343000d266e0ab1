"""Unit mistakes: known pairs are found, shifts are not mistaken for them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from torchyard.core.units import _ALIASES, UNITS
from torchyard.monitor.units import mistaken_unit

Floats = npt.NDArray[np.float64]

DECILES = np.arange(1, 10) / 10
PAIRS = [
    (one, other)
    for one, other in permutations(UNITS, 2)
    if UNITS[one].quantity == UNITS[other].quantity
]


def converted(values: Floats, one: str, other: str) -> list[float]:
    a, b = UNITS[one], UNITS[other]
    return [float(x) for x in (values * a.scale + a.offset - b.offset) / b.scale]


def draw(unit: str, rows: int, seed: int) -> Floats:
    """Deciles of a sample: room temperatures in that unit, or positive amounts."""
    random = np.random.default_rng(seed)
    if UNITS[unit].quantity == "temperature":
        celsius = np.quantile(random.normal(12, 9, rows), DECILES)
        return np.array(converted(celsius, "°C", unit))
    return np.quantile(random.gamma(4, 2.5, rows), DECILES)


@pytest.mark.parametrize(("unit", "sent"), PAIRS)
def test_every_known_pair_is_named(unit: str, sent: str) -> None:
    current = converted(draw(unit, 2_000, 2), unit, sent)
    found = mistaken_unit(reference=draw(unit, 20_000, 1).tolist(), current=current, unit=unit)
    assert found is not None
    assert (found.unit, found.looks_like) == (unit, sent)


@pytest.mark.parametrize("unit", UNITS)
def test_no_change_is_no_mistake(unit: str) -> None:
    for seed in range(20):
        reference, current = draw(unit, 20_000, 1).tolist(), draw(unit, 500, seed).tolist()
        assert mistaken_unit(reference=reference, current=current, unit=unit) is None


@pytest.mark.parametrize("factor", [0.1, 0.25, 0.7, 1.1, 1.3, 2.2, 5.0])
def test_a_factor_that_no_unit_explains_is_a_shift(factor: float) -> None:
    reference = draw("mph", 20_000, 1)
    assert (
        mistaken_unit(
            reference=reference.tolist(), current=(reference * factor).tolist(), unit="mph"
        )
        is None
    )


def test_a_shift_without_the_scale_is_no_temperature_mistake() -> None:
    reference = draw("°F", 20_000, 1)
    assert (
        mistaken_unit(reference=reference.tolist(), current=(reference - 32).tolist(), unit="F")
        is None
    )


def test_exact_factors() -> None:
    assert converted(np.array([1.0]), "mph", "m/s") == [0.44704]
    assert converted(np.array([212.0, 32.0]), "°F", "°C") == pytest.approx([100.0, 0.0])
    assert converted(np.array([0.0]), "°C", "K") == [273.15]
    assert converted(np.array([1.0]), "feet", "inches") == pytest.approx([12.0])
    assert converted(np.array([29.92]), "inHg", "hPa") == pytest.approx([1013.2], abs=0.1)
    assert converted(np.array([1.0]), "knots", "km/h") == pytest.approx([1.852])
    assert converted(np.array([1.0]), "lb", "kg") == [0.45359237]


@pytest.mark.parametrize(("alias", "name"), _ALIASES.items())
def test_aliases_name_known_units(alias: str, name: str) -> None:
    assert alias not in UNITS
    assert alias == alias.lower()
    assert name in UNITS


@pytest.mark.parametrize("written", ["F", "°F", "degF", " fahrenheit "])
def test_a_unit_is_known_however_it_is_written(written: str) -> None:
    reference = draw("°F", 20_000, 1)
    current = converted(reference, "°F", "°C")
    found = mistaken_unit(reference=reference.tolist(), current=current, unit=written)
    assert found is not None
    assert (found.unit, found.looks_like) == (written, "°C")


@pytest.mark.parametrize("unit", [None, "", "furlongs", "USD"])
def test_an_unknown_unit_is_left_alone(unit: str | None) -> None:
    deciles = draw("mph", 1_000, 1)
    assert (
        mistaken_unit(reference=deciles.tolist(), current=(deciles * 0.44704).tolist(), unit=unit)
        is None
    )


def test_a_constant_or_empty_reference_says_nothing() -> None:
    assert mistaken_unit(reference=[5.0] * 9, current=[2.2] * 9, unit="mph") is None
    assert mistaken_unit(reference=[], current=[2.2] * 9, unit="mph") is None
    assert mistaken_unit(reference=[5.0] * 9, current=[], unit="mph") is None
