"""What ends a command, as a refusal in four parts: also where a library raised it, not the yard."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from typing import Any

import typer

from torchyard.core.errors import BadData, BadProject, BadRecord, BadUsage, NotReady, YardError

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
    return next((_of_sqlite(one) for one in _causes(error) if isinstance(one, sqlite3.Error)), None)


def asks_for_help(error: Exception) -> bool:
    """Whether a group was given without a command; the help is on the screen already."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on: libraries wrap what a database says."""
    while error is not None:
        yield error
        error = error.__cause__


def _of_sqlite(error: sqlite3.Error) -> YardError | None:
    name = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_").partition("_")[0]
    where, found = "a database of the project, in .torchyard", str(error)
    if name in ("FULL", "READONLY", "CANTOPEN", "IOERR"):
        return BadData(
            where=where,
            found=found,
            expected="a disk that takes what is written",
            remedy="Make room or give access, and run it again.",
        )
    if name in ("BUSY", "LOCKED"):
        return NotReady(
            where=where,
            found=found,
            expected="a moment in which no other process writes to it",
            remedy="Run it again when the other one is done.",
        )
    if name in ("CORRUPT", "NOTADB"):
        return BadRecord(
            where=where,
            found=found,
            expected="a file that SQLite can read",
            remedy="Put back a copy, or move it away.",
        )
    return None


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
