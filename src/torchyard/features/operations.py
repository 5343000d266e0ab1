"""Every transform by its name: what it learns, and what it writes into the graph.

A new transform is a word in ``project`` and one entry in its family's table; the contract tests
find it here.
"""

from __future__ import annotations

from torchyard.features.codes import CODES
from torchyard.features.custom import CUSTOM
from torchyard.features.media import MEDIA
from torchyard.features.numeric import NUMERIC
from torchyard.features.operation import Operation
from torchyard.features.times import TIMES

OPERATIONS: dict[str, Operation] = {**NUMERIC, **TIMES, **CODES, **MEDIA, **CUSTOM}
