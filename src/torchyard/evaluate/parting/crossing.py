"""Groups of several protected fields at once.

A model can be fair to women, and to the old, and still not to old women (Buolamwini and Gebru 2018;
Kearns et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from torchyard.evaluate.parting.groups import Texts

JOINT = ", "
MOST_CELLS = 100  # of one crossing: more would be read by nobody, and take a bootstrap each


def crossings(fields: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Which protected fields are judged together: every two, and all of three or more.

    Example:
        >>> crossings(["sex", "race", "age"])
        (('sex', 'race'), ('sex', 'age'), ('race', 'age'), ('sex', 'race', 'age'))
    """
    every = (tuple(fields),) if len(fields) > 2 else ()
    return (*combinations(fields, 2), *every)


def with_crossings(groups: Mapping[str, Texts]) -> dict[str, Texts]:
    """The groups of each field, and of the fields that are judged together.

    Args:
        groups: field to its value in each row, ``str [rows]``.

    Returns:
        The same, and for each crossing its fields' names, joined by ``", "``, to the values joined
        likewise. Of more than 100 cells the largest keep their names; the rows of all others get
        one name together, see ``rest_of``.
    """
    crossed = {
        JOINT.join(fields): _crossed([groups[field] for field in fields])
        for fields in crossings(tuple(groups))
    }
    return {**groups, **crossed}


def rest_of(cells: int) -> str:
    """What the cells beyond the largest ones are called together."""
    return f"({cells:,} smaller intersections)"


def why_unmeasured(value: str) -> str:
    """Why such a cell is not measured: it is what ``rest_of`` names; else nothing.

    Example:
        >>> why_unmeasured(rest_of(1200)), why_unmeasured("old, woman")
        ('beyond the 100 largest', '')
    """
    is_rest = value.startswith("(") and value.endswith(" smaller intersections)")
    return f"beyond the {MOST_CELLS} largest" if is_rest else ""


def _crossed(columns: Sequence[Texts]) -> Texts:
    import polars as pl

    frame = pl.DataFrame({str(number): column for number, column in enumerate(columns)})
    cell = frame.select(cell=pl.concat_str(pl.all().cast(pl.String), separator=JOINT))
    sizes = cell.group_by("cell").len().sort(["len", "cell"], descending=[True, False])
    if sizes.height > MOST_CELLS:
        kept = sizes["cell"].head(MOST_CELLS).implode()
        rest = pl.lit(rest_of(sizes.height - MOST_CELLS))
        cell = cell.select(cell=pl.when(pl.col("cell").is_in(kept)).then("cell").otherwise(rest))
    return np.asarray(cell["cell"].to_numpy())
