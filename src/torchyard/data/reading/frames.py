"""Frames in memory, and streams of them: polars, pandas, Arrow, Hugging Face ``datasets``.

A stream that can be read once is written to a temporary Arrow file as it comes, and read from
there: memory holds one of its frames at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from torchyard.core.errors import BadData, YardError
from torchyard.data.reading.columnar import ARROW, plain, plain_frame
from torchyard.data.reading.files import File, refuse_repeats
from torchyard.data.reading.parts import Part, labelled
from torchyard.data.reading.places import Place, Scratch
from torchyard.data.reading.table_files import table_parts

KNOWN = (
    "a polars, pandas or Arrow table, a Hugging Face dataset, a dictionary of these by split, "
    "an iterator of tables, or a path"
)
_BATCH_ROWS = 10_000
# Arrow makes views of texts, which polars takes over as they are, in a third of polars' own time;
# their offsets have 31 bits
_ARROW_TEXTS = ("str", "string", "large_string[pyarrow]")
_VIEWED_BYTES = 1 << 31


def frame_parts(value: Any, *, name: str, place: Place, scratch: Scratch) -> list[Part]:
    """The parts of anything that holds rows in memory or gives them.

    Raises:
        BadData: it does not, its columns share a name, or it fails.
    """
    if isinstance(value, Mapping):
        return _split_parts(value, name=name, place=place, scratch=scratch)
    if isinstance(value, pl.LazyFrame):
        return _lazy_parts(value, name=name, place=place, scratch=scratch)
    if _is_hugging_face(value):
        return [Part(name, place, lambda rows: _hugging_face(value, name, rows))]
    frame = _as_frame(value, name)
    if frame is not None:
        return [Part(name, place, lambda rows: iter(frame.iter_slices(rows)))]
    if hasattr(value, "__arrow_c_stream__"):
        return spool(_arrow_frames(value, name), name=name, place=place, scratch=scratch)
    if isinstance(value, (Iterator, list, tuple)):
        return spool(_each(value, name), name=name, place=place, scratch=scratch)
    raise refuse_value(value, name)


def call(function: Callable[[], Any], name: str) -> Any:
    """What a user's function returns.

    Raises:
        BadData: it fails, or returns another function.
    """
    try:
        value = function()
    except YardError:
        raise
    except Exception as error:  # the edge to a user's function
        raise refuse_failure(name, error) from error
    if callable(value) and not holds_rows(value):
        raise refuse_value(value, name)
    return value


def holds_rows(value: object) -> bool:
    """Whether it is a table by what it has, though it may be callable too."""
    return hasattr(value, "columns") or hasattr(value, "column_names")


def refuse_failure(name: str, error: Exception) -> BadData:
    """The refusal of a user's code that fails."""
    return BadData(
        where=name,
        found=f"{type(error).__name__}: {error}",
        expected="a function without arguments that gives rows",
        remedy="Call it alone to see where it fails.",
    )


def refuse_value(value: object, name: str) -> BadData:
    """The refusal of something that holds no rows."""
    return BadData(
        where=name,
        found=f"a {type(value).__name__}",
        expected=KNOWN,
        remedy="Return a frame with one column per field and one for the label.",
    )


def spool(
    frames: Iterable[pl.DataFrame], *, name: str, place: Place, scratch: Scratch
) -> list[Part]:
    """Write a stream of frames down, and give the parts that read it again.

    Frames of other types than the one before begin a new file, so that types are joined as those
    of several files are.
    """
    files: list[File] = []
    with ExitStack() as closing:
        writer: Any = None
        schema: Any = None
        for number, frame in enumerate(frames, 1):
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            if table.schema != schema:
                closing.close()
                schema = table.schema
                file = File(f"{name}, frame {number}", scratch.path(f"{number}.arrow"))
                files.append(file)
                writer = closing.enter_context(pa.ipc.new_stream(str(file.path), schema))
            writer.write_table(table)
    return table_parts([(file, place) for file in files], ARROW, {}) if files else []


def _split_parts(
    value: Mapping[Any, Any], *, name: str, place: Place, scratch: Scratch
) -> list[Part]:
    parts = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) or not isinstance(key, str):
            raise refuse_value(value, name)
        for part in frame_parts(inner, name=f"{name}, '{key}'", place=place, scratch=scratch):
            parts.append(labelled(part, key))
    if not parts:
        raise refuse_value(value, name)
    return parts


