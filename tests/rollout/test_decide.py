"""Decisions: what they append, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchyard.core.errors import BadUsage, NotFound, Refused
from torchyard.records.live import ChannelEvent, ModelState
from torchyard.release import ChannelLog
from torchyard.rollout import canary, deploy, promote, rollback, undeploy

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ChannelLog]:
    with ChannelLog(f"sqlite:///{tmp_path}/channels.db") as opened:
        yield opened


def deployed(log: ChannelLog, release: str) -> ChannelEvent:
    return deploy(log, model="m", release=release, by="sam", reason="why")


def tried(log: ChannelLog, release: str, weight: float = 0.25) -> ChannelEvent:
    return canary(log, model="m", release=release, weight=weight, by="sam", reason="why")


def promoted(log: ChannelLog) -> ChannelEvent:
    return promote(log, model="m", by="sam", reason="why")


def rolled_back(log: ChannelLog) -> ChannelEvent:
    return rollback(log, model="m", by="sam", reason="why")


def undeployed(log: ChannelLog) -> ChannelEvent:
    return undeploy(log, model="m", by="sam", reason="why")


def state(log: ChannelLog) -> ModelState:
    return log.states()["m"]


def test_a_release_is_tried_beside_the_champion_and_promoted(log: ChannelLog) -> None:
    assert deployed(log, A).by == "sam"
    assert tried(log, B).weight == 0.25
    assert state(log).routes == {A: 0.75, B: 0.25}
    tried(log, B, 0.5)
    assert state(log).routes == {A: 0.5, B: 0.5}
    assert promoted(log).release == B
    assert (state(log).routes, state(log).previous) == ({B: 1.0}, (A,))


def test_rollback_drops_the_challenger_first_and_returns_after_that(log: ChannelLog) -> None:
    for release in (A, B):
        deployed(log, release)
    tried(log, C)
    assert rolled_back(log).release == B
    assert state(log).challenger is None
    assert rolled_back(log).release == A
    assert (state(log).champion, state(log).previous) == (A, ())


def test_a_deploy_ends_a_canary(log: ChannelLog) -> None:
    deployed(log, A)
    tried(log, B)
    deployed(log, A)
    assert state(log).routes == {A: 1.0}


def test_models_are_decided_apart(log: ChannelLog) -> None:
    deployed(log, A)
    deploy(log, model="other", release=B, by="sam", reason="why")
    assert {name: one.champion for name, one in log.states().items()} == {"m": A, "other": B}


def test_deploying_what_serves_everything_is_refused(log: ChannelLog) -> None:
    deployed(log, A)
    with pytest.raises(Refused, match="release aaaaaaaaaaaa, which serves everything already"):
        deployed(log, A)
    assert log.last_number() == 1


def test_a_canary_without_a_champion_is_refused(log: ChannelLog) -> None:
    with pytest.raises(Refused, match=r"canary of model 'm': found no champion.*Deploy a release"):
        tried(log, A)


def test_a_canary_of_the_champion_is_refused(log: ChannelLog) -> None:
    deployed(log, A)
    with pytest.raises(Refused, match="found release aaaaaaaaaaaa, which is the champion"):
        tried(log, A)


@pytest.mark.parametrize("weight", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(log: ChannelLog, weight: float) -> None:
    deployed(log, A)
    with pytest.raises(BadUsage, match=r"canary weight: .*expected a share above 0 and below 1"):
        tried(log, B, weight)
    assert log.last_number() == 1


@pytest.mark.parametrize("decision", [deployed, tried])
def test_what_is_no_id_is_refused(
    log: ChannelLog, decision: Callable[[ChannelLog, str], ChannelEvent]
) -> None:
    with pytest.raises(NotFound, match="found 'aaaa'; expected a release's id: sha256: and 64"):
        decision(log, "aaaa")


def test_promoting_nothing_is_refused(log: ChannelLog) -> None:
    with pytest.raises(Refused, match="promote of model 'm': found no challenger"):
        promoted(log)
    deployed(log, A)
    with pytest.raises(Refused, match="Start a canary first, or deploy the release"):
        promoted(log)


def test_what_is_undeployed_serves_nobody_and_can_be_brought_back(log: ChannelLog) -> None:
    deployed(log, A)
    tried(log, B)
    gone = undeployed(log)
    assert (gone.release, gone.weight, gone.by, gone.reason) == (A, 0.0, "sam", "why")
    assert (state(log).champion, state(log).routes) == (None, {})
    with pytest.raises(Refused, match="canary of model 'm': found no champion"):
        tried(log, B)
    assert rolled_back(log).release == A
    assert state(log).routes == {A: 1.0}


def test_undeploying_nothing_is_refused(log: ChannelLog) -> None:
    with pytest.raises(Refused, match="undeploy of model 'm': found no champion"):
        undeployed(log)
    deployed(log, A)
    undeployed(log)
    with pytest.raises(Refused, match="expected a model that is served"):
        undeployed(log)
    assert log.last_number() == 2


def test_rolling_back_to_nothing_is_refused(log: ChannelLog) -> None:
    with pytest.raises(Refused, match="rollback of model 'm': found nothing earlier"):
        rolled_back(log)
    deployed(log, A)
    with pytest.raises(Refused, match="expected a challenger to drop, or a champion before"):
        rolled_back(log)


@pytest.mark.parametrize(
    "decision", [lambda log: deployed(log, C), promoted, rolled_back, undeployed]
)
def test_a_decision_that_another_overtakes_is_refused(
    log: ChannelLog,
    monkeypatch: pytest.MonkeyPatch,
    decision: Callable[[ChannelLog], ChannelEvent],
) -> None:
    deployed(log, A)
    tried(log, B)
    seen = log.states()
    tried(log, B, 0.5)
    monkeypatch.setattr(log, "states", lambda: seen)
    with pytest.raises(Refused, match="found another decision since event 2"):
        decision(log)
    assert log.last_number() == 3
