"""Validation of a million rows: torchyard, pandera and Great Expectations with the same rules.

The peers run in environments of their own (made on the first run, under build/peers/), on a pandas
frame that they have in memory; torchyard has a polars frame. Two times are taken: from the frame to
the broken rows counted per rule, with examples (torchyard has by then told which rows are set aside
and why, and checked types); and until the accepted and the quarantined rows are frames of their
own. All must count the same. pandera is lazy, so that it finds all failures, and is run on texts as
pandas 3 holds them, as earlier versions did, and on Arrow columns throughout. Great Expectations is
asked for counts and examples alone.

Rows that break a rule lie all over the table, which is the hardest case: no part of it is clean. It
is also measured clean.

torchyard is also given the pandas frame itself, which it first makes one of polars.

One run on two quiet cores of an AMD EPYC, times torchyard's: the median of seven rounds, and the
lowest and the highest of them:

| | 13 rules | 54 rules | 54 rules, clean |
|---|---|---|---|
| pandera, texts as objects | 18 (15 to 25) | 24 (19 to 33) | 15 (13 to 28) |
| pandera, pandas' default | 8.7 (6.5 to 11) | 17 (10 to 26) | 8.5 (5.4 to 14) |
| pandera, Arrow columns | 7.6 (6.0 to 8.4) | 12 (8.8 to 14) | 3.9 (3.4 to 4.5) |
| Great Expectations | 34 (29 to 37) | 107 (83 to 136) | 28 (24 to 32) |
| with rows of either kind: pandas' default | 5.4 (4.8 to 6.6) | 11 (8.6 to 15) | 12 (7.4 to 16) |
| with rows of either kind: Arrow columns | 5.3 (4.8 to 6.9) | 8.6 (6.5 to 12) | 7.1 (5.3 to 10) |
| both from pandas' default | 4.6 (4.4 to 6.3) | 8.9 (6.8 to 13) | 3.7 (2.5 to 5.7) |
| both from Arrow columns | 4.3 (3.8 to 4.7) | 7.5 (7.4 to 10) | 1.9 (1.7 to 2.1) |

So Great Expectations is passed by ten times everywhere, pandera where texts are objects or rules
are many, and not where columns are Arrow's or rules few. On numbers pandera needs 1 to 2 ms a rule,
and nothing for columns without rules. torchyard reads every column whatever the rules. Of the 55 to
65 ms of processor time that clean rows take, the ranges of 14 columns (112 MB, read once) are 7 to
9, texts' sizes, empty texts, allowed values, pattern and length (80 MB of views, read for each) are
27, hashing and sorting a million unique keys 15 to 17.
From pandas, 20 ms more go into the views that polars needs of texts, and twice that where memory
for them is fetched from the system anew.
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
import pandas as pd  # type: ignore[import-untyped]
import polars as pl

import torchyard as ty
from torchyard.data.check import Checker, validate
from torchyard.data.source import Source, open_source
from torchyard.records.schema import Schema

ROOT = Path(__file__).parents[1]
PANDERA = ("pandera str", "pandera object", "pandera pyarrow")
PEERS = (*PANDERA, "great_expectations")
ROWS, ROUNDS = 1_000_000, 7
BROKEN = 200  # rows that break each rule, where any do
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
    """A few rules, then those of a schema that declares every column, then these on clean rows."""
    for rules, broken in ((SOME, BROKEN), (EVERY, BROKEN), (EVERY, 0)):
        compare_all(rules, broken)


def compare_all(rules: list[Rule], broken: int) -> None:
    """Interleave all of them, round by round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_rows(rules, broken)
        frame.write_parquet(folder / "rows.parquet")
        (folder / "rules.json").write_text(json.dumps(rules))
        source, schema = open_source(frame, folder=folder), make_schema(rules)
        tables = {
            "str": pd.read_parquet(folder / "rows.parquet"),
            "pyarrow": pd.read_parquet(folder / "rows.parquet", dtype_backend="pyarrow"),
        }
        workers = {peer: start(peer, folder) for peer in PEERS}
        times: dict[str, list[float]] = {}
        for turn in range(ROUNDS + 1):
            answers = {peer: ask(worker) for peer, worker in workers.items()}
            answers["torchyard"] = own(source, schema)
            for held, table in tables.items():
                answers[f"torchyard {held}"] = own_pandas(table, schema)
                assert answers[f"torchyard {held}"]["counts"] == answers["torchyard"]["counts"]
            compare(rules, broken, answers)
            if turn:  # the first round warms all of them up
                for peer, answer in answers.items():
                    times.setdefault(peer, []).append(answer["seconds"])
                    if "with_rows" in answer:
                        times.setdefault(f"{peer}, rows", []).append(answer["with_rows"])
        for worker in workers.values():
            worker.stdin.close()  # type: ignore[union-attr]
            worker.wait()
    print(f"\n{ROWS:,} rows x 20 columns, {len(rules)} rules, {broken} rows break each")
    report(times, "torchyard", [*PANDERA, "great_expectations"])
    report(times, "torchyard, rows", [f"{peer}, rows" for peer in PANDERA])
    for held in ("str", "pyarrow"):
        report(times, f"torchyard {held}", [f"pandera {held}"])


