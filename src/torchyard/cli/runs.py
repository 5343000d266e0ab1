"""Commands on runs: list them, look at one, compare two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import say, say_as_it_is, show_json, table, working
from torchyard.core.digest import short
from torchyard.core.errors import BadUsage
from torchyard.core.record import Json, to_json

if TYPE_CHECKING:
    from torchyard.yard.runs import Pair, RunComparison, RunDetails, TrackedRun

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 48
_WAYS = {
    "loop": "torchyard's loop", "lightning": "Lightning's Trainer", "fit": "the project's own fit",
    "weights": "weights that were given",
}  # fmt: skip
Ref = Annotated[str, typer.Argument(help="The id of a run, or the start of it.")]

runs = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.add_typer(runs, name="runs")


@runs.callback()
def list_runs(
    context: typer.Context,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The newest so many; all when left out.")
    ] = None,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first.

    A run is finished, failed, stopped (by a signal), running, or interrupted: its process is gone.

    Example: torchyard runs --limit 10
    """
    if context.invoked_subcommand is not None:
        if limit is not None or project != HERE or as_json:
            raise BadUsage(
                where=f"runs {context.invoked_subcommand}",
                found="options before the command",
                expected="options after it",
                remedy=f"Write: torchyard runs {context.invoked_subcommand} RUN --json",
            )
        return
    from torchyard.yard import Yard

    with working("Reading the runs"):
        found = Yard(project).runs(limit=limit)
    if as_json:
        show_json({"runs": to_json(found)})
    elif not found:
        say("There are no runs yet. Make one with: torchyard train")
    else:
        _show_list(found)


