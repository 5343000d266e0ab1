"""The model repository extension over REST: what is sealed, what is served, and changing that.

What is served follows from channel events, which say who decided and why. Unless the setting
``repository_control`` lets requests decide, they change nothing: loading what is served already is
done, anything else is refused.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from torchyard.core.digest import short
from torchyard.core.errors import BadUsage
from torchyard.serve.app import Application
from torchyard.serve.follow import Table
from torchyard.serve.http.answers import answer_json
from torchyard.serve.http.connection import Exchange
from torchyard.serve.inference.choosing import versions_of
from torchyard.serve.inference.sealed import sealed_releases

if TYPE_CHECKING:
    from torchyard.serve.inference.deciding import Decided


class Entry(NamedTuple):
    """One release of a model: ``state`` is READY or UNAVAILABLE, ``reason`` says why not."""

    name: str
    version: str
    state: str
    reason: str


class _IndexBody(msgspec.Struct):
    ready: bool = False


class _OrderBody(msgspec.Struct, forbid_unknown_fields=True):  # one that was meant may be there
    parameters: dict[str, bool | int | float | str] | None = None


_Body = TypeVar("_Body", _IndexBody, _OrderBody)


def index(app: Application, exchange: Exchange) -> None:
    """``POST /v2/repository/index``, with ``{"ready": true}`` of served releases alone."""
    body = _read(exchange.body, _IndexBody, '{"ready": true} or {"ready": false}')
    if body.ready:
        exchange.answer(answer_json([entry._asdict() for entry in served_entries(app.table)]))
        return
    sealed = app.loop.run_in_executor(None, sealed_entries, app.settings.releases)
    sealed.add_done_callback(partial(_tell, app, exchange))


def load(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v2/repository/models/{}/load``: serve the release that its parameters name, or the
    newest one. Without ``repository_control`` done where the model is served, else refused.
    """
    if not app.settings.repository_control:
        check_load(app, model)
        exchange.model = model
        exchange.answer(answer_json({}))
        return
    from torchyard.serve.inference import deciding  # most servers decide nothing

    order = deciding.load_order(_parameters(exchange.body))
    deciding.check_asker(app, exchange, is_control=True)
    decide = partial(deciding.load, app.settings, model, order, by=exchange.client)
    deciding.begin(app, exchange, decide, partial(_decided, exchange))


def unload(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v2/repository/models/{}/unload``: serve the model no more. Without
    ``repository_control`` refused.
    """
    if not app.settings.repository_control:
        exchange.model = app.served(model).state.model
        raise kept()
    from torchyard.serve.inference import deciding

    order = deciding.unload_order(_parameters(exchange.body))
    deciding.check_asker(app, exchange, is_control=True)
    decide = partial(deciding.unload, app.settings, model, order, by=exchange.client)
    deciding.begin(app, exchange, decide, partial(_decided, exchange))


def check_load(app: Application, model: str) -> None:
    """Refuse to load what is not served already.

    Raises:
        BadUsage: no release of that model is deployed.
        NotReady: that is not known yet.
    """
    if model not in app.table.models:
        app.check_ready()
        raise _undecided("a model that no release is deployed of", "torchyard deploy RELEASE")


def kept() -> BadUsage:
    """The refusal to unload a model that is served."""
    return _undecided("a request to serve a model no more", "torchyard undeploy")


def served_entries(table: Table) -> list[Entry]:
    """The releases that are served, of every model the champion first."""
    return [
        Entry(model, version, "READY", "")
        for model, served in table.models.items()
        for version in versions_of(served)
    ]


def sealed_entries(releases: Path) -> list[Entry]:
    """The releases in a folder, as if none were served; what cannot be read is left out."""
    return [
        Entry(model, short(folder.name), "UNAVAILABLE", "sealed, not deployed")
        for model, folder in sealed_releases(releases)
    ]


def all_entries(table: Table, sealed: Iterable[Entry]) -> list[Entry]:
    """The served releases, then those that are only sealed."""
    served = served_entries(table)
    known = {(entry.name, entry.version) for entry in served}
    return served + [entry for entry in sealed if (entry.name, entry.version) not in known]


def _tell(app: Application, exchange: Exchange, sealed: object) -> None:
    try:
        entries = all_entries(app.table, sealed.result())  # type: ignore[attr-defined]
    except Exception as error:  # the edge of this request
        app.refuse(exchange, error)
    else:
        exchange.answer(answer_json([entry._asdict() for entry in entries]))


def _decided(exchange: Exchange, decided: Decided) -> None:
    exchange.model = decided.model
    exchange.answer(answer_json({"release": decided.release, "event": decided.event}))


def _parameters(body: bytes) -> dict[str, bool | int | float | str]:
    expected = '{"parameters": {...}} with texts, numbers or truth values'
    return _read(body, _OrderBody, expected).parameters or {}


def _read(body: bytes, kind: type[_Body], expected: str) -> _Body:
    try:
        return msgspec.json.decode(body, type=kind) if body else kind()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadUsage(
            where="request body",
            found="something else",
            expected=f"nothing, or {expected}",
            remedy="Correct it, or leave it out.",
        ) from error


def _undecided(found: str, command: str) -> BadUsage:
    return BadUsage(
        where="model repository",
        found=found,
        expected="a decision in the channel log, with who took it and why",
        remedy=f"Run: {command}. Or let requests decide: repository_control = true",
    )
