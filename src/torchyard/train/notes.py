"""What was worth a line about an epoch: a spike of the loss, a plateau, the start of overfitting.

Looked at once an epoch, over that epoch's step losses together; a function of the losses alone, so
that a run which was stopped in between tells the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from torchyard.records.training import Epoch

Losses = np.ndarray[Any, np.dtype[np.float64]]

# steps before one that it is compared with
_WINDOW = 32
# a spike lies so many robust standard deviations above the median of the steps before it, and is
# so many times as high: losses of small batches have long tails
_DEVIATIONS = 12.0
_TIMES = 2.0
# epochs without a movement, and epochs in which training falls while validation rises
_STILL = 3
_APART = 2
_PLATEAU = "plateau: "
_OVERFITTING = "overfitting: "


def epoch_notes(
    losses: Sequence[float], *, steps: int, curve: Sequence[Epoch], said: Sequence[str]
) -> list[str]:
    """Notes about the last epoch.

    Args:
        losses: of every step so far.
        steps: how many of them, at the end, are the epoch's.
        curve: the epochs so far, this one last; not empty.
        said: the run's notes so far: a plateau and overfitting are told once.
    """
    tail = np.asarray(losses[-(steps + _WINDOW) :], dtype=np.float64)
    found = [_spikes(tail, steps, curve[-1].number)]
    if not _has(said, _PLATEAU):
        found.append(_plateau(curve, _noise(tail[-steps:])))
    if not _has(said, _OVERFITTING):
        found.append(_overfitting(curve, _noise(tail[-steps:])))
    return [note for note in found if note]


def spikes(losses: Losses) -> list[int]:
    """Places of steps whose loss lies far above that of the 32 steps before them.

    Far is by the median and the median absolute deviation (a modified z-score: Iglewicz & Hoaglin
    1993), and twice the median at least. The first 32 steps are compared with nothing.

    Example:
        >>> spikes(np.array([1.0, 1.1] * 20 + [9.0] + [1.0] * 5))
        [40]
    """
    if len(losses) <= _WINDOW:
        return []
    before = np.lib.stride_tricks.sliding_window_view(losses[:-1], _WINDOW)
    middle = np.median(before, axis=1)
    deviation = 1.4826 * np.median(np.abs(before - middle[:, None]), axis=1)
    here = losses[_WINDOW:]
    far = (here > middle + _DEVIATIONS * deviation) & (here > _TIMES * np.abs(middle))
    return [int(place) + _WINDOW for place in np.flatnonzero(far)]


def _spikes(tail: Losses, steps: int, epoch: int) -> str:
    first = len(tail) - steps
    places = [place for place in spikes(tail) if place >= first]
    if not places:
        return ""
    highest = max(places, key=lambda place: tail[place])
    usual = float(np.median(tail[highest - _WINDOW : highest]))
    more = f", the highest of {len(places)} such steps" if len(places) > 1 else ""
    return (
        f"spike: epoch {epoch}, step {highest - first + 1}: loss {tail[highest]:.4g} after "
        f"{usual:.4g} (median of {_WINDOW} steps){more}"
    )


def _noise(losses: Losses) -> float:
    """The standard error of the mean of an epoch's losses; their trend taken out."""
    if len(losses) < 2:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(losses) ** 2) / 2 / len(losses)))


def _plateau(curve: Sequence[Epoch], noise: float) -> str:
    if len(curve) <= _STILL:
        return ""
    last = [epoch.validation_loss for epoch in curve[-_STILL - 1 :]]
    spread = max(last) - min(last)
    least = max(noise, 1e-4 * abs(last[0]))
    if spread > least:
        return ""
    return (
        f"{_PLATEAU}validation loss {last[0]:.4g} to {last[-1]:.4g} since epoch "
        f"{curve[-_STILL - 1].number}, no more than an epoch's noise of {least:.2g}"
    )


def _overfitting(curve: Sequence[Epoch], noise: float) -> str:
    if len(curve) <= _APART:
        return ""
    first, *later = curve[-_APART - 1 :]
    pairs = list(zip([first, *later[:-1]], later, strict=True))
    rises = all(after.validation_loss > before.validation_loss for before, after in pairs)
    falls = all(after.train_loss < before.train_loss for before, after in pairs)
    last = later[-1]
    if not (rises and falls and last.validation_loss - first.validation_loss > noise):
        return ""
    return (
        f"{_OVERFITTING}since epoch {first.number} training loss fell from {first.train_loss:.4g} "
        f"to {last.train_loss:.4g} while validation rose from {first.validation_loss:.4g} to "
        f"{last.validation_loss:.4g}"
    )


def _has(said: Sequence[str], kind: str) -> bool:
    return any(note.startswith(kind) for note in said)
