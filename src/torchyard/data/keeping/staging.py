"""Rows on their way into a dataset: written to disk, and seen by nobody until they are committed.

A stage is a folder ``.staging-*`` beside the dataset's table. It holds Lance data files and, as
Parquet, the rows set aside. Its owner keeps a lock on the folder until that is gone, so another
import can tell a stage that is being filled from one whose owner died.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from torchyard.core.files import STAGING, held

if TYPE_CHECKING:
    import pyarrow as pa
    from lance.fragment import FragmentMetadata

MOVING = "moving"
# the form of Lance's data files; a dataset's files must all have the same
FILES_VERSION = "2.2"
_BLOCK_ROWS = 1 << 20
_BLOCK_BYTES = 128 << 20


class Stage:
    """Writes accepted rows and rows set aside into a folder.

    Accepted rows gather in memory until they fill a block (128 MiB or 2**20 rows), so that small
    chunks do not make small files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fragments: list[FragmentMetadata] = []
        self.schema: pa.Schema | None = None
        self._block: list[pl.DataFrame] = []
        self._block_rows = self._block_bytes = 0
        self._aside: Any = None

    @property
    def data(self) -> Path:
        """The folder of Lance data files."""
        return self.folder / "rows.lance" / "data"

    @property
    def moving(self) -> Path:
        """A mark that lies here from the first file that moves to the table until the record."""
        return self.folder / MOVING

    @property
    def quarantine(self) -> Path | None:
        """The rows set aside, if there are any."""
        path = self.folder / "quarantine.parquet"
        return path if path.exists() else None

    def keep(self, accepted: pl.DataFrame) -> None:
        """Add accepted rows."""
        self._block.append(accepted)
        self._block_rows += accepted.height
        self._block_bytes += int(accepted.estimated_size())
        if self._block_rows >= _BLOCK_ROWS or self._block_bytes >= _BLOCK_BYTES:
            self._flush()

    def set_aside(self, quarantined: pl.DataFrame) -> None:
        """Add rows that broke a rule, with the column that says which."""
        import pyarrow.parquet as pq

        if quarantined.is_empty():
            return
        table = quarantined.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._aside is None:
            self._aside = pq.ParquetWriter(
                self.folder / "quarantine.parquet", table.schema, compression="zstd"
            )
        self._aside.write_table(table)

    def close(self) -> None:
        """Write what is still in memory, and have every byte reach the disk."""
        self._flush()
        if self._aside is not None:
            self._aside.close()
        for path in (*self.data.glob("*"), *self.folder.glob("*.parquet")):
            with path.open("rb") as file:
                os.fsync(file.fileno())

    def discard(self) -> None:
        """Let go of an open file, whatever state it is in; the folder is about to be removed."""
        if self._aside is not None:
            with suppress(OSError):
                self._aside.close()

    def _flush(self) -> None:
        import lance

        if not self._block_rows:
            return
        table = pl.concat(self._block).to_arrow(compat_level=pl.CompatLevel.oldest())
        self.schema = table.schema
        self._block, self._block_rows, self._block_bytes = [], 0, 0
        self.fragments += lance.fragment.write_fragments(
            table, str(self.data.parent), mode="create", data_storage_version=FILES_VERSION
        )


@contextmanager
def new_stage(parent: Path) -> Iterator[Stage]:
    """An empty stage that is removed at the end, unless its owner left work undone.

    When it fails while the mark ``moving`` lies in it, the folder stays: the table may then hold
    what no record names, and the next import finds the stage and clears up.
    """
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=STAGING))
    with held(folder, wait=False):
        stage = Stage(folder)
        try:
            yield stage
        finally:
            stage.discard()
            if not stage.moving.exists():
                shutil.rmtree(folder, ignore_errors=True)
