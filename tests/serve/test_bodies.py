"""The compiled answer is the plain one, for every kind of task and any names of classes."""

from __future__ import annotations

import gc
import weakref

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchyard.records.schema import Task
from torchyard.release import Release
from torchyard.serve.abstaining import Abstained, JudgedScores
from torchyard.serve.engine import open_engine
from torchyard.serve.http import predict
from torchyard.serve.http.bodies import body_encoder
from torchyard.serve.predictions import predictions

NAMES = st.lists(st.text(max_size=6), min_size=2, max_size=5, unique=True).map(tuple)
SHARES = st.floats(0, 1, width=32)
KINDS = ("binary_classification", "multiclass_classification", "multilabel_classification")


WHYS = (
    None,
    Abstained("unsure", "The probability of the answer is below 0.7."),
    Abstained("outside_training", "x lies outside of what training had."),
)


def _agree(task: Task, scores: list[list[float]]) -> None:
    ids = [f"row-{place}" for place in range(len(scores))]
    judged = JudgedScores(scores, [WHYS[place % 3] for place in range(len(scores))])
    for some in (scores, judged):
        encode = body_encoder(
            task, release="sha256:0", variant="v", abstains=isinstance(some, JudgedScores)
        )
        plain = {"predictions": predictions(task, ids, some)}
        assert encode(ids, some) == msgspec.json.encode(
            {**plain, "release": "sha256:0", "variant": "v"}
        )


@given(st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_classes(kind: str, data: st.DataObject) -> None:
    classes = data.draw(NAMES)[: 2 if kind.startswith("binary") else None]
    task = Task(kind=kind, label="label", classes=classes)  # type: ignore[arg-type]
    row = st.lists(SHARES, min_size=len(classes), max_size=len(classes))
    _agree(task, data.draw(st.lists(row, min_size=1, max_size=3)))


@given(st.lists(st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3), min_size=1, max_size=3))
@pytest.mark.parametrize("unit", [None, "minutes"])
def test_numbers(unit: str | None, scores: list[list[float]]) -> None:
    _agree(Task(kind="regression", label="delay", classes=(), unit=unit), scores)


def test_more_classes_than_are_compiled() -> None:
    classes = tuple(f"class {place}" for place in range(300))
    task = Task(kind="multiclass_classification", label="label", classes=classes)
    _agree(task, [[1 / 300] * 300])


def test_an_engine_that_serves_no_more_is_let_go(release: Release) -> None:
    engine = open_engine(release, max_rows=10)
    assert predict._encoder(engine)(["a"], [[0.25, 0.75]]).startswith(b'{"predictions":[{"id":"a"')
    gone = weakref.ref(engine)
    del engine
    gc.collect()

    assert gone() is None
