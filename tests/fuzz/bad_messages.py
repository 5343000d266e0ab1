"""Bad calls over gRPC without end, the same for the same seed: messages, methods, metadata, frames.

Some turn out right by chance, where a damaged byte makes another good value of a good one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal, NamedTuple

from tests.serve.grpc_clients import MODEL, PATIENCE_S, raw_request, texts, typed_request
from torchyard.serve.inference.grpc.messages import SERVICE, methods

INFER = f"/{SERVICE}/ModelInfer"
STREAM = f"/{SERVICE}/ModelStreamInfer"
HEALTH = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List")
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
UNARY = (*(f"/{SERVICE}/{one.name}" for one in methods() if not one.is_stream), *HEALTH)
HUGE = (2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1)
DATATYPES = ("", "BOOL", "INT8", "INT32", "INT64", "UINT8", "UINT64", "FP16", "BF16", "FP32")
OTHERS = ("FP64", "BYTES", "FP8", "fp64", "\N{SNOWMAN}", "X" * 1000)


class BadCall(NamedTuple):
    """One call: its messages as bytes, and how it ends.

    ``whole`` ends as calls do, ``left`` is begun and not gone on with, ``cut`` is cancelled.
    """

    method: str
    messages: tuple[bytes, ...]
    streams: bool = False
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    end: Literal["whole", "left", "cut"] = "whole"
    timeout_s: float = PATIENCE_S


class BadWire(NamedTuple):
    """Bytes for a connection of their own; ``resets`` where it ends in a reset."""

    content: bytes
    resets: bool = False


Bad = BadCall | BadWire


def bad_calls(seed: int) -> Iterator[Bad]:
    """Calls of every kind, in an order of their own."""
    random = Random(seed)
    while True:
        yield random.choice(KINDS)(random)


def bad_message(random: Random) -> bytes:
    """The bytes of a message that is no good request for an inference."""
    return random.choice(MESSAGES)(random)


def _good(random: Random) -> Any:
    make = random.choice((raw_request, typed_request))
    return make([1000.0] * random.choice((1, 1, 2, 5)), id=str(random.randrange(1000)))


def _garbage(random: Random) -> bytes:
    return random.randbytes(random.choice((0, 1, 2, 10, 100, 5000)))


def _damaged(random: Random) -> bytes:
    content = bytearray(_good(random).SerializeToString())
    for _ in range(random.randint(1, 4)):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content[: random.choice((len(content), random.randrange(len(content)))) or 1])


def _wrong_shape(random: Random) -> bytes:
    request = _good(random)
    tensor = random.choice(request.inputs)
    del tensor.shape[:]
    sizes = (0, -1, 1, 2, 3, -(2**63), *HUGE)
    count = random.choice((0, 1, 1, 2, 3, 9, 5000))
    tensor.shape.extend(random.choice(sizes) for _ in range(count))
    return bytes(request.SerializeToString())


def _wrong_datatype(random: Random) -> bytes:
    request = _good(random)
    random.choice(request.inputs).datatype = random.choice(DATATYPES + OTHERS)
    return bytes(request.SerializeToString())


def _wrong_raw(random: Random) -> bytes:
    """Raw contents too short, too long, too many, too few, or beside typed ones."""
    request = raw_request([1000.0])
    place = random.randrange(3)
    kind = random.randrange(4)
    if kind == 0:
        wrong = (
            b"",
            b"\0",
            b"\xff" * 4,
            b"\xff\xff\xff\x7fDL",
            bytes(7),
            bytes(9),
            texts("a", "b"),
        )
        request.raw_input_contents[place] = random.choice((*wrong, random.randbytes(12)))
    elif kind == 1:
        request.raw_input_contents.extend([b"x"] * random.choice((1, 1000)))
    elif kind == 2:
        del request.raw_input_contents[place:]
    else:
        request.inputs[place].contents.fp64_contents.append(1.0)
    return bytes(request.SerializeToString())


def _wrong_contents(random: Random) -> bytes:
    """Elements in another list than the datatype's, or in several, or more than the shape says."""
    request = typed_request([1000.0])
    contents = random.choice(request.inputs).contents
    lists = {
        "bool_contents": True,
        "int_contents": -(2**31),
        "int64_contents": 2**63 - 1,
        "uint_contents": 2**32 - 1,
        "uint64_contents": 2**64 - 1,
        "fp32_contents": 1.5,
        "fp64_contents": float("nan"),
        "bytes_contents": b"\xff\x00",
    }
    for name in random.choices(list(lists), k=random.choice((1, 1, 2, 8))):
        getattr(contents, name).extend([lists[name]] * random.choice((1, 2, 1000)))
    return bytes(request.SerializeToString())


