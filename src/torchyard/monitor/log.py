"""The prediction and label logs: JSON lines to typed frames, batch by batch.

A line that does not fit is counted and passed over, never repaired and never a crash; what lines
look like is said in ``records/live.py``. Nothing here is kept beyond a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import polars as pl
from msgspec import Meta

from torchyard.records.schema import Field, FieldKind, Schema, Task, TaskKind

# Column names that no field has: a schema's names are identifiers.
ID = "@id"
AT = "@at"
RELEASE = "@release"
SCORES = "@scores"
ABSTAINED = "@abstained"
LABEL = "@label"

BATCH_ROWS = 16_384
LONGEST_LINE_BYTES = 1 << 20
_UNITY = 1e-3  # by less than this the scores of a row may miss 1
_END_OF_TIME_S = 253_402_300_799  # 9999-12-31 23:59:59, the last second a datetime can hold

_Time = Annotated[float, Meta(ge=0, le=_END_OF_TIME_S)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_VALUES: dict[FieldKind, Any] = {
    "number": float,
    "integer": float,
    "boolean": bool,
    "category": str,
    "text": str,
    "id": str,
    "timestamp": Annotated[datetime, Meta(tz=False)],
}
_COLUMNS: dict[FieldKind, pl.DataType] = {
    "number": pl.Float64(),
    "integer": pl.Float64(),
    "boolean": pl.Boolean(),
    "category": pl.String(),
    "text": pl.String(),
    "id": pl.String(),
    "timestamp": pl.Datetime("us"),
}
_UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that were read, ascending by ``@at``, and the lines that were passed over meanwhile.

    Attributes:
        frame: ``@id``, ``@at`` (naive UTC), ``@release``, ``@scores`` (the answer, in the order of
            the task's outputs), ``@abstained`` (why the row was not answered, null where it was),
            and one column per logged field of the schema, null where missing.
        unreadable: lines of another shape.
        truncated: last lines without a newline, writes that were cut off or are under way.
    """

    frame: pl.DataFrame
    unreadable: int = 0
    truncated: int = 0


