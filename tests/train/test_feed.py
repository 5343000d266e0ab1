from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchyard.records.training import Training
from torchyard.train import ArrayWriter, Examples, StoredExamples, Table, save_weights, train
from torchyard.train.feed import BLOCKS_MIXED, Blocks, held, in_order, shuffled
from torchyard.train.stored import Array

ROW_BYTES = 3 * 4 + 8 + 2 * 2 * 4 + 1


def arrays(rows: int) -> dict[str, Array]:
    """Tensors of several shapes; ``place`` tells rows apart."""
    draw = np.random.default_rng(rows)
    return {
        "numbers": draw.normal(size=(rows, 3)).astype(np.float32),
        "place": np.arange(rows),
        "picture": draw.normal(size=(rows, 2, 2)).astype(np.float32),
        "label": draw.random(rows) < 0.5,
    }


@contextmanager
def both(rows: int) -> Iterator[tuple[Examples, StoredExamples]]:
    """The same rows in memory and in files."""
    values = arrays(rows)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.npy" for name in values}
        for name, path in paths.items():
            with ArrayWriter(path) as writer:
                writer.append(values[name])
        label, labels = values.pop("label"), paths.pop("label")
        yield Examples.from_arrays(values, label), StoredExamples.open(paths, labels)


def places(batches: Iterable[Examples]) -> list[list[int]]:
    return [batch.tensors["place"].tolist() for batch in batches]


def assert_same(one: Iterable[Examples], other: Iterable[Examples]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.labels, b.labels)
        assert a.labels.dtype == b.labels.dtype
        assert a.tensors.keys() == b.tensors.keys()
        assert all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)


