"""A search in pictures, PNG: its trials one after another, and what explains their losses."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from torchyard.records.search import Trial
from torchyard.train.drawing import BLUE, GRID, INK, ORANGE, PALE, as_png, empty_figure, set_title

_MOST_BARS = 20
_BAR_INCHES = 0.32
_STRETCH = 5.0


def draw_trials(trials: Sequence[Trial]) -> bytes:
    """Every trial's lowest validation loss by its number, and the lowest so far.

    Pruned trials are hollow; failed ones have no loss and are crosses along the bottom. Where some
    losses are many times others, as of trials that diverged, the axis is logarithmic.

    Example:
        >>> trial = Trial(number=1, outcome="complete", value=0.6, settings={}, model={}, epochs=3,
        ...               seconds=1.0, reason="", run="")
        >>> draw_trials([trial])[1:4]
        b'PNG'
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = empty_figure(6.4, 3.8)
    complete, pruned = (
        [
            (one.number, one.value)
            for one in trials
            if one.outcome == outcome and one.value is not None
        ]
        for outcome in ("complete", "pruned")
    )
    failed = [one.number for one in trials if one.outcome == "failed"]
    if complete:
        numbers, losses = zip(*complete, strict=True)
        axes.step(
            numbers, [*itertools.accumulate(losses, min)], where="post", color=ORANGE,
            linewidth=2, label="lowest so far",
        )  # fmt: skip
        axes.scatter(numbers, losses, color=BLUE, s=28, zorder=3, label="trained to the end")
    if pruned:
        numbers, losses = zip(*pruned, strict=True)
        axes.scatter(
            numbers, losses, s=28, facecolors="none", edgecolors=PALE, zorder=3, label="pruned"
        )
    if failed:
        axes.scatter(
            failed, [0.03] * len(failed), s=28, marker="x", color=INK, zorder=3, label="failed",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    found = [loss for _, loss in (*complete, *pruned)]
    if found and max(found) > _STRETCH * min(found) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("trial")
    axes.set_ylabel("lowest validation loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(color=GRID, linewidth=0.8)
    axes.legend(frameon=False, labelcolor=INK)
    set_title(axes, f"{len(trials):,} trials, one after another")
    return as_png(figure)


def draw_importance(importance: Mapping[str, float], *, of: int) -> bytes:
    """How much of the loss's variance each setting explains by itself, largest on top.

    Args:
        importance: shares by name, each 0 to 1; the first 20 are drawn.
        of: how many complete trials they are taken from.

    Example:
        >>> draw_importance({"learning_rate": 0.9, "model.hidden": 0.1}, of=12)[1:4]
        b'PNG'
    """
    shown = list(importance.items())[:_MOST_BARS]
    figure, axes = empty_figure(6.4, 1.2 + _BAR_INCHES * len(shown))
    places = range(len(shown))
    bars = axes.barh(places, [share for _, share in shown], color=BLUE, height=0.6)
    axes.bar_label(
        bars, [f"{share:.2f}" for _, share in shown], padding=4, color=INK, fontsize=9
    )  # fmt: skip
    axes.set_yticks(places, [name for name, _ in shown], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.08)
    axes.set_xlabel("share of what settings explain by themselves")
    set_title(axes, f"What matters, by {of:,} complete trials")
    return as_png(figure)
