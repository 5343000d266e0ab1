"""The ageing stage: models of the past, each measured in every later period.

Each model is trained as the run is, with the same settings and seed, on rows from before its
cut-off alone: features are fitted, the epoch is chosen and the answers are calibrated on them, and
nothing of it knows a later row. The rows are the run's, test rows included; no weights are kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadProject
from torchyard.core.record import Json, read_record, to_json, write_record
from torchyard.project.ageing import AgeingPlan
from torchyard.records.ageing import Staleness
from torchyard.records.dataset import SplitRule
from torchyard.records.schema import Task
from torchyard.yard.featuring import part_rows
from torchyard.yard.results import SPLITS, Evaluated, Featured, OpenProject
from torchyard.yard.retraining import encode_anew, retrain
from torchyard.yard.stages import stage_key
from torchyard.yard.ways import decided_by

if TYPE_CHECKING:
    import polars as pl

    from torchyard.evaluate.ageing import Aged

STAGE = "ageing"
_FILE = "staleness.json"


def age_model(opened: OpenProject, featured: Featured, task: Task) -> Staleness | None:
    """How quality falls with age; None where the project does not ask.

    Args:
        opened: the project.
        featured: the run's rows.
        task: what is predicted, its threshold chosen.

    Raises:
        BadProject: there is too little past for so many models.
        BadData: a past, or what comes after it, lacks a class.
    """
    plan = opened.project.staleness
    if plan is None:
        return None

    def make(folder: Path) -> None:
        write_record(folder / _FILE, _measure(opened, featured, task, plan, folder))

    folder = opened.stages.run(STAGE, _inputs(opened, featured, task, plan), make, _summary)
    return read_record(Staleness, folder / _FILE)


def age_declared(opened: OpenProject, evaluated: Evaluated) -> Staleness:
    """The same of an evaluated model, asked for by somebody.

    Raises:
        BadProject: the project does not declare it.
    """
    found = age_model(opened, evaluated.trained.featured, evaluated.task)
    if found is None:
        raise BadProject(
            where="torchyard staleness",
            found="a project without staleness=",
            expected="how old models are to be tried",
            remedy="Declare it: staleness=ty.Staleness(every='30d', models=3).",
        )
    return found


def kept_staleness(opened: OpenProject, featured: Featured, task: Task) -> Staleness | None:
    """What the stage made of this evaluation; None where it was not run."""
    plan = opened.project.staleness
    if plan is None:
        return None
    file = (
        opened.workspace.stages / STAGE / stage_key(_inputs(opened, featured, task, plan)) / _FILE
    )
    return read_record(Staleness, file) if file.exists() else None


def _inputs(
    opened: OpenProject, featured: Featured, task: Task, plan: AgeingPlan
) -> dict[str, Json]:
    from torchyard.evaluate.ageing import check_ageing_metric, is_about

    metric = check_ageing_metric(plan.metric, task)
    return {
        **decided_by(opened, featured),
        "task": to_json(task),
        "plan": [plan.every_days, plan.models, metric],
        "gates": to_json(tuple(one for one in opened.project.gates if is_about(one, metric))),
    }


def _summary(folder: Path) -> str:
    found = read_record(Staleness, folder / _FILE)
    ages = ", ".join(f"{one.measured.value:.4f} at {one.age_days:.0f} days" for one in found.curve)
    missed = [f"{gate}: missed at {age:.0f} days" for gate, age in found.limits.items()
              if age is not None]  # fmt: skip
    return "; ".join([f"{found.metric} {ages}", *missed])


def _measure(
    opened: OpenProject, featured: Featured, task: Task, plan: AgeingPlan, folder: Path
) -> Staleness:
    from torchyard.evaluate.ageing import check_ageing_metric, cut_offs, staleness

    project = opened.project
    every, field = timedelta(days=plan.every_days), project.split.fields[0]
    rule = project.split
    held_back = datetime.fromisoformat(rule.test) - datetime.fromisoformat(rule.validation)
    first, last = _span(featured, field)
    cuts = cut_offs(first, last, every=every, models=plan.models, held_back=held_back)
    aged: list[Aged] = []
    for number, cut in enumerate(cuts, start=1):
        told = partial(_tell, opened, f"model {number} of {len(cuts)}")
        with TemporaryDirectory(dir=folder) as past:
            split = dataclasses.replace(
                rule, validation=(cut - held_back).isoformat(), test=cut.isoformat()
            )
            aged += _model_of(opened, featured, task, split, Path(past), every, told)
    return staleness(
        aged, metric=check_ageing_metric(plan.metric, task), field=field, every=every,
        gates=project.gates, generator=np.random.default_rng(project.training.seed),
    )  # fmt: skip


def _model_of(
    opened: OpenProject,
    whole: Featured,
    task: Task,
    split: SplitRule,
    folder: Path,
    every: timedelta,
    told: partial[None],
) -> Iterator[Aged]:
    """What a model that knows nothing from ``split.test`` on answers in each period after it."""
    from torchyard.data.split import fit_splitter
    from torchyard.evaluate import Sample
    from torchyard.evaluate.ageing import Aged

    project = dataclasses.replace(opened.project, split=split, staleness=None)
    past = dataclasses.replace(opened, loaded=dataclasses.replace(opened.loaded, project=project))
    splitter = fit_splitter(split, project.task, project.schema, lambda: _chunks(whole))
    part_rows(past, lambda: _chunks(whole), splitter, folder)
    featured = encode_anew(past, Featured(folder, whole.version))
    retrained = retrain(past, featured, told=told)
    outputs, truth = retrained.outputs(past, "test"), featured.truth("test")
    cut, field = datetime.fromisoformat(split.test), split.fields[0]
    times = featured.rows("test", [field])[field].dt.cast_time_unit("us").to_numpy()
    period = (times - np.datetime64(cut, "us")) // np.timedelta64(every)
    for number in range(int(period.max()) + 1):
        here = period == number
        if here.any():
            yield Aged(
                trained_until=cut, start=cut + number * every, end=cut + (number + 1) * every,
                sample=Sample(task=task, truth=truth[here], outputs=outputs[here]),
            )  # fmt: skip


def _chunks(featured: Featured) -> Iterator[pl.DataFrame]:
    """The run's labelled rows, whatever part they are in."""
    return chain.from_iterable(featured.chunks(name) for name in SPLITS)


def _span(featured: Featured, field: str) -> tuple[datetime, datetime]:
    """The times of the first and the last row."""
    times = [frame[field] for name in SPLITS for frame in featured.chunks(name, [field])]
    lows, highs = [one.min() for one in times], [one.max() for one in times]
    found = min(one for one in lows if isinstance(one, datetime))
    return found, max(one for one in highs if isinstance(one, datetime))


def _tell(opened: OpenProject, which: str, text: str) -> None:
    opened.progress.tick(f"How it ages: {which}, {text} ...")
