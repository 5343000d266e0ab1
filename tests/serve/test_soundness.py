"""Unsound answers are told, whatever is wrong with them, and sound ones never are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.kinds import number_onnx, with_number
from tests.support.releases import sample_release
from torchyard.core.errors import BadModel, NotReady
from torchyard.records.schema import Task
from torchyard.release import Contents
from torchyard.serve.engine import Engine, open_engine
from torchyard.serve.soundness import outside_domain, soundness_of

LATE = Task(kind="binary_classification", label="late", classes=("no", "yes"))
PETS = Task(kind="multiclass_classification", label="pet", classes=("cat", "dog", "owl"))
ABOUT = Task(kind="multilabel_classification", label="about", classes=("a", "b", "c"))
DELAY = Task(kind="regression", label="delay", classes=(), unit="minutes", ge=0.0, le=600.0)
FREE = Task(kind="regression", label="delay", classes=())


@pytest.mark.parametrize(
    ("task", "row", "said"),
    [
        (LATE, [0.25, 0.75], ""),
        (LATE, [0.0, 1.0], ""),
        (LATE, [0.25, 0.7505], ""),
        (LATE, [0.25, 0.76], "whose probabilities do not add up to 1"),
        (LATE, [-0.1, 1.1], "with probabilities outside of 0 to 1"),
        (LATE, [np.nan, 0.5], "with numbers that are not finite"),
        (LATE, [np.inf, -np.inf], "with numbers that are not finite"),
        (PETS, [0.2, 0.2, 0.2], "whose probabilities do not add up to 1"),
        (ABOUT, [0.9, 0.9, 0.0], ""),
        (ABOUT, [0.9, 1.1, 0.0], "with probabilities outside of 0 to 1"),
        (ABOUT, [0.9, np.nan, 0.0], "with numbers that are not finite"),
        (DELAY, [12.0, -3.0, 700.0], ""),
        (DELAY, [600.0, 600.0, 600.0], ""),
        (DELAY, [-0.5, -3.0, 4.0], "with a value that is not at least 0 and at most 600 minutes"),
        (DELAY, [601.0, 0.0, 900.0], "with a value that is not at least 0 and at most 600 minutes"),
        (DELAY, [12.0, 13.0, 14.0], "whose interval does not hold its value"),
        (DELAY, [12.0, 30.0, 3.0], "whose interval does not hold its value"),
        (DELAY, [np.nan, 1.0, 2.0], "with numbers that are not finite"),
        (FREE, [-1e30, -np.inf, 0.0], "with numbers that are not finite"),
        (FREE, [-1e30, -2e30, 0.0], ""),
    ],
)
def test_what_is_wrong_is_told(task: Task, row: list[float], said: str) -> None:
    fine = [12.0, 3.0, 14.0] if task.is_regression else [1.0, *[0.0] * (len(row) - 1)]
    found = soundness_of(task)(np.array([fine, row], dtype=np.float32))
    assert found == (f"1 of 2 rows {said}" if said else "")


@given(
    st.lists(
        st.lists(st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=2),
        min_size=1,
        max_size=4,
    )
)
@settings(deadline=None, max_examples=200)
def test_chances_are_judged_as_each_row_alone_is(rows: list[list[float]]) -> None:
    sound = [all(0 <= one <= 1 for one in row) and abs(sum(row) - 1) <= 1e-3 for row in rows]
    # sums of float32 may miss the limit by their rounding
    if all(abs(abs(sum(row) - 1) - 1e-3) > 1e-5 for row in rows if np.isfinite(row).all()):
        found = soundness_of(LATE)(np.array(rows, dtype=np.float32))
        assert (not found) == all(sound)


def test_only_the_value_is_held_against_the_domain() -> None:
    answers = np.array([[0.0, -9.0, 3.0], [-0.001, -9.0, 3.0], [600.0, 1.0, 900.0]])
    assert outside_domain(DELAY, answers).tolist() == [False, True, False]


def bounded(contents: Contents) -> Contents:
    changed = with_number(contents)
    return replace(changed, task=replace(changed.task, ge=-50.0))


def test_a_value_outside_the_domain_is_no_answer(tmp_path: Path) -> None:
    """The sample model answers 60 a thousand kilometres less 60: -60 at none."""
    release = sample_release(tmp_path, onnx=number_onnx(), change=bounded)
    engine = Engine(release, max_rows=4)
    row = {"carrier": "DL", "departs": "2026-02-01T09:30:00", "distance": 0.0}
    rows = engine.decoder.decode(json.dumps({"rows": [row, {**row, "distance": 1000}]}).encode())
    assert engine.score(rows.rows[1:])[0][0] == pytest.approx(0.0, abs=1e-4)
    with pytest.raises(BadModel, match=r"1 of 2 rows with a value that is not at least -50"):
        engine.score(rows.rows)
    with pytest.raises(NotReady, match=r"golden requests from 0 on.*at least -50"):
        open_engine(release, max_rows=4)
