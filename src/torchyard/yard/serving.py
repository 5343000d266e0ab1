"""Measuring the deployed releases on this machine, for the server that will run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadUsage, NotFound
from torchyard.core.record import write_record
from torchyard.records.tuning import TunedRelease, Tuning
from torchyard.release import Release, open_release
from torchyard.yard import operate
from torchyard.yard.workspace import Workspace

if TYPE_CHECKING:
    from torchyard.serve.tuning.measuring import Way

SECONDS = 40.0  # for all releases together; opening them comes on top


@dataclass(frozen=True)
class TunedServer:
    """What was measured of each release (id to ways), which way is best, and what a server takes.

    ``settings`` are workers, lanes and threads by name.
    """

    ways: dict[str, tuple[Way, ...]]
    best: dict[str, Way]
    settings: dict[str, int]


def tune_server(workspace: Workspace, *, announce: Callable[[str], None]) -> TunedServer:
    """Run every deployed release every way that makes sense here, and keep what was best.

    Raises:
        NotFound: nothing is deployed.
        BadUsage: a server runs on this project, and would be measured too.
        NotReady: a release does not answer here as it was judged, or cannot use the GPU that is
            asked for.
    """
    from torchyard.serve.settings import AUTO
    from torchyard.serve.tuning.kept import FILE
    from torchyard.serve.tuning.machine import hardware, usable_cores
    from torchyard.serve.tuning.measuring import choose, measure, tuned
    from torchyard.serve.tuning.settling import settle

    releases, device = _deployed(workspace), operate.asked_device(workspace)
    ways: dict[str, tuple[Way, ...]] = {}
    kept: dict[str, TunedRelease] = {}
    for release in releases:
        announce(f"measuring {release.manifest.model}, release {release.id[7:19]}")
        seconds = SECONDS / len(releases)
        ways[release.id] = tuple(
            measure(release, cores=usable_cores(), seconds=seconds, device=device)
        )
        kept[release.id] = tuned(ways[release.id])
    write_record(workspace.server / FILE, Tuning(hardware=hardware(), releases=kept))
    settings = settle(
        {"device": device},
        releases=workspace.releases,
        channels_url=workspace.channels_url,
        state=workspace.server,
        announce=lambda text: None,
    )
    numbers = {name: settings[name] for name in AUTO}
    return TunedServer(ways, {name: choose(found) for name, found in ways.items()}, numbers)


def _deployed(workspace: Workspace) -> tuple[Release, ...]:
    server, _ = operate.running(workspace)
    if server is not None:
        raise BadUsage(
            where="--tune",
            found=f"a running server, process {server.pid}",
            expected="no other load on this machine",
            remedy="Stop the server first.",
        )
    ids = {name for state in operate.states(workspace).values() for name in state.routes}
    if not ids:
        raise NotFound(
            where="channel events",
            found="no deployed model",
            expected="at least one",
            remedy="Deploy one with: torchyard deploy",
        )
    return tuple(
        open_release(workspace.releases / name.removeprefix(PREFIX), trusted=workspace.trusted)
        for name in sorted(ids)
    )
