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
from google.protobuf.message import DecodeError

from torchyard.core.errors import BadUsage

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


def parse(kind: Message, body: bytes) -> Message:
    """A message of a class from its bytes.

    Raises:
        BadUsage: they are none.
    """
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise BadUsage(
            where="gRPC message",
            found="bytes that cannot be read",
            expected=f"a message {kind.DESCRIPTOR.full_name}",
            remedy="Make the client from the protocol's definition, inference.proto.",
        ) from error


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
ModelStatisticsResponse = _class("ModelStatisticsResponse")
RepositoryIndexResponse = _class("RepositoryIndexResponse")
RepositoryModelLoadResponse = _class("RepositoryModelLoadResponse")
RepositoryModelUnloadResponse = _class("RepositoryModelUnloadResponse")
