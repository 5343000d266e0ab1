"""From decisions to a state: the fold of channel events. No database here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from torchyard.core.digest import short
from torchyard.core.errors import BadRecord
from torchyard.core.record import from_json
from torchyard.records.live import Action, ChannelEvent, ModelState

TABLE = "channel_events"


def fold(
    events: Iterable[ChannelEvent], *, start: Mapping[str, ModelState] | None = None
) -> dict[str, ModelState]:
    """The state of every model after some events.

    ``fold(a + b) == fold(b, start=fold(a))``, so a follower applies only what is new.

    Args:
        events: in order of their numbers.
        start: the states before the first of them.

    Raises:
        BadRecord: an event cannot follow the ones before it, for example a canary without a
            champion.
    """
    states = dict(start or {})
    for event in events:
        state = states.get(event.model, _nobody(event.model))
        states[event.model] = _RULES[event.action](state, event)
    return states


def rollback_target(state: ModelState) -> str | None:
    """Who serves everything after a rollback; None when there is nothing to return to.

    The champion when a challenger is beside it, else the champion before it: of a model that is
    undeployed, the one that served.
    """
    if state.challenger is not None:
        return state.champion
    return state.previous[-1] if state.previous else None


def event_of(row: Mapping[str, str | float]) -> ChannelEvent:
    """A row of the table, by column, as an event.

    Raises:
        BadRecord: it is none.
    """
    return from_json(ChannelEvent, dict(row), where=f"channel event {row['number']}")


def _deploy(state: ModelState, event: ChannelEvent) -> ModelState:
    return _alone(event.release, _earlier(state, event.release), event)


def _canary(state: ModelState, event: ChannelEvent) -> ModelState:
    if state.champion is None or state.champion == event.release or not 0 < event.weight < 1:
        raise _cannot_follow(event, "a champion, another release beside it, a weight in (0, 1)")
    routes = {state.champion: 1 - event.weight, event.release: event.weight}
    return replace(state, challenger=event.release, routes=routes, last_event=event.number)


def _promote(state: ModelState, event: ChannelEvent) -> ModelState:
    if state.challenger != event.release:
        raise _cannot_follow(event, "the challenger's id")
    return _alone(event.release, _earlier(state, event.release), event)


def _rollback(state: ModelState, event: ChannelEvent) -> ModelState:
    if event.release != rollback_target(state):
        raise _cannot_follow(event, "the champion beside a challenger, else the one before it")
    previous = state.previous if state.challenger is not None else state.previous[:-1]
    return _alone(event.release, previous, event)


def _undeploy(state: ModelState, event: ChannelEvent) -> ModelState:
    if state.champion is None or state.champion != event.release or event.weight != 0:
        raise _cannot_follow(event, "the champion's id, a weight of 0")
    previous = (*state.previous, state.champion)
    return replace(_nobody(state.model), previous=previous, last_event=event.number)


_RULES: dict[Action, Callable[[ModelState, ChannelEvent], ModelState]] = {
    "deploy": _deploy,
    "canary": _canary,
    "promote": _promote,
    "rollback": _rollback,
    "undeploy": _undeploy,
}


def _nobody(model: str) -> ModelState:
    return ModelState(
        model=model, champion=None, challenger=None, routes={}, previous=(), last_event=0
    )


def _alone(release: str, previous: tuple[str, ...], event: ChannelEvent) -> ModelState:
    return ModelState(
        model=event.model,
        champion=release,
        challenger=None,
        routes={release: 1.0},
        previous=previous,
        last_event=event.number,
    )


def _earlier(state: ModelState, new: str) -> tuple[str, ...]:
    """Earlier champions once ``new`` serves; one that goes on serving, or serves again after nobody
    did, is not its own past.
    """
    past = state.previous if state.champion is None else (*state.previous, state.champion)
    return past[:-1] if past[-1:] == (new,) else past


def _cannot_follow(event: ChannelEvent, expected: str) -> BadRecord:
    return BadRecord(
        where=f"channel event {event.number} of model '{event.model}'",
        found=f"{event.action} of {short(event.release)} at weight {event.weight:g}",
        expected=expected,
        remedy="The table was edited by hand: remove that event, or restore a copy of the table.",
    )
