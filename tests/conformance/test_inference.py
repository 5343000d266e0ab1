"""Inference: answers in the form that metadata promise, to requests in every form they may have."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking, Tensor
from tests.conformance.checking import are_close, check_answer, content_of, is_same, rows_of


@pytest.fixture(name="path", scope="session")
def _path(model: str) -> str:
    return f"/v2/models/{model}/infer"


def test_an_answer_has_every_output(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Inference: without ``outputs`` all outputs of the model are returned."""
    content = content_of(client.post(path, json={"inputs": asking.inputs()}))
    outputs = check_answer(content, metadata, rows=1 if asking.is_batched else None)

    assert set(outputs) == {told["name"] for told in metadata["outputs"]}


@pytest.mark.parametrize("name", ["42", "a b/c", "ünï-漢字", "0" * 64])
def test_an_id_comes_back(client: httpx.Client, path: str, asking: Asking, name: str) -> None:
    """REST, Inference Request: an id that is given must be returned."""
    content = content_of(client.post(path, json={"id": name, "inputs": asking.inputs()}))

    assert content["id"] == name


def test_outputs_are_those_that_were_asked_for(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Request Output: each alone, and all of them in reverse."""
    names = [told["name"] for told in metadata["outputs"]]
    for wanted in (*([name] for name in names), names[::-1]):
        body = {"inputs": asking.inputs(), "outputs": [{"name": name} for name in wanted]}
        outputs = check_answer(content_of(client.post(path, json=body)), metadata, rows=None)
        assert set(outputs) == set(wanted)


def test_data_may_be_nested(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Tensor Data: row-major, flat or nested by the shape."""
    tensors = asking.tensors(rows=2 if asking.is_batched else 1, seed=3)
    flat = {"inputs": [tensor.as_json() for tensor in tensors]}
    nested = {"inputs": [tensor.as_json(data=_nested(tensor)) for tensor in tensors]}
    answers = [
        check_answer(content_of(client.post(path, json=body)), metadata, rows=None)
        for body in (flat, nested)
    ]

    assert is_same(*answers)


def test_the_order_of_inputs_means_nothing(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Request Input: inputs go by their names."""
    inputs = asking.inputs(seed=5)
    answers = [
        check_answer(content_of(client.post(path, json={"inputs": order})), metadata, rows=None)
        for order in (inputs, inputs[::-1])
    ]

    assert is_same(*answers)


def test_rows_are_answered_each_by_itself(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Request Input: the shape says the whole batch; rows of one batch do not mix."""
    if not asking.is_batched:
        pytest.skip("the model's inputs have no free first dimension")
    count = 7
    tensors = asking.tensors(rows=count, seed=11)
    together = check_answer(
        content_of(client.post(path, json={"inputs": [tensor.as_json() for tensor in tensors]})),
        metadata,
        rows=count,
    )
    for row in range(count):
        alone = {"inputs": [_row(tensor, row).as_json() for tensor in tensors]}
        single = check_answer(content_of(client.post(path, json=alone)), metadata, rows=1)
        for name, output in single.items():
            assert are_close(rows_of(output)[0], rows_of(together[name])[row]), (name, row)


def test_parameters_that_mean_nothing_do_no_harm(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Parameters: zero or more; a server does not have to know each."""
    body = {"inputs": asking.inputs(), "parameters": {"x-conformance": "a", "n": 3, "b": True}}

    check_answer(content_of(client.post(path, json=body)), metadata, rows=None)


def test_every_version_answers(
    client: httpx.Client, asking: Asking, metadata: dict[str, Any], model: str
) -> None:
    """REST, Inference: a version may be asked by its path, and says which it was."""
    for version in metadata.get("versions") or ():
        path = f"/v2/models/{model}/versions/{version}/infer"
        content = content_of(client.post(path, json={"inputs": asking.inputs()}))
        assert content["model_version"] == version


def test_the_same_request_has_the_same_answer(
    client: httpx.Client, path: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """The protocol knows no state: what was asked before changes no answer."""
    body = {"inputs": asking.inputs(seed=1)}
    first = check_answer(content_of(client.post(path, json=body)), metadata, rows=None)
    for seed in range(2, 6):
        client.post(path, json={"inputs": asking.inputs(seed=seed)})
    again = check_answer(content_of(client.post(path, json=body)), metadata, rows=None)

    assert is_same(first, again)


def _row(tensor: Tensor, row: int) -> Tensor:
    size = len(tensor.values) // tensor.shape[0]
    values = tensor.values[row * size : (row + 1) * size]
    return Tensor(tensor.name, tensor.datatype, [1, *tensor.shape[1:]], values)


def _nested(tensor: Tensor) -> list[Any]:
    values: list[Any] = tensor.values
    for length in reversed(tensor.shape[1:]):
        values = [values[start : start + length] for start in range(0, len(values), length)]
    return values
