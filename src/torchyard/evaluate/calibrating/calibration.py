"""From a module's raw outputs to answers that mean what they say: fitted, chosen, applied.

What each method is stands in ``calibrators`` and ``conformal``; what a calibration makes of logits
in ``calibrated``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from torchyard.core.errors import BadData, BadModel
from torchyard.evaluate.calibrating.calibrated import losses_of, scores_of
from torchyard.evaluate.calibrating.calibrators import (
    LEAST_ROWS,
    MOST_CURVES,
    Fit,
    is_told,
    methods,
    one_hot,
)
from torchyard.evaluate.calibrating.choosing import FOLDS, choose, folds
from torchyard.evaluate.calibrating.conformal import apply_interval, fit_interval
from torchyard.evaluate.counting.sample import Floats, Indices, Truth
from torchyard.records.calibration import Calibration, Scale, Tried
from torchyard.records.schema import Task

# More say no more about which method is best; the chosen one is fitted on every row.
MOST_ROWS_TO_CHOOSE = 50_000


def fit_calibration(
    task: Task, *, truth: Truth, logits: Floats, scale: Scale | None = None, seed: int = 0
) -> Calibration:
    """The calibration that these rows call for, which may be none.

    Every method is fitted on four fifths of the rows and judged by log loss on the last, five times
    over; the simplest one that is within a standard error of the best wins (the one-standard-error
    rule, Breiman et al. 1984, section 3.4.3) and is fitted on all rows. So a method that does not
    help beyond noise is refused, and none is chosen for having learnt the rows by heart.

    Of a number: an interval around it by split conformal prediction, see ``fit_interval``.

    Args:
        task: what is predicted.
        truth: validation labels: ``bool [rows]`` of a binary task, ``int64 [rows]`` of one with
            many classes, ``bool [rows, classes]`` of one with several labels, ``float64 [rows]`` of
            a number, in the label's unit.
        logits: the module's: of the second class, ``[rows]`` or ``[rows, 1]``; of every class,
            ``[rows, classes]``; or the module's number, ``[rows]`` or ``[rows, 1]``.
        scale: of the training labels, where the module learnt standardized ones.
        seed: of the folds.

    Raises:
        BadData: there are no rows, only one class, too few rows for an interval, or shapes differ.
        BadModel: a logit is not finite.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> truth = np.array([True, True, True, False] * 50)
        >>> found = fit_calibration(late, truth=truth, logits=np.full(200, 4.0))
        >>> found.method, round(found.temperature, 2)
        ('temperature', 3.64)
    """
    z = _checked(task, truth, logits)
    if task.is_regression:
        return fit_interval(
            truth.astype(np.float64), z[:, 0], scale=scale or Scale(), coverage=task.coverage,
            seed=seed,
        )  # fmt: skip
    joint = _is_joint(task)
    labels = truth[:, None] if task.is_binary else truth
    known, untried = _applicable(task, labels, z)
    losses = _held_out(known, labels, z, joint=joint, seed=seed)
    method, tried = choose(losses)
    fitted = known[method](labels, z)

    before = losses_of(labels, z, joint=joint)
    after = losses_of(labels, scores_of(z, fitted, joint=joint), joint=joint)
    return replace(
        fitted,
        rows=len(labels),
        log_loss_before=float(before.mean()),
        log_loss_after=float(after.mean()),
        tried=(*tried, *untried),
    )


def apply_calibration(logits: Floats, calibration: Calibration, task: Task) -> Floats:
    """Answers to rows, in float64: what every served graph computes too.

    Args:
        logits: as ``fit_calibration`` takes them.
        calibration: what it made, or ``AS_TRAINED``.
        task: what is predicted.

    Returns:
        ``float64 [rows, outputs]``: a probability of every class, from 0 to 1, or the value and the
        ends of its interval.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("no", "yes"))
        >>> even = Calibration(method="temperature", temperature=2.0)
        >>> apply_calibration(np.array([0.0]), even, late).tolist()
        [[0.5, 0.5]]
    """
    from scipy.special import expit, softmax

    z = _columns(np.asarray(logits, dtype=np.float64), task)
    if task.is_regression:
        return apply_interval(z[:, 0], calibration)
    joint = _is_joint(task)
    scores = scores_of(z, calibration, joint=joint)
    if joint:
        return np.asarray(softmax(scores, axis=1), dtype=np.float64)
    alone = np.asarray(expit(scores), dtype=np.float64)
    return np.concatenate([1.0 - alone, alone], axis=1) if task.is_binary else alone


def label_scale(task: Task, labels: Truth) -> Scale:
    """Mean and deviation of training labels, where the module learns standardized ones.

    Args:
        task: what is predicted.
        labels: ``float64 [rows]`` of a number; of other tasks not looked at.
    """
    if not task.is_regression or not task.standardized:
        return Scale()
    deviation = float(np.std(labels))
    return Scale(mean=float(np.mean(labels)), deviation=deviation if deviation > 0.0 else 1.0)


def _is_joint(task: Task) -> bool:
    """Whether exactly one of several classes is true of a row."""
    return not task.is_binary and not task.is_multilabel and not task.is_regression


def _columns(logits: Floats, task: Task) -> Floats:
    single = task.is_binary or task.is_regression
    return logits.reshape(-1, 1) if single else logits


def _applicable(task: Task, labels: Truth, z: Floats) -> tuple[dict[str, Fit], tuple[Tried, ...]]:
    """The methods that the rows suffice for, and why the others were not tried."""
    joint = _is_joint(task)
    hot = one_hot(labels, z) if joint else labels
    rare = [name for name, y in zip(_names(task), hot.T, strict=True) if not is_told(y)]
    known = methods(joint=joint, classes=z.shape[1])
    why: dict[str, str] = {}
    if rare:
        few = f"fewer than {LEAST_ROWS} rows with or without: {', '.join(rare[:5])}"
        why = dict.fromkeys(("vector", "beta", "isotonic") if joint else ("isotonic",), few)
        if task.is_binary:
            why = dict.fromkeys(("platt", "beta", "isotonic"), few)
    if z.shape[1] > MOST_CURVES:
        why["isotonic"] = f"more than {MOST_CURVES} classes"
    untried = tuple(Tried(method=name, loss=None, why=text) for name, text in why.items())
    return {name: fit for name, fit in known.items() if name not in why}, untried


def _names(task: Task) -> tuple[str, ...]:
    return task.classes[1:] if task.is_binary else task.classes


def _held_out(
    known: dict[str, Fit], labels: Truth, z: Floats, *, joint: bool, seed: int
) -> dict[str, Floats]:
    """The loss of each row by each method fitted without its fold, ``[rows]``."""
    generator = np.random.default_rng(seed)
    if len(labels) > MOST_ROWS_TO_CHOOSE:
        some = np.sort(generator.permutation(len(labels))[:MOST_ROWS_TO_CHOOSE])
        labels, z = labels[some], z[some]
    fold = folds(_strata(labels), generator)
    losses = {name: np.zeros(len(labels)) for name in known}
    for one in range(FOLDS):
        inside, outside = fold != one, fold == one
        if not outside.any():
            continue
        for name, fit in known.items():
            fitted = fit(labels[inside], z[inside])
            scores = scores_of(z[outside], fitted, joint=joint)
            losses[name][outside] = losses_of(labels[outside], scores, joint=joint)
    return losses


def _strata(labels: Truth) -> Indices:
    """What is spread evenly over the folds: classes; of several labels how many a row has."""
    strata = labels if labels.ndim == 1 else labels.sum(axis=1)
    return np.asarray(strata, dtype=np.intp)


def _checked(task: Task, truth: Truth, logits: Floats) -> Floats:
    """The logits as ``float64 [rows, columns]``."""
    columns = len(_names(task)) or 1
    rows = len(truth)
    fits = truth.shape == ((rows, columns) if task.is_multilabel else (rows,))
    fits &= logits.shape == (rows, columns) or (columns == 1 and logits.shape == (rows,))
    if not fits:
        raise BadData(
            where="calibration",
            found=f"{truth.dtype} labels {list(truth.shape)}, logits {list(logits.shape)}",
            expected=f"{rows} labels and a logit each"
            if columns == 1
            else f"a label and {columns} logits per row",
            remedy="Give one logit of the second class, or one number, per validation row, or a "
            "logit of every class.",
        )
    if not task.is_regression:
        _check_classes(task, truth)
    z = _columns(np.asarray(logits, dtype=np.float64), task)
    if not np.isfinite(z).all():
        raise BadModel(
            where="the model's logits",
            found=f"{int((~np.isfinite(z)).sum())} of {z.size} not finite",
            expected="finite numbers",
            remedy="Lower training=ty.Training(learning_rate=...), or look for a division by zero.",
        )
    return z


def _check_classes(task: Task, truth: Truth) -> None:
    many = len(truth) > 0 if task.is_multilabel else np.unique(truth).size > 1
    if not many:
        raise BadData(
            where="calibration, validation split",
            found=f"{int(truth.sum())} positive of {truth.size} rows"
            if task.is_binary
            else f"{len(truth)} rows of {np.unique(truth).size} classes",
            expected="rows of both classes" if task.is_binary else "rows of at least two classes",
            remedy="Make the validation split larger.",
        )
