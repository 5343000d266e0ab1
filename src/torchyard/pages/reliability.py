"""The reliability diagram as inline SVG: predicted probability across, observed rate up."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import sqrt

from torchyard.records.evidence import ReliabilityBin

_SIDE = 300.0
_MARGIN = 40.0
_LARGEST_RADIUS = 9.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw_reliability(bins: Sequence[ReliabilityBin], *, of: str = "") -> str:
    """An SVG of both axes from 0 to 1, the ideal diagonal, and one point per bin.

    A point's area is proportional to its rows (DeGroot & Fienberg 1983 introduced the diagram).
    ``of`` says whose probability it is, for example ``" of the answer"``.
    """
    size = _SIDE + 2 * _MARGIN
    most = max((one.rows for one in bins), default=1)
    route = " ".join(f"{_across(one.predicted):.1f},{_up(one.observed):.1f}" for one in bins)
    points = "".join(_point(one, most) for one in bins)
    return (
        f'<svg viewBox="0 0 {size:.0f} {size:.0f}" role="img" '
        'aria-label="Reliability diagram: predicted probability against observed rate">'
        f"{''.join(map(_tick, _TICKS))}"
        f'<line class="ideal" x1="{_across(0)}" y1="{_up(0)}" x2="{_across(1)}" y2="{_up(1)}"/>'
        f'<polyline class="curve" points="{route}"/>{points}'
        f'<text x="{size / 2}" y="{size - 4}" text-anchor="middle">'
        f"predicted probability{escape(of)}</text>"
        f'<text transform="rotate(-90)" x="{-size / 2}" y="11" text-anchor="middle">'
        "observed rate</text></svg>"
    )


def _point(one: ReliabilityBin, most: int) -> str:
    radius = max(2.0, _LARGEST_RADIUS * sqrt(one.rows / max(most, 1)))
    return (
        f'<circle class="point" cx="{_across(one.predicted):.1f}" cy="{_up(one.observed):.1f}" '
        f'r="{radius:.1f}" fill-opacity="0.75"><title>{one.rows} rows: predicted '
        f"{one.predicted:.3f}, observed {one.observed:.3f}</title></circle>"
    )


def _tick(value: float) -> str:
    across, up = _across(value), _up(value)
    return (
        f'<line class="grid" x1="{across}" y1="{_up(0)}" x2="{across}" y2="{_up(1)}"/>'
        f'<line class="grid" x1="{_across(0)}" y1="{up}" x2="{_across(1)}" y2="{up}"/>'
        f'<text x="{across}" y="{_up(0) + 15}" text-anchor="middle">{value:g}</text>'
        f'<text x="{_across(0) - 6}" y="{up + 4}" text-anchor="end">{value:g}</text>'
    )


def _across(value: float) -> float:
    return _MARGIN + _SIDE * value


def _up(value: float) -> float:
    return _MARGIN + _SIDE * (1 - value)
