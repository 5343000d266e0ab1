"""A search for settings: what to try next, whether it is worth going on, what explains the losses.

Tree-structured Parzen estimators propose (Bergstra et al. 2011; Watanabe 2023), the median of
earlier trials prunes (Golovin et al. 2017, section 3.2.2), a functional analysis of variance says
what matters (Hutter et al. 2014); all three are Optuna's, in its SQLite storage.

What is proposed depends on the seed, the trial's number and the trials that ended before it, and on
nothing else. So a search that was stopped or killed goes on as one that was not.
"""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from torchyard.core.record import Json
from torchyard.records.search import Range, SearchSpace, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

MODEL = "model."
# complete trials from which on half of the others may be pruned, after this many epochs
_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS = 5, 2
# proposals that repeat an earlier trial before one is drawn that does not
_REPEATS = 3
_FEWEST_TO_EXPLAIN = 4


@contextmanager
def opened_search(path: Path, name: str, space: SearchSpace, *, seed: int) -> Iterator[Search]:
    """A new search, or one that goes on, while the block lasts; its caller keeps others away.

    Trials that were under way when their process was killed are marked as failed; they are tried
    again, being no result.

    Args:
        path: of the storage, a SQLite database; made when it is not there.
        name: of the study in it.
        space: what may be changed.
        seed: of what is proposed.
    """
    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    connect = partial(_connect, path)
    # the path is not in the URL: it may hold what a URL, or Optuna's templates of them, cannot
    storage = RDBStorage("sqlite:///studies.db", engine_kwargs={"creator": connect})
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="minimize", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS),
        )  # fmt: skip
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        yield Search(study, space, seed=seed)
    finally:
        storage.remove_session()
        storage.engine.dispose()


@final
class Trying:
    """A trial that is under way.

    Attributes:
        number: from 1, that of the trials that ended before it and one more.
        settings: of training, by name.
        model: keyword arguments of the model.
    """

    def __init__(
        self, study: optuna.Study, trial: optuna.Trial, number: int, before: dict[int, float]
    ) -> None:
        self._study = study
        self._trial = trial
        self._before = before
        self._losses: dict[int, float] = {}
        self.number = number
        self.settings, self.model = _parted(trial.params)
        trial.set_user_attr("number", number)

    @property
    def epochs(self) -> int:
        """How many have been reported, with those of earlier attempts that it goes on from."""
        return len(self._losses)

    @property
    def lowest(self) -> float | None:
        """The lowest validation loss so far."""
        return min(self._losses.values(), default=None)

    def report(self, epoch: int, loss: float) -> None:
        """A validation loss after an epoch, from 1; each epoch counts once.

        The epochs before the first one that is reported are those of earlier attempts at the trial,
        which it goes on from.
        """
        if epoch in self._losses:
            return
        earlier = range(1, epoch) if not self._losses else ()
        known = {step: self._before[step] for step in earlier if step in self._before}
        for step, value in (*known.items(), (epoch, loss)):
            self._losses[step] = value
            self._trial.report(value, step)

    def is_hopeless(self) -> bool:
        """Whether it stands worse than half of the complete trials did after as many epochs."""
        return self._trial.should_prune()

    def keep(self, *, run: str) -> None:
        """Remember the run that it is recorded in."""
        self._trial.set_user_attr("run", run)

    def end(
        self,
        outcome: Literal["complete", "pruned", "failed"],
        *,
        seconds: float,
        reason: str = "",
    ) -> None:
        """It has ended: with its lowest validation loss, or for a reason.

        Args:
            outcome: how.
            seconds: of wall time.
            reason: why it failed.
        """
        from optuna.trial import TrialState

        about = {"epochs": self.epochs, "seconds": seconds, "lowest": self.lowest}
        self._trial.set_user_attr("about", about)
        if outcome == "failed":
            self._trial.set_user_attr("reason", reason)
        states = {
            "complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL
        }  # fmt: skip
        value = self.lowest if outcome == "complete" else None
        self._study.tell(self._trial, value, state=states[outcome])

    def interrupt(self) -> None:
        """It was stopped and is no result: the same is tried again, as trial of the same number."""
        from optuna.trial import TrialState

        self._study.tell(self._trial, state=TrialState.FAIL)


