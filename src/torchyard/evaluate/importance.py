"""What a field is worth: losses of the same rows with and without what it says.

Not here: how a field's values are exchanged or a model is trained without it, see the yard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from torchyard.evaluate.counting.sample import Floats
from torchyard.evaluate.resampling.intervals import CONFIDENCE
from torchyard.records.measures import Measured
from torchyard.records.weaknesses import FieldCost, FieldImportance

_SELDOM_MISSING = 0.05


def rank_fields(
    losses: Floats,
    exchanged: Mapping[str, Floats],
    *,
    metric: str,
    missing: Mapping[str, float],
) -> tuple[FieldImportance, ...]:
    """Permutation importance of fields (Breiman 2001; Fisher, Rudin and Dominici 2019).

    The model stays as it is, so this says what *this* model uses: of two fields that say the same,
    a model may use either.

    Args:
        losses: of each row as it is, ``float64 [rows]``.
        exchanged: by field, the losses of the same rows with that field's values exchanged among
            them, several times over, ``float64 [repeats, rows]``.
        metric: what the losses are called.
        missing: by field its share of missing values, 0 to 1.

    Returns:
        By falling drop; between equals by name.

    Example:
        >>> found = rank_fields(np.zeros(4), {"noise": np.zeros((2, 4)), "use": np.ones((2, 4))},
        ...                     metric="log_loss", missing={"noise": 0.0, "use": 0.25})
        >>> [(one.field, one.drop.value) for one in found]
        [('use', 1.0), ('noise', 0.0)]
    """
    found = [
        FieldImportance(
            field=field,
            metric=metric,
            drop=mean_of(
                repeats.mean(axis=0) - losses,
                method=f"mean of paired rows, {len(repeats)} exchanges",
            ),
            missing=missing[field],
        )
        for field, repeats in exchanged.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.drop.value, one.field)))


def field_cost(
    field: str,
    *,
    metric: str,
    with_it: Floats,
    without_it: Floats,
    missing: float,
    microseconds: Floats,
) -> FieldCost:
    """What a field costs and what it earns.

    It earns its cost when a model without it is surely worse; or when it costs no time that can be
    measured and is missing in at most 5 % of the rows.

    Args:
        field: its name.
        metric: what the losses are called.
        with_it: losses of the test rows, ``float64 [rows]``.
        without_it: of the model that was trained without the field, on the same rows.
        missing: its share of missing values, 0 to 1.
        microseconds: that one row took longer with it, ``float64 [rounds]``; at least two.

    Example:
        >>> found = field_cost("seats", metric="log_loss", missing=0.2, with_it=np.zeros(9),
        ...                    without_it=np.zeros(9), microseconds=np.array([1.0, -1.0, 0.5]))
        >>> found.microseconds, found.earns_its_cost
        (0.5, False)
    """
    loss = mean_of(without_it - with_it, method="mean of paired rows")
    time = mean_of(microseconds, method="")
    is_free = time.low is not None and time.low <= 0.0
    helps = loss.low is not None and loss.low > 0.0
    return FieldCost(
        field=field,
        metric=metric,
        loss=loss,
        missing=missing,
        microseconds=float(np.median(microseconds)),
        earns_its_cost=helps or (is_free and missing <= _SELDOM_MISSING),
    )


def mean_of(differences: Floats, *, method: str) -> Measured:
    """The mean of paired differences with Student's 95 % interval over them.

    Without an interval where there is one alone.

    Example:
        >>> mean_of(np.array([1.0, 2.0, 3.0]), method="mean").value
        2.0
    """
    from scipy.special import stdtrit

    rows, value = differences.size, float(differences.mean())
    if rows < 2:
        return Measured(value=value, low=None, high=None, rows=rows, method=method)
    error = float(differences.std(ddof=1)) / math.sqrt(rows)
    half = float(stdtrit(rows - 1, 0.5 + CONFIDENCE / 2.0)) * error
    return Measured(value=value, low=value - half, high=value + half, rows=rows, method=method)
