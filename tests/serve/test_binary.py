"""Binary tensor data: the rows that JSON gives, and nothing taken on a client's word."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.test_decode import ROW, SCHEMA
from torchyard.core.errors import BadData, BadUsage, YardError
from torchyard.features.columns import MISSING_TIME
from torchyard.records.schema import LARGEST_IMAGE_BYTES, Field, Schema
from torchyard.serve.decoding.rows import RowDecoder
from torchyard.serve.inference.binary import DATATYPES, WHOLE, decode, encode, split
from torchyard.serve.inference.bodies import decode_infer
from torchyard.serve.inference.tensors import datatypes_of, rows_of

PIXELS = Field(name="pixels", kind="tensor", shape=(2, 2), ge=-1, le=255)
TOKENS = Field(name="tokens", kind="tensor", shape=(3,), dtype="int64", ge=0)
PHOTO = Field(name="photo", kind="image", optional=True)
NAME = Field(name="name", kind="text", optional=True)
SPEED = Field(name="speed", kind="number", optional=True)
FREE = RowDecoder(Schema(fields=(Field(name="any", kind="number"),)), max_rows=9)
MIXED = RowDecoder(Schema(fields=(PIXELS, TOKENS, PHOTO, NAME, SPEED)), max_rows=9)
ROWS = RowDecoder(SCHEMA, max_rows=9)

KINDS = {
    "distance": "FP64", "class": "INT64", "holiday": "BOOL", "origin": "BYTES", "carrier": "BYTES",
    "scheduled": "BYTES",
}  # fmt: skip


def part(name: str, datatype: str, shape: list[int], content: bytes, **more: Any) -> Any:
    size = {"parameters": {"binary_data_size": len(content)}}
    return {"name": name, "datatype": datatype, "shape": shape, **size, **more}, content


def plain(name: str, datatype: str, shape: list[int], data: list[Any]) -> Any:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}, b""


def body(*parts: Any, rest: bytes = b"") -> tuple[bytes, bytes]:
    """A body and its header."""
    text = json.dumps({"inputs": [told for told, _ in parts]}).encode()
    return text + b"".join(content for _, content in parts) + rest, b"%d" % len(text)


def read(decoder: RowDecoder, *parts: Any) -> list[Any]:
    return rows_of(decode_infer(*body(*parts)).inputs, decoder, max_rows=9)


def refused(kind: type[YardError], run: Callable[[], object]) -> YardError:
    with pytest.raises(kind) as caught:
        run()
    return caught.value


def pixels(count: int = 1) -> Any:
    return part("pixels", "FP32", [count, 2, 2], struct.pack(f"<{4 * count}f", *range(4 * count)))


def tokens(count: int = 1) -> Any:
    return part("tokens", "INT64", [count, 3], struct.pack(f"<{3 * count}q", *range(3 * count)))


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_bytes_give_the_rows_that_json_gives(shape: list[int]) -> None:
    row = {**ROW, "wind speed": 3.5, "stops": 2, "tail": "N1", "landed": "2013-07-01T11:00:00"}
    more = {"wind speed": "FP32", "stops": "INT8", "tail": "BYTES", "landed": "BYTES"}
    parts = [
        part(name, datatype, shape, encode([row[name]] * 2, datatype))
        for name, datatype in {**KINDS, **more}.items()
    ]

    assert read(ROWS, *parts) == ROWS.decode(json.dumps({"rows": [row, row]}).encode()).rows


def test_bytes_and_json_stand_side_by_side() -> None:
    parts = [
        plain(name, datatype, [1], [ROW[name]])
        if name in ("distance", "origin")
        else part(name, datatype, [1], encode([ROW[name]], datatype))
        for name, datatype in KINDS.items()
    ]

    assert read(ROWS, *parts) == ROWS.decode(json.dumps({"rows": [ROW]}).encode()).rows


@pytest.mark.parametrize("datatype", datatypes_of(PIXELS))
def test_every_datatype_of_numbers_becomes_the_fields_own(datatype: str) -> None:
    values = [0, 1, 2.5 if datatype in ("FP16", "BF16", "FP32", "FP64") else 2, 127]
    content = (
        b"".join(struct.pack("<f", value)[2:] for value in values)  # 127 has seven bits
        if datatype == "BF16"
        else encode(values, datatype)
    )
    (row,) = read(MIXED, part("pixels", datatype, [1, 2, 2], content), tokens())

    assert row.f0.dtype == np.float32
    assert row.f0.tolist() == [values[:2], values[2:]]


@pytest.mark.parametrize("datatype", datatypes_of(TOKENS))
def test_every_datatype_of_whole_numbers_becomes_int64(datatype: str) -> None:
    (row,) = read(MIXED, pixels(), part("tokens", datatype, [1, 3], encode([0, 7, 127], datatype)))

    assert row.f1.dtype == np.int64
    assert row.f1.tolist() == [0, 7, 127]


def test_a_float_tensor_is_not_copied() -> None:
    content, header = body(pixels(2), tokens(2))
    rows: list[Any] = rows_of(decode_infer(content, header).inputs, MIXED, max_rows=9)
    at = np.frombuffer(content, np.uint8).ctypes.data

    assert [row.f0.ctypes.data - at - int(header) for row in rows] == [0, 16]
    assert rows[1].f0.tolist() == [[4, 5], [6, 7]]


def test_what_is_missing() -> None:
    found = read(
        MIXED,
        pixels(3),
        tokens(3),
        part("name", "BYTES", [3], encode(["", "b", ""], "BYTES")),
        part("photo", "BYTES", [3], encode([b"", b"", b"\xff\xd8"], "BYTES")),
        part("speed", "FP32", [3], struct.pack("<3f", float("nan"), 2, -3)),
    )

    assert [(row.f2, row.f3, row.f4) for row in found] == [
        (None, None, None), (None, "b", 2.0), (b"\xff\xd8", None, -3.0),
    ]  # fmt: skip
    landed = part("landed", "INT64", [1], struct.pack("<q", MISSING_TIME))
    rest = [part(name, kind, [1], encode([ROW[name]], kind)) for name, kind in KINDS.items()]
    assert read(ROWS, *rest, landed) == ROWS.decode(json.dumps({"rows": [ROW]}).encode()).rows


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_json_and_bytes_agree_to_the_bit(data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from([d for d in datatypes_of(SPEED) if d != "BF16"]))
    width = 16 if datatype == "FP16" else 32 if datatype == "FP32" else 64
    number = (
        st.floats(allow_nan=False, allow_infinity=False, width=width)  # type: ignore[arg-type]
        if datatype.startswith("FP")
        else st.integers(*_limits(datatype))
    )
    values = data.draw(st.lists(number, min_size=1, max_size=9))
    count = len(values)
    binary = read(MIXED, pixels(count), tokens(count),
                  part("speed", datatype, [count], encode(values, datatype)))  # fmt: skip
    told = "FP64" if datatype == "FP16" else datatype  # JSON has no form for FP16
    text = read(MIXED, pixels(count), tokens(count), plain("speed", told, [count], values))

    assert [row.f4 for row in binary] == [row.f4 for row in text]


def _limits(datatype: str) -> tuple[int, int]:
    limits = np.iinfo(datatype.lower())
    return int(limits.min), int(limits.max)


@pytest.mark.parametrize(
    ("changed", "where", "found", "expected"),
    [
        (
            part("pixels", "FP32", [1, 2, 2], struct.pack("<4f", 0, float("nan"), 0, 0)),
            "$.inputs['pixels'].data[0][0][1]",
            "a number that is not finite",
            "nested lists of 2 x 2 float32 numbers from -1 to 255",
        ),
        (
            part("pixels", "FP64", [1, 2, 2], struct.pack("<4d", 0, 0, 0, 256)),
            "$.inputs['pixels'].data[0][1][1]",
            "a number above 255",
            None,
        ),
        (
            part("tokens", "UINT64", [1, 3], struct.pack("<3Q", 0, 0, 2**64 - 1)),
            "$.inputs['tokens'].data[0][2]",
            "a number too large",
            "nested lists of 3 int64 numbers of at least 0",
        ),
        (
            part("tokens", "INT8", [1, 3], struct.pack("<3b", 0, -1, 0)),
            "$.inputs['tokens'].data[0][1]",
            "a number below 0",
            None,
        ),
        (
            part("speed", "FP64", [1], struct.pack("<d", float("inf"))),
            "$.inputs['speed'].data[0]",
            "a number that is not finite",
            None,
        ),
        (
            part("name", "BYTES", [1], encode([b"\xff\xfe"], "BYTES")),
            "$.inputs['name'].data[0]",
            "a byte that is not UTF-8 (byte 0 of a text)",
            "text, or null",
        ),
        (
            part("tokens", "FP32", [1, 3], bytes(12)),
            "$.inputs['tokens'].datatype",
            "another datatype",
            None,
        ),
        (
            part("pixels", "FP32", [1, 4], bytes(16)),
            "$.inputs['pixels'].shape",
            "another shape",
            "[1, 2, 2]",
        ),
        (
            plain("pixels", "FP16", [1, 2, 2], [0, 0, 0, 0]),
            "$.inputs['pixels'].datatype",
            "another datatype",
            "FP32 or FP64 or INT64 or UINT8 or UINT16 or UINT32 or UINT64 or INT8 or INT16 or "
            "INT32",
        ),
        (
            plain("pixels", "INT8", [1, 2, 2], [0, 128, 0, 0]),
            "$.inputs['pixels'].data[0]",
            "a number too large",
            "a number of INT8",
        ),
        (
            plain("pixels", "INT32", [1, 2, 2], [[[0, 1.5], [0, 0]]]),
            "$.inputs['pixels'].data[0]",
            "a number",
            "a whole number, as INT32 says",
        ),
        (
            plain("speed", "UINT8", [1], [-1]),
            "$.inputs['speed'].data[0]",
            "a number too small",
            "a number of UINT8",
        ),
    ],
)
def test_values_obey_the_schema_in_whatever_form(
    changed: Any, where: str, found: str, expected: str | None
) -> None:
    parts = {told["name"]: (told, content) for told, content in (pixels(), tokens(), changed)}
    error = refused(BadData, lambda: read(MIXED, *parts.values()))

    assert (error.where, error.found) == (where, found)
    assert error.expected == (expected or error.expected)


def test_not_a_number_where_a_number_is_required_is_a_missing_one() -> None:
    nan = part("any", "FP32", [1], struct.pack("<f", float("nan")))
    error = refused(BadData, lambda: read(FREE, nan))

    assert (error.where, error.found) == ("$.inputs['any'].data[0]", "a missing value")


def test_a_picture_of_too_many_bytes_is_refused() -> None:
    photo = part("photo", "BYTES", [1], encode([bytes(LARGEST_IMAGE_BYTES + 1)], "BYTES"))
    error = refused(BadData, lambda: read(MIXED, pixels(), tokens(), photo))

    assert (error.found, error.remedy) == ("16,777,217 bytes", "Send 'photo' in a smaller size.")


@pytest.mark.parametrize(
    "header", [b"", b"-1", b"+5", b" 5", b"5 ", b"0x5", b"1e2", b"99999999999999999999", b"5000"]
)
def test_a_header_that_is_no_length_of_the_body_is_refused(header: bytes) -> None:
    error = refused(BadUsage, lambda: split(b"{}" * 100, header))

    assert error.where == "header Inference-Header-Content-Length"
    assert (error.found, error.expected) == (
        "something else",
        "bytes of JSON, at most the body's 200",
    )


def sized(size: Any, *, shape: list[int] | None = None, datatype: str = "FP32", **more: Any) -> Any:
    told = {"name": "pixels", "datatype": datatype, "shape": shape or [1, 2, 2], **more}
    return {**told, "parameters": {"binary_data_size": size}}, bytes(16)


@pytest.mark.parametrize(
    ("told", "rest", "where", "found"),
    [
        (sized(15), b"", "request body", "16 bytes after the JSON"),
        (sized(17), b"", "request body", "16 bytes after the JSON"),
        (sized(2**63), b"", "request body", "16 bytes after the JSON"),
        (sized(16), b"!", "request body", "17 bytes after the JSON"),
        (sized(-16), b"", "$.inputs[0].parameters.binary_data_size", "something else"),
        (sized(True), b"", "$.inputs[0].parameters.binary_data_size", "something else"),
        (sized("16"), b"", "$.inputs[0].parameters.binary_data_size", "something else"),
        (sized(16.0), b"", "$.inputs[0].parameters.binary_data_size", "something else"),
        (sized(16, data=[1]), b"", "$.inputs[0]", "'data' beside 'binary_data_size'"),
        (sized(16, shape=[1, 2, 3]), b"", "$.inputs[0]", "16 bytes"),
        (sized(16, shape=[2**62, 2**62]), b"", "$.inputs[0]", "16 bytes"),
        (sized(16, shape=[-1, -4]), b"", "$.inputs[0].shape", "another shape"),
        (sized(16, shape=[1] * 33), b"", "$.inputs[0].shape", "another shape"),
        (sized(16, datatype="FP8"), b"", "$.inputs[0].datatype", "another datatype"),
        (sized(16, datatype="BYTES"), b"", "$.inputs[0]", "4 elements"),
    ],
)
def test_sizes_are_held_against_what_is_there(
    told: Any, rest: bytes, where: str, found: str
) -> None:
    if found == "4 elements":  # four texts of no length, where the shape says five
        told[0]["shape"] = [5]
    error = refused(BadUsage, lambda: decode_infer(*body(told, rest=rest)))

    assert (error.where, error.found) == (where, found)


def test_data_without_a_header_is_no_json() -> None:
    content, _ = body(pixels())

    assert refused(BadUsage, lambda: decode_infer(content)).where == "request body"


def test_an_input_without_data_is_told() -> None:
    told = {"name": "pixels", "datatype": "FP32", "shape": [1, 2, 2]}
    error = refused(BadData, lambda: decode_infer(json.dumps({"inputs": [told]}).encode()))

    assert (error.where, error.found) == ("$.inputs[0]", "no 'data'")


@pytest.mark.parametrize(
    ("content", "count", "found"),
    [
        (b"", 1, "0 elements"),
        (b"\x01\x00\x00", 1, "3 bytes, too few for element 0"),
        (b"\x02\x00\x00\x00a", 1, "5 bytes, too few for element 0"),
        (b"\xff\xff\xff\xffa", 1, "5 bytes, too few for element 0"),
        (b"\x01\x00\x00\x00a\x00", 2, "6 bytes, too few for element 1"),
        (b"\x01\x00\x00\x00a\x00", 1, "more elements"),
        (b"\x01\x00\x00\x00a" * 2, 1, "more elements"),
        (b"\x01\x00\x00\x00a", 2**62, "1 elements"),
    ],
)
def test_lengths_of_texts_are_held_against_what_is_there(
    content: bytes, count: int, found: str
) -> None:
    error = refused(BadUsage, lambda: decode(content, "BYTES", count=count, where="here"))

    assert (error.where, error.found) == ("here", found)


def test_a_truth_value_is_zero_or_one() -> None:
    error = refused(BadUsage, lambda: decode(b"\x00\x02", "BOOL", count=2, where="here"))

    assert (error.found, error.expected) == (
        "another byte",
        "0 or 1 for every element, as BOOL says",
    )


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(DATATYPES),
    st.binary(max_size=64),
    st.integers(0, 2**70),
)
def test_any_bytes_are_decoded_or_refused(datatype: str, content: bytes, count: int) -> None:
    try:
        elements = decode(content, datatype, count=count, where="here")
    except BadUsage:
        return
    assert len(elements) == count
    if datatype not in ("FP16", "BF16"):
        assert encode(list(elements), datatype) == content


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_whole_numbers_come_back(datatype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(*_limits(datatype)), max_size=5))
    content = encode(values, datatype)

    assert list(decode(content, datatype, count=len(values), where="here")) == values


def test_half_precision_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype="<u2")
    wide = decode(halves.tobytes(), "FP16", count=1 << 16, where="here")
    brain = decode(halves.tobytes(), "BF16", count=1 << 16, where="here")

    assert isinstance(wide, np.ndarray)
    assert isinstance(brain, np.ndarray)
    np.testing.assert_array_equal(wide, halves.view(np.float16).astype(np.float32))
    np.testing.assert_array_equal(brain.view(np.uint32), halves.astype(np.uint32) << 16)
