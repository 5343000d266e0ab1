"""One file of rows on this machine, and what is said when it is damaged."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.reading.textual import Types


@dataclass(frozen=True, slots=True)
class File:
    """A file of rows.

    Attributes:
        name: how errors call it, as the user wrote it.
        path: where it lies on this machine.
        withheld: columns whose values errors do not show: those of personal fields.
    """

    name: str
    path: Path
    withheld: frozenset[str] = frozenset()

    def open(self) -> BinaryIO:
        """Its bytes from the first, unpacked when it ends in ``.gz``."""
        if self.path.suffix.lower() == ".gz":
            return cast(BinaryIO, gzip.open(self.path, "rb"))
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class Format:
    """A way of writing rows in a file.

    Attributes:
        name: as in "a well-formed CSV file".
        suffixes: of its files.
        columns: each column's type over all rows. Takes a file and the types that are declared.
        frames: the rows, in frames of any size, with just the columns and types that are given.
        guessed: whether types are guessed from texts, so that files that disagree hold texts.
    """

    name: str
    suffixes: tuple[str, ...]
    columns: Callable[[File, Types], Types]
    frames: Callable[[File, Types, int], Iterator[pl.DataFrame]]
    guessed: bool = False


@contextmanager
def reading(file: File, form: str) -> Iterator[None]:
    """Say of a file that cannot be read which one it is and what to do.

    Raises:
        BadData: a library below failed on the file's content, or the system on the file.
    """
    try:
        yield
    except PermissionError as error:
        raise BadData(
            where=file.name,
            found="permission denied",
            expected="a file that this user may read",
            remedy=f"Give read access, for example: chmod u+r {file.path}",
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadData(
            where=file.name,
            found=f"a damaged gzip file ({error})",
            expected="one that was written to its end",
            remedy="Copy or download it again; test it with: gzip -t",
        ) from error
    except (OSError, ValueError, NotImplementedError, pl.exceptions.PolarsError) as error:
        raise BadData(
            where=file.name,
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            expected=f"a whole, well-formed {form} file",
            remedy="Check that it was written to its end; copy or write it again.",
        ) from error


def refuse_encoding(file: File, *, byte: int, offset: int) -> BadData:
    """The refusal of a byte that is not UTF-8."""
    utf16 = offset == 0 and byte in (0xFE, 0xFF)
    guess = "UTF-16" if utf16 else "WINDOWS-1252"
    return BadData(
        where=f"{file.name}, byte {offset}",
        found=f"byte 0x{byte:02x}, which is not UTF-8"
        + (" (the file looks like UTF-16)" if utf16 else ""),
        expected="text in UTF-8",
        remedy=f"Convert it, for example: iconv -f {guess} -t UTF-8 OLD > NEW",
    )


def refuse_repeats(file: str, names: list[str]) -> None:
    """Refuse columns that share a name.

    Raises:
        BadData: a name occurs more than once.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        places = [str(place) for place, name in enumerate(names, 1) if name == repeated[0]]
        raise BadData(
            where=f"{file}, column '{repeated[0]}'",
            found=f"{len(places)} columns of that name ({', '.join(places)} of {len(names)})",
            expected="names that differ",
            remedy="Rename or remove all but one.",
        )
