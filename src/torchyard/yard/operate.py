"""After release: serve, decide who serves, look at what happens.

Nothing here imports torch, and nothing loads ``project.py``: a release holds all that is needed.
"""

from __future__ import annotations

import getpass
import importlib.util
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.files import write_atomically
from torchyard.core.record import write_record
from torchyard.records.evidence import AskedDevice
from torchyard.records.live import ChannelEvent, ModelState, MonitorReport, ServerState, WorkerState
from torchyard.records.quarantine import Case
from torchyard.release import ChannelLog, Release, list_releases, open_release, resolve
from torchyard.rollout import canary, deploy, promote, rollback, undeploy, wait_until_followed
from torchyard.yard.workspace import Workspace

FOLLOW_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Decision:
    """A channel event, the model's state after it, and the workers that follow it.

    ``event`` is None when the state already was what was asked for; ``workers`` is empty when no
    server runs.
    """

    event: ChannelEvent | None
    state: ModelState
    workers: tuple[WorkerState, ...]


@dataclass(frozen=True)
class Status:
    """Models by name, the running server (None when there is none) and its workers.

    ``quarantined`` are the requests that killed workers twice and are refused.
    """

    models: dict[str, ModelState]
    server: ServerState | None
    workers: tuple[WorkerState, ...]
    quarantined: tuple[Case, ...] = ()


def serve(
    workspace: Workspace, *, settings: Mapping[str, object], announce: Callable[[str], None]
) -> int:
    """Serve every deployed model of the project until SIGTERM or SIGINT.

    Args:
        workspace: the project.
        settings: by name; they win over those in ``torchyard.toml``.
        announce: told, a line each, what a person at the screen wants to know.

    Returns:
        The exit status.

    Raises:
        BadUsage: a setting is unknown or out of its range.
        BadProject: one in ``torchyard.toml`` is.
    """
    from torchyard.serve import Settings, supervise
    from torchyard.serve.configured import given_settings, read_settings
    from torchyard.serve.tuning.settling import settle

    chosen: dict[str, Any] = {
        "project_name": workspace.folder.name,
        "api_keys": workspace.api_keys,
    }
    chosen |= read_settings(workspace.settings) | given_settings(settings)
    chosen = settle(
        chosen,
        releases=workspace.releases,
        channels_url=workspace.channels_url,
        state=workspace.server,
        announce=announce,
    )
    return supervise(
        Settings(
            releases=workspace.releases,
            channels_url=workspace.channels_url,
            trusted_keys=workspace.trusted,
            predictions=workspace.predictions,
            labels=workspace.labels,
            state=workspace.server,
            **chosen,
        ),
        announce=announce,
    )


def deploy_release(
    workspace: Workspace, *, release: str | None, weight: float | None, reason: str
) -> Decision:
    """Give a release all traffic, or with ``weight`` a canary's share of it.

    The golden requests are replayed first, from the file that will serve, where it will run.

    Args:
        workspace: the project.
        release: an id, its start, or a number; None for the newest.
        weight: share of traffic above 0 and below 1, or None for all.
        reason: kept with the event.
    """
    chosen = open_release(
        newest(workspace) if release is None else resolve(release, workspace.releases),
        trusted=workspace.trusted,
    )
    model = chosen.manifest.model
    with ChannelLog(workspace.channels_url) as log:
        state = log.states().get(model)
        if weight is None and state and state.champion == chosen.id and not state.challenger:
            return Decision(None, state, ())
        replay_golden(chosen, device=asked_device(workspace))
        if weight is None:
            event = deploy(log, model=model, release=chosen.id, by=_by(), reason=reason)
        else:
            event = canary(
                log, model=model, release=chosen.id, weight=weight, by=_by(), reason=reason
            )
        return _followed(workspace, log, event)


def promote_challenger(workspace: Workspace, *, model: str | None, reason: str) -> Decision:
    """Give the canary all traffic."""
    with ChannelLog(workspace.channels_url) as log:
        name = only_model(log.states(), model)
        return _followed(workspace, log, promote(log, model=name, by=_by(), reason=reason))


def roll_back(workspace: Workspace, *, model: str | None, reason: str) -> Decision:
    """Drop the canary; without one, return to the champion before."""
    with ChannelLog(workspace.channels_url) as log:
        name = only_model(log.states(), model)
        return _followed(workspace, log, rollback(log, model=name, by=_by(), reason=reason))


def undeploy_model(workspace: Workspace, *, model: str | None, reason: str) -> Decision:
    """Take a model out of service, until it is deployed or rolled back."""
    with ChannelLog(workspace.channels_url) as log:
        name = only_model(log.states(), model)
        return _followed(workspace, log, undeploy(log, model=name, by=_by(), reason=reason))


def states(workspace: Workspace) -> dict[str, ModelState]:
    """Who serves what share of each model's traffic."""
    with ChannelLog(workspace.channels_url) as log:
        return log.states()


def running(workspace: Workspace) -> tuple[ServerState | None, tuple[WorkerState, ...]]:
    """The server that runs on this project, if one does, and what its workers say."""
    from torchyard.rollout import living_workers, running_server

    server = running_server(workspace.server)
    return server, () if server is None else living_workers(workspace.server)


