"""Pictures of numbers with their intervals, as inline SVG: rows on one axis, and curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from torchyard.pages.blocks import Bar, Curve, Intervals, Point
from torchyard.pages.numbers import shown_number

_WIDTH = 720.0
_AXIS = 300.0
_LETTER = 6.1  # about what a letter takes, in the picture's units
_ROW = 22.0
_LONGEST_NAME = 56
_HEIGHT = 260.0
_LEFT, _BELOW, _ABOVE = 60.0, 40.0, 14.0


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places between ``start`` and ``end``, with marks at round numbers."""

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def over(cls, values: Iterable[float], *, start: float, end: float) -> Scale:
        """A scale whose ends are round numbers around all values."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        if high - low <= 1e-12 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        step = round_step((high - low) / 4)
        return cls(
            math.floor(low / step + 1e-9) * step,
            math.ceil(high / step - 1e-9) * step,
            start,
            end,
            step,
        )

    def __call__(self, value: float) -> float:
        """The place of a number; what is not finite stands at the low end."""
        share = (value - self.low) / (self.high - self.low) if math.isfinite(value) else 0.0
        return self.start + share * (self.end - self.start)

    @property
    def marks(self) -> list[float]:
        """The round numbers from one end to the other."""
        count = round((self.high - self.low) / self.step)
        return [self.low + place * self.step for place in range(count + 1)]


def round_step(rough: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten.

    Example:
        >>> [round_step(rough) for rough in (0.013, 0.3, 7.0)]
        [0.02, 0.5, 10.0]
    """
    power = 10.0 ** math.floor(math.log10(rough))
    return (
        next(times for times in (1, 2, 2.5, 5, 10) if times * power >= rough * (1 - 1e-9)) * power
    )


def draw_intervals(block: Intervals) -> str:
    """One line per number: its name, its interval on the common axis, its note."""
    known = [end for bar in block.bars for end in (bar.value, bar.low, bar.high) if end is not None]
    if block.limit is not None:
        known.append(block.limit)
    start = 24 + _LETTER * max((len(_cut(bar.name)) for bar in block.bars), default=0)
    end = start + _AXIS
    width = end + 36 + _LETTER * max((len(bar.note) for bar in block.bars), default=0)
    scale = Scale.over(known, start=start, end=end)
    bottom = _ABOVE + _ROW * len(block.bars)
    rows = "".join(_bar(bar, scale, _ABOVE + _ROW * (n + 0.5)) for n, bar in enumerate(block.bars))
    limit = ""
    if block.limit is not None:
        at = f"{scale(block.limit):.1f}"
        limit = f'<line class="ideal" x1="{at}" x2="{at}" y1="{_ABOVE}" y2="{bottom}"/>'
    beside = f"; the dashed line: {block.limit_name}" if limit and block.limit_name else ""
    return (
        f'<svg viewBox="0 0 {width:.0f} {bottom + _BELOW:.0f}" style="max-width: {width:.0f}px" '
        f'role="img" aria-label="{escape(block.axis)} with 95 % intervals">'
        f"{_marks(scale, bottom)}{limit}{rows}"
        f'<text x="{(start + end) / 2:.1f}" y="{bottom + 32}" text-anchor="middle">'
        f"{escape(block.axis + beside)}</text></svg>"
    )


def _marks(scale: Scale, bottom: float) -> str:
    return "".join(
        f'<line class="grid" x1="{scale(value):.1f}" x2="{scale(value):.1f}" y1="{_ABOVE}" '
        f'y2="{bottom}"/><text x="{scale(value):.1f}" y="{bottom + 15}" text-anchor="middle">'
        f"{shown_number(value)}</text>"
        for value in scale.marks
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _bar(bar: Bar, scale: Scale, up: float) -> str:
    mark = f" {bar.mark}" if bar.mark else ""
    line = ""
    if bar.low is not None and bar.high is not None:
        line = (
            f'<line class="bar{mark}" x1="{scale(bar.low):.1f}" x2="{scale(bar.high):.1f}" '
            f'y1="{up}" y2="{up}"/>'
        )
    return (
        f'<text class="name" x="{scale.start - 12:.1f}" y="{up + 4}" text-anchor="end">'
        f"{escape(_cut(bar.name))}</text>"
        f"<g><title>{escape(_told(bar))}</title>{line}"
        f'<circle class="point{mark}" cx="{scale(bar.value):.1f}" cy="{up}" r="4"/></g>'
        f'<text x="{scale.end + 24:.1f}" y="{up + 4}">{escape(bar.note)}</text>'
    )


def _told(bar: Bar) -> str:
    if bar.low is None or bar.high is None:
        return f"{bar.name}: {shown_number(bar.value)}"
    between = f"{shown_number(bar.low)} to {shown_number(bar.high)}"
    return f"{bar.name}: {shown_number(bar.value)} ({between})"


def draw_curve(block: Curve) -> str:
    """Points joined by a line, their intervals as a band, limits as dashed lines."""
    points = sorted(block.points, key=lambda point: point.x)
    ups = [end for p in points for end in (p.y, p.low, p.high) if end is not None]
    ups += [value for _, value in block.limits]
    across = Scale.over([p.x for p in points], start=_LEFT, end=_WIDTH - 20)
    up = Scale.over(ups, start=_HEIGHT - _BELOW, end=_ABOVE)
    route = " ".join(f"{across(p.x):.1f},{up(p.y):.1f}" for p in points)
    dots = "".join(
        f'<circle class="point" cx="{across(p.x):.1f}" cy="{up(p.y):.1f}" r="4"><title>'
        f"{escape(block.across)} {shown_number(p.x)}: {shown_number(p.y)}</title></circle>"
        for p in points
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" style="max-width: {_WIDTH:.0f}px" '
        'role="img" '
        f'aria-label="{escape(block.up)} by {escape(block.across)}">'
        f"{_grid(across, up)}{_band(points, across, up)}"
        f'<polyline class="curve" points="{route}"/>{dots}{_limits(block, up)}'
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">'
        f"{escape(block.across)}</text>"
        f'<text transform="rotate(-90)" x="{-_HEIGHT / 2}" y="12" text-anchor="middle">'
        f"{escape(block.up)}</text></svg>"
    )


def _grid(across: Scale, up: Scale) -> str:
    lines = [
        f'<line class="grid" x1="{across.start}" x2="{across.end}" y1="{up(value):.1f}" '
        f'y2="{up(value):.1f}"/><text x="{across.start - 6}" y="{up(value) + 4:.1f}" '
        f'text-anchor="end">{shown_number(value)}</text>'
        for value in up.marks
    ]
    lines += [
        f'<text x="{across(value):.1f}" y="{up.start + 15}" text-anchor="middle">'
        f"{shown_number(value)}</text>"
        for value in across.marks
    ]
    return "".join(lines)


def _band(points: Sequence[Point], across: Scale, up: Scale) -> str:
    known = [(across(p.x), up(p.low), up(p.high)) for p in points
             if p.low is not None and p.high is not None]  # fmt: skip
    if len(known) < 2:
        return ""
    edge = [f"{x:.1f},{high:.1f}" for x, _, high in known]
    edge += [f"{x:.1f},{low:.1f}" for x, low, _ in reversed(known)]
    return f'<polygon class="band" points="{" ".join(edge)}"/>'


def _limits(block: Curve, up: Scale) -> str:
    return "".join(
        f'<line class="ideal" x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{up(value):.1f}" '
        f'y2="{up(value):.1f}"/><text x="{_WIDTH - 24}" y="{up(value) - 5:.1f}" '
        f'text-anchor="end">{escape(name)}</text>'
        for name, value in block.limits
    )
