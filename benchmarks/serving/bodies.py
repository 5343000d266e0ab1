"""One row as the bytes that each kind of server takes, and its answer read back.

What a field is shows in the row: a list of floats is a tensor of FP32, one of whole numbers of
INT64, a number alone FP64, a text BYTES.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

OUTPUT = "probabilities"
_BINARY_HEADER = "inference-header-content-length"

Row = Mapping[str, Any]


def request(style: str, path: str, row: Row) -> bytes:
    """A whole HTTP request.

    Args:
        style: ``rows`` (torchyard's and BentoML's), ``plain`` (the row itself), ``oip`` (tensors as
            JSON, Open Inference Protocol v2) or ``oip_binary`` (its binary tensor extension).
        path: where it goes.
        row: the row.
    """
    extra, body = _encode(style, row)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(style: str, headers: Mapping[str, str], body: bytes) -> list[float]:
    """The probabilities that an answer to one row holds; ``headers`` by names in lower case."""
    if style == "oip_binary" and _BINARY_HEADER in headers:
        return _binary_answer(int(headers[_BINARY_HEADER]), body)
    told = json.loads(body)
    if style == "rows" and isinstance(told, dict):
        return [float(value) for value in told["predictions"][0][OUTPUT].values()]
    if style.startswith("oip"):
        tensor = next(item for item in told["outputs"] if item["name"] == OUTPUT)
        return [float(value) for value in np.ravel(tensor["data"])]
    return [float(value) for value in np.ravel(told[OUTPUT] if isinstance(told, dict) else told)]


def _encode(style: str, row: Row) -> tuple[str, bytes]:
    if style == "oip_binary":
        return _binary(row)
    value: object = {"rows": [row]} if style == "rows" else row
    if style == "oip":
        inputs = [{**_tensor(name, item), "data": _flat(item)} for name, item in row.items()]
        value = {"inputs": inputs, "outputs": [{"name": OUTPUT}]}
    return "Content-Type: application/json\r\n", json.dumps(value, separators=(",", ":")).encode()


def _binary(row: Row) -> tuple[str, bytes]:
    parts = {name: _raw(item) for name, item in row.items()}
    inputs = [
        {**_tensor(name, item), "parameters": {"binary_data_size": len(parts[name])}}
        for name, item in row.items()
    ]
    outputs = [{"name": OUTPUT, "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": inputs, "outputs": outputs}, separators=(",", ":")).encode()
    headers = f"Content-Type: application/octet-stream\r\n{_BINARY_HEADER}: {len(head)}\r\n"
    return headers, head + b"".join(parts.values())


def _binary_answer(header: int, body: bytes) -> list[float]:
    told, start = json.loads(body[:header]), header
    for tensor in told["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if tensor["name"] == OUTPUT and size is None:
            return [float(value) for value in np.ravel(tensor["data"])]
        if tensor["name"] == OUTPUT:
            return [float(one) for one in np.frombuffer(body[start : start + size], np.float32)]
        start += size or 0
    raise KeyError(OUTPUT)


def _tensor(name: str, item: object) -> dict[str, object]:
    shape = [1, *np.shape(item)] if isinstance(item, list) else [1, 1]
    return {"name": name, "shape": shape, "datatype": _datatype(item)}


def _datatype(item: object) -> str:
    if isinstance(item, list):
        return "FP32" if np.asarray(item).dtype.kind == "f" else "INT64"
    return "BYTES" if isinstance(item, str) else "FP64"


def _flat(item: object) -> list[Any]:
    return list(np.ravel(item).tolist()) if isinstance(item, list) else [item]


def _raw(item: Any) -> bytes:
    """Little-endian, row after row; a text after its length."""
    if isinstance(item, str):
        return struct.pack("<I", len(item.encode())) + item.encode()
    kinds = {"FP32": np.float32, "INT64": np.int64, "FP64": np.float64}
    return np.asarray(item, kinds[_datatype(item)]).tobytes()