@runs.command()
def show(run: Ref, project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Show what was recorded of a run: settings, numbers, curves, where it happened.

    Example: torchyard runs show 942909b2
    """
    from torchyard.yard import Yard

    with working("Reading the run"):
        found = Yard(project).find_run(run)
    if as_json:
        show_json(_details_json(found))
    else:
        _show_details(found)


@runs.command()
def compare(
    first: Annotated[str, typer.Argument(help="The id of a run, or the start of it.")],
    second: Annotated[str, typer.Argument(help="Another one's.")],
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: settings that differ, numbers side by side, data, code, environment.

    Example: torchyard runs compare 942909b2 41c7f0aa
    """
    from torchyard.yard import Yard

    with working("Reading the runs"):
        found = Yard(project).compare_runs(first, second)
    if as_json:
        show_json(_comparison_json(found))
    else:
        _show_comparison(found)


def sparkline(values: Sequence[float], *, low: float, high: float) -> str:
    """A curve in one line of bars, between two values; long ones are thinned to 48.

    Example:
        >>> sparkline([0.9, 0.5, 0.3, 0.1], low=0.1, high=0.9)
        '█▅▃▁'
    """
    step = max(1, -(-len(values) // _WIDEST))
    span = (high - low) or 1.0
    top = len(_BARS) - 1
    places = (round((value - low) / span * top) for value in values[::step])
    return "".join(_BARS[min(top, max(0, place))] for place in places)


def _show_list(found: Iterable[TrackedRun]) -> None:
    table(
        ("run", "status", "started (UTC)", "seconds", "validation loss", "by", "data", "weights"),
        [
            (
                one.run[:12], one.status, one.started[:16].replace("T", " "), f"{one.seconds:,.1f}",
                _number(one.metrics.get("validation_loss")), one.way, short(one.dataset),
                short(one.weights_sha256 or ""),
            )
            for one in found
        ],
        right=("seconds", "validation loss"),
    )  # fmt: skip


def _show_details(found: RunDetails) -> None:
    one = found.run
    say(f"Run {one.run}: {one.status}, started {one.started[:19].replace('T', ' ')} UTC, "
        f"{one.seconds:,.1f} s, by {_WAYS.get(one.way, one.way)}.")  # fmt: skip
    if one.status == "interrupted":
        say("Its process is gone; run the same command again, and it goes on where it stood.")
    if found.error is not None:
        say(str(found.error["text"]), first="  error     ")
    rows = {
        "settings": ", ".join(f"{name}={value}" for name, value in found.parameters.items()),
        "data": short(one.dataset), "features": short(found.features),
        "code": f"{short(found.source)} ({', '.join(found.code)})",
        "weights": short(one.weights_sha256 or "") or "none", **_circumstances(found),
    }  # fmt: skip
    for name, text in rows.items():
        say(text, first=f"  {name:<9} ")
    say("")
    _show_curves([found])
    say("")
    numbers = {**one.metrics, **found.measured}
    table(
        ("number", "value"), [(name, _number(value)) for name, value in numbers.items()],
        right=("value",),
    )  # fmt: skip
    say("")
    say(f"Files: {', '.join(found.files)}")


def _show_comparison(found: RunComparison) -> None:
    names = [one.run.run[:12] for one in (found.a, found.b)]
    for name, one in zip("AB", (found.a, found.b), strict=True):
        say(f"{one.run.run}, {one.run.status}, {one.run.started[:16].replace('T', ' ')} UTC",
            first=f"{name}  ")  # fmt: skip
    if names[0] == names[1]:
        say("They are the same run.")
        return
    numbers = [
        (name, _number(pair.a), _number(pair.b), _difference(pair))
        for name, pair in found.metrics.items()
    ]
    headings = ("number", "A", "B", "B - A")
    say("")
    table(headings, numbers, right=headings[1:])
    say("")
    _show_curves([found.a, found.b])
    say("")
    for pair, same, word in (
        (found.dataset, "data version", "data"), (found.features, "features", "features"),
    ):  # fmt: skip
        if pair is None:
            say(f"The same {same}.")
        else:
            say(f"{short(pair.a or '')} against {short(pair.b or '')}", first=f"{word}: ")
    _show_pairs("settings", found.parameters)
    for file, change in found.code.items():
        say(f"{file}: {change.added:+d} {-change.removed:d} lines", first="code: ")
    _show_pairs("environment", {**found.environment, **found.packages})
    _show_pairs("hardware", found.hardware)


def _show_curves(found: Sequence[RunDetails]) -> None:
    """Each loss as a line of bars, on one scale for all the runs shown."""
    for name in found[0].curves:
        curves = [[value for _, value in one.curves[name]] for one in found]
        values = [value for curve in curves for value in curve]
        for letter, curve in zip("AB", curves, strict=False):
            if not curve:
                continue
            bars = sparkline(curve, low=min(values), high=max(values))
            which = f"{letter} " if len(found) > 1 else ""
            say_as_it_is(f"  {name:<16} {which}{bars}  {curve[0]:.4f} to {curve[-1]:.4f}")


def _show_pairs(word: str, pairs: Mapping[str, Pair[str]]) -> None:
    if not pairs:
        say(f"The same {word}.")
        return
    rows = [(name, pair.a or "", pair.b or "") for name, pair in pairs.items()]
    table((f"{word} that differ", "A", "B"), rows)


def _circumstances(found: RunDetails) -> dict[str, str]:
    where = found.environment
    if where is None:
        return {}
    changed = ", with uncommitted changes" if where.git_diff_sha256 else ""
    accelerator = "" if where.accelerator == "none" else f", {where.accelerator}"
    return {
        "git": f"{where.git_commit}{changed}" if where.git_commit else "no commit",
        "hardware": f"{where.processor}, {where.cores} cores, {where.memory_gib} GiB{accelerator}",
        "software": f"Python {where.python}, {len(where.packages)} packages: requirements.txt",
    }


def _details_json(found: RunDetails) -> dict[str, Json]:
    """The run's line, and what it leaves out; the code's text is in the run's files."""
    details: dict[str, Json] = to_json(found)
    line = details.pop("run")
    return {**line, **details, "code": list(found.code)}


def _comparison_json(found: RunComparison) -> dict[str, Json]:
    rest: dict[str, Json] = to_json(found)
    sides = {name: {**to_json(one.run), "curves": to_json(one.curves)}
             for name, one in (("a", found.a), ("b", found.b))}  # fmt: skip
    metrics = {
        name: {**to_json(pair), "difference": _minus(pair)} for name, pair in found.metrics.items()
    }
    return {**rest, **sides, "metrics": metrics}


def _minus(pair: Pair[float]) -> float | None:
    return None if pair.a is None or pair.b is None else pair.b - pair.a


def _difference(pair: Pair[float]) -> str:
    difference = _minus(pair)
    return "" if difference is None else f"{difference:+.6g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
