"""Where a model is bad: slices that were searched for, and errors that are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchyard.records.measures import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Rows whose ``field`` has ``value``, or lies from ``low`` on and below ``high``.

    ``value`` is None for a range, whose ends are None where it is open. A range of a timestamp is
    one of hours of the day, its value a weekday or a month; a range of a text is one of its length
    in characters. A missing value is ``(missing)``.
    """

    field: str
    value: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSlice:
    """Rows that meet one or two conditions and are answered worse than the others.

    ``measured`` is the metric there, its interval widened for all the slices that were tried;
    ``others`` is the metric of all other rows. ``p_value`` is corrected for them, too.
    """

    conditions: tuple[Condition, ...]
    rows: int
    measured: Measured
    others: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSearch:
    """A search for the worst slices: by which loss, how many were tried, and what was found.

    ``found`` are worst first; none where no slice is worse than chance explains.
    """

    metric: str
    tried: int
    min_rows: int
    method: str
    found: tuple[FoundSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCluster:
    """Rows of a text or image field that are alike, and that are answered wrongly often.

    ``error_rate`` is the share of the cluster's rows that are answered wrongly, its interval
    widened for the number of clusters; ``others`` that of all other rows. ``words`` say what its
    texts have in common. ``pictures`` are small PNG files, base64, of some wrongly answered rows.
    """

    field: str
    kind: Literal["text", "image"]
    rows: int
    errors: int
    error_rate: Measured
    others: float
    words: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldImportance:
    """How much a metric suffers when a field's values are shuffled among rows (Breiman 2001).

    ``drop`` is above 0 when the metric gets worse. ``missing`` is the field's share of missing
    values in the split.
    """

    field: str
    metric: str
    drop: Measured
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCost:
    """What a field costs, and what a model without it loses.

    Attributes:
        field: its name.
        metric: that ``loss`` is of.
        loss: how much worse a model is that was trained without the field, on the same rows.
        missing: its share of missing values in the test rows.
        microseconds: that one row's answer takes longer with it.
        earns_its_cost: whether the loss is surely above 0, or it costs nothing that can be measured
            and is seldom missing.
    """

    field: str
    metric: str
    loss: Measured
    missing: float
    microseconds: float
    earns_its_cost: bool
