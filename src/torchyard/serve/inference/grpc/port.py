"""The port that all workers' gRPC servers share, kept by the supervisor while it runs.

A socket that is bound and never listens gets no connection, but the port is its own: a worker that
restarts finds it again, and port 0 is settled once.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

from torchyard.core.errors import BadUsage
from torchyard.serve.settings import Settings

NEEDED = ("grpc", "grpc_health", "grpc_reflection", "google.protobuf")


@contextmanager
def kept(settings: Settings) -> Iterator[Settings]:
    """The settings with a port for gRPC that is this server's, where they ask for one.

    Raises:
        BadUsage: the port is taken, or what speaks gRPC is not installed.
    """
    if settings.grpc_port is None:
        yield settings
        return
    _check_installed()
    with _bound(settings.host, settings.grpc_port) as bound:
        yield replace(settings, grpc_port=bound.getsockname()[1])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Sharing is for workers: whoever else listens there, sharing or not, has it already.
        with socket.socket(family) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
            port = alone.getsockname()[1]
        shared = socket.socket(family)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind((host, port))
    except OSError as error:
        raise BadUsage(
            where=f"gRPC at {host}:{port}",
            found=error.strerror or str(error),
            expected="a free port of this machine",
            remedy="Give another one: torchyard serve --grpc-port 8001",
        ) from error
    return shared


def _check_installed() -> None:
    missing = [name for name in NEEDED if not _is_there(name)]
    if missing:
        raise BadUsage(
            where="serve setting grpc_port",
            found=f"no package {missing[0]} on this machine",
            expected="what speaks gRPC",
            remedy='Install it: pip install "torchyard[grpc]"',
        )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package that it is inside of
        return False
