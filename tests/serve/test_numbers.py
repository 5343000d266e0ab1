"""The quick path of tensors gives the plain path's bits, and leaves to it whatever does not fit."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.core.errors import BadData, BadUsage
from torchyard.records.schema import Field, Schema
from torchyard.serve.decoding import numbers
from torchyard.serve.decoding.arrays import TensorReader
from torchyard.serve.decoding.numbers import read_numbers
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.decoding.values import json_type

FLOATS = Field(name="floats", kind="tensor", shape=(2, 3))
BOUNDED = Field(name="bounded", kind="tensor", shape=(2, 3), ge=-1.5, le=1e6)
WHOLES = Field(name="wholes", kind="tensor", shape=(2, 2), dtype="int64", ge=-(2**40))
FLAT = Field(name="flat", kind="tensor", shape=(5,))
FIELDS = (FLOATS, BOUNDED, WHOLES)

# how a number may be written: as a program prints it, and as only a person would
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.integers(-(2**66), 2**66).map(str),
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z"),
    st.sampled_from(["-0", "-0.0", "0e0", "1E400", "1e-400", "9223372036854775808", "true", '"["']),
)


def nested(tokens: Sequence[str], shape: Sequence[int]) -> str:
    for size in reversed(shape):
        tokens = [
            "[" + ",".join(tokens[at : at + size]) + "]" for at in range(0, len(tokens), size)
        ]
    return tokens[0]


def plainly(text: bytes, field: Field) -> np.ndarray[Any, Any] | None:
    """The plain path; None for what it refuses, bounds apart."""
    try:
        return TensorReader("f0", field).array(msgspec.json.decode(text, type=json_type(field)))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_both_paths_give_the_same_bits(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(FIELDS))
    size = int(np.prod(field.shape))
    tokens = data.draw(st.lists(NUMBERS, min_size=size, max_size=size))
    text = nested(tokens, field.shape).encode()

    quick = TensorReader("f0", field).read_text(text)

    if quick is not None:
        plain = plainly(text, field)
        assert plain is not None
        assert (quick.dtype, quick.shape) == (plain.dtype, plain.shape)
        assert quick.tobytes() == plain.tobytes()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_small_list_is_the_plain_paths_or_left_to_it(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from((FLAT, *FIELDS)))
    size = int(np.prod(field.shape))
    tokens = data.draw(st.lists(NUMBERS, min_size=size, max_size=size))
    reader = TensorReader("f0", field)
    try:
        value = msgspec.json.decode(nested(tokens, field.shape), type=reader.quick_type)
    except msgspec.DecodeError:
        return

    quick, plain = reader.read_quickly(value), reader.array(value)

    assert (quick is None) == (reader.find_misfit(plain) is not None)
    if quick is not None:
        assert (quick.dtype, quick.shape) == (plain.dtype, plain.shape)
        assert quick.tobytes() == plain.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.recursive(st.integers(0, 9), st.lists, max_leaves=4), max_size=4)))
def test_only_lists_of_exactly_the_shape_are_taken(lists: list[Any]) -> None:
    text = json.dumps(lists).encode()
    is_taken = read_numbers(text, (2, 3), whole=False) is not None

    assert is_taken == (plainly(text, FLOATS) is not None)


@pytest.mark.parametrize(
    "text",
    [
        b"[[[],1,2],[3,4,5]]",
        b"[[[1],2,3],[4,5,6]]",
        b"[[1,2,3,4],[5,6]]",
        b"[1,2,3,4,5,6]",
        b"[[1,2,3],[4,5,6],[]]",
        b"[[[1,2,3],[4,5,6]]]",
        b'[[1,2,3],[4,5,"6"]]',
        b"[[1,2,3],[4,5,null]]",
        b"[[1,2,3],[4,5,true]]",
        b"[[1,2,3],[4,5,NaN]]",
        b"[[1,2,3],[4,5,1e400]]",
        b'[[1,2,3],[4,5,{"a":6}]]',
        b"[[1,2,3],[4,5,6]] 7",
        b"[[1,2,3],[4,5,06]]",
        b"[[1,2,3],[4,5,6",
        b'{"a":[[1,2,3],[4,5,6]]}',
        b"6",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_not_the_shape_is_left_to_the_plain_path(text: bytes) -> None:
    assert read_numbers(text, (2, 3), whole=False) is None


def test_flat_lists_are_taken_where_they_may_be() -> None:
    flat, lists = b"[1, 2.5, 3, 4]", b"[[1, 2.5], [3, 4]]"

    for text in (flat, lists):
        array = read_numbers(text, (2, 2), whole=False, may_be_flat=True)
        assert array is not None
        assert array.tolist() == [[1.0, 2.5], [3.0, 4.0]]
    assert read_numbers(b"[[1, 2.5, 3, 4]]", (2, 2), whole=False, may_be_flat=True) is None
    assert read_numbers(b"[[], 1, 2, 3, 4]", (2, 2), whole=False, may_be_flat=True) is None


LONE = Field(name="x", kind="tensor", shape=(2, 150))
LONE_DECODER = RowDecoder(Schema(fields=(LONE,)), max_rows=3)
LISTS = [[0.5] * 150, [1e-3] * 149 + [7]]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_rows_of_one_large_tensor_are_read_in_one_go(
    rows: int, separators: tuple[str, str]
) -> None:
    body = json.dumps({"rows": [{"x": LISTS}] * rows}, separators=separators).encode()

    found = LONE_DECODER.tensors[0].read_rows(body, most=3)

    assert found is not None
    assert [array.tolist() for array in found] == [np.array(LISTS, np.float32).tolist()] * rows
    decoded: list[Any] = LONE_DECODER.decode(body).rows
    assert [row.f0.tolist() for row in decoded] == [np.array(LISTS, np.float32).tolist()] * rows


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [{"x": LISTS}], "ids": ["a"]},
        {"rows": [{"x": LISTS}] * 4},
        {"rows": []},
        {"rows": [{"x": LISTS}, {}]},
        {"rows": [{"x": LISTS, "y": 1}]},
        {"rows": [{"y": LISTS}]},
        {"rows": [{"x": [LISTS[0]]}]},
        {"rows": [{"x": [*LISTS, []]}]},
        {"rows": [{"x": [LISTS[0], [*LISTS[1][:-1], [7]]]}]},
        {"rows": [{"x": [[*LISTS[0][:-2], [1, 2], []], LISTS[1]]}]},
        {"rows": [{"x": [LISTS[0], [*LISTS[1][:-1], "["]]}]},
        {"rows": [{"x": [LISTS[0], [*LISTS[1][:-1], 1e39]]}]},
        {"rows": {"x": LISTS}},
        {"data": [{"x": LISTS}]},
    ],
)
def test_rows_of_anything_else_are_left_to_the_plain_path(body: Any) -> None:
    assert LONE_DECODER.tensors[0].read_rows(json.dumps(body).encode(), most=3) is None


@pytest.mark.parametrize(
    "text", ['{"rows": [{"x": 1', "\ufeff{}]}", '{"rows": [{"x": 1}]} }]}', "{}]}"]
)
def test_what_is_no_json_is_left_to_the_plain_path(text: str) -> None:
    assert LONE_DECODER.tensors[0].read_rows(text.encode(), most=3) is None


ELEMENTS = [0.5] * 150 + [1e-3] * 149 + [7]
INPUT: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [1, 2, 150], "data": ELEMENTS}


@pytest.mark.parametrize("more", [{}, {"id": "a"}, {"outputs": [{"name": "label"}]}])
def test_a_lone_large_input_is_read_in_one_go(more: dict[str, Any]) -> None:
    body = json.dumps({"inputs": [INPUT], **more}).encode()

    found = LONE_DECODER.tensors[0].read_input(body, ("FP32",))

    assert found is not None
    assert found.array.tolist() == np.array(LISTS, np.float32).tolist()
    assert found.array.dtype == np.float32
    assert (found.id, found.outputs) == (more.get("id"), ("label",) if "outputs" in more else ())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [INPUT, INPUT]},
        {"inputs": [{**INPUT, "data": LISTS}]},
        {"inputs": [{**INPUT, "data": [ELEMENTS]}]},
        {"inputs": [{**INPUT, "data": ELEMENTS[1:]}]},
        {"inputs": [{**INPUT, "data": [*ELEMENTS[1:], 1e39]}]},
        {"inputs": [{**INPUT, "data": [*ELEMENTS[1:], "7"]}]},
        {"inputs": [{**INPUT, "data": [*ELEMENTS[1:], None]}]},
        {"inputs": [{**INPUT, "shape": [2, 2, 75]}]},
        {"inputs": [{**INPUT, "shape": [1, 300]}]},
        {"inputs": [{**INPUT, "shape": "[1, 2, 150]"}]},
        {"inputs": [{**INPUT, "datatype": "FP64"}]},
        {"inputs": [{**INPUT, "name": "y"}]},
        {"inputs": [{**INPUT, "parameters": {}}]},
        {"inputs": [INPUT], "parameters": {}},
        {"inputs": [INPUT], "id": ""},
        {"inputs": [INPUT], "id": 7},
        {"inputs": [INPUT], "id": None},
        {"inputs": [INPUT], "id": "a" * 201},
        {"inputs": [INPUT], "outputs": {"name": "label"}},
        {"inputs": [INPUT], "outputs": [{"name": "label", "parameters": {}}]},
        {"inputs": [INPUT], "outputs": ["label"]},
        {"inputs": INPUT},
        {"id": "["},
    ],
)
def test_any_other_input_is_left_to_the_plain_path(body: Any) -> None:
    assert LONE_DECODER.tensors[0].read_input(json.dumps(body).encode(), ("FP32",)) is None


def test_whole_numbers_are_read_to_the_last_digit() -> None:
    array = read_numbers(b"[9223372036854775807, -9223372036854775808]", (2,), whole=True)

    assert array is not None
    assert array.tolist() == [2**63 - 1, -(2**63)]
    assert read_numbers(b"[9223372036854775808, 1]", (2,), whole=True) is None
    assert read_numbers(b"[1.0, 1]", (2,), whole=True) is None


def test_a_large_text_and_other_threads_are_read_alike() -> None:
    values = np.random.default_rng(7).random(100_000)
    text = json.dumps(values.tolist()).encode()
    assert len(text) > 1 << 20
    found: list[list[np.ndarray[Any, Any] | None]] = []  # of each thread: theirs may mix

    def read() -> None:
        found.append([read_numbers(piece, shape, whole=False) for piece, shape in pieces * 20])

    pieces = [(text, (100_000,)), (b"[[1.5, 2]]", (1, 2)), (b"[3]", (1,))]
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(arrays) for arrays in found] == [60, 60, 60]
    for at, array in enumerate(array for arrays in found for array in arrays):
        assert array is not None
        expected = [values.tolist(), [[1.5, 2]], [3]][at % 3]
        assert array.tolist() == expected


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_body_is_decoded_alike_with_the_parser_and_without(
    is_installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_installed:
        monkeypatch.setattr(numbers, "_simdjson", lambda: None)
    decoder = RowDecoder(Schema(fields=FIELDS), max_rows=3)
    row = {"floats": [[0.1, 1, 2e30]] * 2, "bounded": [[1, 2, 3]] * 2, "wholes": [[1, 2]] * 2}
    request = decoder.decode(json.dumps({"rows": [row, row], "key": "k"}).encode())

    columns = decoder.columns(request.rows)
    assert request.key == "k"
    assert columns["floats"].tobytes() == np.array([row["floats"]] * 2, np.float32).tobytes()
    assert columns["wholes"].tolist() == [row["wholes"]] * 2
    with pytest.raises(
        BadData, match=r"rows\[1\]\.bounded\[0\]\[2\]: found a number above 1000000"
    ):
        decoder.decode(json.dumps({"rows": [row, {**row, "bounded": [[1, 2, 3e6]] * 2}]}).encode())
    with pytest.raises(BadData, match=r"rows\[0\]\.wholes\[0\]\[1\]: found a number written with"):
        decoder.decode(json.dumps({"rows": [{**row, "wholes": [[1, 2.0]] * 2}]}).encode())
    with pytest.raises(BadUsage, match="JSON in UTF-8"):
        decoder.decode(b'{"rows": [{"floats": [[1,2,3],[4,5,6]]')
