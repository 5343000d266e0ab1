"""Host steps: the part of the features that has no ONNX form, the same code everywhere.

A step reads one raw column and makes one input of the graph. A graph's steps stand in its ONNX
file's metadata under ``torchyard.host_steps``, as canonical JSON, so the file alone says how to
get from raw fields to its inputs. Splitting text is in ``tokens``, decoding pictures in
``pictures``; their libraries are loaded only where a file has such a step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, final

import numpy as np

from torchyard.core.errors import BadRecord, NotReady
from torchyard.core.record import from_json
from torchyard.records.training import HostStep

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
        BadRecord: a step's options are not what its operation takes.
        NotReady: the library that a step needs is not installed.
    """

    def __init__(self, steps: Sequence[HostStep], *, where: str) -> None:
        self.steps = tuple(steps)
        self.fields = {step.output: step.field for step in self.steps}
        self._runs = [(step, _ready(step, where)) for step in self.steps]

    @classmethod
    def of_file(cls, metadata: Mapping[str, str], *, where: str) -> HostSteps:
        """The steps that an ONNX file's metadata lists, ready to run.

        Raises:
            BadRecord: the metadata is damaged.
            NotReady: the library that a step needs is not installed.
        """
        return cls(read_steps(metadata, where=where), where=where)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def raw_inputs(self, inputs: Sequence[str]) -> tuple[str, ...]:
        """The raw fields behind a graph's inputs, each once, in the inputs' order."""
        return tuple(dict.fromkeys(self.fields.get(name, name) for name in inputs))

    def run(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Make the graph's inputs of raw columns ``[rows, 1]``: one array per step.

        Raises:
            BadData: a picture cannot be decoded.
            KeyError: a step's column is missing.
        """
        return {step.output: run(columns[step.field]) for step, run in self._runs}


def read_steps(metadata: Mapping[str, str], *, where: str) -> tuple[HostStep, ...]:
    """The steps that an ONNX file's metadata lists; of most files there are none.

    Raises:
        BadRecord: the metadata is damaged.
    """
    text = metadata.get(HOST_STEPS)
    if text is None:
        return ()
    where = f"{where}, metadata {HOST_STEPS}"
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _damaged(where, str(error), "a list of host steps as JSON") from error
    if not isinstance(values, list):
        raise _damaged(where, type(values).__name__, "a list of host steps")
    return tuple(from_json(HostStep, value, where=where) for value in values)


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


def _damaged(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=where,
        found=found,
        expected=expected,
        remedy="Restore the file from its release, or export the variant again.",
    )
