"""The label log: the truth about earlier answers, on disk before it is acknowledged."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, final

import msgspec
from msgspec import Meta

from torchyard.core.errors import BadData, NotReady, nearest
from torchyard.records.schema import Task
from torchyard.serve.decoding.misfit import JsonFault, misfit, not_json, place_of
from torchyard.serve.decoding.wording import kind_of
from torchyard.serve.logs.segments import Segments

_SHOWN_CLASSES = 8

Done = Callable[[Exception | None], None]


class Label(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What turned out for the row that was answered under ``id``.

    As it is logged: of a binary task true, the second class, or false; of a multiclass one the name
    of a class; of a multilabel one a list of names, in the task's order; or a number.
    """

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    label: Any


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    labels: Annotated[list[Label], Meta(min_length=1, max_length=10_000)]


_DECODER = msgspec.json.Decoder(_Body)


class _Waiting(NamedTuple):
    model: str
    lines: bytes
    done: Done


def decode_labels(body: bytes, task: Task) -> list[Label]:
    """Read ``{"labels": [{"id": ..., "label": ...}, ...]}``, 1 to 10,000 of them.

    A label is the name of a class, or the whole number that it names; of a binary task also true
    (the second class) or false. Of a multilabel task it is a list of such names, which may be empty
    and in any order; of a task that predicts a number, a number in its unit.

    Raises:
        BadUsage: the body is not JSON.
        BadData: it does not fit; ``where`` is a path such as ``$.labels[2].label``.

    Example:
        >>> late = Task(kind="binary_classification", label="late", classes=("on time", "late"))
        >>> decode_labels(b'{"labels": [{"id": "a", "label": "late"}]}', late)
        [Label(id='a', label=True)]
    """
    try:
        labels = _DECODER.decode(body).labels
    except JsonFault as error:
        if not isinstance(error, msgspec.ValidationError):
            raise not_json(error, body) from error
        what, path = place_of(error)
        raise misfit(path, what, known=("labels", "id", "label")) from error
    for place, label in enumerate(labels):
        label.label = _logged(label.label, task, where=f"$.labels[{place}].label")
    return labels


def _logged(label: Any, task: Task, *, where: str) -> bool | str | list[str] | float:
    """A label as it is logged: see ``Label``."""
    if task.is_regression:
        return _number(label, task, where=where)
    if task.is_multilabel:
        return _names(label, task, where=where)
    if isinstance(label, bool) and task.is_binary:
        return label
    name = _name(label, task, where=where)
    return name == task.classes[1] if task.is_binary else name


def _name(label: Any, task: Task, *, where: str) -> str:
    name = str(label) if type(label) is int else label
    if isinstance(name, str) and name in task.classes:
        return name
    also = ", true or false" if task.is_binary else ""
    raise BadData(
        where=where,
        found=kind_of(label),
        expected=f"the name of a class{also}",
        remedy=nearest(name, task.classes)
        if isinstance(name, str)
        else f"One of: {', '.join(task.classes[:_SHOWN_CLASSES])}.",
    )


def _names(label: Any, task: Task, *, where: str) -> list[str]:
    if not isinstance(label, list):
        example = msgspec.json.encode([label if label in task.classes else task.classes[0]])
        raise BadData(
            where=where,
            found=kind_of(label),
            expected="a list of the names of classes, empty for a row that has none of them",
            remedy=f"For example: {example.decode()}",
        )
    names = {_name(one, task, where=f"{where}[{place}]") for place, one in enumerate(label)}
    return [name for name in task.classes if name in names]


def _number(label: Any, task: Task, *, where: str) -> float:
    if type(label) in (int, float) and abs(label) <= sys.float_info.max:
        return float(label)
    unit = f" of {task.unit}" if task.unit else ""
    raise BadData(
        where=where,
        found=kind_of(label),
        expected=f"a finite number{unit}",
        remedy=f"Send '{task.label}' as it turned out: a number, not a text."
        if isinstance(label, str)
        else "Leave the row out until its number is known.",
    )


@final
class LabelLog:
    """Writes labels to ``labels/<model>/``. What queued during one fsync shares the next.

    Args:
        open_segments: makes the segments of a model, by its name.
        clock: seconds since the epoch.
    """

    def __init__(
        self, open_segments: Callable[[str], Segments], *, clock: Callable[[], float]
    ) -> None:
        self._open_segments = open_segments
        self._clock = clock
        self._segments: dict[str, Segments] = {}
        self._queue: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="label-log", daemon=True)

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def append(self, model: str, labels: list[Label], done: Done) -> None:
        """Queue labels; ``done`` is called from the writer's thread when they are on disk.

        It gets None, or ``NotReady`` when the disk did not take them.
        """
        at = self._clock()
        lines = [{"id": label.id, "label": label.label, "at": at} for label in labels]
        content = msgspec.json.Encoder().encode_lines(lines)
        self._queue.append(_Waiting(model, content, done))
        self._wake.set()

    def close(self) -> None:
        """Write what is queued, close the segments, end the thread."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        for segments in self._segments.values():
            with suppress(OSError):  # what was acknowledged is on disk already
                segments.close()

    def flush(self) -> None:
        """Write out the queue, one fsync per model."""
        batches: dict[str, list[_Waiting]] = {}
        while self._queue:
            waiting = self._queue.popleft()
            batches.setdefault(waiting.model, []).append(waiting)
        for model, batch in batches.items():
            problem = self._write(model, b"".join(waiting.lines for waiting in batch))
            for waiting in batch:
                waiting.done(problem)

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait()
            self._wake.clear()
            self.flush()

    def _write(self, model: str, lines: bytes) -> Exception | None:
        segments = self._segments.get(model)
        if segments is None:
            segments = self._segments[model] = self._open_segments(model)
        try:
            segments.append(lines, durably=True)
        except OSError as error:
            return NotReady(
                where=f"label log of {model}",
                found=error.strerror or str(error),
                expected="room on the disk",
                remedy="Nothing was kept of these labels: make room and send them again.",
            )
        return None
