"""The feature graph: fitted transforms as one ONNX graph from raw columns to named tensors.

A row gets the same bits alone and in any batch, because only these operations are used: arithmetic
on single elements, comparisons, look-ups, and logarithms one by one. Vectorized logarithms and
cosines are not among them: they round differently at the end of a batch. What each transform
writes stands with its family (``numeric``, ``times``, ``codes``, ``media``, ``custom``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from torchyard.core.digest import canonical_json
from torchyard.core.record import to_json
from torchyard.features.encode import HOST_STEPS, OUTPUT_PREFIX
from torchyard.features.export import IR_VERSION, ML_OPSET, OPSET
from torchyard.records.schema import Field, Schema
from torchyard.records.training import FeatureTensor, HostStep, Transform

if TYPE_CHECKING:
    from torch import nn

Path = tuple[str | int, ...]  # a tensor's name, then the places of inputs, down to one transform
Array = np.ndarray[Any, np.dtype[Any]]

_LARGEST = float(np.finfo(np.float32).max)
_RAW_TYPES = {
    **dict.fromkeys(("number", "integer", "boolean"), TensorProto.DOUBLE),
    **dict.fromkeys(("category", "text", "id"), TensorProto.STRING),
    "timestamp": TensorProto.INT64,
}
_TYPES = {
    "float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Numbers:
    """Names of ``double [rows, width]`` and, where a value can be missing, of two ``bool`` tensors.

    ``missing`` is ``[rows, width]``: what ``value`` holds there means nothing. ``flags`` is
    ``[rows, flag_count]``: what is appended to the tensor that these numbers become.
    """

    value: str
    width: int
    missing: str | None = None
    flags: str | None = None
    flag_count: int = 0


@dataclass(frozen=True, slots=True)
class Codes:
    """The name of ``int64 [rows]``, each at least 0 and below ``cardinality``."""

    value: str
    cardinality: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The name of a tensor that is made already, ``float32`` or ``int64 [rows, *shape]``."""

    value: str
    dtype: str
    shape: tuple[int, ...]
    cardinality: int = 0


Made = Numbers | Codes | Finished


class Writer:
    """Collects the nodes, constants, raw inputs and host steps of one graph."""

    def __init__(
        self, schema: Schema, learnt: Mapping[Path, Any], modules: Mapping[str, nn.Module]
    ) -> None:
        self.schema = schema
        self.learnt = learnt
        self.modules = modules
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.opsets = {"": OPSET, "ai.onnx.ml": ML_OPSET, "com.microsoft": 1}
        self.raw: set[str] = set()
        self.steps: list[HostStep] = []

    def model(self, outputs: Sequence[onnx.ValueInfoProto], steps: Sequence[HostStep]) -> Any:
        """The checked model; raw inputs in the schema's order, then those of host steps."""
        inputs = [_raw_input(field) for field in self.schema.fields if field.name in self.raw]
        inputs += [
            helper.make_tensor_value_info(step.output, _TYPES[step.dtype], ["rows", *step.shape])
            for step in steps
        ]
        graph = helper.make_graph(self.nodes, "features", inputs, outputs, self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*item) for item in sorted(self.opsets.items())],
            producer_name="torchyard",
            ir_version=IR_VERSION,
        )
        if steps:
            text = canonical_json(to_json(tuple(steps))).decode()
            helper.set_model_props(model, {HOST_STEPS: text})
        onnx.checker.check_model(model)
        return model


