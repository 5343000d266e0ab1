"""A run in pictures, PNG: its curve, its confusion matrix, its reliability diagram.

Drawn with matplotlib's own objects and no state that other code could see or change. The same
numbers give the same bytes. Texts are shown as they are: a class called ``$x$`` is no formula.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.records.evidence import ReliabilityBin
from torchyard.records.training import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Counts = np.ndarray[Any, np.dtype[np.int64]]

MOST_CLASSES = 30
_NUMBERED_CLASSES = 12
_LONGEST_NAME = 24
_SIDE_INCHES = 5.6
_LETTERS_ACROSS = 40
_DOTS_PER_INCH = 130
_INK, _PALE, _GRID = "#1f2933", "#7b8794", "#e4e7eb"
_BLUE, _ORANGE = "#2b6cb0", "#dd6b20"


def draw_curve(curve: Sequence[Epoch], *, best_epoch: int) -> bytes:
    """Training and validation loss by epoch, in nats, the epoch whose weights were kept marked.

    Example:
        >>> epochs = [Epoch(number=1, train_loss=0.7, validation_loss=0.6, seconds=1.0)]
        >>> draw_curve(epochs, best_epoch=1)[1:4]
        b'PNG'
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(6.4, 3.8)
    numbers = [epoch.number for epoch in curve]
    for name, color, losses in (
        ("training", _BLUE, [epoch.train_loss for epoch in curve]),
        ("validation", _ORANGE, [epoch.validation_loss for epoch in curve]),
    ):
        axes.plot(numbers, losses, color=color, linewidth=2, marker="o", markersize=3.5, label=name)
    best = next(epoch for epoch in curve if epoch.number == best_epoch)
    axes.plot(
        [best.number], [best.validation_loss], marker="o", markersize=10, markerfacecolor="none",
        markeredgecolor=_ORANGE, markeredgewidth=1.5, linestyle="none",
        label=f"kept: epoch {best.number}, {best.validation_loss:.4f}",
    )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (nats)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.legend(frameon=False, labelcolor=_INK)
    _title(axes, "Loss by epoch")
    return _png(figure)


def draw_confusion(counts: Counts, classes: Sequence[str], *, of: str = "") -> bytes:
    """How many rows of each class (down) were answered with each class (across).

    Colours are shares of the rows of a class. With more than 30 classes, those are drawn that were
    mistaken, or taken for another, most often.

    Args:
        counts: ``int64 [classes, classes]``, not negative.
        classes: their names, in that order.
        of: which rows, for the title, for example ``validation``.
    """
    shown = _most_mistaken(counts)
    names = [_short(classes[place]) for place in shown]
    rows = counts.sum(axis=1, keepdims=True)
    shares = (counts / np.maximum(rows, 1))[np.ix_(shown, shown)]
    side = _SIDE_INCHES if len(shown) <= _NUMBERED_CLASSES else 1.5 * _SIDE_INCHES
    is_crowded = max(map(len, names)) * len(names) > _LETTERS_ACROSS
    figure, axes = _figure(side + 0.8, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=_PALE, labelsize=8, length=0)
    bar.set_label("share of the class", color=_INK, fontsize=9)
    places = range(len(shown))
    axes.set_xticks(places, names, rotation=45 if is_crowded else 0, parse_math=False)
    if is_crowded:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names, parse_math=False)
    if len(shown) <= _NUMBERED_CLASSES:
        _write_counts(axes, counts[np.ix_(shown, shown)], shares)
    axes.set_xlabel("answered")
    axes.set_ylabel("true class")
    for spine in axes.spines.values():
        spine.set_visible(False)
    part = "" if len(shown) == len(classes) else f", {len(shown)} of {len(classes)} classes"
    _title(axes, f"Confusion matrix{_on(of)}{part}")
    return _png(figure)


def draw_reliability(bins: Sequence[ReliabilityBin], *, whose: str = "", of: str = "") -> bytes:
    """The reliability diagram: predicted probability across, observed rate up, a point per bin.

    A point's area is proportional to its rows, its bar is the observed rate's standard error
    (DeGroot & Fienberg 1983 introduced the diagram). On the diagonal a probability means what it
    says.

    Args:
        bins: of similar predicted probability, rising.
        whose: whose probability it is, for example ``of the answer``.
        of: which rows, for the title, for example ``validation``.
    """
    figure, axes = _figure(4.8, 4.8)
    axes.plot([0, 1], [0, 1], color=_PALE, linewidth=1, linestyle=(0, (4, 3)), label="ideal")
    predicted = [one.predicted for one in bins]
    observed = [one.observed for one in bins]
    errors = [math.sqrt(one.observed * (1 - one.observed) / one.rows) for one in bins]
    most = max((one.rows for one in bins), default=1)
    axes.errorbar(predicted, observed, yerr=errors, color=_BLUE, linewidth=1.5, elinewidth=1)
    axes.scatter(
        predicted, observed, s=[12 + 70 * one.rows / most for one in bins], color=_BLUE,
        edgecolors="white", linewidths=0.8, zorder=3, label=f"{len(bins)} bins of equal mass",
    )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel(f"predicted probability {whose}".strip(), parse_math=False)
    axes.set_ylabel("observed rate")
    axes.grid(color=_GRID, linewidth=0.8)
    axes.legend(frameon=False, loc="upper left", labelcolor=_INK)
    _title(axes, f"Reliability{_on(of)}")
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty picture, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH)
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.tick_params(colors=_PALE, labelcolor=_INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_PALE)
    return figure, axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", color=_INK, parse_math=False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_INK, fontsize=9)


def _write_counts(axes: Axes, counts: Counts, shares: np.ndarray[Any, Any]) -> None:
    for (down, across), count in np.ndenumerate(counts):
        color = "white" if shares[down, across] > 0.55 else _INK
        axes.text(across, down, f"{count:,}", ha="center", va="center", color=color, fontsize=9)


def _most_mistaken(counts: Counts) -> list[int]:
    """Every class, or those with the most mistakes in their row and column, in their order."""
    if len(counts) <= MOST_CLASSES:
        return list(range(len(counts)))
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diagonal(counts)
    most = np.argsort(-mistakes, kind="stable")[:MOST_CLASSES]
    return sorted(most.tolist())


def _on(of: str) -> str:
    return f" on {of} rows" if of else ""


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _png(figure: Figure) -> bytes:
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
