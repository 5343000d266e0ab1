"""Encoded pictures to pixels, by Pillow: one size, one number of channels, whatever came in.

Turned as their EXIF data says; the first frame of several; transparent parts white; 16-bit greys
by their high byte. Resizing averages what a pixel covers (antialiasing).
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from torchyard.core.errors import BadData, BadRecord
from torchyard.core.record import from_json
from torchyard.records.schema import IMAGE_FORMATS, LARGEST_IMAGE_PIXELS
from torchyard.records.sizes import MOST_VALUES
from torchyard.records.training import HostStep

Array = np.ndarray[Any, np.dtype[Any]]

_FILTER = Image.Resampling.BILINEAR


@final
class Pictures:
    """Runs one ``decode_image`` step.

    Raises:
        BadRecord: the step's shape or options are not those of a picture.
    """

    def __init__(self, step: HostStep, *, where: str) -> None:
        where = f"{where}, field '{step.field}'"
        options = from_json(_Options, step.options, where=f"{where}, options")
        if (
            step.dtype != "uint8"
            or len(step.shape) != 3
            or min(step.shape) < 1
            or step.shape[2] not in (1, 3)
            or math.prod(step.shape) > MOST_VALUES
        ):
            raise BadRecord(
                where=where,
                found=f"{step.dtype} {list(step.shape)}",
                expected=f"uint8 [height, width, 1 or 3], at most {MOST_VALUES:,} values",
                remedy="Restore the file from its release, or export the variant again.",
            )
        self._field = step.field
        self._shape = step.shape
        self._resize = options.resize

    def __call__(self, column: Array) -> Array:
        """``uint8 [rows, height, width, channels]`` of encoded pictures ``[rows, 1]``.

        Raises:
            BadData: one of them cannot be decoded.
        """
        pixels = np.zeros((len(column), *self._shape), dtype=np.uint8)
        for row, content in enumerate(column[:, 0]):
            if content:
                where = f"field '{self._field}', row {row + 1}"
                pixels[row] = decode(content, self._shape, self._resize, where=where)
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    resize: Literal["stretch", "crop", "pad"]


def decode(content: bytes, shape: tuple[int, ...], resize: str, *, where: str) -> Array:
    """Pixels ``uint8 [height, width, channels]`` of one encoded picture.

    Raises:
        BadData: it is no picture, is damaged, or has more than ``LARGEST_IMAGE_PIXELS``.
    """
    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > LARGEST_IMAGE_PIXELS:
                raise _too_large(f"{image.width} x {image.height} pixels", where)
            upright = ImageOps.exif_transpose(image)
            sized = _sized(plain(upright, shape[2]), (shape[1], shape[0]), resize)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(str(error), where) from error
    except BadData:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise BadData(
            where=where,
            found=f"{len(content)} bytes: {_reason(error)}",
            expected="a whole PNG, JPEG, WebP, GIF, BMP, TIFF or PPM picture",
            remedy="Encode the picture again, or leave it out if the field is optional.",
        ) from error
    return np.asarray(sized, dtype=np.uint8).reshape(shape)


def plain(image: Image.Image, channels: int) -> Image.Image:
    """Grey or colour with 8 bits per channel, without transparency."""
    if image.mode.startswith(("I", "F")):
        grey = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0)
        if image.mode.startswith("I"):
            grey = np.floor(grey / 256)
        image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        colours = image.convert("RGBA")
        paper = Image.new("RGBA", colours.size, "white")
        image = Image.alpha_composite(paper, colours)
    elif image.mode in ("P", "CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _sized(image: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    if image.size == size:
        return image
    if resize == "crop":
        return ImageOps.fit(image, size, method=_FILTER)
    if resize == "pad":
        return _padded(image, size)
    return image.resize(size, _FILTER)


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``ImageOps.pad`` with black, but a very long picture keeps one pixel of its short side."""
    width, height = size
    if image.width * height > image.height * width:
        height = max(1, round(image.height / image.width * width))
    else:
        width = max(1, round(image.width / image.height * height))
    whole = Image.new(image.mode, size)
    corner = round((size[0] - width) / 2), round((size[1] - height) / 2)
    whole.paste(image.resize((width, height), _FILTER), corner)
    return whole


def _too_large(found: str, where: str) -> BadData:
    return BadData(
        where=where,
        found=found,
        expected=f"at most {LARGEST_IMAGE_PIXELS:,} pixels",
        remedy="Make the picture smaller.",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "in no format that is known"
    if "truncated" in str(error).lower():
        return "cut off"
    return "damaged"  # a decoder's own words may hold bytes of the file: whoever sent it sees this
