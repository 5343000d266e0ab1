"""What the words for features refuse, and what of each other they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject
from torchyard.project.references import check_transform

SCHEMA = ty.Schema(
    fare=ty.number(),
    when=ty.timestamp(),
    carrier=ty.category(),
    note=ty.text(),
    photo=ty.image(),
    sensor=ty.tensor((2,)),
    born=ty.number(personal=True),
    age=ty.number(personal=True, allow=["feature"]),
    paid=ty.number(later=True),
)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (ty.standardize, r"ty.standardize\(...\): found no inputs"),
        (lambda: ty.quantile("fare", points=1), "points=1; expected at least 2"),
        (lambda: ty.clip("fare"), "low=None.*at least one bound"),
        (lambda: ty.clip("fare", low=1, low_share=0.1), "for each side a value or a share"),
        (lambda: ty.clip("fare", low=2, high=2), "a lower bound 2 that is not below 2"),
        (lambda: ty.clip("fare", high_share=1.5), "a share of 1.5"),
        (lambda: ty.impute("fare", value="mode"), "value='mode'"),  # type: ignore[arg-type]
        (lambda: ty.elapsed("when", "when", unit="years"), "unit='years'"),  # type: ignore[arg-type]
        (lambda: ty.calendar_time("when"), r"parts \[\]"),
        (lambda: ty.calendar_time("when", "century"), r"parts \['century'\]"),
        (lambda: ty.cyclic_time("when", "minute"), r"some of \['hour'"),  # type: ignore[arg-type]
        (lambda: ty.bucket("fare"), "edges=None, buckets=None"),
        (lambda: ty.bucket("fare", edges=[1, 1]), r"edges=\[1, 1\]"),
        (lambda: ty.bucket("fare", edges=[]), r"edges=\[\]"),
        (lambda: ty.bucket("fare", buckets=1), "buckets=1; expected at least 2"),
        (lambda: ty.lookup("carrier", min_count=0), "min_count=0"),
        (lambda: ty.hash_bucket("carrier", buckets=1), "buckets=1"),
        (lambda: ty.cross(ty.lookup("carrier")), "1 inputs; expected two or more"),
        (lambda: ty.multi_hot("carrier", separator=""), "separator=''"),
        (lambda: ty.tokenize("note", length=0, vocabulary=9), "length=0"),
        (lambda: ty.tokenize("note", length=9), "vocabulary=None, file=None"),
        (lambda: ty.tokenize("note", length=9, vocabulary=0), "vocabulary=0"),
        (lambda: ty.tokenize("note", length=9, file="absent.json"), "absent.json: .*No such file"),
        (lambda: ty.pixels("photo", size=(0, 2)), "height=0"),
        (lambda: ty.pixels("photo", size=(2, 2), mean=[0.5]), r"mean=\[0.5\] for 3 channels"),
        (lambda: ty.pixels("photo", size=(2, 2), deviation=[1, 0, 1]), "deviations above 0"),
        (lambda: ty.pixels("photo", size=(2, 2), channels=2), "channels=2"),  # type: ignore[arg-type]
    ],
)
def test_impossible_words_are_refused(write: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadProject, match=said):
        write()


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (ty.standardize("carrier"), "field 'carrier', a category"),
        (ty.standardize(ty.lookup("carrier")), r"ty.lookup\(...\) inside ty.standardize"),
        (ty.elapsed("when", "fare"), "'fare', a number"),
        (ty.bucket(ty.calendar_time("when", "day", "hour"), buckets=2), "2 numbers inside"),
        (ty.bucket(ty.numbers("fare", ty.elapsed("when", "when")), buckets=2), "2 numbers"),
        (ty.cross(ty.lookup("carrier"), ty.standardize("fare")), r"ty.standardize\(...\) inside"),
        (ty.tokenize("carrier", length=2, vocabulary=9), "'carrier', a category"),
        (ty.passthrough("photo"), "'photo', an image"),
        (ty.numbers("born"), "'born', which is personal.*allow="),
        (ty.log(ty.clip("paid", low=0)), "'paid', which is declared later=True"),
    ],
)
def test_transforms_take_what_fits(transform: Any, said: str) -> None:
    with pytest.raises(BadProject, match=said):
        check_transform(transform, SCHEMA, "features: x")


@pytest.mark.parametrize(
    "transform",
    [
        ty.standardize(ty.log(ty.impute("fare")), ty.calendar_time("when", "hour"), "age"),
        ty.bucket(ty.elapsed("when", "when"), buckets=3),
        ty.cross(
            ty.lookup("carrier"), ty.cross(ty.bucket("fare", edges=[1]), ty.lookup("carrier"))
        ),
    ],
)
def test_transforms_nest(transform: Any) -> None:
    check_transform(transform, SCHEMA, "features: x")


def test_a_tokenizers_file_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": "ü"}', encoding="utf-8")
    transform = ty.tokenize("note", length=3, file=tmp_path / "tokenizer.json")
    assert transform.options["tokenizer"] == '{"model": "ü"}'
    (tmp_path / "tokenizer.json").write_bytes(b"\xff")
    with pytest.raises(BadProject, match="expected a tokenizers file"):
        ty.tokenize("note", length=3, file=tmp_path / "tokenizer.json")
