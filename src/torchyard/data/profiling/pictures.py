"""A sample of pictures, the same whatever the order of rows and chunks, and what they look like.

The pictures with the smallest digests are the sample: a uniform one of the different pictures that
two parts of the data agree on. Only pictures of the sample are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from torchyard.data.reading.opened import Unreadable, opened_picture

SAMPLE = 256
_ENOUGH_PIXELS = 256  # to a side


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMeasures:
    """One picture: size in pixels, Pillow's mode (``L``, ``RGB``, ...), mean brightness 0 to 1.

    A picture that cannot be read has the mode ``unreadable`` and no numbers.
    """

    width: int | None = None
    height: int | None = None
    mode: str = "unreadable"
    brightness: float | None = None


class PictureSample:
    """The measures of at most ``most`` different pictures."""

    def __init__(self, most: int = SAMPLE) -> None:
        self._most = most
        self._measured: dict[int, PictureMeasures] = {}

    def update(self, pictures: pl.Series, digests: npt.NDArray[np.uint64]) -> None:
        """Add encoded pictures (Binary, none missing) with their digests."""
        first: dict[int, int] = {}
        for place in np.argsort(digests, kind="stable").tolist():
            if len(first) >= self._most:
                break
            first.setdefault(int(digests[place]), place)
        kept = sorted({*self._measured, *first})[: self._most]
        self._measured = {
            digest: self._measured[digest]
            if digest in self._measured
            else measure_picture(pictures[first[digest]])
            for digest in kept
        }

    def merge(self, other: PictureSample) -> None:
        """Add another sample of the same size."""
        both = {**self._measured, **other._measured}
        self._measured = {digest: both[digest] for digest in sorted(both)[: self._most]}

    def measures(self) -> pl.DataFrame:
        """``width``, ``height``, ``mode``, ``brightness`` of the sample, one row per picture."""
        found = list(self._measured.values())
        return pl.DataFrame(
            {
                "width": [one.width for one in found],
                "height": [one.height for one in found],
                "mode": [one.mode for one in found],
                "brightness": [one.brightness for one in found],
            },
            schema={
                "width": pl.Int64,
                "height": pl.Int64,
                "mode": pl.String,
                "brightness": pl.Float64,
            },
        )


def measure_picture(content: bytes) -> PictureMeasures:
    """Decode a picture and measure it; brightness is the mean of its grey values over 255.

    A JPEG is decoded at a smaller scale where it has more than 256 pixels to a side, which is many
    times faster and leaves its mean as it is. A picture of a hostile size is not decoded.
    """
    try:
        with opened_picture(content) as picture:
            (width, height), mode = picture.size, picture.mode
            picture.draft("L", (_ENOUGH_PIXELS, _ENOUGH_PIXELS))
            grey = np.asarray(picture.convert("L"), dtype=np.float64)
    except Unreadable:
        return PictureMeasures()
    return PictureMeasures(
        width=width, height=height, mode=mode, brightness=float(grey.mean() / 255)
    )