def _lazy_parts(value: pl.LazyFrame, *, name: str, place: Place, scratch: Scratch) -> list[Part]:
    """Run once and written down: a query need not give the same rows twice."""
    path = scratch.path("query.arrow")
    try:
        value.sink_ipc(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadData(
            where=name,
            found=f"a query that fails: {str(error).splitlines()[0]}",
            expected="a query that gives rows",
            remedy="Run it alone with .collect() to see why.",
        ) from error
    return table_parts([(File(name, path), place)], ARROW, {})


def _as_frame(value: Any, name: str) -> pl.DataFrame | None:
    """The whole frame, where it is in memory already."""
    if isinstance(value, pl.DataFrame):
        return plain(value)
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and hasattr(value, "columns"):
        refuse_repeats(name, [str(column) for column in value.columns])
        try:
            return plain(_from_pandas(value))
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise _refuse_mixture(value, name, str(error)) from error
    if isinstance(value, (pa.Table, pa.RecordBatch)):
        refuse_repeats(name, list(value.schema.names))
        return _from_arrow(value, name)
    return None


def _from_pandas(value: Any) -> pl.DataFrame:
    """As ``pl.from_pandas``, column by column: as a whole, all are copied into one piece each."""
    if not len(value.columns):
        return pl.from_pandas(value)
    return pl.DataFrame([_pandas_column(value.iloc[:, [n]]) for n in range(len(value.columns))])


def _pandas_column(frame: Any) -> pl.Series:
    """The only column of a pandas frame."""
    series = frame.iloc[:, 0]
    name, dtype = str(series.name), series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return pl.Series(name, series.to_numpy(), nan_to_null=True)
    if str(dtype) in _ARROW_TEXTS:
        texts = pa.array(series, from_pandas=True)
        if texts.type == pa.large_string() and texts.get_total_buffer_size() < _VIEWED_BYTES:
            return pl.Series(name, texts.cast(pa.string_view()))
    return pl.from_pandas(frame, rechunk=False).to_series()


def _from_arrow(value: Any, name: str) -> pl.DataFrame:
    try:
        return plain_frame(value)
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise _refuse_columns(name, str(error)) from error


def _refuse_columns(name: str, said: str) -> BadData:
    return BadData(
        where=name,
        found=said.splitlines()[0],
        expected="columns of numbers, texts, times, booleans, bytes or lists",
        remedy="Convert the column, or leave it out.",
    )


def _refuse_mixture(frame: Any, name: str, said: str) -> BadData:
    """A pandas column of several types, named; ``said`` where it is something else."""
    for column in frame.columns:
        kinds = sorted({type(value).__name__ for value in frame[column].dropna()})
        if frame[column].dtype == object and len(kinds) > 1:
            return BadData(
                where=f"{name}, column '{column}'",
                found=f"values of the types {', '.join(kinds)}",
                expected="one type per column",
                remedy=f"Convert them, for example: frame['{column}'].astype(str)",
            )
    return _refuse_columns(name, said)


def _is_hugging_face(value: Any) -> bool:
    """By what it can do: ``datasets`` need not be installed to be asked."""
    return all(hasattr(value, name) for name in ("features", "with_format", "iter"))


def _hugging_face(value: Any, name: str, rows: int) -> Iterator[pl.DataFrame]:
    """Pictures come as their bytes and path: nothing is decoded."""
    for table in value.with_format("arrow").iter(batch_size=min(rows, _BATCH_ROWS)):
        refuse_repeats(name, list(table.schema.names))
        yield plain_frame(table)


def _arrow_frames(value: Any, name: str) -> Iterator[pl.DataFrame]:
    try:
        reader = pa.RecordBatchReader.from_stream(value)
    except pa.ArrowInvalid as error:  # a single column
        raise refuse_value(value, name) from error
    refuse_repeats(name, list(reader.schema.names))
    for batch in reader:
        yield _from_arrow(batch, name)


def _each(values: Iterable[Any], name: str) -> Iterator[pl.DataFrame]:
    stream = iter(values)
    for number in count(1):
        try:
            value = next(stream)
        except StopIteration:
            return
        except YardError:
            raise
        except Exception as error:  # the edge to a user's iterator
            raise refuse_failure(f"{name}, frame {number}", error) from error
        frame = _as_frame(value, f"{name}, frame {number}")
        if frame is None:
            raise BadData(
                where=f"{name}, frame {number}",
                found=f"a {type(value).__name__}",
                expected="a polars, pandas or Arrow table",
                remedy="Yield frames with one column per field and one for the label.",
            )
        yield frame
