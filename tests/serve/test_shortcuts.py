"""The quick ways through an infer request give what the plain way gives, or leave it to it."""

from __future__ import annotations

import copy
import gc
import json
import weakref
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from tests.serve.test_rows import REQUEST, SCHEMA
from tests.support import rows as made
from torchyard.core.errors import YardError
from torchyard.data.rows import request_rows
from torchyard.records.schema import Field, Schema, Task
from torchyard.release import Release
from torchyard.serve.abstaining import Abstained, JudgedScores
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.inference.binary import HEADER, decode, encode
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.outputs import reply_of
from torchyard.serve.inference.quick_bytes import form_of
from torchyard.serve.inference.quick_json import QuickJson
from torchyard.serve.inference.shortcuts import shortcuts_of
from torchyard.serve.inference.tensors import datatypes_of, rows_of
from torchyard.serve.inference.wishes import Wish, given, wishes_of

DECODER = RowDecoder(REQUEST, max_rows=10)
QUICK = QuickJson(DECODER)
LARGE = Schema(fields=(Field(name="pixels", kind="tensor", shape=(20, 30)),))
LARGE_DECODER = RowDecoder(LARGE, max_rows=10)
LARGE_QUICK = QuickJson(LARGE_DECODER)

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", 0, 1, -1, 1.5, 1e308, 2**70, True, [], [[1]], [1, 2], {}, float("nan")]
)
DATATYPES = st.sampled_from(["FP64", "FP32", "FP16", "INT64", "INT8", "UINT64", "BOOL", "BYTES"])


def inputs_of(row: dict[str, Any], schema: Schema = REQUEST) -> list[dict[str, Any]]:
    """One input for each value that a row has, tensors flat."""
    return [
        {
            "name": field.name,
            "datatype": datatypes_of(field)[0],
            "shape": [1, *field.shape],
            "data": np.ravel(row[field.name]).tolist() if field.shape else [row[field.name]],
        }
        for field in schema.fields
        if row.get(field.name) is not None
    ]


def plainly(body: bytes, header: bytes | None = None) -> list[Any] | None:
    """The plain way's rows; None for what it refuses."""
    try:
        return rows_of(decode_infer(body, header).inputs, DECODER, max_rows=10)
    except YardError:
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two rows are equal, tensors to the bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__]
    return all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        if isinstance(a, np.ndarray)
        else (type(a), a) == (type(b), b)
        for a, b in pairs
    )


@st.composite
def ordinary(draw: st.DrawFn) -> list[dict[str, Any]]:
    frame = made.frame(SCHEMA, [draw(made.rows(SCHEMA))])
    return inputs_of(request_rows(frame, SCHEMA)[0])


SPOILERS = {
    "data": ODD | st.builds(lambda value, times: [value] * times, ODD, st.integers(0, 7)),
    "shape": st.lists(st.integers(-1, 4), max_size=3),
    "datatype": DATATYPES,
    "name": st.sampled_from(["", "none", *REQUEST.names]),
    "parameters": st.sampled_from([{}, {"a": 1}, None]),
}


