"""Rows parted by the value of a field, each part measured alone.

A part that is too small is named but not measured: an interval from a handful of rows claims more
than they know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Sample
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.evaluate.resampling.bootstrap import Resampled, Vector, bootstrap, measured
from torchyard.records.evidence import GroupResult

Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rows of one value. ``sample`` is None when they are too few; ``reason`` says so."""

    value: str
    rows: int
    classes: tuple[int, ...]
    sample: Resampled | None
    reason: str

    def result(self, field: str) -> GroupResult:
        """The group as a record, without metrics when it was too small to measure."""
        return GroupResult(
            field=field,
            value=self.value,
            rows=self.rows,
            classes=self.classes,
            metrics={} if self.sample is None else measured(self.sample),
            small=self.reason,
        )


def part(
    sample: Sample,
    *,
    labels: Texts,
    generator: Callable[[str], np.random.Generator],
    resamples: int,
    metrics: Sequence[str] | None = None,
    vectors: dict[str, Vector] | None = None,
    unmeasured: Callable[[str], str] = lambda _: "",
) -> tuple[Group, ...]:
    """Measure the rows of each value of a field.

    Args:
        sample: all rows.
        labels: the field's value in each row, ``str [rows]``.
        generator: makes the source of the draws for a value, so that one value's interval does not
            depend on which others there are.
        resamples: how many times each group's rows are drawn.
        metrics: which to measure; all when left out.
        vectors: several numbers each, taken of the same resamples.
        unmeasured: why a value is named without being measured, else empty.

    Returns:
        One group per value, in the values' order.

    Raises:
        BadData: there is not one value per row.
    """
    _check_values(labels, sample)
    values, places = np.unique(labels, return_inverse=True)
    ends = np.cumsum(np.bincount(places, minlength=values.size))
    members = np.split(np.argsort(places, kind="stable"), ends[:-1]) if values.size else []

    def group(value: str, rows: Sample) -> Group:
        reason = unmeasured(value) or kind_of(sample.task).too_small(rows.rows, rows.classes)
        resampled = (
            None
            if reason
            else bootstrap(
                rows,
                generator=generator(value),
                resamples=resamples,
                metrics=metrics,
                vectors=vectors,
            )
        )
        return Group(
            value=value, rows=rows.rows, classes=rows.classes, sample=resampled, reason=reason
        )

    return tuple(
        group(str(value), sample.of(rows))
        for value, rows in zip(values.tolist(), members, strict=True)
    )


def _check_values(labels: Texts, sample: Sample) -> None:
    if labels.shape != (sample.rows,):
        raise BadData(
            where="group or slice values",
            found=f"shape {list(labels.shape)} beside {sample.rows} labelled rows",
            expected="one value per row",
            remedy="Take the values from the same rows as the labels.",
        )
