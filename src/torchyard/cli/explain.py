"""What a model looks at, what each field costs, why an answer is what it is, and how it ages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder, Set, Tuned, parse_settings
from torchyard.cli.screen import Drawn, say, show_json, table
from torchyard.core.errors import BadUsage
from torchyard.core.record import Json, to_json
from torchyard.records.ageing import Staleness
from torchyard.records.measures import Measured
from torchyard.records.weaknesses import FieldCost, FieldImportance

if TYPE_CHECKING:
    from torchyard.yard.attributing import Attribution

_BAR = 24


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.command()(explain)
    app.command()(staleness)


def explain(
    project: ProjectFolder = HERE,
    drop_one: Annotated[
        bool, typer.Option("--drop-one", help="Train again without each field in turn.")
    ] = False,
    row: Annotated[
        Path | None, typer.Option(help="JSON of a row, or of a list of rows, to explain.")
    ] = None,
    number: Annotated[
        int | None, typer.Option(help="Explain the test row of that number, from 1.")
    ] = None,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Say which fields the model looks at; with a row, what each field did to its answer.

    Example: torchyard explain --number 1
    """
    from torchyard.yard import Yard

    if sum((drop_one, row is not None, number is not None)) > 1:
        raise BadUsage(
            where="torchyard explain",
            found="several of --drop-one, --row and --number",
            expected="at most one",
            remedy="See: torchyard explain --help",
        )
    yard, training = Yard(project, progress=Drawn()), parse_settings(settings)
    if drop_one:
        _show_costs(yard.costs(training=training, tuned=tuned), as_json)
    elif row is not None or number is not None:
        asked = number if row is None else _rows(row)
        assert asked is not None, "one of the two was given"
        _show_answers(yard.explain(asked, training=training, tuned=tuned), as_json)
    else:
        report = yard.evaluate(training=training, tuned=tuned).report
        _show_importance(report.importance, as_json)


def staleness(
    project: ProjectFolder = HERE,
    settings: Set = None,
    tuned: Tuned = False,
    as_json: AsJson = False,
) -> None:
    """Say how the model's quality falls with its age, and when a gate would be missed.

    Example: torchyard staleness
    """
    from torchyard.yard import Yard

    found = Yard(project, progress=Drawn()).staleness(
        training=parse_settings(settings), tuned=tuned
    )
    if as_json:
        show_json(to_json(found))
        return
    show_staleness(found)


def show_staleness(found: Staleness) -> None:
    """The curve, an age a line, and the age at which each gate would be missed."""
    table(
        ("age in days", "models", "rows", found.metric, "95 % interval"),
        [
            (f"{one.age_days:.0f}", str(one.models), f"{one.measured.rows:,}",
             f"{one.measured.value:.4f}", _interval(one.measured))
            for one in found.curve
        ],
        right=("age in days", "models", "rows", found.metric),
    )  # fmt: skip
    last = max((one.age_days for one in found.curve), default=0.0)
    for gate, age in found.limits.items():
        if age is None:
            say(f"{gate}: passed up to an age of {last:.0f} days, the oldest that was measured.")
        else:
            say(f"{gate}: no longer passed at an age of {age:.0f} days.")


def _show_importance(found: Sequence[FieldImportance], as_json: bool) -> None:
    if as_json:
        show_json({"importance": to_json(tuple(found))})
        return
    most = max((one.drop.value for one in found), default=0.0)
    metric = found[0].metric if found else "loss"
    say(f"How much worse {metric} gets when a field's values are exchanged among test rows:")
    table(
        ("field", "worse by", "95 % interval", "", "missing"),
        [
            (one.field, f"{one.drop.value:.4f}", _interval(one.drop), _bar(one.drop.value, most),
             f"{one.missing:.1%}")
            for one in found
        ],
        right=("worse by", "missing"),
    )  # fmt: skip
    idle = sum(one.drop.low is not None and one.drop.low <= 0 for one in found)
    if idle:
        say(f"Of {idle} of {len(found)} fields nothing shows that they help.")
    say("What a field costs: torchyard explain --drop-one", first="Next: ")


def _show_costs(found: Sequence[FieldCost], as_json: bool) -> None:
    if as_json:
        show_json({"costs": to_json(tuple(found))})
        return
    most = max((one.loss.value for one in found), default=0.0)
    metric = found[0].metric if found else "loss"
    say(f"How much worse {metric} is on the test rows of a model that was trained without a field:")
    table(
        ("field", "worse by", "95 % interval", "", "missing", "microseconds", "earns its cost"),
        [
            (one.field, f"{one.loss.value:.4f}", _interval(one.loss), _bar(one.loss.value, most),
             f"{one.missing:.1%}", f"{one.microseconds:.1f}",
             "yes" if one.earns_its_cost else "not shown")
            for one in found
        ],
        right=("worse by", "missing", "microseconds"),
    )  # fmt: skip
    say("The next release of this run carries them: torchyard ship", first="Next: ")


def _show_answers(found: Sequence[Attribution], as_json: bool) -> None:
    if as_json:
        show_json({"answers": to_json(tuple(found))})
        return
    for place, one in enumerate(found, start=1):
        which = f"Row {place}: " if len(found) > 1 else ""
        say(
            f"{which}{one.of} {one.answer:.4f}; usually {one.reference:.4f}, the mean over "
            f"{one.references} training rows. What each field did:"
        )
        most = max((abs(part.moves.value) for part in one.parts), default=0.0)
        table(
            ("field", "value", "moves it by", "95 % interval", ""),
            [
                (part.field, part.value, f"{part.moves.value:+.4f}", _interval(part.moves),
                 _bar(part.moves.value, most))
                for part in one.parts
            ],
            right=("moves it by",),
        )  # fmt: skip


def _rows(path: Path) -> list[dict[str, Json]]:
    """One row or several, from a JSON file.

    Raises:
        BadUsage: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadUsage(
            where=f"--row {path}",
            found=" ".join(str(error).split()),
            expected="a JSON file",
            remedy="Write a row as in a request: an object with one value per field.",
        ) from error
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(one, dict) for one in rows):
        raise BadUsage(
            where=f"--row {path}",
            found="JSON that is no object, and no list of objects",
            expected="a row, or a list of rows",
            remedy="Write a row as in a request: an object with one value per field.",
        )
    return rows


def _interval(one: Measured) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{one.low:.4f} to {one.high:.4f}"


def _bar(value: float, most: float) -> str:
    """A bar of up to 24 signs, ``-`` where it goes down.

    Example:
        >>> _bar(0.5, 1.0), _bar(-0.25, 1.0), _bar(0.0, 0.0)
        ('############', '------', '')
    """
    length = round(_BAR * abs(value) / most) if most > 0 else 0
    return ("#" if value > 0 else "-") * min(length, _BAR)
