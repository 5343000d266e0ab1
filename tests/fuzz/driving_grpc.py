"""Makes bad calls over gRPC to a server, with a good client beside them, and keeps count."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import grpc

from tests.fuzz.bad_messages import Bad, BadCall, BadWire, bad_calls
from tests.fuzz.driving import UNANSWERED, Tally, beside
from tests.serve.grpc_clients import PATIENCE_S, channel_to, late, raw_request, stub
from tests.serve.running import Server
from tests.support.releases import answer

SENT, SENT_AND_RESET = "sent as bytes", "sent as bytes, then reset"
_RESETTING = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets (socket(7))


def port_of(server: Server) -> int:
    """The server's port for gRPC."""
    assert server.state.grpc_port is not None
    return server.state.grpc_port


def drive_grpc(server: Server, *, count: int, seed: int, connections: int = 4) -> Tally:
    """Make ``count`` bad calls over several connections at once, a good client beside them."""
    tallies = [Tally() for _ in range(connections)]
    threads = [
        threading.Thread(
            target=_make,
            args=(port_of(server), islice(bad_calls(seed + n), count // connections), tally),
        )
        for n, tally in enumerate(tallies)
    ]
    total = Tally()
    with _good_client(port_of(server), total):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for tally in tallies:
        total.statuses += tally.statuses
        total.faults += tally.faults
        total.wrong += tally.wrong
    return total


def outcome(channel: Any, call: BadCall) -> str:
    """Make one call; the name of the code with which it ends, if it ends in time."""
    is_over = threading.Event()

    def messages() -> Iterator[bytes]:
        yield from call.messages
        if call.end == "left":
            is_over.wait(PATIENCE_S)

    more = {"metadata": call.metadata, "timeout": call.timeout_s}
    try:
        if call.streams:
            parts = channel.stream_stream(call.method)(messages(), **more)
        else:
            parts = channel.unary_stream(call.method)(call.messages[0], **more)
        if call.end == "cut":
            parts.cancel()
        for _ in parts:
            continue
    except grpc.RpcError as error:
        is_late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        if is_late and call.timeout_s == PATIENCE_S:
            return UNANSWERED
        return str(error.code().name)
    finally:
        is_over.set()
    return "OK"


def send(port: int, wire: BadWire) -> str:
    """Send bytes on a connection of their own, and end it."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection,
        suppress(OSError),  # it may be closed before everything was sent
    ):
        connection.sendall(wire.content)
        if wire.resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
            return SENT_AND_RESET
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            continue
    return SENT


def _make(port: int, calls: Iterator[Bad], tally: Tally) -> None:
    try:
        with channel_to(port) as channel:
            for bad in calls:
                if isinstance(bad, BadWire):
                    tally.take(send(port, bad), bad.content)
                else:
                    tally.take(outcome(channel, bad), repr(bad).encode())
    except (OSError, ValueError, AssertionError) as error:  # a thread has nobody else to tell
        tally.wrong.append(f"{error!r}")


@contextmanager
def _good_client(port: int, tally: Tally) -> Iterator[None]:
    """A client that asks one right thing after the other and looks at every answer."""

    def ask(is_over: threading.Event) -> None:
        try:
            with channel_to(port) as channel:
                infer = stub(channel, "ModelInfer")
                while not is_over.wait(0.002):
                    distance = float(tally.good % 5000)
                    (found,) = late(infer(raw_request([distance]), timeout=PATIENCE_S))
                    assert abs(found - answer(distance)[1]) < 1e-5, (distance, found)
                    tally.good += 1
        except (grpc.RpcError, AssertionError, ValueError) as error:
            tally.wrong.append(f"the good client: {error!r}")

    with beside(ask):
        yield
