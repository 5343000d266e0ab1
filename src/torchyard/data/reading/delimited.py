"""CSV and tab separated files: texts in columns, in batches, with strict rows.

Source of the format: RFC 4180, with any line ending and a UTF-8 byte order mark allowed. An empty
cell is missing; an empty text in quotes is an empty text. Blank lines are skipped where there is
more than one column.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow

from torchyard.core.errors import BadData
from torchyard.data.reading.files import File, Format, reading, refuse_encoding, refuse_repeats
from torchyard.data.reading.textual import Guess, Types, read_texts

_BLOCK_BYTES = 8 * 2**20
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


def delimited(name: str, suffixes: tuple[str, ...], separator: str) -> Format:
    """The format whose cells are parted by ``separator``, one character."""
    return Format(
        name=name,
        suffixes=suffixes,
        columns=partial(_columns, separator=separator, form=name),
        frames=partial(_frames, separator=separator, form=name),
        guessed=True,
    )


def _columns(file: File, declared: Types, *, separator: str, form: str) -> Types:
    names = _header(file, separator, form)
    guesses = {name: Guess() for name in names if name not in declared}
    if guesses:
        for frame in _texts(file, names, [*guesses], separator, form):
            for name, guess in guesses.items():
                guess.see(frame[name])
    return {name: declared[name] if name in declared else guesses[name].type for name in names}


def _frames(
    file: File, types: Types, _rows: int, *, separator: str, form: str
) -> Iterator[pl.DataFrame]:
    names = _header(file, separator, form)
    before = 0
    for frame in _texts(file, names, [*types], separator, form):
        place = _place(file, before, separator)
        yield read_texts(frame, types, place=place, withheld=file.withheld)
        before += frame.height


def _place(file: File, before: int, separator: str) -> Callable[[str, int], str]:
    def place(column: str, row: int) -> str:
        number = before + row + 1
        return f"{file.name}, column '{column}', row {number} ({_line(file, number, separator)})"

    return place


def _header(file: File, separator: str, form: str) -> dict[str, str]:
    """The columns' names, and what the file calls them: an index often has no name there."""
    with reading(file, form), file.open() as opened:
        text = io.TextIOWrapper(opened, encoding="utf-8-sig", newline="")
        try:
            names = next(csv.reader(text, delimiter=separator), [])
            while not names:  # blank lines above the header
                names = next(csv.reader(text, delimiter=separator))
        except StopIteration:
            raise _empty(file) from None
        except UnicodeDecodeError:
            raise _find_bad_byte(file) from None
        except csv.Error as error:
            raise _no_header(file, str(error)) from error
    shown = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    refuse_repeats(file.name, shown)
    for sign, word in _OTHER_SEPARATORS.items():
        if len(names) == 1 and sign != separator and sign in names[0]:
            raise BadData(
                where=f"{file.name}, line 1",
                found=f"one column named {names[0]!r}",
                expected=f"columns parted by {_OTHER_SEPARATORS[separator]}",
                remedy=f"The columns seem to be parted by {word}. Write the file anew, or give "
                f"data= a function: pl.read_csv(path, separator={sign!r}).",
            )
    return dict(zip(shown, names, strict=True))


def _texts(
    file: File, names: dict[str, str], wanted: list[str], separator: str, form: str
) -> Iterator[pl.DataFrame]:
    """The wanted columns as ``String``, empty cells null."""
    with reading(file, form), file.open() as opened:
        watched = _Watched(opened)
        try:
            batches = arrow.open_csv(
                pa.PythonFile(watched, mode="r"),
                read_options=arrow.ReadOptions(block_size=_BLOCK_BYTES),
                parse_options=arrow.ParseOptions(
                    delimiter=separator,
                    newlines_in_values=True,
                    ignore_empty_lines=len(names) > 1,
                ),
                convert_options=arrow.ConvertOptions(
                    column_types=dict.fromkeys(names.values(), pa.string()),
                    include_columns=[names[name] for name in wanted],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
            for batch in batches:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                frame.columns = wanted
                yield frame
        except pa.ArrowInvalid as error:
            if watched.quotes % 2:
                _refuse_open_quote(file, separator)
            raise _explain(file, len(names), separator, str(error)) from error
        if watched.quotes % 2:
            _refuse_open_quote(file, separator)


class _Watched(io.RawIOBase):
    """A file's bytes on their way to the parser, quotes counted."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._opened.read(len(buffer))
        self.quotes += block.count(b'"')
        buffer[: len(block)] = block
        return len(block)


def _find_bad_byte(file: File) -> BadData:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with file.open() as opened:
        while True:
            block = opened.read(_BLOCK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                return refuse_encoding(file, byte=byte, offset=offset - pending + error.start)
            if not block:
                return _no_header(file, "bytes that are no text")
            offset += len(block)


def _explain(file: File, width: int, separator: str, said: str) -> BadData:
    """What the parser stumbled over, found again row by row to say where it is."""
    if "UTF8" in said:
        return _find_bad_byte(file)
    if "straddling" in said:
        return BadData(
            where=file.name,
            found=f"a row of more than {_BLOCK_BYTES // 2**20} MiB",
            expected="shorter rows",
            remedy='Look for a quote (") that is opened and never closed; keep long texts and '
            "pictures in files of their own, or in Parquet.",
        )
    for number, row, line in _records(file, separator):
        if len(row) != width:
            shown = "" if file.withheld else f": {separator.join(row)[:100]!r}"
            return BadData(
                where=f"{file.name}, row {number} (line {line})",
                found=f"{len(row)} cells{shown}",
                expected=f"{width} cells, as in the header",
                remedy=f"Put quotes around cells that contain {_OTHER_SEPARATORS[separator]}, and "
                "fill short rows up with empty cells.",
            )
    return BadData(
        where=file.name,
        found=said.splitlines()[0],
        expected="rows with as many cells as the header",
        remedy="Write the file anew with a CSV library.",
    )


def _refuse_open_quote(file: File, separator: str) -> None:
    """An odd number of quotes is a fault only where one of them opens a cell."""
    line = 1
    try:
        for *_, end in _records(file, separator, strict=True):
            line = end + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise BadData(
                where=f"{file.name}, line {line}",
                found="a quote that is opened and never closed",
                expected="a closing quote",
                remedy="Close it, or write the file to its end again.",
            ) from error


def _line(file: File, wanted: int, separator: str) -> str:
    """The line on which a row, counted from 1 below the header, ends."""
    for number, _, line in _records(file, separator):
        if number == wanted:
            return f"line {line}"
    return "line unknown"


def _records(
    file: File, separator: str, *, strict: bool = False
) -> Iterator[tuple[int, list[str], int]]:
    """Number, cells and last line of every record, the header as number 0.

    Slow, and so for messages only.
    """
    with file.open() as opened:
        text = io.TextIOWrapper(opened, encoding="utf-8-sig", newline="")
        lines = csv.reader(text, delimiter=separator, strict=strict)
        number, width = -1, 0
        try:
            for row in lines:
                width = width or len(row)
                number += bool(row) or width == 1
                if row:
                    yield number, row, lines.line_num
        except csv.Error:  # a cell too long for this reader: the place stays unknown
            if strict:
                raise


def _empty(file: File) -> BadData:
    return BadData(
        where=file.name,
        found="an empty file",
        expected="a header and at least one row",
        remedy="Check how the file was made.",
    )


def _no_header(file: File, found: str) -> BadData:
    return BadData(
        where=f"{file.name}, line 1",
        found=found,
        expected="the columns' names",
        remedy="Check that the file is a table of texts.",
    )
