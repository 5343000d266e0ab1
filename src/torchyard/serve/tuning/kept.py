"""What is on file about releases and this machine, read without opening a release.

Only speed is read from here, never an answer, so nothing is verified: a worker opens and proves its
release before it serves.
"""

from __future__ import annotations

import json
from pathlib import Path

from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadRecord
from torchyard.core.record import from_json, read_record
from torchyard.records.evidence import Latency
from torchyard.records.tuning import TunedRelease, Tuning
from torchyard.serve.tuning.machine import hardware
from torchyard.serve.tuning.pace import is_cheap, is_light
from torchyard.serve.tuning.planning import Pace

FILE = "tuned.json"


def read_tuning(state: Path) -> Tuning | None:
    """What was tuned in a server's state folder; None when nothing was, or it cannot be read."""
    try:
        return read_record(Tuning, state / FILE)
    except BadRecord:
        return None


def tuned_release(state: Path, release: str) -> TunedRelease | None:
    """What was tuned of a release on hardware like this."""
    tuning = read_tuning(state)
    return tuning.releases.get(release) if tuning and tuning.hardware == hardware() else None


def pace_of(releases: Path, release: str, tuned: TunedRelease | None) -> Pace | None:
    """How fast a release is, by what was tuned or else by its own evidence; None if unreadable."""
    folder = releases / release.removeprefix(PREFIX)
    try:
        kinds = [
            field["kind"] for field in json.loads((folder / "schema.json").read_bytes())["fields"]
        ]
        if tuned is not None:
            known = tuned.latency
            return Pace(is_cheap(known, kinds), tuned.lanes, tuned.threads, is_light(known))
        first = json.loads((folder / "manifest.json").read_bytes())["ladder"][0]
        evidence = json.loads((folder / "evidence" / "evidence.json").read_bytes())
        (variant,) = (one for one in evidence["variants"] if one["name"] == first)
        latency = [from_json(Latency, one, where=first) for one in variant["latency"]]
    except (OSError, ValueError, LookupError, TypeError, BadRecord):
        return None
    return Pace(is_cheap(latency, kinds), is_light=is_light(latency))
