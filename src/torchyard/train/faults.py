"""What went wrong inside a step, in words: the layer, the tensor, the shape, the remedy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel
from torchyard.records.training import Training
from torchyard.train.culprits import Culprit, first_culprit, is_finite, what_is_wrong
from torchyard.train.feed import Examples, Table, in_order
from torchyard.train.losses import are_numbers, loss_of
from torchyard.train.places import place_of

if TYPE_CHECKING:
    import torch
    from torch import nn

# what the allocators of the CPU and of accelerators say
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_IN_PLACE = ("modified by an inplace operation", "used in an in-place operation")
_NO_GRADIENT = "does not require grad"
_LOWER = "lower learning_rate, set clip_norm, or train in another precision"


def failed(
    error: BaseException, module: nn.Module, batch: Examples, *, settings: Training, where: str
) -> BadModel:
    """The refusal that an exception inside a step stands for."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        return _no_memory(text, batch, settings=settings, where=where)
    outside = outside_classes(batch.labels, _classes(module, batch))
    if outside and ("target" in text.lower() or "assert" in text.lower()):
        return BadModel(
            where=f"{where}, labels",
            found=outside,
            expected="class numbers from 0 to one below the answer's last size",
            remedy="Give the last layer one output per class of the task.",
        )
    return raised(error, module, batch.tensors, where=where)


def raised(
    error: BaseException, module: nn.Module, tensors: Mapping[str, torch.Tensor], *, where: str
) -> BadModel:
    """The refusal of a ``forward`` that raised: its layer, its line, what it was given."""
    text = " ".join(str(error).split())
    place = place_of(error, module)
    at = f" ({place.line})" if place.line else ""
    layer = f", layer '{place.layer}'" if place.layer else ""
    into = f"; {place.kind} got {place.given}" if place.layer and place.given else ""
    return BadModel(
        where=f"{where}, {type(module).__name__}.forward{layer}{at}",
        found=f"{type(error).__name__}: {text}{into}",
        expected=f"an answer to tensors of these shapes: {shapes_of(tensors)}",
        remedy=_remedy(error, text),
    )


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """Every tensor with its shape, ``x [8, 3]``."""
    return ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())


def outside_classes(labels: torch.Tensor, classes: int) -> str:
    """What is wrong with labels, for a task of so many classes; empty when nothing is.

    Args:
        labels: as in ``Examples``.
        classes: how many there are; 0 when it is not known.
    """
    if are_numbers(labels):
        wrong, allowed = ~labels.isfinite(), "finite numbers"
    elif labels.is_floating_point():
        wrong, allowed = (labels != 0) & (labels != 1), "0 and 1"
    elif classes:
        wrong, allowed = (labels < 0) | (labels >= classes), f"0 to {classes - 1}"
    else:
        return ""
    if not bool(wrong.any()):
        return ""
    values = sorted({f"{value:g}" for value in labels[wrong][:1000].tolist()})[:3]
    row = int(wrong.nonzero()[0, 0])
    return (
        f"{int(wrong.sum()):,} of {labels.numel():,} labels that are not {allowed}, such as "
        f"{', '.join(values)}, first in row {row}"
    )


def not_finite(module: nn.Module, batch: Examples, *, where: str) -> BadModel:
    """The refusal of a loss that is not finite: the weight, tensor, operation or label at fault.

    The batch runs through the module once more, every operation watched.
    """
    for name, parameter in module.named_parameters():
        if not is_finite(parameter):
            return BadModel(
                where=f"{where}, parameter '{name}'",
                found=what_is_wrong(parameter),
                expected="finite weights",
                remedy=f"The step before broke them: {_LOWER}.",
            )
    for name, tensor in batch.tensors.items():
        if not is_finite(tensor):
            return BadModel(
                where=f"{where}, feature tensor '{name}'",
                found=what_is_wrong(tensor),
                expected="finite features",
                remedy="Bound the field in the schema (ge=, le=), or clip or impute the feature.",
            )
    culprit = _of_forward(module, batch)
    if culprit is not None:
        return _blame(culprit, module, where=where)
    return BadModel(
        where=where,
        found="a loss that is not finite, of finite logits",
        expected="finite numbers",
        remedy="Look for logits beyond what 32 bits hold and for chance inside forward; or "
        f"{_LOWER}.",
    )


def validation_not_finite(module: nn.Module, table: Table, *, epoch: int) -> BadModel:
    """The refusal of a validation loss that is not finite: what is at fault, on the first rows."""
    import torch

    where = f"epoch {epoch}, validation loss"
    device = next(module.parameters()).device
    module.eval()
    for rows in in_order(table):
        batch = rows.to(device)
        with torch.no_grad():
            loss = loss_of(module(**batch.tensors), batch.labels)
        if not is_finite(loss):
            return not_finite(module, batch, where=where)
    return BadModel(
        where=where,
        found="not finite, of rows that another device has",
        expected="a finite number",
        remedy=f"See what that device says; or {_LOWER}.",
    )


