"""Asking a server for rows whose answers are known: that every client gets its own row's answer."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.serving import bodies

TOLERANCE = 1e-4  # of a probability; batches and instruction sets move it by some 1e-6
_CONNECTIONS = 16
_ROWS = 50
_PAUSE_S = 0.25
_TIMEOUT_S = 30.0
_REFUSED = "refused with status "


@dataclass
class Told:
    """How many answers were right, refusals or wrong, and what the first faults were."""

    right: int = 0
    refused: int = 0
    wrong: int = 0
    first_faults: list[str] = field(default_factory=list)

    def note(self, fault: str | None) -> None:
        """Count what ``Asker.fault`` told."""
        self.right += fault is None
        if fault is not None:
            is_refusal = _REFUSED in fault
            self.refused += is_refusal
            self.wrong += not is_refusal
            self.first_faults = [*self.first_faults, fault[:300]][:3]


@dataclass(frozen=True)
class Questions:
    """Whole requests and their right answers, in one order."""

    style: str
    requests: Sequence[bytes]
    answers: Sequence[Sequence[float]]


class Asker:
    """One connection to a server on this machine."""

    def __init__(self, port: int, questions: Questions) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self._questions = questions

    def fault(self, place: int) -> str | None:
        """What is wrong about the answer to a question; None when it is right."""
        right = self._questions.answers[place]
        try:
            status, found = self._ask(place)
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            self._connection.close()
            return f"row {place}: {type(error).__name__}: {error}"
        if status != 200:
            return f"row {place}: {_REFUSED}{status}"
        if len(found) != len(right) or any(
            not abs(one - other) <= TOLERANCE for one, other in zip(found, right, strict=True)
        ):
            return f"row {place}: answered {found}, right is {list(right)}"
        return None

    def status(self, place: int = 0) -> int:
        """The status of the answer to a question; 0 when none comes."""
        try:
            return self._ask(place)[0]
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
            self._connection.close()
            return 0

    def _ask(self, place: int) -> tuple[int, list[float]]:
        head, _, body = self._questions.requests[place].partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = dict(item.split(": ", 1) for item in fields)
        self._connection.request("POST", line.split(" ")[1], body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            return response.status, []
        names = {name.lower(): value for name, value in response.getheaders()}
        return 200, bodies.answer(self._questions.style, names, content)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def check(port: int, questions: Questions) -> Told:
    """Ask for fifty different rows over sixteen connections at once."""
    places = distinct(questions.answers, _ROWS)
    told, guard = Told(), threading.Lock()

    def ask_some(first: int) -> None:
        asker = Asker(port, questions)
        for place in places[first::_CONNECTIONS]:
            fault = asker.fault(place)
            with guard:
                told.note(fault)
        asker.close()

    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        list(pool.map(ask_some, range(_CONNECTIONS)))
    return told


def distinct(answers: Sequence[Sequence[float]], most: int) -> list[int]:
    """Places of rows whose answers differ clearly from each other's, in the order they stand."""
    chosen: list[int] = []
    for place, one in enumerate(answers):
        if len(chosen) < most and all(
            max(abs(a - b) for a, b in zip(one, answers[other], strict=True)) > 5 * TOLERANCE
            for other in chosen
        ):
            chosen.append(place)
    return chosen


class Sampler:
    """Asks now and then, over a connection of its own, while the server is under load."""

    def __init__(self, port: int, questions: Questions) -> None:
        self.told = Told()
        self._asker = Asker(port, questions)
        self._rows = len(questions.answers)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(_TIMEOUT_S)
        self._asker.close()

    def _go(self) -> None:
        place = 0
        while not self._stopped.wait(_PAUSE_S):
            self.told.note(self._asker.fault(place % self._rows))
            place += 7
