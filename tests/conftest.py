"""What every test runs under: OpenMP as under the console command, and a collector with less to do.

The tests and the libraries that they load are some 800,000 objects that stay to the end: each full
collection walked them all, for half a second, dozens of times while they were loaded.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

# its threads wait by sleeping, see ``torchyard.cli.main``; read once, when torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Nothing is collected while tests are loaded, and what was loaded is left out afterwards."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
