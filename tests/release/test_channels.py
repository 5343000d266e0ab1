"""The channel log and its fold: events alone say who serves, however they are cut up."""

from __future__ import annotations

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from torchyard.core.errors import BadRecord, Refused
from torchyard.records.live import Action, ChannelEvent, ModelState
from torchyard.release.channels import ChannelLog, _insert_next
from torchyard.release.folding import fold, rollback_target

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def open_log(folder: Path) -> ChannelLog:
    return ChannelLog(f"sqlite:///{folder}/channels.db", clock=lambda: NOON)


def add(
    log: ChannelLog,
    action: Action,
    release: str,
    *,
    weight: float = 1.0,
    model: str = "m",
    expect_last: int | None = None,
) -> ChannelEvent:
    return log.append(
        model=model, action=action, release=release, weight=weight, by="sam", reason="test",
        expect_last=expect_last,
    )  # fmt: skip


def event(number: int, action: Action, release: str, weight: float = 1.0) -> ChannelEvent:
    return ChannelEvent(
        number=number, at="2026-03-01T12:00:00", model="m", action=action, release=release,
        weight=weight, by="sam", reason="test",
    )  # fmt: skip


def test_a_log_that_was_never_written_is_empty_and_stays_unwritten(tmp_path: Path) -> None:
    with open_log(tmp_path / "deep") as log:
        assert (log.last_number(), log.events(), log.states()) == (0, (), {})
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_the_table_is_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "channels.db").touch()
    with open_log(tmp_path) as log:
        assert (log.last_number(), log.events()) == (0, ())


def test_events_come_back_as_they_were_appended(tmp_path: Path) -> None:
    with open_log(tmp_path / "deep") as log:
        first = add(log, "deploy", A)
        second = add(log, "deploy", B, model="other")
        third = add(log, "canary", B, weight=0.1)
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert first.at == "2026-03-01T12:00:00.000+00:00"
    with open_log(tmp_path / "deep") as again:
        assert again.events() == (first, second, third)
        assert again.events("m") == (first, third)
        assert again.events("nobody") == ()
        assert again.last_number() == 3
        assert again.states()["m"].routes == {A: 0.9, B: 0.1}


def test_a_reader_that_was_there_first_sees_new_events(tmp_path: Path) -> None:
    with open_log(tmp_path) as reader, open_log(tmp_path) as writer:
        assert reader.last_number() == 0
        add(writer, "deploy", A)
        assert reader.last_number() == 1
        add(writer, "deploy", B)
        assert reader.last_number() == 2


def test_a_decision_on_an_older_state_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        add(log, "deploy", A, expect_last=0)
        add(log, "deploy", A, model="other")
        add(log, "deploy", B, expect_last=1)
        with pytest.raises(Refused, match=r"found another decision since event 1.*decide again"):
            add(log, "deploy", C, expect_last=1)
        with pytest.raises(Refused, match="channel of model 'm': found another decision since"):
            add(log, "deploy", C, expect_last=0)
        assert log.last_number() == 3


def test_of_several_decisions_at_once_exactly_one_goes_through(tmp_path: Path) -> None:
    def decide(_: int) -> bool:
        with open_log(tmp_path) as log:
            try:
                add(log, "deploy", A, expect_last=0)
            except Refused:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(decide, range(16))) == {True: 1, False: 15}


def test_writers_at_once_get_numbers_without_a_gap(tmp_path: Path) -> None:
    def write(place: int) -> list[int]:
        with open_log(tmp_path) as log:
            return [add(log, "deploy", A, model=f"m{place}").number for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for found in pool.map(write, range(8)) for number in found]
    assert sorted(numbers) == list(range(1, 81))


def test_a_row_that_is_no_event_is_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        add(log, "deploy", A)
        with sqlite3.connect(tmp_path / "channels.db") as hand:
            hand.execute("UPDATE channel_events SET action = 'destroy'")
        hand.close()
        with pytest.raises(BadRecord, match=r"channel event 1\.action: found 'destroy'"):
            log.events()


def test_the_statement_is_one_that_postgresql_takes() -> None:
    statement = _insert_next({"model": "m", "weight": 0.5}, "m", 3)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    text = " ".join(str(statement.compile(dialect=dialect)).split())
    assert text.startswith("INSERT INTO channel_events (number, model, weight) SELECT (SELECT coal")
    assert text.endswith("RETURNING channel_events.number")


def test_a_life_of_decisions() -> None:
    events = (
        event(1, "deploy", A),
        event(2, "canary", B, 0.25),
        event(3, "promote", B),
        event(4, "deploy", C),
        event(5, "canary", A, 0.5),
        event(6, "rollback", C),
        event(7, "rollback", B),
        event(8, "rollback", A),
    )
    found = [fold(events[: number + 1])["m"] for number in range(len(events))]
    assert [(one.champion, one.challenger, one.previous) for one in found] == [
        (A, None, ()),
        (A, B, ()),
        (B, None, (A,)),
        (C, None, (A, B)),
        (C, A, (A, B)),
        (C, None, (A, B)),
        (B, None, (A,)),
        (A, None, ()),
    ]
    assert [one.last_event for one in found] == list(range(1, 9))
    assert found[1].routes == {A: 0.75, B: 0.25}
    assert found[2].routes == {B: 1.0}


