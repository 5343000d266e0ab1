"""Encoded pictures, opened to be looked at. Decoding one for a model is a host step of features."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchyard.records.schema import IMAGE_FORMATS, LARGEST_IMAGE_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image


class Unreadable(Exception):
    """A picture that is damaged, cut off, of another format or of a hostile size."""


@contextmanager
def opened_picture(content: bytes) -> Iterator[Image]:
    """A picture by its header; its pixels are decoded when they are asked for.

    Raises:
        Unreadable: it cannot be opened, or what is done with it inside fails.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hostile sizes, which follow, and damaged remarks
            with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as picture:
                if picture.width * picture.height > LARGEST_IMAGE_PIXELS:
                    raise Unreadable(f"{picture.width} x {picture.height} pixels")
                yield picture
    except Unreadable:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise Unreadable(str(error)) from error
