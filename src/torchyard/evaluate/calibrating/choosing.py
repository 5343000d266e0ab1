"""Choosing between methods on few rows: folds, and the one-standard-error rule."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from torchyard.evaluate.counting.sample import Floats, Indices
from torchyard.records.calibration import Tried

FOLDS = 5


def folds(strata: Indices, generator: np.random.Generator) -> Indices:
    """The fold of each row, ``[rows]``, from 0 to ``FOLDS - 1``; each has its share of a stratum.

    Args:
        strata: the stratum of each row, any numbers.
        generator: draws which rows of a stratum go together.
    """
    shuffled = generator.permutation(strata.size)
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    found = np.empty(strata.size, dtype=np.intp)
    found[by_stratum] = np.arange(strata.size) % FOLDS
    return found


def choose(losses: Mapping[str, Floats]) -> tuple[str, tuple[Tried, ...]]:
    """The simplest method that is no worse than the best beyond one standard error.

    The rule of Breiman et al. 1984, section 3.4.3, on paired losses: the error is that of the mean
    difference to the best method on the same rows, in which what makes a row hard for both cancels.

    Args:
        losses: per method, the simplest first, the loss of each row, ``[rows]``, by a fit that
            never saw the row.

    Returns:
        The method, and what was found of each.

    Example:
        >>> choose({"none": np.array([0.7, 0.5]), "temperature": np.array([0.6, 0.5])})[0]
        'none'
    """
    best = min(losses, key=lambda name: losses[name].mean())
    tried = []
    for name, values in losses.items():
        excess = values - losses[best]
        error = excess.std(ddof=1) / np.sqrt(excess.size) if excess.size > 1 else 0.0
        tried.append(
            Tried(
                method=name,
                loss=float(values.mean()),
                excess=float(excess.mean()),
                error=float(error),
            )
        )
    return next(one.method for one in tried if one.excess <= one.error), tuple(tried)
