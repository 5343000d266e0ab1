"""The feature graph: fitted transforms as one ONNX graph from raw columns to named tensors.

Only operations that give the same bits for a row alone and for the same row in a batch are used:
arithmetic on single elements, look-ups, comparisons. Tests hold that.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from torchyard.features.columns import MISSING_TEXT, MISSING_TIME
from torchyard.features.encode import OUTPUT_PREFIX
from torchyard.features.fit import (
    FIRST,
    MISSING,
    UNKNOWN,
    Cycled,
    Fitted,
    LookedUp,
    Standardized,
    clock_tables,
)
from torchyard.records.schema import FieldKind, Schema

OPSET = 18
ML_OPSET = 3
_IR_VERSION = 10

_INPUT_TYPES: dict[FieldKind, int] = {
    "number": TensorProto.DOUBLE,
    "integer": TensorProto.DOUBLE,
    "boolean": TensorProto.DOUBLE,
    "category": TensorProto.STRING,
    "timestamp": TensorProto.INT64,
    "text": TensorProto.STRING,
    "id": TensorProto.STRING,
}
_OUTPUT_TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
_MICROSECONDS = {"minute": 60_000_000, "day": 86_400_000_000}
_MONDAY_SHIFT = 3  # 1970-01-01 was a Thursday


def build_graph(fitted: tuple[Fitted, ...], schema: Schema) -> onnx.ModelProto:
    """Compile fitted transforms.

    Args:
        fitted: what ``fit`` learnt, in the order of the outputs.
        schema: gives the raw inputs their types; fields that no transform uses are left out.

    Returns:
        A checked ONNX model: inputs by field name ``[rows, 1]``, outputs by ``output_name`` of
        the tensor, ``float32 [rows, width]`` or ``int64 [rows]``.
    """
    writer = _Writer()
    outputs = []
    for item in fitted:
        tensor = item.tensor
        if isinstance(item, Standardized):
            writer.standardize(item)
        elif isinstance(item, LookedUp):
            writer.lookup(item)
        else:
            writer.cycle(item)
        shape = ["rows", *tensor.shape]
        outputs.append(
            helper.make_tensor_value_info(
                output_name(tensor.name), _OUTPUT_TYPES[tensor.dtype], shape
            )
        )
    used = {name for item in fitted for name in item.tensor.fields}
    inputs = [
        helper.make_tensor_value_info(field.name, _INPUT_TYPES[field.kind], ["rows", 1])
        for field in schema.fields
        if field.name in used
    ]
    graph = helper.make_graph(writer.nodes, "features", inputs, outputs, writer.constants)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        producer_name="torchyard",
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


def output_name(tensor: str) -> str:
    """What a tensor is called inside ONNX, where it may not share a name with a raw field."""
    return f"{OUTPUT_PREFIX}{tensor}"


class _Writer:
    """Collects nodes and constants; every value it names starts with the output it serves."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def standardize(self, item: Standardized) -> None:
        out = output_name(item.tensor.name)
        raw = self._joined(list(item.tensor.fields), f"{out}/raw")
        missing = self._node("IsNaN", [raw], f"{out}/missing")
        mean = self._constant(f"{out}/mean", np.array([item.mean]))
        scale = self._constant(f"{out}/scale", 1.0 / np.array([item.deviation]))
        present = self._node("Where", [missing, mean, raw], f"{out}/present")
        centred = self._node("Sub", [present, mean], f"{out}/centred")
        scaled = self._node("Mul", [centred, scale], f"{out}/scaled")
        numbers = out if not item.flags else f"{out}/numbers"
        self._node("Cast", [scaled], numbers, to=TensorProto.FLOAT)
        if item.flags:
            places = [item.tensor.fields.index(name) for name in item.flags]
            chosen = self._constant(f"{out}/optional", np.array(places, dtype=np.int64))
            picked = self._node("Gather", [missing, chosen], f"{out}/was_missing", axis=1)
            flags = self._node("Cast", [picked], f"{out}/flags", to=TensorProto.FLOAT)
            self._node("Concat", [numbers, flags], out, axis=1)

    def lookup(self, item: LookedUp) -> None:
        out = output_name(item.tensor.name)
        keys = [MISSING_TEXT, *item.vocabulary]
        values = [MISSING, *range(FIRST, FIRST + len(item.vocabulary))]
        found = self._node(
            "LabelEncoder", item.tensor.fields, f"{out}/place", domain="ai.onnx.ml",
            keys_strings=keys, values_int64s=values, default_int64=UNKNOWN,
        )  # fmt: skip
        flat = self._constant(f"{out}/flat", np.array([-1], dtype=np.int64))
        self._node("Reshape", [found, flat], out)

    def cycle(self, item: Cycled) -> None:
        out = output_name(item.tensor.name)
        time = item.tensor.fields[0]
        tables = clock_tables()
        gap = self._constant(f"{out}/gap", np.array([[MISSING_TIME]], dtype=np.int64))
        missing = self._node("Equal", [time, gap], f"{out}/missing")
        points = []
        for part in item.parts:
            # one more row of zeros stands for a missing time
            table = np.concatenate([tables[part], np.zeros((1, 2), np.float32)])
            place = getattr(self, f"_{part}")(time, f"{out}/{part}")
            last = self._constant(f"{out}/{part}/last", np.array([[len(table) - 1]]))
            chosen = self._node("Where", [missing, last, place], f"{out}/{part}/chosen")
            points.append((f"{out}/{part}/table", table, chosen))
        made = []
        for name, table, chosen in points:
            stored = self._constant(name, table)
            point = self._node("Gather", [stored, chosen], f"{name}/point")
            pair = self._constant(f"{name}/pair", np.array([-1, 2], dtype=np.int64))
            made.append(self._node("Reshape", [point, pair], f"{name}/flat"))
        self._node("Concat", made, out, axis=1)

    def _hour(self, time: str, prefix: str) -> str:
        minute = self._floor_divide(time, _MICROSECONDS["minute"], f"{prefix}/minute")
        return self._modulo(minute, 1440, f"{prefix}/of_day")

    def _weekday(self, time: str, prefix: str) -> str:
        day = self._floor_divide(time, _MICROSECONDS["day"], f"{prefix}/day")
        shift = self._constant(f"{prefix}/shift", np.array([[_MONDAY_SHIFT]]))
        shifted = self._node("Add", [day, shift], f"{prefix}/shifted")
        return self._modulo(shifted, 7, f"{prefix}/of_week")

    def _month(self, time: str, prefix: str) -> str:
        """Months from days by the civil calendar, whole numbers only.

        Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
        """
        day = self._floor_divide(time, _MICROSECONDS["day"], f"{prefix}/day")
        epoch = self._constant(f"{prefix}/epoch", np.array([[719_468]]))
        shifted = self._node("Add", [day, epoch], f"{prefix}/shifted")
        day_of_era = self._modulo(shifted, 146_097, f"{prefix}/day_of_era")
        days = self._constant(f"{prefix}/months", _month_of_era_day())
        return self._node("Gather", [days, day_of_era], f"{prefix}/of_year")

    def _floor_divide(self, value: str, divisor: int, prefix: str) -> str:
        """``value // divisor`` for any sign: ONNX's Div truncates, so the remainder goes first."""
        rest = self._modulo(value, divisor, f"{prefix}/rest")
        whole = self._node("Sub", [value, rest], f"{prefix}/whole")
        by = self._constant(f"{prefix}/by", np.array([[divisor]], dtype=np.int64))
        return self._node("Div", [whole, by], f"{prefix}/quotient")

    def _modulo(self, value: str, divisor: int, prefix: str) -> str:
        by = self._constant(f"{prefix}/modulus", np.array([[divisor]], dtype=np.int64))
        return self._node("Mod", [value, by], f"{prefix}/remainder")

    def _joined(self, fields: list[str], name: str) -> str:
        return fields[0] if len(fields) == 1 else self._node("Concat", fields, name, axis=1)

    def _node(
        self,
        operation: str,
        inputs: list[str] | tuple[str, ...],
        output: str,
        **attributes: object,
    ) -> str:
        self.nodes.append(helper.make_node(operation, list(inputs), [output], output, **attributes))
        return output

    def _constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def _month_of_era_day() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Month (0 January) of each day of a 400-year era that begins on 1 March."""
    days = np.datetime64("2000-03-01", "D") + np.arange(146_097)
    months: np.ndarray[tuple[int], np.dtype[np.int64]] = days.astype("datetime64[M]").astype(
        np.int64
    )
    return months % 12
