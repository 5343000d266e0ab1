"""Tensor elements as bytes, and bodies in which they follow the JSON: binary tensor data.

Little-endian, row-major, without padding; a truth value is one byte, a text or a picture is four
bytes of length and its bytes. Nothing is made by a size that a client claims: every size is held
against the bytes that are there and against the shape, which is checked before.
Source: the binary tensor data extension,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from torchyard.core.errors import BadUsage

Array = np.ndarray[Any, np.dtype[Any]]

HEADER = b"inference-header-content-length"  # bytes of JSON that a body begins with
WHOLE = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")
RAW_ALONE = ("FP16", "BF16")  # JSON and gRPC's typed contents have no form for them

_LENGTH = struct.Struct("<I")
_DTYPES = {
    "BOOL": np.dtype("u1"),
    **{name: np.dtype(f"<{name[0].lower()}{int(name[4:]) // 8}") for name in WHOLE[:4]},
    **{name: np.dtype(f"<i{int(name[3:]) // 8}") for name in WHOLE[4:]},
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = (*_DTYPES, "BYTES")


def split(body: bytes, header: bytes | None) -> tuple[bytes, memoryview]:
    """A body's JSON, and the binary data after it: nothing where the header is missing.

    Args:
        body: whole.
        header: ``Inference-Header-Content-Length``, the JSON's length in bytes.

    Raises:
        BadUsage: it is not a length within the body.
    """
    if header is None:
        return body, memoryview(b"")
    if not (header.isdigit() and len(header) < 20 and int(header) <= len(body)):
        raise BadUsage(
            where="header Inference-Header-Content-Length",
            found="something else",
            expected=f"bytes of JSON, at most the body's {len(body)}",
            remedy="Give the length of the JSON that the body begins with.",
        )
    length = int(header)
    return body[:length], memoryview(body)[length:]


def portions(sizes: Sequence[int], content: memoryview) -> list[memoryview]:
    """One piece after another.

    Args:
        sizes: of the pieces, in bytes, as the client gives them; not negative.
        content: all of it.

    Raises:
        BadUsage: the sizes do not add up to what is there.
    """
    if sum(sizes) != len(content):
        raise BadUsage(
            where="request body",
            found=f"{len(content)} bytes after the JSON",
            expected="as many as every 'binary_data_size' together",
            remedy="Send the binary data of every such input, in their order, and nothing after.",
        )
    return [content[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]


def decode(
    content: bytes | memoryview, datatype: str, *, count: int, where: str
) -> Array | list[bytes]:
    """The elements of a tensor.

    Args:
        content: the bytes.
        datatype: of the protocol.
        count: how many elements its shape has.
        where: what to call the place of a fault.

    Returns:
        A flat array over the same memory, of the datatype (FP16 and BF16 widened to ``float32``,
        which holds every one of them); of BYTES the bytes of every element.

    Raises:
        BadUsage: the bytes are not those of ``count`` elements, or a truth value is neither 0 nor
            1.

    Example:
        >>> decode(bytes([0, 0, 128, 63]), "FP32", count=1, where="x").tolist()
        [1.0]
        >>> decode(bytes([2, 0, 0, 0]) + b"UA", "BYTES", count=1, where="x")
        [b'UA']
    """
    if datatype == "BYTES":
        return _things(memoryview(content), count, where)
    dtype = _DTYPES[datatype]
    if len(content) != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize}, as its shape and {datatype} say"
        raise _refusal(where, f"{len(content)} bytes", expected)
    array = np.frombuffer(content, dtype)
    if datatype == "BOOL":
        if count and array.max() > 1:
            raise _refusal(where, "another byte", "0 or 1 for every element, as BOOL says")
        return array.view(np.bool_)
    if datatype == "FP16":
        return array.astype(np.float32)
    if datatype == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def encode(values: Sequence[Any], datatype: str) -> bytes:
    """Elements as bytes, of any datatype but BF16; texts in UTF-8.

    Example:
        >>> encode([True, False], "BOOL").hex(), encode(["UA"], "BYTES").hex()
        ('0100', '020000005541')
    """
    if datatype == "BYTES":
        things = [value.encode() if isinstance(value, str) else value for value in values]
        return b"".join([_LENGTH.pack(len(thing)) + thing for thing in things])
    if datatype == "FP32":  # what answers are made of: five times as fast as an array of a few
        return struct.pack(f"<{len(values)}f", *values)
    encoded: bytes = np.array(values, _DTYPES[datatype]).tobytes()
    return encoded


def _things(content: memoryview, count: int, where: str) -> list[bytes]:
    things: list[bytes] = []
    at, size = 0, len(content)
    while at < size and len(things) < count:
        begin = at + _LENGTH.size
        at = begin + _LENGTH.unpack_from(content, at)[0] if begin <= size else size + 1
        if at > size:
            found = f"{size} bytes, too few for element {len(things)}"
            raise _refusal(where, found, "4 bytes of length before each element, and as many bytes")
        things.append(bytes(content[begin:at]))
    if at != size or len(things) != count:
        found = "more elements" if at != size else f"{len(things)} elements"
        raise _refusal(where, found, f"{count}, as its shape says")
    return things


def _refusal(where: str, found: str, expected: str) -> BadUsage:
    remedy = "Send the elements in the form of the binary tensor data extension."
    return BadUsage(where=where, found=found, expected=expected, remedy=remedy)
