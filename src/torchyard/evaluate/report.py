"""One model on one split: every metric with its interval, beside baselines, by group and slice."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.bootstrap import RESAMPLES, measure
from torchyard.evaluate.fairness import differences
from torchyard.evaluate.groups import Group, Texts, part
from torchyard.evaluate.reliability import reliability
from torchyard.evaluate.tally import Bools, Floats, check_pair, count
from torchyard.records.evidence import GroupResult, Measured, Report


def evaluate(
    *,
    model: str,
    split: str,
    truth: Bools,
    probability: Floats,
    threshold: float,
    groups: Mapping[str, Texts],
    slices: Mapping[str, Texts],
    baselines: Mapping[str, Floats],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """Measure how well a model answers a split.

    A metric that is undefined on its rows is absent; groups and slices under 100 rows or 10 of
    either class carry none. The same arguments make the same report, byte for byte.

    Args:
        model: what is measured, for example a variant's name.
        split: what it is measured on, for example ``test``.
        truth: the labels, ``bool [rows]``.
        probability: calibrated, of the positive class, ``[rows]``, from 0 to 1.
        threshold: rows at or above it are answered with the positive class.
        groups: protected field to its value in each row, ``str [rows]``.
        slices: slice field to its value in each row, ``str [rows]``.
        baselines: baseline to its probabilities of the same rows, ``[rows]``.
        resamples: how many times rows are drawn for an interval.
        seed: of the draws.

    Raises:
        BadData: there are no rows, or arrays do not fit one another.

    Example:
        >>> report = evaluate(model="fp32", split="test", truth=np.arange(9) > 4,
        ...                   probability=np.linspace(0, 1, 9), threshold=0.5,
        ...                   groups={}, slices={}, baselines={})
        >>> report.rows, report.metrics["auroc"].value
        (9, 1.0)
    """
    check_pair(truth=truth, probability=probability)
    _check_rows(truth.size, split)
    sample = _Sample(truth, probability, threshold, resamples, seed)
    by_group = {field: sample.part("group", field, labels) for field, labels in groups.items()}
    by_slice = {field: sample.part("slice", field, labels) for field, labels in slices.items()}
    return Report(
        model=model,
        split=split,
        rows=truth.size,
        positive=int(truth.sum()),
        threshold=threshold,
        metrics=sample.everyone(probability),
        baselines={name: sample.everyone(answers) for name, answers in baselines.items()},
        fairness={field: differences(found) for field, found in by_group.items()},
        groups=_results(by_group),
        slices=_results(by_slice),
        reliability=reliability(count(truth=truth, probability=probability, threshold=threshold)),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """What every part of a report is made from."""

    truth: Bools
    probability: Floats
    threshold: float
    resamples: int
    seed: int

    def everyone(self, probability: Floats) -> dict[str, Measured]:
        """All rows, drawn alike for model and baselines, so that their differences are not luck."""
        return measure(
            truth=self.truth,
            probability=probability,
            threshold=self.threshold,
            generator=_generator(self.seed, "rows"),
            resamples=self.resamples,
        )

    def part(self, kind: str, field: str, labels: Texts) -> tuple[Group, ...]:
        """The rows of each value of a field."""
        return part(
            truth=self.truth,
            probability=self.probability,
            threshold=self.threshold,
            labels=labels,
            generator=partial(_generator, self.seed, kind, field),
            resamples=self.resamples,
        )


def _results(parted: Mapping[str, tuple[Group, ...]]) -> tuple[GroupResult, ...]:
    return tuple(group.result(field) for field, groups in parted.items() for group in groups)


def _check_rows(rows: int, split: str) -> None:
    if rows == 0:
        raise BadData(
            where=f"split '{split}'",
            found="no rows",
            expected="at least one row",
            remedy="Move the split's limits so that it holds rows.",
        )


def _generator(seed: int, *names: str) -> np.random.Generator:
    """Draws of their own for every part, whatever other parts there are."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])
