"""Training settings that a call replaces, as texts or as values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torchyard.core.errors import BadProject, BadUsage, nearest
from torchyard.project.settings import check_training
from torchyard.records.training import Training

Settings = Mapping[str, object]

_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
# settings that are a limit, or none
_LIMITS = ("clip_norm",)


def changed(training: Training, settings: Settings) -> Training:
    """Training settings with some replaced; texts are read as the setting's type.

    Example:
        >>> changed(Training(), {"seed": "11", "learning_rate": 0.01}).seed
        11

    Raises:
        BadUsage: a setting does not exist, has another type or is out of its range.
    """
    if not isinstance(settings, Mapping):
        raise BadUsage(
            where="training settings",
            found=f"a {type(settings).__name__}",
            expected="settings by name",
            remedy="For example training={'seed': 11}.",
        )
    fields = {field.name: field for field in dataclasses.fields(Training)}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in fields:
            raise BadUsage(
                where="training settings",
                found=f"'{name}'",
                expected="a setting of ty.Training",
                remedy=nearest(name, fields),
            )
        values[name] = _as_type(name, value, getattr(Training(), name))
    replaced = dataclasses.replace(training, **values)
    try:
        check_training(replaced)
    except BadProject as error:
        raise BadUsage(
            where=error.where, found=error.found, expected=error.expected, remedy=error.remedy
        ) from error
    return replaced


def _as_type(name: str, value: object, default: object) -> object:
    if name in _LIMITS and isinstance(value, str) and value.lower() == "none":
        return None
    kind: Callable[[Any], object] = _as_bool if isinstance(default, bool) else type(default)
    if not isinstance(value, str) and (kind, type(value)) != (float, int):
        return value
    try:
        return kind(value)
    except (KeyError, ValueError) as error:
        raise BadUsage(
            where=f"training setting '{name}'",
            found=repr(value),
            expected=_EXPECTED[type(default)] + (", or none" if name in _LIMITS else ""),
            remedy=f"Write it like {name}={default}.",
        ) from error


def _as_bool(text: str) -> bool:
    """``true`` or ``false``, however they are written."""
    return {"true": True, "false": False}[text.lower()]
