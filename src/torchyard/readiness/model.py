"""Section 2 of the ML Test Score: tests for model development."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torchyard.core.wording import counted, listed
from torchyard.readiness.found import Found, Question, automatic, manual, missing, no_release
from torchyard.readiness.known import Known, ReleaseFacts
from torchyard.records.measures import Measured
from torchyard.records.verdicts import CHAMPION

FEWEST_TRIALS = 10
FEWEST_RELEASES = 3


def is_reviewed(known: Known) -> Found:
    """Model specs are reviewed and submitted."""
    current = known.current
    if current is None:
        return no_release()
    commit = current.lineage.git_commit
    if commit is None:
        return missing("a repository", "Keep the project in git, and ship from a commit.")
    told = f"{current} was made at git commit {commit[:12]}"
    if current.run.environment.git_diff_sha256 is not None:
        return missing(
            "a commit that holds what was trained: files were changed beside it",
            "Commit, then ship again.",
            evidence=told,
        )
    if not known.review:
        return manual(
            f"{told}, with nothing changed beside it",
            "a trace of its review",
            "Let somebody else merge it, or add 'Reviewed-by: Name' to the commit.",
        )
    return automatic(f"{told}, {known.review}")


def offline_tells_online(known: Known) -> Found:
    """Offline and online metrics correlate."""
    pairs = list(_pairs(known))
    if not pairs:
        return missing(
            "quality on live traffic", "Send labels to the server, then torchyard monitor."
        )
    told = "; ".join(
        f"{pair.release}: {pair.metric} {pair.test.value:.3f} on test, {pair.live.value:.3f} live"
        for pair in pairs[-FEWEST_RELEASES:]
    )
    if len(pairs) < FEWEST_RELEASES:
        return manual(
            told,
            f"{FEWEST_RELEASES} releases with labels from live traffic, to see them move together",
            "Go on sending labels over the next releases.",
        )
    agree = _concordance([(pair.test.value, pair.live.value) for pair in pairs])
    told = f"{told}; of each two, {agree:.0%} are ordered alike on test and live"
    if agree <= 0.5:
        return missing("an order on test that holds live", "Choose another metric.", evidence=told)
    return automatic(told)


class _Pair(NamedTuple):
    release: ReleaseFacts
    metric: str
    test: Measured
    live: Measured


def _pairs(known: Known) -> Iterator[_Pair]:
    """Of each release with labelled traffic its main metric on test rows and on live ones."""
    for release in known.releases:
        name = release.task.headline
        test = release.report.metrics.get(name)
        live = _live(known, release, name)
        if test is not None and live is not None:
            yield _Pair(release, name, test, live)


def _live(known: Known, release: ReleaseFacts, name: str) -> Measured | None:
    """Its metric in the last window that it alone answered."""
    for made in reversed(known.monitoring):
        for window in reversed(made.report.windows):
            if set(window.releases) == {release.id} and name in window.quality:
                return window.quality[name]
    return None


def _concordance(pairs: list[tuple[float, float]]) -> float:
    """Of all two pairs the share whose order is the same on both sides; ties count half."""
    signs = [(a[0] - b[0]) * (a[1] - b[1]) for place, a in enumerate(pairs) for b in pairs[:place]]
    return sum(1.0 if sign > 0 else 0.5 if sign == 0 else 0.0 for sign in signs) / len(signs)


def is_tuned(known: Known) -> Found:
    """All hyperparameters have been tuned."""
    current = known.current
    if current is None:
        return no_release()
    tuned = current.run.tuned
    if tuned is None:
        if known.studies:
            return manual(
                f"{len(known.studies)} searches were made",
                f"their choice in {current}",
                "torchyard ship --tuned",
            )
        return missing("a search", "Declare search=ty.Search(...), then torchyard tune.")
    told = f"{current} has the settings of trial {tuned.trial} of {tuned.tried}"
    if tuned.tried < FEWEST_TRIALS:
        return manual(told, f"at least {FEWEST_TRIALS} trials", "torchyard tune --trials 20")
    return automatic(told)


def ageing_is_known(known: Known) -> Found:
    """The impact of model staleness is known."""
    current = known.current
    if current is None:
        return no_release()
    staleness = current.evidence.staleness
    if staleness is None:
        return missing(
            "quality against age", "Declare staleness=ty.Staleness(...), for data with times."
        )
    ages = [one.age_days for one in staleness.curve]
    return automatic(
        f"{current}: {staleness.metric} of {len(staleness.points)} models and periods, up to an "
        f"age of {max(ages, default=0):.0f} days"
    )


def simpler_is_not_better(known: Known) -> Found:
    """A simpler model is not better."""
    current = known.current
    if current is None:
        return no_release()
    name, report = current.task.headline, current.research
    against = {
        rival: found[name]
        for rival, found in report.against.items()
        if rival != CHAMPION and name in found
    }
    if not against:
        return missing("a comparison with simple models", "Ship again: every evaluation makes it.")
    told = f"{current}: {name} beside {listed(sorted(against), most=9)} on the same rows"
    better = [rival for rival, one in against.items() if one.high is not None and one.high <= 0]
    if len(better) == len(against):
        return automatic(f"{told}; surely better than each")
    worse = [rival for rival, one in against.items() if one.low is not None and one.low > 0]
    if worse:
        return missing(
            f"a reason for this model: it is surely worse than {listed(worse)}",
            "Take the simpler model, or better this one.",
            evidence=told,
        )
    level = [rival for rival in against if rival not in better]
    return manual(
        told, f"proof that it beats {listed(level)}: they cannot be told apart", "More test rows."
    )


def slices_are_good(known: Known) -> Found:
    """Model quality is sufficient on important data slices."""
    current = known.current
    if current is None:
        return no_release()
    if not current.report.slices:
        return missing("slices", "Declare slices=[...] in the project file.")
    told = f"{current}: {len(current.report.slices)} slices of {listed(known.slices)}"
    if current.research.weaknesses is not None:
        told += f"; {current.research.weaknesses.tried:,} more were searched"
    gates = [gate for gate in known.gates if gate.per_slice is not None and gate.required]
    if not gates:
        return manual(
            told,
            "a required gate on each slice",
            f"ty.gate('{current.task.headline}', per_slice='{known.slices[0]}', at_least=...)"
            if known.slices
            else "Give a gate with per_slice.",
        )
    return automatic(f"{told}, {counted(len(gates), 'required gate')} on each of them")


def groups_are_compared(known: Known) -> Found:
    """The model is tested for considerations of inclusion."""
    current = known.current
    if current is None:
        return no_release()
    fields = sorted(current.report.fairness)
    if not fields:
        return missing("protected fields", "Declare them: ty.category(protected=True).")
    told = f"{current}: groups of {listed(fields)} were compared"
    gates = [gate for gate in known.gates if gate.group is not None and gate.required]
    if not gates:
        return manual(
            told,
            "a required gate on a difference between groups",
            f"ty.gate('equalized_odds_difference', group='{fields[0]}', at_most=...)",
        )
    return automatic(f"{told}, and held together by {counted(len(gates), 'required gate')}")


QUESTIONS = (
    Question("M1", "Model specs are reviewed and submitted.", is_reviewed),
    Question("M2", "Offline and online metrics correlate.", offline_tells_online),
    Question("M3", "All hyperparameters have been tuned.", is_tuned),
    Question("M4", "The impact of model staleness is known.", ageing_is_known),
    Question("M5", "A simpler model is not better.", simpler_is_not_better),
    Question("M6", "Model quality is sufficient on important data slices.", slices_are_good),
    Question("M7", "The model is tested for considerations of inclusion.", groups_are_compared),
)
