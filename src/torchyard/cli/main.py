"""The console command: parsing, errors, exit status (0 done, 1 refused, 2 wrong usage)."""

from __future__ import annotations

import io
import os
import sys
from contextlib import nullcontext, suppress

import typer

from torchyard.cli import (
    build,
    data,
    explain,
    keys,
    live,
    package,
    predict,
    preflight,
    reproduce,
    runs,
    score,
    serve,
    start,
    tune,
)
from torchyard.cli.refusals import as_refusal, asks_for_help
from torchyard.cli.screen import err, results_alone, show_error, stop_spinning

_INTERRUPTED = 130

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
preflight.register(app)
tune.register(app)
build.register(app)
explain.register(app)
runs.register(app)
reproduce.register(app)
serve.register(app)
live.register(app)
package.register(app)
predict.register(app)
keys.register(app)
score.register(app)


def main() -> None:
    """Run the command line and leave with its exit status.

    OpenMP's threads wait by sleeping, unless the caller chose otherwise: spinning ones make
    training 15 times slower as soon as another process wants a core (measured on two cores:
    220,000 rows/s alone, 6,000 to 14,000 beside two busy processes, 160,000 when sleeping).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name of a file may be no text
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    with results_alone() if "--json" in arguments else nullcontext():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        command = typer.main.get_command(app)
        left = command.main(arguments, prog_name="torchyard", standalone_mode=False)
    except BrokenPipeError:
        return 0
    except SystemExit as leaving:
        # typer and rich leave with 1 when nobody reads on, as in `| head`
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except Exception as error:
        if asks_for_help(error):
            return 2
        refusal = as_refusal(error)
        if refusal is None:
            raise
        with suppress(OSError):  # it may be the output that cannot be written
            show_error(refusal, as_json="--json" in arguments)
        return refusal.exit_status
    status = left if isinstance(left, int) else 0  # an int where a command ended early
    if status == _INTERRUPTED:
        stop_spinning()
        err.print("Stopped. What was complete before is as it was.")
    return status
