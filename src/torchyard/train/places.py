"""Where in a project's own code something happened: the file, the line, and the layer."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Place:
    """Where a step failed.

    Attributes:
        line: ``model.py:12``, the innermost of the project's own; empty where there is none.
        layer: the innermost layer that was running, by its name in the module; empty for none, or
            for the module itself.
        kind: that layer's class and settings, as it prints itself.
        given: the shapes of the tensors that the layer was given, ``input [8, 3]``.
    """

    line: str
    layer: str
    kind: str
    given: str


def place_of(error: BaseException, module: nn.Module) -> Place:
    """Where an exception was raised while ``module`` ran."""
    names = {id(part): name for name, part in module.named_modules()}
    layer, kind, given = "", "", ""
    for frame, _ in _frames(error):
        part = frame.f_locals.get("self")
        if id(part) in names and frame.f_code.co_name == "forward":
            layer, kind = names[id(part)], " ".join(repr(part).split())
            given = _shapes(frame)
    return Place(line_where(error), layer, kind, given)


def line_of(error: BaseException) -> str:
    """The project's line behind an exception, or behind what it was raised from; empty for none."""
    cause: BaseException | None = error
    line = ""
    while cause is not None:
        line = line_where(cause) or line
        cause = cause.__cause__
    return line


def line_where(error: BaseException) -> str:
    """The project's innermost line that an exception came through; empty where there is none."""
    lines = [
        f"{_shown(frame.f_code.co_filename)}:{number}"
        for frame, number in _frames(error)
        if _is_own(frame.f_code.co_filename)
    ]
    return lines[-1] if lines else ""


def line_now() -> str:
    """The project's innermost line that is running, ``model.py:12``; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            return f"{_shown(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _shapes(frame: FrameType) -> str:
    """The shapes of a call's arguments, as far as they are tensors."""
    import torch

    known = frame.f_locals
    given = [known.get(name) for name in _arguments(frame.f_code)]
    named = zip(_arguments(frame.f_code), given, strict=True)
    return ", ".join(f"{n} {list(t.shape)}" for n, t in named if isinstance(t, torch.Tensor))


def _arguments(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@cache
def _is_own(file: str) -> bool:
    """Whether a file is neither of Python, nor of an installed library, nor of torchyard."""
    if file.startswith("<"):
        return False
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _others())


@cache
def _others() -> tuple[Path, ...]:
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    here = Path(__file__).resolve().parents[1]
    return (here, *(Path(sysconfig.get_path(kind)).resolve() for kind in kinds))


def _shown(file: str) -> str:
    """A path as a person would type it here."""
    path = Path(file).resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
