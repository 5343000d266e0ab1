"""Texts are watched by their measures; what a log does not hold by design is not missed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tests.monitor.traffic import reference
from torchyard.data.profile import profile, profile_scores
from torchyard.monitor.drift import Judgement, Limits, compared, judge
from torchyard.monitor.reference import only_logged
from torchyard.records.schema import Field, Schema, Task

REVIEWS = Schema(fields=(Field(name="review", kind="text"),))
FILMS = ["film", "plot", "actor", "scene", "music", "story", "camera", "ending"]
THINGS = ["battery", "screen", "cable", "price", "film", "delivery", "button", "sound"]


def reviews(
    rows: int, seed: int, *, words: list[str] = FILMS, length: float = 12, letters: str = ""
) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    texts = [
        " ".join(random.choice(words, 1 + random.poisson(length))) + letters for _ in range(rows)
    ]
    return pl.DataFrame({"review": texts})


def judged(current: pl.DataFrame) -> dict[str, Judgement]:
    known = profile(reviews(3_000, seed=1), REVIEWS)
    now = profile(current, REVIEWS, reference=known)
    found = judge(compared(known, now), unseen={}, limits=Limits())
    return {item.drift.name: item for item in found}


def test_the_same_kind_of_texts_does_not_drift() -> None:
    found = judged(reviews(500, seed=2))
    names = ["review", "review characters", "review words", "review non-ASCII", "review word"]
    assert list(found) == names
    assert not any(item.drift.drifted for item in found.values())


@pytest.mark.parametrize(
    ("change", "parts", "said"),
    [
        ({"words": THINGS}, {"review word"}, "other values in 8"),
        ({"length": 30.0}, {"review characters", "review words"}, "characters, was 7"),
        ({"letters": " ça va"}, {"review non-ASCII"}, "never seen before in 100 % of rows"),
    ],
)
def test_other_texts_drift_in_what_is_other(
    change: dict[str, object], parts: set[str], said: str
) -> None:
    found = judged(reviews(500, seed=3, **change))  # type: ignore[arg-type]
    assert parts <= {name for name, item in found.items() if item.drift.drifted}
    assert any(said in item.drift.explanation for item in found.values())
    assert "unseen" not in {found[name].cause for name in parts - {"review non-ASCII"}}


def test_missing_texts_are_told_once() -> None:
    found = judged(reviews(300, seed=4).vstack(pl.DataFrame({"review": [""] * 200})))
    assert [name for name, item in found.items() if item.drift.drifted] == ["review"]
    assert found["review"].drift.explanation == "missing in 40 % of rows, was 0 %"


def test_what_is_not_logged_is_not_compared() -> None:
    fields = (
        Field(name="photo", kind="image"),
        Field(name="embedding", kind="tensor", shape=(4,)),
        Field(name="customer", kind="id"),
        Field(name="street", kind="text", personal=True),
        Field(name="age", kind="number", personal=True, allow=("log",)),
        Field(name="outcome", kind="category", later=True),
        Field(name="review", kind="text"),
    )
    kept = only_logged(replace(reference(), schema=Schema(fields=fields)))
    assert kept.schema.names == ("age", "review")


def test_answers_of_several_classes_are_compared() -> None:
    task = Task(kind="multiclass_classification", label="x", classes=("cat", "dog", "owl"))
    random = np.random.default_rng(5)
    known = profile_scores(random.dirichlet([2, 2, 2], 4_000), task)
    same = profile_scores(random.dirichlet([2, 2, 2], 800), task, reference=known)
    owls = profile_scores(random.dirichlet([2, 2, 9], 800), task, reference=known)
    for now, drifted in ((same, False), (owls, True)):
        found = judge(compared(known, now), unseen={}, limits=Limits())
        assert [item.drift.drifted for item in found] == [drifted, drifted]
    assert found[0].drift.name == "class"
    assert "'owl' in 9" in found[0].drift.explanation
