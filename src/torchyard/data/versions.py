"""Dataset versions: rows in a Lance table, one record per version, named by content.

An import streams: it writes rows to a stage, digests, profiles and checks them in the same pass,
and commits only what is new. The record is written last and atomically, so whatever interrupts an
import, the dataset is at its last complete version. Readers need no lock; writers hold one for the
moments of a commit, so two imports at once both end as versions.
"""

from __future__ import annotations

import getpass
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadData, BadRecord, BadUsage
from torchyard.core.files import abandoned, locked
from torchyard.core.record import read_record, write_record
from torchyard.data.keeping.lancetable import LanceTable
from torchyard.data.keeping.refs import Pointers, resolve
from torchyard.data.source import CHUNK_ROWS, Source
from torchyard.records.dataset import DatasetVersion
from torchyard.records.schema import Schema, Task

if TYPE_CHECKING:
    import polars as pl

    from torchyard.data.keeping.importing import Import
    from torchyard.data.keeping.staging import Stage
    from torchyard.data.rules import Checks


class Dataset:
    """The versions of one dataset of a project.

    Args:
        folder: where a project keeps its datasets.
        name: which one; it is a folder in there.
        clock: gives the time of a version's record, and what freshness is measured from.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import polars as pl
        >>> from torchyard.data.source import open_source
        >>> from torchyard.project import Schema, number
        >>> rows = [open_source(pl.DataFrame({"x": x}), folder=Path()) for x in ([1.0], [1.0, 2.0])]
        >>> with TemporaryDirectory() as folder:
        ...     dataset = Dataset(Path(folder))
        ...     one, two, again = (dataset.add(r, Schema(x=number())) for r in (*rows, rows[0]))
        ...     one.number, two.number, again == one, dataset.version("latest") == one
        (1, 2, True, True)
    """

    def __init__(
        self,
        folder: Path,
        name: str = "data",
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._folder = folder / name
        self._clock = clock
        self._table = LanceTable(self._folder / "rows.lance")

    def add(
        self,
        source: Source,
        schema: Schema,
        *,
        task: Task | None = None,
        checks: Checks | None = None,
        reason: str = "",
    ) -> DatasetVersion:
        """Validate rows and keep them as the newest version, unless a version holds just these.

        Args:
            source: the rows.
            schema: the fields and their rules.
            task: names the label, a column that is kept beside the fields; some rows may lack it.
            checks: rules beyond the schema, and how many rows may be set aside.
            reason: kept with the version.

        Raises:
            BadData: the rows do not fit: a column is missing or of another type, a finding says
                fail, or too many rows are set aside; or the disk cannot take them.
            BadProject: a rule cannot be applied.
        """
        work = self._work(source, schema, task, checks)
        return self._bring_in(work, operation="replace", parent=None, reason=reason)

    def append(
        self,
        source: Source,
        schema: Schema,
        *,
        task: Task | None = None,
        checks: Checks | None = None,
        reason: str = "",
    ) -> DatasetVersion:
        """Validate rows and keep them behind those of the latest version, as a new one.

        Rows that must be unique are held against the earlier ones too. The result has the digest
        that all rows together have. With no version yet, the same as ``add``.

        Raises:
            BadData: as ``add``; or the schema is not that of the latest version.
            BadProject: a rule cannot be applied.
        """
        with self._changing():
            if not self.versions():
                return self.add(source, schema, task=task, checks=checks, reason=reason)
            parent = self.version()
            label = None if task is None else task.label
            if (parent.schema, parent.label) != (schema, label):
                raise BadData(
                    where=f"{source.name}, appended to version {parent.number}",
                    found="a schema or label that has changed since",
                    expected="the schema and label of the rows before",
                    remedy="Add all rows anew, without --append.",
                )
            work = self._work(source, schema, task, checks)
            return self._bring_in(work, operation="append", parent=parent, reason=reason)

    def delete(self, where: str, *, reason: str, task: Task | None = None) -> DatasetVersion:
        """Keep the latest version without the rows that a condition holds for, as a new one.

        Earlier versions keep the rows.

        Args:
            where: an SQL condition on one row, over its fields.
            reason: kept with the version.
            task: when given, the labels that are left must still be fit to learn from.

        Raises:
            BadUsage: the condition cannot be read, or there is no reason.
            BadData: the condition holds for no row, or for all.
            NotFound: there is no version yet.
        """
        from torchyard.data.keeping.importing import Removal

        if not reason.strip():
            raise BadUsage(
                where="delete",
                found="no reason",
                expected="a reason: who reads the log must see why rows are gone",
                remedy="Say it with --reason.",
            )
        with self._changing():
            parent = self.version()
            work = Removal(where, parent, self.chunks(parent), task)
            return self._bring_in(work, operation="delete", parent=parent, reason=reason)

    def versions(self) -> tuple[DatasetVersion, ...]:
        """All complete versions, oldest first.

        Raises:
            BadRecord: a record is damaged or is not that of this dataset and number.
        """
        return tuple(
            self._read_record(path) for path in sorted((self._folder / "versions").glob("*.json"))
        )

    def version(self, name: str = "latest") -> DatasetVersion:
        """The version called ``latest``, by number, by tag, or by the start of its digest.

        The latest is what the last operation gave: an old one where old content came again.

        Raises:
            NotFound: no version, or more than one, answers to that name.
        """
        return resolve(name, self.versions(), self._pointers(), dataset=self.name)

    def lineage(self, version: DatasetVersion) -> tuple[DatasetVersion, ...]:
        """A version and those it was made from by appending and deleting, newest first."""
        by_number = {item.number: item for item in self.versions()}
        chain = [version]
        while chain[-1].parent is not None:
            chain.append(by_number[chain[-1].parent])
        return tuple(chain)

    def make_latest(self, version: DatasetVersion) -> None:
        """Let ``latest`` mean a version until the next operation gives another."""
        with self._writing(), locked(self._lock):
            self._point_at(version, newest=self.versions()[-1].number)

    def tag(self, version: DatasetVersion, name: str, *, move: bool = False) -> None:
        """Give a version a name that stays.

        Raises:
            BadUsage: the name cannot be a tag, or is on another version and may not move.
        """
        with self._writing(), locked(self._lock):
            write_record(
                self._pointers_path, self._pointers().tagged(name, version.number, move=move)
            )

    def tags(self) -> dict[str, int]:
        """Tags and the numbers of their versions."""
        return self._pointers().tags

    def read(self, version: DatasetVersion) -> pl.DataFrame:
        """The accepted rows of a version, the schema's fields and the label as columns.

        Raises:
            BadRecord: the rows are gone, or are not as many as the record says.
        """
        return self._table.read(version)

    def chunks(
        self,
        version: DatasetVersion,
        *,
        rows: int = CHUNK_ROWS,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The accepted rows of a version in order, in frames of at most ``rows`` rows.

        Args:
            version: which.
            rows: the most rows in a frame; there are fewer where rows are large (64 MiB a frame).
            columns: which columns, in this order; all of them when left out.

        Raises:
            BadRecord: the rows are gone, or are not as many as the record says.
        """
        return self._table.chunks(version, rows=rows, columns=columns)

    def quarantine_path(self, version: DatasetVersion) -> Path:
        """The Parquet file with a version's rows set aside; it exists when there are any.

        The last column says which rules a row broke.
        """
        return self._folder / "quarantine" / f"{version.number:06d}.parquet"

    def quarantined(self, version: DatasetVersion, *, rows: int) -> pl.DataFrame:
        """The first rows that a version set aside, and last the column with what they broke."""
        import polars as pl

        if not version.quarantined:
            return pl.DataFrame()
        return pl.scan_parquet(self.quarantine_path(version)).head(rows).collect()

    def _work(
        self, source: Source, schema: Schema, task: Task | None, checks: Checks | None
    ) -> Import:
        from torchyard.data.keeping.importing import Arrival

        return Arrival(source, schema, task, checks, self._clock())

    def _bring_in(
        self, work: Import, *, operation: str, parent: DatasetVersion | None, reason: str
    ) -> DatasetVersion:
        from torchyard.data.keeping.staging import new_stage

        with self._writing(), ExitStack() as stack:
            with locked(self._lock):
                self._clear_up()
                stage = stack.enter_context(new_stage(self._folder))
            before = self.chunks(parent) if parent and operation == "append" else iter(())
            draft = work.run(stage, before)
            stage.close()
            with locked(self._lock):
                versions = self.versions()
                known = [version for version in versions if version.digest == draft.digest]
                number = versions[-1].number + 1 if versions else 1
                if known:
                    self._point_at(known[0], newest=number - 1)
                    return known[0]
                made = draft.version(
                    name=self.name, number=number, operation=operation,
                    parent=parent.number if parent else None, author=_author(), reason=reason,
                    created=self._clock().isoformat(timespec="seconds"),
                    table_version=self._table.commit(
                        stage, number=number, after=parent if operation == "append" else None
                    ),
                )  # fmt: skip
                self._publish(made, stage)
        return made

    def _publish(self, version: DatasetVersion, stage: Stage) -> None:
        aside = self.quarantine_path(version)
        # one of that number may be left from an import that was killed before its record
        aside.unlink(missing_ok=True)
        if stage.quarantine is not None:
            aside.parent.mkdir(exist_ok=True)
            stage.quarantine.rename(aside)
        write_record(self._record_path(version.number), version)
        stage.moving.unlink()

    def _point_at(self, version: DatasetVersion, *, newest: int) -> None:
        pointers = self._pointers().pointing_at(version.number, newest=newest)
        if pointers != self._pointers():
            write_record(self._pointers_path, pointers)

    def _clear_up(self) -> None:
        """Remove what killed imports have left; hold the lock."""
        from torchyard.data.keeping.staging import MOVING

        left = abandoned(self._folder)
        if any((folder / MOVING).exists() for folder in left):
            self._table.clear_up(self.versions())
        for folder in left:
            shutil.rmtree(folder)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One at a time of those who build on the latest version."""
        with self._writing(), locked(self._folder / ".changing"):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BadData(
                where=str(self._folder),
                found=_reason(error),
                expected="a disk that takes what is written",
                remedy="Make room or give access, and run it again; complete versions are as they "
                "were.",
            ) from error

    def _read_record(self, path: Path) -> DatasetVersion:
        version = read_record(DatasetVersion, path)
        if (version.name, self._record_path(version.number)) != (self.name, path):
            raise BadRecord(
                where=str(path),
                found=f"version {version.number} of dataset '{version.name}'",
                expected=f"version {path.stem.lstrip('0')} of dataset '{self.name}'",
                remedy="The record was edited or moved: restore it.",
            )
        return version

    def _pointers(self) -> Pointers:
        path = self._pointers_path
        return read_record(Pointers, path) if path.exists() else Pointers()

    @property
    def _pointers_path(self) -> Path:
        return self._folder / "pointers.json"

    @property
    def _lock(self) -> Path:
        return self._folder / ".lock"

    def _record_path(self, number: int) -> Path:
        return self._folder / "versions" / f"{number:06d}.json"


def _reason(error: OSError) -> str:
    """What the system said, without the places in a library's sources that Lance adds."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r", \S+\.rs:\d+:\d+$", "", text)


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
