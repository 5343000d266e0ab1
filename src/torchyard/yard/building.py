"""The project's own module, built for its features; a fault of its code is a refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadModel, YardError
from torchyard.project import Project
from torchyard.records.training import FeatureGraph

if TYPE_CHECKING:
    from torch import nn


def build_module(project: Project, features: FeatureGraph) -> nn.Module:
    """The untrained module of a project.

    Raises:
        BadModel: its code raises, or makes something else.
    """
    from torch import nn

    from torchyard.train.places import line_where

    where = f"model {_name(project.model)}"
    try:
        module = project.model(features)
    except YardError:
        raise
    except (Exception, SystemExit) as error:
        line = line_where(error)
        raise BadModel(
            where=f"{where} ({line})" if line else where,
            found=f"{type(error).__name__}: {' '.join(str(error).split())}",
            expected="a module made from the fitted features",
            remedy="Mend that line. It was given the features of these tensors: "
            f"{', '.join(tensor.name for tensor in features.tensors)}.",
        ) from error
    if not isinstance(module, nn.Module):
        raise BadModel(
            where=where,
            found=f"a {type(module).__name__}",
            expected="a torch.nn.Module",
            remedy="Give ty.Project(model=) a subclass of nn.Module, or a function that returns "
            "one.",
        )
    return module


def _name(model: Callable[..., Any]) -> str:
    """What the project file calls it, with the arguments that a search chose."""
    if isinstance(model, partial):
        chosen = ", ".join(f"{name}={value!r}" for name, value in model.keywords.items())
        return f"{_name(model.func)}({chosen})"
    return str(getattr(model, "__name__", model))
