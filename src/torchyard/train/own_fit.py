"""Training by a function of the project's own, and what is held against what it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadModel, YardError
from torchyard.records.training import FeatureGraph, Training
from torchyard.train.checkpoints import Checkpoints
from torchyard.train.feed import Table
from torchyard.train.fitting import Fitting, unsaved
from torchyard.train.given import fill
from torchyard.train.kernels import deterministic
from torchyard.train.places import line_where
from torchyard.train.predict import mean_loss
from torchyard.train.randomness import seed_everything
from torchyard.train.standing import Standing, Trained
from torchyard.train.watch import Watch

if TYPE_CHECKING:
    from torch import nn

_SAME = 1e-6  # two losses of the same weights


def train_by_fit(
    fit: Callable[[Fitting], Any],
    build: Callable[[], nn.Module],
    *,
    training: Table,
    validation: Table,
    settings: Training,
    features: FeatureGraph,
    watch: Watch | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train by a function of the project's own; see ``Fitting`` for what it is given.

    The curve is what the function told of. Where the weights that it returned are of none of those
    epochs, one more is measured: the loss over all training and all validation rows.

    Args:
        fit: takes a ``Fitting`` and returns the trained module.
        build: makes the untrained module.
        training: rows to learn from, in memory or in files.
        validation: rows to choose by.
        settings: the seed, and what ``fit`` makes of the others.
        features: the feature graph.
        watch: told what goes on, and asked whether to stop.
        checkpoints: where ``save`` saves, and from which to go on when it holds a state.

    Raises:
        BadModel: the function raised, or returned something else than the project's module with
            finite weights.
        Stopped: ``watch`` asked for it.
    """
    saved = checkpoints.newest() if checkpoints else None
    standing = Standing.from_plain(saved["standing"]) if saved else Standing()
    began = time.monotonic() - standing.seconds
    context = Fitting(
        build, training=training, validation=validation, settings=settings, features=features,
        watch=watch, checkpoints=checkpoints, standing=standing, saved=saved,
    )  # fmt: skip
    seed_everything(settings.seed)
    with deterministic(standing.notes):
        returned = _returned(fit, context)
        module = fill(build(), returned.state_dict(), where="the module that fit returned")
        best_epoch = _kept(module.to(context.device), context, standing, training)
    return Trained(
        module.cpu().eval(), tuple(standing.curve), best_epoch, time.monotonic() - began,
        standing.trace, standing.resumes, tuple(standing.notes),
    )  # fmt: skip


def _returned(fit: Callable[[Fitting], Any], context: Fitting) -> nn.Module:
    """The module that a function returns when it is finished."""
    from torch import nn

    name = getattr(fit, "__name__", type(fit).__name__)
    try:
        returned = fit(context)
    except YardError:
        raise
    except Exception as error:
        line = line_where(error)
        raise BadModel(
            where=f"{name}, {line}" if line else name,
            found=f"{type(error).__name__}: {' '.join(str(error).split())}",
            expected="a fit function that trains and returns the module",
            remedy="Mend that line of the project's own training.",
        ) from error
    if context.was_told_to_stop:
        raise unsaved("a return before the end", where=name)
    if not isinstance(returned, nn.Module):
        raise BadModel(
            where=name,
            found=f"a return of {type(returned).__name__}",
            expected="the trained nn.Module",
            remedy="End the function with: return module",
        )
    context.flush()
    return returned


def _kept(module: nn.Module, context: Fitting, standing: Standing, training: Table) -> int:
    """The epoch whose weights these are; one more on the curve where they are of none."""
    loss = context.validation_loss(module)
    for epoch in reversed(standing.curve):
        if math.isclose(epoch.validation_loss, loss, rel_tol=_SAME):
            return epoch.number
    if standing.curve:
        standing.notes.append("the weights that fit returned are of no epoch it told of")
    context.epoch(mean_loss(module, training), loss)
    return len(standing.curve)
