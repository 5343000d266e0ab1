"""A run and the same run trained again: where they parted, and how far apart they ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadModel
from torchyard.project import Project
from torchyard.records.calibration import AS_TRAINED
from torchyard.records.measures import Measured
from torchyard.records.reproduction import Compared, Parting
from torchyard.yard.building import build_module
from torchyard.yard.recall import Recalled
from torchyard.yard.results import TrainedModel

if TYPE_CHECKING:
    from torchyard.evaluate import Sample

LOSS = "validation_loss"
_TINY = 1e-3


def first_parting(recalled: Recalled, trained: TrainedModel) -> Parting | None:
    """The first step and tensor that differ; None when nothing that is kept shows any.

    By the traces; where these are equal, as of a training loop that leaves none, by the weights.
    """
    from torchyard.train import Trace, first_difference

    after = Trace.read(trained.folder / "trace.safetensors")
    found = first_difference(recalled.trace, after)
    if found is None:
        before = recalled.weights
        return None if before is None else _in_weights(before, trained.weights, steps=after.steps)
    return Parting(
        step=found.step,
        tensor=found.tensor,
        seen_after=found.seen_after,
        losses=found.losses,
        text=str(found),
    )


def compare_answers(
    recalled: Recalled, project: Project, trained: TrainedModel, *, identical: bool
) -> dict[str, Compared]:
    """The losses of both runs; of different weights also how they answer the validation part.

    Numbers that are predicted are compared by their errors in the label's unit, beside the loss of
    standardized ones that is recorded.

    Both answer the same rows, as trained, before calibration. A ``difference`` is above 0 where the
    new weights are worse: paired, so that what the rows have in common cancels.
    """
    before, after = recalled.run.losses, trained.run.losses
    found = {
        name: Compared(recorded=before.get(name), now=after.get(name))
        for name in sorted(before.keys() | after.keys())
    }
    if identical or recalled.weights is None:
        return found
    try:
        samples = [_sample(project, trained, path) for path in (recalled.weights, trained.weights)]
    except BadModel:  # tensors of other shapes: then only what was recorded can be said
        return found
    return {**found, **differences(*samples, seed=project.training.seed)}


def differences(before: Sample, after: Sample, *, seed: int) -> dict[str, Compared]:
    """How far two models' answers to the same rows are apart, in their loss and their headline."""
    from torchyard.evaluate import paired_difference
    from torchyard.evaluate.metrics.kinds import compute

    compared = {}
    task = before.task
    loss = f"validation_{task.loss}" if task.is_regression else LOSS
    for name, metric in ((loss, task.loss), (f"validation_{task.headline}", task.headline)):
        generator = np.random.default_rng(seed)
        difference = paired_difference(
            metric, challenger=after, champion=before, generator=generator
        )
        recorded = compute(metric, before)
        compared[name] = Compared(
            recorded=recorded,
            now=compute(metric, after),
            difference=difference,
            within=None if difference is None else _is_within(difference, recorded),
        )
    return compared


def _is_within(difference: Measured, recorded: float | None) -> bool:
    if recorded is not None and abs(difference.value) <= _TINY * abs(recorded):
        return True
    low, high = difference.low, difference.high
    return low is not None and high is not None and low <= 0.0 <= high


def _sample(project: Project, trained: TrainedModel, weights: Path) -> Sample:
    from torchyard.evaluate import Sample, apply_calibration, label_scale
    from torchyard.train import load_weights, predict_logits

    featured = trained.featured
    module = load_weights(build_module(project, featured.graph), weights)
    logits = predict_logits(module, featured.examples("validation"))
    scale = label_scale(project.task, featured.truth("train"))
    return Sample(
        task=project.task,
        truth=featured.truth("validation"),
        outputs=apply_calibration(logits, replace(AS_TRAINED, scale=scale), project.task),
    )


def _in_weights(before: Path, after: Path, *, steps: int) -> Parting | None:
    """The first tensor of the weights that were kept, by name."""
    import torch
    from safetensors.torch import load_file

    one, other = load_file(before), load_file(after)
    for name in one | other:
        if name not in one or name not in other or not torch.equal(one[name], other[name]):
            return Parting(
                step=max(1, steps),
                tensor=name,
                seen_after=steps,
                losses=None,
                text=f"some step, the trace shows not which: tensor '{name}' of the weights",
            )
    return None