def test_deploying_the_champion_drops_the_challenger_and_keeps_the_past() -> None:
    events = (event(1, "deploy", A), event(2, "canary", B, 0.5), event(3, "deploy", A))
    state = fold(events)["m"]
    assert (state.champion, state.challenger, state.previous) == (A, None, ())
    assert rollback_target(state) is None


def test_a_model_that_is_undeployed_has_nobody_until_somebody_serves_again() -> None:
    served = (event(1, "deploy", A), event(2, "deploy", B), event(3, "canary", C, 0.5))
    gone = (*served, event(4, "undeploy", B, 0.0))
    state = fold(gone)["m"]
    assert state == ModelState(
        model="m", champion=None, challenger=None, routes={}, previous=(A, B), last_event=4
    )
    assert rollback_target(state) == B
    back = fold((*gone, event(5, "rollback", B)))["m"]
    assert (back.champion, back.routes, back.previous) == (B, {B: 1.0}, (A,))
    again = fold((*gone, event(5, "deploy", B)))["m"]
    assert (again.champion, again.previous) == (B, (A,))
    other = fold((*gone, event(5, "deploy", C)))["m"]
    assert (other.champion, other.previous) == (C, (A, B))


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((event(1, "canary", A, 0.5),), "event 1 of model 'm': found canary of aaaaaaaaaaaa at"),
        ((event(1, "deploy", A), event(2, "canary", A, 0.5)), "expected a champion, another"),
        ((event(1, "deploy", A), event(2, "canary", B, 1.0)), r"a weight in \(0, 1\)"),
        ((event(1, "deploy", A), event(2, "promote", B)), "expected the challenger's id"),
        ((event(1, "deploy", A), event(2, "rollback", A)), "else the one before it"),
        ((event(1, "rollback", A),), "The table was edited by hand"),
        ((event(1, "undeploy", A, 0.0),), "expected the champion's id, a weight of 0"),
        ((event(1, "deploy", A), event(2, "undeploy", B, 0.0)), "expected the champion's id"),
        ((event(1, "deploy", A), event(2, "undeploy", A)), "at weight 1; expected"),
    ],
)
def test_events_that_cannot_follow_are_refused(events: tuple[ChannelEvent, ...], text: str) -> None:
    with pytest.raises(BadRecord, match=text):
        fold(events)


def follow(choices: list[tuple[Action, str, float, str]]) -> tuple[ChannelEvent, ...]:
    """Those of some random decisions that can follow each other, as events."""
    events: list[ChannelEvent] = []
    states: dict[str, ModelState] = {}
    for action, release, weight, model in choices:
        state = states.get(model)
        target: str | None = release
        if action == "promote":
            target = state.challenger if state else None
        elif action == "rollback":
            target = rollback_target(state) if state else None
        elif action == "canary" and (state is None or state.champion in (None, release)):
            target = None
        elif action == "undeploy":
            target = state.champion if state else None
        if target is None:
            continue
        share = {"canary": weight, "undeploy": 0.0}.get(action, 1.0)
        new = ChannelEvent(
            number=len(events) + 1, at="", model=model, action=action, release=target,
            weight=share, by="", reason="",
        )  # fmt: skip
        states = fold([new], start=states)
        events.append(new)
    return tuple(events)


ACTIONS: tuple[Action, ...] = ("deploy", "canary", "promote", "rollback", "undeploy")
LIVES = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.sampled_from([A, B, C]),
        st.floats(0, 1, exclude_min=True, exclude_max=True),
        st.sampled_from(["m", "n"]),
    ),
    max_size=30,
).map(follow)


@given(LIVES)
def test_routes_sum_to_one_and_name_who_serves_or_nobody_does(
    events: tuple[ChannelEvent, ...],
) -> None:
    for state in fold(events).values():
        assert sum(state.routes.values()) == pytest.approx(
            float(state.champion is not None), abs=1e-12
        )
        assert all(0 <= weight <= 1 for weight in state.routes.values())
        assert set(state.routes) == {state.champion, state.challenger} - {None}
        assert not state.previous or state.previous[-1] != state.champion


@given(LIVES, st.integers(0, 30))
def test_folding_in_two_parts_is_folding_at_once(
    events: tuple[ChannelEvent, ...], cut: int
) -> None:
    assert fold(events[cut:], start=fold(events[:cut])) == fold(events)


@given(LIVES)
def test_models_do_not_touch_each_other(events: tuple[ChannelEvent, ...]) -> None:
    own = tuple(one for one in events if one.model == "m")
    assert fold(own).get("m") == fold(events).get("m")
