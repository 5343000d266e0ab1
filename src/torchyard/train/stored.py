"""Tensors in ``.npy`` files: appended to chunk by chunk, read by rows.

The files are NumPy's own (``np.load(path, mmap_mode="r")`` opens them). Rows are read into memory
rather than mapped: what a process holds is then what it asked for, however long the file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from torchyard.core.errors import BadRecord

Array = np.ndarray[Any, np.dtype[Any]]
Range = tuple[int, int]


@dataclass(frozen=True)
class StoredArray:
    """A ``.npy`` file, known by its header.

    ``offset`` is where its rows begin, in bytes.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @classmethod
    def open(cls, path: Path) -> StoredArray:
        """Read a file's header.

        Raises:
            BadRecord: it is not a ``.npy`` file with rows in order, or shorter than it says.
        """
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, by_column, dtype = read(file)
                stored = cls(path, dtype, shape, file.tell())
                length = os.fstat(file.fileno()).st_size
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if by_column and len(shape) > 1:
            raise _damaged(path, "values in column order")
        if length < stored.offset + stored.row_bytes * stored.rows:
            raise _damaged(path, f"{length} bytes for {stored.rows} rows")
        return stored

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        """What one row takes."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    def part(self, first: int, last: int) -> StoredArray:
        """Rows ``[first, last)`` of the same file."""
        offset = self.offset + first * self.row_bytes
        return replace(self, shape=(last - first, *self.shape[1:]), offset=offset)

    def empty(self, rows: int) -> Array:
        """An array that so many rows fit into."""
        return np.empty((rows, *self.shape[1:]), self.dtype)

    def read(self, ranges: Sequence[Range], into: Array) -> None:
        """Fill an array with the rows of several ranges ``[first, last)``, one after another.

        Raises:
            BadRecord: the file ends before them.
        """
        whole = into.reshape(-1).view(np.uint8).data
        width = self.row_bytes
        filled = 0
        with self.path.open("rb", buffering=0) as file:
            handle = file.fileno()
            for first, last in ranges:
                wanted = whole[filled : filled + (last - first) * width]
                place = self.offset + first * width
                filled += len(wanted)
                while wanted:  # one call may give less than it was asked for
                    read = os.preadv(handle, [wanted], place)
                    if not read:
                        raise _damaged(self.path, "its end before its last row")
                    wanted, place = wanted[read:], place + read


class ArrayWriter:
    """Writes a ``.npy`` file of any length, chunk by chunk.

    NumPy leaves room in a header for the number of rows to grow, so it is written once to begin
    with and again at the end.

    Example::

        with ArrayWriter(Path("label.npy")) as writer:
            writer.append(np.array([True, False]))
            writer.append(np.array([True]))
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._dtype: np.dtype[Any] | None = None
        self._row: tuple[int, ...] = ()
        self._rows = 0

    def __enter__(self) -> ArrayWriter:
        self._file = self._path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        try:
            if kind is None and self._dtype is not None:
                self._file.seek(0)
                self._header()
        finally:
            self._file.close()

    def append(self, values: Array) -> None:
        """Add rows; the first chunk decides the type and the shape of a row.

        Raises:
            ValueError: a later chunk has another type or shape.
        """
        assert self._file is not None
        if self._dtype is None:
            self._dtype, self._row = values.dtype, values.shape[1:]
            self._header()
        if (values.dtype, values.shape[1:]) != (self._dtype, self._row):
            raise ValueError(f"{self._path.name}: {values.dtype} {values.shape[1:]} after "
                             f"{self._dtype} {self._row}")  # fmt: skip
        self._file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        self._rows += len(values)

    def _header(self) -> None:
        assert self._file is not None
        assert self._dtype is not None
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, *self._row),
            },
        )


def _damaged(path: Path, found: str) -> BadRecord:
    return BadRecord(
        where=str(path),
        found=found,
        expected="a whole .npy file",
        remedy="Run the features stage again: rm -r .torchyard/stages/features",
    )
