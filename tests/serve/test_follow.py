"""Following: the right table after any events, and the old one when the new cannot be served."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from torchyard.core.errors import NotTrusted
from torchyard.records.live import ModelState
from torchyard.serve.engine import Engine
from torchyard.serve.follow import RETRY_S, Follower


class Channels:
    """A channel log that can be told what to say."""

    def __init__(self) -> None:
        self.number = 0
        self.by_model: dict[str, ModelState] = {}
        self.problem: Exception | None = None

    def last_number(self) -> int:
        if self.problem:
            raise self.problem
        return self.number

    def states(self) -> dict[str, ModelState]:
        return dict(self.by_model)

    def say(self, model: str, **routes: float) -> None:
        self.number += 1
        champion = max(routes, key=lambda release: routes[release])
        challenger = next((release for release in routes if release != champion), None)
        self.by_model[model] = ModelState(
            model=model,
            champion=champion,
            challenger=challenger,
            routes=routes,
            previous=(),
            last_event=self.number,
        )


class FakeEngine:
    def __init__(self, release: str) -> None:
        self.release = release
        self.model = release[0]  # releases are named a1, a2, b1: models a and b


class Bench:
    def __init__(self) -> None:
        self.channels = Channels()
        self.opened: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.now = 0.0
        self.follower = Follower(self.channels, self.load, clock=lambda: self.now)

    def load(self, release: str) -> Engine:
        self.opened.append(release)
        if release in self.broken:
            raise self.broken[release]
        return cast(Engine, FakeEngine(release))

    def step(self) -> Any:
        return self.follower.step()


def not_trusted() -> NotTrusted:
    return NotTrusted(
        where="release a2", found="a changed file", expected="the sealed one", remedy="Do not."
    )


def test_nothing_deployed_is_ready_and_empty() -> None:
    bench = Bench()
    table = bench.step()

    assert (table.is_ready, table.models, table.problem) == (True, {}, None)
    assert bench.step() is None


def test_a_deployed_release_is_opened_once_and_served() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    table = bench.step()

    assert table.is_ready
    assert table.applied_event == 1
    assert list(table.models["a"].engines) == ["a1"]
    assert table.models["a"].champion.release == "a1"
    assert bench.step() is None
    assert bench.opened == ["a1"]


def test_engines_that_stay_are_kept_and_those_that_go_are_let_go() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    first = bench.step()
    bench.channels.say("a", a1=0.9, a2=0.1)
    second = bench.step()
    bench.channels.say("a", a2=1.0)
    third = bench.step()

    assert second.models["a"].engines["a1"] is first.models["a"].engines["a1"]
    assert second.models["a"].champion.release == "a1"
    assert third.models["a"].engines["a2"] is second.models["a"].engines["a2"]
    assert list(third.models["a"].engines) == ["a2"]
    assert bench.opened == ["a1", "a2"]


def test_a_release_that_cannot_be_served_changes_nothing_but_the_problem() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    before = bench.step()
    bench.broken["a2"] = not_trusted()
    bench.channels.say("a", a2=1.0)
    after = bench.step()

    assert after.models == before.models
    assert after.is_ready
    assert after.applied_event == 1
    assert "a: release a2: found a changed file" in after.problem


def test_it_is_tried_again_later_and_the_problem_goes() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    bench.broken["a1"] = not_trusted()
    table = bench.step()
    assert (table.is_ready, table.models) == (False, {})
    assert bench.step() is None
    assert bench.opened == ["a1"]

    bench.broken.clear()
    bench.now = RETRY_S
    table = bench.step()
    assert (table.is_ready, table.problem, table.applied_event) == (True, None, 1)


def test_one_models_problem_does_not_hold_back_another() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    bench.step()
    bench.broken["a2"] = ValueError("not even a refusal")
    bench.channels.say("a", a2=1.0)
    bench.channels.say("b", b1=1.0)
    table = bench.step()

    assert list(table.models["a"].engines) == ["a1"]
    assert list(table.models["b"].engines) == ["b1"]
    assert "found not even a refusal" in table.problem


def test_a_release_of_another_model_is_refused() -> None:
    bench = Bench()
    bench.channels.say("a", b7=1.0)
    table = bench.step()

    assert "found a release of 'b'; expected a release of 'a'" in table.problem
    assert not table.is_ready


def test_a_channel_log_that_cannot_be_read_keeps_what_is_served() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    before = bench.step()
    bench.channels.problem = OSError("database is locked")
    during = bench.step()
    assert during.models is before.models
    assert during.problem == "channel log: database is locked"
    assert bench.step() is None

    bench.channels.problem = None
    bench.now = RETRY_S
    assert bench.step() == replace(during, problem=None)


def test_a_model_that_is_undeployed_goes_and_the_others_stay() -> None:
    bench = Bench()
    bench.channels.say("a", a1=1.0)
    bench.channels.say("b", b1=1.0)
    before = bench.step()
    bench.channels.number += 1
    state = bench.channels.by_model["a"]
    bench.channels.by_model["a"] = replace(state, champion=None, routes={}, previous=("a1",))
    after = bench.step()

    assert (list(after.models), after.is_ready, after.problem) == (["b"], True, None)
    assert after.models["b"] is before.models["b"]
    assert after.applied_event == 3


def test_a_model_without_traffic_is_not_deployed() -> None:
    bench = Bench()
    bench.channels.say("a", a1=0.0)
    table = bench.step()

    assert table.is_ready
    assert table.models == {}