@dataclass(frozen=True, slots=True)
class Place:
    """Where one transform is written: what it reads, what it learnt, and names of its own."""

    writer: Writer
    transform: Transform
    path: Path

    @property
    def learnt(self) -> Any:
        """What its learner learnt; None where it learns nothing."""
        return self.writer.learnt.get(self.path)

    def name(self, what: str) -> str:
        """A name inside the graph that no other transform has."""
        return "/".join([f"{OUTPUT_PREFIX}{self.path[0]}", *map(str, self.path[1:]), what])

    def node(
        self,
        operation: str,
        inputs: Sequence[str],
        what: str,
        **attributes: Any,
    ) -> str:
        """Write a node with one output, and name that."""
        output = self.name(what)
        self.writer.nodes.append(helper.make_node(operation, list(inputs), [output], **attributes))
        return output

    def constant(self, what: str, value: Any, dtype: Any = None) -> str:
        """Store an array, and name it."""
        name = self.name(what)
        self.writer.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def row(self, what: str, values: Any) -> str:
        """Store one number per column, ``double [1, width]``."""
        return self.constant(what, np.reshape(np.asarray(values, np.float64), (1, -1)))

    def raw(self, place: int = 0) -> str:
        """The raw column of an input that is a field."""
        name = self.transform.inputs[place]
        assert isinstance(name, str)
        self.writer.raw.add(name)
        return name

    def field(self, place: int = 0) -> Field:
        """The field that an input is."""
        return self.writer.schema.field(str(self.transform.inputs[place]))

    def inner(self, place: int) -> Made:
        """Write an input that is a transform."""
        transform = self.transform.inputs[place]
        assert isinstance(transform, Transform)
        return write(Place(self.writer, transform, (*self.path, place)))

    def numbers(self) -> Numbers:
        """Write all inputs, side by side: neighbouring fields at once, then each transform."""
        parts: list[Numbers] = []
        run: list[Field] = []
        for place, item in enumerate(self.transform.inputs):
            if isinstance(item, str):
                run.append(self.field(place))
                self.raw(place)
                continue
            if run:
                parts.append(self._fields(run, place))
                run = []
            made = self.inner(place)
            assert isinstance(made, Numbers)
            parts.append(made)
        if run:
            parts.append(self._fields(run, len(self.transform.inputs)))
        return parts[0] if len(parts) == 1 else self._side_by_side(parts)

    def hold(self, value: str, what: str = "held") -> str:
        """Keep numbers inside float32's range, so that none becomes infinite."""
        bounds = [
            self.constant(f"{what}/{side}", np.float64(b))
            for side, b in (("low", -_LARGEST), ("high", _LARGEST))
        ]
        return self.node("Clip", [value, *bounds], what)

    def float32(self, numbers: Numbers, *, neutral: float = 0.0) -> tuple[str, int]:
        """Numbers as ``float32 [rows, width]`` with flags appended; its name and width."""
        value = numbers.value
        if numbers.missing is not None:
            fill = self.constant("neutral", np.float64(neutral))
            value = self.node("Where", [numbers.missing, fill, value], "present")
        cast = self.node("Cast", [value], "float32", to=TensorProto.FLOAT)
        if numbers.flags is None:
            return cast, numbers.width
        flags = self.node("Cast", [numbers.flags], "flags", to=TensorProto.FLOAT)
        both = self.node("Concat", [cast, flags], "flagged", axis=1)
        return both, numbers.width + numbers.flag_count

    def with_gaps(self, numbers: Numbers) -> str:
        """Numbers as ``double [rows, width]`` with NaN where missing: what a learner reads."""
        if numbers.missing is None:
            return numbers.value
        gap = self.constant("gap", np.float64("nan"))
        return self.node("Where", [numbers.missing, gap, numbers.value], "with_gaps")

    def _fields(self, fields: list[Field], end: int) -> Numbers:
        what = f"fields_{end}"
        names = [field.name for field in fields]
        value = names[0] if len(names) == 1 else self.node("Concat", names, what, axis=1)
        places = [place for place, field in enumerate(fields) if field.optional]
        if not places:
            return Numbers(value, len(fields))
        missing = flags = self.node("IsNaN", [value], f"{what}/missing")
        if len(places) < len(fields):
            chosen = self.constant(f"{what}/optional", places, np.int64)
            flags = self.node("Gather", [missing, chosen], f"{what}/flags", axis=1)
        return Numbers(value, len(fields), missing, flags, len(places))

    def _side_by_side(self, parts: list[Numbers]) -> Numbers:
        value = self.node("Concat", [part.value for part in parts], "joined", axis=1)
        missing = None
        if any(part.missing is not None for part in parts):
            # a part in which nothing can be missing holds no NaN
            masks = [
                part.missing or self.node("IsNaN", [part.value], f"never_{place}")
                for place, part in enumerate(parts)
            ]
            missing = self.node("Concat", masks, "joined/missing", axis=1)
        flags = [part.flags for part in parts if part.flags is not None]
        return Numbers(
            value,
            sum(part.width for part in parts),
            missing,
            self.node("Concat", flags, "joined/flags", axis=1) if flags else None,
            sum(part.flag_count for part in parts),
        )


