"""The most frequent texts of any number of them in constant memory.

Misra and Gries 1982 in the mergeable form of Agarwal et al. 2012, "Mergeable summaries": when more
than ``capacity`` texts are counted, the next largest count is taken off every count and texts that
fall to nothing are forgotten.
"""

from __future__ import annotations

import polars as pl

DEFAULT_CAPACITY = 4096


class FrequentTexts:
    """Counts of the most frequent texts; exact while at most ``capacity`` different ones came.

    A count is never too large, and too small by at most ``error``, which is at most
    ``rows / (capacity + 1)``: so every text that is more frequent than that is kept.

    Example:
        >>> frequent = FrequentTexts()
        >>> frequent.update(pl.DataFrame({"value": ["a", "b"], "rows": [3, 1]}))
        >>> frequent.top(1), frequent.error
        ({'a': 3}, 0)
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._counts = pl.DataFrame(schema={"value": pl.String, "rows": pl.Int64})
        self.error = 0

    @property
    def kept(self) -> int:
        """Texts in memory."""
        return self._counts.height

    def update(self, tally: pl.DataFrame) -> None:
        """Add a chunk's counts: ``value`` (each once) and ``rows``, as ``tally_of`` makes them."""
        tally = tally.select("value", pl.col("rows").cast(pl.Int64))
        if self._counts.height:
            tally = pl.concat([self._counts, tally]).group_by("value").agg(pl.col("rows").sum())
        if tally.height > self._capacity:
            excess = int(tally["rows"].top_k(self._capacity + 1).to_numpy().min())
            self.error += excess
            tally = tally.with_columns(pl.col("rows") - excess).filter(pl.col("rows") > 0)
        self._counts = tally

    def merge(self, other: FrequentTexts) -> None:
        """Add what another sketch of the same capacity has counted."""
        self.error += other.error
        self.update(other._counts)

    def top(self, most: int, *, at_least: int = 1) -> dict[str, int]:
        """The most frequent texts with their counts, falling, ties by name."""
        counts = self._counts.filter(pl.col("rows") >= at_least)
        ordered = counts.sort("rows", "value", descending=[True, False]).head(most)
        return {str(value): int(rows) for value, rows in ordered.iter_rows()}


def tally_of(texts: pl.Series) -> pl.DataFrame:
    """Each different text (``value``) and how often it occurs (``rows``), in no order."""
    return texts.alias("value").value_counts(name="rows")
