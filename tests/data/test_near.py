"""Near duplicates are found beside their sketches' arithmetic; different texts and pictures not."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchyard as ty
from torchyard.data.fingerprint import mixed
from torchyard.data.leaks import find_leaks, near
from torchyard.data.leaks.parted import TEST, TRAIN, VALIDATION
from torchyard.data.leaks.sketch import (
    picture_bands,
    picture_hash,
    resemblance,
    text_bands,
    text_sketches,
)
from torchyard.data.rules import Checks
from torchyard.data.split import fit_splitter
from torchyard.records.dataset import Finding
from torchyard.records.schema import Schema

GOOD = ty.binary_classification("good")
SPLIT = ty.split_by_column("part")
PART = ty.category(["train", "validation", "test"], later=True)
WORDS = [f"{a}{b}{c}" for a in ("mor", "ka", "vel") for b in ("ti", "lun", "so") for c in "abcdef"]


def sentences(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, 12)) for _ in range(count)]


def pictures(count: int, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Smooth random pictures of 36 by 32 pixels."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 9), dtype=np.uint8)
    return [np.kron(picture, np.ones((4, 4), dtype=np.uint8)) for picture in coarse]


def encoded(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], kind: str = "PNG") -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def table(values: list[str] | list[bytes], column: str) -> pl.DataFrame:
    random = np.random.default_rng(1)
    return pl.DataFrame(
        {
            column: values,
            "part": random.choice(["train", "validation", "test"], len(values), p=[0.6, 0.2, 0.2]),
            "good": random.random(len(values)) < 0.5,
        }
    )


def leaks(frame: pl.DataFrame, schema: Schema) -> tuple[Finding, ...]:
    def chunks() -> Iterator[pl.DataFrame]:
        return frame.iter_slices(300)

    splitter = fit_splitter(SPLIT, GOOD, schema, chunks)
    return find_leaks(chunks, splitter, schema, GOOD, SPLIT, Checks())


def copied(frame: pl.DataFrame, column: str, values: list[str] | list[bytes]) -> pl.DataFrame:
    """The frame and changed copies of its first test rows, for training."""
    test = frame.filter(pl.col("part") == "test").head(len(values))
    copies = test.with_columns(pl.Series(column, values), part=pl.lit("train"))
    return pl.concat([frame, copies])


def test_texts_with_few_edits_are_found() -> None:
    frame = table(sentences(1500), "words")
    firsts = frame.filter(pl.col("part") == "test")["words"].head(60)
    edited = [f"{text.upper()}  {text[:3]}" for text in firsts]
    (found,) = leaks(copied(frame, "words", edited), ty.Schema(words=ty.text(), part=PART))
    assert (found.field, found.rule) == ("words", "has near duplicates in train and test")
    assert (found.severity, found.rows) == ("warn", 60)
    assert found.rows_checked == (frame["part"] == "test").sum()
    assert len(found.examples) == 5
    assert " beside '" in found.examples[0]
    assert "80% of their runs of 5 characters are the same" in found.meaning
    assert "ty.split_by_group(...)" in found.meaning


@pytest.mark.parametrize("seed", range(3))
def test_texts_from_the_same_words_are_not_near(seed: int) -> None:
    assert leaks(table(sentences(1500, seed), "words"), ty.Schema(words=ty.text(), part=PART)) == ()


def test_short_and_template_texts_repeat_by_nature() -> None:
    for text in ("fine", "Your parcel number {} has been sent today, thank you for buying"):
        frame = table([f"{text.format(n)}{n}" for n in range(1500)], "words")
        assert leaks(frame, ty.Schema(words=ty.text(), part=PART)) == ()


def test_pictures_encoded_anew_are_found() -> None:
    made = pictures(700)
    frame = table([encoded(pixels) for pixels in made], "photo")
    again = [encoded(made[row], "JPEG") for row in (frame["part"] == "test").arg_true().head(30)]
    (found,) = leaks(copied(frame, "photo", again), ty.Schema(photo=ty.image(), part=PART))
    assert (found.field, found.rule) == ("photo", "has near duplicates in train and test")
    assert 25 <= found.rows <= 30
    assert "photo with difference hash " in found.examples[0]
    assert "at most 3 of 64 bits apart" in found.meaning


def test_different_plain_and_damaged_pictures_are_not_near() -> None:
    values = [encoded(pixels) for pixels in pictures(400)]
    plain = encoded(np.full((20, 20), 90, dtype=np.uint8))
    values += [plain, encoded(np.full((30, 30), 91, dtype=np.uint8)), b"no picture"] * 60
    values = [value + bytes([n % 256, n // 256]) for n, value in enumerate(values)]
    assert leaks(table(values, "photo"), ty.Schema(photo=ty.image(), part=PART)) == ()
    assert picture_hash(plain) is None
    assert picture_hash(b"no picture") is None


def test_a_sample_of_training_rows_scales_the_share_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    small = dataclasses.replace(near.KINDS["text"], most={TRAIN: 300, VALIDATION: 200, TEST: 200})
    monkeypatch.setitem(near.KINDS, "text", small)
    frame = table(sentences(1500), "words")
    firsts = frame.filter(pl.col("part") == "test")["words"]
    edited = [f"{text} {text[:3]}" for text in firsts]
    found = leaks(copied(frame, "words", edited), ty.Schema(words=ty.text(), part=PART))[-1]
    assert found.rows_checked == 200
    assert 20 < found.rows < 80  # about a quarter of the training rows were looked at
    share = float(found.meaning.split()[1].rstrip("%"))
    assert share > 60
    assert "% of the training rows)" in found.meaning


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=5, max_size=40), min_size=1, max_size=6))
def test_sketches_are_those_of_the_plain_form(texts: list[str]) -> None:
    assert text_sketches(texts).tolist() == [plain_sketch(text) for text in texts]


def plain_sketch(text: str) -> list[int]:
    """One-permutation MinHash over runs of five characters, an empty bin as the next full one."""
    least: dict[int, int] = {}
    for at in range(len(text) - 4):
        shingle = 0
        for character in text[at : at + 5]:
            shingle = (shingle * 0x9E3779B97F4A7C15 + ord(character)) % 2**64
        value = int(mixed(np.array([shingle], dtype=np.uint64))[0])
        least[value >> 58] = min(value % 2**58, least.get(value >> 58, 2**58))
    made = []
    for place in range(64):
        away = next(step for step in range(64) if (place + step) % 64 in least)
        made.append(least[(place + away) % 64] + away * (2**58 + 1))
    return [value % 2**64 for value in made]


def test_the_estimate_is_near_on_average_and_close_texts_share_a_bucket() -> None:
    texts = sentences(300)
    edited = [f"{text} {text[:6]}" for text in texts]
    one, other = text_sketches(texts), text_sketches(edited)
    true = [resemblance(*pair) for pair in zip(texts, edited, strict=True)]
    assert float((one == other).mean()) == pytest.approx(float(np.mean(true)), abs=0.02)
    assert min(true) > 0.85
    assert (text_bands(one) == text_bands(other)).any(axis=1).all()
    assert (text_bands(one) == text_bands(np.roll(other, 1, axis=0))).any(axis=1).mean() < 0.2


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=3))
def test_hashes_three_bits_apart_share_a_bucket(value: int, flipped: set[int]) -> None:
    other = value ^ sum(1 << bit for bit in flipped)
    bands = picture_bands(np.array([value, other], dtype=np.uint64))
    assert (bands[0] == bands[1]).any()


def test_lookup_compares_a_bounded_number_of_rows_per_bucket() -> None:
    bands = np.zeros((1000, 1), dtype=np.uint64)
    compared = []

    def alike(
        rows: np.ndarray[tuple[int], np.dtype[np.int64]],
        met: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        compared.append(len(rows))
        return np.equal(met, 5)

    found = near.lookup(bands, np.arange(100, 200), np.arange(100), alike)
    assert found.tolist() == [5] * 100
    assert sum(compared) == 600
    assert near.lookup(bands, np.arange(1), np.arange(0), alike).tolist() == [-1]
