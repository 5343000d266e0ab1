"""Models of the past on rows that drift by construction, and on rows that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.yard.explained import make_yard
from torchyard.core.errors import BadProject
from torchyard.records.schema import Task
from torchyard.yard.ageing import age_model, kept_staleness
from torchyard.yard.datasets import training_data
from torchyard.yard.featuring import fit_features
from torchyard.yard.results import Featured, OpenProject

GATES = 'gates=[ty.gate("auroc", at_least=0.78), ty.gate("log_loss", at_most=0.1)],'


def prepared(folder: Path, *, drift: float, models: int) -> tuple[OpenProject, Featured, Task]:
    more = f'staleness=ty.Staleness(every="30d", models={models}), {GATES}'
    opened = make_yard(folder, drift=drift, more=more).open()
    return opened, fit_features(opened, training_data(opened)), opened.project.task


@pytest.mark.slow
def test_quality_falls_with_age_and_the_missed_age_is_found(tmp_path: Path) -> None:
    drifting = prepared(tmp_path, drift=1.6, models=3)
    assert kept_staleness(*drifting) is None
    found = age_model(*drifting)
    assert found is not None
    assert kept_staleness(*drifting) == found == age_model(*drifting)
    assert (found.metric, found.field, found.every_days) == ("auroc", "at", 30.0)
    ages = [(one.age_days, one.models) for one in found.curve]
    assert ages == [(15.0, 3), (45.0, 2), (75.0, 1)]
    assert len(found.points) == 6
    values = [one.measured.value for one in found.curve]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.05
    assert found.limits == {"auroc at least 0.78": 45.0}


def test_nothing_is_missed_where_nothing_drifts(tmp_path: Path) -> None:
    found = age_model(*prepared(tmp_path, drift=0.0, models=2))
    assert found is not None
    assert found.limits == {"auroc at least 0.78": None}
    for point in found.points:  # a model knows no row of the periods it is measured in
        assert point.trained_until <= point.period_start < point.period_end
        assert point.rows == 30 * 12


def test_too_little_past_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadProject, match="Ask for fewer models"):
        age_model(*prepared(tmp_path, drift=0.0, models=10))


def test_without_being_asked_nothing_is_trained(tmp_path: Path) -> None:
    opened = make_yard(tmp_path).open()
    featured = fit_features(opened, training_data(opened))
    assert age_model(opened, featured, opened.project.task) is None
    assert kept_staleness(opened, featured, opened.project.task) is None


def test_an_unknown_metric_is_refused_at_once(tmp_path: Path) -> None:
    yard = make_yard(tmp_path, more='staleness=ty.Staleness(every="30d", metric="rmse"),')
    with pytest.raises(BadProject, match="rmse"):
        yard.open()
