"""What ends a command, as a refusal in four parts: also where a library raised it, not the yard."""

from __future__ import annotations

import errno
from typing import Any

import typer

from torchyard.core.errors import BadData, BadProject, BadUsage, NotReady, YardError

TRAINING_LIBRARIES = {
    "fsspec", "lance", "lightning_fabric", "mlflow", "onnx", "onnxscript", "pyarrow",
    "safetensors", "sklearn", "torch",
}  # fmt: skip
LIGHTNING = {"lightning", "pytorch_lightning"}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
# what typer raises for a command line that it cannot read; it gives that class no public name
_MISWORDED = typer.BadParameter.__mro__[1]


def as_refusal(error: Exception) -> YardError | None:
    """The refusal that an error stands for; None for a fault of the program."""
    if isinstance(error, YardError):
        return error
    if isinstance(error, _MISWORDED):
        return _misworded(error)
    if isinstance(error, ModuleNotFoundError):
        library = (error.name or "").partition(".")[0]
        if library in LIGHTNING:
            return _needs(error, "Lightning, which a LightningModule is of", extra="lightning")
        if library == "optuna":
            return _needs(error, "Optuna, which searches", extra="tune")
        return _needs_training(error) if library in TRAINING_LIBRARIES else None
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _no_room(error)
    return None


def asks_for_help(error: Exception) -> bool:
    """Whether a group was given without a command; the help is on the screen already."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _misworded(error: Any) -> BadUsage:
    named = "torchyard" if error.ctx is None else error.ctx.command_path
    usage = "" if error.ctx is None else " ".join(error.ctx.get_usage().split())
    found = error.format_message().rstrip(".")
    return BadUsage(
        where=named,
        found=found[:1].lower() + found[1:],
        expected=usage.removeprefix("Usage: ") or "a command",
        remedy=f"See: {named} --help",
    )


def _needs_training(error: ModuleNotFoundError) -> BadProject:
    return BadProject(
        where="this installation, which only serves",
        found=f"no library '{error.name}'",
        expected="the libraries that data, training and releases need",
        remedy="Install them with: pip install 'torchyard[train]'",
    )


def _needs(error: ModuleNotFoundError, what: str, *, extra: str) -> NotReady:
    return NotReady(
        where="this installation",
        found=f"no library '{error.name}'",
        expected=what,
        remedy=f"Install it with: pip install 'torchyard[{extra}]'",
    )


def _no_room(error: OSError) -> BadData:
    return BadData(
        where=str(error.filename or "the output"),
        found=str(error.strerror),
        expected="a disk that takes what is written",
        remedy="Make room or give access, and run it again.",
    )
