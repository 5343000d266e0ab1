"""Calibration as nodes of a graph: the same arithmetic as ``evaluate.calibrated``, in float64.

Every node works on each element alone, or along a row in one order, so an answer does not depend
on the rest of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, TensorProto, helper, numpy_helper

from torchyard.evaluate.calibrating.calibrated import LEAST_CHANCE, PER_CLASS
from torchyard.evaluate.calibrating.isotonic import pieces
from torchyard.records.calibration import Calibration, Curve
from torchyard.records.schema import Task

_PREFIX = "calibration/"


class Nodes:
    """Adds nodes to a graph; each call gives the name of what the node makes."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._made = 0

    def __call__(self, kind: str, *inputs: str, **attributes: object) -> str:
        """A node of one output."""
        name = self._next(kind)
        self._graph.node.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: object, kind: type[np.generic] = np.float64) -> str:
        """A constant tensor."""
        name = self._next("constant")
        tensor = numpy_helper.from_array(np.array(value, dtype=kind), name)
        self._graph.initializer.append(tensor)
        return name

    def _next(self, kind: str) -> str:
        self._made += 1
        return f"{_PREFIX}{kind.lower()}_{self._made}"


def add_calibration(graph: GraphProto, logits: str, *, calibration: Calibration, task: Task) -> str:
    """Add what turns a module's raw output into answers, ``float32 [rows, outputs]``.

    Args:
        graph: to which nodes are added; its outputs stay as they are.
        logits: the name of the raw output: ``[rows]`` or ``[rows, 1]`` of a binary task or a
            number, else ``[rows, classes]``.
        calibration: fitted, or ``AS_TRAINED``.
        task: what is predicted.

    Returns:
        The name of the answers, the task's ``output_name``.
    """
    nodes = Nodes(graph)
    width = 1 if task.is_binary or task.is_regression else len(task.classes)
    column = nodes("Reshape", logits, nodes.constant([-1, width], np.int64))
    z = nodes("Cast", column, to=TensorProto.DOUBLE)
    if task.is_regression:
        answers = _interval(nodes, z, calibration)
    elif task.is_binary:
        second = _alone(nodes, z, calibration)
        first = nodes("Sub", nodes.constant(1.0), second)
        answers = nodes("Concat", first, second, axis=1)
    else:
        answer = _alone if task.is_multilabel else _jointly
        answers = answer(nodes, z, calibration)
    cast = helper.make_node("Cast", [answers], [task.output_name], to=TensorProto.FLOAT)
    graph.node.append(cast)
    return task.output_name


def _alone(nodes: Nodes, z: str, calibration: Calibration) -> str:
    """The chance of each class by itself."""
    if calibration.method == "isotonic":
        return _read(nodes, z, calibration.curves)
    scores = _beta(nodes, z, calibration) if calibration.method == "beta" else None
    return nodes("Sigmoid", scores or _straight(nodes, z, calibration))


def _jointly(nodes: Nodes, z: str, calibration: Calibration) -> str:
    """The chances of classes of which exactly one is true."""
    if calibration.method not in PER_CLASS:
        return nodes("Softmax", _straight(nodes, z, calibration), axis=1)
    chances = _alone(nodes, _log_odds(nodes, z), calibration)
    return nodes("Div", chances, _sum(nodes, chances))


def _straight(nodes: Nodes, z: str, calibration: Calibration) -> str:
    """Logits by a temperature, or by a slope and a shift of each class."""
    if calibration.method == "none":
        return z
    if not calibration.slopes:
        return nodes("Div", z, nodes.constant(calibration.temperature))
    steep = nodes("Mul", nodes.constant(calibration.slopes), z)
    return nodes("Add", steep, nodes.constant(calibration.shifts))


def _beta(nodes: Nodes, z: str, calibration: Calibration) -> str:
    """As ``evaluate.calibrated`` has it; ``softplus(x)`` is ``max(x, 0) + log(1 + exp(-|x|))``."""
    zero, one = nodes.constant(0.0), nodes.constant(1.0)
    small = nodes("Exp", nodes("Neg", nodes("Abs", z)))
    tail = nodes("Log", nodes("Add", one, small))
    up = nodes("Add", nodes("Max", z, zero), tail)
    down = nodes("Add", nodes("Max", nodes("Neg", z), zero), tail)
    above = nodes("Mul", nodes.constant(calibration.slopes_above), up)
    below = nodes("Mul", nodes.constant(calibration.slopes), down)
    return nodes("Add", nodes("Sub", above, below), nodes.constant(calibration.shifts))


def _log_odds(nodes: Nodes, z: str) -> str:
    """The logarithm of each class's odds against all others together."""
    zero = nodes.constant(0.0)
    axis = nodes.constant([1], np.int64)
    centred = nodes("Sub", z, nodes("ReduceMax", z, axis, keepdims=1))
    chances = nodes("Exp", centred)
    largest = nodes("Equal", centred, zero)
    rest = _sum(nodes, nodes("Where", largest, zero, chances))
    equals = _sum(nodes, nodes("Cast", largest, to=TensorProto.DOUBLE))
    of_largest = nodes("Add", nodes("Sub", equals, nodes.constant(1.0)), rest)
    of_others = nodes("Sub", nodes("Add", equals, rest), chances)
    others = nodes("Where", largest, of_largest, of_others)
    floored = nodes("Max", others, nodes.constant(LEAST_CHANCE))
    return nodes("Sub", centred, nodes("Log", floored))


def _sum(nodes: Nodes, values: str) -> str:
    return nodes("ReduceSum", values, nodes.constant([1], np.int64), keepdims=1)


def _interval(nodes: Nodes, number: str, calibration: Calibration) -> str:
    """Value, low and high in the label's unit."""
    scale, interval = calibration.scale, calibration.interval
    stretched = nodes("Mul", nodes.constant(scale.deviation), number)
    value = nodes("Add", nodes.constant(scale.mean), stretched)
    if interval is None:
        return nodes("Concat", value, value, value, axis=1)
    width = nodes.constant(1.0)
    if interval.width is not None:
        width = _read(nodes, number, (interval.width,))
    low = nodes("Sub", value, nodes("Mul", nodes.constant(interval.lower), width))
    high = nodes("Add", value, nodes("Mul", nodes.constant(interval.upper), width))
    return nodes("Concat", value, low, high, axis=1)


def _read(nodes: Nodes, x: str, curves: Sequence[Curve]) -> str:
    """Each column read off its curve: the piece is the last one that begins at or below ``x``."""
    most = max(len(curve.x) for curve in curves)
    tables = [pieces(curve) for curve in curves]
    knots, heights, slopes = (
        np.stack([np.pad(table[part], (0, most - table[part].size)) for table in tables])
        for part in range(3)
    )
    begins = np.stack([
        np.pad(table[0][1:], (1, most - table[0].size), constant_values=(-np.inf, np.inf))
        for table in tables
    ])  # fmt: skip
    each = nodes("Unsqueeze", x, nodes.constant([2], np.int64))
    reached = nodes("GreaterOrEqual", each, nodes.constant(begins))
    counted = nodes("Cast", reached, to=TensorProto.UINT8)
    piece = nodes("ArgMax", counted, axis=2, keepdims=0, select_last_index=1)
    place = nodes("Add", piece, nodes.constant(np.arange(len(curves)) * most, np.int64))
    start, height, slope = (
        nodes("Gather", nodes.constant(table.reshape(-1)), place)
        for table in (knots, heights, slopes)
    )
    within = nodes("Max", x, nodes.constant(knots[:, 0]))
    return nodes("Add", height, nodes("Mul", nodes("Sub", within, start), slope))
