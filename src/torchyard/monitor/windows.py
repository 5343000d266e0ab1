"""Windows: batches of rows folded into one bounded summary per stretch of time or of rows.

What a window keeps does not grow with its rows, only with its labels: profiles in the reference's
bins, counts, and the answer beside each label that arrived.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.core.errors import BadUsage, nearest
from torchyard.data.profile import Profiler, answers_frame, answers_schema
from torchyard.evaluate.counting.sample import Truth, answers
from torchyard.monitor.log import ABSTAINED, AT, ID, LABEL, RELEASE, SCORES, Batch
from torchyard.monitor.reference import Reference
from torchyard.records.dataset import Profile
from torchyard.records.schema import Schema, Task

MOST_WINDOWS = 10_000
MOST_UNSEEN_VALUES = 1_000
# A Monday, so that windows of whole weeks start on Mondays and days at midnight.
ORIGIN = datetime(1970, 1, 5)

_EVERY = re.compile(r"(?P<number>[1-9]\d{0,6})(?P<unit>[wdhms]?)")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How traffic is cut: a length of time on one clock, or a number of rows.

    Attributes:
        every: a length of time, or a number of rows in the order of answering.
        clock: the column that tells the time: ``@at`` or a timestamp field.
    """

    every: timedelta | int
    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One window's rows, summed up.

    Attributes:
        first: the earliest time on the window's clock; ``last`` the latest.
        rows: how many.
        releases: release to the rows that it answered.
        inputs: distributions of the fields, in the reference's bins.
        answers: distribution of the answers, in the reference's bins.
        answered: rows answered with each class, in the task's order; empty of a regression.
        abstained: rows that were not answered; they are counted everywhere else, too, with what
            the answer would have been.
        unseen: category field to values that the reference does not list, with their rows.
        outputs: answers to the labelled rows, in pieces ``[rows, outputs]``; ``truths`` are their
            labels, see ``evaluate.Sample``.
    """

    first: datetime
    last: datetime
    rows: int
    releases: Mapping[str, int]
    inputs: Profile
    answers: Profile
    answered: tuple[int, ...]
    abstained: int
    unseen: Mapping[str, Mapping[str, int]]
    outputs: tuple[npt.NDArray[np.float64], ...]
    truths: tuple[Truth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A whole log in windows, in order. ``unplaced`` rows lack the field that tells the time."""

    windows: tuple[Traffic, ...]
    unreadable: int
    truncated: int
    unplaced: int


def parse_cut(schema: Schema, *, every: str | int, time: str | None) -> Cut:
    """Read how traffic is to be cut.

    Args:
        schema: the fields of a row.
        every: ``7d``, ``1h``, ``30m`` (``w d h m s``: weeks, days, hours, minutes, seconds), or a
            number of rows.
        time: a timestamp field that tells the time; None for when a row was answered. A number of
            rows is always counted in the order of answering.

    Raises:
        BadUsage: ``every`` is neither, or ``time`` is not a timestamp field.

    Example:
        >>> parse_cut(Schema(fields=()), every="7d", time=None)
        Cut(every=datetime.timedelta(days=7), clock='@at')
    """
    times = [field.name for field in schema.fields if field.kind == "timestamp"]
    if time is not None and time not in times:
        raise BadUsage(
            where="time",
            found=f"'{time}'",
            expected="a timestamp field that is logged",
            remedy=nearest(time, times) if times else "Leave it out: windows go by answering time.",
        )
    clock = AT if time is None else time
    found = _EVERY.fullmatch(str(every))
    if found is None:
        raise BadUsage(
            where="every",
            found=repr(every),
            expected="a length of time such as '7d', '1h' or '30m', or a number of rows",
            remedy="Write a whole number, for a length of time with one of w, d, h, m, s.",
        )
    number = int(found["number"])
    if not found["unit"]:
        return Cut(every=number, clock=clock)
    return Cut(every=timedelta(**{_UNITS[found["unit"]]: number}), clock=clock)


def gather(
    batches: Iterable[Batch],
    cut: Cut,
    reference: Reference,
    *,
    labels: pl.DataFrame,
    since: datetime | None = None,
) -> Gathered:
    """Fold batches into windows.

    Args:
        batches: as ``read_predictions`` gives them.
        cut: where a window ends.
        reference: what the distributions are counted in the bins of.
        labels: ``@id`` and ``@label``, each id once.
        since: rows before it, on the cut's clock, are left out.

    Raises:
        BadUsage: more windows than anybody can read.
    """
    windows: dict[int, _Open] = {}
    seen = unreadable = truncated = unplaced = 0
    for batch in batches:
        unreadable += batch.unreadable
        truncated += batch.truncated
        unplaced += batch.frame[cut.clock].null_count()
        frame = batch.frame.filter(pl.col(cut.clock).is_not_null())
        if since is not None:
            frame = frame.filter(pl.col(cut.clock) >= since)
        parts = split(frame, cut, seen=seen)
        if len(windows.keys() | parts.keys()) > MOST_WINDOWS:
            raise _too_many(cut)
        for number, part in parts.items():
            if number not in windows:
                windows[number] = _Open(reference)
            windows[number].add(part, cut, labels)
        seen += frame.height
    return Gathered(
        windows=tuple(windows[number].close() for number in sorted(windows)),
        unreadable=unreadable,
        truncated=truncated,
        unplaced=unplaced,
    )


