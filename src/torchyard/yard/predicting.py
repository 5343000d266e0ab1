"""Answers to a whole table of rows, by the engine that answers requests.

Rows come in chunks, are held against the release's schema, answered on every core, and leave in the
order they came, one row for each: memory stays within some chunks however many there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from torchyard.core.digest import short
from torchyard.core.errors import BadData, BadModel, BadUsage, NotReady, YardError
from torchyard.records.evidence import AskedDevice
from torchyard.records.schema import Schema
from torchyard.yard.answered import answer_columns, answer_names

if TYPE_CHECKING:
    import polars as pl

    from torchyard.data.check import Checker, Parted
    from torchyard.data.source import Source
    from torchyard.release import Release
    from torchyard.serve.engine import Engine

CHUNK_ROWS = 1 << 16
_CALL_S = 0.02  # about what one call of the model may take
_MOST_CALL_ROWS = 4096
_GPU_LANES = 2  # one call computes while the other one's rows are made ready
_WRITERS = {".parquet": "sink_parquet", ".csv": "sink_csv", ".jsonl": "sink_ndjson",
            ".ndjson": "sink_ndjson", ".arrow": "sink_ipc", ".feather": "sink_ipc"}  # fmt: skip
ERROR = "error"

Array = np.ndarray[Any, np.dtype[Any]]
Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class PredictedTable:
    """What became of a table's rows.

    Attributes:
        path: where the answers are.
        release: who answered, ``sha256:...``.
        variant: its variant.
        rows: that were read; each has a row in the answers.
        abstained: rows that the release left without an answer, by its own rule.
        refused: rows that do not fit the schema, or that the model failed on.
        seconds: from the first row read to the last one written.
    """

    path: Path
    release: str
    variant: str
    rows: int
    abstained: int
    refused: int
    seconds: float


def predict_table(
    release: Release,
    source: object,
    target: Path,
    *,
    folder: Path,
    device: AskedDevice = "cpu",
    keep: Sequence[str] | None = None,
    force: bool = False,
    progress: Progress = lambda rows: None,
) -> PredictedTable:
    """Answer every row of a table.

    Args:
        release: who answers, by its first variant.
        source: what ``open_source`` reads: a path, a URL, a frame.
        target: where the answers go: .parquet, .csv, .jsonl, .ndjson, .arrow or .feather. It is
            there whole when all rows are answered, and not before.
        folder: what a relative source is relative to.
        device: where the model runs.
        keep: columns of the source that stand before the answers; None for all but pictures and
            tensors.
        force: replace a file that is there.
        progress: told the rows done so far, now and then.

    Raises:
        BadUsage: the target's name, or something at it, or a column to keep, is not as it must be.
        BadData: the source cannot be read, or lacks a column or has one of another type.
        NotReady: the answers cannot be written, or ``device`` cannot be used.
    """
    from torchyard.data.source import open_source
    from torchyard.serve.engine import open_engine

    writer = _writer(target, force=force)
    engine = open_engine(release, max_rows=_MOST_CALL_ROWS, device=device)
    # a table may hold rows twice, whatever training thought of that
    fields = tuple(replace(field, unique=False) for field in release.schema.fields)
    schema = Schema(fields=fields)
    rows = open_source(source, folder=folder, schema=schema)
    began, table = time.monotonic(), _Table(engine, schema, rows, keep=keep, progress=progress)
    _write(table.answered(), target, writer)
    return PredictedTable(
        path=target,
        release=engine.release,
        variant=engine.variant,
        rows=table.rows,
        abstained=table.abstained,
        refused=table.refused,
        seconds=time.monotonic() - began,
    )


class _Table:
    """The rows of a source on their way to answers, and how many of which kind there were."""

    def __init__(
        self,
        engine: Engine,
        schema: Schema,
        source: Source,
        *,
        keep: Sequence[str] | None,
        progress: Progress,
    ) -> None:
        self._engine, self._schema, self._source = engine, schema, source
        self._keep = keep
        self._progress = progress
        self.rows = self.abstained = self.refused = 0

    def answered(self) -> Iterator[pl.DataFrame]:
        """A frame of answers for each chunk of rows."""
        from torchyard.data.check import Checker

        checker = Checker(self._schema, source=self._source.name)
        count = _GPU_LANES if self._engine.device == "cuda" else len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(count, thread_name_prefix="lane") as lanes:
            for chunk in self._source.chunks(rows=CHUNK_ROWS):
                yield self._answer(chunk, checker, lanes)
                self._progress(self.rows)

    def _answer(self, chunk: pl.DataFrame, checker: Checker, lanes: Executor) -> pl.DataFrame:
        import polars as pl

        kept = chunk.select(self._kept(chunk))
        parted = checker.update(chunk)
        scored = _scored(self._engine, parted, lanes)
        answers = answer_columns(self._engine.task, scored.answers, scored.abstained)
        self.rows += chunk.height
        self.refused += chunk.height - scored.errors.count(None)
        self.abstained += sum(why is not None for why in scored.abstained or ())
        made = pl.DataFrame({**answers, ERROR: pl.Series(scored.errors, dtype=pl.String)})
        who = pl.lit(short(self._engine.release)).alias("release")
        return kept.hstack(made).with_columns(who)

    def _kept(self, chunk: pl.DataFrame) -> Sequence[str]:
        """The columns of the source that stand before the answers."""
        taken = {*answer_names(self._engine.task, abstains=self._engine.abstains), ERROR, "release"}
        large = {field.name for field in self._schema.fields if field.kind in ("image", "tensor")}
        if self._keep is None:
            names = [name for name in chunk.columns if name not in large]
        else:
            names = list(dict.fromkeys(self._keep))
            if missing := [name for name in names if name not in chunk.columns]:
                raise _bad_keep(f"no column '{missing[0]}'", f"one of {', '.join(chunk.columns)}")
        if clash := [name for name in names if name in taken]:
            raise _bad_keep(f"a column '{clash[0]}' in the source", "names that no answer has")
        return names


class _Scored(NamedTuple):
    """Answers to a chunk: those of refused rows are not numbers; ``errors`` says why."""

    answers: Array
    abstained: list[Any] | None
    errors: list[str | None]


def _scored(engine: Engine, parted: Parted, lanes: Executor) -> _Scored:
    from torchyard.features import columns_from_frame

    height = parted.rows.height
    places = np.arange(height) if parted.aside is None else np.flatnonzero(~parted.aside)
    errors: list[str | None] = [None] * height
    if parted.aside is not None:
        broke = parted.quarantined.to_series(-1).to_list()
        for place, why in zip(np.flatnonzero(parted.aside).tolist(), broke, strict=True):
            errors[place] = why
    answers = np.full((height, len(engine.task.outputs)), np.nan, dtype=np.float32)
    abstained: list[Any] | None = [None] * height if engine.abstains else None
    if len(places):
        columns = columns_from_frame(engine.schema, parted.accepted)
        step = _rows_per_call(engine)
        ends = [*range(0, len(places), step), len(places)]
        parts = [
            {name: column[start:end] for name, column in columns.items()}
            for start, end in pairwise(ends)
        ]
        asked = lanes.map(lambda part: _ask(engine, part), parts)
        for (start, end), (answer, faults) in zip(pairwise(ends), asked, strict=True):
            answers[places[start:end]] = answer
            for place, why in faults.items():
                errors[places[start + place]] = why
        judged = engine.judge(columns, answers[places])
        for place, why in zip(places.tolist(), judged or (), strict=judged is not None):
            if abstained is not None and errors[place] is None:
                abstained[place] = why
    return _Scored(answers, abstained, errors)


def _ask(engine: Engine, columns: dict[str, Array]) -> tuple[Array, dict[int, str]]:
    """Answers to some rows. A call that fails is split until what fails is single rows."""
    rows = len(next(iter(columns.values())))
    try:
        return engine.answer(columns, rows), {}
    except (BadData, BadModel) as error:
        if rows == 1:
            nothing = np.full((1, len(engine.task.outputs)), np.nan, dtype=np.float32)
            return nothing, {0: f"{error.where}: {error.found}"}
    half = rows // 2
    first, faults = _ask(engine, {name: column[:half] for name, column in columns.items()})
    last, more = _ask(engine, {name: column[half:] for name, column in columns.items()})
    shifted = {half + place: why for place, why in more.items()}
    return np.concatenate([first, last]), {**faults, **shifted}


def _rows_per_call(engine: Engine) -> int:
    """So many that one call takes some hundredths of a second, by the release's measurements."""
    row_s = min((seconds / rows for rows, seconds in engine.measured), default=0.001)
    return max(1, min(_MOST_CALL_ROWS, int(_CALL_S / max(row_s, 1e-6))))


