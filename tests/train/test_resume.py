"""A run that was stopped, however often and wherever, ends as one that was not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny import SETTINGS, STEPS, fit, result_of
from torchyard.core.errors import Stopped
from torchyard.train import Watch, first_difference

SELDOM = dataclasses.replace(SETTINGS, checkpoint_seconds=3600)


class StopsAfter(Watch):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def should_stop(self) -> str:
        self.left -= 1
        return "" if self.left else "asked to"


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "sgd", "schedule": "linear"}, {"accumulate": 3}]
)
def test_stopped_at_every_step_it_ends_with_the_same_weights(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    how = dataclasses.replace(SELDOM, **changes)  # type: ignore[arg-type]
    whole = fit(tmp_path / "whole", how=how)
    stops = 0
    while True:
        try:
            resumed = fit(tmp_path / "stopped", watch=StopsAfter(1), how=how)
        except Stopped:
            stops += 1
            continue
        break
    assert (stops, resumed.resumes) == (STEPS, STEPS)
    assert first_difference(resumed.trace, whole.trace) is None
    assert result_of(resumed) == result_of(whole)


@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(1, 7), min_size=1, max_size=6), damaged=st.booleans())
def test_stopped_anywhere_even_with_a_truncated_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], damaged: bool
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for cut in cuts:
        try:
            fit(folder, watch=StopsAfter(cut), how=SELDOM)
        except Stopped:
            newest = max(folder.glob("*.safetensors"))
            if damaged and len(list(folder.glob("*.safetensors"))) > 1:
                newest.write_bytes(newest.read_bytes()[:-7])
    again = fit(folder, how=SELDOM)
    assert result_of(again) == result_of(fit(tmp_path_factory.mktemp("whole"), how=SELDOM))
