"""The machine as a server may use it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from torchyard.runtimes.devices import gpu_names

_CGROUP = Path("/sys/fs/cgroup")
_PROCESSORS = Path("/proc/cpuinfo")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use: its affinity, or the quota of its cgroup if that is less.

    Args:
        cgroup: where the cgroup's files lie, of version 2 (``cpu.max``) or 1
            (``cpu/cpu.cfs_quota_us``). A quota of two and a half cores counts as two: what is
            beyond is throttled for tens of milliseconds.
    """
    own = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return own if quota is None else max(1, min(own, int(quota)))


def hardware() -> str:
    """The machine in words: where they are the same, so is what was measured, more or less.

    A worker sees one of several GPUs, so each kind of them is named once.
    """
    gpus = "".join(f", {name}" for name in sorted(set(gpu_names())))
    return f"{platform.machine()}, {_processor()}, {usable_cores()} cores{gpus}"


def _quota(cgroup: Path) -> float | None:
    """Cores, None where nothing is bounded."""
    try:
        if (cgroup / "cpu.max").exists():
            most, period = (cgroup / "cpu.max").read_text().split()
        else:
            most = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return int(most) / int(period) if int(most) > 0 else None
    except (OSError, ValueError):  # no cgroup, or "max"
        return None


def _processor() -> str:
    try:
        lines = _PROCESSORS.read_text().splitlines()
    except OSError:
        return "a processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "a processor")
