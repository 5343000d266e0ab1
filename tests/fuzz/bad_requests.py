"""Bad requests without end, the same for the same seed: HTTP, JSON, tensors, all of them wrong.

Some turn out right by chance, where a damaged byte makes another good value of a good one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from tests.attacks.test_smuggling import SHAPES
from tests.serve.clients import ROW, post, predict

INFER = "/v2/models/demo/infer"
LABELS = "/v1/models/demo/labels"
PREDICT = "/v1/models/demo/predict"
HUGE = (2**31, 2**32, 2**63, 2**64, 10**30)


class Bad(NamedTuple):
    """Bytes to send; ``ends`` where the connection cannot be used for another request."""

    content: bytes
    ends: bool = False


def bad_requests(seed: int) -> Iterator[Bad]:
    """Requests of every kind, in an order of their own."""
    random = Random(seed)
    while True:
        yield random.choice(KINDS)(random)


def _anything(random: Random, depth: int = 3) -> Any:
    """A JSON value that nobody expects, or that is nearly right."""
    if depth and random.random() < 0.2:
        return [_anything(random, depth - 1) for _ in range(random.randrange(4))]
    if depth and random.random() < 0.15:
        return {_text(random): _anything(random, depth - 1) for _ in range(random.randrange(4))}
    number = random.choice((-1, 0, 1, 1e308, 5e-324, -0.0, 2**53 + 1, *HUGE, 10**400))
    other = random.choice((None, True, "", float("nan"), float("inf"), -float("inf")))
    return random.choice((number, -number, other, _text(random), "2026-02-30T00:00:00", "DL"))


def _text(random: Random) -> str:
    letters = ("a", "é", "\x00", "\ud800", '"', "\\", "👩", "<script>", "%s", "\r\n", "../")
    return "".join(random.choices(letters, k=random.randrange(8)))


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _wrong_value(random: Random) -> Bad:
    row = {**ROW, "distance": 1000.0, random.choice((*ROW, "distance", "seat")): _anything(random)}
    return Bad(post(_as_json({"rows": [row]})))


def _twice(random: Random) -> Bad:
    """A name that an object has twice, with two values of which at least one is wrong."""
    name = random.choice((*ROW, "distance"))
    pairs = (f'"{name}": {json.dumps(_anything(random))}' for _ in range(2))
    row = json.dumps({**ROW, "distance": 1.0})[1:-1]
    rows = [f"[{{{row}, {', '.join(pairs)}}}]", json.dumps(_anything(random))]
    random.shuffle(rows)
    return Bad(post(f'{{"rows": {rows[0]}, "rows": {rows[1]}}}'.encode()))


def _wrong_form(random: Random) -> Bad:
    body = {"rows": [ROW], random.choice(("rows", "ids", "key", "explain", "x")): _anything(random)}
    return Bad(post(_as_json(body if random.random() < 0.7 else _anything(random))))


def _many_rows(random: Random) -> Bad:
    return Bad(post(_as_json({"rows": [ROW] * random.choice((0, 501, 2000))})))


def _damaged(random: Random) -> Bad:
    body = bytearray(_as_json({"rows": [{**ROW, "distance": 1000}], "ids": ["a"]}))
    for _ in range(random.randint(1, 4)):
        body[random.randrange(len(body))] = random.randrange(256)
    return Bad(post(bytes(body[: random.choice((len(body), random.randrange(len(body))))])))


def _deep(random: Random) -> Bad:
    opening = random.choice((b"[", b'{"a":', b'{"rows":[', b"[[0],"))
    return Bad(post(b'{"rows": ' + opening * random.choice((50, 1100, 10_000))))


def _not_unicode(random: Random) -> Bad:
    piece = random.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80"))
    return Bad(post(b'{"rows": [{"carrier": "' + piece + b'", "departs": "' + piece + b'"}]}'))


def _wrong_label(random: Random) -> Bad:
    label = {"id": _anything(random), "label": _anything(random)}
    return Bad(post(_as_json({"labels": [label, _anything(random)]}), path=LABELS))


def _wrong_tensor(random: Random) -> Bad:
    inputs = _inputs()
    wrong = random.choice(inputs)
    wrong[random.choice(("name", "shape", "datatype", "data", "parameters"))] = random.choice(
        (_anything(random), [random.choice((0, -1, 2, *HUGE))], "FP16", "BF16", [[1], [2]])
    )
    return Bad(post(_as_json({"inputs": inputs}), path=INFER))


def _wrong_bytes(random: Random) -> Bad:
    """Binary tensors whose sizes, shapes or header say something else than what is there."""
    inputs = _inputs()
    tail = random.randbytes(random.choice((0, 1, 3, 4, 8, 12, 100)))
    for each in inputs:
        if random.random() < 0.6:
            del each["data"]
            each["datatype"] = random.choice(("BYTES", "FP64", "FP16", "BF16", "INT64", "BOOL"))
            each["shape"] = [random.choice((1, 1, 0, -1, 2, *HUGE))]
            size = random.choice((len(tail), 8, 0, -1, *HUGE))
            each["parameters"] = {"binary_data_size": size}
    text = _as_json({"inputs": inputs})
    length = random.choice((len(text), 0, -1, len(text) + 1, len(text) - 1, *HUGE))
    return Bad(post(text + tail, f"Inference-Header-Content-Length: {length}", path=INFER))


def _inputs() -> list[dict[str, Any]]:
    return [
        {"name": "distance", "datatype": "FP64", "shape": [1], "data": [1000.0]},
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["DL"]},
        {"name": "departs", "datatype": "BYTES", "shape": [1], "data": ["2026-02-01T09:30:00"]},
    ]


def _wrong_place(random: Random) -> Bad:
    paths = (
        "/",
        PREDICT + "/x",
        "/v1/models/x/predict",
        "/%00",
        "/" + "a/" * 500,
        "/v2/models/%ff",
    )
    method = random.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"))
    line = f"{method} {random.choice(paths)} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    return Bad(line.encode())


def _wrong_header(random: Random) -> Bad:
    name = random.choice(
        ("X-Deadline-Ms", "X-Request-Id", "Accept", "traceparent", "X-Routing-Key")
    )
    value = random.choice(("", "-1", "0", "1e9", "x" * 300, "9" * 40, "a b", "0x10"))
    return Bad(post(_as_json({"rows": [{**ROW, "distance": "far"}]}), f"{name}: {value}"))


def _garbage(random: Random) -> Bad:
    return Bad(random.randbytes(random.choice((1, 10, 100, 1000))), ends=True)


def _cut_off(random: Random) -> Bad:
    whole = predict(1000.0)
    request = post(whole)
    return Bad(request[: random.randrange(1, len(request))], ends=True)


def _smuggled(random: Random) -> Bad:
    return Bad(random.choice(tuple(SHAPES.values())), ends=True)


def _wrong_length(random: Random) -> Bad:
    length = random.choice((-1, -(2**63), *HUGE, "1e3", "+5", " ", "0x5", "5,5", "５"))
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    return Bad(head.encode() + b"hello", ends=True)


def _wrong_chunks(random: Random) -> Bad:
    size = random.choice(("-1", "ffffffffffffffffff", "5;x=" + "y" * 100, "g", "", "5 "))
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Bad(f"{head}{size}\r\nhello\r\n0\r\n\r\n".encode(), ends=True)


def _large_head(random: Random) -> Bad:
    line = random.choice((b"a: b\r\n" * 150, b"a: " + b"b" * 40_000 + b"\r\n"))
    return Bad(b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n", ends=True)


def _in_a_row(random: Random) -> Bad:
    """Several in one go, the last of them damaged on the wire."""
    kinds = random.choices((_wrong_value, _wrong_form, _damaged, _wrong_tensor), k=3)
    last = random.choice((_garbage, _cut_off, _smuggled))(random)
    return Bad(b"".join(kind(random).content for kind in kinds) + last.content, ends=True)


# those of the second line cost a connection each
KINDS: tuple[Callable[[Random], Bad], ...] = (
    *(_wrong_value, _twice, _wrong_form, _damaged, _not_unicode, _wrong_label, _wrong_tensor) * 2,
    *(_wrong_bytes, _wrong_place, _wrong_header, _many_rows, _deep) * 2,
    *(_garbage, _cut_off, _smuggled, _wrong_length, _wrong_chunks, _large_head, _in_a_row),
)
