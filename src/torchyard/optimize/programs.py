"""A module as a program of ``torch.export``, and that program compiled by AOTInductor.

Compiling takes a minute, much memory and a C++ compiler, so it runs in a process of its own, for a
bounded time: ``python -m torchyard.optimize.programs PROGRAM PACKAGE``.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchyard.core.errors import BadModel
from torchyard.optimize.export import by_name

if TYPE_CHECKING:
    import torch
    from torch import nn

LONGEST_COMPILING_S = 600.0
_LAST_WORDS = 300


def export_program(module: nn.Module, sample: Mapping[str, torch.Tensor]) -> bytes:
    """Export a module in evaluation mode: from feature tensors by name to logits, any rows.

    Args:
        module: takes feature tensors by name.
        sample: at least two rows of every tensor, to trace with.

    Raises:
        BadModel: the exporter cannot follow the module.
    """
    import torch

    rows = torch.export.Dim("rows")
    content = io.BytesIO()
    try:
        program = torch.export.export(
            by_name(module), (), {"tensors": dict(sample)},
            dynamic_shapes={"tensors": {name: {0: rows} for name in sample}},
        )  # fmt: skip
        torch.export.save(program, content)
    except Exception as error:  # the exporter raises anything
        raise BadModel(
            where=f"{type(module).__name__}, torch.export",
            found=str(error),
            expected="a module that torch.export follows",
            remedy="Keep to tensor operations whose results do not depend on values.",
        ) from error
    return content.getvalue()


def compile_program(
    program: bytes, folder: Path, *, within_s: float = LONGEST_COMPILING_S
) -> bytes:
    """Compile a program for this kind of machine.

    Args:
        program: what ``export_program`` made.
        folder: for what passes between the processes.
        within_s: seconds that it may take.

    Raises:
        BadModel: it could not be compiled, or not in time.
    """
    given, made = folder / "program.pt2", folder / "package.pt2"
    given.write_bytes(program)
    command = [sys.executable, "-P", "-m", "torchyard.optimize.programs", str(given), str(made)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=within_s)
        return made.read_bytes()
    except subprocess.TimeoutExpired as error:
        raise _uncompiled(f"no end after {within_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        raise _uncompiled(words[-1][-_LAST_WORDS:]) from error
    finally:
        given.unlink()
        made.unlink(missing_ok=True)


def _uncompiled(found: str) -> BadModel:
    return BadModel(
        where="AOTInductor",
        found=found,
        expected="a compiled package",
        remedy="It needs a C++ compiler (g++) and memory; or leave 'aotinductor' out of runtimes.",
    )


def main(given: str, made: str) -> None:
    """Compile one program; the child process."""
    import torch
    from torch._inductor import aoti_compile_and_package

    program = torch.export.load(given)
    with torch.inference_mode():
        aoti_compile_and_package(program, package_path=made)


if __name__ == "__main__":
    main(*sys.argv[1:])
