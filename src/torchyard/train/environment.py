"""Where a run happened: interpreter, packages, hardware, source."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from torchyard.core.digest import digest_bytes
from torchyard.records.training import Environment


def capture_environment(folder: Path) -> Environment:
    """The environment of this process; ``folder`` is asked for its git commit and diff."""
    import torch

    cuda = torch.cuda.is_available()
    commit = _git(folder, "rev-parse", "HEAD")
    difference = _git(folder, "diff", "HEAD")
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        accelerator=torch.cuda.get_device_name() if cuda else "none",
        packages=_packages(),
        git_commit=commit.strip() if commit else None,
        git_diff_sha256=digest_bytes(difference.encode()) if difference else None,
        threads=torch.get_num_threads(),
    )


def _packages() -> dict[str, str]:
    found = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    return dict(sorted(found.items()))


def _processor() -> str:
    """The processor's name; ``platform.processor`` is empty on most Linux machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
