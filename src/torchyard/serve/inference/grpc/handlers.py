"""Between grpcio and the calls: reading requests, waiting for answers, the edge of every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from torchyard.core.errors import BadUsage
from torchyard.serve.admission.proxies import Proxies
from torchyard.serve.app import Application
from torchyard.serve.guarding.keyring import credentials_in
from torchyard.serve.inference.grpc.call import GrpcCall
from torchyard.serve.inference.grpc.messages import (
    SERVICE,
    Message,
    Method,
    ModelStreamInferResponse,
    methods,
)
from torchyard.serve.inference.grpc.service import CALLS
from torchyard.serve.inference.grpc.status import Status

MOST_STREAMED = 64  # requests of one stream that may wait for their answers

Context = Any  # grpc.aio.ServicerContext
Begin = Callable[[bytes, Context], GrpcCall]


def handlers(app: Application) -> Any:
    """What answers the protocol's calls, as ``add_generic_rpc_handlers`` of a server takes it."""
    table = {method.name: _handler(app, method) for method in methods()}
    return grpc.method_handlers_generic_handler(SERVICE, table)


def _handler(app: Application, method: Method) -> Any:
    begin = _beginning(app, method)

    async def unary(body: bytes, context: Context) -> bytes | None:
        reply = await _reply(app, begin(body, context))
        if isinstance(reply, Status):
            return await context.abort(*reply)  # type: ignore[no-any-return]  # it raises
        return bytes(reply.SerializeToString())

    async def stream(bodies: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        async with aclosing(_ahead(bodies, context, begin)) as calls:
            async for call in calls:
                yield _part(await _reply(app, call)).SerializeToString()

    if method.is_stream:
        return grpc.stream_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)


def _beginning(app: Application, method: Method) -> Begin:
    handle, need = CALLS[method.name]
    route, loop, clock = f"grpc/{method.name}", app.loop, app.clock
    proxies = Proxies(app.settings.trusted_proxies)

    def begin(body: bytes, context: Context) -> GrpcCall:
        reply = loop.create_future()
        call = GrpcCall(context, reply, route=route, body=body, arrived=clock())
        try:
            if proxies.trusts(call.client):
                call.client = proxies.client(call.headers, call.client)
            if app.keyring.is_needed and need != "nothing":
                call.client = app.keyring.check(credentials_in(call.headers), need)
            handle(app, call, _read(method, body))
        except Exception as error:  # the edge of the process: every call is answered
            app.refuse(call, error)
        return call

    return begin


def _read(method: Method, body: bytes) -> Message:
    try:
        return method.request.FromString(body)
    except DecodeError as error:
        raise BadUsage(
            where="gRPC message",
            found="bytes that cannot be read",
            expected=f"a message {method.request.DESCRIPTOR.full_name}",
            remedy="Make the client from the protocol's definition, inference.proto.",
        ) from error


def _part(reply: Message | Status) -> Message:
    if isinstance(reply, Status):
        return ModelStreamInferResponse(error_message=reply.details)
    return ModelStreamInferResponse(infer_response=reply)


async def _reply(app: Application, call: GrpcCall) -> Message | Status:
    """Wait for the answer. A client that is gone cancels the wait, and nobody else's answer."""
    try:
        reply = await call.reply
    except asyncio.CancelledError:
        app.observe(call, "DEADLINE_EXCEEDED" if call.is_late else "CANCELLED")
        raise
    app.observe(call, reply.code.name if isinstance(reply, Status) else "OK")
    return reply


async def _ahead(
    bodies: AsyncIterator[bytes], context: Context, begin: Begin
) -> AsyncGenerator[GrpcCall, None]:
    """A stream's calls in order, those behind begun before those in front are answered."""
    begun: asyncio.Queue[GrpcCall | None] = asyncio.Queue()
    free = asyncio.Semaphore(MOST_STREAMED)

    async def read() -> None:
        try:
            async for body in bodies:
                begun.put_nowait(begin(body, context))
                await free.acquire()
        finally:
            begun.put_nowait(None)

    reading = asyncio.get_running_loop().create_task(read())
    try:
        while (call := await begun.get()) is not None:
            yield call
            free.release()
    finally:
        reading.cancel()
