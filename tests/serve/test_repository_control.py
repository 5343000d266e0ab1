"""Load and unload at a real server: one event each, with who asked and why, then the answer."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.serve.clients import ROW
from tests.serve.grpc_clients import PATIENCE_S
from tests.serve.load import Load
from tests.serve.running import MODEL, Place, Server, serving
from tests.support.releases import SEALED_AT, sample_release
from torchyard.core.digest import short
from torchyard.records.live import ChannelEvent
from torchyard.release import ChannelLog, Release
from torchyard.serve.guarding.keys import make_key

LOAD = f"/v2/repository/models/{MODEL}/load"
UNLOAD = f"/v2/repository/models/{MODEL}/unload"
ONE_ROW = [{**ROW, "distance": 1000.0}]


def seal(folder: Path, number: int, **changes: Any) -> Release:
    """A release that was sealed so many hours after the first; its number is its description."""
    return sample_release(
        folder,
        change=lambda contents: replace(contents, description=str(number), **changes),
        clock=lambda: SEALED_AT + timedelta(hours=number),
    )


def events(place: Place) -> tuple[ChannelEvent, ...]:
    with ChannelLog(f"sqlite:///{place.folder}/channels.db") as log:
        return log.events()


def ask(server: Server, path: str, **parameters: Any) -> httpx.Response:
    body = {"parameters": parameters} if parameters else None
    return httpx.post(f"{server.url}{path}", json=body, timeout=PATIENCE_S)


# What comes of it, at a server of two workers.


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("deciding"))


@pytest.fixture(name="server", scope="module")
def _server(place: Place) -> Iterator[Server]:
    with serving(place, workers=2, grpc_port=0, repository_control=True) as server:
        yield server


@pytest.fixture(name="first", scope="module")
def _first(place: Place) -> Release:
    return seal(place.folder, 1)


@pytest.fixture(name="second", scope="module")
def _second(place: Place) -> Release:
    return seal(place.folder, 2)


@pytest.fixture(name="deployed")
def _deployed(place: Place, server: Server, first: Release, second: Release) -> Release:
    """The first release alone, wherever another test left the server."""
    assert ask(server, LOAD, release=first.id).status_code == 200
    return first


def serving_ids(server: Server) -> set[str]:
    """Who answers, by whichever worker a connection meets."""
    found = set()
    for _ in range(8):
        with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
            path = f"/v1/models/{MODEL}/predict"
            found.add(str(client.post(path, json={"rows": ONE_ROW}).json().get("release")))
    return found


def test_the_newest_release_is_loaded_and_who_asked_is_kept(
    place: Place, server: Server, first: Release, second: Release
) -> None:
    ask(server, UNLOAD)
    before = len(events(place))
    answered = ask(server, LOAD)
    assert answered.status_code == 200
    assert serving_ids(server) == {second.id}

    (event,) = events(place)[before:]
    assert answered.json() == {"release": second.id, "event": event.number}
    assert (event.action, event.release, event.weight) == ("deploy", second.id, 1.0)
    assert (event.by, event.reason) == ("127.0.0.1", "model repository load")


def test_what_is_so_already_is_no_event(place: Place, server: Server, deployed: Release) -> None:
    before = events(place)
    answered = ask(server, LOAD, release=short(deployed.id))
    assert answered.json() == {"release": deployed.id, "event": before[-1].number}
    assert events(place) == before


def test_a_release_is_tried_by_its_name_with_a_share_and_a_reason(
    place: Place, server: Server, deployed: Release, second: Release
) -> None:
    wanted = {"release": short(second.id), "canary": 0.5, "reason": "ticket 812"}
    assert ask(server, LOAD, **wanted).status_code == 200
    event = events(place)[-1]
    assert (event.action, event.weight, event.reason) == ("canary", 0.5, "ticket 812")
    routes = httpx.get(f"{server.url}/v1/models/{MODEL}").json()["routes"]
    assert routes == {deployed.id: 0.5, second.id: 0.5}
    before = events(place)
    assert ask(server, LOAD, **wanted).status_code == 200
    assert events(place) == before


def test_a_model_that_is_unloaded_is_unknown_until_it_is_served_again(
    place: Place, server: Server, deployed: Release
) -> None:
    answered = ask(server, UNLOAD, reason="the product is discontinued")
    assert answered.status_code == 200
    event = events(place)[-1]
    assert answered.json() == {"release": deployed.id, "event": event.number}
    assert (event.action, event.by, event.weight) == ("undeploy", "127.0.0.1", 0.0)
    assert event.reason == "the product is discontinued"

    refused = server.predict(ONE_ROW)
    assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    assert serving_ids(server) == {"None"}
    assert httpx.get(f"{server.url}/health/ready").status_code == 200
    entries = httpx.post(f"{server.url}/v2/repository/index").json()
    assert {entry["state"] for entry in entries} == {"UNAVAILABLE"}
    again = ask(server, UNLOAD)
    assert (again.status_code, again.json()["code"]) == (404, "not_found")

    place.follow(place.post("rollback", deployed))
    assert serving_ids(server) == {deployed.id}


@pytest.mark.parametrize(
    ("path", "parameters", "status", "words"),
    [
        ("/v2/repository/models/other/load", {}, 404, "no such sealed release of that model"),
        ("/v2/repository/models/other/unload", {}, 404, "no deployed model of that name"),
        (LOAD, {"release": "0" * 64}, 404, "no such sealed release of that model"),
        (LOAD, {"config": "{}"}, 400, "another configuration"),
        (LOAD, {"release": "no hex"}, 400, "4 to 64 hex digits"),
    ],
)
def test_what_cannot_be_decided_changes_nothing(
    place: Place, server: Server, path: str, parameters: dict[str, Any], status: int, words: str
) -> None:
    before = events(place)
    refused = ask(server, path, **parameters)
    assert refused.status_code == status
    assert words in refused.json()["error"]
    assert events(place) == before


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"release": "0123"}', b'{"parameters": {"a": []}}']
)
def test_a_body_of_another_form_is_refused(server: Server, body: bytes) -> None:
    refused = httpx.post(f"{server.url}{LOAD}", content=body, timeout=PATIENCE_S)
    assert refused.status_code == 400
    assert refused.json()["expected"].startswith('nothing, or {"parameters": {...}}')


def test_a_canary_without_a_champion_is_a_conflict(
    place: Place, server: Server, deployed: Release
) -> None:
    ask(server, UNLOAD)
    before = events(place)
    refused = ask(server, LOAD, canary=0.1)
    assert (refused.status_code, refused.json()["code"]) == (409, "refused")
    assert "found no champion" in refused.json()["error"]
    assert events(place) == before


def test_a_release_that_does_not_answer_as_it_was_judged_is_not_decided_for(
    place: Place, server: Server, deployed: Release
) -> None:
    wrong = seal(place.folder, 0, golden_answers=((0.5, 0.5),) * 4)
    before = events(place)
    refused = ask(server, LOAD, release=wrong.id)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert "golden request 0 answered" in refused.json()["error"]
    assert events(place) == before
    assert serving_ids(server) == {deployed.id}


def test_a_release_that_was_tampered_with_is_not_decided_for(
    place: Place, server: Server, deployed: Release
) -> None:
    spoilt = seal(place.folder, -1)
    (spoilt.folder / "card.md").write_text("another card")
    before = events(place)
    refused = ask(server, LOAD, release=spoilt.id)
    assert (refused.status_code, refused.json()["code"]) == (500, "not_trusted")
    assert events(place) == before


def test_a_page_in_a_browser_decides_nothing(
    place: Place, server: Server, deployed: Release
) -> None:
    before = events(place)
    for path in (LOAD, UNLOAD):
        for origin in ("null", "https://elsewhere.example", server.url):
            refused = httpx.post(f"{server.url}{path}", headers={"Origin": origin})
            assert refused.status_code == 403
            assert "a page in a browser" in refused.json()["error"]
    assert events(place) == before


@pytest.fixture(name="client")
def _client(server: Server) -> Iterator[Any]:
    """Triton's over HTTP, which must go in the thread that made it."""
    client = triton_http.InferenceServerClient(server.url.removeprefix("http://"))
    yield client
    client.close()
    del client
    gc.collect()


