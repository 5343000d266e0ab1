"""Files of rows: one or several of the same columns, each with the types of them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath

import polars as pl

from torchyard.core.errors import BadData, nearest
from torchyard.data.reading.columnar import ARROW, PARQUET
from torchyard.data.reading.delimited import delimited
from torchyard.data.reading.files import File, Format
from torchyard.data.reading.jsonlines import JSON_LINES
from torchyard.data.reading.lines import TEXT_LINES
from torchyard.data.reading.parts import Part
from torchyard.data.reading.places import Place
from torchyard.data.reading.textual import Types, instance

FORMATS = (
    delimited("CSV", (".csv",), ","),
    delimited("tab separated", (".tsv",), "\t"),
    PARQUET,
    JSON_LINES,
    ARROW,
    TEXT_LINES,
)
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
_PACKED = ".gz"


def format_of(path: str) -> Format | None:
    """The format of a file by its name's end, before ``.gz``. Parquet and Arrow pack by themselves.

    Example:
        >>> format_of("rows.csv.gz").name
        'CSV'
    """
    name = PurePosixPath(path).name.lower()
    packed = name.endswith(_PACKED)
    suffix = PurePosixPath(name.removesuffix(_PACKED)).suffix
    for form in FORMATS:
        if suffix in form.suffixes and not (packed and form in (PARQUET, ARROW)):
            return form
    return None


def need_format(path: str) -> Format:
    """The format of a file.

    Raises:
        BadData: its suffix is not known.
    """
    form = format_of(path)
    if form is None:
        suffix = PurePosixPath(path).suffix
        raise BadData(
            where=path,
            found=f"a file ending in '{suffix}'",
            expected=" ".join(SUFFIXES),
            remedy=f"{nearest(suffix, SUFFIXES)} Convert it, or give data= a function that "
            "returns a frame.",
        )
    return form


def table_parts(files: Sequence[tuple[File, Place]], form: Format, declared: Types) -> list[Part]:
    """Files of one format as parts, in order.

    Types are found over all rows of all files, at the first reading. A file is read as it was then.

    Raises:
        BadData: at reading: a file is damaged, changes, or has other columns than the first.
    """
    tables = _Tables([file for file, _ in files], form, declared)

    def part(file: File, place: Place) -> Part:
        return Part(file.name, place, lambda rows: tables.frames(file, rows))

    return [part(file, place) for file, place in files]


class _Tables:
    def __init__(self, files: Sequence[File], form: Format, declared: Types) -> None:
        self._files, self._form, self._declared = files, form, declared
        self._states = {file: _state(file) for file in files}

    def frames(self, file: File, rows: int) -> Iterator[pl.DataFrame]:
        types = self._types
        yield from self._form.frames(file, types, rows)
        if _state(file) != self._states[file]:
            raise BadData(
                where=file.name,
                found="a file that changed while it was being read",
                expected="the same content at every reading",
                remedy="Wait until it is written, then try again.",
            )

    @cached_property
    def _types(self) -> Types:
        first, *others = self._files
        types = self._form.columns(first, self._declared)
        for file in others:
            found = self._form.columns(file, self._declared)
            _need_same_columns(first.name, types, file.name, found)
            for name, dtype in types.items():
                both = join_types(dtype, found[name], guessed=self._form.guessed)
                if both is None:
                    raise BadData(
                        where=f"{file.name}, column '{name}'",
                        found=f"{found[name]} values",
                        expected=f"{dtype}, as in {first.name}",
                        remedy="Write the column with one type in every file.",
                    )
                types = {**types, name: both}
        return types


def join_types(a: pl.DataType, b: pl.DataType, *, guessed: bool) -> pl.DataType | None:
    """The type that holds the values of two; None where there is none.

    Args:
        a: the type in one file.
        b: the type in another.
        guessed: values are texts whose types were guessed, so texts hold any two.
    """
    if a == b or b == pl.Null():
        return a
    if a == pl.Null():
        return b
    if a.is_integer() and b.is_integer():
        return pl.Int64()
    if a.is_numeric() and b.is_numeric():
        return pl.Float64()
    if isinstance(a, pl.List) and isinstance(b, pl.List):
        inner = join_types(instance(a.inner), instance(b.inner), guessed=False)
        return None if inner is None else pl.List(inner)
    times = (pl.Date, pl.Datetime)
    if isinstance(a, times) and isinstance(b, times) and _zone(a) == _zone(b):
        return pl.Datetime("us", _zone(a))
    return pl.String() if guessed else None


def _zone(dtype: pl.DataType) -> str | None:
    return dtype.time_zone if isinstance(dtype, pl.Datetime) else None


def _need_same_columns(first: str, types: Types, file: str, found: Types) -> None:
    missing = [name for name in types if name not in found]
    extra = [name for name in found if name not in types]
    if missing or extra:
        parts = [f"without {missing}"] * bool(missing) + [f"with {extra}"] * bool(extra)
        raise BadData(
            where=file,
            found=f"columns {' and '.join(parts)}, unlike {first}",
            expected="the same columns in every file",
            remedy="Add files of other columns as data of their own.",
        )


def _state(file: File) -> tuple[int, int]:
    found = file.path.stat()
    return found.st_size, found.st_mtime_ns
