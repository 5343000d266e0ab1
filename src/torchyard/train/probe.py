"""A first look at an untrained module: does it take the features, and does it give logits?"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadData, BadModel, nearest
from torchyard.core.wording import listed
from torchyard.records.schema import Task
from torchyard.records.training import FeatureGraph
from torchyard.train.faults import outside_classes, raised
from torchyard.train.feed import Table

if TYPE_CHECKING:
    import torch
    from torch import nn

Tensors = Mapping[str, "torch.Tensor"]


def probe(module: nn.Module, features: FeatureGraph, table: Table, task: Task) -> None:
    """Run two rows through an untrained module, as in training and as after, and check the answer.

    Raises:
        BadData: a label is none that the task knows.
        BadModel: ``forward`` does not take the features by name, fails, changes its input, or does
            not return finite logits: one per row for a binary task, one per row and class for one
            of more classes; or one finite number per row.
    """
    import torch

    tensors = table.read(0, 2).tensors
    check_parameters(module, features, tensors)
    for is_training in (True, False):
        before = {name: tensor.clone() for name, tensor in tensors.items()}
        try:
            with torch.set_grad_enabled(is_training):
                logits = module.train(is_training)(**tensors)
        except Exception as error:
            raise raised(error, module, tensors, where="a first look") from error
        _check_input_is_whole(module, before, tensors)
    _check_logits(module, logits, task)
    _check_labels(table, task)


def check_parameters(module: nn.Module, features: FeatureGraph, tensors: Tensors) -> None:
    """Refuse a ``forward`` that lacks a parameter for a feature, or wants what no feature makes.

    Raises:
        BadModel: it does.
    """
    taken, needed, takes_all = _parameters(module)
    where = f"{type(module).__name__}.forward"
    expected = "parameters named as the features: " + ", ".join(
        f"{name} {_shape(features, name)}" for name in tensors
    )
    unknown = [name for name in needed if name not in tensors]
    if unknown:
        raise BadModel(
            where=where,
            found=f"parameter {listed([repr(name) for name in unknown])}, which no feature makes",
            expected=expected,
            remedy=f"{nearest(unknown[0], tensors)} Add it to ty.Features, or take it out.",
        )
    forgotten = [] if takes_all else [name for name in tensors if name not in taken]
    if forgotten:
        raise BadModel(
            where=where,
            found=f"no parameter for the feature {listed([repr(name) for name in forgotten])}",
            expected=expected,
            remedy="Add the parameter and use it, or take the feature out of ty.Features.",
        )


def _parameters(module: nn.Module) -> tuple[set[str], list[str], bool]:
    """The names that ``forward`` takes, those it must be given, and whether it takes any other."""
    taken: set[str] = set()
    needed: list[str] = []
    takes_all = False
    for name, parameter in inspect.signature(module.forward).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_all = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            taken.add(name)
            if parameter.default is parameter.empty:
                needed.append(name)
    return taken, needed, takes_all


def _check_input_is_whole(module: nn.Module, before: Tensors, after: Tensors) -> None:
    import torch

    for name, tensor in after.items():
        if not torch.equal(torch.nan_to_num(before[name]), torch.nan_to_num(tensor)):
            raise BadModel(
                where=f"{type(module).__name__}.forward",
                found=f"the tensor '{name}' {list(tensor.shape)} changed in place",
                expected="inputs left as they are: they are the stored rows of every epoch",
                remedy=f"Begin with {name} = {name}.clone(), or write {name} = {name} + ... "
                f"instead of {name} += ...",
            )


def _check_logits(module: nn.Module, logits: object, task: Task) -> None:
    import torch

    classes = len(task.classes)
    is_single = task.is_binary or task.is_regression
    one = "number" if task.is_regression else "logit"
    fitting = ((2,), (2, 1)) if is_single else ((2, classes),)
    where = f"{type(module).__name__}.forward"
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) not in fitting:
        raise BadModel(
            where=where,
            found=f"for 2 rows {_answer(logits)}",
            expected=f"one {one} per row, shape [2] or [2, 1]"
            if is_single
            else f"a logit of each of the {classes} classes per row, shape [2, {classes}]",
            remedy=f"Return the {one}s alone, as one tensor."
            if not isinstance(logits, torch.Tensor)
            else _last_layer(task),
        )
    if not logits.is_floating_point():
        raise BadModel(
            where=where,
            found=f"{one}s of {str(logits.dtype).removeprefix('torch.')}",
            expected="real numbers, which a gradient can pass",
            remedy="Return the last layer's outputs, not the class that they stand for.",
        )
    if not bool(torch.isfinite(logits).all()):
        raise BadModel(
            where=where,
            found=f"{one}s that are not finite on the first two training rows",
            expected="finite numbers",
            remedy="Look for a division by zero, a logarithm or an initialization at fault.",
        )


def _last_layer(task: Task) -> str:
    """How to end ``forward``."""
    if task.is_regression:
        return "End forward with a layer of one output."
    if task.is_binary:
        return "End forward with a layer of one output, without a sigmoid."
    squash = "sigmoid" if task.is_multilabel else "softmax"
    return f"End forward with a layer of {len(task.classes)} outputs, without a {squash}."


def _answer(made: object) -> str:
    """What ``forward`` gave, in words."""
    import torch

    if isinstance(made, torch.Tensor):
        return f"an answer of shape {list(made.shape)}"
    if isinstance(made, Mapping):
        inside = ", ".join(f"{name!r}: {_part(value)}" for name, value in list(made.items())[:5])
        return f"a {type(made).__name__} of {len(made)}: {inside}"
    if isinstance(made, (tuple, list)):
        inside = ", ".join(_part(value) for value in made[:5])
        return f"a {type(made).__name__} of {len(made)}: {inside}"
    return f"an answer of type {type(made).__name__}"


def _part(value: object) -> str:
    import torch

    return str(list(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__


def _check_labels(table: Table, task: Task) -> None:
    import torch

    truth = table.truth()
    if truth.dtype == np.bool_:
        return
    found = outside_classes(torch.from_numpy(truth), len(task.classes))
    if found:
        raise BadData(
            where=f"label '{task.label}', training rows",
            found=found,
            expected="finite numbers that 32 bits hold"
            if task.is_regression
            else f"the places of the task's {len(task.classes)} classes",
            remedy=f"{'C' if task.is_regression else 'List every class in the task, or c'}orrect "
            "the labels; then run the features stage again: rm -r .torchyard/stages/features",
        )


def _shape(features: FeatureGraph, name: str) -> str:
    tensor = features[name]
    return f"{tensor.dtype} [{', '.join(['rows', *map(str, tensor.shape)])}]"
