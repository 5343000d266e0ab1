"""Host steps: the part of the features that has no ONNX form, the same code everywhere.

A step reads one raw column and makes one input of the graph. A graph's steps stand in its ONNX
file's metadata under ``torchyard.host_steps``, as canonical JSON, so the file alone says how to
get from raw fields to its inputs. Splitting text is in ``tokens``, decoding pictures in
``pictures``; their libraries are loaded only where a file has such a step.

A file may come from anywhere, so its steps are held against the graph, and against the limits of
``records/sizes.py``, before anything is made of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np

from torchyard.core.digest import canonical_json
from torchyard.core.errors import BadRecord, BadUsage, NotReady
from torchyard.core.record import Json, from_json
from torchyard.records.sizes import LARGEST_STEPS_BYTES
from torchyard.records.training import HostStep

if TYPE_CHECKING:
    import onnxruntime

HOST_STEPS = "torchyard.host_steps"

Array = np.ndarray[Any, np.dtype[Any]]


class Runs(Protocol):
    """One step, ready to run."""

    def __call__(self, column: Array) -> Array:
        """Make the graph's input, ``dtype [rows, *shape]``, of a raw column ``[rows, 1]``."""


@final
class HostSteps:
    """The host steps of one file, ready to run; of most files there are none.

    Args:
        steps: the steps.
        where: what to call their source in errors, for example the file's name.

    Attributes:
        steps: the steps.
        fields: the raw field that each graph input of a step is made from.

    Raises:
        BadRecord: a step's options are not what its operation takes, or too large.
        NotReady: the library that a step needs is not installed.
    """

    def __init__(self, steps: Sequence[HostStep], *, where: str) -> None:
        self.steps = tuple(steps)
        self.fields = {step.output: step.field for step in self.steps}
        self._runs = [(step, _ready(step, where)) for step in self.steps]

    @classmethod
    def of_session(cls, session: onnxruntime.InferenceSession, *, where: str) -> HostSteps:
        """The steps that an opened ONNX file lists, ready to run.

        Raises:
            BadRecord: they are damaged, or do not fit the graph.
            NotReady: the library that a step needs is not installed.
        """
        return cls(read_steps(session, where=where), where=where)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def raw_inputs(self, inputs: Sequence[str]) -> tuple[str, ...]:
        """The raw fields behind a graph's inputs, each once, in the inputs' order."""
        return tuple(dict.fromkeys(self.fields.get(name, name) for name in inputs))

    def run(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Make the graph's inputs of raw columns ``[rows, 1]``: one array per step.

        Raises:
            BadData: a picture cannot be decoded.
            BadModel: a tokenizer failed on a text.
            BadUsage: a column holds something else than texts or encoded pictures.
            KeyError: a step's column is missing.
        """
        return {step.output: run(_things(columns, step.field)) for step, run in self._runs}


def read_steps(session: onnxruntime.InferenceSession, *, where: str) -> tuple[HostStep, ...]:
    """The steps that an opened ONNX file lists; of most files there are none.

    Raises:
        BadRecord: the list is no canonical JSON or larger than ``LARGEST_STEPS_BYTES``; a step
            makes something that the graph does not take, or what another one makes.
    """
    text = session.get_modelmeta().custom_metadata_map.get(HOST_STEPS)
    if text is None:
        return ()
    where = f"{where}, metadata {HOST_STEPS}"
    values = _parse(text, where)
    if not isinstance(values, list):
        raise _damaged(where, type(values).__name__, "a list of host steps")
    steps = tuple(from_json(HostStep, value, where=where) for value in values)
    _check_fit(steps, session, where)
    return steps


def _parse(text: str, where: str) -> Json:
    """Canonical JSON says everything once, and has no numbers that are not finite."""
    expected = f"host steps as canonical JSON of at most {LARGEST_STEPS_BYTES >> 20} MiB"
    if len(text) > LARGEST_STEPS_BYTES:
        raise _damaged(where, f"{len(text) >> 20} MiB", expected)
    try:
        values: Json = json.loads(text)
        canonical = canonical_json(values)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, str(error), expected) from error
    if canonical != text.encode():
        raise _damaged(where, "JSON in another form, or with a name twice", expected)
    return values


def _check_fit(
    steps: Sequence[HostStep], session: onnxruntime.InferenceSession, where: str
) -> None:
    """Refuse a step whose output the graph does not take as it is, and outputs made twice."""
    inputs = {node.name: (node.type, node.shape) for node in session.get_inputs()}
    for step in steps:
        kind, shape = inputs.pop(step.output, ("", []))
        expected = f"tensor({step.dtype}) [rows, {', '.join(map(str, step.shape))}]"
        rows, *sizes = shape or [0]
        if kind != f"tensor({step.dtype})" or isinstance(rows, int) or sizes != [*step.shape]:
            raise _damaged(
                f"{where}, output '{step.output}'",
                f"an input {kind} {shape}" if kind else "no such input, or one made already",
                f"an input of the graph, {expected}, that one step makes",
            )


def _ready(step: HostStep, where: str) -> Runs:
    try:
        if step.operation == "tokenize":
            from torchyard.features.tokens import Tokens

            return Tokens(step, where=where)
        from torchyard.features.pictures import Pictures

        return Pictures(step, where=where)
    except ModuleNotFoundError as error:
        extra = "text" if step.operation == "tokenize" else "image"
        raise NotReady(
            where=f"{where}, field '{step.field}'",
            found=f"no library '{error.name}'",
            expected=f"what reads the inputs of a model that takes {extra}s",
            remedy=f"Install it with: pip install 'torchyard[{extra}]'",
        ) from error


def _things(columns: Mapping[str, Array], field: str) -> Array:
    column = columns[field]
    if column.dtype != object:
        raise BadUsage(
            where=f"field '{field}'",
            found=f"a raw column of {column.dtype}",
            expected="texts or encoded pictures, which a host step reads",
            remedy="Compare the schema with the fields that the model's file names.",
        )
    return column


def _damaged(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=where,
        found=found,
        expected=expected,
        remedy="Restore the file from its release, or export the variant again.",
    )