def _writer(target: Path, *, force: bool) -> str:
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise BadUsage(
            where=str(target),
            found=f"a name that ends in '{target.suffix}'" if target.suffix else "no ending",
            expected=f"one of {', '.join(_WRITERS)}",
            remedy="The ending says how the answers are written.",
        )
    if target.exists() and (target.is_dir() or not force):
        raise BadUsage(
            where=str(target),
            found="something there already",
            expected="a name that is free",
            remedy="Name another file." if target.is_dir() else "Replace it with --force.",
        )
    return writer


def _write(frames: Iterator[pl.DataFrame], target: Path, writer: str) -> None:
    """Write frames as they come, to a file beside the target that takes its name at the end."""
    from polars.exceptions import ComputeError
    from polars.io.plugins import register_io_source

    first = next(frames)
    troubles: list[BaseException] = []

    def read(*_asked: object) -> Iterator[pl.DataFrame]:
        try:
            yield from chain([first], frames)
        except BaseException as trouble:
            troubles.append(trouble)  # polars would wrap it
            raise

    stage = target.with_name(f".{target.stem}.new{target.suffix}")
    lazy = register_io_source(read, schema=first.schema)
    try:
        getattr(lazy, writer)(stage)
        if troubles:
            raise troubles[0]
        stage.replace(target)
    except (OSError, ComputeError) as error:
        if troubles:
            raise troubles[0] from None
        raise NotReady(
            where=str(target),
            found=getattr(error, "strerror", None) or str(error),
            expected="a place that takes the answers",
            remedy="Nothing was left there: make room, or name another place.",
        ) from error
    finally:
        with suppress(OSError):
            stage.unlink(missing_ok=True)


def _bad_keep(found: str, expected: str) -> YardError:
    return BadUsage(
        where="--keep",
        found=found,
        expected=expected,
        remedy="Say which columns of the source are to stand before the answers.",
    )
