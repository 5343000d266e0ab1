"""Section 1 of the ML Test Score: tests for features and data."""

from __future__ import annotations

from datetime import datetime, timedelta

from torchyard.core.wording import listed
from torchyard.readiness.found import Found, Question, automatic, manual, missing, no_release
from torchyard.readiness.known import Known, ReleaseFacts
from torchyard.records.schema import Field

# a feature that takes longer to reach production is not added quickly
QUICK = timedelta(days=7)


def schema_holds(known: Known) -> Found:
    """Feature expectations are captured in a schema, and rows are held against it."""
    current = known.current
    if current is None:
        return no_release()
    rows = current.dataset.rows + current.dataset.quarantined
    checked = (
        f"{rows:,} rows of dataset version {current.dataset.number} were held against "
        f"{len(current.schema.fields)} fields"
    )
    fields = [current.schema.field(name) for name in current.features.inputs]
    loose = [field.name for field in fields if not _is_bounded(field)]
    if loose:
        return manual(
            f"{checked}, by their kinds",
            f"what numbers may be: {listed(loose)}",
            f"Say it in the schema, for example {loose[0]}=ty.number(ge=0, le=100).",
        )
    return automatic(f"{checked}: kinds, ranges and values; every request is, too")


def _is_bounded(field: Field) -> bool:
    """Whether the schema says more of a number than that it is one."""
    if field.kind not in ("number", "integer"):
        return True
    return field.ge is not None or field.le is not None


def fields_help(known: Known) -> Found:
    """All features are beneficial."""
    current = known.current
    if current is None:
        return no_release()
    measured = current.research.importance
    if not measured:
        return missing("how much each field helps", "Ship again: every evaluation measures it.")
    idle = [one.field for one in measured if one.drop.low is not None and one.drop.low <= 0]
    told = f"{current}: {len(measured)} fields were shuffled among test rows"
    if idle:
        return manual(
            f"{told}; {len(measured) - len(idle)} surely help",
            f"a field's use: nothing shows that {listed(idle)} help",
            "Take such fields out of the features, or ask torchyard explain --drop-one.",
        )
    return automatic(f"{told}; each surely helps")


def costs_are_known(known: Known) -> Found:
    """No feature's cost is too much."""
    current = known.current
    if current is None:
        return no_release()
    costs = current.evidence.costs
    if not costs:
        return missing("what each field costs", "torchyard explain --drop-one, then ship again.")
    dear = [one.field for one in costs if not one.earns_its_cost]
    told = f"{current}: latency, missing values and use of {len(costs)} fields"
    if dear:
        return manual(
            told,
            f"a reason to pay for {listed(dear)}, which cost time or are often missing",
            "Take them out of the features.",
        )
    return automatic(f"{told}; each is worth its cost")


def rules_hold(known: Known) -> Found:
    """Features adhere to meta-level requirements."""
    ruled = [
        field.name
        for field in known.schema.fields
        if field.personal or field.later or field.protected
    ]
    if not ruled:
        return manual(
            "a project that reads a personal or a later field is refused before it runs",
            "requirements: no field is declared personal, later or protected",
            "Say what each field is, for example name=ty.text(personal=True).",
        )
    return automatic(
        f"{listed(ruled)} are declared personal, later or protected; features that read what they "
        "must not are refused before anything runs"
    )


def privacy_holds(known: Known) -> Found:
    """The data pipeline has appropriate privacy controls."""
    personal = [field.name for field in known.schema.fields if field.personal]
    if known.current is None:
        return no_release()
    if not personal:
        return manual(
            f"the schema says of its {len(known.schema.fields)} fields that none is personal",
            "a control that was needed",
            "Declare personal fields: they stay out of logs, reports and releases by themselves.",
        )
    return automatic(
        f"{listed(personal)} are personal: {known.current} was searched for their values before it "
        "was sealed, and the prediction log leaves them out"
    )


def features_come_quickly(known: Known) -> Found:
    """New features can be added quickly."""
    changes = [
        (before, after)
        for before, after in zip(known.releases, known.releases[1:], strict=False)
        if before.lineage.features != after.lineage.features
    ]
    if not changes:
        return missing(
            "two releases with other features",
            "Change a feature and ship: from its data to the seal is then known.",
        )
    before, after = changes[-1]
    taken = after.sealed_at - _made(after)
    told = f"{after} has other features than {before}, and was sealed {_told(taken)} after its data"
    if taken > QUICK:
        return manual(told, f"at most {_told(QUICK)}", "Ship soon after the data is there.")
    return automatic(told)


def _made(release: ReleaseFacts) -> datetime:
    return datetime.fromisoformat(release.dataset.created)


def _told(taken: timedelta) -> str:
    minutes = max(0.0, taken.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60:.0f} hours" if minutes < 2880 else f"{minutes / 1440:.0f} days"


def feature_code_is_tested(known: Known) -> Found:
    """All input feature code is tested."""
    current = known.current
    if current is None:
        return no_release()
    parity = current.evidence.parity
    told = (
        f"{current}: {parity.elements:,} feature values of {parity.rows} rows are bit for bit the "
        f"same in training and in serving, fed {listed(parity.orders)}"
    )
    if known.custom and not known.tests:
        return manual(
            told,
            f"tests of your own code in {listed(known.custom)}",
            "Write them beside project.py, in test_*.py.",
        )
    return automatic(told)


QUESTIONS = (
    Question("D1", "Feature expectations are captured in a schema.", schema_holds),
    Question("D2", "All features are beneficial.", fields_help),
    Question("D3", "No feature's cost is too much.", costs_are_known),
    Question("D4", "Features adhere to meta-level requirements.", rules_hold),
    Question("D5", "The data pipeline has appropriate privacy controls.", privacy_holds),
    Question("D6", "New features can be added quickly.", features_come_quickly),
    Question("D7", "All input feature code is tested.", feature_code_is_tested),
)
