"""What ``load`` and ``unload`` decide, where requests may: a channel event, with who asks and why.

What takes time is for a thread: a release is opened and proved, the event is written, the workers
are waited for. The loop begins it and tells what came of it. Not here: the words of REST and gRPC.
"""

from __future__ import annotations

import re
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from torchyard.core.digest import short
from torchyard.core.errors import BadUsage, Forbidden, NotFound, NotReady, Refused, nearest
from torchyard.release import Release, open_release
from torchyard.serve.app import Application
from torchyard.serve.calls import Call
from torchyard.serve.engine import replay
from torchyard.serve.inference.sealed import releases_of
from torchyard.serve.settings import Settings

if TYPE_CHECKING:
    from torchyard.release import ChannelLog

FOLLOW_S = 30.0  # how long all workers may take to open a release and answer its golden requests
LONGEST_REASON = 500

_RELEASE = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_LOAD = ("release", "canary", "reason")
_UNLOAD = ("reason", "unload_dependents")
_OVERRIDES = ("config", "file:")  # what Triton's load may put in the place of what is stored


class Order(NamedTuple):
    """What a request asks for.

    ``release`` is the beginning of an id in hex digits, empty for the newest; ``canary`` a share of
    the traffic, None for all of it; ``reason`` is kept with the event.
    """

    release: str
    canary: float | None
    reason: str


class Decided(NamedTuple):
    """The release that a model was given or lost, and the event that every worker follows now."""

    model: str
    release: str
    event: int


def load_order(parameters: Mapping[str, object]) -> Order:
    """What the parameters of a ``load`` ask for.

    Raises:
        BadUsage: there is one that means nothing here, or that is not what it should be.
    """
    _check_names(parameters, _LOAD)
    release = parameters.get("release", "")
    match = _RELEASE.fullmatch(release) if isinstance(release, str) and release else None
    if release != "" and match is None:
        raise _bad("release", "4 to 64 hex digits that a release's id begins with")
    return Order(
        match.group(1) if match else "",
        _share(parameters.get("canary")),
        _reason(parameters, "model repository load"),
    )


def unload_order(parameters: Mapping[str, object]) -> Order:
    """What the parameters of an ``unload`` ask for; no model depends on another one.

    Raises:
        BadUsage: there is one that means nothing here, or that is not what it should be.
    """
    _check_names(parameters, _UNLOAD)
    return Order("", None, _reason(parameters, "model repository unload"))


def check_asker(app: Application, call: Call, *, is_control: bool) -> None:
    """Hold that a call comes from an operator; where keys are asked for, its scope said so already.

    Without keys, reaching the control port is what makes an operator, and any page that a browser
    on this machine shows could reach it: browsers name the page of such a request as its origin.

    Args:
        app: the worker.
        call: what asks.
        is_control: whether it came by the way that operators have, clients not.

    Raises:
        Forbidden: that is not so.
    """
    if app.keyring.is_needed:
        return
    if not is_control:
        raise _forbidden("a call without a key, by the port of clients")
    if call.header(b"origin") is not None:
        raise _forbidden("a request that a page in a browser makes, without a key")


def begin(
    app: Application, call: Call, decide: Callable[[], Decided], answer: Callable[[Decided], None]
) -> None:
    """Have a thread decide, and answer once every worker follows. Returns at once.

    A decision stands even if whoever asked for it is gone.
    """
    decided = app.loop.run_in_executor(None, decide)
    decided.add_done_callback(partial(_tell, app, call, answer))


def load(settings: Settings, model: str, order: Order, *, by: str) -> Decided:
    """Give a release all of a model's traffic, or a canary's share, as ``torchyard deploy`` does.

    Its golden requests are replayed before that is decided. What is so already is only waited for.
    Takes seconds: for a thread.

    Args:
        settings: of the server.
        model: whose traffic.
        order: which release and what share.
        by: who asks.

    Raises:
        NotFound: no sealed release of that model is meant.
        BadUsage: several are, or the share is none.
        NotTrusted, BadRecord: it does not open.
        NotReady: it does not answer as it was judged, or a worker does not follow in time.
        Refused: it cannot have such a share, or another decision came in between.
    """
    from torchyard.release import ChannelLog  # it loads SQLAlchemy, which workers start without

    release = open_release(_folder(settings.releases, model, order), trusted=settings.trusted_keys)
    if release.manifest.model != model:  # the folder's name is proved only now
        raise _no_release(model)
    with ChannelLog(settings.channels_url) as log:
        number = _already(log, release, order)
        if number is None:
            replay(release, device=settings.device)
            number = _give(log, release, order, by)
    _wait(settings, number)
    return Decided(model, release.id, number)