def test_tritons_client_over_http_loads_and_unloads_unchanged(
    client: Any, place: Place, server: Server, deployed: Release, second: Release
) -> None:
    client.load_model(MODEL)
    assert serving_ids(server) == {second.id}
    client.unload_model(MODEL)
    assert not client.is_model_ready(MODEL)
    assert [one.action for one in events(place)[-2:]] == ["deploy", "undeploy"]
    with pytest.raises(InferenceServerException, match="no such sealed release"):
        client.load_model("other")
    with pytest.raises(InferenceServerException, match="seal another one"):
        client.load_model(MODEL, config="{}")


def test_tritons_client_over_grpc_loads_and_unloads_unchanged(
    place: Place, server: Server, deployed: Release, second: Release
) -> None:
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.state.grpc_port}") as client:
        client.load_model(MODEL)
        assert serving_ids(server) == {second.id}
        client.unload_model(MODEL, unload_dependents=True)
        assert not client.is_model_ready(MODEL)
        assert events(place)[-1].by == "127.0.0.1"
        with pytest.raises(InferenceServerException) as caught:
            client.unload_model(MODEL)
        assert "NOT_FOUND" in str(caught.value.status())


# Who may decide.


def test_loading_under_load_loses_nothing_and_unloading_ends_in_refusals_alone(
    server: Server, deployed: Release, second: Release
) -> None:
    load = Load(server)

    def change() -> None:
        assert ask(server, LOAD, release=second.id, canary=0.5).status_code == 200
        assert ask(server, LOAD, release=second.id).status_code == 200

    asyncio.run(load.during(change))
    assert load.lost == []
    assert load.releases.keys() == {deployed.id, second.id}

    def go() -> None:
        assert ask(server, UNLOAD).status_code == 200

    load = Load(server)
    asyncio.run(load.during(go))
    assert load.lost
    assert all(": 404 {'error': 'not_found'" in lost for lost in load.lost)


