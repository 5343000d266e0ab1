"""A meter's totals as plain JSON values, and back, so that they can be sent.

Sums are whole numbers of some thousand bits: hexadecimal texts, as other readers of JSON would
round them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from torchyard.core.errors import BadRecord
from torchyard.core.record import from_json, to_json
from torchyard.evaluate.counting.cells import Cells
from torchyard.evaluate.counting.totals import Totals
from torchyard.records.schema import Task

_WHERE = "meter"
_MOST_DIGITS = 1000  # of a sum, in hexadecimal: of 2^63 of the largest numbers, 600


@dataclass(frozen=True, slots=True, kw_only=True)
class CellsRecord:
    """``Cells`` without their grid, which follows from the task."""

    is_coarse: bool
    keys: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """What a meter counts: see ``Totals``."""

    task: Task
    rows: int
    counts: dict[str, tuple[int, ...]]
    sums: dict[str, str]
    cells: dict[str, CellsRecord]


def write_totals(task: Task, *, rows: int, totals: Totals) -> dict[str, Any]:
    """Totals as plain JSON values."""
    cells = {
        name: CellsRecord(
            is_coarse=one.is_coarse,
            keys=tuple(one.keys.tolist()),
            counts=tuple(map(tuple, one.counts.tolist())),
        )
        for name, one in totals.cells.items()
    }
    record = MeterRecord(
        task=task,
        rows=rows,
        counts={name: tuple(one.tolist()) for name, one in totals.counts.items()},
        sums={name: hex(one) for name, one in totals.sums.items()},
        cells=cells,
    )
    return dict(to_json(record))


def read_record(value: Any) -> MeterRecord:
    """The record in plain JSON values.

    Raises:
        BadRecord: there is none.
    """
    return from_json(MeterRecord, value, where=_WHERE)


def read_totals(record: MeterRecord, *, empty: Totals) -> Totals:
    """The totals in a record.

    Args:
        record: as ``read_record`` gives it.
        empty: the totals of no rows of its task, which say what is counted.

    Raises:
        BadRecord: something else is counted, or counts do not fit together.
    """
    _check_names("counts", record.counts, empty.counts)
    _check_names("sums", record.sums, empty.sums)
    _check_names("cells", record.cells, empty.cells)
    return Totals(
        counts={
            name: _counts(name, record.counts[name], one) for name, one in empty.counts.items()
        },
        sums={name: _sum(name, record.sums[name]) for name in empty.sums},
        cells={
            name: _cells(name, record.cells[name], one, rows=record.rows)
            for name, one in empty.cells.items()
        },
    )


def _check_names(what: str, found: dict[str, Any], expected: Any) -> None:
    if set(found) != set(expected):
        raise _misfit(what, ", ".join(sorted(found)), ", ".join(sorted(expected)))


def _counts(name: str, found: tuple[int, ...], empty: Any) -> Any:
    if len(found) != empty.size or any(not 0 <= one < 2**63 for one in found):
        raise _misfit(f"counts.{name}", str(found), f"{empty.size} numbers of rows")
    return np.array(found, np.int64)


def _sum(name: str, text: str) -> int:
    misfit = _misfit(f"sums.{name}", repr(text), "a whole number in hexadecimal")
    if len(text) > _MOST_DIGITS:
        raise misfit
    try:
        return int(text, 16)
    except ValueError:
        raise misfit from None


def _cells(name: str, found: CellsRecord, empty: Cells, *, rows: int) -> Cells:
    where, columns, grid = f"cells.{name}", empty.counts.shape[1], empty.grid
    if len(found.keys) != len(found.counts) or len(found.keys) > grid.most:
        raise _misfit(
            where,
            f"{len(found.keys):,} places and {len(found.counts):,} counts",
            f"as many of both, at most {grid.most:,}",
        )
    if not all(low < high for low, high in pairwise((-1.0, *found.keys, np.inf))):
        raise _misfit(where, "places that do not rise from 0 on", "rising ones")
    if any(len(row) != columns or not all(0 <= one < 2**63 for one in row) for row in found.counts):
        raise _misfit(where, "other counts", f"{columns} whole numbers at each place")
    counts = np.array(found.counts, np.int64).reshape(-1, columns)
    # Rows without the class and with it, and a sum; or rows alone.
    within = int(counts[:, : max(1, columns - 1)].sum())
    if within != rows:
        raise _misfit(where, f"{within:,} rows", f"all {rows:,}")
    return Cells(grid, found.is_coarse, np.array(found.keys, np.float64), counts)


def _misfit(where: str, found: str, expected: str) -> BadRecord:
    return BadRecord(
        where=f"{_WHERE}.{where}",
        found=found,
        expected=expected,
        remedy="Send what Meter.to_json gave, as it is.",
    )
