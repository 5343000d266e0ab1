"""Section 4 of the ML Test Score: monitoring tests."""

from __future__ import annotations

from datetime import timedelta

from torchyard.core.wording import listed
from torchyard.readiness.found import Found, Question, automatic, manual, missing, no_release
from torchyard.readiness.known import Known, Monitoring
from torchyard.records.training import EXTREMES

# an older report says nothing of what is served today
FRESH = timedelta(days=8)
MONITOR = "torchyard monitor, by a timer"


def dependencies_are_watched(known: Known) -> Found:
    """Dependency changes result in notification."""
    current = known.current
    if current is None:
        return no_release()
    if not known.earlier:
        return manual(
            f"{current} records its {len(current.run.environment.packages)} packages and dataset "
            f"version {current.dataset.number}",
            "a second release, whose making tells what changed",
            "torchyard ship",
        )
    before = known.earlier[-1]
    changed = _changed(before.run.environment.packages, current.run.environment.packages)
    fields = set(before.schema.fields) ^ set(current.schema.fields)
    told = (
        f"making {current} told what changed since {before}: {len(changed)} packages, "
        f"{len({field.name for field in fields})} fields"
    )
    return automatic(told)


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def invariants_hold(known: Known) -> Found:
    """Data invariants hold for inputs."""
    if known.current is None:
        return no_release()
    made = _latest(known)
    checked = (
        f"training rows and every request are held against the {len(known.current.schema.fields)} "
        "fields of one schema"
    )
    if made is None:
        return manual(checked, "a look at live traffic", MONITOR)
    told = f"{checked}; {made.report.rows:,} live rows in {len(made.report.windows)} windows were"
    return _if_fresh(known, made, f"{told} held against the training rows")


def features_are_not_skewed(known: Known) -> Found:
    """Training and serving are not skewed."""
    current = known.current
    if current is None:
        return no_release()
    parity = current.evidence.parity
    same = f"{current}: {parity.elements:,} feature values are equal in training and serving"
    made = _latest(known)
    if made is None:
        return manual(same, "a comparison of live rows with training rows", MONITOR)
    drifted = sorted(
        {drift.name for window in made.report.windows for drift in window.fields if drift.drifted}
    )
    seen = f"; of live fields {listed(drifted) if drifted else 'none'} drifted"
    return _if_fresh(known, made, same + seen)


def is_not_stale(known: Known) -> Found:
    """Models are not too stale."""
    current = known.current
    if current is None:
        return no_release()
    staleness = current.evidence.staleness
    age = (known.now - current.sealed_at).total_seconds() / 86_400
    told = f"{current} was sealed {age:.0f} days ago"
    if staleness is None:
        return missing(
            "the age from which it is too old", "Declare staleness=ty.Staleness(...).",
            evidence=told,
        )  # fmt: skip
    limits = [days for days in staleness.limits.values() if days is not None]
    if not limits:
        oldest = max((one.age_days for one in staleness.curve), default=0.0)
        if age > oldest:
            lacks = f"knowledge of models older than {oldest:.0f} days"
            return manual(told, lacks, "Train again on later rows.")
        return automatic(f"{told}; no gate was missed up to an age of {oldest:.0f} days")
    if age > min(limits):
        return missing(
            f"a younger model: a gate is missed from {min(limits):.0f} days on",
            "Add the latest rows and ship again.",
            evidence=told,
        )
    return automatic(f"{told}; gates are missed from {min(limits):.0f} days on")


def is_stable(known: Known) -> Found:
    """The model is numerically stable."""
    current = known.current
    if current is None:
        return no_release()
    found = [check for check in current.run.checks if check.name == EXTREMES]
    told = "a loss or a weight that is not finite ends a run, an answer that is not finite is none"
    if not found or found[0].outcome != "pass":
        return manual(
            told,
            "finite answers to extreme rows, before training",
            "torchyard preflight, and leave ty.Training(preflight=True)",
        )
    return automatic(f"{told}; {current} answered extreme but valid rows: {found[0].found}")


def speed_has_not_fallen(known: Known) -> Found:
    """Computing performance has not regressed."""
    current = known.current
    if current is None:
        return no_release()
    limits = [one for one in current.verdicts if one.gate.startswith("latency") and one.required]
    now = current.variant.latency
    told = f"{current} was trained in {current.run.seconds:.0f} s"
    if now:
        told += f", and answers a row within {now[0].p99_ms:.2f} ms in 99 of 100 calls"
    if not limits or not now:
        return missing("a limit on latency", "objective=ty.Objective(p99_ms=20)", evidence=told)
    if not known.earlier or not known.earlier[-1].variant.latency:
        return manual(told, "an earlier release to compare with", "torchyard ship")
    before = known.earlier[-1]
    was = before.variant.latency[0].p99_ms
    compared = f"{told}; {before} took {was:.2f} ms and {before.run.seconds:.0f} s"
    if before.variant.hardware != current.variant.hardware:
        return manual(compared, "times on the same hardware", "Ship on the same machine.")
    return automatic(compared)


def quality_has_not_fallen(known: Known) -> Found:
    """Prediction quality has not regressed."""
    made = _latest(known)
    if made is None:
        return missing("a look at live traffic", MONITOR)
    labelled = [window for window in made.report.windows if window.quality]
    if not labelled:
        return missing(
            "labels of live rows", "Send them to the server's labels route when they are known."
        )
    rows = sum(window.labelled for window in labelled)
    told = f"{rows:,} live rows with labels in {len(labelled)} windows were measured"
    return _if_fresh(known, made, told)


def _latest(known: Known) -> Monitoring | None:
    return known.monitoring[-1] if known.monitoring else None


def _if_fresh(known: Known, made: Monitoring, told: str) -> Found:
    """Automatic while the report is not old."""
    age = known.now - made.made_at
    if age > FRESH:
        return manual(
            told, f"a report of the last {FRESH.days} days: it is {age.days} old", MONITOR
        )
    return automatic(told)


QUESTIONS = (
    Question("Mo1", "Dependency changes result in notification.", dependencies_are_watched),
    Question("Mo2", "Data invariants hold for inputs.", invariants_hold),
    Question("Mo3", "Training and serving are not skewed.", features_are_not_skewed),
    Question("Mo4", "Models are not too stale.", is_not_stale),
    Question("Mo5", "Models are numerically stable.", is_stable),
    Question("Mo6", "Computing performance has not regressed.", speed_has_not_fallen),
    Question("Mo7", "Prediction quality has not regressed.", quality_has_not_fallen),
)
