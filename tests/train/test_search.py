"""A search alone: what it proposes, when it prunes, what it remembers of a process that died."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchyard.records.search import Range, SearchSpace, Study, Trial
from torchyard.train.search import Search, Trying, opened_search
from torchyard.train.search_pictures import draw_importance, draw_trials

RATE = Range(kind="number", low=1e-4, high=1.0, log=True)
SPACE = SearchSpace(
    settings={"learning_rate": RATE},
    model={"dummy": Range(kind="number", low=0.0, high=1.0)},
)
EPOCHS = 4


class Killed(Exception):
    """Stands for a kill: nobody says how the trial ended."""


def loss(trying: Trying, epoch: int) -> float:
    """Lowest at a learning rate of 0.1; a dummy argument changes nothing."""
    return abs(math.log10(trying.settings["learning_rate"]) + 1) + 1 / epoch


@contextmanager
def search_in(folder: Path, space: SearchSpace = SPACE, *, seed: int = 0) -> Iterator[Search]:
    with opened_search(folder / "studies.db", "s", space, seed=seed) as search:
        yield search


def make(trying: Trying, *, dies_after: int = 0, first: int = 1) -> None:
    """A trial as training reports it; one that ``dies_after`` an epoch ends in nothing."""
    trying.keep(run=f"run {trying.number}")
    for epoch in range(first, EPOCHS + 1):
        trying.report(epoch, loss(trying, epoch))
        if epoch < EPOCHS and trying.is_hopeless():
            trying.end("pruned", seconds=0.0)
            return
        if epoch == dies_after:
            raise Killed
    trying.end("complete", seconds=0.0)


def made(search: Search, trials: int) -> tuple[Trial, ...]:
    while len(search.trials) < trials:
        trying = search.ask()
        assert trying is not None
        make(trying)
    return search.trials


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trial, ...]:
    with search_in(tmp_path_factory.mktemp("whole")) as search:
        return made(search, 16)


def test_the_same_seed_finds_the_same_and_another_does_not(
    whole: tuple[Trial, ...], tmp_path: Path
) -> None:
    with search_in(tmp_path) as search:
        assert made(search, 4) == whole[:4]
    (tmp_path / "other").mkdir()
    with search_in(tmp_path / "other", seed=1) as search:
        assert made(search, 1)[0].settings != whole[0].settings


def test_half_of_the_trials_are_ended_early_and_none_of_the_first_five(
    whole: tuple[Trial, ...],
) -> None:
    assert [one.outcome for one in whole[:5]] == ["complete"] * 5
    pruned = [one for one in whole if one.outcome == "pruned"]
    assert pruned
    for one in pruned:
        assert 2 <= one.epochs < EPOCHS
        before = [
            abs(math.log10(other.settings["learning_rate"]) + 1) + 1 / one.epochs
            for other in whole[: one.number - 1]
            if other.outcome == "complete"
        ]
        assert one.value is not None
        assert sum(value < one.value for value in before) >= len(before) / 2
    assert {one.run for one in whole} == {f"run {n}" for n in range(1, 17)}


def test_it_finds_what_is_planted_and_says_that_it_matters(whole: tuple[Trial, ...]) -> None:
    best = study(whole).best
    assert best is not None
    assert best.settings["learning_rate"] == pytest.approx(0.1, rel=0.5)


def test_a_planted_parameter_explains_the_losses_and_a_dummy_does_not(tmp_path: Path) -> None:
    with search_in(tmp_path) as search:
        made(search, 3)
        assert search.importance() == {}
        made(search, 16)
        shares = search.importance()
        assert search.importance() == shares
    assert list(shares) == ["learning_rate", "model.dummy"]
    assert shares["learning_rate"] > 0.7
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(deaths=st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=5))
def test_killed_anywhere_it_goes_on_as_one_that_was_not(
    whole: tuple[Trial, ...],
    tmp_path_factory: pytest.TempPathFactory,
    deaths: list[tuple[int, bool]],
) -> None:
    die_and_go_on(tmp_path_factory.mktemp("killed"), deaths, whole)


def test_killed_once_it_goes_on_as_one_that_was_not(
    whole: tuple[Trial, ...], tmp_path: Path
) -> None:
    die_and_go_on(tmp_path, [(2, True)], whole)


def die_and_go_on(folder: Path, deaths: list[tuple[int, bool]], whole: tuple[Trial, ...]) -> None:
    """Die after an epoch of every third trial, before or after a checkpoint was saved."""
    first = 1
    for number, (epoch, has_checkpoint) in enumerate(deaths):
        with search_in(folder) as search:
            made(search, 2 * number + 2)
            trying = search.ask()
            assert trying is not None
            try:
                make(trying, dies_after=epoch)
            except Killed:
                first = epoch + 1 if has_checkpoint else 1
        with search_in(folder) as search:
            if len(search.trials) == 2 * number + 2:  # it was not pruned before it died
                again = search.ask()
                assert again is not None
                assert (again.number, again.settings) == (trying.number, trying.settings)
                make(again, first=first)
    with search_in(folder) as search:
        longest = 2 * len(deaths) + 4
        assert made(search, longest) == whole[:longest]


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "{SCHEMA_VERSION} 100%?#ü"
    folder.mkdir()
    with search_in(folder) as search:
        made(search, 1)
    with search_in(folder) as search:
        assert len(search.trials) == 1
    assert [one.name for one in folder.iterdir()] == ["studies.db"]


def test_what_was_asked_to_stop_is_no_result_and_is_proposed_again(tmp_path: Path) -> None:
    with search_in(tmp_path) as search:
        trying = search.ask()
        assert trying is not None
        trying.interrupt()
        assert search.trials == ()
        again = search.ask()
        assert again is not None
        assert (again.number, again.settings) == (1, trying.settings)


def test_a_failed_trial_keeps_its_reason_and_is_not_tried_again(tmp_path: Path) -> None:
    with search_in(tmp_path) as search:
        trying = search.ask()
        assert trying is not None
        trying.end("failed", seconds=1.5, reason="no memory")
        trial = search.trials[0]
        assert (trial.outcome, trial.value, trial.reason) == ("failed", None, "no memory")
        assert (trial.epochs, trial.seconds, trial.settings) == (0, 1.5, trying.settings)
        after = search.ask()
        assert after is not None
        assert after.number == 2
        assert after.settings != trying.settings


def test_every_combination_is_tried_once_and_then_it_says_so(tmp_path: Path) -> None:
    few = SearchSpace(
        settings={"optimizer": Range(kind="choice", choices=("adamw", "sgd"))},
        model={"layers": Range(kind="whole", low=1, high=2), "norm": _choice(None, True, 1.5)},
    )
    with search_in(tmp_path, few) as search:
        while (trying := search.ask()) is not None:
            trying.report(1, float(trying.model["layers"]))
            trying.end("complete", seconds=0.0)
        found = {(*one.settings.values(), *one.model.values()) for one in search.trials}
        assert len(search.trials) == len(found) == 2 * 2 * 3
        assert all(type(one.model["layers"]) is int for one in search.trials)


@pytest.mark.parametrize("value", ["same", "differs"])
def test_losses_that_are_all_the_same_explain_nothing(tmp_path: Path, value: str) -> None:
    with search_in(tmp_path) as search:
        for number in range(4):
            trying = search.ask()
            assert trying is not None
            trying.report(1, 0.5 + number * (value == "differs"))
            trying.end("complete", seconds=0.0)
        assert bool(search.importance()) == (value == "differs")


def test_values_stay_within_their_ranges(whole: tuple[Trial, ...]) -> None:
    for one in whole:
        assert RATE.low <= one.settings["learning_rate"] <= RATE.high
        assert 0.0 <= one.model["dummy"] <= 1.0


def test_the_best_is_the_lowest_of_those_trained_to_the_end(whole: tuple[Trial, ...]) -> None:
    found = study(whole)
    complete = [one for one in whole if one.outcome == "complete"]
    assert found.best == min(complete, key=lambda one: one.value or 0)
    assert found.tuned is not None
    assert found.tuned.chosen.keys() == {"learning_rate", "model"}
    assert (found.tuned.tried, found.tuned.failed) == (16, 0)
    assert found.tuned.pruned == 16 - len(complete)
    lost = tuple(dataclasses.replace(one, outcome="failed", value=None) for one in whole)
    assert (study(lost).best, study(lost).tuned) == (None, None)


@pytest.mark.parametrize(
    "some",
    [
        lambda trials: trials,
        lambda trials: [one for one in trials if one.outcome == "pruned"],
        lambda trials: [dataclasses.replace(trials[0], outcome="failed", value=None)],
        lambda trials: [trials[0], dataclasses.replace(trials[1], value=1e6)],
    ],
)
def test_pictures_are_the_same_bytes_for_the_same_trials(
    whole: tuple[Trial, ...], some: Callable[[tuple[Trial, ...]], list[Trial]]
) -> None:
    first, second = draw_trials(some(whole)), draw_trials(some(whole))
    assert first == second
    assert first.startswith(b"\x89PNG")


def test_names_in_a_picture_are_shown_as_they_are() -> None:
    shares = {f"model.$x_{n}$": 0.04 for n in range(25)}
    assert draw_importance(shares, of=9).startswith(b"\x89PNG")


def study(trials: tuple[Trial, ...]) -> Study:
    return Study(
        key="k", run="r", inputs={}, space=SPACE, trials=trials, importance={}, updated="now"
    )


def _choice(*values: str | float | None) -> Range:
    return Range(kind="choice", choices=values)
