"""Validation of a million rows: torchyard, pandera and Great Expectations with the same rules.

The peers run in environments of their own (made on the first run, under build/peers/), on a pandas
frame that they have in memory; torchyard has a polars frame. What is timed is from the frame to the
broken rows per rule, which must be the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

import torchyard as ty
from torchyard.data.check import validate
from torchyard.data.source import open_source
from torchyard.records.schema import Schema

ROOT = Path(__file__).parents[1]
PEERS = ("pandera", "great_expectations")
ROWS, ROUNDS = 1_000_000, 7
BROKEN = 200  # rows that break each rule
COLOURS = ["red", "green", "blue", "white", "black"]
NUMBERS, INTEGERS = [f"n{n}" for n in range(10)], [f"i{n}" for n in range(4)]
COLUMNS = [*NUMBERS, *INTEGERS, "c0", "c1", "c2", "note", "when", "key"]
Rule = tuple[str, str, Any]
SOME: list[Rule] = [
    ("missing", "n0", None), ("missing", "c0", None), ("missing", "key", None),
    ("below", "n0", -50.0), ("above", "n0", 50.0), ("below", "n1", -50.0), ("above", "n1", 50.0),
    ("below", "i0", 0), ("above", "i0", 1000), ("not among", "c0", COLOURS),
    ("longer", "note", 24), ("pattern", "key", "K[0-9]{8}"), ("repeated", "key", None),
]  # fmt: skip
EVERY: list[Rule] = [
    *(("missing", column, None) for column in COLUMNS),
    *(("below", name, -50.0) for name in NUMBERS), *(("above", name, 50.0) for name in NUMBERS),
    *(("below", name, 0) for name in INTEGERS), *(("above", name, 1000) for name in INTEGERS),
    *(("not among", name, COLOURS) for name in ("c0", "c1", "c2")),
    ("longer", "note", 24), ("pattern", "key", "K[0-9]{8}"), ("repeated", "key", None),
]  # fmt: skip


def main() -> None:
    """A few rules, then those of a schema that declares every column."""
    for rules in (SOME, EVERY):
        compare_all(rules)


def compare_all(rules: list[Rule]) -> None:
    """Interleave the three, round by round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_rows(rules)
        frame.write_parquet(folder / "rows.parquet")
        (folder / "rules.json").write_text(json.dumps(rules))
        source, schema = open_source(frame, folder=folder), make_schema(rules)
        workers = {peer: start(peer, folder) for peer in PEERS}
        times: dict[str, list[float]] = {"torchyard": [], **{peer: [] for peer in PEERS}}
        for turn in range(ROUNDS + 1):
            answers = {peer: ask(worker) for peer, worker in workers.items()}
            started = time.perf_counter()
            found = validate(source, schema)
            seconds = time.perf_counter() - started
            counts = {f"{item.field} {item.rule}": item.rows for item in found.findings}
            compare(rules, counts, answers)
            if turn:  # the first round warms all of them up
                times["torchyard"].append(seconds)
                for peer, answer in answers.items():
                    times[peer].append(answer["seconds"])
        for worker in workers.values():
            worker.stdin.close()  # type: ignore[union-attr]
            worker.wait()
    report(rules, times)


def make_rows(rules: list[Rule]) -> pl.DataFrame:
    """Twenty columns; each rule is broken by 200 rows of its own."""
    draw = np.random.default_rng(0)
    keys = np.array([f"K{n:08d}" for n in range(ROWS)], dtype=object)
    columns: dict[str, Any] = {
        **{name: draw.normal(0, 5, ROWS) for name in NUMBERS},
        **{name: draw.integers(0, 1001, ROWS) for name in INTEGERS},
        **{f"c{n}": draw.choice(COLOURS, ROWS) for n in range(3)},
        "note": draw.choice([f"a remark of some length {n}"[:24] for n in range(1000)], ROWS),
        "when": np.datetime64("2024-01-01", "us") + np.arange(ROWS) * np.timedelta64(1, "s"),
        "key": keys,
    }  # fmt: skip
    frame = pl.DataFrame(columns, strict=False)
    row = pl.int_range(pl.len())
    for place, (kind, column, _) in enumerate(rules):
        value: Any = {
            "missing": None, "below": -60, "above": 1060, "not among": "grey",
            "longer": "a remark that is much too long", "repeated": "K00000000",
            "pattern": pl.format("{}x", "key") if kind == "pattern" else None,
        }[kind]  # fmt: skip
        chosen = row.is_between(1000 * (place + 1), 1000 * (place + 1) + BROKEN - 1)
        value = value if isinstance(value, pl.Expr) else pl.lit(value)
        frame = frame.with_columns(
            pl.when(chosen).then(value.cast(frame.schema[column])).otherwise(pl.col(column))
            .alias(column)
        )  # fmt: skip
    return frame.rechunk()


