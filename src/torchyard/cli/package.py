"""Commands that hand a release to systems without torchyard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchyard.cli.options import HERE, AsJson, ProjectFolder
from torchyard.cli.screen import say, show_json, table
from torchyard.core.digest import short
from torchyard.core.record import to_json

package = typer.Typer(help="A release in forms that run without torchyard.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the console command."""
    app.add_typer(package, name="package")


@package.callback()
def _group() -> None:
    """A release in forms that run without torchyard."""


@package.command()
def onnx(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    release: Annotated[
        str | None,
        typer.Argument(help="An id, the start of one, or a number; the newest if left out."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    project: ProjectFolder = HERE,
    as_json: AsJson = False,
) -> None:
    """Write one ONNX file from raw fields to calibrated answer, for plain ONNX Runtime.

    Example: torchyard package onnx 1 -o model.onnx
    """
    from torchyard.yard import Yard

    made = Yard(project).package_onnx(output, release=release, force=force)
    if as_json:
        described = to_json(made.host_steps)
        for step in described:
            del step["options"]  # a whole tokenizer, for one: it stands in the file
        show_json({
            "release": made.release, "model": made.model, "variant": made.variant,
            "file": str(made.file), "sha256": made.sha256, "size_bytes": made.size_bytes,
            "inputs": to_json(made.inputs), "output": to_json(made.output),
            "columns": list(made.columns), "unit": made.unit,
            "host_steps": described,
        })  # fmt: skip
        return
    say(f"{made.file}: release {short(made.release)} of {made.model}, variant {made.variant}, "
        f"{made.size_bytes / 1000:,.0f} kB")  # fmt: skip
    made_of = {step.output: f"{step.field} by {step.operation}" for step in made.host_steps}
    made_of[made.output.name] = ", ".join(made.columns) + (f" in {made.unit}" if made.unit else "")
    table(
        ("", "name", "type", "shape", "of"),
        [
            (
                "output" if value is made.output else "input", value.name, value.type,
                " x ".join(map(str, value.shape)), made_of.get(value.name, ""),
            )
            for value in (*made.inputs, made.output)
        ],
    )  # fmt: skip
    call = f"onnxruntime.InferenceSession({str(made.file)!r}).run(None, {{name: array, ...}})"
    say(f"Run it: {call}, an array for each input.")
    if made.host_steps:
        say("How the inputs of tokens or pixels are made stands in the file's metadata, under "
            "torchyard.host_steps.")  # fmt: skip
