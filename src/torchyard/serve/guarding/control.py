"""The control door: a port of its own, on this machine alone unless told otherwise.

What is for operators (metrics, the model repository, what goes on inside) is answered there, so
that a proxy or a firewall which lets clients through to the main port lets them no further.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from torchyard.core.errors import BadUsage
from torchyard.serve.settings import Settings

AFTER = 2  # gRPC's customary port lies between
_BACKLOG = 128


@contextmanager
def control_door(settings: Settings, port: int) -> Iterator[socket.socket | None]:
    """A socket that listens for operators, None where they use the main port.

    Args:
        settings: of the server.
        port: the main one. Unless the settings name a port, this is the second one after it, or a
            free one where that is taken or the main port was a free one itself.

    Raises:
        BadUsage: the port that the settings name is taken.
    """
    if not settings.control_apart:
        yield None
        return
    chosen = settings.control_port
    if chosen is not None:
        ports = [chosen]
    else:
        ports = [port + AFTER, 0] if settings.port and port + AFTER < 1 << 16 else [0]
    with _listen(settings.control_host, ports) as door:
        yield door


def _listen(host: str, ports: list[int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, ports[0]), family=family, backlog=_BACKLOG)
    except OSError as error:
        if ports[1:]:
            return _listen(host, ports[1:])
        raise BadUsage(
            where=f"serve settings control_host and control_port, {host}:{ports[0]}",
            found=error.strerror or str(error),
            expected="a free port of this machine",
            remedy="Choose another control_port, or leave it out to have one chosen.",
        ) from error
