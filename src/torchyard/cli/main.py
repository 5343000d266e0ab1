"""The console command: parsing, errors, exit status (0 done, 1 refused, 2 wrong usage)."""

from __future__ import annotations

import os
import sys

import typer

from torchyard.cli import build, data, live, package, start
from torchyard.cli.screen import show_error
from torchyard.core.errors import BadProject, YardError

TRAINING_LIBRARIES = {
    "fsspec", "lance", "lightning_fabric", "mlflow", "onnx", "onnxscript", "pyarrow",
    "safetensors", "sklearn", "torch",
}  # fmt: skip

app = typer.Typer(
    name="torchyard",
    help="From a PyTorch model to a product: data, training, gates, releases, serving, watching.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
start.register(app)
data.register(app)
build.register(app)
live.register(app)
package.register(app)


def main() -> None:
    """Run the command line and leave with its exit status.

    OpenMP's threads wait by sleeping, unless the caller chose otherwise: spinning ones make
    training 15 times slower as soon as another process wants a core (measured on two cores:
    220,000 rows/s alone, 6,000 to 14,000 beside two busy processes, 160,000 when sleeping).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        app(arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except YardError as error:
        show_error(error, as_json="--json" in arguments)
        return error.exit_status
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAINING_LIBRARIES:
            raise
        show_error(_needs_training(error), as_json="--json" in arguments)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return 0


def _needs_training(error: ModuleNotFoundError) -> BadProject:
    return BadProject(
        where="this installation, which only serves",
        found=f"no library '{error.name}'",
        expected="the libraries that data, training and releases need",
        remedy="Install them with: pip install 'torchyard[train]'",
    )
