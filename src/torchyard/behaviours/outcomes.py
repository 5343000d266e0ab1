"""From answers before and after a change to which rows fail, and by how much answers moved."""

from __future__ import annotations

import numpy as np

from torchyard.behaviours.trial import Bools, Floats
from torchyard.evaluate.counting.sample import answers
from torchyard.records.behaviours import Behaviour
from torchyard.records.schema import Task

_TOLERANCE = 0.1  # CheckList's, in probability
# float32 answers to the same row differ by less, from batch to batch
_ROUNDING = 1e-6


def moved(task: Task, before: Floats, after: Floats) -> Floats:
    """How far each answer moved, ``[rows]``: the most of any probability, or the value."""
    if task.is_regression:
        return np.abs(after[:, 0] - before[:, 0])
    return np.asarray(np.abs(after - before).max(axis=1, initial=0.0))


def is_turned(task: Task, before: Floats, after: Floats) -> Bools:
    """Which rows are decided otherwise, ``bool [rows]``; a number has no decision."""
    if task.is_regression:
        return np.zeros(len(before), dtype=np.bool_)
    differs = answers(task, before) != answers(task, after)
    return np.asarray(differs.any(axis=1) if differs.ndim == 2 else differs)


def fails(behaviour: Behaviour, task: Task, before: Floats, after: Floats) -> Bools:
    """Which rows fail an invariance, direction, robustness or search, ``bool [rows]``."""
    if behaviour.kind == "direction":
        return _wrong_way(behaviour, task, before, after)
    turned = is_turned(task, before, after)
    if behaviour.kind == "invariance" or task.is_regression:
        tolerance = behaviour.options["tolerance"]
        allowed = _TOLERANCE if tolerance is None else float(str(tolerance))
        return turned | (moved(task, before, after) > allowed + _rounding(before))
    return turned


def _wrong_way(behaviour: Behaviour, task: Task, before: Floats, after: Floats) -> Bools:
    named = behaviour.options["of"]
    column = 1 if task.is_binary else 0
    if named is not None:
        column = task.classes.index(str(named))
    rise = after[:, column] - before[:, column]
    slack = float(str(behaviour.options["tolerance"])) + _rounding(before)
    if behaviour.options["expect"] == "up":
        return np.asarray(rise < -slack)
    if behaviour.options["expect"] == "down":
        return np.asarray(rise > slack)
    return np.asarray(np.abs(rise) <= slack)


def _rounding(before: Floats) -> Floats:
    """What float32 loses of answers of that size, ``[rows]``."""
    return np.asarray(_ROUNDING * np.maximum(1.0, np.abs(before).max(axis=1, initial=0.0)))


def is_known(behaviour: Behaviour, task: Task, given: Floats) -> Bools:
    """Which rows are answered as a minimum functionality test demands, ``bool [rows]``."""
    options = behaviour.options
    expect, low, high = options["expect"], options["at_least"], options["at_most"]
    holds = np.ones(len(given), dtype=np.bool_)
    if low is None and high is None:
        return _as_expected(expect, options["tolerance"], task, given)
    column = 0 if task.is_regression else task.classes.index(str(expect))
    if task.is_regression and expect is not None:
        holds &= _as_expected(expect, options["tolerance"], task, given)
    if low is not None:
        holds &= given[:, column] >= float(str(low)) - _rounding(given)
    if high is not None:
        holds &= given[:, column] <= float(str(high)) + _rounding(given)
    return holds


def _as_expected(expect: object, tolerance: object, task: Task, given: Floats) -> Bools:
    decided = answers(task, given)
    if task.is_regression:
        off = 0.0 if tolerance is None else float(str(tolerance))
        return np.asarray(np.abs(decided - float(str(expect))) <= off + _rounding(given))
    meant = task.classes.index(str(expect))
    return np.asarray(decided[:, meant] if task.is_multilabel else decided == meant)