def unload(settings: Settings, model: str, order: Order, *, by: str) -> Decided:
    """Take a model out of service, as ``torchyard undeploy`` does; for a thread, like ``load``.

    Requests that have their release already are answered by it.

    Raises:
        NotFound: no release of that model is deployed.
        NotReady: a worker does not follow in time.
        Refused: another decision came in between.
    """
    from torchyard.release import ChannelLog
    from torchyard.rollout import undeploy

    with ChannelLog(settings.channels_url) as log:
        state = log.states().get(model)
        if state is None or not state.routes:
            raise NotFound(
                where="model",
                found="no deployed model of that name",
                expected="a model with a deployed release",
                remedy="The index of the repository lists what is served.",
            )
        event = undeploy(log, model=model, by=by, reason=order.reason)
    _wait(settings, event.number)
    return Decided(model, event.release, event.number)


def _tell(
    app: Application, call: Call, answer: Callable[[Decided], None], decided: Future[Decided]
) -> None:
    try:
        answer(decided.result())
    except Exception as error:  # the edge of this request
        app.refuse(call, error)


def _folder(releases: Path, model: str, order: Order) -> Path:
    """The folder of the release that is meant; nothing vouches for it yet."""
    own = releases_of(model, releases)
    if not own:
        raise _no_release(model)
    if not order.release:
        return own[-1]
    meant = [folder for folder in own if folder.name.startswith(order.release)]
    if not meant:
        raise _no_release(model)
    if len(meant) > 1:
        raise BadUsage(
            where="$.parameters.release",
            found=f"digits that {len(meant)} releases begin with",
            expected="digits that only one begins with",
            remedy=f"Send more of it: {', '.join(short(one.name) for one in meant[:5])}.",
        )
    return meant[0]


def _already(log: ChannelLog, release: Release, order: Order) -> int | None:
    """The event since which what is asked for is so; None where it is not."""
    state = log.states().get(release.manifest.model)
    if state is None:
        return None
    if order.canary is None:
        is_so = state.routes == {release.id: 1.0}
    else:
        is_so = release.id == state.challenger and state.routes[release.id] == order.canary
    return state.last_event if is_so else None


def _give(log: ChannelLog, release: Release, order: Order, by: str) -> int:
    """Decide; the number of the event. Where another decided the same meanwhile, that one's."""
    from torchyard.rollout import canary, deploy

    share, given = order.canary, {"by": by, "reason": order.reason}
    model = release.manifest.model
    try:
        if share is None:
            return deploy(log, model=model, release=release.id, **given).number
        return canary(log, model=model, release=release.id, weight=share, **given).number
    except Refused as refusal:
        number = _already(log, release, order)
        if number is not None:
            return number
        if share is None:  # it was so when this was refused, and is so no more
            raise Refused(
                where=f"load of model '{model}'",
                found="another decision since",
                expected="a decision taken on the present state",
                remedy="Look at what is served, then decide again.",
            ) from refusal
        raise


def _wait(settings: Settings, event: int) -> None:
    """Wait until every worker follows, this one among them.

    Raises:
        NotReady: they do not in time. The event stands: they go on trying.
    """
    from torchyard.rollout import wait_until_followed

    if not wait_until_followed(settings.state, event=event, timeout_s=FOLLOW_S):
        raise NotReady(
            where="this server",
            found="a server that starts or stops",
            expected="workers that follow",
            remedy=f"Event {event} is decided and will be followed: torchyard status.",
        )


def _check_names(parameters: Mapping[str, object], known: Sequence[str]) -> None:
    for name in parameters:
        if name.startswith(_OVERRIDES):
            raise BadUsage(
                where="$.parameters",
                found="another configuration or other files for a model",
                expected=" or ".join(known),
                remedy="A release is served as it was judged: seal another one, and load that.",
            )
        if name not in known:
            raise BadUsage(
                where="$.parameters",
                found="a parameter that means nothing here",
                expected=" or ".join(known),
                remedy=nearest(name, known),
            )


def _share(given: object) -> float | None:
    """A share as JSON's number; gRPC's parameters have no fractions, so a text will do."""
    if given is None:
        return None
    try:
        share = float(given) if isinstance(given, str | float) else -1.0
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise _bad("canary", "a share of the traffic above 0 and below 1")
    return share


def _reason(parameters: Mapping[str, object], otherwise: str) -> str:
    reason = parameters.get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise _bad("reason", f"a line of at most {LONGEST_REASON} characters")
    return reason or otherwise


def _bad(name: str, expected: str) -> BadUsage:
    return BadUsage(
        where=f"$.parameters.{name}",
        found="something else",
        expected=expected,
        remedy="Correct it, or leave it out.",
    )


def _no_release(model: str) -> NotFound:
    return NotFound(
        where="model repository",
        found="no such sealed release of that model",
        expected="a release that the repository's index lists under the model's name",
        remedy="Seal one with torchyard ship, or copy its folder to the server's releases.",
    )


def _forbidden(found: str) -> Forbidden:
    return Forbidden(
        where="model repository",
        found=found,
        expected="a key for operate, or the control port",
        remedy="Make a key with: torchyard key new NAME --scope operate",
    )
