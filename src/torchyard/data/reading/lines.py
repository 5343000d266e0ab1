"""Text files line by line: blocks of whole lines, and the format with one text per line."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.reading.files import File, Format, reading, refuse_encoding
from torchyard.data.reading.textual import Types

TEXT_COLUMN = "text"
_BLOCK_BYTES = 8 * 2**20
_LONGEST_LINE_BYTES = 256 * 2**20


def line_blocks(file: File) -> Iterator[tuple[int, str]]:
    """Whole lines, about 8 MiB at a time, and the number of the first one, from 1.

    Raises:
        BadData: a byte is not UTF-8, or a line is longer than 256 MiB.
    """
    number, offset, rest = 1, 0, b""
    with file.open() as opened:
        while True:
            block = opened.read(_BLOCK_BYTES)
            cut = block.rfind(b"\n") + 1 if block else len(block)
            if block and not cut:
                rest += block
                if len(rest) > _LONGEST_LINE_BYTES:
                    raise _too_long(file, number)
                continue
            whole, rest = rest + block[:cut], block[cut:]
            if whole:
                yield number, _decode(file, whole, offset)
            if not block:
                return
            number += whole.count(b"\n")
            offset += len(whole)


def _decode(file: File, block: bytes, offset: int) -> str:
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise refuse_encoding(file, byte=byte, offset=offset + error.start) from None
    return text.removeprefix("\ufeff") if offset == 0 else text


def _too_long(file: File, number: int) -> BadData:
    return BadData(
        where=f"{file.name}, line {number}",
        found=f"a line of more than {_LONGEST_LINE_BYTES // 2**20} MiB",
        expected="one row per line",
        remedy="Write one row per line, or convert the file to Parquet.",
    )


def _columns(_file: File, _declared: Types) -> Types:
    return {TEXT_COLUMN: pl.String()}


def _frames(file: File, _types: Types, _rows: int) -> Iterator[pl.DataFrame]:
    with reading(file, "text"):
        for _, block in line_blocks(file):
            lines = block.removesuffix("\n").split("\n")
            texts = pl.Series(TEXT_COLUMN, lines, dtype=pl.String)
            yield texts.str.strip_suffix("\r").to_frame()


TEXT_LINES = Format(name="text", suffixes=(".txt",), columns=_columns, frames=_frames)
