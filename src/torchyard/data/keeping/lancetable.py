"""The rows of all versions of a dataset, as versions of one Lance table.

Every dataset version is a Lance version of its own with a Lance tag, which protects it from being
cleaned up. Files are written elsewhere, moved in, and become visible by one commit.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadRecord
from torchyard.core.files import sync_folder
from torchyard.data.keeping.staging import Stage
from torchyard.records.dataset import DatasetVersion

if TYPE_CHECKING:
    import lance
    import polars as pl

_BATCH_BYTES = 64 << 20
_BATCHES_AHEAD = 2


class LanceTable:
    """A Lance table in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def commit(self, stage: Stage, *, number: int, after: DatasetVersion | None) -> int:
        """Make a stage's rows a new table version, behind those of ``after`` if it is given.

        Hold the dataset's lock. The stage keeps its mark ``moving``: the caller takes it away once
        a record names the table version that is returned.
        """
        import lance

        stage.moving.touch()
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        for file in sorted(stage.data.iterdir()):
            file.rename(data / file.name)
        sync_folder(data)
        before = [] if after is None else self._open(after).get_fragments()
        assert stage.schema is not None
        known = (self._folder / "_versions").exists()
        table = lance.LanceDataset.commit(
            str(self._folder),
            lance.LanceOperation.Overwrite(
                stage.schema, [*(part.metadata for part in before), *stage.fragments]
            ),
            read_version=lance.dataset(str(self._folder)).version if known else None,
        )
        table.tags.create(_tag(number), table.version)
        sync_folder(self._folder / "_versions")
        return int(table.version)

    def read(self, version: DatasetVersion) -> pl.DataFrame:
        """All rows of a version.

        Raises:
            BadRecord: the rows are gone, or are not as many as the record says.
        """
        import polars as pl

        frame = pl.from_arrow(self._open(version).to_table())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def chunks(
        self, version: DatasetVersion, *, rows: int, columns: Sequence[str] | None
    ) -> Iterator[pl.DataFrame]:
        """The rows of a version in order, in frames of at most ``rows`` rows and about 64 MiB.

        Raises:
            BadRecord: the rows are gone, or are not as many as the record says.
        """
        import polars as pl

        table = self._open(version)
        size = sum(file.file_size_bytes or 0 for part in table.get_fragments()
                   for file in part.metadata.files)  # fmt: skip
        fitting = _BATCH_BYTES * version.rows // max(size, 1)
        for batch in table.to_batches(
            columns=None if columns is None else list(columns),
            batch_size=max(1, min(rows, fitting)),
            batch_readahead=_BATCHES_AHEAD,
            fragment_readahead=1,
        ):
            if batch.num_rows:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame

    def clear_up(self, versions: Sequence[DatasetVersion]) -> None:
        """Drop everything that none of these versions needs: what a killed import has left.

        Hold the dataset's lock, and let no stage have files half moved.
        """
        import lance

        recorded = {version.table_version for version in versions}
        if not recorded or not (self._folder / "_versions").exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        table = lance.dataset(str(self._folder))
        for name, tag in table.tags.list().items():
            if tag["version"] not in recorded:
                table.tags.delete(name)
        if table.version not in recorded:
            # the newest table version cannot be dropped, so an older one is made the newest
            table.checkout_version(max(recorded)).restore()
        lance.dataset(str(self._folder)).cleanup_old_versions(
            older_than=timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
        )

    def _open(self, version: DatasetVersion) -> lance.LanceDataset:
        import lance

        try:
            table = lance.dataset(str(self._folder), version=version.table_version)
            rows = table.count_rows()
        except (ValueError, OSError) as error:
            raise _misfit(version, str(error).splitlines()[0]) from error
        if rows != version.rows:
            raise _misfit(version, f"{rows:,} rows in the table, {version.rows:,} in the record")
        return table


def _tag(number: int) -> str:
    return f"v{number}"


def _misfit(version: DatasetVersion, found: str) -> BadRecord:
    return BadRecord(
        where=f"dataset '{version.name}', version {version.number}",
        found=found,
        expected=f"{version.rows:,} rows in table version {version.table_version}",
        remedy="The record or the table was changed by hand: restore it, or add the data again.",
    )
