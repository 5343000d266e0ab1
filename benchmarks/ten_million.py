"""Ten million rows of twenty columns through data and features: seconds and peak memory by stage.

Each stage runs in a process of its own, so that the peak is its own: the most resident memory it
ever held, next to what the process holds before it begins (Python, polars, ONNX Runtime). It is
about size, not about peers, and takes many minutes: ``make bench`` leaves it out.

    python benchmarks/ten_million.py [ROWS] [FOLDER]

A folder is kept, and the rows in it are not made and imported again.

Measured on two cores of an AMD EPYC that many others used, one run each: seconds of the clock,
seconds of a core, peak MiB (109 of it before a stage begins), and the peak with a million rows:

| | clock | core | peak | a million |
|---|---|---|---|---|
| rows made, as Parquet | 20 | | 1060 | 662 |
| data imported | 56 | | 2722 | 1011 |
| split by hash | 28 | 16 | 665 | 484 |
| split by group | 15 | 7 | 620 | 461 |
| split stratified | 62 | 31 | 723 | 531 |
| split by time | 4 | 3 | 572 | 457 |
| split by column | 5 | 3 | 602 | 466 |
| leaks, split by hash | 97 | 59 | 1032 | 621 |
| leaks, split by time | 136 | 57 | 1036 | 636 |
| rows parted and written | 68 | 24 | 708 | 535 |
| features fitted | 20 | 14 | 591 | 403 |
| features encoded, stored | 21 | 12 | 596 | 445 |
| the whole features stage | 189 | 109 | 1201 | 772 |

Of what grows, leak checks hold 24 bytes a row here (whole rows, rounded rows, one id that repeats)
and 8 more for those being sorted; by the peaks it is some 50. The vocabulary of ``who`` grows with
its million values, not with rows. The clock says more about the neighbours than the core does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from validate import ROWS as BLOCK
from validate import make_rows

import torchyard as ty
from torchyard.core.record import read_record
from torchyard.data.leaks import find_leaks
from torchyard.data.split import SplitTally, fit_splitter
from torchyard.data.versions import Dataset
from torchyard.records.dataset import DatasetVersion, SplitRule
from torchyard.records.training import FeatureGraph
from torchyard.yard.datasets import add_data
from torchyard.yard.featuring import encode_part, fit_features, fit_training, part_rows
from torchyard.yard.results import SPLITS, OpenProject
from torchyard.yard.stages import Silent, Stages
from torchyard.yard.workspace import Workspace, load_project

ROWS = 10_000_000
MAKE, IMPORT = "rows made, as Parquet", "data imported"
RULES = ("hash", "group", "stratified", "time", "column")
CHUNK = 65_536  # as the features stage reads
PROJECT = """
import torchyard as ty

project = ty.Project(
    name="ten-million", task=ty.binary_classification("y"), data="rows.parquet",
    schema=ty.Schema(
        **{f"n{n}": ty.number() for n in range(10)}, i0=ty.integer(), i1=ty.integer(),
        c0=ty.category(), c1=ty.category(), note=ty.text(), when=ty.timestamp(),
        key=ty.id(unique=True), who=ty.id(),
        part=ty.category(["train", "validation", "test"], later=True),
    ),
    split=ty.split_by_hash(), checks=ty.Checks(leaks="warn"),
    features=ty.Features(
        numbers=ty.standardize(*(f"n{n}" for n in range(8))), rough=ty.robust_scale("n8", "n9"),
        whole=ty.bucket("i0", buckets=20), c0=ty.lookup("c0"), c1=ty.lookup("c1"),
        both=ty.cross(ty.lookup("c0"), ty.lookup("c1")),
        note=ty.hash_bucket("note", buckets=1000), hour=ty.cyclic_time("when", "hour"),
        who=ty.lookup("who"),
    ),
    model=print,
)
"""


@dataclass(frozen=True)
class Held:
    """The rows in a project's dataset."""

    folder: Path
    opened: OpenProject
    version: DatasetVersion

    @classmethod
    def of(cls, folder: Path) -> Held:
        """Open the project; the rows were imported before."""
        opened = open_project(folder)
        return cls(folder, opened, Dataset(opened.workspace.data).version())

    @property
    def made(self) -> Path:
        """Where the steps of the features stage, run one by one, write."""
        return self.folder / "made"

    def chunks(self) -> Iterator[pl.DataFrame]:
        """The rows as the features stage reads them."""
        return Dataset(self.opened.workspace.data).chunks(self.version, rows=CHUNK)


def rules(rows: int) -> dict[str, SplitRule]:
    """One split of each kind, each with some 15 % in either judging part."""
    validation, test = (
        (datetime(2024, 1, 1) + timedelta(seconds=rows * share)).isoformat()
        for share in (0.7, 0.85)
    )
    return {
        "hash": ty.split_by_hash(),
        "group": ty.split_by_group("who"),
        "stratified": ty.split_stratified(),
        "time": ty.split_by_time("when", validation=validation, test=test),
        "column": ty.split_by_column("part"),
    }


