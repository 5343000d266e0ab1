"""The word for how a model ages, and what it refuses."""

from __future__ import annotations

import pytest

from torchyard.core.errors import BadProject
from torchyard.project.ageing import AgeingPlan, Staleness, check_ageing
from torchyard.records.dataset import SplitRule

TIME = SplitRule(by="time", fields=("at",), validation="2024-01-01", test="2024-02-01")
HASH = SplitRule(by="hash", fields=(), validation="0.1", test="0.1")


@pytest.mark.parametrize(("every", "days"), [("30d", 30.0), ("2w", 14.0), ("12h", 0.5)])
def test_a_length_of_time_is_read(every: str, days: float) -> None:
    assert Staleness(every=every) == AgeingPlan(every_days=days, models=3, metric=None)


@pytest.mark.parametrize("every", ["", "30", "d", "0d", "-3d", "1.5d", "3m", 30])
def test_another_length_is_refused(every: object) -> None:
    with pytest.raises(BadProject, match="in weeks, days or hours"):
        Staleness(every=every)  # type: ignore[arg-type]


@pytest.mark.parametrize("models", [1, 25])
def test_too_few_or_too_many_models_are_refused(models: int) -> None:
    with pytest.raises(BadProject, match="models"):
        Staleness(every="1d", models=models)


def test_a_metric_is_a_text() -> None:
    with pytest.raises(BadProject, match="a metric's name"):
        Staleness(every="1d", metric=3)  # type: ignore[arg-type]


def test_only_a_split_by_time_can_age() -> None:
    check_ageing(Staleness(every="1d"), TIME)
    check_ageing(None, HASH)
    with pytest.raises(BadProject, match="split by hash"):
        check_ageing(Staleness(every="1d"), HASH)
    with pytest.raises(BadProject, match=r"ty\.Staleness\(\.\.\.\), or nothing"):
        check_ageing("30d", TIME)
