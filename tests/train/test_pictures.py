from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image

from torchyard.records.evidence import ReliabilityBin
from torchyard.records.training import Epoch
from torchyard.train.pictures import MOST_CLASSES, draw_confusion, draw_curve, draw_reliability

CURVE = [
    Epoch(number=number, train_loss=0.7 / number, validation_loss=0.8 / number, seconds=1.0)
    for number in range(1, 6)
]
BINS = [
    ReliabilityBin(rows=100 * place, predicted=place / 10, observed=place / 11)
    for place in range(1, 10)
]
COUNTS = np.array([[90, 10], [30, 70]])


def pixels(picture: bytes) -> Any:
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert draw_curve(CURVE, best_epoch=5) == draw_curve(CURVE, best_epoch=5)
    assert draw_curve(CURVE, best_epoch=5) != draw_curve(CURVE, best_epoch=4)
    assert draw_reliability(BINS) == draw_reliability(BINS)
    assert draw_reliability(BINS) != draw_reliability(BINS[:-1])
    assert draw_confusion(COUNTS, ["a", "b"]) == draw_confusion(COUNTS, ["a", "b"])
    assert draw_confusion(COUNTS, ["a", "b"]) != draw_confusion(COUNTS.T, ["a", "b"])


@pytest.mark.parametrize("name", ["$x^", "$\\frac{", "日本語", "a\nb", "%s", "<b>", "x" * 500, ""])
def test_a_class_may_be_called_anything(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = draw_confusion(COUNTS, [name, "other"], of="validation")
        draw_reliability(BINS, whose=f"of '{name}'")
    assert max(pixels(picture).shape) < 1500


def test_many_classes_are_those_that_are_mistaken_most() -> None:
    classes = [f"class {number}" for number in range(50)]
    counts = np.eye(50, dtype=np.int64) * 10
    counts[7, 33] = 5
    wide = pixels(draw_confusion(counts, classes))
    assert max(wide.shape) < 2000
    # what is left out changes nothing: a class without mistakes, and its right answers
    counts[49, 49] = 99
    assert (pixels(draw_confusion(counts, classes)) == wide).all()
    counts[7, 33] = 9
    assert not np.array_equal(pixels(draw_confusion(counts, classes)), wide)
    assert MOST_CLASSES < 50


def test_a_class_without_rows_and_a_single_epoch_can_be_drawn() -> None:
    draw_confusion(np.array([[0, 0], [1, 2]]), ["a", "b"])
    draw_curve(CURVE[:1], best_epoch=1)
    draw_reliability([])


def test_drawing_leaves_no_figure_behind() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw_curve(CURVE, best_epoch=1)
    assert dict(mpl.rcParams) == before


def test_a_diagram_of_numbers_has_their_scale_and_no_rates() -> None:
    bins = [ReliabilityBin(rows=9, predicted=p, observed=p - 30.0) for p in (10.0, 400.0)]
    drawn = draw_reliability(bins, whose="price", is_numeric=True)
    assert drawn != draw_reliability(bins[:1], whose="price", is_numeric=True)
    assert draw_reliability([], is_numeric=True).startswith(b"\x89PNG")
