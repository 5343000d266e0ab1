"""Pre-flight: does what training takes fit into what is there?

What it takes is counted, not tried: weights, gradients, the optimizer's states and the best
weights; the rows that are held; and what a step keeps for its way back, measured on two small
batches and drawn out to a whole part of a batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchyard.records.training import Check, Training
from torchyard.train.feed import Examples, Table
from torchyard.train.learner import Learner
from torchyard.train.preflight_trial import WHERE, Trial

if TYPE_CHECKING:
    import torch

MEMORY = "memory"

_MIB = 1 << 20
_SMALL, _LARGE = 8, 16
# what libraries, workspaces and values in between take beside what is counted
_SPARE = 1.25


@dataclass(frozen=True)
class Needs:
    """What training takes, in bytes.

    Attributes:
        fixed: weights, gradients, optimizer, best weights, rows, whatever the batch.
        per_row: of a part of a batch, until its way back.
    """

    fixed: int
    per_row: int

    def of(self, rows: int) -> int:
        """With parts of so many rows."""
        return self.fixed + self.per_row * rows


def check_memory(
    trial: Trial,
    validation: Table,
    fabric: Any,
    *,
    available: Callable[[torch.device], int] | None = None,
) -> Check:
    """Hold what training will take against what is free.

    Less is there than the least that it takes: it fails, and the number of parts that fits is
    named. Less than a quarter beyond that: it warns.

    Args:
        trial: the module and the rows.
        validation: rows that the epoch is chosen by.
        fabric: as training will use it, for the device and the precision.
        available: free bytes of a device.

    Raises:
        BadModel: the module fails.
    """
    needs = measure_needs(trial, validation, fabric)
    free = (available or free_bytes)(fabric.device)
    settings = trial.settings
    rows = -(-min(settings.batch_size, trial.training.rows) // _parts(settings))
    # processes that share the processor share its memory
    copies = settings.devices if fabric.device.type == "cpu" else 1
    whole = needs.of(rows) * copies
    free, shared = free // copies, free
    told = (
        f"about {_shown(whole)} ({_shown(needs.per_row * rows * copies)} of it for a part of "
        f"{rows:,} rows{f' on each of {copies} devices' if copies > 1 else ''}) of "
        f"{_shown(shared)} that are free"
    )
    if whole * _SPARE <= shared:
        return Check(name=MEMORY, outcome="pass", found=told)
    return Check(
        name=MEMORY, outcome="fail" if whole > shared else "warn", found=told,
        remedy=_remedy(needs, free, settings),
    )  # fmt: skip


def measure_needs(trial: Trial, validation: Table, fabric: Any) -> Needs:
    """Count what training takes."""
    settings = dataclasses.replace(trial.settings, accumulate=1)
    module = trial.fresh().train()
    learner = Learner(fabric, module, settings, 4)
    once, growth = _growth(learner, _rows(trial, _LARGE))
    weights = sum(_bytes(t) for t in module.state_dict().values())
    gradients = sum(_bytes(p) for p in module.parameters() if p.requires_grad)
    optimizer = sum(_bytes(t) for t in _tensors(learner.state()["optimizer"]))
    best = weights if fabric.device.type == "cpu" else 0
    held = _held_bytes(trial.training, validation, trial.settings)
    fixed = weights + gradients + optimizer + best + once + held
    return Needs(fixed, growth + trial.training.row_bytes)


def free_bytes(device: torch.device) -> int:
    """Free memory of an accelerator, or of this machine and of the group this process is in."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min([int(psutil.virtual_memory().available), *_group_limits()])


def _group_limits(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """What control groups leave of their limits; files that can be dropped count as free."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = int((root / limit).read_text())
            now = int((root / used).read_text())
            stat = (root / limit).with_name("memory.stat").read_text()
        except (OSError, ValueError):  # no such group, or "max" for no limit
            continue
        counts = dict(line.split() for line in stat.splitlines())
        droppable = counts.get("inactive_file", counts.get("total_inactive_file", "0"))
        yield max(0, most - now + int(droppable))


def _growth(learner: Learner, rows: Examples) -> tuple[int, int]:
    """What a step keeps: bytes whatever its rows, and bytes per row, from steps of two sizes."""
    many = _kept_by_step(learner, rows)
    half = min(_SMALL, rows.rows // 2)
    if half < 2:  # what normalizes over a batch refuses to learn from one row
        return 0, many // rows.rows
    few = _kept_by_step(learner, rows.read(0, half))
    growth = max(0, many - few) // (rows.rows - half)
    return max(0, few - growth * half), growth


def _kept_by_step(learner: Learner, batch: Examples) -> int:
    """Bytes that a step keeps for its way back, beside weights and rows; each memory once."""
    import torch

    known = {_place(t) for t in (*learner.module.parameters(), *batch.tensors.values())}
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = _place(tensor)
        if place not in known:
            sizes[place] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.step(batch, WHERE)
    return sum(sizes.values())


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _held_bytes(training: Table, validation: Table, settings: Training) -> int:
    """Rows in memory, by the rules of ``epochs.hold``: those that fit the budget, or a buffer."""
    budget = settings.memory_mib * _MIB
    whole = training.rows * training.row_bytes
    held = whole if whole <= budget else budget
    rest = validation.rows * validation.row_bytes
    return held + (rest if rest <= budget - whole else 0)


def _rows(trial: Trial, count: int) -> Examples:
    return trial.training.read(0, min(count, trial.training.rows)).to(trial.device)


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    from torch import Tensor
    from torch.utils._pytree import tree_leaves

    return (leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _remedy(needs: Needs, free: int, settings: Training) -> str:
    rows = int((free / _SPARE - needs.fixed) // max(1, needs.per_row))
    if rows < 2:
        return (
            "Make the module smaller, lower memory_mib so that fewer rows are held, or use a "
            "machine with more memory."
        )
    parts = -(-settings.batch_size // (rows * settings.devices))
    fitting = rows * settings.devices * settings.accumulate
    return f"Set accumulate={parts}, which computes a batch in parts, or batch_size={fitting}."


def _parts(settings: Training) -> int:
    """In how many parts a batch is computed, one after another or on several devices."""
    return settings.accumulate * settings.devices


def _shown(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 29 else f"{count / _MIB:,.1f} MiB"
