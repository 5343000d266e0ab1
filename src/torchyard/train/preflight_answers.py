"""Pre-flight: do a module's answers come back from its weights, and hang on every input?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel
from torchyard.core.wording import listed
from torchyard.records.training import Check
from torchyard.train.feed import Examples
from torchyard.train.places import line_of
from torchyard.train.preflight_trial import Practised, Trial, logits_of
from torchyard.train.weights import load_weights, save_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

SAVING = "saving and loading"
INPUTS = "answers depend on every input"
ALONE = "a row's answer is its own"
SERVING = "to serving"
# as golden requests are compared with: see docs/format.md
TOLERANCE = 1e-4
_CLOSE = 1e-5


def check_saving(trial: Trial, practised: Practised) -> Check:
    """Save a module's weights, load them into a fresh one, and compare the answers.

    The fresh one is made with another seed, so that what its weights do not hold differs.

    Raises:
        BadModel: the module fails.
    """
    import torch

    rows = trial.batches()[0]
    module = practised.module.eval()
    with torch.no_grad():
        before = logits_of(module, rows, settings=trial.settings)
        again = logits_of(module, rows, settings=trial.settings)
    if _gap(before, again) > _CLOSE:
        return Check(
            name=SAVING, outcome="fail",
            found=f"answers that differ by {_gap(before, again):.2g} from call to call in "
            "evaluation mode",
            remedy="Chance belongs to training: functional.dropout(x, training=self.training).",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(module, path)
        other = load_weights(trial.fresh(seed=trial.settings.seed ^ 1), path)
    with torch.no_grad():
        after = logits_of(other, rows, settings=trial.settings)
    gap = _gap(before, after)
    if gap > _CLOSE:
        kept = unsaved(module)
        holds = f"; outside its state_dict: {listed(kept)}" if kept else ""
        return Check(
            name=SAVING, outcome="fail",
            found=f"other answers after loading, by up to {gap:.2g}{holds}",
            remedy="Keep layers in nn.ModuleList or nn.ModuleDict and tensors in "
            "register_buffer(...), so that they are part of the weights.",
        )  # fmt: skip
    return Check(name=SAVING, outcome="pass", found=f"equal answers to {rows.rows} rows")


def unsaved(module: nn.Module) -> list[str]:
    """Layers and tensors that a module holds, but not in its ``state_dict``."""
    import torch
    from torch import nn

    internal = vars(nn.Module()).keys()
    found = []
    for name, part in module.named_modules():
        inside = f"{name}." if name else ""
        found += [f"{inside}{buffer}" for buffer in sorted(part._non_persistent_buffers_set)]
        for key, value in vars(part).items():
            things = value.values() if isinstance(value, dict) else value
            things = list(things) if isinstance(value, (list, tuple, set, dict)) else [value]
            held = any(isinstance(thing, (torch.Tensor, nn.Module)) for thing in things)
            if key not in internal and held:
                found.append(f"{inside}{key}")
    return found


def check_inputs(trial: Trial, practised: Practised) -> Check:
    """Change one feature tensor after the other, and see whether any answer changes.

    Raises:
        BadModel: the module fails.
    """
    import torch

    rows = trial.batches()[0]
    module = practised.module.eval()
    forgotten = []
    with torch.no_grad():
        before = logits_of(module, rows, settings=trial.settings)
        for name, tensor in rows.tensors.items():
            other = _changed(tensor)
            if torch.equal(other, tensor):
                continue  # whole numbers that are the same in all of these rows
            changed = Examples({**rows.tensors, name: other}, rows.labels)
            after = logits_of(module, changed, settings=trial.settings)
            if torch.equal(before, after):
                forgotten.append(name)
    if forgotten:
        return Check(
            name=INPUTS, outcome="warn",
            found=f"the same answers whatever {listed(forgotten, show=repr)} holds",
            remedy="Use it in forward, or take it out of ty.Features and of forward's parameters.",
        )  # fmt: skip
    return Check(
        name=INPUTS, outcome="pass", found=f"each of {listed(list(rows.tensors), show=repr)}"
    )


def check_alone(trial: Trial, practised: Practised) -> Check:
    """Answer rows together and in twos: what else is in a batch must change no answer.

    A server puts together whichever rows come at one time.

    Raises:
        BadModel: the module fails.
    """
    import torch

    rows = trial.batches()[0]
    module = practised.module.eval()
    with torch.no_grad():
        together = logits_of(module, rows, settings=trial.settings)
        twos = [rows.read(first, first + 2) for first in range(0, rows.rows, 2)]
        parts = [logits_of(module, two, settings=trial.settings) for two in twos]
    gap = _gap(together, torch.cat(parts))
    if gap > TOLERANCE:
        return Check(
            name=ALONE, outcome="fail",
            found=f"other answers, by up to {gap:.2g}, when other rows are in the batch",
            remedy="Take what reduces over rows out of forward: a mean or maximum over dimension "
            "0, or of a whole tensor; in evaluation mode a row is to be answered by itself.",
        )  # fmt: skip
    return Check(name=ALONE, outcome="pass", found=f"{rows.rows} rows together and in twos")


def check_serving(practised: Practised, serve: Callable[[nn.Module], float]) -> Check:
    """Take a module the whole way to serving, and compare what comes out with PyTorch.

    Args:
        practised: the module.
        serve: gives the largest difference between answers on either way; raises
            ``BadModel`` when the module cannot be exported, or what was exported does not run.
    """
    module = practised.module.cpu().eval()
    try:
        gap = serve(module)
    except BadModel as error:
        line = line_of(error)
        return Check(
            name=SERVING, outcome="fail", remedy=error.remedy,
            found=f"{error.where}{f' ({line})' if line else ''}: {error.found}",
        )  # fmt: skip
    if gap > TOLERANCE:
        return Check(
            name=SERVING, outcome="fail",
            found=f"answers that differ by {gap:.2g} from PyTorch's",
            remedy="Look for what depends on the number of rows, on chance, or on Python values "
            "computed from tensors (.item(), int(...)): the exporter freezes them.",
        )  # fmt: skip
    return Check(name=SERVING, outcome="pass", found=f"exported, and within {max(gap, 1e-9):.1g}")


def _changed(tensor: torch.Tensor) -> torch.Tensor:
    """Other values that are possible: each row's those of the next; numbers that do not vary, 1 up.

    Whole numbers that do not vary stay as they are: which others there are is not known.
    """
    import torch

    other = tensor.roll(1, 0)
    if torch.equal(other, tensor) and tensor.is_floating_point():
        return tensor + 1
    return other


def _gap(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest difference, in shares of the largest logit (at least 1); infinite where shapes
    or what is finite differ.
    """
    import torch

    if first.shape != second.shape or not torch.equal(first.isfinite(), second.isfinite()):
        return float("inf")
    first, second = first.detach(), second.detach()
    fine = first.isfinite()
    if not bool(fine.any()):
        return 0.0
    largest = max(1.0, float(first[fine].abs().max()))
    return float((first[fine] - second[fine]).abs().max()) / largest
