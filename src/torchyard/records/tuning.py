"""What ``torchyard serve --tune`` found out about releases on one machine."""

from __future__ import annotations

from dataclasses import dataclass

from torchyard.records.evidence import Device, Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedRelease:
    """How a release runs best: so many model calls side by side, of so many threads each.

    ``lanes`` counts the calls of the whole machine. ``latency`` are calls made that way, by their
    rows, on ``device``; it ends at the most rows that are worth a call.
    """

    lanes: int
    threads: int
    latency: tuple[Latency, ...]
    device: Device = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """By release id, and the hardware that it is true of."""

    hardware: str
    releases: dict[str, TunedRelease]
