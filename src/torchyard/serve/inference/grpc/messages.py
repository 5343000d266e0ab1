"""The protocol's messages as classes, made from ``inference.binpb``; their fields are in
``inference.proto``.

No code is generated: generated code would tie a server to a few versions of protobuf. The classes
live in a pool of their own, beside whatever else a process knows of package ``inference``, a client
of the protocol for instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"

Message = Any  # a protobuf message; what it may hold is in inference.proto


class Method(NamedTuple):
    """A call of the service: its name, the class of its requests, whether both sides stream."""

    name: str
    request: Message
    is_stream: bool


def _pool() -> descriptor_pool.DescriptorPool:
    compiled = resources.files(__package__).joinpath("inference.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        pool.Add(file)
    return pool


POOL = _pool()


def methods() -> Iterator[Method]:
    """The calls of the service."""
    for method in POOL.FindServiceByName(SERVICE).methods:
        request = message_factory.GetMessageClass(method.input_type)
        yield Method(method.name, request, method.client_streaming)


def _class(name: str) -> Message:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))


ServerLiveResponse = _class("ServerLiveResponse")
ServerReadyResponse = _class("ServerReadyResponse")
ModelReadyResponse = _class("ModelReadyResponse")
ServerMetadataResponse = _class("ServerMetadataResponse")
ModelMetadataResponse = _class("ModelMetadataResponse")
ModelInferRequest = _class("ModelInferRequest")
ModelInferResponse = _class("ModelInferResponse")
ModelStreamInferResponse = _class("ModelStreamInferResponse")
RepositoryIndexResponse = _class("RepositoryIndexResponse")
RepositoryModelLoadResponse = _class("RepositoryModelLoadResponse")
RepositoryModelUnloadResponse = _class("RepositoryModelUnloadResponse")