def quarantined(workspace: Workspace) -> tuple[Case, ...]:
    """The requests that are refused because they killed workers, the last one last."""
    from torchyard.serve.quarantine.court import FILE, read_cases

    now = clock.time()
    cases = read_cases(workspace.server / FILE)
    return tuple(case for case in cases if case.is_quarantined and case.until > now)


def mirror_names(workspace: Workspace, model: str) -> bool:
    """Set MLflow's aliases ``champion`` and ``challenger`` to what the channel events say.

    Loads MLflow, which takes seconds: callers answer first.

    Returns:
        False where MLflow is not installed, as on a machine that only serves.
    """
    if importlib.util.find_spec("mlflow") is None:
        return False
    from torchyard.release import mirror

    mirror(states(workspace)[model], tracking_uri=workspace.tracking_url)
    return True


def newest(workspace: Workspace) -> Path:
    """The folder of the release that was sealed last.

    Raises:
        NotFound: nothing was released yet.
    """
    folders = list_releases(workspace.releases)
    if not folders:
        raise NotFound(
            where=str(workspace.releases),
            found="no release",
            expected="at least one",
            remedy="Make one with: torchyard ship",
        )
    return folders[-1]


def asked_device(workspace: Workspace) -> AskedDevice:
    """Where models are to run, by ``torchyard.toml``."""
    from torchyard.serve.configured import read_settings

    asked: AskedDevice = read_settings(workspace.settings).get("device", "auto")
    return asked


def replay_golden(release: Release, *, device: AskedDevice = "cpu") -> float:
    """Answer the golden requests from the release's own file.

    Returns:
        The largest difference from the golden answers, see ``serve.replay``.

    Raises:
        NotReady: it exceeds the release's tolerance, or ``device`` cannot be used.
    """
    from torchyard.serve import replay

    return replay(release, device=device)


def monitor(
    workspace: Workspace,
    *,
    model: str | None = None,
    every: str | int = "1d",
    time: str | None = None,
    release: str | None = None,
) -> tuple[MonitorReport, Path]:
    """Hold the logged traffic against a release's reference, window by window.

    Args:
        workspace: the project.
        model: which one; may be left out when there is only one.
        every: a window's length, ``"6h"``, ``"1d"``, ``"7d"``, or its number of rows.
        time: the timestamp field to cut windows by; None for the time of the answer.
        release: whose reference; None for the champion's, of an undeployed model the last one's.

    Returns:
        The report, and the HTML page written about it (beside it Markdown and JSON).
    """
    from torchyard.monitor import Reference, render_html, render_markdown, watch

    known = states(workspace)
    name = only_model(known, model)
    champion = known[name].champion or known[name].previous[-1]
    folder = (
        workspace.releases / champion.removeprefix(PREFIX)
        if release is None
        else resolve(release, workspace.releases)
    )
    sealed = open_release(folder, trusted=workspace.trusted)
    first = sealed.manifest.ladder[0]
    report = watch(
        model=name,
        release=Reference(
            release=sealed.id,
            schema=sealed.schema,
            task=sealed.task,
            inputs=sealed.reference,
            answers=sealed.reference_answers,
            report=next(item for item in sealed.evidence.reports if item.model == first),
        ),
        predictions=workspace.predictions,
        labels=workspace.labels,
        every=every,
        time=time,
    )
    page = workspace.reports / f"{name}.html"
    write_record(page.with_suffix(".json"), report)
    write_atomically(page, render_html(report).encode())
    write_atomically(page.with_suffix(".md"), render_markdown(report).encode())
    return report, page


def releases(workspace: Workspace) -> tuple[Release, ...]:
    """Every release of the folder, verified, oldest first."""
    return tuple(
        open_release(folder, trusted=workspace.trusted)
        for folder in list_releases(workspace.releases)
    )


def find_release(workspace: Workspace, name: str | None) -> Release:
    """The release of that name, or the newest, verified."""
    folder = newest(workspace) if name is None else resolve(name, workspace.releases)
    return open_release(folder, trusted=workspace.trusted)


def only_model(known: dict[str, ModelState], model: str | None) -> str:
    """The model that is meant: the one named, or the only one there is.

    Raises:
        NotFound: no model was deployed, or none of that name.
        BadUsage: several were, and none is named.
    """
    if model is None and len(known) > 1:
        raise BadUsage(
            where="--model",
            found=f"{len(known)} deployed models: {', '.join(sorted(known))}",
            expected="one name",
            remedy="Say which with --model NAME.",
        )
    if not known or (model is not None and model not in known):
        raise NotFound(
            where=f"model '{model}'" if model else "channel events",
            found="no deployed model" if not known else f"only {', '.join(sorted(known))}",
            expected="a deployed model",
            remedy="Deploy one with: torchyard deploy",
        )
    return model or next(iter(known))


def _followed(workspace: Workspace, log: ChannelLog, event: ChannelEvent) -> Decision:
    workers = wait_until_followed(workspace.server, event=event.number, timeout_s=FOLLOW_TIMEOUT_S)
    return Decision(event, log.states()[event.model], workers)


def _by() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