def make_schema(rules: list[Rule]) -> Schema:
    """The rules as torchyard declares them."""
    wanted = {(kind, column): argument for kind, column, argument in rules}

    def options(column: str) -> dict[str, Any]:
        return {
            "optional": ("missing", column) not in wanted,
            **{
                option: wanted[kind, column]
                for option, kind in (("ge", "below"), ("le", "above"))
                if (kind, column) in wanted
            },
        }

    return ty.Schema(
        **{name: ty.number(**options(name)) for name in NUMBERS},
        **{name: ty.integer(**options(name)) for name in INTEGERS},
        **{
            name: ty.category(wanted.get(("not among", name), ()), **options(name))
            for name in ("c0", "c1", "c2")
        },
        note=ty.text(max_length=24, **options("note")),
        when=ty.timestamp(**options("when")),
        key=ty.id(pattern="K[0-9]{8}", unique=True, **options("key")),
    )


def start(peer: str, folder: Path) -> subprocess.Popen[str]:
    """A peer's worker in its own environment."""
    place = ROOT / "build" / "peers" / peer
    wanted = ROOT / "benchmarks" / "peers" / f"{peer}.txt"
    ready = place / "installed.txt"
    if not ready.exists() or ready.read_text() != wanted.read_text():
        print(f"  making {place.relative_to(ROOT)} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(wanted)]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        ready.write_text(wanted.read_text())
    script = ROOT / "benchmarks" / "peers" / f"{peer}_worker.py"
    return subprocess.Popen(
        [place / "bin" / "python", script, folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=(folder / f"{peer}.log").open("w"),
        text=True,
    )  # fmt: skip


def ask(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """One validation by a peer."""
    writes: IO[str] | None = worker.stdin
    reads: IO[str] | None = worker.stdout
    assert writes is not None
    assert reads is not None
    writes.write("go\n")
    writes.flush()
    line = reads.readline()
    if not line:
        raise SystemExit(f"{worker.args!r} ended: run it by hand to see why")
    answer: dict[str, Any] = json.loads(line)
    return answer


def compare(rules: list[Rule], counts: dict[str, int], answers: dict[str, dict[str, Any]]) -> None:
    """Stop unless all count the same rows.

    Great Expectations counts all rows of a repeated value, the first one too.
    """
    words = {
        "missing": "is missing", "below": "is below", "above": "is above",
        "not among": "is not an allowed value", "longer": "is longer", "pattern": "does not match",
        "repeated": "repeats an earlier row",
    }  # fmt: skip
    for kind, column, _ in rules:
        own = sum(n for name, n in counts.items() if name.startswith(f"{column} {words[kind]}"))
        assert own >= BROKEN, (kind, column, counts)
        for peer, answer in answers.items():
            theirs = answer["counts"].get(f"{kind} {column}", 0)
            firsts = 1 if kind == "repeated" and peer == "great_expectations" else 0
            assert theirs == own + firsts, (peer, kind, column, theirs, own)


def report(rules: list[Rule], times: dict[str, list[float]]) -> None:
    """Ratios per round, so that what slows one round slows both of its sides."""
    own = times["torchyard"]
    for name, seconds in times.items():
        ratios = sorted(theirs / ours for theirs, ours in zip(seconds, own, strict=True))
        print(
            f"{name}: {np.median(seconds):.3f} s for {ROWS:,} rows x 20 columns, {len(rules)} rules"
            + (
                f"; {np.median(ratios):.1f} times torchyard's ({ratios[0]:.1f} to {ratios[-1]:.1f} "
                f"over {len(ratios)} rounds)"
                if name != "torchyard" else f" ({min(own):.3f} to {max(own):.3f})"
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
