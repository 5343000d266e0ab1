"""The project: everything about a model that a person decides, in one frozen object."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadProject
from torchyard.data.rules import Checks
from torchyard.project.abstaining import check_abstain
from torchyard.project.ageing import AgeingPlan, check_ageing
from torchyard.project.behaviour_checks import (
    as_behaviours,
    check_behaviour_gates,
    check_behaviours,
)
from torchyard.project.expectations import Expectation
from torchyard.project.features import FeatureSet
from torchyard.project.gates import check_rivals
from torchyard.project.protected import check_groups, named_groups
from torchyard.project.references import check_transform, need_fields
from torchyard.project.search import check_search
from torchyard.project.settings import check_objective, check_training, checked_runtimes
from torchyard.project.slicing import Slice, as_slices, check_slices
from torchyard.records.abstaining import AbstainRule
from torchyard.records.dataset import SplitRule
from torchyard.records.evidence import Runtime
from torchyard.records.schema import FieldKind, Schema, Task
from torchyard.records.search import SearchSpace
from torchyard.records.training import FeatureGraph, Training
from torchyard.records.verdicts import Gate, Objective

if TYPE_CHECKING:
    from torch import nn

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PARTS: tuple[tuple[str, type, str], ...] = (
    ("name", str, "a text"),
    ("task", Task, "ty.binary_classification(...), ty.regression(...) or another task"),
    ("schema", Schema, "ty.Schema(...)"),
    ("split", SplitRule, "ty.split_by_time(...) or another split"),
    ("features", FeatureSet, "ty.Features(...)"),
    ("training", Training, "ty.Training(...)"),
    ("objective", Objective, "ty.Objective(...)"),
    ("checks", Checks, "ty.Checks(...)"),
    ("description", str, "a text"),
)
_SPLIT_KINDS: dict[str, tuple[FieldKind, ...]] = {"time": ("timestamp",), "given": ("category",)}


def is_name(text: str) -> bool:
    """Whether a text may name a project: a letter, then lower-case letters, digits, dashes.

    Example:
        >>> is_name("flight-delay"), is_name("Flight delay")
        (True, False)
    """
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Project:
    """A model's whole declaration. ``project.py`` binds one to the name ``project``.

    Attributes:
        name: lower-case letters, digits and dashes; it is the model's name in URLs.
        task: what is predicted.
        schema: the raw fields of a row.
        data: a path or URL of a table or a folder of pictures, or a function that returns a table
            (polars, pandas, Arrow, Hugging Face ``datasets``) with the schema's fields and the
            label as columns.
        split: how rows are parted.
        features: tensors by name, see ``ty.Features``.
        model: an ``nn.Module`` class, or a function, that takes the fitted ``FeatureGraph``; its
            ``forward`` takes the tensors by name and returns logits: one per row for a binary task,
            ``[rows]`` or ``[rows, 1]``, and ``[rows, classes]`` for one of more classes. For a
            regression it returns a number per row, ``[rows]`` or ``[rows, 1]``, standardized where
            the task is.
        training: settings of the run.
        fit: your own training instead of torchyard's loop: a function that takes a ``ty.Fitting``
            and returns the module, trained.
        weights: a file of weights that were trained elsewhere, for ``model`` to carry: safetensors,
            or a ``state_dict`` saved by ``torch.save``. A path is relative to ``project.py``.
        gates: limits that every shipped variant must clear.
        objective: the service level.
        runtimes: what the model is built for: ``onnxruntime``, ``openvino`` (the extra of that
            name), ``torch`` (a program of ``torch.export``), ``aotinductor`` (the same, compiled,
            for one kind of machine). Releases with one of the last two hold code.
        search: what ``torchyard tune`` may change, see ``ty.Search``.
        slices: what is reported alone: category or boolean fields, every value of them, and
            ``ty.slice(...)``.
        behaviours: what the model must do when a row is changed, see ``ty.invariant``.
        checks: rules beyond the schema, and when data is refused.
        staleness: how a model's quality falls with its age, see ``ty.Staleness``.
        abstain: when the model is not to answer, see ``ty.Abstain``.
        description: a sentence for the model card: who uses the answers, and for what.

    Raises:
        BadProject: a name is malformed, a part is of another kind or out of its range, or something
            refers to a field that does not exist.
    """

    name: str
    task: Task
    schema: Schema
    data: str | Callable[[], Any]
    split: SplitRule
    features: FeatureSet
    model: Callable[[FeatureGraph], nn.Module]
    training: Training = Training()
    fit: Callable[[Any], nn.Module] | None = None
    weights: str | None = None
    search: SearchSpace | None = None
    gates: tuple[Gate, ...] | list[Gate] = ()
    objective: Objective = Objective()
    runtimes: tuple[Runtime, ...] | list[Runtime] = ("onnxruntime",)
    slices: tuple[str | Slice, ...] | list[str | Slice] = ()
    behaviours: tuple[Expectation, ...] | list[Expectation] = ()
    checks: Checks = Checks()
    staleness: AgeingPlan | None = None
    abstain: AbstainRule | None = None
    description: str = ""

    def __post_init__(self) -> None:
        self._check_parts()
        object.__setattr__(self, "gates", named_groups(self.gates, self.schema))
        object.__setattr__(self, "slices", tuple(self.slices))
        object.__setattr__(self, "behaviours", as_behaviours(self.behaviours))
        self._check_names()
        check_training(self.training)
        if self.search is not None:
            check_search(self.search, self.training, self.model)
        check_objective(self.objective)
        object.__setattr__(self, "runtimes", checked_runtimes(self.runtimes))
        check_ageing(self.staleness, self.split)
        check_abstain(self.abstain, self.schema, self.task, self.gates)
        for transform in self.features:
            check_transform(transform, self.schema, f"features: {transform.output}")
        need_fields(
            self.schema, self.split.fields, f"split by {self.split.by}",
            _SPLIT_KINDS.get(self.split.by, ()),
        )  # fmt: skip
        check_slices(self.sliced, self.schema)
        self._check_shown()
        self._check_checks()
        check_behaviours(self.behaviours, self.schema, self.task)
        check_behaviour_gates(self.gates, self.behaviours)
        self._check_gates()

    @property
    def sliced(self) -> tuple[Slice, ...]:
        """Every slice that is declared, a field's name as the slice by its values."""
        return as_slices(self.slices)

    def _check_parts(self) -> None:
        for name, kind, word in _PARTS:
            if not isinstance(getattr(self, name), kind):
                raise _misfit(name, getattr(self, name), word)
        as_slices(self.slices)
        gates = self.gates
        if not isinstance(gates, (tuple, list)) or not all(isinstance(g, Gate) for g in gates):
            raise _misfit("gates", gates, "a list of ty.gate(...)")
        is_made = hasattr(self.model, "state_dict") and not isinstance(self.model, type)
        if is_made or not callable(self.model):
            raise _misfit("model", self.model, "an nn.Module class, or a function that makes one")
        if self.fit is not None and not _takes_one(self.fit):
            raise _misfit("fit", self.fit, "a function of one argument, a ty.Fitting, or nothing")
        if self.weights is not None and not (isinstance(self.weights, str) and self.weights):
            raise _misfit("weights", self.weights, "a path as text, or nothing")
        if self.fit is not None and self.weights is not None:
            raise _misfit("fit", self.fit, "nothing beside weights=, which are trained already")
        if self.search is not None and not isinstance(self.search, SearchSpace):
            raise _misfit("search", self.search, "ty.Search(...), or nothing")
        if self.search is not None and self.weights is not None:
            raise _misfit("search", "a search", "nothing beside weights=, trained already")

    def _check_names(self) -> None:
        if not is_name(self.name):
            raise BadProject(
                where="project name",
                found=repr(self.name),
                expected="a letter, then lower-case letters, digits and dashes",
                remedy="It is part of URLs: for example 'flight-delay'.",
            )
        if self.task.label in self.schema.names:
            raise BadProject(
                where="schema",
                found=f"the label '{self.task.label}' among the fields",
                expected="only what is known before the answer",
                remedy="Take it out of ty.Schema: the task names it already.",
            )
        if not self.features:
            raise BadProject(
                where="features",
                found="no features",
                expected="at least one tensor for the model",
                remedy="For example features=ty.Features(numbers=ty.standardize('distance')).",
            )

    def _check_shown(self) -> None:
        """Refuse reports by the values of a personal field, but for those that it lists."""
        for field in self.schema.fields:
            is_shown = field.protected or field.name in {one.field for one in self.sliced}
            is_stated = field.kind == "boolean" or field.group_names
            if is_shown and field.is_withheld and not is_stated:
                raise BadProject(
                    where=f"schema, {field.name}",
                    found="a personal field whose values would stand in reports, group by group",
                    expected="values that are the schema's, not a person's",
                    remedy=f"List them: {field.name}=ty.category([...]); or allow=['log'].",
                )

    def _check_checks(self) -> None:
        for names in self.checks.unique:
            need_fields(self.schema, names, "checks, unique")
        for rule in self.checks.rules:
            known = [name for name in rule.fields if name != self.task.label]
            need_fields(self.schema, known, f"checks, rule '{rule.name}'")
        if self.checks.fresh is not None:
            need_fields(self.schema, (self.checks.fresh,), "checks, fresh", ("timestamp",))

    def _check_gates(self) -> None:
        check_groups(self.gates, self.schema)
        check_rivals(self.gates, self.split)
        names = [one.name for one in self.sliced]
        for gate in self.gates:
            if gate.per_slice is not None and gate.per_slice not in names:
                raise BadProject(
                    where=f"gate {gate.metric}, per_slice",
                    found=f"'{gate.per_slice}', which is not a slice field",
                    expected="a field listed in slices=",
                    remedy=f"Add slices=['{gate.per_slice}'] to the project.",
                )


def _takes_one(function: object) -> bool:
    """Whether something can be called with one argument."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # of what has no signature to look at
        return True
    return True


def _misfit(name: str, found: object, expected: str) -> BadProject:
    return BadProject(
        where=f"ty.Project(..., {name}=)",
        found=repr(found),
        expected=expected,
        remedy="See docs/project-file.md for what each part takes.",
    )
