"""Whether encoded pictures can be decoded."""

from __future__ import annotations

import polars as pl

from torchyard.data.reading.opened import Unreadable, opened_picture


def cannot_open(series: pl.Series, *, most_bytes: int) -> pl.Series:
    """True for present pictures that are damaged, cut off, of another format or a hostile size.

    Those of more than ``most_bytes`` are passed over: another rule sets them aside. A PNG is held
    against its checksums; what has none is decoded, a JPEG at an eighth of its size.
    """
    return pl.Series(
        [
            picture is not None and len(picture) <= most_bytes and not _opens(picture)
            for picture in series
        ],
        dtype=pl.Boolean,
    )


def _opens(content: bytes) -> bool:
    try:
        with opened_picture(content) as picture:
            if picture.format == "PNG":
                picture.verify()
            else:
                picture.draft("L", (1, 1))
                picture.load()
    except Unreadable:
        return False
    return True
