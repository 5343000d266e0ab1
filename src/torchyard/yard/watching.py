"""A running server as a person watches it: what it serves, how it does, who works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.records.live import ModelState, ServerState, WorkerState
from torchyard.yard.operate import running, states
from torchyard.yard.workspace import Workspace

if TYPE_CHECKING:
    from torchyard.records.lately import Lately


@dataclass(frozen=True)
class View:
    """One look at a server. ``server`` is None before it listens and after; ``lately`` with it."""

    project: str
    server: ServerState | None
    workers: tuple[WorkerState, ...]
    models: dict[str, ModelState]
    lately: Lately | None


def watch(workspace: Workspace, *, clock: Callable[[], float]) -> Callable[[], View]:
    """A function that looks at the project's server, to be called some times a second.

    Args:
        workspace: the project.
        clock: seconds, monotonic; rates are held against it.
    """
    from torchyard.serve.telemetry.lately import Recent

    recent: list[Recent] = []
    known: dict[int, dict[str, ModelState]] = {}  # by the last channel event it comes from

    def look() -> View:
        server, workers = running(workspace)
        if server is None:
            return View(workspace.folder.name, None, (), {}, None)
        if not recent:
            recent.append(Recent(workspace.server, server.workers))
        event = max((worker.applied_event for worker in workers), default=0)
        if event not in known:
            known.clear()
            known[event] = states(workspace)
        return View(workspace.folder.name, server, workers, known[event], recent[0].look(clock()))

    return look


def output_file(workspace: Workspace) -> Path:
    """Where a server's output goes while a screen shows it."""
    return workspace.server / "output.log"
