"""Commands about releases that serve: who answers, and what happens to them."""

from __future__ import annotations

from pathlib import Path
from time import localtime, strftime
from typing import TYPE_CHECKING, Annotated

import typer

from torchyard.cli.options import HERE, AsJson, Model, ProjectFolder, Reason
from torchyard.cli.screen import err, say, say_as_it_is, show_json, table
from torchyard.core.digest import short
from torchyard.core.errors import YardError
from torchyard.core.record import Json, to_json
from torchyard.records.live import ModelState, Window
from torchyard.records.quarantine import Case

if TYPE_CHECKING:
    from torchyard.yard.operate import Decision

_Release = Annotated[
    str | None, typer.Argument(help="An id, the start of one, or a number; the newest if left out.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    for command in (deploy, promote, rollback, undeploy, status, monitor, releases, card):
        app.command()(command)


def deploy(
    release: _Release = None,
    canary: Annotated[
        float | None, typer.Option(help="Only this share of traffic, for example 0.1.")
    ] = None,
    reason: Reason = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Give a release all traffic, or a canary's share of it. Workers follow within a second.

    Example: torchyard deploy --canary 0.1
    """
    from torchyard.yard import Yard

    _decided(project, Yard(project).deploy(release, weight=canary, reason=reason), as_json)


def promote(
    model: Model = None,
    reason: Reason = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Give the canary all traffic.

    Example: torchyard promote --reason "a day without alerts"
    """
    from torchyard.yard import Yard

    _decided(project, Yard(project).promote(model=model, reason=reason), as_json)


def rollback(
    model: Model = None,
    reason: Reason = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Drop the canary; without one, return to the champion before.

    Example: torchyard rollback --reason "more complaints since noon"
    """
    from torchyard.yard import Yard

    _decided(project, Yard(project).rollback(model=model, reason=reason), as_json)


def undeploy(
    model: Model = None,
    reason: Reason = "",
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Take a model out of service: requests for it are refused until it is deployed or rolled back.

    Example: torchyard undeploy --reason "the product is discontinued"
    """
    from torchyard.yard import Yard

    _decided(project, Yard(project).undeploy(model=model, reason=reason), as_json)


def status(project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Show who serves what share of each model's traffic, and whether a server runs.

    Example: torchyard status --json
    """
    from torchyard.yard import Yard

    found = Yard(project).status()
    if as_json:
        show_json({
            "models": {name: _state_json(state) for name, state in found.models.items()},
            "server": None if found.server is None else to_json(found.server),
            "workers": to_json(found.workers),
            "quarantined": to_json(found.quarantined),
        })  # fmt: skip
        return
    if not found.models:
        say("Nothing is deployed yet. Make a release with: torchyard ship")
    for name, state in found.models.items():
        if not state.routes:
            say(f"{name} is out of service. torchyard rollback brings back who served.")
    if any(state.routes for state in found.models.values()):
        table(
            ("model", "release", "share", "role"),
            [
                (name, short(release), f"{weight:.0%}",
                 "champion" if release == state.champion else "canary")
                for name, state in found.models.items()
                for release, weight in state.routes.items()
            ],
            right=("share",),
        )  # fmt: skip
    _show_quarantined(found.quarantined)
    if found.server is None:
        say("No server runs here. Start one with: torchyard serve")
        return
    ready = sum(worker.ready for worker in found.workers)
    say(f"Serving at {found.server.url}, {ready} of {found.server.workers} workers ready.")
    if found.server.control_port is not None:
        say(f"Metrics and control at {found.server.control_url}.")
    for worker in found.workers:
        if worker.problem:
            say(worker.problem, first=f"  worker {worker.worker}: ")


def monitor(
    every: Annotated[
        str, typer.Option(help="A window's length, like 6h, 1d or 7d, or its number of rows.")
    ] = "1d",
    time: Annotated[
        str | None, typer.Option(help="The timestamp field to cut windows by; else answer time.")
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="Whose reference to hold against; the champion's.")
    ] = None,
    model: Model = None,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Read the prediction log in windows: drift, answers, live quality, alerts.

    Example: torchyard monitor --every 7d --time scheduled
    """
    from torchyard.yard import Yard

    report, page = Yard(project).monitor(every=every, time=time, release=release, model=model)
    if as_json:
        show_json(to_json(report))
        return
    say(f"{report.model}: {report.rows:,} answered rows in {len(report.windows)} windows, held "
        f"against release {short(report.reference)}")  # fmt: skip
    table(
        ("window", "rows", "late labels", "quality", "answers' PSI", "drifted fields"),
        [
            (
                f"{window.first[:16]} to {window.last[:16]}", f"{window.rows:,}",
                f"{window.labelled:,}",
                _quality(window),
                f"{window.answers.psi:.3f}",
                ", ".join(field.name for field in window.fields if field.drifted),
            )
            for window in report.windows
        ],
        right=("rows", "late labels", "quality", "answers' PSI"),
    )  # fmt: skip
    for alert in report.alerts:
        say(f"{alert.severity.upper()}: {alert.message}")
    if not report.alerts:
        say("No alerts.")
    say(f"Report: {page}")


def releases(project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """List the sealed releases, verified, oldest first.

    Example: torchyard releases
    """
    from torchyard.yard import Yard
    from torchyard.yard.wording import headline_name, headline_value

    found = Yard(project).releases()
    if as_json:
        show_json({
            "releases": [
                {
                    "release": item.id, "number": number, "model": item.manifest.model,
                    "sealed_at": item.seal.sealed_at, "variants": list(item.manifest.ladder),
                    "lineage": to_json(item.manifest.lineage),
                }
                for number, item in enumerate(found, 1)
            ]
        })  # fmt: skip
        return
    if not found:
        say("No releases yet. Make one with: torchyard ship")
        return
    table(
        ("number", "release", "model", "sealed", "variants", "quality"),
        [
            (
                str(number), short(item.id), item.manifest.model, item.seal.sealed_at,
                ", ".join(item.manifest.ladder),
                f"{headline_name(item.task)} "
                f"{headline_value(item.task, item.evidence.reports[0].metrics)}",
            )
            for number, item in enumerate(found, 1)
        ],
        right=("number", "quality"),
    )  # fmt: skip


def card(release: _Release = None, project: ProjectFolder = HERE, as_json: AsJson = False) -> None:
    """Print a release's model card (Markdown); its page lies beside it as card.html.

    Example: torchyard card 1
    """
    from torchyard.yard import Yard

    found = Yard(project).find_release(release)
    text = (found.folder / "card.md").read_text()
    if as_json:
        page = str(found.folder / "card.html")
        show_json({"release": found.id, "card": text, "page": page})
    else:
        say_as_it_is(text)


def _show_quarantined(cases: tuple[Case, ...]) -> None:
    """Requests that are refused, by what finds them in the output and in clients' logs."""
    if not cases:
        return
    say("Refused because they killed workers:")
    table(
        ("incident", "model", "release", "kills", "until"),
        [
            (case.incident, case.model, short(case.release), str(case.kills),
             strftime("%Y-%m-%d %H:%M", localtime(case.until)))
            for case in cases
        ],
        right=("kills",),
    )  # fmt: skip


def _quality(window: Window) -> str:
    """The first metric of a window's labelled rows: what stands for the model's quality."""
    name = next(iter(window.quality), None)
    return "" if name is None else f"{name} {window.quality[name].value:.4f}"


def _decided(project: Path, decision: Decision, as_json: bool) -> None:
    """Print a decision at once; then mirror the names to MLflow, which takes seconds to load."""
    from torchyard.yard import Yard

    state = decision.state
    if as_json:
        show_json({
            "model": state.model,
            "event": None if decision.event is None else to_json(decision.event),
            **_state_json(state),
            "workers": to_json(decision.workers),
        })  # fmt: skip
    else:
        shares = ", ".join(f"{short(release)} {weight:.0%}" for release, weight in
                           state.routes.items()) or "out of service"  # fmt: skip
        followed = (
            f"{len(decision.workers)} workers follow" if decision.workers else "no server runs"
        )
        if decision.event is None:
            say(f"{state.model}: nothing to do, it already serves: {shares}.")
        else:
            say(f"{state.model}: {shares} ({followed}).")
    if decision.event is None:
        return
    try:
        if not Yard(project).mirror_names(state.model):
            err.print("MLflow is not installed here, so its aliases were left as they are.")
    except YardError as error:  # the decision stands; only its mirror is behind
        err.print(f"MLflow's aliases were left as they are: {error}")


def _state_json(state: ModelState) -> dict[str, Json]:
    return {
        "champion": state.champion,
        "challenger": state.challenger,
        "routes": state.routes,
        "previous": list(state.previous),
        "last_event": state.last_event,
    }
