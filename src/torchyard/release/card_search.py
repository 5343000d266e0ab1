"""The search that a model's settings come from, and how many were tried for it."""

from __future__ import annotations

from torchyard.core.record import Json
from torchyard.pages import Block, Table
from torchyard.records.training import Run


def searched(run: Run) -> tuple[Block, ...]:
    """What a search chose and among how many; nothing where there was none."""
    tuned = run.tuned
    if tuned is None:
        return ()
    rows: list[tuple[str, str]] = []
    for name, value in tuned.chosen.items():
        inner = value.items() if isinstance(value, dict) else ()
        rows += [(f"{name}.{key}", _shown(item)) for key, item in inner] or [(name, _shown(value))]
    lead = (
        f"Settings chosen among {tuned.tried:,} tried ({tuned.pruned:,} pruned, "
        f"{tuned.failed:,} failed): trial {tuned.trial} of study {tuned.study}, with the lowest "
        f"validation loss, {tuned.value:.4f}. The test rows had no part in it."
    )
    return (Table(lead, ("setting", "chosen"), tuple(rows)),)


def _shown(value: Json) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
