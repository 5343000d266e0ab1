"""From whatever a user has to a polars frame. No rule is applied here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from torchyard.core.errors import BadData

if TYPE_CHECKING:
    import polars as pl


def read_source(source: object, *, folder: Path) -> pl.DataFrame:
    """Read a table.

    Args:
        source: a function without arguments that returns a frame, a frame (polars, pandas, Arrow),
            or a path or fsspec URL of a .csv, .parquet, .jsonl, .ndjson, .arrow or .feather file.
        folder: what relative paths are relative to.

    Raises:
        BadData: there is no such file, it is damaged, its format is unknown, or the function
            returned something that is not a table.
    """
    if callable(source):
        return _as_frame(source(), where=f"data function '{getattr(source, '__name__', 'data')}'")
    if isinstance(source, (str, Path)):
        return _read_file(str(source), folder)
    return _as_frame(source, where="data")


def describe_source(source: object) -> str:
    """How a version's record names where its rows came from."""
    if isinstance(source, (str, Path)):
        return str(source)
    if callable(source):
        return f"function {getattr(source, '__name__', 'data')}"
    return type(source).__name__


def _as_frame(value: Any, *, where: str) -> pl.DataFrame:
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if isinstance(value, pl.DataFrame):
        return value
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        return pl.from_pandas(value)
    if module == "pyarrow":
        frame = pl.from_arrow(value)
        if isinstance(frame, pl.DataFrame):
            return frame
    raise BadData(
        where=where,
        found=f"a {type(value).__name__}",
        expected="a polars, pandas or Arrow table",
        remedy="Return a frame with one column per field and one for the label.",
    )


def _read_file(source: str, folder: Path) -> pl.DataFrame:
    import polars as pl

    readers: Mapping[str, Callable[[Any], pl.DataFrame]] = {
        ".csv": lambda file: pl.read_csv(file, try_parse_dates=True, infer_schema_length=None),
        ".parquet": pl.read_parquet,
        ".jsonl": lambda file: pl.read_ndjson(file, infer_schema_length=None),
        ".ndjson": lambda file: pl.read_ndjson(file, infer_schema_length=None),
        ".arrow": pl.read_ipc,
        ".feather": pl.read_ipc,
    }
    suffix = PurePosixPath(source).suffix.lower()
    if suffix not in readers:
        raise BadData(
            where=source,
            found=f"a file ending in '{suffix}'",
            expected=" ".join(readers),
            remedy="Convert it, or give data= a function that returns a frame.",
        )
    content = _read_bytes(source, folder)
    if not content.strip():
        raise BadData(
            where=source,
            found="an empty file",
            expected="a header and at least one row",
            remedy="Check how the file was made.",
        )
    try:
        return readers[suffix](content)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadData(
            where=source,
            found=str(error).splitlines()[0],
            expected=f"a whole, well-formed {suffix[1:]} file",
            remedy="Check that it was written to its end, is UTF-8 and has one type per column.",
        ) from error


def _read_bytes(source: str, folder: Path) -> bytes:
    try:
        if "://" in source:
            import fsspec

            with fsspec.open(source, "rb") as file:
                return bytes(file.read())
        return (folder / source).read_bytes()
    except (OSError, ValueError, ImportError) as error:
        raise BadData(
            where=source,
            found=str(error),
            expected="a file that can be read",
            remedy=f"Check the path; relative ones start at {folder}.",
        ) from error
