"""A trial: rows, what a model answers to them, and the way to ask it about others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchyard.core.errors import BadModel, YardError
from torchyard.records.schema import Schema, Task

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Answer = Callable[["pl.DataFrame"], npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a behaviour is tried with.

    Attributes:
        rows: checked rows, with the fields of a request as columns.
        ask: gives the model's calibrated answers to such a frame, ``float64 [rows, outputs]``.
        task: what is predicted, its threshold chosen.
        schema: the fields of a request.
        seed: of everything that is drawn.
    """

    rows: pl.DataFrame
    ask: Answer
    task: Task
    schema: Schema
    seed: int

    def answer(self, rows: pl.DataFrame) -> Floats:
        """The model's answers, ``float64 [rows, outputs]``; of no row, none.

        Raises:
            BadModel: it raises, or its answers are not finite or of another shape.
        """
        width = len(self.task.outputs)
        if not rows.height:
            return np.empty((0, width))
        try:
            answers = np.asarray(self.ask(rows), dtype=np.float64)
        except YardError:
            raise
        except Exception as error:
            # the module is the project's code: whatever it raises is a fault of its own
            raise _unanswered(raised(error)) from error
        if answers.shape != (rows.height, width):
            raise _unanswered(f"answers of shape {list(answers.shape)}")
        if not np.isfinite(answers).all():
            raise _unanswered("answers that are not finite")
        return answers

    def fits(self, rows: pl.DataFrame, fields: Sequence[str]) -> Bools:
        """Which rows keep every rule of the schema on some fields, ``bool [rows]``.

        Raises:
            BadData: a column is of another type.
        """
        from torchyard.data.check import Checker

        # a changed row stands for a request of its own: it may repeat another
        asked = Schema(fields=tuple(replace(self.schema.field(n), unique=False) for n in fields))
        aside = Checker(asked, source="changed rows").update(rows.select(fields)).aside
        return np.ones(rows.height, dtype=np.bool_) if aside is None else ~aside


def raised(error: Exception) -> str:
    """An exception of somebody's code, and where: its words may hold a row's values, or paths."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in line {at.lineno} of {Path(at.filename).name}"


def _unanswered(found: str) -> BadModel:
    return BadModel(
        where="model, asked about changed rows",
        found=found,
        expected="a finite answer to every row that keeps the schema",
        remedy="Serving would refuse such a request: mend the model, or narrow the schema.",
    )