def segments(folder: Path) -> dict[str, list[Path]]:
    """A log's segments by the worker that wrote them, each in the order of writing."""
    found: dict[str, list[tuple[list[int], Path]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        worker, *numbers = path.stem.split("-")
        order = [int(number) for number in numbers if number.isdecimal()]
        found.setdefault(worker, []).append((order, path))
    return {worker: [path for _, path in sorted(paths)] for worker, paths in found.items()}


def read_predictions(
    folder: Path, schema: Schema, task: Task, *, batch_rows: int = BATCH_ROWS
) -> Iterator[Batch]:
    """Answered rows of one model, all workers together in the order of answering.

    At most one batch per worker is in memory, however long the log is.

    Args:
        folder: ``predictions/<model>``.
        schema: the fields to read, of those that are logged; others in the log are ignored,
            absent ones are null.
        task: says what an answer is.
        batch_rows: lines decoded at a time, per worker.
    """
    reader = _PredictionLines(schema, task)
    return _in_order([_batches(paths, reader, batch_rows) for paths in segments(folder).values()])


def read_labels(folder: Path, task: Task) -> tuple[pl.DataFrame, int]:
    """The label log of one model; of several labels for one prediction the last given counts.

    Returns:
        A frame of ``@id`` and ``@label``, each id once, and the number of lines of another shape or
        with a label that the task does not know. A label is boolean for a binary task, an index
        into the classes (int64) for a multiclass one, for a multilabel one whether it has each
        class (boolean, ``[classes]``), else a number (float64).
    """
    reader = _LabelLines(task)
    read = [
        batch
        for paths in segments(folder).values()
        for batch in _batches(paths, reader, BATCH_ROWS)
    ]
    frame = pl.concat([reader.frame([]), *(batch.frame for batch in read)])
    last = frame.sort(AT, maintain_order=True).unique(ID, keep="last", maintain_order=True)
    return last.select(ID, LABEL), sum(batch.unreadable for batch in read)


class _PredictionLines:
    """Decodes lines of a prediction log and turns them into a frame."""

    def __init__(self, schema: Schema, task: Task) -> None:
        self._width = len(task.outputs)
        self._holds = _CHECKS.get(task.kind, _adds_up)
        self._fields = tuple(field for field in schema.fields if field.is_logged)
        # Field names need not be identifiers, attributes must be: they are f0, f1, ... inside.
        inner = {f"f{number}": field for number, field in enumerate(self._fields)}
        members: list[Any] = [(name, _VALUES[f.kind] | None, None) for name, f in inner.items()]
        names = {name: field.name for name, field in inner.items()}
        row = msgspec.defstruct("Row", members, rename=names, gc=False)
        score: Any = float if task.is_regression else _Share
        line = msgspec.defstruct(
            "Line",
            [
                ("id", str),
                ("at", _Time),
                ("release", str),
                ("scores", list[score]),
                ("row", row),
                ("abstained", str | None, None),
            ],
            gc=False,
        )
        self._decode = msgspec.json.Decoder(line).decode

    def decode(self, line: bytes) -> Any:
        """One line.

        Raises:
            msgspec.ValidationError: it has another shape, or its scores are not those of a row.
        """
        decoded: Any = self._decode(line)
        if len(decoded.scores) != self._width or not self._holds(decoded.scores):
            raise msgspec.ValidationError("scores of another task")
        return decoded

    def frame(self, lines: list[Any]) -> pl.DataFrame:
        """The frame of some decoded lines, ascending by time."""
        rows = [line.row for line in lines]
        scores = np.array([line.scores for line in lines], dtype=np.float64)
        columns = [
            pl.Series(ID, [line.id for line in lines], dtype=pl.String),
            _moments([line.at for line in lines]),
            pl.Series(RELEASE, [line.release for line in lines], dtype=pl.String),
            pl.Series(
                SCORES,
                scores.reshape(-1, self._width),
                dtype=pl.Array(pl.Float64, self._width),
            ),
            pl.Series(ABSTAINED, [line.abstained for line in lines], dtype=pl.String),
        ]
        columns += [_column(field, rows, f"f{n}") for n, field in enumerate(self._fields)]
        return pl.DataFrame(columns).sort(AT, maintain_order=True)


class _LabelLines:
    """Decodes lines of a label log and turns them into a frame."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._place = {name: place for place, name in enumerate(task.classes)}
        kind = _label_kind(task)
        line = msgspec.defstruct("Label", [("id", str), ("label", kind), ("at", _Time)], gc=False)
        self.decode = msgspec.json.Decoder(line).decode

    def frame(self, lines: list[Any]) -> pl.DataFrame:
        """The frame of some decoded lines, ascending by time."""
        columns = [
            pl.Series(ID, [line.id for line in lines], dtype=pl.String),
            _moments([line.at for line in lines]),
            self._labels([line.label for line in lines]),
        ]
        return pl.DataFrame(columns).sort(AT, maintain_order=True)

    def _labels(self, labels: list[Any]) -> pl.Series:
        task, place = self._task, self._place
        if task.is_binary:
            return pl.Series(LABEL, labels, dtype=pl.Boolean)
        if task.is_regression:
            return pl.Series(LABEL, labels, dtype=pl.Float64)
        if not task.is_multilabel:
            return pl.Series(LABEL, [place[label] for label in labels], dtype=pl.Int64)
        has = np.zeros((len(labels), len(place)), dtype=np.bool_)
        for row, names in enumerate(labels):
            has[row, [place[name] for name in names]] = True
        return pl.Series(LABEL, has, dtype=pl.Array(pl.Boolean, len(place)))


def _label_kind(task: Task) -> Any:
    """The type of a label as it is logged."""
    if task.is_binary:
        return bool
    if task.is_regression:
        return float
    name: Any = Literal[task.classes]
    return list[name] if task.is_multilabel else name


def _adds_up(scores: list[float]) -> bool:
    return abs(sum(scores) - 1) <= _UNITY


def _is_enclosed(scores: list[float]) -> bool:
    value, low, high = scores
    return low <= value <= high


_CHECKS: dict[TaskKind, Callable[[list[float]], bool]] = {
    "multilabel_classification": lambda scores: True,
    "regression": _is_enclosed,
}


def _column(field: Field, rows: list[Any], attribute: str) -> pl.Series:
    return pl.Series(field.name, list(map(attrgetter(attribute), rows)), dtype=_COLUMNS[field.kind])


def _moments(seconds: list[float]) -> pl.Series:
    micros = (pl.Series(AT, seconds, dtype=pl.Float64) * 1e6).round()
    return micros.cast(pl.Int64).cast(pl.Datetime("us"))


def _batches(
    paths: list[Path], reader: _PredictionLines | _LabelLines, batch_rows: int
) -> Iterator[Batch]:
    """One writer's segments, ``batch_rows`` lines at a time."""
    for path in paths:
        lines: list[Any] = []
        unreadable = truncated = seen = 0
        for line in _lines(path):
            if not line.endswith(b"\n"):
                truncated = 1
                continue
            try:
                lines.append(reader.decode(line))
            except _UNFIT:
                unreadable += 1
            seen += 1
            if seen % batch_rows == 0:
                yield Batch(frame=reader.frame(lines), unreadable=unreadable)
                lines, unreadable = [], 0
        yield Batch(frame=reader.frame(lines), unreadable=unreadable, truncated=truncated)


def _lines(path: Path) -> Iterator[bytes]:
    """A file's lines; of one that is too long to be a row only the last bytes, which do not fit."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE_BYTES):
            while len(line) >= LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                line = b"..." + file.readline(LONGEST_LINE_BYTES)
            yield line


def _in_order(streams: list[Iterator[Batch]]) -> Iterator[Batch]:
    """Merge streams that each ascend by time (a little disorder inside one is kept as it is).

    Up to the earliest of the heads' last times nothing can be missing; what lies before it is
    given out, which empties at least one head.
    """
    heads = {number: batch for number, s in enumerate(streams) if (batch := next(s, None))}
    while heads:
        if used := [number for number, head in heads.items() if not head.frame.height]:
            for number in used:
                yield heads.pop(number)
                if batch := next(streams[number], None):
                    heads[number] = batch
            continue
        horizon = min(head.frame[AT][-1] for head in heads.values())
        given = [head.frame.filter(pl.col(AT) <= horizon) for head in heads.values()]
        yield Batch(frame=pl.concat(given).sort(AT, maintain_order=True))
        heads = {
            number: replace(head, frame=head.frame.filter(pl.col(AT) > horizon))
            for number, head in heads.items()
        }
