"""Settings that were left to the server: filled in from what is deployed and from this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torchyard.release.following import open_events
from torchyard.serve.settings import AUTO
from torchyard.serve.tuning.kept import pace_of, read_tuning
from torchyard.serve.tuning.machine import hardware, usable_cores
from torchyard.serve.tuning.planning import Plan, plan


def settle(
    given: Mapping[str, Any],
    *,
    releases: Path,
    channels_url: str,
    state: Path,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """The settings with ``workers``, ``lanes`` and ``threads`` as numbers.

    Args:
        given: what a person set; ``"auto"`` is as good as nothing.
        releases: folder of sealed releases.
        channels_url: of the channel log: what is deployed.
        state: the server's folder, which holds ``tuned.json`` if there is one.
        announce: told, in one line, whether what was tuned is used.
    """
    chosen = {name: value for name, value in given.items() if name not in AUTO or value != "auto"}
    if all(name in chosen for name in AUTO):
        return chosen
    tuning = read_tuning(state)
    if tuning is not None and tuning.hardware != hardware():
        announce(
            f"what was tuned on other hardware ({tuning.hardware}) is not used here;"
            " to measure again: torchyard serve --tune"
        )
        tuning = None
    tuned = {} if tuning is None else tuning.releases
    states = open_events(channels_url).states().values()
    deployed = sorted({release for one in states for release in one.routes})
    paces = [pace_of(releases, release, tuned.get(release)) for release in deployed]
    found = plan(
        [pace for pace in paces if pace is not None],
        cores=usable_cores(),
        workers=chosen.get("workers"),
    )
    if any(release in tuned for release in deployed):
        announce(f"as tuned on this machine: {words(found)}")
    return {"workers": found.workers, "lanes": found.lanes, "threads": found.threads, **chosen}


def words(found: Plan) -> str:
    """A plan in words.

    Example:
        >>> words(Plan(workers=1, lanes=2, threads=1))
        'workers 1, lanes 2, threads 1'
    """
    return f"workers {found.workers}, lanes {found.lanes}, threads {found.threads}"
