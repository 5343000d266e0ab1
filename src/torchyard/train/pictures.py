"""A run in pictures, PNG: its curve, its confusion matrix, its reliability diagram.

Texts are shown as they are: a class called ``$x$`` is no formula.
How they look is ``drawing.py``'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.records.evidence import ReliabilityBin
from torchyard.records.training import Epoch
from torchyard.train.drawing import (
    BLUE,
    GRID,
    INK,
    ORANGE,
    PALE,
    as_png,
    empty_figure,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Counts = np.ndarray[Any, np.dtype[np.int64]]

MOST_CLASSES = 30
_NUMBERED_CLASSES = 12
_LONGEST_NAME = 24
_SIDE_INCHES = 5.6
_LETTERS_ACROSS = 40


def draw_curve(curve: Sequence[Epoch], *, best_epoch: int) -> bytes:
    """Training and validation loss by epoch, the epoch whose weights were kept marked.

    Example:
        >>> epochs = [Epoch(number=1, train_loss=0.7, validation_loss=0.6, seconds=1.0)]
        >>> draw_curve(epochs, best_epoch=1)[1:4]
        b'PNG'
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = empty_figure(6.4, 3.8)
    numbers = [epoch.number for epoch in curve]
    for name, color, losses in (
        ("training", BLUE, [epoch.train_loss for epoch in curve]),
        ("validation", ORANGE, [epoch.validation_loss for epoch in curve]),
    ):
        axes.plot(numbers, losses, color=color, linewidth=2, marker="o", markersize=3.5, label=name)
    best = next(epoch for epoch in curve if epoch.number == best_epoch)
    axes.plot(
        [best.number], [best.validation_loss], marker="o", markersize=10, markerfacecolor="none",
        markeredgecolor=ORANGE, markeredgewidth=1.5, linestyle="none",
        label=f"kept: epoch {best.number}, {best.validation_loss:.4f}",
    )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color=GRID, linewidth=0.8)
    axes.legend(frameon=False, labelcolor=INK)
    set_title(axes, "Loss by epoch")
    return as_png(figure)


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
    figure, axes = empty_figure(side + 0.8, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=PALE, labelsize=8, length=0)
    bar.set_label("share of the class", color=INK, fontsize=9)
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
    set_title(axes, f"Confusion matrix{_on(of)}{part}")
    return as_png(figure)


def draw_reliability(
    bins: Sequence[ReliabilityBin], *, whose: str = "", of: str = "", is_numeric: bool = False
) -> bytes:
    """The reliability diagram: what was predicted across, what was observed up, a point per bin.

    A point's area is proportional to its rows, its bar is the observed rate's standard error
    (DeGroot & Fienberg 1983 introduced the diagram). On the diagonal a probability means what it
    says.

    Args:
        bins: of similar predictions, rising.
        whose: whose probability it is, for example ``of the answer``.
        of: which rows, for the title, for example ``validation``.
        is_numeric: whether numbers are predicted: axes span them, and there are no bars.
    """
    figure, axes = empty_figure(4.8, 4.8)
    low, high = _span(bins) if is_numeric else (0.0, 1.0)
    ends, room = [low, high], 0.02 * (high - low)
    axes.plot(ends, ends, color=PALE, linewidth=1, linestyle=(0, (4, 3)), label="ideal")
    predicted = [one.predicted for one in bins]
    observed = [one.observed for one in bins]
    errors = None if is_numeric else [_standard_error(one) for one in bins]
    most = max((one.rows for one in bins), default=1)
    axes.errorbar(predicted, observed, yerr=errors, color=BLUE, linewidth=1.5, elinewidth=1)
    axes.scatter(
        predicted, observed, s=[12 + 70 * one.rows / most for one in bins], color=BLUE,
        edgecolors="white", linewidths=0.8, zorder=3, label=f"{len(bins)} bins of equal mass",
    )  # fmt: skip
    limits = (low - room, high + room)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    what = "predicted" if is_numeric else "predicted probability"
    axes.set_xlabel(f"{what} {whose}".strip(), parse_math=False)
    axes.set_ylabel("observed mean" if is_numeric else "observed rate")
    axes.grid(color=GRID, linewidth=0.8)
    axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    set_title(axes, f"Reliability{_on(of)}")
    return as_png(figure)


def _span(bins: Sequence[ReliabilityBin]) -> tuple[float, float]:
    """From the least to the largest number of any bin, with some room around a single one."""
    values = [value for one in bins for value in (one.predicted, one.observed)] or [0.0]
    low, high = min(values), max(values)
    room = 0.0 if high > low else max(abs(low), 1.0) / 2
    return low - room, high + room


def _standard_error(one: ReliabilityBin) -> float:
    return math.sqrt(one.observed * (1 - one.observed) / one.rows)


def _write_counts(axes: Axes, counts: Counts, shares: np.ndarray[Any, Any]) -> None:
    for (down, across), count in np.ndenumerate(counts):
        color = "white" if shares[down, across] > 0.55 else INK
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
