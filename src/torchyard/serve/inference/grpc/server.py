"""The way in over gRPC: one server in every worker, on the worker's loop and on one port for all.

The kernel shares connections out among the workers (``SO_REUSEPORT``).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, final

import grpc
from grpc_health.v1 import health, health_pb2

from torchyard.core.errors import BadUsage
from torchyard.serve.admission.crowd import SPARE
from torchyard.serve.app import Application
from torchyard.serve.guarding.tls import Tls, read_pems
from torchyard.serve.inference.grpc.beside import health_handlers, reflection_handlers
from torchyard.serve.inference.grpc.entrance import Entrance
from torchyard.serve.inference.grpc.handlers import handlers
from torchyard.serve.inference.grpc.messages import SERVICE
from torchyard.serve.settings import Settings

_PING_S = 60.0  # a client whose machine vanished is noticed after about this long
_MOST_PINGS_S = 10.0  # a client that asks more often whether we live is sent away
_STRIKES = 3
_AGE_S = 300.0  # a connection meets one worker: after that long its client is to open another
_SWEEP_S = 0.5
_LAST_WORDS_S = 0.05  # in which health's followers are told that it ends
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@final
class GrpcServer:
    """One worker's gRPC server. Make and use it on the worker's loop.

    Args:
        app: what answers.
        tls: the worker's TLS, None for none.
    """

    def __init__(self, app: Application, tls: Tls | None = None) -> None:
        settings = app.settings
        self._app = app
        self._tls = tls
        self._server = grpc.aio.server(
            options=options(settings),
            maximum_concurrent_rpcs=settings.grpc_max_calls + SPARE,  # these are still told why
        )
        self._entrance = Entrance(app)
        self._health = health.aio.HealthServicer()
        self._telling: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._server.add_generic_rpc_handlers(
            (
                handlers(app, self._entrance),
                health_handlers(app, self._entrance, self._health),
                reflection_handlers(app, self._entrance),
            )
        )

    async def open(self) -> None:
        """Begin to serve on the port that the supervisor keeps.

        Raises:
            BadUsage: the port cannot be had.
        """
        settings = self._app.settings
        address = address_to(settings.host, settings.grpc_port or 0)
        try:
            if self._tls is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, credentials(self._tls))
        except RuntimeError as error:
            raise BadUsage(
                where=f"gRPC at {address}",
                found=str(error),
                expected="a free port of this machine",
                remedy="Give another one: torchyard serve --grpc-port",
            ) from error
        await self._server.start()
        self._app.applied.append(self._follow)
        self._sweep()
        await self._tell()

    async def close(self) -> None:
        """Take no more calls; wait for those in flight as long as draining may take."""
        with suppress(ValueError):  # it was closed before
            self._app.applied.remove(self._follow)
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(_LAST_WORDS_S)
        self._entrance.stop()
        await self._server.stop(self._app.settings.drain_timeout_s)
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self) -> None:
        self._entrance.sweep()
        self._sweeping = self._app.loop.call_later(_SWEEP_S, self._sweep)

    def _follow(self) -> None:
        self._telling = self._app.loop.create_task(self._tell())

    async def _tell(self) -> None:
        """Tell health's followers what readiness is."""
        state = _SERVING if self._app.table.is_ready else _NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, state)


def options(settings: Settings) -> list[tuple[str, Any]]:
    """What gRPC's core is told: the limits that HTTP has, in its words.

    A client's library that has as many streams as it may holds further calls back and has no error.

    Source: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    """
    most_streams = min(settings.grpc_max_calls, settings.grpc_max_calls_per_client)
    limits = [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_head_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_head_bytes),
        ("grpc.max_concurrent_streams", most_streams),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", _ms(settings.head_timeout_s)),
        ("grpc.max_connection_idle_ms", _ms(settings.idle_timeout_s)),
        ("grpc.keepalive_time_ms", _ms(_PING_S)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _ms(_MOST_PINGS_S)),
        ("grpc.http2.max_ping_strikes", _STRIKES),
    ]
    if settings.workers > 1:  # the grace after it is without end: calls that are open end as usual
        limits.append(("grpc.max_connection_age_ms", _ms(_AGE_S)))
    return limits


def credentials(tls: Tls) -> Any:
    """TLS in gRPC's words; files that were renewed are shown from the next connection on."""
    shown = tls.context

    def read() -> Any:
        key, certificates, authorities = read_pems(tls.files)
        return grpc.ssl_server_certificate_configuration([(key, certificates)], authorities)

    def renewed() -> Any:  # called by gRPC's threads at every handshake; None changes nothing
        nonlocal shown
        if tls.context is shown:
            return None
        shown = tls.context
        return read()

    return grpc.dynamic_ssl_server_credentials(
        read(), renewed, require_client_authentication=tls.files.client_ca is not None
    )


def address_to(host: str, port: int) -> str:
    """A host and a port as one text.

    Example:
        >>> address_to("127.0.0.1", 8001), address_to("::1", 8001)
        ('127.0.0.1:8001', '[::1]:8001')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ms(seconds: float) -> int:
    return int(1000 * seconds)
