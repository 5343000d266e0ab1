"""What every picture shares: its size, its colours, its letters, its bytes.

Drawn with matplotlib's own objects and no state that other code could see or change. The same
numbers give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE = "#2b6cb0", "#dd6b20"
_DOTS_PER_INCH = 130


def empty_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty picture, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH)
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.tick_params(colors=PALE, labelcolor=INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(PALE)
    return figure, axes


def set_title(axes: Axes, text: str) -> None:
    """A title above the axes, and their labels in the same ink."""
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=9)


def as_png(figure: Figure) -> bytes:
    """A picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(
            file, format="png", facecolor="white", bbox_inches="tight", pad_inches=0.15,
            metadata={"Software": None},
        )  # fmt: skip
    return file.getvalue()