@st.composite
def spoilt(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An ordinary request with something odd in it."""
    inputs = copy.deepcopy(draw(ordinary()))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(inputs) - 1))
        what = draw(st.sampled_from(["twice", "gone", *SPOILERS]))
        if what == "twice":
            inputs.append(copy.deepcopy(inputs[place]))
        elif what in SPOILERS:
            inputs[place][what] = draw(SPOILERS[what])
        elif len(inputs) > 1:
            del inputs[place]
    return inputs


@settings(max_examples=60, deadline=None)
@drawn(ordinary())
def test_an_ordinary_request_in_json_goes_the_quick_way(inputs: list[dict[str, Any]]) -> None:
    body = json.dumps({"inputs": inputs}).encode()

    asked = QUICK.read(body)

    plain = plainly(body)
    assert asked is not None
    assert plain is not None
    assert same(asked.row, plain[0])


@settings(max_examples=300, deadline=None)
@drawn(spoilt())
def test_an_odd_request_in_json_is_the_plain_ways_or_left_to_it(
    inputs: list[dict[str, Any]],
) -> None:
    body = json.dumps({"inputs": inputs}).encode()

    asked = QUICK.read(body)

    if asked is not None:
        plain = plainly(body)
        assert plain is not None
        assert same(asked.row, plain[0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{",
        b'{"inputs": []}',
        b'{"inputs": [{"name": "number"}]}',
        b'{"inputs": [], "parameters": {"explain": true}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_ordinary_request_is_left_to_the_plain_way(body: bytes) -> None:
    assert QUICK.read(body) is None


def test_ids_and_names_of_outputs_are_read_and_parameters_left_alone() -> None:
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 20, 30], "data": [0.5] * 600}
    asked: dict[str, Any] = {"inputs": [tensor], "id": "a", "outputs": [{"name": "label"}]}

    found = LARGE_QUICK.read(json.dumps(asked).encode())

    assert found is not None
    assert (found.id, found.outputs) == ("a", ("label",))
    assert cast(Any, found.row).f0.tolist() == [[0.5] * 30] * 20
    asked["outputs"] = [{"name": "label", "parameters": {"binary_data": True}}]
    assert LARGE_QUICK.read(json.dumps(asked).encode()) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_a_large_tensor_that_is_not_finite_is_left_to_the_plain_way(value: float) -> None:
    tensor = {"name": "pixels", "datatype": "FP32", "shape": [1, 20, 30], "data": [value] * 600}

    assert LARGE_QUICK.read(json.dumps({"inputs": [tensor]}).encode()) is None


def as_bytes(inputs: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    """A body whose tensors all follow its JSON, and its header."""
    told, pieces = [], []
    for one in inputs:
        values = one["data"]
        if REQUEST.field(one["name"]).kind == "image":
            values = [msgspec.convert(value, bytes) for value in values]
        pieces.append(encode(values, one["datatype"]))
        size = {"binary_data_size": len(pieces[-1])}
        told.append({**{k: v for k, v in one.items() if k != "data"}, "parameters": size})
    text = json.dumps({"inputs": told}).encode()
    return b"".join([text, *pieces]), b"%d" % len(text)


@settings(max_examples=150, deadline=None)
@drawn(ordinary(), st.data())
def test_bytes_after_a_known_head_are_the_plain_ways_or_left_to_it(
    inputs: list[dict[str, Any]], data: st.DataObject
) -> None:
    body, header = as_bytes(inputs)
    form = form_of(decode_infer(body, header).inputs, DECODER)
    assert form is not None
    head = int(header)
    found, plain = form.read(memoryview(body)[head:]), plainly(body, header)
    assert plain is not None
    assert found is not None
    assert same(found, plain[0])

    content = bytearray(body[head:])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    other = bytes(content) + data.draw(st.sampled_from([b"", b"", b"x"]))
    found = form.read(memoryview(other))

    if found is not None:
        plain = plainly(body[:head] + other, header)
        assert plain is not None
        assert same(found, plain[0])


@pytest.mark.parametrize("spoil", ["two rows", "half", "wide", "empty text", "time"])
def test_only_one_row_of_bytes_that_stand_for_themselves_has_a_form(spoil: str) -> None:
    schema = Schema(
        fields=(
            Field(name="pixels", kind="tensor", shape=(2,)),
            Field(name="name", kind="text", optional=True),
            Field(name="at", kind="timestamp", optional=True),
        )
    )
    decoder = RowDecoder(schema, max_rows=10)
    rows = 2 if spoil == "two rows" else 1
    datatype = {"half": "FP16", "wide": "FP64"}.get(spoil, "FP32")
    parts = {
        "pixels": (datatype, [rows, 2], encode([0.5, 1.5] * rows, datatype)),
        "name": ("BYTES", [rows], encode(["" if spoil == "empty text" else "a"] * rows, "BYTES")),
    }
    if spoil == "time":
        parts["at"] = ("INT64", [rows], encode([0] * rows, "INT64"))
    told = [
        {"name": name, "datatype": kind, "shape": shape,
         "parameters": {"binary_data_size": len(content)}}
        for name, (kind, shape, content) in parts.items()
    ]  # fmt: skip
    text = json.dumps({"inputs": told}).encode()
    body = text + b"".join(content for _, _, content in parts.values())
    inputs = decode_infer(body, b"%d" % len(text)).inputs
    assert len(rows_of(inputs, decoder, max_rows=10)) == rows

    assert form_of(inputs, decoder) is None


CLASSES = ("no", "yes", "ähm")
TASKS = (
    Task(kind="multiclass_classification", label="answer", classes=CLASSES),
    Task(kind="multilabel_classification", label="answers", classes=CLASSES),
    Task(kind="regression", label="delay", classes=(), unit="minutes"),
)


def expected(engine: Engine, wishes: list[Wish], scores: Any) -> tuple[dict[str, Any], bytes]:
    """An answer's JSON, and the bytes after it."""
    outputs, pieces = [], b""
    for wish in wishes:
        datatype, shape, values = given(engine.task, wish, scores)
        told: dict[str, Any] = {"name": wish.output.name, "datatype": datatype, "shape": shape}
        if wish.is_binary:
            content = encode(values, datatype)
            pieces += content
            told["parameters"] = {"binary_data_size": len(content)}
        else:
            told["data"] = values
        outputs.append(told)
    unit = {"unit": engine.task.unit} if engine.task.unit else {}
    parameters = {"release": engine.release, "variant": engine.variant, **unit}
    named = {"model_name": "m", "model_version": "v", "id": "an id"}
    return {**named, "parameters": parameters, "outputs": outputs}, pieces


def agree(engine: Engine, wishes: list[Wish], scores: Any) -> None:
    text, pieces = expected(engine, wishes, scores)
    found = reply_of(engine, wishes)("an id", scores)
    length = int(dict(found.headers).get(HEADER, len(found.body)))
    assert found.status == 200
    assert (HEADER in dict(found.headers)) == any(wish.is_binary for wish in wishes)
    assert found.body[length:] == pieces
    assert found.body[:length] == msgspec.json.encode(text)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("abstains", [False, True])
def test_an_answer_has_every_output_in_its_form(
    task: Task, rows: int, is_binary: bool, abstains: bool
) -> None:
    engine = cast(
        Engine,
        SimpleNamespace(
            task=task, model="m", version="v", release="sha256:0", variant="x", abstains=abstains
        ),
    )
    scores: Any = [[0.25, 0.5, 0.25]] * rows
    if abstains:
        scores = JudgedScores(scores, [Abstained("unsure", "Unsure."), None, None][:rows])
    wishes = wishes_of(engine, {"binary_data_output": is_binary}, None)

    agree(engine, wishes, scores)


def test_classes_are_named_alike() -> None:
    engine = cast(
        Engine,
        SimpleNamespace(
            task=TASKS[0], model="m", version="v", release="sha256:0", variant="x", abstains=False
        ),
    )
    scores = [[0.25, 0.5, 0.25]]
    wishes = wishes_of(engine, None, None)
    wishes = [wish._replace(most=2) for wish in wishes[:1]]

    agree(engine, wishes, scores)


def test_numbers_as_bytes_come_back() -> None:
    values = [0.5, -0.0, float("nan"), 3.4e38]

    assert np.array_equal(
        np.asarray(decode(encode(values, "FP32"), "FP32", count=4, where="x")),
        np.array(values, np.float32),
        equal_nan=True,
    )


def test_an_engine_that_serves_no_more_is_let_go(release: Release) -> None:
    engine = open_engine(release, max_rows=10)
    request = release.golden_requests()[0]
    body = json.dumps({"inputs": inputs_of(request, engine.schema)}).encode()
    found = shortcuts_of(engine).read(engine, body, None)
    assert found is not None
    assert found.reply("a", [[0.25, 0.75]]).status == 200
    gone = weakref.ref(engine)
    del engine
    gc.collect()

    assert gone() is None
