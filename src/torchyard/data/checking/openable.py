"""Whether encoded pictures can be opened. Decoding them for a model is a host step of features."""

from __future__ import annotations

import io
import warnings

import polars as pl


def cannot_open(series: pl.Series, *, most_bytes: int) -> pl.Series:
    """True for present pictures whose header is damaged, cut off, unknown or of a hostile size.

    Those of more than ``most_bytes`` are passed over: another rule sets them aside.
    Pillow opens each one and checks what its format lets it check without decoding pixels (for PNG
    every checksum; a JPEG that was cut after its header passes here and fails when decoded).
    """
    return pl.Series(
        [
            picture is not None and len(picture) <= most_bytes and not _opens(picture)
            for picture in series
        ],
        dtype=pl.Boolean,
    )


def _opens(content: bytes) -> bool:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as picture:
                picture.verify()
    except (
        OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombWarning,
        Image.DecompressionBombError,
    ):  # fmt: skip
        return False
    return True
