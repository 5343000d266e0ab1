"""Equal-mass bins of sorted cells: where they are cut, and sums within them."""

from __future__ import annotations

import math

import numpy as np

from torchyard.evaluate.counting.sample import Floats, Indices, Weights

BINS = 15


def cut(up_to: Weights, bins: int = BINS) -> Indices:
    """Where to cut sorted cells so that each bin holds an equal share of the weight.

    A bin ends with the cell that completes its share, so a cell of many rows makes some bins larger
    and others empty.

    Args:
        up_to: the weight up to each cell and including it, ``[..., cells]``.
        bins: how many.

    Returns:
        ``[..., bins + 1]``: bin ``k`` holds the cells of index ``edges[k]`` up to, not including,
        ``edges[k + 1]``.
    """
    cells = up_to.shape[-1]
    if cells == 0:
        return np.zeros((*up_to.shape[:-1], bins + 1), dtype=np.intp)
    shares = np.arange(1, bins) / bins
    lead = up_to.shape[:-1]
    edges = np.zeros((*lead, bins + 1), dtype=np.intp)
    edges[..., -1] = cells
    for place in np.ndindex(lead):
        # The tolerance keeps an exactly completed share from spilling over by rounding.
        goals = shares * float(up_to[place][-1]) * (1.0 - 1e-12)
        ends = np.searchsorted(up_to[place], goals, side="left") + 1
        edges[(*place, slice(1, -1))] = np.minimum(ends, cells)
    return edges


def sum_per_bin(values: Floats, edges: Indices) -> Floats:
    """Sums of ``values [..., cells]`` within each bin of ``edges [..., bins + 1]``."""
    cells, lead = values.shape[-1], values.shape[:-1]
    # One cell more, so that an empty last bin has a place to start at.
    flat = np.append(values.reshape(-1), 0.0)
    offsets = np.arange(math.prod(lead)).reshape(lead) * cells
    starts = edges[..., :-1] + offsets[..., None]
    sums = np.add.reduceat(flat, starts.reshape(-1)).reshape(starts.shape)
    # reduceat answers an empty stretch with the value at its start.
    return np.where(np.diff(edges, axis=-1) > 0, sums, 0.0)


def between(before: Weights, edges: Indices) -> Floats:
    """What lies within each bin, by sums of everything before each cell, ``[..., cells + 1]``."""
    return np.diff(np.take_along_axis(before, edges, axis=-1), axis=-1).astype(np.float64)
