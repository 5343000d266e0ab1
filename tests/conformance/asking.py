"""Requests made from nothing but a model's own metadata, and tensors to bytes and back.

Only the standard library: whoever points the suite at a server needs pytest and httpx alone.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = Any  # bool, int, float or str, as the datatype says

_INTEGERS = {
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
}  # fmt: skip
_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BF16", "BYTES")
RAW_ALONE = ("FP16", "BF16")  # they have no form in JSON's typed contents, see the README


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output as a model's metadata has it; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> TensorSpec:
        """From the JSON of a metadata answer."""
        shape = tuple(int(size) for size in told["shape"])
        return cls(told["name"], told["datatype"], shape, told.get("parameters") or {})

    @property
    def is_batched(self) -> bool:
        """Whether its first dimension is free."""
        return bool(self.shape) and self.shape[0] == -1

    def sized(self, rows: int) -> list[int]:
        """Its shape for a number of rows; other free dimensions are 1."""
        if not self.is_batched:
            return [max(size, 1) for size in self.shape]
        return [rows, *(max(size, 1) for size in self.shape[1:])]


@dataclass(frozen=True)
class Tensor:
    """Values of one input or output, row-major and flat."""

    name: str
    datatype: str
    shape: list[int]
    values: list[Value]

    def as_json(self, **changes: Any) -> dict[str, Any]:
        """As an entry of ``inputs``."""
        plain = {"name": self.name, "datatype": self.datatype, "shape": self.shape}
        return {**plain, "data": self.values, **changes}

    def as_binary(self, **changes: Any) -> tuple[dict[str, Any], bytes]:
        """As an entry of ``inputs`` of the binary tensor data extension, and its bytes."""
        content = to_bytes(self.datatype, self.values)
        plain = {"name": self.name, "datatype": self.datatype, "shape": self.shape}
        size = {"parameters": {"binary_data_size": len(content)}}
        return {**plain, **size, **changes}, content


@dataclass(frozen=True)
class Asking:
    """Makes requests that a model should accept.

    An input whose metadata has ``parameters`` is given ``example`` where there is one, else values
    from ``minimum`` to ``maximum``. Without them numbers lie in [0, 1] and texts are ``"a"``. Where
    that is not enough, ``samples`` (option ``--inputs``) are whole tensors to take rows from.
    """

    specs: tuple[TensorSpec, ...]
    samples: tuple[Tensor, ...] = ()

    @property
    def is_batched(self) -> bool:
        """Whether a request may have any number of rows."""
        return all(spec.is_batched for spec in self.specs)

    def tensors(self, *, rows: int = 1, seed: int = 0) -> list[Tensor]:
        """One tensor per input; another seed, other values."""
        rng = random.Random(seed)
        if self.samples:
            return self._drawn(rows, rng)
        return [
            Tensor(spec.name, spec.datatype, shape, [element(spec, rng) for _ in range(size)])
            for spec in self.specs
            for shape in [spec.sized(rows)]
            for size in [math.prod(shape)]
        ]

    def inputs(self, *, rows: int = 1, seed: int = 0) -> list[dict[str, Any]]:
        """The same as JSON."""
        return [tensor.as_json() for tensor in self.tensors(rows=rows, seed=seed)]

    def _drawn(self, rows: int, rng: random.Random) -> list[Tensor]:
        count = self.samples[0].shape[0]
        chosen = [rng.randrange(count) for _ in range(rows)]
        drawn = []
        for sample in self.samples:
            size = len(sample.values) // count
            values = [
                value for row in chosen for value in sample.values[row * size : (row + 1) * size]
            ]
            shape = [rows, *sample.shape[1:]]
            drawn.append(Tensor(sample.name, sample.datatype, shape, values))
        return drawn


def element(spec: TensorSpec, rng: random.Random) -> Value:
    """One value that an input should accept."""
    if "example" in spec.parameters:
        return spec.parameters["example"]
    if spec.datatype == "BYTES":
        return "a"
    if spec.datatype == "BOOL":
        return rng.random() < 0.5
    low = spec.parameters.get("minimum")
    high = spec.parameters.get("maximum")
    if spec.datatype in _INTEGERS:
        low = math.ceil(low if low is not None else min(0, high or 0))
        return rng.randint(low, low + 1 if high is None else math.floor(high))
    low = low if low is not None else min(0.0, (high or 0.0) - 1)
    value = low + (1.0 if high is None else high - low) * rng.random()
    return round_to(spec.datatype, value)


def round_to(datatype: str, value: float) -> float:
    """The value as its datatype holds it, so that every way of sending it means the same number."""
    (rounded,) = from_bytes(datatype, to_bytes(datatype, [value]))
    return float(rounded)


def to_bytes(datatype: str, values: Sequence[Value]) -> bytes:
    """Tensor elements as the binary tensor data extension has them: little-endian, no padding.

    Example:
        >>> to_bytes("BYTES", ["ab", ""]), to_bytes("UINT16", [258]), to_bytes("BF16", [1.0])
        (b'\\x02\\x00\\x00\\x00ab\\x00\\x00\\x00\\x00', b'\\x02\\x01', b'\\x80?')
    """
    if datatype == "BYTES":
        texts = [value.encode() if isinstance(value, str) else value for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if datatype == "BOOL":
        return bytes(values)
    if datatype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    code = {**_INTEGERS, **_FLOATS}[datatype]
    return struct.pack(f"<{len(values)}{code}", *values)


def from_bytes(datatype: str, content: bytes) -> list[Value]:
    """Tensor elements from bytes, see ``to_bytes``; texts as ``str`` when they are UTF-8.

    Example:
        >>> from_bytes("BYTES", to_bytes("BYTES", ["ab", ""])), from_bytes("BF16", b"\\x80?")
        (['ab', ''], [1.0])
    """
    if datatype == "BYTES":
        return _texts(content)
    if datatype == "BOOL":
        return [bool(byte) for byte in content]
    if datatype == "BF16":
        halves = [content[at : at + 2] for at in range(0, len(content), 2)]
        return [struct.unpack("<f", b"\0\0" + half)[0] for half in halves]
    code = {**_INTEGERS, **_FLOATS}[datatype]
    return list(struct.unpack(f"<{len(content) // struct.calcsize(code)}{code}", content))


def _texts(content: bytes) -> list[Value]:
    texts: list[Value] = []
    while content:
        (length,) = struct.unpack_from("<I", content)
        text, content = content[4 : 4 + length], content[4 + length :]
        assert len(text) == length, "a text that is cut off"
        texts.append(text.decode())
    return texts