def own(source: Source, schema: Schema) -> dict[str, Any]:
    """One validation by torchyard; then one that also makes frames of the rows of either kind."""
    started = time.perf_counter()
    found = validate(source, schema)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    checker = Checker(schema)
    parts = [checker.update(chunk) for chunk in source.chunks(rows=1 << 20)]
    frames = [(part.accepted, part.quarantined) for part in parts]
    again = checker.result()
    with_rows = time.perf_counter() - started
    assert again == found
    accepted, quarantined = (
        sum(frame.height for frame in kind) for kind in zip(*frames, strict=True)
    )
    assert (accepted, quarantined) == (found.accepted, found.quarantined)
    return {
        "seconds": seconds, "with_rows": with_rows, "accepted": accepted,
        "quarantined": quarantined,
        "counts": {f"{item.field} {item.rule}": item.rows for item in found.findings},
    }  # fmt: skip


def own_pandas(table: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """One validation by torchyard of the frame that pandera has: it is first made one of polars."""
    started = time.perf_counter()
    found = validate(open_source(table, folder=Path()), schema)
    return {
        "seconds": time.perf_counter() - started,
        "counts": {f"{item.field} {item.rule}": item.rows for item in found.findings},
    }


def make_rows(rules: list[Rule], broken: int, *, block: int = 0) -> pl.DataFrame:
    """Twenty columns; each rule is broken by some rows of its own, all over the table.

    Times and keys of each ``block`` go on where those of the block before end.
    """
    draw = np.random.default_rng(block)
    first = block * ROWS
    keys = np.array([f"K{n:08d}" for n in range(first, first + ROWS)], dtype=object)
    columns: dict[str, Any] = {
        **{name: draw.normal(0, 5, ROWS) for name in NUMBERS},
        **{name: draw.integers(0, 1001, ROWS) for name in INTEGERS},
        **{f"c{n}": draw.choice(COLOURS, ROWS) for n in range(3)},
        "note": draw.choice([f"a remark of some length {n}"[:24] for n in range(1000)], ROWS),
        "when": np.datetime64("2024-01-01", "us")
        + np.arange(first, first + ROWS) * np.timedelta64(1, "s"),
        "key": keys,
    }  # fmt: skip
    frame = pl.DataFrame(columns, strict=False)
    row = pl.int_range(pl.len())
    for place, (kind, column, _) in enumerate(rules if broken else []):
        value: Any = {
            "missing": None, "below": -60, "above": 1060, "not among": "grey",
            "longer": "a remark that is much too long", "repeated": "K00000000",
            "pattern": pl.format("{}x", "key") if kind == "pattern" else None,
        }[kind]  # fmt: skip
        chosen = row % (ROWS // broken) == 10 * (place + 1)
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
    peer, _, held = peer.partition(" ")
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
        [place / "bin" / "python", script, folder, held],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=(folder / f"{peer}{held}.log").open("w"),
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


def compare(rules: list[Rule], broken: int, answers: dict[str, dict[str, Any]]) -> None:
    """Stop unless all count the same rows.

    Great Expectations counts all rows of a repeated value, the first one too.
    """
    words = {
        "missing": "is missing", "below": "is below", "above": "is above",
        "not among": "is not an allowed value", "longer": "is longer", "pattern": "does not match",
        "repeated": "repeats an earlier row",
    }  # fmt: skip
    found = answers["torchyard"]
    for kind, column, _ in rules:
        name = f"{column} {words[kind]}"
        ours = sum(n for rule, n in found["counts"].items() if rule.startswith(name))
        assert ours >= broken, (kind, column, found)
        for peer in PEERS:
            theirs = answers[peer]["counts"].get(f"{kind} {column}", 0)
            firsts = 1 if ours and kind == "repeated" and peer == "great_expectations" else 0
            assert theirs == ours + firsts, (peer, kind, column, theirs, ours)
    for peer in PANDERA:
        for rows in ("accepted", "quarantined"):
            assert answers[peer][rows] == found[rows], (peer, rows)


def report(times: dict[str, list[float]], name: str, peers: list[str]) -> None:
    """Ratios per round, so that what slows one round slows both of its sides."""
    ours = times[name]
    print(f"  {name}: {np.median(ours):.3f} s ({min(ours):.3f} to {max(ours):.3f})")
    for peer in peers:
        ratios = sorted(theirs / own for theirs, own in zip(times[peer], ours, strict=True))
        print(
            f"  {peer}: {np.median(times[peer]):.3f} s, {np.median(ratios):.1f} times torchyard's "
            f"({ratios[0]:.1f} to {ratios[-1]:.1f} over {len(ratios)} rounds)"
        )


if __name__ == "__main__":
    main()
