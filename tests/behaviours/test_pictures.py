"""Changes of a picture: the same size, as strong as they say, the same each time."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

import torchyard as ty
from tests.support.planted import Array
from torchyard.behaviours import Trial, try_behaviour
from torchyard.behaviours.pictures import SEVERITIES, change_picture
from torchyard.project.expectations import Expectation


def encoded(pixels: Array) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format="PNG")
    return written.getvalue()


def pixels_of(content: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(content)), dtype=np.float64)


def picture(*, grey: bool = False) -> bytes:
    draw = np.random.default_rng(1)
    shape = (32, 24) if grey else (32, 24, 3)
    return encoded(draw.integers(60, 180, shape).astype(np.uint8))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("name", SEVERITIES)
def test_a_corruption_keeps_the_size_and_grows_with_its_severity(name: str, grey: bool) -> None:
    before = picture(grey=grey)
    far = []
    for setting in SEVERITIES[name]:
        after = [change_picture(before, name, setting, np.random.default_rng(0)) for _ in range(2)]
        assert after[0] == after[1]
        assert pixels_of(after[0]).shape == pixels_of(before).shape
        far.append(float(np.abs(pixels_of(after[0]) - pixels_of(before)).mean()))
    assert far[0] > 1
    assert far[-1] > far[0]
    assert far == sorted(far) or name in ("pixelate", "jpeg_compression", "gaussian_blur")


def test_a_picture_is_turned_and_brightened() -> None:
    corner = np.zeros((9, 9), dtype=np.uint8)
    corner[0, 0] = 255
    draw = np.random.default_rng(0)
    turned = pixels_of(change_picture(encoded(corner), "rotate", 90, draw))
    assert turned[8, 0] == 255
    red = np.full((4, 4, 3), (100, 50, 0), dtype=np.uint8)
    brighter = pixels_of(change_picture(encoded(red), "brightness", 0.2, draw))
    assert brighter[0, 0] == pytest.approx([151, 75.5, 0], abs=1)


@pytest.mark.parametrize(
    "declared",
    [
        ty.invariant("photo", noise=0.2), ty.invariant("photo", brightness=0.3),
        ty.robust("photo", corruption="contrast", severity=5),
    ],
)  # fmt: skip
def test_a_model_that_looks_at_brightness_is_caught(declared: Expectation) -> None:
    def ask(rows: pl.DataFrame) -> Array:
        spread = np.array([pixels_of(one).std() for one in rows["photo"]])
        mean = np.array([pixels_of(one).mean() for one in rows["photo"]])
        given = ((spread > 45) | (spread < 20) | (mean > 150)) * 0.8 + 0.1
        return np.column_stack([1 - given, given])

    rows = pl.DataFrame({"photo": [picture()] * 8})
    schema = ty.Schema(photo=ty.image())
    task = ty.binary_classification("late")
    trial = Trial(rows=rows, ask=ask, task=task, schema=schema, seed=1)
    found = try_behaviour(declared.behaviour, trial)
    assert (found.rows, found.failed) == (8, 8)
    assert found.examples[0].row == {} == found.examples[0].changed