def _wrong_number(random: Random) -> bytes:
    value = random.choice((float("nan"), float("inf"), float("-inf"), 1e308, -1e-300, -0.5, 5001.0))
    make = random.choice((raw_request, typed_request))
    return bytes(make([1000.0, value]).SerializeToString())


def _wrong_text(random: Random) -> bytes:
    text = random.choice(("", "DL\0", "D" * 100_000, "'; DROP TABLE", "é" * 9, "<script>", "👩"))
    content = random.choice((text.encode(), b"\xff\xfe", b"\xed\xa0\x80"))
    place = random.choice((1, 2))
    if random.random() < 0.5:
        request = raw_request([1000.0])
        request.raw_input_contents[place] = struct.pack("<I", len(content)) + content
    else:
        request = typed_request([1000.0])
        request.inputs[place].contents.bytes_contents[0] = content
    return bytes(request.SerializeToString())


def _wrong_model(random: Random) -> bytes:
    request = _good(random)
    name = random.choice(("", "x", "X" * 50_000, "../demo", "demo\0", "👩" * 100))
    kind = random.randrange(3)
    if kind == 0:
        request.model_name = name
    elif kind == 1:
        request.model_version = name or "0" * 12
    else:
        request.id = "i" * random.choice((201, 50_000))
    return bytes(request.SerializeToString())


def _wrong_input(random: Random) -> bytes:
    request = _good(random)
    kind = random.randrange(4)
    if kind == 0:
        request.inputs[0].name = random.choice(("", "x", "n" * 50_000, "carrier"))
    elif kind == 1:
        del request.inputs[random.randrange(3) :]
    elif kind == 2:
        for number in range(random.choice((1, 500))):
            request.inputs.add(name=f"x{number}", datatype="FP64", shape=[1])
    else:
        return bytes(raw_request([1.0] * random.choice((0, 501, 2000))).SerializeToString())
    return bytes(request.SerializeToString())


def _wrong_wish(random: Random) -> bytes:
    request = _good(random)
    output = request.outputs.add(name=random.choice(("probabilities", "label", "x", "")))
    parameter = output.parameters[
        random.choice(("classification", "binary_data", "shared_memory_region"))
    ]
    kind = random.choice(("int64_param", "string_param", "bool_param", "double_param"))
    values: dict[str, Any] = {
        "int64_param": random.choice((-1, 0, 3, 2**63 - 1)),
        "string_param": "x" * random.choice((1, 1000)),
        "bool_param": True,
        "double_param": float("nan"),
    }
    setattr(parameter, kind, values[kind])
    request.parameters["explain"].string_param = "yes"
    request.parameters["key"].double_param = float("inf")
    return bytes(request.SerializeToString())


def _deep(random: Random) -> bytes:
    """A field inside of itself, over and over: a tensor's, a group's, an unknown one's."""
    content = b""
    tag = random.choice((b"\x2a", b"\x22", b"\x7a"))
    for _ in range(random.choice((50, 150, 2000))):
        content = tag + _varint(len(content)) + content
    return random.choice((content, b"\x0b" * random.choice((50, 150, 20_000))))


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    return bytes([*content, number])


MESSAGES: tuple[Callable[[Random], bytes], ...] = (
    *(_garbage, _damaged, _wrong_shape, _wrong_datatype, _wrong_raw, _wrong_contents),
    *(_wrong_number, _wrong_text, _wrong_model, _wrong_input, _wrong_wish, _deep),
)


def _call(random: Random) -> Bad:
    return BadCall(INFER, (bad_message(random),))


def _stream(random: Random) -> Bad:
    messages = tuple(bad_message(random) for _ in range(random.randrange(6)))
    return BadCall(STREAM, messages, streams=True)


def _other_method(random: Random) -> Bad:
    """Any method, given what is for another or nobody; or none at all."""
    name = random.choice((b"", MODEL.encode(), b"x" * 300, b"\xff"))
    content = random.choice((_garbage(random), b"\x0a" + _varint(len(name)) + name))
    return BadCall(random.choice(UNARY), (content,))


def _no_method(random: Random) -> Bad:
    places = ("/", "/x", "//", f"/{SERVICE}/", f"/{SERVICE}/No", "/x.Y/ModelInfer", "/" + "a" * 900)
    return BadCall(random.choice(places), (_garbage(random),), streams=random.random() < 0.2)


def _two_at_once(random: Random) -> Bad:
    """Several messages, or none, where one is expected."""
    count = random.choice((0, 2, 5))
    return BadCall(
        random.choice(UNARY), tuple(bad_message(random) for _ in range(count)), streams=True
    )


