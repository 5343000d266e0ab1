"""The calls of the protocol, from a message to a message. Versions are releases.

Not here: sockets, limits, waiting; see ``server`` and ``handlers``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torchyard.core.errors import BadData, BadUsage, NotFound
from torchyard.serve.app import Application
from torchyard.serve.engine import Engine, Scores
from torchyard.serve.follow import Served
from torchyard.serve.inference import choosing
from torchyard.serve.inference.grpc import messages
from torchyard.serve.inference.grpc.call import GrpcCall
from torchyard.serve.inference.grpc.convert import parameter, response, tensors_of
from torchyard.serve.inference.grpc.messages import Message
from torchyard.serve.inference.tensors import rows_of
from torchyard.serve.predictions import Output
from torchyard.version import __version__

Handle = Callable[[Application, GrpcCall, Message], None]

LONGEST_ID = 200


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
            name=app.settings.project_name, version=__version__, extensions=choosing.EXTENSIONS
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
    goes by the parameter ``key``, else by the metadata ``x-routing-key``, else by the id.
    """
    served = app.served(request.model_name)
    call.model = request.model_name
    name = _checked_id(request.id) or app.ids.make(1)[0]
    if request.model_version:
        engine = choosing.engine_of(served, request.model_version)
    else:
        engine = choosing.split_engine(served, _key(call, request) or name)
    app.check_room(call, engine)
    wanted = choosing.wanted_outputs(engine, [output.name for output in request.outputs])
    tensors = tensors_of(request)
    rows = rows_of(tensors, engine.decoder, max_rows=app.settings.max_rows)
    ids = choosing.ids_of(name, len(rows))
    is_raw = bool(request.raw_input_contents)
    app.score(call, engine, rows, ids, partial(_answer, call, engine, name, wanted, is_raw))


def repository_index(app: Application, call: GrpcCall, request: Message) -> None:
    """``RepositoryIndex``: every version that is served."""
    entry = messages.RepositoryIndexResponse.ModelIndex
    call.answer(
        messages.RepositoryIndexResponse(
            models=[
                entry(name=name, version=version, state="READY")
                for name, served in app.table.models.items()
                for version in choosing.versions_of(served)
            ]
        )
    )


def repository_change(app: Application, call: GrpcCall, request: Message) -> None:
    """``RepositoryModelLoad`` and ``RepositoryModelUnload``: refused, people decide what serves."""
    raise BadUsage(
        where=call.route,
        found="a request to change what is served",
        expected="channel events, which say who decided and why",
        remedy="Run torchyard deploy, torchyard promote or torchyard rollback.",
    )


HANDLES: dict[str, Handle] = {
    "ServerLive": server_live,
    "ServerReady": server_ready,
    "ModelReady": model_ready,
    "ServerMetadata": server_metadata,
    "ModelMetadata": model_metadata,
    "ModelInfer": model_infer,
    "ModelStreamInfer": model_infer,
    "RepositoryIndex": repository_index,
    "RepositoryModelLoad": repository_change,
    "RepositoryModelUnload": repository_change,
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


def _key(call: GrpcCall, request: Message) -> str | None:
    if "key" in request.parameters:
        return str(parameter(request.parameters["key"]))
    header = call.header(b"x-routing-key")
    return None if header is None else header.decode("latin-1")


def _answer(
    call: GrpcCall,
    engine: Engine,
    name: str,
    wanted: Sequence[Output],
    is_raw: bool,
    scores: Scores,
) -> None:
    call.answer(response(engine, name, wanted, scores, is_raw=is_raw))
