"""Declaring a search: what may be changed, and what is refused where it is said."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import torchyard as ty
from torchyard.core.errors import BadProject
from torchyard.core.record import from_json, to_json
from torchyard.project.search import _SETTINGS, check_search
from torchyard.records.search import Range, SearchSpace
from torchyard.records.training import Training


class Net:
    def __init__(self, features: Any, hidden: int = 16, *, dropout: float = 0.0) -> None: ...


def anything(features: Any, **arguments: Any) -> None: ...


def nothing(features: Any) -> None: ...


def check(takes: Callable[..., Any] = Net, **ranges: Any) -> None:
    check_search(ty.Search(**ranges), Training(), takes)


def test_ranges_say_what_they_hold() -> None:
    assert ty.uniform(0, 1).ends == (0.0, 1.0)
    assert ty.log_uniform(1e-4, 1e-2) == Range(kind="number", low=1e-4, high=1e-2, log=True)
    assert ty.whole(2, 5).ends == (2, 5)
    assert (ty.whole(2, 5).size, ty.choice(None, "a").size) == (4, 2)
    assert ty.uniform(0, 1).size == float("inf")


def test_a_search_is_a_record_that_comes_back() -> None:
    space = ty.Search(
        trials=5, learning_rate=ty.log_uniform(1e-4, 1e-2), clip_norm=ty.choice(None, 1.0),
        model=dict(hidden=ty.whole(4, 64, log=True), dropout=ty.uniform(0.0, 0.5)),
    )  # fmt: skip
    assert from_json(SearchSpace, to_json(space), where="here") == space
    check_search(space, Training(), Net)


def test_every_setting_of_training_is_searched_or_is_no_matter_of_search() -> None:
    every = {field.name for field in dataclasses.fields(Training)}
    assert set(_SETTINGS) < every
    assert every - set(_SETTINGS) == {
        "seed", "memory_mib", "devices", "checkpoint_seconds", "preflight"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("declare", "text"),
    [
        (lambda: ty.uniform(1, 1), r"ty.uniform\(1, 1\).*found from 1 to 1.*the smaller one first"),
        (lambda: ty.uniform(0, float("nan")), "from 0 to nan.*finite"),
        (lambda: ty.uniform(True, 2), "from True to 2"),
        (lambda: ty.log_uniform(0, 1), "from 0 to 1.*above 0.*ty.log_uniform"),
        (lambda: ty.whole(1.5, 3), r"ty.whole\(1.5, 3\): found 1.5.*whole number.*ty.uniform"),  # type: ignore[arg-type]
        (lambda: ty.whole(0, 3, log=True), "from 0 to 3.*above 0"),
        (lambda: ty.choice(3), r"ty.choice\(3\): found 1 of them.*at least two"),
        (lambda: ty.choice(1, True), "found two that are equal"),
        (lambda: ty.choice("a", [1]), r"found \[1\].*Choose between names"),  # type: ignore[arg-type]
        (ty.Search, "found nothing to search.*ty.Search"),
        (lambda: ty.Search(learning_rate=0.1), r"learning_rate=\): found 0.1.*ty.uniform"),  # type: ignore[arg-type]
        (lambda: ty.Search(model={"hidden": 3}), r"hidden=\): found 3"),  # type: ignore[dict-item]
        (lambda: ty.Search(model=ty.whole(1, 2)), "model=dict"),  # type: ignore[arg-type]
        (lambda: ty.Search(trials=0, warmup=ty.uniform(0, 1)), "found trials=0.*at least 1"),
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused_where_it_is_said(
    declare: Callable[[], object], text: str
) -> None:
    with pytest.raises(BadProject, match=text):
        declare()


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (dict(learningrate=ty.uniform(0, 1)), "'learningrate'.*model=dict.*'learning_rate'"),
        (dict(seed=ty.whole(0, 9)), "'seed', which makes no better model.*choosing luck"),
        (dict(devices=ty.whole(1, 2)), "'devices'.*Fix it in ty.Training"),
        (dict(batch_size=ty.uniform(8, 64)), r"batch_size=\).*8.0 among.*ty.whole"),
        (dict(warmup=ty.uniform(0, 2)), "2.0 among its values: warmup=2.0.*0 to 1"),
        (dict(optimizer=ty.choice("adamw", "adam")), "'adam' among its values.*one of adamw, sgd"),
        (dict(accumulate=ty.whole(1, 4000)), "4000 among its values.*at most batch_size"),
        (dict(model=dict(hiden=ty.whole(1, 2))), "'hiden', which Net does not take.*'hidden'"),
        (dict(model=dict(features=ty.whole(1, 2))), "'features', which Net does not take"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_the_nearest(
    ranges: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadProject, match=text):
        check(**ranges)


def test_a_model_that_takes_nothing_is_told_how_to_take_it() -> None:
    with pytest.raises(BadProject, match=r"Give it one: def nothing\(features, hidden=...\)"):
        check(nothing, model=dict(hidden=ty.whole(1, 2)))


def test_models_that_take_any_argument_or_are_wrapped_are_asked_for_what_they_take() -> None:
    check(anything, model=dict(hidden=ty.whole(1, 2)))
    check(functools.partial(Net, hidden=3), model=dict(dropout=ty.uniform(0, 1)))
    assert inspect.signature(Net).parameters.keys() >= {"hidden", "dropout"}
    check(model=dict(dropout=ty.uniform(0, 1)))
