"""What is answered beside the protocol, health and reflection; let in as the protocol's calls are.

Sources: https://github.com/grpc/grpc/blob/master/doc/health-checking.md and
https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from torchyard.core.errors import BadData, NotReady, YardError
from torchyard.serve.app import Application
from torchyard.serve.inference.grpc.call import GrpcCall
from torchyard.serve.inference.grpc.entrance import Entrance
from torchyard.serve.inference.grpc.handlers import Context, refuse, reply_to
from torchyard.serve.inference.grpc.messages import POOL, SERVICE, Message, parse

LONGEST_NAME = 200  # a service that is watched is remembered as long as the watch lasts


def health_handlers(app: Application, entrance: Entrance, known: health.aio.HealthServicer) -> Any:
    """Health: whether the server, or the protocol's service, can answer."""

    async def asked(context: Context, route: str) -> tuple[GrpcCall, Message]:
        call = entrance.let_in(context, route, "nothing")
        if await entrance.hear(call, context):
            try:
                return call, _question(call)
            except YardError as error:
                app.refuse(call, error)
        return await refuse(context, call, await reply_to(app, call))

    async def check(_: object, context: Context) -> Message:
        _, question = await asked(context, "grpc/Health.Check")
        return await known.Check(question, context)

    async def watch(_: object, context: Context) -> None:
        call, question = await asked(context, "grpc/Health.Watch")
        try:
            await entrance.rest(known.Watch(question, context))
        except NotReady as error:
            app.refuse(call, error)
            await refuse(context, call, await reply_to(app, call))

    put = health_pb2.HealthCheckResponse.SerializeToString
    table = {
        "Check": grpc.stream_unary_rpc_method_handler(check, None, put),
        "Watch": grpc.stream_stream_rpc_method_handler(watch, None, put),
    }
    return grpc.method_handlers_generic_handler(health.SERVICE_NAME, table)


def reflection_handlers(app: Application, entrance: Entrance) -> Any:
    """Reflection: what there is to call, for clients without the definition."""
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    servicer = reflection.aio.ReflectionServicer(names, pool=_definitions())

    async def tell(bodies: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
        call = entrance.let_in(context, "grpc/ServerReflectionInfo", "nothing")
        if not call.reply.done():
            try:
                async for answer in servicer.ServerReflectionInfo(_questions(bodies), context):
                    yield answer
            except YardError as error:
                app.refuse(call, error)
            else:
                return
        await refuse(context, call, await reply_to(app, call))

    put = reflection_pb2.ServerReflectionResponse.SerializeToString
    table = {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(tell, None, put)}
    return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, table)


def _question(call: GrpcCall) -> Message:
    request = parse(health_pb2.HealthCheckRequest, call.body)
    call.body = b""
    if len(request.service) > LONGEST_NAME:
        raise BadData(
            where="service",
            found="a longer text",
            expected=f"at most {LONGEST_NAME} characters",
            remedy=f"Ask for {SERVICE}, or for nothing: the server.",
        )
    return health_pb2.HealthCheckRequest(service=request.service)  # without what else was sent


async def _questions(bodies: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for body in bodies:
        yield parse(reflection_pb2.ServerReflectionRequest, body)


def _definitions() -> descriptor_pool.DescriptorPool:
    """What reflection tells of: the protocol, health, and itself."""
    pool = descriptor_pool.DescriptorPool()
    files = (
        POOL.FindFileContainingSymbol(SERVICE),
        health_pb2.DESCRIPTOR,
        reflection_pb2.DESCRIPTOR,
    )
    for file in files:
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        pool.Add(copy)
    return pool
