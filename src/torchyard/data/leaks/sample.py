"""A bounded sample of rows that depends on their content alone: those with the smallest digests.

Of equal rows one is kept. The sample is the same in whatever order and chunks the rows arrive.
"""

from __future__ import annotations

import polars as pl

_DIGEST = "__digest__"


class SmallestDigests:
    """Keeps the ``most`` different rows with the smallest digests."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: pl.DataFrame | None = None

    def wants(self, digests: pl.Series) -> pl.Series:
        """Which rows could enter the sample: what is costly need be made of these alone."""
        if self._kept is None or self._kept.height < self._most:
            return pl.repeat(True, len(digests), eager=True)
        return digests < int(self._kept[_DIGEST][-1])

    def add(self, frame: pl.DataFrame, digests: pl.Series) -> None:
        """Offer rows.

        Args:
            frame: what to keep of each.
            digests: UInt64 ``[rows]``.
        """
        offered = frame.with_columns(digests.alias(_DIGEST))
        if self._kept is not None:
            offered = pl.concat([self._kept, offered.filter(self.wants(digests))])
        self._kept = (
            offered.unique(_DIGEST, keep="first", maintain_order=True)
            .sort(_DIGEST)
            .head(self._most)
        )

    def rows(self) -> pl.DataFrame:
        """What was kept, by rising digest; no columns when nothing was offered."""
        return pl.DataFrame() if self._kept is None else self._kept.drop(_DIGEST)

    def digests(self) -> pl.Series:
        """Of the kept rows, ascending."""
        return pl.Series(dtype=pl.UInt64) if self._kept is None else self._kept[_DIGEST]
