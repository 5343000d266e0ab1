"""The reliability diagram as inline SVG: what was predicted across, what was observed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import sqrt

from torchyard.pages.numbers import shown_number
from torchyard.records.evidence import ReliabilityBin

_SIDE = 300.0
_MARGIN = 40.0
_LARGEST_RADIUS = 9.0
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw_reliability(
    bins: Sequence[ReliabilityBin], *, of: str = "", is_numeric: bool = False
) -> str:
    """An SVG of both axes on one scale, the ideal diagonal, and one point per bin.

    A point's area is proportional to its rows (DeGroot & Fienberg 1983 introduced the diagram).

    Args:
        bins: of similar predictions, rising.
        of: whose probability it is, for example ``" of the answer"``.
        is_numeric: whether numbers are predicted: axes then span them instead of 0 to 1.
    """
    scale = _Scale.of(bins) if is_numeric else _Scale(0.0, 1.0)
    across, up = ("predicted", "observed mean") if is_numeric else (
        f"predicted probability{of}", "observed rate"
    )  # fmt: skip
    size = _SIDE + 2 * _MARGIN
    most = max((one.rows for one in bins), default=1)
    route = " ".join(
        f"{scale.across(one.predicted):.1f},{scale.up(one.observed):.1f}" for one in bins
    )
    points = "".join(_point(one, most, scale) for one in bins)
    first, last = _MARGIN, _MARGIN + _SIDE
    return (
        f'<svg viewBox="0 0 {size:.0f} {size:.0f}" role="img" '
        f'aria-label="Reliability diagram: {escape(across)} against {up}">'
        f"{''.join(_tick(share, scale) for share in _TICKS)}"
        f'<line class="ideal" x1="{first}" y1="{last}" x2="{last}" y2="{first}"/>'
        f'<polyline class="curve" points="{route}"/>{points}'
        f'<text x="{size / 2}" y="{size - 4}" text-anchor="middle">{escape(across)}</text>'
        f'<text transform="rotate(-90)" x="{-size / 2}" y="11" text-anchor="middle">'
        f"{up}</text></svg>"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values from ``low`` to ``high`` lie on either axis."""

    low: float
    high: float

    @classmethod
    def of(cls, bins: Sequence[ReliabilityBin]) -> _Scale:
        """One that holds all bins; of one value alone it has some room on both sides."""
        values = [value for one in bins for value in (one.predicted, one.observed)] or [0.0]
        low, high = min(values), max(values)
        room = 0.0 if high > low else max(abs(low), 1.0) / 2.0
        return cls(low - room, high + room)

    def across(self, value: float) -> float:
        return _MARGIN + _SIDE * (value - self.low) / (self.high - self.low)

    def up(self, value: float) -> float:
        return _MARGIN + _SIDE * (self.high - value) / (self.high - self.low)


def _point(one: ReliabilityBin, most: int, scale: _Scale) -> str:
    radius = max(2.0, _LARGEST_RADIUS * sqrt(one.rows / max(most, 1)))
    return (
        f'<circle class="point" cx="{scale.across(one.predicted):.1f}" '
        f'cy="{scale.up(one.observed):.1f}" '
        f'r="{radius:.1f}" fill-opacity="0.75"><title>{one.rows} rows: predicted '
        f"{one.predicted:.3f}, observed {one.observed:.3f}</title></circle>"
    )


def _tick(share: float, scale: _Scale) -> str:
    value = scale.low + share * (scale.high - scale.low)
    first, last, shown = _MARGIN, _MARGIN + _SIDE, shown_number(value)
    across, up = _MARGIN + _SIDE * share, _MARGIN + _SIDE * (1.0 - share)
    return (
        f'<line class="grid" x1="{across}" y1="{last}" x2="{across}" y2="{first}"/>'
        f'<line class="grid" x1="{first}" y1="{up}" x2="{last}" y2="{up}"/>'
        f'<text x="{across}" y="{last + 15}" text-anchor="middle">{shown}</text>'
        f'<text x="{first - 6}" y="{up + 4}" text-anchor="end">{shown}</text>'
    )