def split(frame: pl.DataFrame, cut: Cut, *, seen: int) -> dict[int, pl.DataFrame]:
    """Rows by the number of their window; every row is in exactly one.

    Args:
        frame: rows with a time.
        cut: where a window ends.
        seen: rows before these.
    """
    if frame.is_empty():
        return {}
    if isinstance(cut.every, int):
        number = (pl.int_range(pl.len(), dtype=pl.Int64) + seen) // cut.every
    else:
        since_origin = (pl.col(cut.clock) - ORIGIN).dt.total_microseconds()
        number = since_origin // (cut.every // timedelta(microseconds=1))
    parts = frame.with_columns(number.alias("@window")).partition_by(
        "@window", as_dict=True, include_key=False
    )
    return {int(key[0]): part for key, part in parts.items()}


def iso(moment: datetime, cut: Cut) -> str:
    """A window's time as ISO 8601 to the second; answering times are UTC, a field's have no zone.

    Example:
        >>> iso(datetime(2026, 1, 2, 3, 4, 5), Cut(every=5000, clock="@at"))
        '2026-01-02T03:04:05+00:00'
    """
    zoned = moment.replace(tzinfo=UTC) if cut.clock == AT else moment
    return zoned.isoformat(timespec="seconds")


class _Open:
    """A window that still takes rows."""

    def __init__(self, reference: Reference) -> None:
        self._task = reference.task
        self._listed = {
            field.name: field.values
            for field in reference.inputs.fields
            if field.kind == "category" and field.name in reference.schema.names
        }
        self._inputs = Profiler(reference.schema, reference=reference.inputs)
        self._answers = Profiler(answers_schema(reference.task), reference=reference.answers)
        self._times: list[datetime] = []
        self._rows = 0
        self._answered = np.zeros(len(reference.task.classes), np.int64)
        self._abstained = 0
        self._releases: Counter[str] = Counter()
        self._unseen: dict[str, Counter[str]] = {name: Counter() for name in self._listed}
        self._outputs: list[npt.NDArray[np.float64]] = []
        self._truths: list[Truth] = []

    def add(self, part: pl.DataFrame, cut: Cut, labels: pl.DataFrame) -> None:
        """Count some rows, at least one."""
        times = part[cut.clock].sort()
        scores = part[SCORES].to_numpy()
        self._times = [min([times[0], *self._times]), max([times[-1], *self._times])]
        self._rows += part.height
        self._releases.update(_tally(part[RELEASE]))
        self._inputs.update(part)
        self._answers.update(answers_frame(scores, self._task))
        self._answered += _answered(self._task, scores)
        self._abstained += part.height - part[ABSTAINED].null_count()
        for name, listed in self._listed.items():
            found = self._unseen[name] + Counter(_tally(_unlisted(part[name], listed)))
            self._unseen[name] = Counter(dict(found.most_common(MOST_UNSEEN_VALUES)))
        labelled = part.select(ID, SCORES).join(labels, on=ID, how="inner")
        if labelled.height:
            self._outputs.append(labelled[SCORES].to_numpy())
            self._truths.append(labelled[LABEL].to_numpy())

    def close(self) -> Traffic:
        """What is known of the window."""
        return Traffic(
            first=self._times[0],
            last=self._times[1],
            rows=self._rows,
            releases=self._releases,
            inputs=self._inputs.result(),
            answers=self._answers.result(),
            answered=tuple(self._answered.tolist()),
            abstained=self._abstained,
            unseen={name: dict(found) for name, found in self._unseen.items() if found},
            outputs=tuple(self._outputs),
            truths=tuple(self._truths),
        )


def _answered(task: Task, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many rows are answered with each class; nothing of numbers."""
    if task.is_regression:
        return np.zeros(0, np.int64)
    given = answers(task, scores)
    counts = (
        given.sum(axis=0) if task.is_multilabel else np.bincount(given, minlength=len(task.classes))
    )
    return np.asarray(counts, dtype=np.int64)


def _unlisted(column: pl.Series, listed: tuple[str, ...]) -> pl.Series:
    present = column.drop_nulls()
    return present.filter((present != "") & ~present.is_in(listed))


def _tally(column: pl.Series) -> dict[str, int]:
    """The most frequent values of a text column with their counts, ties by name."""
    counted = column.alias("value").value_counts(name="rows")
    top = counted.sort("rows", "value", descending=[True, False]).head(MOST_UNSEEN_VALUES)
    return {str(value): int(rows) for value, rows in top.iter_rows()}


def _too_many(cut: Cut) -> BadUsage:
    return BadUsage(
        where="every",
        found=f"more than {MOST_WINDOWS:,} windows of {cut.every}",
        expected=f"at most {MOST_WINDOWS:,}",
        remedy="Choose longer windows, or a later start with since.",
    )
