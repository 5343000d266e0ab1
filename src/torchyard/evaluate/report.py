"""One model on one split: every metric with its interval, beside baselines, by group and slice."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from torchyard.core.errors import BadData
from torchyard.evaluate.counting.sample import Floats, Sample
from torchyard.evaluate.metrics.kinds import kind_of
from torchyard.evaluate.metrics.per_class import class_results, class_vectors, confusion
from torchyard.evaluate.parting.crossing import why_unmeasured, with_crossings
from torchyard.evaluate.parting.fairness import differences, rates_of
from torchyard.evaluate.parting.groups import Group, Texts, part
from torchyard.evaluate.resampling.bootstrap import RESAMPLES, Resampled, bootstrap_each, measured
from torchyard.evaluate.resampling.differences import differences as differences_between
from torchyard.records.evidence import GroupResult, Report


def evaluate(
    sample: Sample,
    *,
    model: str,
    split: str,
    groups: Mapping[str, Texts],
    slices: Mapping[str, Texts],
    baselines: Mapping[str, Floats],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Report:
    """Measure how well a model answers a split.

    A metric that is undefined on its rows is absent; groups and slices that are too small (see
    ``kinds``) carry none. The same arguments make the same report, byte for byte.

    Args:
        sample: the split's rows, their truth and the model's calibrated answers.
        model: what is measured, for example a variant's name.
        split: what it is measured on, for example ``test``.
        groups: protected field to its value in each row, ``str [rows]``; crossed here.
        slices: slice field to its value in each row, ``str [rows]``.
        baselines: baseline to its answers to the same rows, ``[rows, outputs]``.
        resamples: how many times rows are drawn for an interval.
        seed: of the draws.

    Raises:
        BadData: there are no rows, or arrays do not fit one another or the task.

    Example:
        >>> from torchyard.records.schema import Task
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> yes = np.linspace(0, 1, 9)
        >>> sample = Sample(task=late, truth=np.arange(9) > 4,
        ...                 outputs=np.stack([1 - yes, yes], axis=1))
        >>> report = evaluate(sample, model="fp32", split="test",
        ...                   groups={}, slices={}, baselines={})
        >>> report.rows, report.metrics["auroc"].value
        (9, 1.0)
    """
    _check_rows(sample.rows, split)
    judge, task = _Judge(sample, resamples, seed), sample.task
    by_group, by_slice = judge.parts("group", with_crossings(groups)), judge.parts("slice", slices)
    whole, *others = judge.models(baselines.values())
    rivals, tally = dict(zip(baselines, others, strict=True)), kind_of(task).sheet(sample).whole()
    return Report(
        model=model,
        split=split,
        task=task,
        rows=sample.rows,
        classes=sample.classes,
        metrics=measured(whole),
        baselines={name: measured(rival) for name, rival in rivals.items()},
        fairness={field: differences(found) for field, found in by_group.items()},
        groups=_results(by_group),
        slices=_results(by_slice),
        reliability=kind_of(task).reliability(tally),
        per_class=class_results(task, tally, whole),
        confusion=confusion(sample),
        against={name: differences_between(whole, rival) for name, rival in rivals.items()},
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """What every part of a report is made from."""

    sample: Sample
    resamples: int
    seed: int

    def models(self, rivals: Iterable[Floats]) -> tuple[Resampled, ...]:
        """All rows, and each class alone; of rivals, too, in the same resamples."""
        task, truth = self.sample.task, self.sample.truth
        return bootstrap_each(
            (self.sample, *(Sample(task=task, truth=truth, outputs=one) for one in rivals)),
            generator=_generator(self.seed, "rows"),
            resamples=self.resamples,
            vectors=class_vectors(task),
        )

    def parts(
        self, kind: Literal["group", "slice"], fields: Mapping[str, Texts]
    ) -> dict[str, tuple[Group, ...]]:
        """The rows of each value of each field; of groups also what is compared between them."""
        vectors = rates_of(self.sample.task) if kind == "group" else {}
        return {
            field: part(
                self.sample,
                labels=labels,
                generator=partial(_generator, self.seed, kind, field),
                resamples=self.resamples,
                vectors=vectors,
                unmeasured=why_unmeasured,
            )
            for field, labels in fields.items()
        }


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