def gradient_not_finite(module: nn.Module, batch: Examples, *, where: str) -> BadModel:
    """The refusal of gradients that are not finite while the loss is: the first one, and why.

    The batch runs through the module and back once more; its weights are as they were before.
    """
    operation = _backward_fault(module, batch)
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and not is_finite(parameter.grad):
            by = f", by the derivative of {operation}" if operation else ""
            return BadModel(
                where=f"{where}, gradient of '{name}'",
                found=f"{what_is_wrong(parameter.grad)}{by}",
                expected="finite gradients",
                remedy="Keep roots, logarithms, norms and divisions away from 0, where their slope "
                f"is infinite: add a small number inside. Or {_LOWER}.",
            )
    return BadModel(
        where=f"{where}, gradients",
        found="a norm of all gradients that is not finite, though each gradient is",
        expected="a finite norm",
        remedy=f"The loss is very steep here: {_LOWER}.",
    )


def _of_forward(module: nn.Module, batch: Examples) -> Culprit | None:
    import torch

    def run() -> None:
        with torch.no_grad():
            module(**batch.tensors)

    return first_culprit(module, run)


def _backward_fault(module: nn.Module, batch: Examples) -> str:
    """Fill the gradients of one pass; the function whose derivative is NaN first, when one is."""
    import torch

    module.zero_grad(set_to_none=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anomaly mode says that it is on
        try:
            with torch.autograd.detect_anomaly(check_nan=True):
                loss_of(module(**batch.tensors), batch.labels).backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            found = re.search(r"Function '(\w+?)(?:Backward\d*)?' returned nan", str(error))
            operation = found[1].lower() if found else ""
            module.zero_grad(set_to_none=True)
            loss_of(module(**batch.tensors), batch.labels).backward()  # type: ignore[no-untyped-call]
            return operation
    return ""


def _blame(culprit: Culprit, module: nn.Module, *, where: str) -> BadModel:
    layer = culprit.layer or type(module).__name__
    at = f" ({culprit.line})" if culprit.line else ""
    of = f", of values in {culprit.given}" if culprit.given else ""
    return BadModel(
        where=f"{where}, layer '{layer}'{at}",
        found=f"{culprit.made}, made by {culprit.operation.strip('_')}{of}",
        expected="finite numbers",
        remedy="Look for a logarithm or root of what may be 0 or below, or a division by it; or "
        "lower learning_rate."
        if culprit.is_nan
        else "Look for an exponential, a power or a division that leaves what 32 bits hold; or "
        "lower learning_rate.",
    )


def _no_memory(text: str, batch: Examples, *, settings: Training, where: str) -> BadModel:
    fewer = max(1, settings.batch_size // 2)
    return BadModel(
        where=where,
        found=f"no memory for a part of {batch.rows:,} rows ({shapes_of(batch.tensors)}): {text}",
        expected="a batch that fits",
        remedy=f"Set batch_size={fewer}, or keep {settings.batch_size} and compute it in more "
        f"parts: accumulate={min(2 * settings.accumulate, settings.batch_size)}.",
    )


def _remedy(error: BaseException, text: str) -> str:
    """What to do about an exception, by what it is and says."""
    if "more than 1 value per channel" in text:
        return (
            "Raise batch_size, or lower accumulate: what normalizes over a batch, as BatchNorm "
            "does, cannot learn from one row."
        )
    if any(words in text for words in _IN_PLACE):
        return "Write y = y + 1 instead of y += 1 (or clone() before), where gradients pass."
    if "numpy() on" in text and "requires grad" in text:
        return "Compute with torch instead of numpy inside forward: numpy stops the gradient."
    if _NO_GRADIENT in text:
        return (
            "The answer is cut off from the weights: take detach(), no_grad(), .item() and "
            "torch.tensor(...) out of forward's way to the logits."
        )
    if "index out of range" in text or "out of bounds" in text:
        return "Give the embedding as many rows as its tensor's cardinality in the features."
    if not isinstance(error, (RuntimeError, ValueError, IndexError)):
        return "Mend that line; these tensors are what it was given."
    return "Compare the module's layers with the shapes of these tensors."


def _classes(module: nn.Module, batch: Examples) -> int:
    """How many classes a module answers for; 0 when it cannot be asked."""
    import torch

    try:
        with torch.no_grad():
            shape = module(**batch.read(0, 2).tensors).shape
    except Exception:  # it is failing: whatever it raises is another finding's business
        return 0
    return int(shape[-1]) if len(shape) == 2 else 0