def write(place: Place) -> Made:
    """Write one transform by its operation."""
    from torchyard.features.operations import OPERATIONS

    return OPERATIONS[place.transform.operation].write(place)


def build_graph(
    transforms: Sequence[Transform],
    schema: Schema,
    learnt: Mapping[Path, Any],
    modules: Mapping[str, nn.Module],
) -> tuple[onnx.ModelProto, tuple[FeatureTensor, ...], tuple[HostStep, ...]]:
    """Compile fitted transforms.

    Args:
        transforms: declared features, in the order of the outputs.
        schema: gives the raw inputs their types; fields that no transform uses are left out.
        learnt: what each transform's learner learnt.
        modules: those of ``ty.custom``, by output.

    Returns:
        A checked ONNX model (inputs as in ARCHITECTURE.md, "Raw columns"; outputs by
        ``output_name`` of the tensor), its tensors, its host steps.
    """
    from torchyard.features.operations import OPERATIONS

    writer = Writer(schema, learnt, modules)
    tensors, outputs = [], []
    for transform in transforms:
        place = Place(writer, transform, (transform.output,))
        neutral = OPERATIONS[transform.operation].neutral
        made = _finish(place, write(place), neutral)
        name = output_name(transform.output)
        writer.nodes.append(helper.make_node("Identity", [made.value], [name]))
        outputs.append(
            helper.make_tensor_value_info(name, _TYPES[made.dtype], ["rows", *made.shape])
        )
        tensors.append(
            FeatureTensor(
                name=transform.output,
                dtype=made.dtype,  # type: ignore[arg-type]
                shape=made.shape,
                cardinality=made.cardinality,
                fields=transform.fields,
                operation=transform.operation,
            )
        )
    steps = tuple(writer.steps)
    return writer.model(outputs, steps), tuple(tensors), steps


def build_values(
    places: Mapping[Path, Transform], schema: Schema, learnt: Mapping[Path, Any]
) -> onnx.ModelProto:
    """The part of the graph that leads to some transforms' inputs, to fit these on.

    Returns:
        A model with one output per transform, in order: ``double [rows, width]``, NaN where
        missing.
    """
    writer = Writer(schema, learnt, {})
    outputs = []
    for path, transform in places.items():
        place = Place(writer, transform, path)
        numbers = place.numbers()
        name = place.node("Identity", [place.with_gaps(numbers)], "values")
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", numbers.width])
        )
    return writer.model(outputs, ())


def output_name(tensor: str) -> str:
    """What a tensor is called inside ONNX, where it may not share a name with a raw field."""
    return f"{OUTPUT_PREFIX}{tensor}"


def _finish(place: Place, made: Made, neutral: float) -> Finished:
    if isinstance(made, Numbers):
        value, width = place.float32(made, neutral=neutral)
        return Finished(value, "float32", (width,))
    if isinstance(made, Codes):
        return Finished(made.value, "int64", (), made.cardinality)
    assert math.prod(made.shape) > 0
    return made


def _raw_input(field: Field) -> onnx.ValueInfoProto:
    if field.kind == "tensor":
        shape = ["rows", *field.shape]
        return helper.make_tensor_value_info(field.name, _TYPES[field.dtype], shape)
    return helper.make_tensor_value_info(field.name, _RAW_TYPES[field.kind], ["rows", 1])
