"""Sends bad requests to a server, with a good client beside them, and keeps count."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.fuzz.bad_requests import Bad, bad_requests
from tests.serve.clients import RawClient, post, predict
from tests.serve.running import PATIENCE_S, Server
from tests.support.releases import answer

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
CLOSED = "closed without an answer"
HONEST = 503
UNANSWERED = "not answered in time"
GRPC_FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", UNANSWERED)


@dataclass
class Tally:
    """What became of the requests: answers by status or code, and the requests at fault."""

    statuses: Counter[int | str] = field(default_factory=Counter)
    faults: list[bytes] = field(default_factory=list)
    good: int = 0
    wrong: list[str] = field(default_factory=list)

    def take(self, status: int | str, request: bytes) -> None:
        self.statuses[status] += 1
        if isinstance(status, int):
            is_fault = status >= 500 and status not in (501, 505, HONEST)
        else:
            is_fault = status in GRPC_FAULTS
        if is_fault:
            self.faults.append(request[:2000])


def drive(server: Server, *, count: int, seed: int, connections: int = 4) -> Tally:
    """Send ``count`` bad requests over several connections at once, a good client beside them."""
    tallies = [Tally() for _ in range(connections)]
    threads = [
        threading.Thread(
            target=_send, args=(server, islice(bad_requests(seed + n), count // connections), tally)
        )
        for n, tally in enumerate(tallies)
    ]
    total = Tally()
    with _good_client(server, total):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for tally in tallies:
        total.statuses += tally.statuses
        total.faults += tally.faults
        total.wrong += tally.wrong
    return total


def worker_pids(server: Server) -> list[int]:
    """The workers' processes."""
    return [worker.pid for worker in server.place.workers()]


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def exchange(server: Server, content: bytes) -> list[int]:
    """Send bytes on a connection of their own, end them, and read statuses until it closes."""
    with socket.create_connection(server.address, timeout=PATIENCE_S) as connection:
        with suppress(ConnectionError, OSError):  # it may close before it has read everything
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        read = bytearray()
        try:
            while piece := connection.recv(65536):
                read += piece
        except ConnectionResetError:
            pass
    return [int(status) for status in _STATUS.findall(bytes(read))]


def _send(server: Server, requests: Iterator[Bad], tally: Tally) -> None:
    try:
        client = RawClient(server.address)
        for request in requests:
            if request.ends:
                for status in exchange(server, request.content) or (CLOSED,):
                    tally.take(status, request.content)
                continue
            said = client.send(request.content).read()
            tally.take(said.status, request.content)
            if said.headers.get("connection") == "close":
                client.__exit__(None)
                client = RawClient(server.address)
        client.__exit__(None)
    except (OSError, AssertionError) as error:  # a thread has nobody else to tell
        tally.wrong.append(f"{error!r}")


@contextmanager
def _good_client(server: Server, tally: Tally) -> Iterator[None]:
    """A client that asks one right thing after the other and looks at every answer."""

    def ask(is_over: threading.Event) -> None:
        try:
            with RawClient(server.address) as client:
                while not is_over.wait(0.002):
                    distance = float(tally.good % 5000)
                    said = client.send(post(predict(distance))).read()
                    late = said.json()["predictions"][0]["probabilities"]["late"]
                    assert abs(late - answer(distance)[1]) < 1e-5, (distance, late)
                    tally.good += 1
        except (OSError, AssertionError, LookupError, ValueError) as error:
            tally.wrong.append(f"the good client: {error!r}")

    with beside(ask):
        yield


@contextmanager
def beside(ask: Callable[[threading.Event], None]) -> Iterator[None]:
    """Somebody who asks in a thread of its own, until told that it is over."""
    is_over = threading.Event()
    thread = threading.Thread(target=ask, args=(is_over,))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
