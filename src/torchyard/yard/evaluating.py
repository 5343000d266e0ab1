"""The evaluate stage: calibration, baselines, and everything that is measured of one model.

A ``Subject`` is a model under judgement: here the module in PyTorch, in ``optimizing`` a variant.
``report_on`` measures every subject alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.record import to_json, write_record
from torchyard.records.abstaining import Abstention
from torchyard.records.calibration import Calibration
from torchyard.records.evidence import OperatingPoint, Report
from torchyard.records.schema import Task
from torchyard.records.verdicts import CHAMPION
from torchyard.yard.abstaining import learn_abstention, with_honesty
from torchyard.yard.answers import record_report
from torchyard.yard.baselines import answer_baselines
from torchyard.yard.behaving import behaviour_inputs, with_behaviours
from torchyard.yard.building import build_module
from torchyard.yard.champion import comparable_champion, rival_champion
from torchyard.yard.explaining import with_importance
from torchyard.yard.results import (
    ABSTENTION,
    YARDSTICK,
    Array,
    Evaluated,
    Featured,
    OpenProject,
    TrainedModel,
)
from torchyard.yard.slicing import group_texts, parting_inputs, slice_texts
from torchyard.yard.tracking import tracker_of
from torchyard.yard.weak_spots import with_weak_spots
from torchyard.yard.wording import headline, headline_value

if TYPE_CHECKING:
    import polars as pl

    from torchyard.optimize.build import Runnable


@dataclass(frozen=True)
class Subject:
    """A model under judgement.

    Attributes:
        name: a variant's name.
        task: what is predicted, its threshold chosen.
        model: from raw columns to calibrated answers.
        outputs: its answers to the test rows, ``float64 [rows, outputs]``.
        operating: how its threshold was chosen; None where the project states it.
        abstention: when it is not to answer; None where it always is.
    """

    name: str
    task: Task
    model: Runnable
    outputs: Array
    operating: OperatingPoint | None = None
    abstention: Abstention | None = None

    def answer(self, featured: Featured, rows: pl.DataFrame) -> Array:
        """What it answers to raw rows, ``float64 [rows, outputs]``.

        Args:
            featured: whose features it reads.
            rows: a frame with at least the fields that the features read.
        """
        from torchyard.features import columns_from_frame
        from torchyard.optimize import score

        return score(self.model, columns_from_frame(featured.inputs, rows), graph=featured.graph)


def evaluate_model(opened: OpenProject, trained: TrainedModel) -> Evaluated:
    """Calibrate on validation; judge the module on test beside its baselines."""

    def make(folder: Path) -> None:
        from torchyard.evaluate import (
            apply_calibration,
            fit_calibration,
            label_scale,
            unbeaten,
        )

        featured, project, task = trained.featured, opened.project, opened.project.task
        logits = _logits(opened, trained)
        calibration = fit_calibration(
            task, truth=featured.truth("validation"), logits=logits["validation"],
            scale=label_scale(task, featured.truth("train")), seed=project.training.seed,
        )  # fmt: skip
        write_record(folder / "calibration.json", calibration)
        probabilities = apply_calibration(logits["validation"], calibration, task)
        task, operating = _at_threshold(task, featured, probabilities)
        outputs = apply_calibration(logits["test"], calibration, task)
        np.save(folder / f"{YARDSTICK}.test.npy", outputs)
        write_record(folder / "task.json", task)
        model = yardstick(opened, trained, calibration=calibration, task=task)
        baselines = answer_baselines(opened, featured, task)
        if (champion := comparable_champion(opened, trained, task)) is not None:
            baselines[CHAMPION] = champion
        for name, answers in baselines.items():
            np.save(folder / f"baseline.{name}.test.npy", answers)
        abstention = learn_abstention(opened, featured)
        if abstention is not None:
            write_record(folder / ABSTENTION, abstention)
        subject = Subject(YARDSTICK, task, model, outputs, operating, abstention)
        report = report_on(opened, featured, subject, baselines=baselines)
        write_record(folder / "report.json", report)
        if (behind := unbeaten(report)) is not None:
            opened.progress.note(f"warning: the model {behind}")
        record_report(tracker_of(opened).resume(trained.run.id), report)

    def summarize(folder: Path) -> str:
        evaluated = Evaluated(folder, trained)
        report = evaluated.report
        loss = report.metrics.get("log_loss")
        return (
            f"test {headline(report)} ({_beside(report)}), "
            f"{'' if loss is None else f'log loss {loss.value:.4f}, '}"
            f"calibration: {evaluated.calibration.method}"
        )

    inputs = {
        "weights": trained.run.weights_sha256,
        "run": trained.run.id,
        "task": to_json(opened.project.task),
        **parting_inputs(opened),
        "split": to_json(opened.project.split),
        "behaviours": behaviour_inputs(opened),
        "abstain": to_json(opened.project.abstain),
        "baselines": "majority, linear, trees, last_value",
        "champion": rival_champion(opened, trained),
    }
    return Evaluated(opened.stages.run("evaluate", inputs, make, summarize), trained)


def yardstick(
    opened: OpenProject, trained: TrainedModel, *, calibration: Calibration, task: Task
) -> Runnable:
    """The trained module in PyTorch, from raw columns to calibrated answers."""
    from torchyard.features import Encoder
    from torchyard.optimize.build import EagerModel

    encoder = Encoder(trained.featured.graph_file, threads=1)
    module = trained_module(opened, trained)
    return EagerModel(encoder, module, task=task, calibration=calibration)


def report_on(
    opened: OpenProject, featured: Featured, subject: Subject, *, baselines: Mapping[str, Array]
) -> Report:
    """Everything that is measured of a subject on the test rows."""
    from torchyard.evaluate import Sample, evaluate, judge_operating

    sample = Sample(task=subject.task, truth=featured.truth("test"), outputs=subject.outputs)
    report = evaluate(
        sample,
        model=subject.name,
        split="test",
        groups=group_texts(opened, featured),
        slices=slice_texts(opened, featured),
        baselines=baselines,
        seed=opened.project.training.seed,
    )
    if subject.operating is not None:
        seed = opened.project.training.seed
        report = judge_operating(report, sample, subject.operating, seed=seed)
    report = with_honesty(report, sample, opened, featured, subject)
    report = with_behaviours(report, opened, featured, subject)
    if subject.name != YARDSTICK:  # variants answer as it does: see weak_spots
        return report
    seed = opened.project.training.seed
    report = with_weak_spots(report, sample, featured, seed=seed)
    return with_importance(report, featured, subject, seed=seed)


def _at_threshold(
    task: Task, featured: Featured, probabilities: Array
) -> tuple[Task, OperatingPoint | None]:
    """The task with the threshold that its rule chooses on the validation rows."""
    from torchyard.evaluate import Sample, choose_threshold

    if task.operating is None:
        return task, None
    sample = Sample(task=task, truth=featured.truth("validation"), outputs=probabilities)
    point = choose_threshold(sample, task.operating)
    return dataclasses.replace(task, threshold=point.threshold), point


def _beside(report: Report) -> str:
    """The baselines' headline values, for example ``linear 0.6512, trees 0.6700``."""
    shown = (name for name in report.baselines if name != "majority")
    task = report.task
    return ", ".join(f"{name} {headline_value(task, report.baselines[name])}" for name in shown)


def _logits(opened: OpenProject, trained: TrainedModel) -> dict[str, Array]:
    from torchyard.train import predict_logits

    module = trained_module(opened, trained)
    return {
        split: predict_logits(module, trained.featured.examples(split))
        for split in ("validation", "test")
    }


def trained_module(opened: OpenProject, trained: TrainedModel) -> Any:
    """The project's module with the weights of a run, in evaluation mode."""
    from torchyard.train import load_weights

    return load_weights(build_module(opened.project, trained.featured.graph), trained.weights)
