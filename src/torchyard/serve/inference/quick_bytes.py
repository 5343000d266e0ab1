"""An ordinary infer request in bytes, quickly: the JSON before them says where everything lies.

Whatever has the same JSON has the same names, datatypes, shapes and sizes. So a request that the
plain path, ``bodies`` with ``tensors``, has read becomes a form, by which the bytes after an equal
JSON are read. A form answers where it is sure and else gives None: then the plain path decides and
says what is wrong. Tests hold the two together.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, final

import msgspec
import numpy as np

from torchyard.records.schema import Field
from torchyard.serve.decoding.arrays import TensorReader
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.bodies import JsonTensor

Take = Callable[[Any], object]

_NUMBERS = {"FP64": "d", "FP32": "f", "INT64": "q", "INT32": "i"}
_ELEMENTS = {"float32": "FP32", "int64": "INT64"}
_LENGTH_BYTES = 4


class _Array(NamedTuple):
    """Where in the bytes a tensor lies."""

    reader: TensorReader
    dtype: Any
    elements: int
    start: int
    shape: tuple[int, ...]


@final
class ByteForm:
    """Where in the bytes after a request's JSON the inputs of one row lie.

    Args:
        decoder: of the release that answers.
        layout: of the scalars; it passes over tensors.
        takes: for each of its values the input, and what makes a row's value of it or raises a
            ``ValueError``.
        arrays: the tensors.
    """

    def __init__(
        self,
        decoder: RowDecoder,
        layout: struct.Struct,
        takes: list[tuple[str, Take]],
        arrays: list[_Array],
    ) -> None:
        self._decoder = decoder
        self._layout = layout
        self._takes = takes
        self._arrays = arrays

    def read(self, content: memoryview) -> object | None:
        """A row; None where the plain path has to look."""
        if len(content) != self._layout.size:
            return None
        if not self._takes:
            return self._read_arrays(content)
        row: dict[str, object] = {}
        try:
            for (name, take), value in zip(self._takes, self._layout.unpack(content), strict=True):
                row[name] = take(value)
            for reader, dtype, elements, start, shape in self._arrays:
                array = np.frombuffer(content, dtype, elements, start).reshape(shape)
                row[reader.field.name] = array
            return self._decoder.convert([row])[0]
        except (ValueError, msgspec.ValidationError):
            return None

    def _read_arrays(self, content: memoryview) -> object | None:
        """A row of tensors alone."""
        row: dict[str, object] = {}
        for reader, dtype, elements, start, shape in self._arrays:
            array = np.frombuffer(content, dtype, elements, start).reshape(shape)
            if not reader.is_fit(array):
                return None
            row[reader.attribute] = array
        return self._decoder.row_type(**row)


def form_of(inputs: list[JsonTensor], decoder: RowDecoder) -> ByteForm | None:
    """The form of a request's inputs; None unless they are one row's, and bytes that it can take.

    Args:
        inputs: as the plain path has read them.
        decoder: that read them.
    """
    readers = {reader.field.name: reader for reader in decoder.tensors}
    layout, start = "<", 0
    takes: list[tuple[str, Take]] = []
    arrays: list[_Array] = []
    for tensor in inputs:
        field = decoder.schema.field(tensor.name)
        size = (tensor.parameters or {}).get("binary_data_size")
        if not isinstance(size, int) or tensor.shape[0] != 1:
            return None
        if not field.shape:
            piece = _piece(tensor.datatype, size, field)
            if piece is None:
                return None
            layout += piece[0]
            takes.append((field.name, piece[1]))
        elif tensor.datatype == _ELEMENTS[field.dtype]:
            dtype = np.dtype(field.dtype).newbyteorder("<")
            reader = readers[field.name]
            arrays.append(_Array(reader, dtype, math.prod(field.shape), start, field.shape))
            layout += f"{size}x"
        else:
            return None
        start += size
    return ByteForm(decoder, struct.Struct(layout), takes, arrays)


def _piece(datatype: str, size: int, field: Field) -> tuple[str, Take] | None:
    """The layout of one scalar, and what makes a row's value of it."""
    if datatype in _NUMBERS and field.kind in ("number", "integer"):
        is_plain = datatype in ("INT64", "INT32") or field.kind == "number"
        return (_NUMBERS[datatype], _finite) if is_plain else None
    if datatype == "BOOL":
        return "B", _truth
    if datatype == "BYTES" and size > _LENGTH_BYTES:
        length = (size - _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "little")
        return f"{size}s", partial(_picture if field.kind == "image" else _text, length)
    return None


def _finite(value: float) -> float:
    if value - value != 0:
        raise ValueError
    return value


def _truth(value: int) -> bool:
    if value > 1:
        raise ValueError
    return value == 1


def _text(length: bytes, thing: bytes) -> str:
    return _picture(length, thing).decode()


def _picture(length: bytes, thing: bytes) -> bytes:
    if thing[:_LENGTH_BYTES] != length:
        raise ValueError
    return thing[_LENGTH_BYTES:]
