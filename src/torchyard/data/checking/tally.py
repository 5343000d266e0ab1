"""Counting the rows that break a rule, with five examples."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from torchyard.data.checking.conditions import Severity
from torchyard.records.dataset import Finding

Array = np.ndarray[Any, np.dtype[Any]]
EXAMPLES = 5
ROW = "(row)"  # the field of a finding that is about none in particular
_LONGEST = 80
_EPOCH = datetime(1970, 1, 1)


@dataclasses.dataclass(slots=True)
class Tally:
    """How many rows broke a rule so far.

    ``columns`` are what the rule is about; none for a rule on the row at large. Values of
    ``private`` ones are not shown.
    """

    rule: str
    columns: tuple[str, ...]
    severity: Severity
    meaning: str
    private: bool = False
    rows: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)

    @property
    def field(self) -> str:
        """How a finding calls the columns."""
        return ", ".join(self.columns) or ROW

    def count(self, broken: Array, frame: pl.DataFrame, numbers: Array) -> None:
        """Count a chunk's broken rows.

        Args:
            broken: where they are among the chunk's rows, ascending.
            frame: the rows, for the values that the examples show.
            numbers: ``[rows]``, their numbers in the source.
        """
        self.rows += len(broken)
        for place in broken[: EXAMPLES - len(self.examples)].tolist():
            shown = self._shown(frame, place) if self.columns else ""
            self.examples.append(f"row {numbers[place]}{': ' if shown else ''}{shown}")

    def finding(self, rows_checked: int) -> Finding:
        """The tally as it stands."""
        return Finding(
            rule=self.rule, field=self.field, severity=self.severity, rows=self.rows,
            rows_checked=rows_checked, examples=tuple(self.examples), meaning=self.meaning,
        )  # fmt: skip

    def _shown(self, frame: pl.DataFrame, place: int) -> str:
        if self.private:
            return "(personal)"
        if len(self.columns) == 1:
            return _short(frame[self.columns[0]], place)
        return ", ".join(f"{name}={_short(frame[name], place)}" for name in self.columns)


def _short(series: pl.Series, place: int) -> str:
    if isinstance(series.dtype, pl.Datetime):
        return _time(series.to_physical()[place])
    value = series[place]
    if isinstance(value, bytes):
        return f"{len(value):,} bytes, {value[:8].hex()}"
    if isinstance(value, pl.Series):
        value = value.to_list()
    text = repr(value) if isinstance(value, (str, int, float, type(None))) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _time(micros: int | None) -> str:
    try:
        return str(None if micros is None else _EPOCH + timedelta(microseconds=micros))
    except OverflowError:  # Python has no such time
        return f"{micros:,} microseconds from 1970 on"
