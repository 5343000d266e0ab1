"""Declaring a search: which settings of training, which arguments of the model, between what."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torchyard.core.errors import BadProject, nearest
from torchyard.project.needs import is_number, need_at_least
from torchyard.project.settings import check_training
from torchyard.records.search import Choice, Range, SearchSpace
from torchyard.records.training import Training

_SETTINGS = (
    "max_epochs", "batch_size", "learning_rate", "weight_decay", "clip_norm", "patience",
    "precision", "optimizer", "schedule", "warmup", "accumulate",
)  # fmt: skip
_WHERE = "ty.Search(...)"


def Search(  # noqa: N802 - reads as the other parts of a project do
    *, trials: int = 20, model: Mapping[str, Range] | None = None, **settings: Range
) -> SearchSpace:
    """What ``torchyard tune`` may change, to find the lowest validation loss.

    Args:
        trials: how many are tried in all.
        model: ranges of keyword arguments of the project's ``model``, by name: it is called as
            ``model(features, hidden=128)``. Give each a default there, for runs without a search.
        settings: ranges of settings of ``ty.Training``, by name.

    Raises:
        BadProject: nothing is to be searched, or what is given is no range.

    Example:
        >>> space = Search(
        ...     learning_rate=log_uniform(1e-4, 1e-2), batch_size=choice(256, 1024),
        ...     model=dict(hidden=whole(32, 256, log=True), dropout=uniform(0.0, 0.3)),
        ... )
        >>> list(space.settings), list(space.model)
        (['learning_rate', 'batch_size'], ['hidden', 'dropout'])
    """
    need_at_least(trials, 1, where=_WHERE, name="trials")
    if model is not None and not isinstance(model, Mapping):
        raise _misfit("model", model, "ranges by name: model=dict(hidden=ty.choice(64, 128))")
    for name, found in (*settings.items(), *(model or {}).items()):
        if not isinstance(found, Range):
            raise _misfit(name, found, "ty.uniform, ty.log_uniform, ty.whole or ty.choice")
    if not settings and not model:
        raise BadProject(
            where=_WHERE,
            found="nothing to search",
            expected="a range of at least one setting, or argument of the model",
            remedy="For example ty.Search(learning_rate=ty.log_uniform(1e-4, 1e-2)).",
        )
    return SearchSpace(settings=dict(settings), model=dict(model or {}), trials=trials)


def uniform(low: float, high: float) -> Range:
    """Numbers from ``low`` to ``high``: equal differences are equally likely at first.

    Raises:
        BadProject: the bounds are no finite numbers in rising order.
    """
    _need_rising("uniform", low, high)
    return Range(kind="number", low=float(low), high=float(high))


def log_uniform(low: float, high: float) -> Range:
    """Numbers from ``low`` to ``high``, above 0: equal ratios are equally likely at first.

    Raises:
        BadProject: the bounds are no finite numbers above 0 in rising order.
    """
    _need_rising("log_uniform", low, high, log=True)
    return Range(kind="number", low=float(low), high=float(high), log=True)


def whole(low: int, high: int, *, log: bool = False) -> Range:
    """Whole numbers from ``low`` to ``high``, both included.

    Args:
        low: the smallest.
        high: the largest.
        log: equal ratios are equally likely at first, instead of equal differences.

    Raises:
        BadProject: the bounds are no whole numbers in rising order, or ``log`` and not above 0.
    """
    for bound in (low, high):
        if type(bound) is not int or abs(bound) > 2**53:
            raise BadProject(
                where=f"ty.whole({low!r}, {high!r})",
                found=repr(bound),
                expected="a whole number",
                remedy="Use ty.uniform for other numbers.",
            )
    _need_rising("whole", low, high, log=log)
    return Range(kind="whole", low=float(low), high=float(high), log=log)


def choice(*values: Choice) -> Range:
    """One of some values, which have no order: texts, numbers, true and false, None.

    Raises:
        BadProject: there are fewer than two, two are equal, or one is of another kind.
    """
    where = f"ty.choice({', '.join(map(repr, values))})"
    for value in values:
        is_plain = value is None or isinstance(value, (str, bool)) or is_number(value)
        if not is_plain:
            raise BadProject(
                where=where,
                found=repr(value),
                expected="texts, finite numbers, true and false, None",
                remedy="Choose between names, and let the model turn a name into what it means.",
            )
    if len(values) < 2 or len(set(values)) < len(values):
        raise BadProject(
            where=where,
            found="two that are equal" if len(values) > 1 else f"{len(values)} of them",
            expected="at least two different values",
            remedy="Put what is not searched into ty.Training, or the model's defaults.",
        )
    return Range(kind="choice", choices=values)


def check_search(space: SearchSpace, training: Training, model: Callable[..., Any]) -> None:
    """Refuse a search of what is no setting, of what the model does not take, or beyond limits.

    Raises:
        BadProject: one of these.
    """
    for name in space.settings:
        if name not in _SETTINGS:
            raise _no_setting(name)
    for name, allowed in space.settings.items():
        for end in allowed.ends:
            _check_setting(training, name, end)
    takes, takes_any = _arguments(model)
    for name in space.model:
        if name not in takes and not takes_any:
            raise BadProject(
                where="ty.Search(..., model=)",
                found=f"'{name}', which {_name(model)} does not take",
                expected="keyword arguments of the project's model, after the features",
                remedy=nearest(name, takes)
                if takes
                else f"Give it one: def {_name(model)}(features, {name}=...).",
            )


def _no_setting(name: str) -> BadProject:
    known = {field.name for field in dataclasses.fields(Training)}
    if name not in known:
        return BadProject(
            where=_WHERE,
            found=f"'{name}'",
            expected="a setting of ty.Training; arguments of the model go into model=dict(...)",
            remedy=nearest(name, _SETTINGS),
        )
    return BadProject(
        where=_WHERE,
        found=f"'{name}', which makes no better model",
        expected=f"some of {', '.join(_SETTINGS)}",
        remedy="Choosing a seed by the validation loss would be choosing luck: fix it in "
        "ty.Training."
        if name == "seed"
        else "Fix it in ty.Training.",
    )


def _check_setting(training: Training, name: str, value: Choice) -> None:
    changes: dict[str, Any] = {name: value}
    try:
        check_training(dataclasses.replace(training, **changes))
    except BadProject as error:
        raise BadProject(
            where=f"ty.Search(..., {name}=)",
            found=f"{value!r} among its values: {error.found}",
            expected=error.expected,
            remedy="Whole numbers: ty.whole(low, high)."
            if "whole number" in error.expected or error.expected == "int"
            else "Take it out of the range.",
        ) from error


def _arguments(model: Callable[..., Any]) -> tuple[list[str], bool]:
    """The keyword arguments that a model takes beside the features, and whether it takes any."""
    try:
        parameters = list(inspect.signature(model).parameters.values())
    except (TypeError, ValueError):  # of what has no signature to look at
        return [], True
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if parameters and parameters[0].kind in by_place:
        del parameters[0]  # the features
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [one.name for one in parameters if one.kind in by_name]
    return names, any(one.kind == inspect.Parameter.VAR_KEYWORD for one in parameters)


def _name(model: Callable[..., Any]) -> str:
    return getattr(model, "__name__", "the model")


def _need_rising(word: str, low: float, high: float, *, log: bool = False) -> None:
    expected = "two finite numbers, the smaller one first" + (", above 0" if log else "")
    is_fine = is_number(low) and is_number(high) and low < high and (low > 0 or not log)
    if not is_fine:
        raise BadProject(
            where=f"ty.{word}({low!r}, {high!r})",
            found=f"from {low!r} to {high!r}",
            expected=expected,
            remedy="For example ty.log_uniform(1e-4, 1e-2)." if log else "Swap or widen them.",
        )


def _misfit(name: str, found: object, expected: str) -> BadProject:
    return BadProject(
        where=f"ty.Search(..., {name}=)",
        found=repr(found),
        expected=expected,
        remedy="A value that is not searched goes into ty.Training, or the model's defaults.",
    )
