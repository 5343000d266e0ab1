"""Dataset versions: rows in a Lance table, one record per version, named by content.

The record is written last and atomically, so an import that is killed leaves the dataset at its
last complete version.
"""

from __future__ import annotations

import getpass
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.digest import PREFIX, digest_json
from torchyard.core.errors import NotFound
from torchyard.core.files import locked
from torchyard.core.record import read_record, to_json, write_record
from torchyard.records.dataset import DatasetVersion
from torchyard.records.schema import Schema

if TYPE_CHECKING:
    import polars as pl


class Dataset:
    """The versions of one project's data in a folder.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import polars as pl
        >>> from torchyard.project import Schema, number
        >>> with TemporaryDirectory() as folder:
        ...     dataset = Dataset(Path(folder))
        ...     schema = Schema(x=number())
        ...     one = dataset.add(pl.DataFrame({"x": [1.0]}), schema, label=None)
        ...     two = dataset.add(pl.DataFrame({"x": [1.0, 2.0]}), schema, label=None)
        ...     again = dataset.add(pl.DataFrame({"x": [1.0]}), schema, label=None)
        ...     one.number, two.number, again == one
        (1, 2, True)
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._folder = folder
        self._clock = clock

    def add(
        self,
        frame: pl.DataFrame,
        schema: Schema,
        *,
        label: str | None,
        source: str = "frame",
        reason: str = "",
    ) -> DatasetVersion:
        """Validate rows and keep them as the newest version, unless a version holds just these.

        Raises:
            BadData: the rows do not fit the schema, see ``check``.
        """
        from torchyard.data.check import check
        from torchyard.data.profile import profile

        checked = check(frame, schema, label=label, source=source)
        digest = content_digest(checked.accepted, schema)
        with locked(self._folder / ".lock"):
            for known in self.versions():
                if known.digest == digest:
                    return known
            version = DatasetVersion(
                name="data",
                parent=None,
                operation="replace",
                digest=digest,
                number=len(self.versions()) + 1,
                table_version=self._write(checked.accepted),
                created=self._clock().isoformat(timespec="seconds"),
                author=_author(),
                reason=reason,
                source=source,
                schema=schema,
                label=label,
                rows=checked.accepted.height,
                quarantined=checked.quarantined.height,
                findings=checked.findings,
                profile=profile(checked.accepted, schema),
            )
            if not checked.quarantined.is_empty():
                self.quarantine_path(version).parent.mkdir(parents=True, exist_ok=True)
                checked.quarantined.write_parquet(self.quarantine_path(version))
            write_record(self._record_path(version.number), version)
        return version

    def versions(self) -> tuple[DatasetVersion, ...]:
        """All complete versions, oldest first."""
        paths = sorted((self._folder / "versions").glob("*.json"))
        return tuple(read_record(DatasetVersion, path) for path in paths)

    def version(self, name: str = "latest") -> DatasetVersion:
        """The version called ``latest``, by number (``3``) or by the start of its digest.

        Raises:
            NotFound: no version, or more than one, answers to that name.
        """
        versions = self.versions()
        if name == "latest":
            matches = versions[-1:]
        elif re.fullmatch(r"\d{1,6}", name) and int(name) <= len(versions):
            matches = versions[int(name) - 1 : int(name)] if int(name) > 0 else ()
        else:
            digits = name.removeprefix(PREFIX)
            matches = tuple(
                version
                for version in versions
                if len(digits) >= 4 and version.digest.removeprefix(PREFIX).startswith(digits)
            )
        if len(matches) != 1:
            raise NotFound(
                where=f"dataset version '{name}'",
                found=f"{len(matches)} versions of {len(versions)} by that name",
                expected="a number, at least four digits of one digest, or 'latest'",
                remedy="List them with: torchyard data log",
            )
        return matches[0]

    def read(self, version: DatasetVersion) -> pl.DataFrame:
        """The accepted rows of a version, the schema's fields and the label as columns."""
        import lance
        import polars as pl

        table = lance.dataset(str(self._table), version=version.table_version).to_table()
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def chunks(
        self, version: DatasetVersion, *, rows: int = 65_536, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """The accepted rows of a version in order, in frames of at most ``rows`` rows."""
        import lance
        import polars as pl

        table = lance.dataset(str(self._table), version=version.table_version)
        wanted = None if columns is None else list(columns)
        for batch in table.to_batches(columns=wanted, batch_size=rows):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame

    def quarantine_path(self, version: DatasetVersion) -> Path:
        """The Parquet file with a version's rows set aside; it exists when there are any."""
        return self._folder / "quarantine" / f"{version.number:06d}.parquet"

    def _write(self, frame: pl.DataFrame) -> int:
        import lance

        mode = "overwrite" if self._table.exists() else "create"
        written = lance.write_dataset(frame.to_arrow(), str(self._table), mode=mode)
        return int(written.version)

    @property
    def _table(self) -> Path:
        return self._folder / "rows.lance"

    def _record_path(self, number: int) -> Path:
        return self._folder / "versions" / f"{number:06d}.json"


def content_digest(frame: pl.DataFrame, schema: Schema) -> str:
    """The digest of rows and schema, whatever chunks, file or library they came in.

    Each column counts with its name, type, missing places and present values, in row order.
    """
    state = hashlib.sha256(digest_json(to_json(schema)).encode())
    for series in frame:
        state.update(f"{series.name}:{series.dtype}:{len(series)}".encode())
        state.update(np.packbits(series.is_null().to_numpy()).tobytes())
        for part in _physical(series.drop_nulls()):
            state.update(part)
    return PREFIX + state.hexdigest()


def _physical(series: pl.Series) -> list[bytes]:
    import polars as pl

    if series.dtype == pl.String:
        return [series.str.len_bytes().to_numpy().tobytes(), "".join(series.to_list()).encode()]
    values = series.to_physical().to_numpy()
    if values.dtype == np.float64:
        values = values + 0.0  # one zero: -0.0 becomes 0.0
    return [np.ascontiguousarray(values).tobytes()]


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
