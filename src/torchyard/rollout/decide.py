"""The decisions about who serves, each one checked against the present state and appended.

A decision reads the state and appends on the condition that nothing came in between, so two people
who decide at once cannot both be right by accident: the later one is refused and looks again.
Not here: opening the release, which callers do first (only a trusted folder gives an id).
"""

from __future__ import annotations

import re

from torchyard.core.digest import short
from torchyard.core.errors import BadUsage, NotFound, Refused
from torchyard.records.live import ChannelEvent, ModelState
from torchyard.release.channels import ChannelLog
from torchyard.release.folding import rollback_target

_ID = re.compile(r"sha256:[0-9a-f]{64}")


def deploy(log: ChannelLog, *, model: str, release: str, by: str, reason: str) -> ChannelEvent:
    """Give a release all of a model's traffic; a challenger is dropped.

    Args:
        log: where the decision is kept.
        model: the project's name.
        release: the id of a release of that model.
        by: who decides.
        reason: why, in their words.

    Raises:
        NotFound: the release is not named by an id.
        Refused: it serves everything already, or another decision came in between.
    """
    _check_id(release)
    state = _state(log, model)
    if state is not None and state.routes == {release: 1.0}:
        raise Refused(
            where=f"deploy of model '{model}'",
            found=f"release {short(release)}, which serves everything already",
            expected="another release",
            remedy="Nothing is left to do.",
        )
    return log.append(
        model=model, action="deploy", release=release, weight=1.0, by=by, reason=reason,
        expect_last=_last(state),
    )  # fmt: skip


def canary(
    log: ChannelLog, *, model: str, release: str, weight: float, by: str, reason: str
) -> ChannelEvent:
    """Give a release a share of the traffic beside the champion, or change its share.

    Args:
        log: where the decision is kept.
        model: the project's name.
        release: the id of a release of that model.
        weight: its share, above 0 and below 1.
        by: who decides.
        reason: why, in their words.

    Raises:
        BadUsage: the weight is not between 0 and 1.
        NotFound: the release is not named by an id.
        Refused: nothing serves yet, the release is the champion, or another decision came in
            between.
    """
    if not 0 < weight < 1:
        raise BadUsage(
            where="canary weight",
            found=f"{weight:g}",
            expected="a share above 0 and below 1",
            remedy="For example 0.1; to give it everything, deploy or promote it.",
        )
    _check_id(release)
    state = _state(log, model)
    if state is None or state.champion is None:
        raise Refused(
            where=f"canary of model '{model}'",
            found="no champion",
            expected="a release that serves the rest of the traffic",
            remedy="Deploy a release first.",
        )
    if state.champion == release:
        raise Refused(
            where=f"canary of model '{model}'",
            found=f"release {short(release)}, which is the champion",
            expected="another release",
            remedy="Name the release that is to be tried beside it.",
        )
    return log.append(
        model=model, action="canary", release=release, weight=weight, by=by, reason=reason,
        expect_last=_last(state),
    )  # fmt: skip


def promote(log: ChannelLog, *, model: str, by: str, reason: str) -> ChannelEvent:
    """Give the challenger all of the traffic; it is the champion from then on.

    Raises:
        Refused: there is no challenger, or another decision came in between.
    """
    state = _state(log, model)
    if state is None or state.challenger is None:
        raise Refused(
            where=f"promote of model '{model}'",
            found="no challenger",
            expected="a canary that gets a share of the traffic",
            remedy="Start a canary first, or deploy the release.",
        )
    return log.append(
        model=model, action="promote", release=state.challenger, weight=1.0, by=by, reason=reason,
        expect_last=state.last_event,
    )  # fmt: skip


def rollback(log: ChannelLog, *, model: str, by: str, reason: str) -> ChannelEvent:
    """Drop the challenger; without one, return to the champion before this one.

    Raises:
        Refused: there is neither, or another decision came in between.
    """
    state = _state(log, model)
    target = None if state is None else rollback_target(state)
    if target is None:
        raise Refused(
            where=f"rollback of model '{model}'",
            found="nothing earlier",
            expected="a challenger to drop, or a champion before this one",
            remedy="Deploy the release that should serve.",
        )
    return log.append(
        model=model, action="rollback", release=target, weight=1.0, by=by, reason=reason,
        expect_last=_last(state),
    )  # fmt: skip


def undeploy(log: ChannelLog, *, model: str, by: str, reason: str) -> ChannelEvent:
    """Take a model out of service, champion and challenger; a rollback brings the champion back.

    Raises:
        Refused: nothing serves, or another decision came in between.
    """
    state = _state(log, model)
    if state is None or state.champion is None:
        raise Refused(
            where=f"undeploy of model '{model}'",
            found="no champion",
            expected="a model that is served",
            remedy="Nothing is left to do.",
        )
    return log.append(
        model=model, action="undeploy", release=state.champion, weight=0.0, by=by, reason=reason,
        expect_last=state.last_event,
    )  # fmt: skip


def _state(log: ChannelLog, model: str) -> ModelState | None:
    return log.states().get(model)


def _last(state: ModelState | None) -> int:
    return 0 if state is None else state.last_event


def _check_id(release: str) -> None:
    if not _ID.fullmatch(release):
        raise NotFound(
            where="release",
            found=repr(release),
            expected="a release's id: sha256: and 64 hex digits",
            remedy="Find the release by the start of its id first.",
        )
