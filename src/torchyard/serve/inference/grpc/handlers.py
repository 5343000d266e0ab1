"""Between grpcio and the calls: reading requests, waiting for answers, the edge of every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc

from torchyard.core.errors import NotReady, YardError
from torchyard.serve.app import Application
from torchyard.serve.inference.grpc.call import GrpcCall
from torchyard.serve.inference.grpc.entrance import Entrance
from torchyard.serve.inference.grpc.messages import (
    SERVICE,
    Message,
    Method,
    ModelStreamInferResponse,
    methods,
    parse,
)
from torchyard.serve.inference.grpc.service import CALLS, Handle
from torchyard.serve.inference.grpc.status import Status

MOST_STREAMED = 64  # requests of one stream that may wait for their answers

Context = Any  # grpc.aio.ServicerContext
Begin = Callable[[bytes], GrpcCall]


def handlers(app: Application, entrance: Entrance) -> Any:
    """What answers the protocol's calls, as ``add_generic_rpc_handlers`` of a server takes it."""
    table = {
        method.name: _stream(app, entrance, method)
        if method.is_stream
        else _unary(app, entrance, method)
        for method in methods()
    }
    return grpc.method_handlers_generic_handler(SERVICE, table)


def _unary(app: Application, entrance: Entrance, method: Method) -> Any:
    handle, need = CALLS[method.name]
    route = f"grpc/{method.name}"

    async def answer(_: object, context: Context) -> bytes:
        call = entrance.let_in(context, route, need)
        if await entrance.hear(call, context):
            _begin(app, handle, method, call)
        reply = await reply_to(app, call)
        if isinstance(reply, Status):
            await refuse(context, call, reply)
        if echo := call.echo:
            context.set_trailing_metadata(echo)
        return bytes(reply.SerializeToString())

    # To grpcio it is a stream of one request: it would wait for a single one before it calls us.
    return grpc.stream_unary_rpc_method_handler(answer)


def _stream(app: Application, entrance: Entrance, method: Method) -> Any:
    handle, need = CALLS[method.name]
    route = f"grpc/{method.name}"

    async def answer(bodies: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        stream = entrance.let_in(context, route, need)
        if stream.reply.done():
            await refuse(context, stream, await reply_to(app, stream))
        if echo := stream.echo:
            context.set_trailing_metadata(echo)

        def begin(body: bytes) -> GrpcCall:
            call = stream.another(app.loop.create_future(), body, app.clock())
            try:
                entrance.check(call, need)
            except YardError as error:
                app.refuse(call, error)
            else:
                _begin(app, handle, method, call)
            return call

        try:
            async with aclosing(_ahead(bodies, begin, entrance)) as calls:
                async for call in calls:
                    yield _part(await reply_to(app, call)).SerializeToString()
        except NotReady as error:
            app.refuse(stream, error)
            await refuse(context, stream, await reply_to(app, stream))

    return grpc.stream_stream_rpc_method_handler(answer)


async def refuse(context: Context, call: GrpcCall, status: Status) -> NoReturn:
    """End a call without an answer."""
    await context.abort(status.code, status.details, (*status.metadata, *call.echo))
    raise AssertionError("abort raises")


async def reply_to(app: Application, call: GrpcCall) -> Message | Status:
    """Wait for the answer. A client that is gone cancels the wait, and nobody else's answer."""
    try:
        reply = await call.reply
    except asyncio.CancelledError:
        app.observe(call, "DEADLINE_EXCEEDED" if call.is_late else "CANCELLED")
        raise
    app.observe(call, reply.code.name if isinstance(reply, Status) else "OK")
    return reply


def _begin(app: Application, handle: Handle, method: Method, call: GrpcCall) -> None:
    """Have a call answered, now or later, whose message is there; never raises."""
    try:
        handle(app, call, parse(method.request, call.body))
    except Exception as error:  # the edge of the process: every call is answered
        app.refuse(call, error)


def _part(reply: Message | Status) -> Message:
    if isinstance(reply, Status):
        return ModelStreamInferResponse(error_message=reply.details)
    return ModelStreamInferResponse(infer_response=reply)


async def _ahead(
    bodies: AsyncIterator[bytes], begin: Begin, entrance: Entrance
) -> AsyncGenerator[GrpcCall, None]:
    """A stream's calls in order, those behind begun before those in front are answered."""
    begun: asyncio.Queue[GrpcCall | None] = asyncio.Queue()
    free = asyncio.Semaphore(MOST_STREAMED)

    async def read() -> None:
        try:
            async for body in bodies:
                begun.put_nowait(begin(body))
                await free.acquire()
        finally:
            begun.put_nowait(None)

    reading = asyncio.get_running_loop().create_task(read())
    try:
        while (call := await _next(begun, entrance)) is not None:
            yield call
            free.release()
    finally:
        reading.cancel()


async def _next(begun: asyncio.Queue[GrpcCall | None], entrance: Entrance) -> GrpcCall | None:
    if begun.empty():
        try:
            return await entrance.rest(begun.get())
        except NotReady:
            if begun.empty():
                raise
    return begun.get_nowait()