def _reflected(random: Random) -> Bad:
    name = random.choice((b"", b"x", SERVICE.encode(), b"\xff", b"a" * 2000, b"inference.proto"))
    fields = (b"\x1a", b"\x22", b"\x32", b"\x3a", b"\x0a")
    asked = [random.choice(fields) + _varint(len(name)) + name for _ in range(3)]
    extension = b"\x2a\x04\x0a\x01" + b"x" + random.choice((b"\x10", b"\x0a")) + b"\x00"
    return BadCall(REFLECTION, (*asked, random.choice((extension, _garbage(random)))), streams=True)


def _wrong_metadata(random: Random) -> Bad:
    names = ("x-request-id", "traceparent", "tracestate", "authorization", "x-api-key")
    more = ("x-routing-key", "x-forwarded-for", "x-deadline-ms", "grpc-tags-bin", "x-bin")
    name = random.choice(names + more)
    value: str | bytes = random.choice(("", "-1", "x" * 300, "a b", "0" * 55, "00-" + "f" * 32))
    if name.endswith("-bin"):
        value = random.randbytes(random.choice((0, 1, 300)))
    elif random.random() < 0.1:
        value = "y" * 40_000
    return BadCall(INFER, (bad_message(random),), metadata=((name, value), (name, value)))


def _in_a_hurry(random: Random) -> Bad:
    request = raw_request([1000.0]).SerializeToString()
    return BadCall(INFER, (request,), timeout_s=random.choice((1e-6, 0.0005, 0.002)))


def _cut(random: Random) -> Bad:
    method, streams = random.choice(((INFER, False), (STREAM, True), (REFLECTION, True)))
    return BadCall(method, (bad_message(random),) * (1 + 2 * streams), streams, end="cut")


def _left(random: Random) -> Bad:
    method = random.choice((INFER, STREAM, REFLECTION, *HEALTH))
    messages = tuple(bad_message(random) for _ in range(random.randrange(2)))
    return BadCall(method, messages, streams=True, end="left", timeout_s=0.03)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _frame(kind: int, flags: int, stream: int, content: bytes, length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + content


def _header(name: bytes, value: bytes) -> bytes:
    """A literal header without indexing, without Huffman coding: RFC 7541, section 6.2.2."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _opening(path: bytes) -> bytes:
    """A client's beginning, and the headers of its first call."""
    headers = b"\x83\x86" + _header(b":path", path) + _header(b":authority", b"x")
    headers += _header(b"content-type", b"application/grpc") + _header(b"te", b"trailers")
    return PREFACE + _frame(4, 0, 0, b"") + _frame(1, 4, 1, headers)


def _broken_off(random: Random) -> Bad:
    """A call whose message stops halfway: its stream is reset, or its connection, or nothing is."""
    message = bad_message(random)
    claimed = random.choice((len(message), len(message) + 100, 2**31, 2**32 - 1))
    prefixed = bytes([random.choice((0, 0, 1, 2, 255))]) + struct.pack(">I", claimed) + message
    part = prefixed[: random.choice((len(prefixed), random.randrange(1, 8)))][:16_000]
    content = _opening(random.choice((INFER, STREAM)).encode()) + _frame(0, 0, 1, part)
    if random.random() < 0.5:
        content += _frame(3, 0, 1, struct.pack(">I", random.choice((0, 2, 8, 2**32 - 1))))
    return BadWire(content, resets=random.random() < 0.5)


def _wrong_frames(random: Random) -> Bad:
    frames = [
        _frame(
            random.randrange(12),
            random.choice((0, 1, 4, 5, 8, 255)),
            random.choice((0, 1, 3, 2**31 - 1)),
            random.randbytes(random.choice((0, 4, 5, 8, 40))),
            random.choice((None, None, None, 0, 5, 16_777_215)),
        )
        for _ in range(random.randint(1, 6))
    ]
    opening = random.choice((PREFACE, _opening(INFER.encode()), PREFACE + _frame(4, 0, 0, b"")))
    return BadWire(opening + b"".join(frames), resets=random.random() < 0.3)


def _no_http2(random: Random) -> Bad:
    wrong = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(60), PREFACE[:10], b"")
    return BadWire(random.choice((*wrong, random.randbytes(100))), resets=random.random() < 0.3)


# those of the last line cost a connection each
KINDS: tuple[Callable[[Random], Bad], ...] = (
    *(_call,) * 12,
    *(_stream, _other_method, _wrong_metadata) * 2,
    *(_no_method, _two_at_once, _reflected, _in_a_hurry, _cut, _left),
    *(_broken_off, _wrong_frames, _no_http2),
)