def test_of_decisions_at_once_each_is_taken_or_told_of_another(
    place: Place, server: Server, deployed: Release, second: Release
) -> None:
    before = len(events(place))
    wanted = [deployed, second] * 4
    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = list(pool.map(lambda one: ask(server, LOAD, release=one.id), wanted))
    assert {answer.status_code for answer in answers} <= {200, 409}
    decided = events(place)[before:]
    for one, answer in zip(wanted, answers, strict=True):
        if answer.status_code == 200:
            (event,) = (each for each in events(place) if each.number == answer.json()["event"])
            assert event.release == one.id
        else:
            assert "another decision" in answer.json()["error"]
    assert serving_ids(server) == {decided[-1].release if decided else deployed.id}


def test_a_key_for_operate_decides_on_the_control_port_under_its_name(tmp_path: Path) -> None:
    place = Place(tmp_path)
    release = seal(place.folder, 1)
    file = place.folder / "api.json"
    keys = {
        scope: make_key(file, name=scope, scopes=(scope,), days=None, now=SEALED_AT)[0]
        for scope in ("predict", "operate")
    }
    changes: dict[str, Any] = {"control_apart": True, "api_keys": str(file), "grpc_port": 0}
    with serving(place, repository_control=True, **changes) as server:
        control = f"http://127.0.0.1:{server.state.control_port}"

        def status(url: str, scope: str | None) -> int:
            headers = {"Authorization": f"Bearer {keys[scope]}"} if scope else {}
            return httpx.post(url + LOAD, headers=headers, timeout=PATIENCE_S).status_code

        assert status(control, None) == 401
        assert status(control, "predict") == 403
        assert status(server.url, "operate") == 404
        assert events(place) == ()
        assert status(control, "operate") == 200
        assert [(one.release, one.by) for one in events(place)] == [(release.id, "operate")]

        with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.state.grpc_port}") as client:
            for scope, code in (("predict", "PERMISSION_DENIED"), ("operate", "")):
                headers = {"authorization": f"Bearer {keys[scope]}"}
                if code:
                    with pytest.raises(InferenceServerException) as caught:
                        client.unload_model(MODEL, headers=headers)
                    assert code in str(caught.value.status())
                else:
                    client.unload_model(MODEL, headers=headers)
        assert [one.action for one in events(place)] == ["deploy", "undeploy"]
