"""The calls of the protocol, from a message to a message. Versions are releases.

Not here: sockets, limits, waiting; see ``server`` and ``handlers``.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from torchyard.core.errors import BadData, NotFound
from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.explaining import explain_tensors
from torchyard.serve.follow import Served
from torchyard.serve.inference import choosing, repository, statistics
from torchyard.serve.inference.grpc import messages
from torchyard.serve.inference.grpc.call import GrpcCall
from torchyard.serve.inference.grpc.convert import parameters_of, response, tensors_of, wishes_in
from torchyard.serve.inference.grpc.messages import Message
from torchyard.serve.inference.repository import Entry
from torchyard.serve.inference.statistics import Stated
from torchyard.serve.inference.tensors import rows_of
from torchyard.serve.inference.wishes import Wish
from torchyard.serve.predictions import EXPLANATION
from torchyard.version import __version__

if TYPE_CHECKING:
    from torchyard.serve.inference.deciding import Decided

Handle = Callable[[Application, GrpcCall, Message], None]
Need = Literal["nothing", "predict", "operate"]  # the scope of the key that a call asks for

LONGEST_ID = 200
EXTENSIONS = ("classification", "model_repository", "statistics")


def server_live(app: Application, call: GrpcCall, request: Message) -> None:
    """``ServerLive``: whoever can answer lives."""
    call.answer(messages.ServerLiveResponse(live=True))


def server_ready(app: Application, call: GrpcCall, request: Message) -> None:
    """``ServerReady``: whether every deployed model can answer."""
    call.answer(messages.ServerReadyResponse(ready=app.table.is_ready))


def model_ready(app: Application, call: GrpcCall, request: Message) -> None:
    """``ModelReady``: what is not there is not ready."""
    served = app.table.models.get(request.name)
    if served is not None:
        call.model = request.name
    call.answer(messages.ModelReadyResponse(ready=_is_served(served, request.version)))


def server_metadata(app: Application, call: GrpcCall, request: Message) -> None:
    """``ServerMetadata``."""
    call.answer(
        messages.ServerMetadataResponse(
            name=app.settings.project_name, version=__version__, extensions=EXTENSIONS
        )
    )


def model_metadata(app: Application, call: GrpcCall, request: Message) -> None:
    """``ModelMetadata``: the champion's where no version is asked for."""
    served = app.served(request.name)
    call.model = request.name
    engine = choosing.engine_of(served, request.version)
    tensor = messages.ModelMetadataResponse.TensorMetadata
    call.answer(
        messages.ModelMetadataResponse(
            name=request.name,
            versions=choosing.versions_of(served),
            platform=choosing.PLATFORM,
            inputs=[tensor(**each._asdict()) for each in choosing.inputs_of(engine)],
            outputs=[tensor(**each._asdict()) for each in choosing.described_outputs(engine)],
        )
    )


def model_infer(app: Application, call: GrpcCall, request: Message) -> None:
    """``ModelInfer``, and each request of ``ModelStreamInfer``.

    A single row has the request's ``id`` as its id; row ``i`` of several has ``id-i``. The split
    goes by the parameter ``key``, else by the metadata ``x-routing-key``, else by the id. With the
    parameter ``explain`` the answer also says what each field makes of it.
    """
    served = app.served(request.model_name)
    call.model = request.model_name
    name = _checked_id(request.id) or app.ids.make(1)[0]
    version = request.model_version
    engine = choosing.engine_of(served, version) if version else _split(call, served, request, name)
    app.check_room(call, engine)
    wishes = wishes_in(request, engine)
    rows = rows_of(tensors_of(request), engine.decoder, max_rows=app.settings.max_rows)
    ids = choosing.ids_of(name, len(rows))
    is_raw = bool(request.raw_input_contents)
    answer = partial(_answer, call, engine, name, wishes, is_raw)
    if any(wish.output is EXPLANATION for wish in wishes):
        explain_tensors(app, call, engine, rows, ids, answer)
    else:
        app.score(call, engine, rows, ids, answer)


def repository_index(app: Application, call: GrpcCall, request: Message) -> None:
    """``RepositoryIndex``: every release, or those alone that are served."""
    if request.ready:
        _list(call, repository.served_entries(app.table))
        return
    sealed = app.loop.run_in_executor(None, repository.sealed_entries, app.settings.releases)
    sealed.add_done_callback(partial(_list_all, app, call))


