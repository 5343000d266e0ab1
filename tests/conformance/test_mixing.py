"""Many clients at once: everybody gets the answer to what they asked, under their own id.

Bodies that are all alike would hide answers that went to the wrong client, so all are different.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking
from tests.conformance.checking import check_answer, content_of, flat, is_same
from tests.conformance.conftest import PATIENCE_S

DISTINCT = 24
CLIENTS = 8
EACH = 24


def test_answers_go_to_whom_asked(
    base_url: str, model: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """REST, Inference: an answer is of its own request, however many are under way."""
    path = f"{base_url}/v2/models/{model}/infer"
    bodies = [_body(asking, seed) for seed in range(DISTINCT)]
    with httpx.Client(timeout=PATIENCE_S) as client:
        alone = [
            check_answer(content_of(client.post(path, json=body)), metadata, rows=None)
            for body in bodies
        ]
    if len({str([flat(output["data"]) for output in answer.values()]) for answer in alone}) < 2:
        pytest.skip("the model answers every generated request alike: give --inputs FILE")

    def ask(number: int) -> list[str]:
        order = random.Random(number)
        wrong = []
        with httpx.Client(timeout=PATIENCE_S) as client:
            for turn in range(EACH):
                place = order.randrange(DISTINCT)
                name = f"client {number} turn {turn}"
                content = content_of(client.post(path, json={**bodies[place], "id": name}))
                outputs = {output["name"]: output for output in content["outputs"]}
                if content["id"] != name or not is_same(outputs, alone[place]):
                    wrong.append(f"{name}: request {place}")
        return wrong

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert [wrong for each in clients.map(ask, range(CLIENTS)) for wrong in each] == []


def test_a_bad_request_harms_no_other(
    base_url: str, model: str, asking: Asking, metadata: dict[str, Any]
) -> None:
    """Good requests beside bad ones are answered as they are alone."""
    path = f"{base_url}/v2/models/{model}/infer"
    good, broken = _body(asking, 3), {"inputs": [*asking.inputs()[:-1], {"name": "no such input"}]}
    with httpx.Client(timeout=PATIENCE_S) as client:
        alone = check_answer(content_of(client.post(path, json=good)), metadata, rows=None)

    def ask(number: int) -> int:
        with httpx.Client(timeout=PATIENCE_S) as client:
            for _ in range(EACH):
                if number % 2:
                    assert client.post(path, json=broken).status_code >= 400
                else:
                    content = content_of(client.post(path, json=good))
                    assert is_same(check_answer(content, metadata, rows=None), alone)
        return number

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert list(clients.map(ask, range(CLIENTS))) == list(range(CLIENTS))


def _body(asking: Asking, seed: int) -> dict[str, Any]:
    rows = 1 + seed % 3 if asking.is_batched else 1
    return {"inputs": asking.inputs(rows=rows, seed=seed)}
