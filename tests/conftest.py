"""OpenMP's threads wait by sleeping, as under the console command: see ``torchyard.cli.main``."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when torch is loaded
