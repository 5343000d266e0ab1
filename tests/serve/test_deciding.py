"""What load and unload ask for, who may decide, and what becomes of a decision nobody follows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve.clients import post, predict
from tests.serve.grpc_bench import Bench as GrpcBench
from tests.serve.grpc_bench import run_scenario
from tests.serve.grpc_clients import PATIENCE_S, stub
from tests.serve.running import MODEL
from tests.serve.test_app import Bench, run
from tests.support.releases import SEALED_AT, sample_release
from torchyard.core.errors import BadUsage, NotReady
from torchyard.core.record import write_record
from torchyard.records.live import ServerState
from torchyard.release import ChannelLog
from torchyard.serve.engine import Engine
from torchyard.serve.follow import Table
from torchyard.serve.guarding.starting import check_start
from torchyard.serve.inference import deciding
from torchyard.serve.inference.deciding import LONGEST_REASON, Order, load_order, unload_order
from torchyard.serve.settings import Settings


def settings_in(folder: Path, **changes: Any) -> Settings:
    places = ("releases", "trusted_keys", "predictions", "labels", "state")
    return Settings(**{"channels_url": "", **dict.fromkeys(places, folder), **changes})


# What is asked for.


def test_parameters_say_what_is_asked_for() -> None:
    assert load_order({}) == Order("", None, "model repository load")
    wanted = {"release": "sha256:0123456789ab", "canary": "0.25", "reason": "ticket 812"}
    assert load_order(wanted) == Order("0123456789ab", 0.25, "ticket 812")
    assert load_order({"release": "", "canary": 0.1, "reason": ""}).canary == 0.1
    assert unload_order({"unload_dependents": True}).reason == "model repository unload"


@pytest.mark.parametrize(
    ("parameters", "where", "expected"),
    [
        ({"release": "xyz"}, "$.parameters.release", "4 to 64 hex digits"),
        ({"release": "1"}, "$.parameters.release", "4 to 64 hex digits"),
        ({"release": 17}, "$.parameters.release", "4 to 64 hex digits"),
        ({"canary": 1}, "$.parameters.canary", "above 0 and below 1"),
        ({"canary": True}, "$.parameters.canary", "above 0 and below 1"),
        ({"canary": float("nan")}, "$.parameters.canary", "above 0 and below 1"),
        ({"canary": "half"}, "$.parameters.canary", "above 0 and below 1"),
        ({"reason": "a\nb"}, "$.parameters.reason", "a line of at most 500 characters"),
        ({"reason": "x" * (LONGEST_REASON + 1)}, "$.parameters.reason", "at most 500 characters"),
        ({"realease": "0123456789ab"}, "$.parameters", "release or canary or reason"),
        ({"config": "{}"}, "$.parameters", "release or canary or reason"),
        ({"file:1/model.onnx": "AAAA"}, "$.parameters", "release or canary or reason"),
    ],
)
def test_parameters_that_mean_something_else_are_refused(
    parameters: dict[str, Any], where: str, expected: str
) -> None:
    with pytest.raises(BadUsage) as caught:
        load_order(parameters)
    assert caught.value.where == where
    assert expected in caught.value.expected


def test_a_misspelt_parameter_is_told_by_its_right_name() -> None:
    with pytest.raises(BadUsage, match="Did you mean 'release'"):
        load_order({"realease": "0123456789ab"})
    with pytest.raises(BadUsage, match="A release is served as it was judged"):
        load_order({"config": "{}"})
    with pytest.raises(BadUsage, match="Known: reason, unload_dependents"):
        unload_order({"zzz": 1})


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.dictionaries(st.sampled_from(["release", "canary", "reason", "other"]), VALUES))
@settings(deadline=None, max_examples=80)
def test_whatever_is_sent_is_an_order_or_refused(parameters: dict[str, Any]) -> None:
    try:
        order = load_order(parameters)
    except BadUsage:
        return
    assert order.canary is None or 0 < order.canary < 1
    assert order.reason.isprintable()
    assert set(order.release) <= set("0123456789abcdef")


# Who may decide.


def test_over_grpc_nobody_without_a_key_decides_beside_a_control_port(
    tmp_path: Path, engine: Engine
) -> None:
    async def scenario(bench: GrpcBench) -> None:
        bench.serve()
        for name in ("RepositoryModelLoad", "RepositoryModelUnload"):
            with pytest.raises(grpc.RpcError) as caught:
                await stub(bench.channel, name)(b"", timeout=PATIENCE_S)
            assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
            assert "a call without a key, by the port of clients" in caught.value.details()

    run_scenario(scenario, tmp_path, [engine], repository_control=True)


def test_a_server_that_lets_everybody_decide_does_not_start(tmp_path: Path) -> None:
    plain = settings_in(tmp_path, host="0.0.0.0", repository_control=True)
    assert check_start(plain, SEALED_AT)
    for changes in ({"control_host": "0.0.0.0"}, {"control_apart": False}):
        open_to_all = replace(plain, **changes)
        with pytest.raises(BadUsage, match=r"loads and unloads for whoever reaches 0\.0\.0\.0"):
            check_start(open_to_all, SEALED_AT)
        check_start(replace(open_to_all, require_keys=True), SEALED_AT)
        check_start(replace(open_to_all, repository_control=False), SEALED_AT)


# What is under way, and what is not followed.


def test_requests_under_way_are_answered_when_their_model_goes(
    tmp_path: Path, engine: Engine
) -> None:
    async def scenario(bench: Bench) -> None:
        bench.send(post(predict(1)))
        bench.app.apply(Table({}, applied_event=2, is_ready=True))
        bench.send(post(predict(1)))
        found = await bench.answers(2)
        assert [status for status, _, _ in found] == [200, 404]

    run(scenario, tmp_path, engine)


def test_a_decision_that_is_not_followed_in_time_is_told_and_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "FOLLOW_S", 0.0)
    release = sample_release(tmp_path)
    given = settings_in(
        tmp_path,
        releases=tmp_path / "releases",
        channels_url=f"sqlite:///{tmp_path}/channels.db",
        trusted_keys=tmp_path / "keys" / "trusted",
    )
    with pytest.raises(NotReady, match="Event 1 is decided and will be followed"):
        deciding.load(given, MODEL, load_order({}), by="sam")
    server = ServerState(pid=os.getpid(), host="127.0.0.1", port=1, workers=1)
    write_record(tmp_path / "server.json", server)
    with pytest.raises(NotReady, match="expected every worker to follow event 2"):
        deciding.unload(given, MODEL, unload_order({}), by="sam")
    with ChannelLog(given.channels_url) as log:
        told = [(one.action, one.release, one.by, one.reason) for one in log.events()]
    assert told == [
        ("deploy", release.id, "sam", "model repository load"),
        ("undeploy", release.id, "sam", "model repository unload"),
    ]


def test_of_releases_that_begin_alike_none_is_taken_by_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = [tmp_path / ("0123" + digit * 60) for digit in "ab"]
    monkeypatch.setattr(deciding, "releases_of", lambda model, releases: alike)
    with pytest.raises(BadUsage, match=r"digits that 2 releases begin with.*0123aaaaaaaa"):
        deciding._folder(tmp_path, MODEL, load_order({"release": "0123"}))
    assert deciding._folder(tmp_path, MODEL, load_order({"release": "0123b"})) == alike[1]
    assert deciding._folder(tmp_path, MODEL, load_order({})) == alike[1]
