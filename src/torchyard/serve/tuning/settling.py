"""Settings that were left to the server: filled in from what is deployed and from this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torchyard.release.following import open_events
from torchyard.runtimes.devices import gpu_names, need_gpu
from torchyard.serve.settings import AUTO
from torchyard.serve.tuning.kept import First, pace_of, read_first, read_tuning
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
        announce: told, in one line each, whether what was tuned is used, and what runs on a GPU.

    Raises:
        NotReady: a GPU is asked for, and there is none that what is deployed can use.
    """
    chosen = {name: value for name, value in given.items() if name not in AUTO or value != "auto"}
    asked = chosen.get("device", "auto")
    if all(name in chosen for name in AUTO) and asked != "cuda":
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
    if asked == "cuda" and not deployed:
        need_gpu("onnxruntime", where="serve setting device")
    papers = [first for first in (read_first(releases, one) for one in deployed) if first]
    paces = [pace_of(first, tuned.get(first.release), asked=asked) for first in papers]
    for first, pace in zip(papers, paces, strict=True):
        if pace.gpus:
            announce(_on_gpu(first))
    found = plan(
        paces,
        cores=usable_cores(),
        workers=chosen.get("workers"),
    )
    if any(release in tuned for release in deployed):
        announce(f"as tuned on this machine: {words(found)}")
    return {"workers": found.workers, "lanes": found.lanes, "threads": found.threads, **chosen}


def _on_gpu(first: First) -> str:
    """Which GPU a release runs on, and what it was measured and judged on, which is another."""
    names, variant = ", ".join(sorted(set(gpu_names()))), first.variant
    return f"{first.model} ({variant.name}) runs on {names}; it was judged on {variant.hardware}"


def words(found: Plan) -> str:
    """A plan in words.

    Example:
        >>> words(Plan(workers=1, lanes=2, threads=1))
        'workers 1, lanes 2, threads 1'
    """
    return f"workers {found.workers}, lanes {found.lanes}, threads {found.threads}"
