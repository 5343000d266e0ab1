"""What is on file about releases and this machine, read without opening a release.

Only speed is read from here, never an answer, so nothing is verified: a worker opens and proves its
release before it serves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from torchyard.core.digest import PREFIX, short
from torchyard.core.errors import BadRecord
from torchyard.core.record import from_json, read_record
from torchyard.records.evidence import AskedDevice, Device, Variant
from torchyard.records.tuning import TunedRelease, Tuning
from torchyard.runtimes.devices import chosen_device, gpu_names
from torchyard.serve.tuning.machine import hardware
from torchyard.serve.tuning.pace import is_cheap, is_light
from torchyard.serve.tuning.planning import Pace

FILE = "tuned.json"


class First(NamedTuple):
    """What the papers of a release say of the variant that serves first."""

    release: str
    model: str
    variant: Variant
    kinds: tuple[str, ...]  # of its fields


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


def read_first(releases: Path, release: str) -> First | None:
    """The first variant of a release, as it was measured; None if that cannot be read."""
    folder = releases / release.removeprefix(PREFIX)
    try:
        fields = json.loads((folder / "schema.json").read_bytes())["fields"]
        manifest = json.loads((folder / "manifest.json").read_bytes())
        name = manifest["ladder"][0]
        evidence = json.loads((folder / "evidence" / "evidence.json").read_bytes())
        (found,) = (one for one in evidence["variants"] if one["name"] == name)
        variant = from_json(Variant, found, where=name)
        kinds = tuple(field["kind"] for field in fields)
        return First(release, manifest["model"], variant, kinds)
    except (OSError, ValueError, LookupError, TypeError, BadRecord):
        return None


def device_of(
    variant: Variant,
    kinds: tuple[str, ...],
    *,
    asked: AskedDevice,
    tuned: TunedRelease | None,
    where: str,
) -> Device:
    """Where a variant runs: as asked for, else as tuned, else where it is worth it.

    Args:
        variant: as it was measured, on a CPU.
        kinds: of its release's fields.
        asked: the setting.
        tuned: what was measured here, if anything was.
        where: what to call it in errors.

    Raises:
        NotReady: a GPU is asked for, and cannot be used.
    """
    if asked == "auto" and tuned is not None:
        asked = tuned.device
    return chosen_device(
        asked,
        runtime=variant.runtime,
        precision=variant.precision,
        is_cheap=is_cheap(variant.latency, kinds),
        where=where,
    )


def pace_of(first: First, tuned: TunedRelease | None = None, *, asked: AskedDevice = "cpu") -> Pace:
    """How fast a release is, by what was tuned or else by its own evidence.

    Raises:
        NotReady: a GPU is asked for, and its variant cannot use one.
    """
    variant, where = first.variant, f"release {short(first.release)}, variant {first.variant.name}"
    device = device_of(variant, first.kinds, asked=asked, tuned=tuned, where=where)
    if tuned is not None and tuned.device != device:
        tuned = None
    known = variant.latency if tuned is None else tuned.latency
    lanes, threads = (None, None) if tuned is None else (tuned.lanes, tuned.threads)
    if device == "cuda":
        return Pace(False, lanes, threads, is_light=False, gpus=len(gpu_names()))
    return Pace(is_cheap(known, first.kinds), lanes, threads, is_light(known))
