"""The declarations a user writes in ``project.py``.

Takes: plain Python values and the user's module.
Makes: one checked ``Project``.
Never: reads data, imports torch, touches the disk.
"""

from torchyard.project.declare import (
    Features,
    Schema,
    binary_classification,
    boolean,
    category,
    cyclic_time,
    gate,
    integer,
    lookup,
    number,
    split_by_hash,
    split_by_time,
    standardize,
    timestamp,
)
from torchyard.project.project import Project

__all__ = [
    "Features",
    "Project",
    "Schema",
    "binary_classification",
    "boolean",
    "category",
    "cyclic_time",
    "gate",
    "integer",
    "lookup",
    "number",
    "split_by_hash",
    "split_by_time",
    "standardize",
    "timestamp",
]