def open_project(folder: Path) -> OpenProject:
    """The project in a folder."""
    workspace = Workspace(folder)
    return OpenProject(load_project(workspace), Stages(workspace.stages, Silent()))


def make(folder: Path, rows: int) -> None:
    """Write the rows as Parquet, a block at a time: the same rows every time."""
    (folder / "project.py").write_text(PROJECT)
    writer = None
    for block in count():
        left = rows - block * BLOCK
        if left <= 0:
            break
        table = dressed(make_rows([], 0, block=block)).head(left).to_arrow()
        writer = writer or pq.ParquetWriter(folder / "part.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    (folder / "part.parquet").rename(folder / "rows.parquet")


def dressed(frame: pl.DataFrame) -> pl.DataFrame:
    """Ten numbers, two integers, two categories, a text that seldom repeats, a time, two ids (one
    per row, one for some ten rows), a part, and a label that hangs on two numbers.
    """
    seed = pl.struct("n9", "i3").hash(seed=0)
    return frame.select(
        *(f"n{n}" for n in range(10)), "i0", "i1", "c0", "c1",
        pl.format("{} for {} of {}", "note", "i2", "i3").alias("note"), "when", "key",
        pl.format("P{}", seed % 1_000_000).alias("who"),
        pl.when(seed % 20 < 14).then(pl.lit("train")).when(seed % 20 < 17)
        .then(pl.lit("validation")).otherwise(pl.lit("test")).alias("part"),
        (pl.col("n0") + pl.col("n1").abs() * pl.col("n2") / 5 > pl.col("n3") / 2).alias("y"),
    )  # fmt: skip


def split(held: Held, name: str) -> None:
    """Fit one rule, and part and count all rows by it."""
    rule, project = rules(held.version.rows)[name], held.opened.project
    splitter = fit_splitter(rule, project.task, project.schema, held.chunks)
    tally = SplitTally(rule, project.task)
    for frame in held.chunks():
        tally.update(frame, splitter.part(frame))
    assert tally.left_out == 0
    tally.records()


def leaks(held: Held, name: str) -> None:
    """All leak checks under one rule."""
    rule, project = rules(held.version.rows)[name], held.opened.project
    splitter = fit_splitter(rule, project.task, project.schema, held.chunks)
    find_leaks(held.chunks, splitter, project.schema, project.task, rule, project.checks)


def part(held: Held) -> None:
    """Write each part's rows and labels."""
    held.made.mkdir()
    project = held.opened.project
    splitter = fit_splitter(project.split, project.task, project.schema, held.chunks)
    part_rows(held.opened, held.chunks, splitter, held.made)


def fit(held: Held) -> None:
    """Fit the features on the training part."""
    fit_training(held.opened, held.made)


def encode(held: Held) -> None:
    """Encode and store the tensors of every part."""
    graph = read_record(FeatureGraph, held.made / "features.json")
    for name in SPLITS:
        encode_part(held.opened.project.schema, graph, held.made, name)


def whole(held: Held) -> None:
    """The features stage as a user runs it."""
    fit_features(held.opened, held.version)


STAGES: dict[str, Callable[[Held], None]] = {
    **{f"split by {name}": partial(split, name=name) for name in RULES},
    **{f"leaks, split by {name}": partial(leaks, name=name) for name in ("hash", "time")},
    "rows parted and written": part,
    "features fitted": fit,
    "features encoded, stored": encode,
    "the whole features stage": whole,
}


def child(folder: Path, stage: str, rows: int) -> None:
    """One stage in this process: seconds, what was held before it, and at most."""
    work: Callable[[], object]
    if stage == MAKE:
        work = partial(make, folder, rows)
    elif stage == IMPORT:
        work = partial(add_data, open_project(folder))
    else:
        work = partial(STAGES[stage], Held.of(folder))
    before, began, busy = held_mib(), time.perf_counter(), time.process_time()
    work()
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    print(
        f"{stage:26} {seconds:8.1f} s, {busy:.1f} of a core; {held_mib():8.0f} MiB at most, "
        f"{before:.0f} before",
        flush=True,
    )


def held_mib() -> float:
    """The peak of this process's resident memory (Linux)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main(folder: Path, rows: int) -> None:
    """Every stage in turn, each in a process of its own."""
    print(f"{rows:,} rows x 20 columns")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "made", ignore_errors=True)
    shutil.rmtree(folder / ".torchyard" / "stages", ignore_errors=True)
    there = (folder / "rows.parquet").exists(), (folder / ".torchyard" / "data").exists()
    first = [name for name, done in zip((MAKE, IMPORT), there, strict=True) if not done]
    for stage in (*first, *STAGES):
        subprocess.run([sys.executable, __file__, str(rows), str(folder), stage], check=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    asked = int(given[0]) if given else ROWS
    if len(given) > 2:
        child(Path(given[1]), given[2], asked)
    elif len(given) > 1:
        main(Path(given[1]), asked)
    else:
        with tempfile.TemporaryDirectory() as place:
            main(Path(place), asked)