def plain_order(blocks: Blocks, *, seed: int, epoch: int) -> torch.Tensor:
    """Block shuffle as one permutation of all rows: what the feed must do without holding it."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    drawn = torch.randperm(blocks.count, generator=generator).tensor_split(blocks.buffers)
    seeds = torch.randint(1 << 62, (blocks.buffers,), generator=generator)
    cut = torch.split(torch.arange(blocks.rows), blocks.size)
    order = []
    for group, own in zip(drawn, seeds, strict=True):
        rows = torch.cat([cut[place] for place in sorted(group)])
        within = torch.Generator().manual_seed(int(own))
        order.append(rows[torch.randperm(len(rows), generator=within)])
    return torch.cat(order)


TABLE = {
    "rows": st.integers(1, 300),
    "batch": st.integers(1, 70),
    "memory": st.integers(1, 400 * ROW_BYTES),
    "epoch": st.integers(1, 3),
}


@settings(deadline=None, max_examples=60)
@given(**TABLE)
def test_block_shuffle_is_the_plain_permutation(
    rows: int, batch: int, memory: int, epoch: int
) -> None:
    with both(rows) as (examples, stored):
        blocks = Blocks.of(rows, stored.row_bytes, memory)
        order = plain_order(blocks, seed=5, epoch=epoch)
        assert sorted(order.tolist()) == list(range(rows))
        assert blocks.buffer_rows <= max(1, memory // stored.row_bytes)
        fed = shuffled(stored, batch_size=batch, seed=5, epoch=epoch, memory_bytes=memory)
        assert_same(fed, [examples.pick(chosen) for chosen in torch.split(order, batch)])


@settings(deadline=None, max_examples=60)
@given(**TABLE, start=st.integers(0, 310))
def test_an_epoch_that_begins_at_a_batch_is_the_rest_of_the_whole(
    rows: int, batch: int, memory: int, epoch: int, start: int
) -> None:
    def fed(table: Table, first: int) -> list[Examples]:
        return list(
            shuffled(table, batch_size=batch, seed=1, epoch=epoch, memory_bytes=memory, start=first)
        )

    with both(rows) as tables:
        for table in tables:
            whole = fed(table, 0)
            assert sorted(
                place for batch_places in places(whole) for place in batch_places
            ) == list(range(rows))
            assert [part.rows for part in whole[:-1]] == [batch] * (len(whole) - 1)
            assert_same(fed(table, start), whole[start:])


def test_rows_in_memory_come_in_the_order_that_past_runs_were_trained_in() -> None:
    with both(100) as (examples, stored):
        generator = torch.Generator().manual_seed(7 * 1_000_003 + 2)
        expected = torch.split(torch.randperm(100, generator=generator), 32)
        loaded = held(stored, 100 * stored.row_bytes)
        assert isinstance(loaded, Examples)
        for table in (examples, loaded):
            fed = shuffled(table, batch_size=32, seed=7, epoch=2, memory_bytes=1)
            assert places(fed) == [chosen.tolist() for chosen in expected]


@pytest.mark.parametrize("kept", ["memory", "files"])
def test_the_order_depends_on_the_seed_and_the_epoch(kept: str) -> None:
    with both(200) as (examples, stored):
        table: Table = examples if kept == "memory" else stored

        def order(seed: int, epoch: int) -> list[list[int]]:
            return places(
                shuffled(table, batch_size=200, seed=seed, epoch=epoch, memory_bytes=2_000)
            )

        assert order(1, 1) == order(1, 1)
        assert order(1, 1) != order(1, 2)
        assert order(1, 1) != order(2, 1)


def test_blocks_are_balanced_between_buffers_and_mixed_well() -> None:
    """In a table sorted by label every buffer's share of it is near the whole's."""
    rows, row_bytes = 1_000_000, 100
    blocks = Blocks.of(rows, row_bytes, memory_bytes=row_bytes * 300_000)
    assert (blocks.mixed, blocks.buffers) == (1027, 4)
    labels = np.arange(rows) >= rows // 2
    order = plain_order(blocks, seed=0, epoch=1).numpy()
    shares = [labels[part].mean() for part in np.array_split(order, blocks.buffers)]
    assert np.abs(np.array(shares) - 0.5).max() < 3 * 0.5 / np.sqrt(BLOCKS_MIXED)
    almost = Blocks.of(rows, row_bytes, memory_bytes=row_bytes * (rows - 1))
    assert [len(ranges) for ranges, _ in almost.drawn(torch.Generator())] == [513, 512]


def test_what_fits_is_held_in_memory_and_what_does_not_stays_in_files() -> None:
    with both(50) as (examples, stored):
        assert (examples.rows, stored.rows, stored.row_bytes) == (50, 50, ROW_BYTES)
        assert held(stored, 50 * ROW_BYTES - 1) is stored
        assert held(examples, 0) is examples
        loaded = held(stored, 50 * ROW_BYTES)
        assert isinstance(loaded, Examples)
        assert_same([loaded], [examples])
        assert np.array_equal(stored.truth(), examples.truth())


def test_chunks_in_order_are_bounded_in_rows_and_bytes() -> None:
    labels = np.zeros(40_000, np.int64)
    thin = Examples.from_arrays({"x": np.arange(40_000)}, labels)
    assert [chunk.rows for chunk in in_order(thin)] == [16_384, 16_384, 7_232]
    assert torch.cat([c.tensors["x"] for c in in_order(thin)]).equal(torch.arange(40_000))
    wide = Examples.from_arrays({"x": np.zeros((10, 1 << 20), np.float32)}, labels[:10])
    assert [chunk.rows for chunk in in_order(wide)] == [3, 3, 3, 1]
    with both(100) as (examples, stored):
        assert_same(in_order(stored), in_order(examples))


def test_pictures_and_texts_come_few_at_a_time() -> None:
    labels = np.zeros(300, np.int64)
    tokens = Examples.from_arrays({"x": np.zeros((300, 2), np.int64)}, labels)
    pictures = Examples.from_arrays({"x": np.zeros((300, 1, 12, 12), np.float32)}, labels)
    for wide in (tokens, pictures):
        assert [chunk.rows for chunk in in_order(wide)] == [256, 44]


def test_binary_labels_become_float_and_class_numbers_stay() -> None:
    x = {"x": np.zeros(2, np.int64)}
    binary = Examples.from_arrays(x, np.array([True, False]))
    assert binary.labels.equal(torch.tensor([1.0, 0.0]))
    several = Examples.from_arrays(x, np.array([2, 0]))
    assert several.labels.equal(torch.tensor([2, 0]))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)

    def forward(
        self, numbers: torch.Tensor, place: torch.Tensor, picture: torch.Tensor
    ) -> torch.Tensor:
        logits: torch.Tensor = self.line(numbers)
        return logits.squeeze(1)


def test_training_from_files_that_fit_gives_the_weights_of_training_from_memory(
    tmp_path: Path,
) -> None:
    wanted = Training(max_epochs=2, batch_size=32, seed=3)

    def weights(table: Table, chosen: Training) -> str:
        trained = train(Net, training=table, validation=table, settings=chosen)
        return save_weights(trained.module, tmp_path / "weights.safetensors")

    with both(30_000) as (examples, stored):
        few = dataclasses.replace(wanted, batch_size=1024)
        assert weights(stored, few) == weights(examples, few)
        blocks = dataclasses.replace(few, memory_mib=1)
        assert stored.rows * stored.row_bytes > 1 << 20
        assert weights(stored, blocks) == weights(stored, blocks)
        assert weights(stored, blocks) != weights(examples, blocks)
