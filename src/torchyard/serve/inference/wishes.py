"""Which outputs a client wants and in which form, and what they hold.

Source: the classification extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torchyard.core.errors import BadData
from torchyard.records.schema import Task
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.inference.bodies import Parameters, Wanted
from torchyard.serve.inference.choosing import wanted_outputs
from torchyard.serve.predictions import EXPLANATION, Output, tensor_data


class Wish(NamedTuple):
    """An output as a client wants it.

    ``most`` is how many of the most probable classes it shall name, None for the tensor itself.
    """

    output: Output
    is_binary: bool
    most: int | None = None


class Given(NamedTuple):
    """An output as it is answered: datatype, shape, and elements, row after row."""

    datatype: str
    shape: list[int]
    values: list[object]


def wishes_of(
    engine: Engine, parameters: Parameters | None, outputs: Sequence[Wanted] | None
) -> list[Wish]:
    """The outputs that a request wants, in its order; all of them when it names none.

    Args:
        engine: who answers.
        parameters: of the request.
        outputs: those that it names.

    Raises:
        BadData: there is no such output, or a parameter is not what it should be.
    """
    is_binary = _flag(parameters, "binary_data_output", "$.parameters") or False
    if not outputs:
        return [Wish(output, is_binary) for output in wanted_outputs(engine, ())]
    known = wanted_outputs(engine, [wanted.name for wanted in outputs])
    wishes = []
    for place, (output, wanted) in enumerate(zip(known, outputs, strict=True)):
        where = f"$.outputs[{place}].parameters"
        own = _flag(wanted.parameters, "binary_data", where)
        most = _most(wanted.parameters, output, engine, where)
        wishes.append(Wish(output, is_binary if own is None else own, most))
    return wishes


def explanation_of(parameters: Parameters | None, *, is_binary: bool = False) -> list[Wish]:
    """The output that ``parameters.explain`` asks for, beside those that are named.

    Raises:
        BadData: the parameter is not what it should be.
    """
    wanted = _flag(parameters, "explain", "$.parameters")
    return [Wish(EXPLANATION, is_binary)] if wanted else []


def given(task: Task, wish: Wish, scores: Scores) -> Given:
    """What an output holds.

    Args:
        task: what was predicted.
        wish: the output, and its form.
        scores: one list for each row.
    """
    output, datatype, shape = wish.output, str(wish.output.datatype), list(wish.output.shape)
    values = tensor_data(task, output, scores)
    if wish.most is not None:
        values = _named(values, task.classes, wish.most)
        datatype, shape = "BYTES", [wish.most]
    return Given(datatype, [len(scores), *shape], values)


def _named(values: Sequence[object], classes: Sequence[str], most: int) -> list[object]:
    """``value:index:class`` of every row's most probable classes; empty where none is given."""
    named: list[object] = []
    for start in range(0, len(values), len(classes)):
        row = [float(str(value)) for value in values[start : start + len(classes)]]
        order = sorted(range(len(row)), key=lambda place: -row[place])[:most]
        named += [
            "" if math.isnan(row[place]) else f"{row[place]:f}:{place}:{classes[place]}"
            for place in order
        ]
    return named


def _flag(parameters: Parameters | None, name: str, where: str) -> bool | None:
    flag = parameters.get(name) if parameters else None
    if flag is None or isinstance(flag, bool):
        return flag
    raise _refusal(f"{where}.{name}", "something else", "true or false")


def _most(parameters: Parameters | None, output: Output, engine: Engine, where: str) -> int | None:
    most = parameters.get("classification") if parameters else None
    if not most:
        return None
    classes = engine.task.classes
    if output.name != engine.task.output_name or not classes:
        raise _refusal(f"{where}.classification", f"'{output.name}'", "probabilities of classes")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise _refusal(f"{where}.classification", "something else", "a number of classes")
    return min(most, len(classes))


def _refusal(where: str, found: str, expected: str) -> BadData:
    return BadData(where=where, found=found, expected=expected, remedy="Correct the request body.")
