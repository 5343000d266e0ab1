"""Model repository, statistics and classification, where the server says that it has them.

Sources: https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conformance.asking import Asking
from tests.conformance.checking import check_refused, content_of, flat

Needs = Callable[[str], None]

_STAGES = ("compute_input", "compute_infer", "compute_output")
_LOOKS = 50
_LOOK_S = 0.1


def test_the_index_has_the_model(client: httpx.Client, needs_extension: Needs, model: str) -> None:
    """Model repository, Index: every model with its state; the one that answers is ready."""
    needs_extension("model_repository")
    entries = content_of(client.post("/v2/repository/index", json={}))
    ready = content_of(client.post("/v2/repository/index", json={"ready": True}))

    for entry in entries:
        assert isinstance(entry["name"], str)
        assert all(isinstance(entry.get(part, ""), str) for part in ("version", "state", "reason"))
    assert "READY" in [entry["state"] for entry in entries if entry["name"] == model]
    assert {entry["state"] for entry in ready} == {"READY"}
    assert model in [entry["name"] for entry in ready]
    assert len(ready) <= len(entries)


def test_an_index_request_that_is_none(client: httpx.Client, needs_extension: Needs) -> None:
    """Model repository, Index: a failed request has an error object."""
    needs_extension("model_repository")

    check_refused(client.post("/v2/repository/index", content=b"{"))


def test_loading_what_is_loaded(client: httpx.Client, needs_extension: Needs, model: str) -> None:
    """Model repository, Load: done, or refused with a reason; the model goes on answering."""
    needs_extension("model_repository")
    response = client.post(f"/v2/repository/models/{model}/load", json={})

    if response.status_code != 200:
        check_refused(response)
    assert client.get(f"/v2/models/{model}/ready").status_code == 200


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_a_model_that_is_not_there(client: httpx.Client, needs_extension: Needs, verb: str) -> None:
    """Model repository, Load and Unload: what fails has an error object."""
    needs_extension("model_repository")
    response = client.post(f"/v2/repository/models/no-such-model/{verb}", json={})

    if verb == "load" or response.status_code != 200:  # there is nothing that would have to go
        check_refused(response)


def test_statistics_count_what_was_asked(
    client: httpx.Client, needs_extension: Needs, model: str, asking: Asking
) -> None:
    """Statistics: success rises by each request, inferences by each of its rows."""
    needs_extension("statistics")
    before = _counted(client, model)
    rows = 3 if asking.is_batched else 1
    for count in (1, rows):
        body = {"inputs": asking.inputs(rows=count)}
        content_of(client.post(f"/v2/models/{model}/infer", json=body))
    for _ in range(_LOOKS):  # of several workers another one may tell, a little later
        after = _counted(client, model)
        if after["requests"] >= before["requests"] + 2:
            break
        time.sleep(_LOOK_S)

    assert after["requests"] >= before["requests"] + 2
    assert after["rows"] >= before["rows"] + 1 + rows
    assert before["calls"] < after["calls"] <= before["calls"] + after["rows"] - before["rows"]


def test_statistics_have_every_number(
    client: httpx.Client, needs_extension: Needs, model: str
) -> None:
    """Statistics, Response: counts and nanoseconds of each stage, of all and by size of batch."""
    needs_extension("statistics")
    for told in content_of(client.get(f"/v2/models/{model}/stats"))["model_stats"]:
        assert told["name"] == model
        assert isinstance(told.get("version", ""), str)
        for name in ("last_inference", "inference_count", "execution_count"):
            assert type(told[name]) is int
        assert {"success", "fail", "queue", *_STAGES} <= told["inference_stats"].keys()
        for duration in told["inference_stats"].values():
            _check_duration(duration)
        for batch in told["batch_stats"]:
            assert batch["batch_size"] > 0
            for stage in _STAGES:
                _check_duration(batch[stage])


def test_statistics_of_every_model_and_of_each_version(
    client: httpx.Client, needs_extension: Needs, model: str, metadata: dict[str, Any]
) -> None:
    """Statistics: without a name of every model, with a version of that alone."""
    needs_extension("statistics")
    everything = content_of(client.get("/v2/models/stats"))["model_stats"]
    assert model in [told["name"] for told in everything]
    for version in metadata.get("versions") or ():
        path = f"/v2/models/{model}/versions/{version}/stats"
        (told,) = content_of(client.get(path))["model_stats"]
        assert (told["name"], told["version"]) == (model, version)


def test_statistics_of_a_model_that_is_not_there(
    client: httpx.Client, needs_extension: Needs
) -> None:
    """Statistics: a failed request has an error object."""
    needs_extension("statistics")

    check_refused(client.get("/v2/models/no-such-model/stats"))


def _counted(client: httpx.Client, model: str) -> dict[str, int]:
    """Requests, rows and calls of a model, of all its versions."""
    told = content_of(client.get(f"/v2/models/{model}/stats"))["model_stats"]
    return {
        "requests": sum(one["inference_stats"]["success"]["count"] for one in told),
        "rows": sum(one["inference_count"] for one in told),
        "calls": sum(one["execution_count"] for one in told),
    }


def _check_duration(duration: dict[str, int]) -> None:
    assert {name: type(value) for name, value in duration.items()} == {"count": int, "ns": int}
    assert min(duration.values()) >= 0


def test_the_most_probable_classes(
    client: httpx.Client,
    needs_extension: Needs,
    model: str,
    asking: Asking,
    metadata: dict[str, Any],
) -> None:
    """Classification: ``value:index`` or ``value:index:label``, the largest value first."""
    needs_extension("classification")
    plain = content_of(
        client.post(f"/v2/models/{model}/infer", json={"inputs": asking.inputs(seed=2)})
    )
    numeric = [
        output
        for output in plain["outputs"]
        if output["datatype"].startswith("FP") and len(output["shape"]) == 2
    ]
    if not numeric:
        pytest.skip("no output has a number for each class")
    output = numeric[0]
    wanted = {"name": output["name"], "parameters": {"classification": 1}}
    body = {"inputs": asking.inputs(seed=2), "outputs": [wanted]}
    response = client.post(f"/v2/models/{model}/infer", json=body)
    if response.status_code != 200:
        check_refused(response)
        pytest.skip(f"'{output['name']}' is no output of classes")
    (named,) = response.json()["outputs"]
    scores = flat(output["data"])[: output["shape"][1]]
    value, index, *_ = flat(named["data"])[0].split(":", 2)

    assert (named["datatype"], named["shape"]) == ("BYTES", [output["shape"][0], 1])
    assert float(value) == pytest.approx(max(scores), abs=1e-4)
    assert scores[int(index)] == pytest.approx(max(scores), abs=1e-4)
