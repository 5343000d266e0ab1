"""How large what a project or a model's file declares may be.

Each limit lies far above what is in use and far below what takes all memory: it only meets wrong
numbers, such as a length of a thousand million tokens. A project that goes beyond one is refused
where it says so (``project/``), a file before anything of that size is made (``features/host.py``).
Those of pictures as they come in are in ``records/schema.py``.
"""

from __future__ import annotations

MOST_VALUES = 1 << 24  # of one row of a tensor: 64 MiB as float32
MOST_TOKENS = 1 << 17  # of one text: 1 MiB
MOST_CODES = 100_000_000  # rows of an embedding
MOST_EDGES = 1 << 16  # buckets of a number, points of its quantiles
LARGEST_TOKENIZER_BYTES = 64 << 20  # of a tokenizers file as text
LARGEST_STEPS_BYTES = 128 << 20  # of all host steps of a file, tokenizers included
