"""Model servers side by side on one machine: the same ONNX file, distinct rows, checked answers.

    python benchmarks/serving/run.py --servers torchyard,mosec --models m1 --seconds 5 --repeats 3

All servers in turn, one at a time, then all again; ratios are taken within such a round. What is
measured and how is in benchmarks/README.md. The result file is written anew after every server, so
a run that is stopped leaves what it had.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from benchmarks.serving import models, report, tables, wrk  # noqa: E402
from benchmarks.serving.measuring import Plan, measure_raw, measure_server  # noqa: E402
from benchmarks.serving.servers import RAW, SERVERS, WAYS  # noqa: E402


def main() -> None:
    """Measure and report."""
    asked = arguments()
    wrk.find_wrk()
    cache = Path(asked.cache).expanduser()
    print(f"models and environments lie in {cache}", flush=True)
    made = [models.make_model(name, cache) for name in asked.models]
    with tempfile.TemporaryDirectory(prefix="torchyard-bench-") as scratch:
        plan = Plan(
            cache=cache,
            scratch=Path(scratch),
            ways=tuple(asked.servers),
            seconds=asked.seconds,
            concurrency=tuple(asked.concurrency),
            torchyard_options=tuple(asked.torchyard_options.split()),
        )
        result = report.new_result(plan, made, repeats=asked.repeats)
        if asked.tune:
            for model in made:
                print(f"  {model.name} torchyard serve --tune: ", end="", flush=True)
                result["models"][model.name]["tuned"] = told = models.tune(model)
                print(told, flush=True)
        until = time.monotonic() + asked.most_minutes * 60
        for turn in range(asked.repeats):
            print(f"round {turn + 1} of {asked.repeats}", flush=True)
            for model in made:
                for name in in_turn(turn, plan.ways):
                    if time.monotonic() > until:
                        continue
                    print(f"  {model.name} {name}: ", end="", flush=True)
                    if name == RAW:
                        found = measure_raw(model)
                    else:
                        found = measure_server(plan, name, SERVERS[name], model)
                    print(tables.in_short(found), flush=True)
                    report.add(result, turn, model.name, found)
                    report.write(result, Path(asked.out))
    print(tables.table(result))
    print(f"written to {asked.out}")


def in_turn(turn: int, ways: tuple[str, ...]) -> list[str]:
    """The servers that are asked for, each round beginning with another one."""
    chosen = [name for name, one in SERVERS.items() if any(way in ways for way in one.ways)]
    chosen += [RAW] if RAW in ways else []
    first = turn % max(1, len(chosen))
    return chosen[first:] + chosen[:first]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--servers", type=names_of(WAYS), default=list(WAYS), help=f"all, or of: {','.join(WAYS)}"
    )
    parser.add_argument("--models", type=names_of(models.NAMES), default=list(models.NAMES))
    parser.add_argument("--seconds", type=float, default=5, help="length of each load")
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all servers")
    parser.add_argument("--concurrency", type=numbers, default=[1, 16, 64])
    parser.add_argument(
        "--most-minutes", type=float, default=120, help="nothing is started after that long"
    )
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results" / "serving.json"))
    parser.add_argument("--cache", default="~/.cache/torchyard-bench")
    parser.add_argument(
        "--torchyard-options", default="", help="for torchyard serve, such as '--workers 1'"
    )
    parser.add_argument(
        "--tune", action="store_true", help="first let torchyard serve --tune choose, once a model"
    )
    return parser.parse_args()


def names_of(known: tuple[str, ...]):  # type: ignore[no-untyped-def]
    """A reader of comma-separated names; ``all`` is all of them."""

    def read(text: str) -> list[str]:
        wanted = list(known) if text == "all" else text.split(",")
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return wanted

    return read


def numbers(text: str) -> list[int]:
    """Comma-separated whole numbers."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
