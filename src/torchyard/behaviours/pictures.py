"""Changes of an encoded picture, and corruptions as Hendrycks and Dietterich 2019 name them.

Severities 1 to 5 have the settings that its authors chose for ImageNet's pictures of 224 pixels; a
smaller picture suffers more from those in pixels (blur). The new picture is a PNG, which loses
nothing, but for what compresses as JPEG.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from torchyard.features.pictures import plain
from torchyard.records.schema import IMAGE_FORMATS

Shares = npt.NDArray[np.float64]

# arXiv:1903.12261, section 4.1; the numbers are those of the authors' ImageNet-C
SEVERITIES: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": (60, 25, 12, 5, 3),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": (25, 18, 15, 10, 7),
}
_GREY_MODES = ("1", "L", "I;16", "I", "F")


def change_picture(content: bytes, name: str, by: float, draw: np.random.Generator) -> bytes:
    """An encoded picture, changed.

    Args:
        content: a picture that the schema accepts.
        name: a corruption, or a change of ``ty.invariant``: noise, rotate, brightness, blur, jpeg.
        by: how much, in the unit of that change; see ``SEVERITIES`` for those of a corruption.
        draw: for noise.
    """
    with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as opened:
        upright = ImageOps.exif_transpose(opened)
        image = plain(upright, 1 if upright.mode in _GREY_MODES else 3)
    if name in ("jpeg", "jpeg_compression"):
        return _encoded(image, format="JPEG", quality=int(by))
    if name in _OF_IMAGES:
        return _encoded(_OF_IMAGES[name](image, by), format="PNG")
    shares = _OF_SHARES[name](np.asarray(image, dtype=np.float64) / 255.0, by, draw)
    pixels = np.round(np.clip(shares, 0.0, 1.0) * 255.0).astype(np.uint8)
    return _encoded(Image.fromarray(pixels), format="PNG")


def _encoded(image: Image.Image, **how: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, **how)
    return written.getvalue()


def _rotated(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, resample=Image.Resampling.BILINEAR)


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _pixelated(image: Image.Image, share: float) -> Image.Image:
    small = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)


def _gaussian_noise(shares: Shares, deviation: float, draw: np.random.Generator) -> Shares:
    return shares + draw.normal(scale=deviation, size=shares.shape)


def _shot_noise(shares: Shares, photons: float, draw: np.random.Generator) -> Shares:
    counted: Shares = draw.poisson(shares * photons) / photons
    return counted


def _impulse_noise(shares: Shares, share: float, draw: np.random.Generator) -> Shares:
    """Salt and pepper, half each."""
    fate = draw.random(shares.shape)
    return np.where(fate < share / 2, 0.0, np.where(fate < share, 1.0, shares))


def _brighter(shares: Shares, by: float, _: np.random.Generator) -> Shares:
    """The value of a colour (of HSV) is raised, its hue and saturation stay."""
    value = shares.max(axis=2, keepdims=True) if shares.ndim == 3 else shares
    raised = np.clip(value + by, 0.0, 1.0)
    ratio = np.divide(raised, value, out=np.zeros_like(value), where=value > 0)
    return np.where(value > 0, shares * ratio, raised)


def _contrast(shares: Shares, share: float, _: np.random.Generator) -> Shares:
    mean = shares.mean(axis=(0, 1), keepdims=True)
    faded: Shares = (shares - mean) * share + mean
    return faded


_OF_IMAGES: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "rotate": _rotated,
    "blur": _blurred,
    "gaussian_blur": _blurred,
    "pixelate": _pixelated,
}
_OF_SHARES: dict[str, Callable[[Shares, float, np.random.Generator], Shares]] = {
    "noise": _gaussian_noise,
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "brightness": _brighter,
    "contrast": _contrast,
}
