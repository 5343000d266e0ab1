"""Where a run happened: interpreter, packages, hardware, source."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from torchyard.core.digest import digest_bytes
from torchyard.core.repository import git
from torchyard.records.training import Environment


def capture_environment(folder: Path, *, diff: bytes | None = None) -> Environment:
    """The environment of this process.

    Args:
        folder: is asked for its git commit.
        diff: what ``uncommitted_diff`` said of it; it is asked again when left out.
    """
    import torch

    cuda = torch.cuda.is_available()
    commit = git(folder, "rev-parse", "HEAD")
    diff = uncommitted_diff(folder) if diff is None else diff
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        accelerator=torch.cuda.get_device_name() if cuda else "none",
        packages=_packages(),
        git_commit=commit.decode().strip() if commit else None,
        git_diff_sha256=digest_bytes(diff) if diff else None,
        threads=torch.get_num_threads(),
    )


def uncommitted_diff(folder: Path) -> bytes:
    """What the folder's git repository has changed since its last commit, as a patch.

    Files that git does not know are not in it. Empty outside of a repository.
    """
    return git(folder, "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD") or b""


def requirements(packages: Mapping[str, str]) -> str:
    r"""A lock of packages as a ``requirements.txt``: one name and version a line.

    Local parts of versions are left out: no index has ``2.9.0+cpu`` under that name.

    Example:
        >>> requirements({"numpy": "2.3.4", "torch": "2.9.0+cpu"})
        'numpy==2.3.4\ntorch==2.9.0\n'
    """
    return "".join(f"{name}=={version.split('+')[0]}\n" for name, version in packages.items())


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