def repository_load(app: Application, call: GrpcCall, request: Message) -> None:
    """``RepositoryModelLoad``: as over REST, see ``repository.load``."""
    if not app.settings.repository_control:
        repository.check_load(app, request.model_name)
        call.model = request.model_name
        call.answer(messages.RepositoryModelLoadResponse())
        return
    from torchyard.serve.inference import deciding  # most servers decide nothing

    order = deciding.load_order(parameters_of(request))
    deciding.check_asker(app, call, is_control=not app.settings.control_apart)
    decide = partial(deciding.load, app.settings, request.model_name, order, by=call.client)
    answer = messages.RepositoryModelLoadResponse()
    deciding.begin(app, call, decide, partial(_decided, call, answer))


def repository_unload(app: Application, call: GrpcCall, request: Message) -> None:
    """``RepositoryModelUnload``: as over REST, see ``repository.unload``."""
    if not app.settings.repository_control:
        call.model = app.served(request.model_name).state.model
        raise repository.kept()
    from torchyard.serve.inference import deciding

    order = deciding.unload_order(parameters_of(request))
    deciding.check_asker(app, call, is_control=not app.settings.control_apart)
    decide = partial(deciding.unload, app.settings, request.model_name, order, by=call.client)
    answer = messages.RepositoryModelUnloadResponse()
    deciding.begin(app, call, decide, partial(_decided, call, answer))


def model_statistics(app: Application, call: GrpcCall, request: Message) -> None:
    """``ModelStatistics``: of one version, of a model's, or of every model's."""
    statistics.begin(app, call, request.name, request.version, partial(_state, call))


CALLS: dict[str, tuple[Handle, Need]] = {
    "ServerLive": (server_live, "nothing"),
    "ServerReady": (server_ready, "nothing"),
    "ModelReady": (model_ready, "predict"),
    "ServerMetadata": (server_metadata, "predict"),
    "ModelMetadata": (model_metadata, "predict"),
    "ModelInfer": (model_infer, "predict"),
    "ModelStreamInfer": (model_infer, "predict"),
    "ModelStatistics": (model_statistics, "predict"),
    "RepositoryIndex": (repository_index, "operate"),
    "RepositoryModelLoad": (repository_load, "operate"),
    "RepositoryModelUnload": (repository_unload, "operate"),
}


def _is_served(served: Served | None, version: str) -> bool:
    if served is None:
        return False
    try:
        choosing.engine_of(served, version)
    except NotFound:
        return False
    return True


def _checked_id(name: str) -> str:
    if len(name) > LONGEST_ID:
        raise BadData(
            where="id",
            found="a longer text",
            expected=f"at most {LONGEST_ID} characters",
            remedy="Shorten it, or leave it out to have one made.",
        )
    return name


def _split(call: GrpcCall, served: Served, request: Message, name: str) -> Engine:
    if len(served.engines) == 1:
        return served.champion
    return choosing.split_engine(served, _key(call, request) or name)


def _key(call: GrpcCall, request: Message) -> str | None:
    key = parameters_of(request).get("key")
    if key is not None:
        return str(key)
    header = call.header(b"x-routing-key")
    return None if header is None else header.decode("latin-1")


def _answer(
    call: GrpcCall,
    engine: Engine,
    name: str,
    wishes: list[Wish],
    is_raw: bool,
    scores: Scores,
) -> None:
    call.answer(response(engine, name, wishes, scores, is_raw=is_raw))


def _list_all(app: Application, call: GrpcCall, sealed: Future[list[Entry]]) -> None:
    try:
        entries = repository.all_entries(app.table, sealed.result())
    except Exception as error:  # the edge of this call
        app.refuse(call, error)
    else:
        _list(call, entries)


def _decided(call: GrpcCall, answer: Message, decided: Decided) -> None:
    call.model = decided.model
    call.answer(answer)


def _state(call: GrpcCall, stated: list[Stated]) -> None:
    call.answer(
        messages.ModelStatisticsResponse(model_stats=[msgspec.to_builtins(one) for one in stated])
    )


def _list(call: GrpcCall, entries: Iterable[Entry]) -> None:
    models = [messages.RepositoryIndexResponse.ModelIndex(**entry._asdict()) for entry in entries]
    call.answer(messages.RepositoryIndexResponse(models=models))