@final
class Search:
    """A study of Optuna's, one trial after another. See ``opened_search``."""

    def __init__(self, study: optuna.Study, space: SearchSpace, *, seed: int) -> None:
        self._study = study
        self._space = space
        self._seed = seed

    @property
    def run(self) -> str | None:
        """The MLflow run that it was given; None before that."""
        found: str | None = self._study.user_attrs.get("run")
        return found

    def keep(self, *, run: str) -> None:
        """Remember the run that it is recorded in."""
        self._study.set_user_attr("run", run)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that have ended, in their order; not those that were stopped or killed."""
        found = sorted(self._ended(), key=lambda one: int(one.user_attrs["number"]))
        return tuple(map(_as_record, found))

    def ask(self) -> Trying | None:
        """The next trial, of settings that were not tried before; None when all were."""
        number, known = 1, set()
        for one in self._ended():
            number += 1
            known.add(_key(one.params))
        ranges = _ranges(self._space)
        if len(known) >= math.prod(one.size for one in ranges.values()):
            return None
        for attempt in itertools.count():
            self._study.sampler = self._sampler(number, attempt)
            if attempt == _REPEATS:
                self._study.enqueue_trial(self._untried(ranges, known, number))
            trial = self._study.ask({name: _distribution(one) for name, one in ranges.items()})
            if _key(trial.params) not in known:
                return Trying(self._study, trial, number, self._interrupted(number))
            self._discard(trial)
        raise AssertionError("unreachable")

    def importance(self) -> dict[str, float]:
        """How much of the variance of complete trials' losses each setting explains by itself.

        As shares of what all of them do so, so they sum up to 1: what settings explain only
        together is left out. Arguments of the model are called ``model.hidden``. Largest first.
        Empty where there are fewer than four complete trials, or their losses are all the same.
        """
        import optuna
        from optuna.trial import TrialState

        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < _FEWEST_TO_EXPLAIN or len({one.value for one in complete}) == 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        try:
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        except RuntimeError as error:
            if "zero total variance" in str(error):
                return {}
            raise
        return {name: float(share) for name, share in found.items()}

    def _ended(self) -> list[optuna.trial.FrozenTrial]:
        """Results alone: what was interrupted, or repeated another, is a failure without reason."""
        from optuna.trial import TrialState

        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [
            one
            for one in self._study.get_trials(deepcopy=False, states=states)
            if one.state != TrialState.FAIL or "reason" in one.user_attrs
        ]

    def _interrupted(self, number: int) -> dict[int, float]:
        """The losses by epoch that earlier attempts at a trial reported."""
        from optuna.trial import TrialState

        losses: dict[int, float] = {}
        for one in self._study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
            if one.user_attrs.get("number") == number and "reason" not in one.user_attrs:
                losses |= one.intermediate_values
        return losses

    def _discard(self, trial: optuna.Trial) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial, state=TrialState.FAIL)

    def _sampler(self, number: int, attempt: int) -> optuna.samplers.BaseSampler:
        from optuna.samplers import TPESampler

        seed = int(np.random.SeedSequence([self._seed, number, attempt]).generate_state(1)[0])
        # no trial runs beside another
        return TPESampler(seed=seed, constant_liar=False)

    def _untried(self, ranges: dict[str, Range], known: set[str], number: int) -> dict[str, Json]:
        """Values drawn from their ranges that were not tried together before."""
        draw = np.random.default_rng([self._seed, number])
        while True:
            values = {name: _drawn(one, draw) for name, one in ranges.items()}
            if _key(values) not in known:
                return values


def _connect(path: Path) -> sqlite3.Connection:
    """A connection whose every write need not wait for the disk: a kill loses nothing that way."""
    connection = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _ranges(space: SearchSpace) -> dict[str, Range]:
    """Every range by the name that Optuna knows it by."""
    return {**space.settings, **{MODEL + name: one for name, one in space.model.items()}}


def _parted(params: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Settings of training, and arguments of the model."""
    settings = {name: value for name, value in params.items() if not name.startswith(MODEL)}
    model = {
        name.removeprefix(MODEL): value for name, value in params.items() if name not in settings
    }
    return settings, model


def _distribution(allowed: Range) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if allowed.kind == "choice":
        return CategoricalDistribution(allowed.choices)
    if allowed.kind == "whole":
        return IntDistribution(int(allowed.low), int(allowed.high), log=allowed.log)
    return FloatDistribution(allowed.low, allowed.high, log=allowed.log)


def _drawn(allowed: Range, draw: np.random.Generator) -> Json:
    """A value of a range, every one of them possible."""
    if allowed.kind == "choice":
        return allowed.choices[int(draw.integers(len(allowed.choices)))]
    if allowed.kind == "whole":
        return int(draw.integers(int(allowed.low), int(allowed.high), endpoint=True))
    if not allowed.log:
        return float(draw.uniform(allowed.low, allowed.high))
    drawn = math.exp(draw.uniform(math.log(allowed.low), math.log(allowed.high)))
    return min(max(drawn, allowed.low), allowed.high)


def _key(params: dict[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _as_record(trial: optuna.trial.FrozenTrial) -> Trial:
    from optuna.trial import TrialState

    settings, model = _parted(trial.params)
    about = trial.user_attrs.get("about", {})
    outcomes: dict[Any, Literal["complete", "pruned", "failed"]] = {
        TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    }  # fmt: skip
    outcome = outcomes[trial.state]
    return Trial(
        number=int(trial.user_attrs["number"]),
        outcome=outcome,
        value={"complete": trial.value, "pruned": about["lowest"], "failed": None}[outcome],
        settings=settings,
        model=model,
        epochs=about["epochs"],
        seconds=about["seconds"],
        reason=trial.user_attrs.get("reason", ""),
        run=trial.user_attrs.get("run", ""),
    )
