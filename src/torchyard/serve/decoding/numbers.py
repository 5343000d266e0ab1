"""Nested lists of numbers in JSON straight to an array, without a Python object for each number.

The quick path of tensors, by simdjson's parser where it is installed (the extra ``tensor``). It
answers where it is sure and else gives None: then the plain path, ``values.json_type`` with
``arrays.TensorReader.array``, decides and says what is wrong. Tests hold the two together, bit for
bit. Source of the method: Langdale and Lemire, Parsing gigabytes of JSON per second, VLDB Journal
28, 2019.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_BRACKET = ord("[")
_LONGEST_WORD = 200
_LARGEST_KEPT_BYTES = 1 << 20  # a parser keeps about twelve times its longest text

_kept = threading.local()  # a parser is used by one thread at a time


def read_numbers(
    text: bytes, shape: Sequence[int], *, whole: bool, may_be_flat: bool = False
) -> Array | None:
    """The array that a JSON text holds: float64, or int64 when ``whole``, in C order.

    Args:
        text: JSON; msgspec's ``Raw`` is one.
        shape: of the array; every size is at least 1.
        whole: whether all numbers have to be whole numbers in the range of int64.
        may_be_flat: whether one list of all numbers will do as well.

    Returns:
        None where the text is anything but lists of exactly that shape, of such numbers alone, or
        where the parser is not installed.

    Example:
        >>> read_numbers(b"[[1, 2.5], [3]]", (2, 2), whole=False) is None
        True
    """
    parser = _parser(len(text))
    if parser is None:
        return None
    try:
        lists = parser.parse(bytes(text))
        array = _array_of(lists, whole)
        if array.size != math.prod(shape):
            return None
        # No number has a bracket, and texts were refused: so many lists are there, and no more.
        brackets = _brackets(text)
        is_flat = may_be_flat and brackets == 1
        if not is_flat and not (brackets == _lists(shape) and _nests(lists, shape)):
            return None
    except (AttributeError, TypeError, ValueError, RuntimeError):  # not lists of numbers
        return None
    return array.reshape(shape)


def read_rows(
    body: bytes, name: str, shape: Sequence[int], *, whole: bool, most: int
) -> list[Array] | None:
    """The arrays of ``{"rows": [{"<name>": [...]}, ...]}``; see ``read_numbers``.

    Args:
        body: JSON.
        name: of the only field.
        shape: of each row's array.
        whole: see ``read_numbers``.
        most: rows.

    Returns:
        None where the text is anything else, or has more rows.

    Example:
        >>> read_rows(b'{"rows": [{"y": [1]}]}', "x", (1,), whole=True, most=9) is None
        True
    """
    parser = _parser(len(body))
    if parser is None or not (body.startswith(b"{") and body.endswith(b"}]}")):
        return None  # without a second look at what has more members than rows
    try:
        document = parser.parse(body)
        rows = document["rows"]
        if len(document) != 1 or not (
            1 <= len(rows) <= most and _brackets(body) == 1 + len(rows) * _lists(shape)
        ):
            return None
        arrays = []
        for row in rows:
            lists = row[name]
            array = _array_of(lists, whole)
            if len(row) != 1 or array.size != math.prod(shape) or not _nests(lists, shape):
                return None
            arrays.append(array.reshape(shape))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    return arrays


class LoneInput(NamedTuple):
    """An infer request of one input in one list: its array, its id and the outputs it names."""

    array: Array
    id: str | None
    outputs: tuple[str, ...]


def read_input(
    body: bytes, name: str, datatypes: Collection[str], shape: Sequence[int], *, whole: bool
) -> LoneInput | None:
    """An infer request of the Open Inference Protocol for one row, of one input alone.

    Args:
        body: JSON.
        name: of the input.
        datatypes: that it may have.
        shape: of its array.
        whole: see ``read_numbers``.

    Returns:
        None where the text is anything else.

    Example:
        >>> read_input(b'{"inputs": []}', "x", ("INT64",), (1,), whole=True) is None
        True
    """
    parser = _parser(len(body))
    if parser is None or not body.startswith(b"{"):
        return None
    try:
        document = parser.parse(body)
        (tensor,) = document["inputs"]
        called, outputs = document.get("id"), document.get("outputs")
        members = 1 + (called is not None) + (outputs is not None)
        named = () if outputs is None else tuple([output["name"] for output in outputs])
        # the lists of inputs, of the shape, of the elements: then the elements are in no other
        are_lists = _brackets(body) == 3 + (outputs is not None)
        if not (
            are_lists
            and (len(document), len(tensor)) == (members, 4)
            and all(len(output) == 1 for output in outputs or ())
            and all(map(_is_word, (*named, *(() if called is None else (called,)))))
            and (tensor["name"], tensor["shape"].as_list()) == (name, [1, *shape])
            and tensor["datatype"] in datatypes
        ):
            return None
        array = _array_of(tensor["data"], whole)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    if array.size != math.prod(shape):
        return None
    return LoneInput(array.reshape(shape), called, named)


def _is_word(text: object) -> bool:
    return isinstance(text, str) and 1 <= len(text) <= _LONGEST_WORD


def _array_of(lists: Any, whole: bool) -> Array:
    content = lists.as_buffer(of_type="i" if whole else "d")
    return np.frombuffer(content, "i8" if whole else "f8")


def _brackets(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _BRACKET))


def _parser(size: int) -> Any:
    """A parser for a text of that many bytes; making one costs as much as parsing 20 KB."""
    simdjson = _simdjson()
    if simdjson is None or size > _LARGEST_KEPT_BYTES:
        return simdjson and simdjson.Parser()
    parser = getattr(_kept, "parser", None)
    if parser is None:
        parser = _kept.parser = simdjson.Parser()
    return parser


@cache
def _simdjson() -> Any:
    try:
        return importlib.import_module("simdjson")
    except ImportError:
        return None


def _lists(shape: Sequence[int]) -> int:
    """How many lists an array of that shape is, the outermost included."""
    return sum(math.prod(shape[:depth]) for depth in range(len(shape)))


def _nests(lists: Any, shape: Sequence[int]) -> bool:
    if len(lists) != shape[0]:
        return False
    if len(shape) == 2:
        return set(map(len, lists)) == {shape[1]}
    return len(shape) == 1 or all(_nests(inner, shape[1:]) for inner in lists)
