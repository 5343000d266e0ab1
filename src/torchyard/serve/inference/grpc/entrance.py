"""Who is let in over gRPC, how many calls each may have open, and how long each may leave one open.

grpcio counts the calls of all clients together, so that one of them could have all there are; and
it waits for a call's message without end. It also waits until an answer was taken, and cannot be
told not to: as long as that lasts, the call is one of its client's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, final

import grpc

from torchyard.core.errors import BadUsage, NotReady
from torchyard.serve.admission.crowd import Crowd
from torchyard.serve.admission.proxies import Proxies
from torchyard.serve.app import Application
from torchyard.serve.guarding.keyring import credentials_in
from torchyard.serve.inference.grpc.call import GrpcCall, client_of
from torchyard.serve.inference.grpc.service import Need

Found = TypeVar("Found")


@final
class Entrance:
    """Lets calls in and counts those that are open. Use from the worker's loop only.

    Args:
        app: what answers.
    """

    def __init__(self, app: Application) -> None:
        settings = app.settings
        self._app = app
        self._patience_s = settings.body_timeout_s
        self._proxies = Proxies(settings.trusted_proxies)
        self._crowd = Crowd(
            most=settings.grpc_max_calls,
            most_per_client=settings.grpc_max_calls_per_client,
            of="open calls",
            remedy="End calls and streams that rest, or start more workers.",
        )
        self._unheard: dict[asyncio.Task[Any], float] = {}  # until when they are waited for
        self._resting: set[asyncio.Task[Any]] = set()
        self._is_stopping = False

    def let_in(self, context: Any, route: str, need: Need) -> GrpcCall:
        """A call that begins. It is refused at once, unread, if it is not let in.

        Args:
            context: grpcio's ``grpc.aio.ServicerContext``.
            route: ``grpc/`` and the name of the method.
            need: the scope of the key that opens it.
        """
        app = self._app
        call = GrpcCall(
            context,
            app.loop.create_future(),
            route=route,
            client=client_of(context),
            arrived=app.clock(),
        )
        try:
            if self._proxies.trusts(call.client):
                call.client = self._proxies.client(call.headers, call.client)
            self.check(call, need)
            self._count(call, context)
        except Exception as error:  # the edge of the process: every call is answered
            app.refuse(call, error)
        return call

    def check(self, call: GrpcCall, need: Need) -> None:
        """Ask for a call's key, where keys are asked for; its client is the key's.

        Raises:
            Unauthenticated: there is none, or none of the server's any more.
            Forbidden: it is for something else.
        """
        keyring = self._app.keyring
        if keyring.is_needed and need != "nothing":
            call.client = keyring.check(credentials_in(call.headers), need)

    async def hear(self, call: GrpcCall, context: Any) -> bool:
        """Wait for the one message of a call; whether it came. If not, the call is refused."""
        if call.reply.done():
            return False
        app, task = self._app, asyncio.current_task()
        assert task is not None
        self._unheard[task] = app.clock() + self._patience_s
        try:
            body = await context.read()
        except asyncio.CancelledError:
            if task in self._unheard:
                raise  # the client is gone
            task.uncancel()
            app.refuse(call, _half(f"no whole message within {self._patience_s:g} s"))
            return False
        finally:
            self._unheard.pop(task, None)
        if body is grpc.aio.EOF:
            app.refuse(call, _half("no message"))
            return False
        call.hear(body, app.clock())
        return True

    async def rest(self, waiting: Coroutine[Any, Any, Found]) -> Found:
        """Wait with a call that owes its client nothing, unless the worker stops.

        Raises:
            NotReady: it stops.
        """
        if self._is_stopping:
            waiting.close()
            raise _stopping(self._app.worker)
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            return await waiting
        except asyncio.CancelledError:
            if task in self._resting:
                raise  # the client is gone
            task.uncancel()
            raise _stopping(self._app.worker) from None
        finally:
            self._resting.discard(task)

    def stop(self) -> None:
        """End the calls that rest: nobody is to wait for them when the worker stops."""
        self._is_stopping = True
        while self._resting:
            self._resting.pop().cancel()

    def sweep(self) -> None:
        """Give up the calls whose messages take too long; called about once a second."""
        now = self._app.clock()
        for task in [task for task, until in self._unheard.items() if until < now]:
            del self._unheard[task]
            task.cancel()

    def _count(self, call: GrpcCall, context: Any) -> None:
        """Count a call until grpcio is done with it, which is after its answer was taken."""
        client = call.client
        refusal = self._crowd.enter(client, is_proxy=self._proxies.trusts(client))
        if refusal is not None:
            self._crowd.leave(client)
            raise refusal
        context.add_done_callback(lambda _: self._crowd.leave(client))


def _stopping(worker: int) -> NotReady:
    return NotReady(
        where=f"worker {worker}",
        found="its end",
        expected="a worker that goes on",
        remedy="Open the stream again.",
    )


def _half(found: str) -> BadUsage:
    return BadUsage(
        where="gRPC call",
        found=found,
        expected="a whole message",
        remedy="Send it together with the call.",
    )
