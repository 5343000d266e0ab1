"""A shuffled epoch as batches: rows a second of the feed and its peers; memory as rows grow."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch
from torch.utils.data import DataLoader, Dataset

from torchyard.train import ArrayWriter, Examples, StoredExamples
from torchyard.train.feed import shuffled

ROWS, ROUNDS = 1_000_000, 5
NUMBERS, CODES = 26, ("a", "b", "c", "d")
MEMORY_BYTES = 32 << 20  # a quarter of the table, which takes 137 MB
PEER_ROWS = 100_000  # a second or two of the slow ones


class ByRow(Dataset[object]):
    """The table as PyTorch's tutorials have it: one row at a time.

    Of NumPy arrays in memory: the loader takes more than twice as long with rows of tensors, which
    is what ``TensorDataset`` gives.
    """

    def __init__(self, examples: Examples) -> None:
        self._arrays = {name: tensor.numpy() for name, tensor in examples.tensors.items()}
        self._labels = examples.truth()

    def __len__(self) -> int:
        """Rows."""
        return len(self._labels)

    def __getitem__(self, place: int) -> object:
        """One row: its tensors by name, and its label."""
        return {name: array[place] for name, array in self._arrays.items()}, self._labels[place]


def write(folder: Path, rows: int) -> StoredExamples:
    """A table of so many rows: 26 float32, 4 int64 and a label each."""
    draw = np.random.default_rng(rows)
    folder.mkdir()
    names = ("numbers", *CODES, "label")
    for name in names:
        with ArrayWriter(folder / f"{name}.npy") as writer:
            for _ in range(0, rows, 100_000):
                if name == "numbers":
                    writer.append(draw.normal(size=(100_000, NUMBERS)).astype(np.float32))
                else:
                    codes = draw.integers(0, 100, 100_000)
                    writer.append(codes > 50 if name == "label" else codes)
    return opened(folder)


def opened(folder: Path) -> StoredExamples:
    """The table in a folder."""
    names = ("numbers", *CODES)
    files = {name: folder / f"{name}.npy" for name in names}
    return StoredExamples.open(files, folder / "label.npy")


def indexed(examples: Examples, size: int) -> Iterator[object]:
    """The limit: tensors in memory indexed with a permutation."""
    order = torch.randperm(examples.rows)
    for first in range(0, examples.rows, size):
        chosen = order[first : first + size]
        yield {name: t[chosen] for name, t in examples.tensors.items()}, examples.labels[chosen]


def loader(examples: Examples, size: int, workers: int) -> Iterator[object]:
    """PyTorch's loader over rows; as many batches as make up ``PEER_ROWS``."""
    torch.multiprocessing.set_sharing_strategy("file_system")
    rows = DataLoader(ByRow(examples), batch_size=size, shuffle=True, num_workers=workers)
    return islice(iter(rows), PEER_ROWS // size)


def rate(batches: Iterable[object], size: int, *, begun: bool) -> float:
    """Rows a second; once ``begun``, from the first batch on: starting workers is not counted."""
    iterator = iter(batches)
    if begun:
        next(iterator)
    started = time.perf_counter()
    count = sum(1 for _ in iterator)
    return count * size / (time.perf_counter() - started)


def speed(stored: StoredExamples, size: int) -> None:
    """Interleave all of them, and print ratios to plain indexing and to the loader."""
    examples = stored.read(0, stored.rows)

    def ours(table: Examples | StoredExamples) -> Iterator[object]:
        return shuffled(table, batch_size=size, seed=1, epoch=1, memory_bytes=MEMORY_BYTES)

    ways: dict[str, Callable[[], Iterable[object]]] = {
        "plain indexing": lambda: indexed(examples, size),
        "feed, in memory": lambda: ours(examples),
        "feed, block shuffle": lambda: ours(stored),
        "DataLoader": lambda: loader(examples, size, 0),
        "DataLoader, 2 workers": lambda: loader(examples, size, 2),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            value = rate(way(), size, begun=name.startswith("DataLoader"))
            if number:  # the first round warms up
                rates[name].append(value)
    print(f"batches of {size}, {ROUNDS} rounds interleaved")
    for name, values in rates.items():
        limit, peer = (
            np.median(np.array(values) / np.array(rates[other]))
            for other in ("plain indexing", "DataLoader")
        )
        print(
            f"  {name:22} {np.median(values) / 1e6:7.3f} M rows/s, from {min(values) / 1e6:.3f} to "
            f"{max(values) / 1e6:.3f}; {limit:6.3f} x plain indexing, {peer:6.1f} x DataLoader"
        )


def peak(folder: Path) -> None:
    """In a process of its own: one epoch by block shuffle, then the most memory it ever held."""
    before = held_kib()
    stored = opened(folder)
    for _ in shuffled(stored, batch_size=1024, seed=1, epoch=1, memory_bytes=MEMORY_BYTES):
        pass
    print(f"{stored.rows:,} rows: {held_kib() / 1024:.0f} MiB at most, "
          f"{(held_kib() - before) / 1024:.0f} MiB of it for the feed")  # fmt: skip


def held_kib() -> int:
    """The peak of this process's resident memory (Linux)."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def main() -> None:
    """Speed at two batch sizes, then memory at three sizes of the table."""
    with tempfile.TemporaryDirectory() as folder:
        stored = write(Path(folder) / "speed", ROWS)
        for size in (1024, 4096):
            speed(stored, size)
        print(f"memory of block shuffle through a buffer of {MEMORY_BYTES >> 20} MiB:")
        for rows in (1_000_000, 2_000_000, 4_000_000):
            table = Path(folder) / str(rows)
            size_mb = write(table, rows).row_bytes * rows / 1e6
            print(f"  a table of {size_mb:.0f} MB, ", end="", flush=True)
            subprocess.run([sys.executable, __file__, str(table)], check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(Path(sys.argv[1]))
    else:
        main()
