"""What every answer has to look like, whatever was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.conformance.asking import TensorSpec

_TYPES: dict[str, tuple[type, ...]] = {"BOOL": (bool,), "BYTES": (str,)}


def content_of(response: httpx.Response, status: int = 200) -> Any:
    """The JSON of an answer with that status."""
    assert response.status_code == status, (response.status_code, response.text[:500])
    assert response.headers["content-type"].startswith("application/json")
    return response.json()


def check_refused(response: httpx.Response) -> str:
    """An error answer: a status of the client's fault, and an object whose ``error`` is a text."""
    assert 400 <= response.status_code < 500, (response.status_code, response.text[:500])
    content = response.json()
    assert isinstance(content, dict)
    assert isinstance(content.get("error"), str), content
    assert content["error"].strip()
    return str(content["error"])


def check_answer(
    content: Mapping[str, Any], metadata: Mapping[str, Any], *, rows: int | None
) -> dict[str, dict[str, Any]]:
    """An inference answer as the model's metadata promise it; its outputs by name."""
    assert content["model_name"] == metadata["name"]
    assert isinstance(content.get("model_version", ""), str)
    specs = {spec.name: spec for spec in map(TensorSpec.of, metadata["outputs"])}
    outputs = {output["name"]: output for output in content["outputs"]}
    assert len(outputs) == len(content["outputs"]), "two outputs of one name"
    for name, output in outputs.items():
        assert name in specs, f"output '{name}' is not in the metadata"
        check_tensor(output, specs[name], rows=rows)
    return outputs


def check_tensor(output: Mapping[str, Any], spec: TensorSpec, *, rows: int | None) -> None:
    """An output in JSON: datatype, shape and as many elements of the right kind."""
    assert output["datatype"] == spec.datatype
    shape = output["shape"]
    assert all(isinstance(size, int) and size >= 0 for size in shape)
    assert len(shape) == len(spec.shape), (shape, spec.shape)
    for size, told in zip(shape, spec.shape, strict=True):
        assert told in (-1, size), (shape, spec.shape)
    if rows is not None and spec.is_batched:
        assert shape[0] == rows
    values = flat(output["data"])
    assert len(values) == math.prod(shape)
    if spec.datatype in _TYPES:
        assert all(type(value) in _TYPES[spec.datatype] for value in values)
    else:  # what is not a number has no form in JSON but null
        assert all(value is None or type(value) in (int, float) for value in values)


def flat(data: Any) -> list[Any]:
    """Tensor data, which may be nested, row-major."""
    if not isinstance(data, list):
        return [data]
    return [value for one in data for value in flat(one)]


def rows_of(output: Mapping[str, Any]) -> list[list[Any]]:
    """An output's elements, row by row."""
    values, count = flat(output["data"]), output["shape"][0]
    size = len(values) // count
    return [values[row * size : (row + 1) * size] for row in range(count)]


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers' outputs are the same but for rounding."""
    return one.keys() == other.keys() and all(
        one[name]["shape"] == other[name]["shape"]
        and are_close(flat(one[name]["data"]), flat(other[name]["data"]))
        for name in one
    )


def are_close(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether values are the same, numbers but for what batching may round differently."""
    return len(one) == len(other) and all(map(_is_close, one, other))


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    return bool(one == other)
