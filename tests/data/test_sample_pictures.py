"""Pictures are measured on a sample that no order of rows, chunks or merges changes."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from torchyard.data.fingerprint import mixed
from torchyard.data.profile import Profiler, profile
from torchyard.data.profiling.pictures import PictureMeasures, PictureSample, measure_picture
from torchyard.records.dataset import FieldProfile
from torchyard.records.schema import Field, Schema

SCHEMA = Schema(fields=(Field(name="photo", kind="image"),))


def encoded(width: int, height: int, *, grey: int = 0, mode: str = "L", form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), (grey, grey, grey) if mode == "RGB" else grey).save(
        stream, format=form
    )
    return stream.getvalue()


def part(field: FieldProfile, name: str) -> FieldProfile:
    return next(item for item in field.parts if item.name == name)


def test_a_picture_is_measured() -> None:
    assert measure_picture(encoded(3, 2, grey=51)) == PictureMeasures(
        width=3, height=2, mode="L", brightness=0.2
    )
    large = measure_picture(encoded(2_000, 1_500, grey=255, mode="RGB", form="JPEG"))
    assert (large.width, large.height, large.mode) == (2_000, 1_500, "RGB")
    assert large.brightness == pytest.approx(1.0, abs=0.01)


def noise() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content", [b"no picture", noise()[:900], noise()[:20]], ids=["text", "half", "header"]
)
def test_a_damaged_picture_is_counted_as_one(content: bytes) -> None:
    assert measure_picture(content) == PictureMeasures()


def test_a_picture_of_a_hostile_size_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchyard.data.reading.opened.LARGEST_IMAGE_PIXELS", 100)
    assert measure_picture(encoded(11, 11)) == PictureMeasures()
    assert measure_picture(encoded(30, 30)) == PictureMeasures()
    assert measure_picture(encoded(10, 10)).width == 10


def pictures(many: int) -> tuple[pl.Series, np.ndarray]:
    content = [encoded(1 + n % 7, 1 + n % 5, grey=n % 256) for n in range(many)]
    return pl.Series(content, dtype=pl.Binary), mixed(np.arange(many, dtype=np.uint64))


def test_the_sample_is_the_same_whatever_the_order() -> None:
    content, digests = pictures(60)
    whole = PictureSample(10)
    whole.update(content, digests)
    shuffled = PictureSample(10)
    for some in np.array_split(np.random.default_rng(1).permutation(60), 7):
        shuffled.update(content.gather(some), digests[some])
    one, other = PictureSample(10), PictureSample(10)
    one.update(content.head(40), digests[:40])
    other.update(content.tail(40), digests[20:])
    one.merge(other)
    assert whole.measures().height == 10
    assert whole.measures().equals(shuffled.measures())
    assert whole.measures().equals(one.measures())


def test_only_pictures_of_the_sample_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content, digests = pictures(200)
    decoded: list[bytes] = []

    def counting(picture: bytes) -> PictureMeasures:
        decoded.append(picture)
        return PictureMeasures()

    monkeypatch.setattr("torchyard.data.profiling.pictures.measure_picture", counting)
    sample = PictureSample(10)
    for start in range(0, 200, 20):
        sample.update(content[start : start + 20], digests[start : start + 20])
    assert 10 <= len(decoded) <= 60  # about 10 * (1 + ln 10) = 33


def test_pictures_have_parts() -> None:
    small, wide = encoded(4, 4, grey=255), encoded(9, 2)
    rows = pl.DataFrame({"photo": pl.Series([small, wide, wide, b"x", b"", None], dtype=pl.Binary)})
    made = profile(rows, SCHEMA).fields[0]
    assert (made.rows, made.missing, made.distinct) == (6, 2, 3)
    assert part(made, "bytes").rows == 4
    assert part(made, "bytes").maximum == max(len(small), len(wide))
    assert (part(made, "width").minimum, part(made, "width").maximum) == (4, 9)
    assert part(made, "width").missing == 1
    assert dict(zip(part(made, "mode").values, part(made, "mode").counts, strict=True)) == {
        "L": 2, "unreadable": 1,
    }  # fmt: skip
    assert part(made, "brightness").maximum == 1.0
    halves = [Profiler(SCHEMA), Profiler(SCHEMA)]
    halves[0].update(rows.head(2))
    halves[1].update(rows.tail(4))
    halves[0].merge(halves[1])
    assert part(halves[0].result().fields[0], "width") == part(made, "width")
