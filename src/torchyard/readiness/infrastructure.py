"""Section 3 of the ML Test Score: tests for infrastructure."""

from __future__ import annotations

from datetime import datetime

from torchyard.core.wording import counted, listed
from torchyard.readiness.found import (
    SHIP,
    Found,
    Question,
    automatic,
    manual,
    missing,
    no_release,
)
from torchyard.readiness.known import Known


def is_reproducible(known: Known) -> Found:
    """Training is reproducible."""
    current = known.current
    if current is None:
        return no_release()
    own = [one for one in known.reproductions if one.run == current.run.id]
    if any(one.identical for one in own):
        return automatic(
            f"the run of {current} was trained again and came out identical, bit for bit"
        )
    if own:
        parted = own[-1].first_difference
        return missing(
            "equal weights", "See docs/training.md for what makes runs differ.",
            evidence=parted.text if parted else "the weights differ",
        )  # fmt: skip
    remedy = f"torchyard reproduce {current.run.id[:8]}"
    if any(one.identical for one in known.reproductions):
        return manual("an earlier run came out identical", f"the same of {current}", remedy)
    return missing("a run that was trained again", remedy)


def spec_is_tested(known: Known) -> Found:
    """Model specs are unit tested."""
    current = known.current
    if current is None:
        return no_release()
    checks = current.run.checks
    if not checks:
        return missing("checks before the run", "Leave ty.Training(preflight=True) as it is.")
    told = f"the run of {current} passed {sum(c.outcome == 'pass' for c in checks)} of " \
        f"{len(checks)} checks before its first step"  # fmt: skip
    weak = [check.name for check in checks if check.outcome != "pass"]
    if weak:
        return manual(told, f"a pass of {listed(weak)}", checks[0].remedy or "torchyard preflight")
    return automatic(told)


def pipeline_is_tested(known: Known) -> Found:
    """The ML pipeline is integration tested."""
    current = known.current
    if current is None:
        return no_release()
    told = (
        f"{current} went from data to seal in one command; every worker replays its "
        f"{current.golden} golden requests before it answers"
    )
    if not known.scheduled:
        return manual(
            told,
            "a system that ships by itself when code or data change",
            f"Run '{SHIP}' in your CI system.",
        )
    return automatic(f"{told}; {known.scheduled} runs it")


def quality_is_validated(known: Known) -> Found:
    """Model quality is validated before serving."""
    current = known.current
    if current is None:
        return no_release()
    required = [one for one in current.verdicts if one.required]
    quality = [one for one in required if not one.gate.startswith(("latency", "size"))]
    if not quality:
        return missing("a required gate on quality", "gates=[ty.gate('auroc', at_least=...)]")
    waived = [one.gate for one in quality if one.waiver is not None]
    told = (
        f"{current}: {counted(len(quality), 'required gate')} on quality, judged on the file that "
        "serves"
    )
    if waived:
        return manual(told, f"a pass of {listed(waived)}, which are waived", "Better the model.")
    return automatic(told)


def can_be_debugged(known: Known) -> Found:
    """The model is debuggable."""
    current = known.current
    if current is None:
        return no_release()
    if current.run.steps == 0:
        return manual(
            f"{current} has given weights; its answers can be attributed to fields",
            "a trace of its training",
            "Train it by torchyard, a LightningModule or ty.Fitting.",
        )
    return automatic(
        f"the run of {current} left the loss of each of its {current.run.steps:,} steps and "
        "digests of its tensors; torchyard explain attributes an answer to fields"
    )


def is_canaried(known: Known) -> Found:
    """Models are canaried before serving."""
    champion = known.champion
    if champion is None:
        return missing("a release that serves", "torchyard deploy --canary 0.1")
    own = [event for event in known.events if event.release == champion]
    canary = next((event for event in own if event.action == "canary"), None)
    promoted = next((event for event in own if event.action == "promote"), None)
    if canary is None or promoted is None:
        lacks = f"a canary of {known.current}: it was given all traffic at once"
        return missing(lacks, "Next time: torchyard deploy --canary 0.1, look, torchyard promote")
    took = datetime.fromisoformat(promoted.at) - datetime.fromisoformat(canary.at)
    minutes = took.total_seconds() / 60
    return automatic(
        f"{known.current} answered {canary.weight:.0%} of requests for {minutes:.0f} minutes "
        "before it was promoted"
    )


def can_be_rolled_back(known: Known) -> Found:
    """Serving models can be rolled back."""
    events = [event for event in known.events if event.action == "rollback"]
    if events:
        return automatic(
            f"done {counted(len(events), 'time')}, last on {events[-1].at[:10]}; "
            f"{counted(len(known.releases), 'sealed release')} to return to"
        )
    if len(known.releases) > 1 and known.champion is not None:
        return manual(
            f"{len(known.earlier)} earlier releases are sealed and verified",
            "a rollback that was tried",
            "torchyard rollback, on a quiet day",
        )
    return missing("an earlier release to return to", SHIP)


QUESTIONS = (
    Question("I1", "Training is reproducible.", is_reproducible),
    Question("I2", "Model specs are unit tested.", spec_is_tested),
    Question("I3", "The ML pipeline is integration tested.", pipeline_is_tested),
    Question("I4", "Model quality is validated before serving.", quality_is_validated),
    Question("I5", "The model is debuggable.", can_be_debugged),
    Question("I6", "Models are canaried before serving.", is_canaried),
    Question("I7", "Serving models can be rolled back.", can_be_rolled_back),
)
