"""Rows at the limits of what a schema allows, and whether a module answers them with finite logits.

A real row is taken, and one field after the other is set to its extremes: the least and the most
that are declared, missing where it may be, a category that nobody saw, the shortest and the longest
text, the smallest, an empty and a noisy picture. So the field at fault has a name.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.core.errors import YardError
from torchyard.core.wording import listed
from torchyard.features.columns import Column, Columns, column_from_values
from torchyard.records.schema import Field, Schema
from torchyard.records.training import EXTREMES, Check, Training
from torchyard.train.faults import failed
from torchyard.train.feed import Examples
from torchyard.train.preflight_trial import WHERE

if TYPE_CHECKING:
    import torch
    from torch import nn


# where a limit is not declared, numbers go so far: what lies beyond is for the schema to say
_FAR = 1e9
_LARGEST_INTEGER = 2**53
_LONGEST_TEXT = 20_000
_MOST_VALUES = 8
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)
_UNKNOWN = "never seen before"


@dataclass(frozen=True)
class Extreme:
    """A value at a limit: what to call it, and whether the schema declares that limit."""

    what: str
    value: Any
    is_declared: bool = True


@dataclass(frozen=True)
class RealRow:
    """A row as raw columns, each ``[1, ...]``, the fields it obeys, and what encodes such rows."""

    schema: Schema
    columns: Columns
    encode: Callable[[Columns], Mapping[str, np.ndarray[Any, np.dtype[Any]]]]


@dataclass(frozen=True)
class _Tried:
    field: str
    extreme: Extreme
    columns: Columns


def check_extremes(module: nn.Module, row: RealRow, *, settings: Training) -> Check:
    """Send rows with extreme values through the features and a module, in evaluation mode.

    A declared limit that is not answered with finite logits fails; a number that is only far, where
    nothing is declared, warns.
    """
    tried = list(_tried(row))
    module.eval()
    wrong = []
    if _fault(module, row, _stacked(row, tried), settings):  # one at a time, to name the field
        for one in tried:
            fault = _fault(module, row, one.columns, settings)
            if fault:
                wrong.append((one, fault))
    if not wrong:
        fields = len(row.schema.fields)
        return Check(
            name=EXTREMES, outcome="pass", found=f"{len(tried)} rows, {fields} fields at limits"
        )
    declared = [one for one, _ in wrong if one.extreme.is_declared]
    names = listed([f"field '{one.field}' {one.extreme.what}" for one, _ in wrong], most=4)
    return Check(
        name=EXTREMES,
        outcome="fail" if declared else "warn",
        found=f"{names}: {wrong[0][1]}",
        remedy="Bound what the model takes: ty.clip(...), ty.log(...) or ty.impute(...) in the "
        "features, clamp() in forward; or declare the field's true limits (ge=, le=, max_length=).",
    )


def extremes_of(field: Field) -> Iterator[Extreme]:
    """Valid values of a field at its limits; none where only its pattern says what is valid."""
    if field.optional:
        yield Extreme("missing", None)
    match field.kind:
        case "number" | "integer":
            yield from _numbers(field)
        case "boolean":
            yield from (Extreme(str(value).lower(), value) for value in (False, True))
        case "timestamp":
            yield from (Extreme(f"in {when.year}", when) for when in (_FIRST, _LAST))
        case "image":
            yield from _pictures()
        case "tensor":
            yield from _tensors(field)
        case _:
            yield from _texts(field)


def _numbers(field: Field) -> Iterator[Extreme]:
    is_whole = field.kind == "integer"
    far = _LARGEST_INTEGER if is_whole else _FAR
    low = -far if field.ge is None else field.ge
    high = far if field.le is None else field.le
    if is_whole:
        low, high = math.ceil(low), math.floor(high)
    yield Extreme(f"at {low:g}", low, field.ge is not None)
    yield Extreme(f"at {high:g}", high, field.le is not None)
    if low < 0 < high:
        yield Extreme("at 0", 0 if is_whole else 0.0)


def _texts(field: Field) -> Iterator[Extreme]:
    if field.values:
        yield from (Extreme(f"of {value!r}", value) for value in field.values[:_MOST_VALUES])
        return
    if field.pattern is not None:
        return
    least = max(field.min_length or 0, 1)
    most = _LONGEST_TEXT if field.max_length is None else field.max_length
    if field.kind != "text":
        yield Extreme("that nobody saw before", _fitted(_UNKNOWN, least, most))
        return
    yield Extreme(f"of {least} characters", _fitted("a", least, most))
    yield Extreme("of other alphabets", _fitted("日本語 Ärger ✈ \u0301", least, most))
    longest = ("word " * (most // 5 + 1))[:most]
    yield Extreme(f"of {most:,} characters", longest, field.max_length is not None)


def _fitted(text: str, least: int, most: int) -> str:
    return text[:most].ljust(least, "a")


def _tensors(field: Field) -> Iterator[Extreme]:
    is_whole = field.dtype == "int64"
    for limit, far in ((field.ge, -_FAR), (field.le, _FAR)):
        if limit is None and is_whole:
            continue  # which numbers there are is not known
        value = far if limit is None else limit
        whole = math.ceil(value) if limit == field.ge else math.floor(value)
        filled = np.full(field.shape, whole if is_whole else value, dtype=field.dtype)
        yield Extreme(f"full of {value:g}", filled, limit is not None)


def _pictures() -> Iterator[Extreme]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    for what, image in (
        ("of one pixel", Image.new("L", (1, 1))),
        ("all black", Image.new("RGB", (32, 32), "black")),
        ("all white", Image.new("RGB", (32, 32), "white")),
        ("of noise", Image.fromarray(noise)),
        ("of 400 by 2 pixels", Image.new("RGB", (400, 2), "grey")),
    ):
        file = io.BytesIO()
        image.save(file, "PNG")
        yield Extreme(what, file.getvalue())


def _tried(row: RealRow) -> Iterator[_Tried]:
    for field in row.schema.fields:
        for extreme in extremes_of(field):
            column = column_from_values(field, [extreme.value])
            yield _Tried(field.name, extreme, {**row.columns, field.name: column})


def _stacked(row: RealRow, tried: list[_Tried]) -> dict[str, Column]:
    parts = [row.columns, *(one.columns for one in tried)]
    return {name: np.concatenate([part[name] for part in parts]) for name in row.columns}


def _fault(module: nn.Module, row: RealRow, columns: Columns, settings: Training) -> str:
    """What is wrong with a module's answers to some rows; empty when nothing is."""
    import torch

    try:
        arrays = row.encode(columns)
    except YardError as error:
        return error.found
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return f"the feature tensor '{name}' is not finite"
    rows = Examples(tensors, torch.zeros(len(next(iter(arrays.values())))))
    try:
        with torch.no_grad():
            logits: torch.Tensor = module(**tensors)
    except Exception as error:
        refusal = failed(error, module, rows, settings=settings, where=WHERE)
        return f"{refusal.where}: {refusal.found}"
    return "" if bool(logits.isfinite().all()) else "logits that are not finite"
