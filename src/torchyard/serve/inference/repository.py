"""The model repository extension over REST: what is sealed and what of it is served.

What is served follows from channel events, which say who decided and why. A request does not, so
it changes nothing here: loading what is served already is done, anything else is refused.
Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from torchyard.core.digest import short
from torchyard.core.errors import BadUsage, YardError
from torchyard.serve.app import Application
from torchyard.serve.follow import Table
from torchyard.serve.http.answers import answer_json
from torchyard.serve.http.connection import Exchange
from torchyard.serve.inference.choosing import versions_of

_MOST_KEPT = 4096


class Entry(NamedTuple):
    """One release of a model: ``state`` is READY or UNAVAILABLE, ``reason`` says why not."""

    name: str
    version: str
    state: str
    reason: str


class _IndexBody(msgspec.Struct):
    ready: bool = False


def index(app: Application, exchange: Exchange) -> None:
    """``POST /v2/repository/index``, with ``{"ready": true}`` of served releases alone."""
    body = _read(exchange.body)
    if body.ready:
        exchange.answer(answer_json([entry._asdict() for entry in served_entries(app.table)]))
        return
    sealed = app.loop.run_in_executor(None, sealed_entries, app.settings.releases)
    sealed.add_done_callback(partial(_tell, app, exchange))


def load(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v2/repository/models/{}/load``: done where the model is served, else refused."""
    check_load(app, model)
    exchange.model = model
    exchange.answer(answer_json({}))


def unload(app: Application, exchange: Exchange, model: str) -> None:
    """``POST /v2/repository/models/{}/unload``: refused."""
    exchange.model = app.served(model).state.model
    raise kept()


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
    return _undecided(
        "a request to serve a model no more", "torchyard rollback, or stop the server"
    )


def served_entries(table: Table) -> list[Entry]:
    """The releases that are served, of every model the champion first."""
    return [
        Entry(model, version, "READY", "")
        for model, served in table.models.items()
        for version in versions_of(served)
    ]


def sealed_entries(releases: Path) -> list[Entry]:
    """The releases in a folder, as if none were served; what cannot be read is left out.

    They are not opened, so nothing vouches for them.
    """
    from torchyard.release import list_releases

    entries = []
    for folder in list_releases(releases):
        with suppress(YardError):
            version = short(folder.name)
            entries.append(Entry(_model_of(folder), version, "UNAVAILABLE", "sealed, not deployed"))
    return entries


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


@lru_cache(maxsize=_MOST_KEPT)
def _model_of(folder: Path) -> str:
    """The model of a release, which never changes."""
    from torchyard.records.manifest import Manifest
    from torchyard.release.layout import MANIFEST
    from torchyard.release.rules import read_paper

    return read_paper(Manifest, folder / MANIFEST).model


def _read(body: bytes) -> _IndexBody:
    try:
        return msgspec.json.decode(body, type=_IndexBody) if body else _IndexBody()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadUsage(
            where="request body",
            found="something else",
            expected='nothing, or {"ready": true} or {"ready": false}',
            remedy="Leave the body out to have every release.",
        ) from error


def _undecided(found: str, command: str) -> BadUsage:
    return BadUsage(
        where="model repository",
        found=found,
        expected="a decision in the channel log, with who took it and why",
        remedy=f"Run: {command}",
    )
