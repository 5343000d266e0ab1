"""What passes as a picture can be decoded for a model, and no file brings the check down."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.support.rows import encoded, pictures
from torchyard.core.errors import BadData
from torchyard.data.checking.openable import cannot_open
from torchyard.data.reading.opened import Unreadable, opened_picture
from torchyard.features.pictures import decode

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))


def is_refused(content: bytes) -> bool:
    return bool(cannot_open(pl.Series([content]), most_bytes=1 << 20)[0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_a_picture_that_was_cut_off_is_refused_in_every_format(kind: str) -> None:
    whole = encoded(NOISE, kind)
    assert not is_refused(whole)
    assert is_refused(whole[: len(whole) // 2])


def test_formats_that_may_run_a_program_are_refused() -> None:
    content = encoded(NOISE, "EPS")
    assert is_refused(content)
    with pytest.raises(BadData, match="no format that is known"):
        decode(content, (2, 2, 3), "stretch", where="here")


def test_whatever_a_decoder_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise RuntimeError("missing item")

    monkeypatch.setattr(Image, "open", stumble)
    assert is_refused(b"a picture of some kind")
    with pytest.raises(Unreadable, match="missing item"), opened_picture(b""):
        pass


def test_what_passes_can_be_decoded() -> None:
    draw = random.Random(0)
    whole = [*pictures(), encoded(NOISE, "TIFF"), encoded(NOISE, "WEBP")]
    passed = 0
    for _ in range(400):
        content = bytearray(draw.choice(whole))
        for _ in range(draw.choice([0, 1, 3])):
            content[draw.randrange(len(content))] = draw.randrange(256)
        damaged = bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
        if damaged and not is_refused(damaged):
            decode(damaged, (3, 4, 3), "pad", where="here")
            passed += 1
    assert passed > 50
