"""Host steps: texts to tokens and pictures to pixels, whatever comes in."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageOps
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import torchyard as ty
from tests.features.fitted import Fitted
from tests.support.rows import encoded, pictures
from torchyard.core.errors import BadData, BadProject, NotReady
from torchyard.features import pictures as decoding
from torchyard.features.host import HostSteps
from torchyard.features.pictures import decode
from torchyard.records.training import HostStep

TEXTS = ty.Schema(note=ty.text(optional=True))
NOTES = pl.DataFrame({"note": ["The cat sat.", "the CAT!", None, "", "Ünïcode cafe\u0301 the"]})
PHOTOS = ty.Schema(photo=ty.image(optional=True))

HALF = np.zeros((2, 4, 3), dtype=np.uint8)
HALF[:, 2:] = (200, 100, 50)


def png(pixels: Any, **options: Any) -> bytes:
    return encoded(Image.fromarray(np.asarray(pixels)), "PNG", **options)


def test_a_learnt_vocabulary_is_lower_case_words_and_marks_by_count() -> None:
    tokens = Fitted(TEXTS, ty.tokenize("note", length=4, vocabulary=3), NOTES)
    assert tokens.tensor.cardinality == 5
    #   "the" 3 times, "cat" twice, then "!" before "." and the others
    assert tokens.made.tolist() == [
        [2, 3, 1, 1], [2, 3, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 2, 0],
    ]  # fmt: skip


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    tokens = Fitted(TEXTS, ty.tokenize("note", length=2, vocabulary=50), NOTES)
    composed, decomposed = (tokens({"note": [word]}) for word in ("CAFÉ", "cafe\u0301"))
    assert composed.tolist() == decomposed.tolist()
    assert composed[0, 0] > 1


def tokenizer_file(folder: Path, *, left: bool = False) -> Path:
    words = ["<pad>", "[UNK]", "[CLS]", "cat", "the"]
    made = Tokenizer(models.WordLevel({w: 7 - n for n, w in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 5)]
    )
    if left:
        made.enable_padding(direction="left", pad_id=6, pad_token="[UNK]")
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_a_tokenizers_file_keeps_its_marks_and_its_padding(tmp_path: Path) -> None:
    transform = ty.tokenize("note", length=4, file=tokenizer_file(tmp_path))
    tokens = Fitted(TEXTS, transform, NOTES)
    assert tokens.tensor.cardinality == 8
    assert tokens({"note": ["the cat", "a b c d e", ""]}).tolist() == [
        [5, 3, 4, 7], [5, 6, 6, 6], [5, 7, 7, 7],
    ]  # fmt: skip
    left = ty.tokenize("note", length=3, file=tokenizer_file(tmp_path, left=True))
    assert Fitted(TEXTS, left, NOTES)({"note": ["cat"]}).tolist() == [[6, 5, 4]]


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    too_short = ty.tokenize("note", length=1, file=tokenizer_file(tmp_path))
    with pytest.raises(BadProject, match=r"x = ty.tokenize\('note'\).*own marks take 1"):
        Fitted(TEXTS, too_short, NOTES)
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(BadProject, match="a tokenizers file"):
        Fitted(TEXTS, ty.tokenize("note", length=3, file=tmp_path / "no.json"), NOTES)


def test_texts_without_a_word_are_nothing_to_learn_from() -> None:
    with pytest.raises(BadData, match=r"tokenize\('note'\)"):
        Fitted(TEXTS, ty.tokenize("note", length=2, vocabulary=9), NOTES[2:4])


def test_pixels_are_normalized_per_channel_and_missing_ones_are_zero() -> None:
    rows = pl.DataFrame({"photo": [png(HALF), None, png(HALF[:, ::-1])]})
    pixels = Fitted(PHOTOS, ty.pixels("photo", size=(2, 4)), rows)
    assert pixels.made.shape == (3, 3, 2, 4)
    assert not pixels.made[1].any()
    np.testing.assert_allclose(pixels.made[[0, 2]].mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(pixels.made[[0, 2]].std(axis=(0, 2, 3)), 1, rtol=1e-6)
    given = ty.pixels("photo", size=(2, 4), channels=1, mean=[0.5], deviation=[0.25])
    grey = Fitted(PHOTOS, given, pl.DataFrame({"photo": [png(np.full((2, 4), 51, np.uint8))]}))
    np.testing.assert_allclose(grey.made, (51 / 255 - 0.5) / 0.25, rtol=1e-6)


def test_a_constant_channel_has_deviation_1() -> None:
    flat = np.zeros((2, 2, 3), dtype=np.uint8) + np.array([10, 20, 30], dtype=np.uint8)
    pixels = Fitted(PHOTOS, ty.pixels("photo", size=(2, 2)), pl.DataFrame({"photo": [png(flat)]}))
    np.testing.assert_allclose(pixels.made, 0, atol=1e-7)


def made(content: bytes, size: tuple[int, int], channels: int = 3, resize: str = "stretch") -> Any:
    return decode(content, (*size, channels), resize, where="here")


def test_resizing_stretches_crops_or_pads() -> None:
    content = png(HALF)
    assert made(content, (2, 4)).tolist() == HALF.tolist()
    assert made(content, (2, 2))[0, :, 0].tolist() == made(content, (2, 2))[1, :, 0].tolist()
    crop = made(content, (2, 2), resize="crop")
    assert crop[:, :, 0].tolist() == [[0, 200], [0, 200]]
    pad = made(content, (4, 4), resize="pad")
    assert not pad[0].any()
    assert not pad[3].any()
    assert pad[1:3].tolist() == HALF.tolist()


@pytest.mark.parametrize("size", [(1, 9_000), (9_000, 1)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_very_long_picture_is_a_picture(size: tuple[int, int], resize: str) -> None:
    assert made(encoded(Image.new("RGB", size, "red"), "PNG"), (3, 4), resize=resize).any()


@pytest.mark.parametrize("size", [(7, 5), (5, 7), (4, 6), (3, 50), (100, 41)])
def test_padding_is_what_its_library_calls_so(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 60).convert("RGB")
    padded = ImageOps.pad(image, (8, 12), method=Image.Resampling.BILINEAR, color=0)
    assert made(encoded(image, "PNG"), (12, 8), resize="pad").tolist() == np.array(padded).tolist()


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (16, 8))
    shrunk = made(png(stripes), (2, 2), 1)
    assert abs(int(shrunk.mean()) - 127) <= 1


@pytest.mark.parametrize(
    ("image", "grey"),
    [
        (Image.new("1", (2, 2), 1), 255),
        (Image.new("L", (2, 2), 7), 7),
        (Image.new("LA", (2, 2), (7, 0)), 255),
        (Image.new("RGBA", (2, 2), (7, 7, 7, 255)), 7),
        (Image.new("RGBA", (2, 2), (7, 7, 7, 0)), 255),
        (Image.fromarray(np.full((2, 2), 0x1234, np.uint16)), 0x12),
        (Image.fromarray(np.full((2, 2), 0x1234, np.int32)), 0x12),
        (Image.fromarray(np.full((2, 2), 300.0, np.float32)), 255),
    ],
)
def test_every_mode_becomes_grey_or_colour(image: Image.Image, grey: int) -> None:
    content = encoded(image, "TIFF")
    assert made(content, (2, 2), 1).tolist() == [[[grey]] * 2] * 2
    assert made(content, (2, 2), 3).tolist() == [[[grey] * 3] * 2] * 2


def test_a_palette_with_a_transparent_colour_lies_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert made(encoded(image, "PNG", transparency=0), (1, 2)).tolist() == [
        [[255, 255, 255], [0, 0, 255]]
    ]


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    assert made(png(HALF, exif=exif), (4, 2))[:, :, 0].tolist() == [
        [0, 0],
        [0, 0],
        *[[200] * 2] * 2,
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_every_sample_picture_decodes_the_same_twice(channels: int) -> None:
    for content in pictures():
        first, second = (made(content, (3, 5), channels, "crop") for _ in range(2))
        assert first.tobytes() == second.tobytes()
        assert first.shape == (3, 5, channels)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no picture", "in no format that is known"),
        (png(HALF)[:40], "here: found 40 bytes"),
        (encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:-200], "cut off"),
        (png(HALF)[:-30] + b"\0" * 30, "expected a whole PNG, JPEG"),
    ],
)
def test_a_broken_picture_is_refused_with_the_reason(content: bytes, said: str) -> None:
    with pytest.raises(BadData, match=said):
        made(content, (2, 2))


def test_a_picture_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGEST_IMAGE_PIXELS", 7)
    with pytest.raises(BadData, match=r"4 x 2 pixels.*expected at most 7 pixels"):
        made(png(HALF), (2, 2))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    with pytest.raises(BadData, match="expected at most 7 pixels"):
        made(png(HALF), (2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
        with pytest.raises(BadData, match="4 x 2 pixels"):
            made(png(HALF), (2, 2))


@pytest.mark.parametrize(
    ("operation", "library", "extra"),
    [("tokenize", "tokenizers", "text"), ("decode_image", "PIL", "image")],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, operation: Any, library: str, extra: str
) -> None:
    step = HostStep(
        output="host/x", field="f", operation=operation, dtype="int64", shape=(1,), options={}
    )
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "torchyard.features.tokens", raising=False)
    monkeypatch.delitem(sys.modules, "torchyard.features.pictures", raising=False)
    with pytest.raises(NotReady, match=rf"pip install 'torchyard\[{extra}\]'"):
        HostSteps([step], where="model.onnx")


def test_the_sample_pictures_are_pictures() -> None:
    assert len({Image.open(io.BytesIO(content)).mode for content in pictures()}) >= 6
