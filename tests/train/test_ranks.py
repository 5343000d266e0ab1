"""Devices that share each batch give what one device gives, every time the same."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from torch import distributed

from tests.support.tiny import MODULES, SETTINGS, STEPS, Plain, examples, fit, result_of
from torchyard.core.errors import BadModel, BadUsage, NotReady, Stopped
from torchyard.core.record import to_json
from torchyard.records.training import Training
from torchyard.train import StoredExamples, Trained, Watch, predict_logits
from torchyard.train.epochs import batch_sizes, epoch_batches
from torchyard.train.feed import part_of
from torchyard.train.followers import Launch
from torchyard.train.learner import Learner
from torchyard.train.rank import leading, threads_each
from torchyard.train.ranks import ALONE, Ranks, Together, share

ROOT = Path(__file__).parents[2]
TWO = dataclasses.replace(SETTINGS, devices=2)


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other processes find the tests."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def joined(
    folder: Path, *, how: Training = TWO, module: str = "net", fault: str = "",
    watch: Watch | None = None,
) -> Trained:  # fmt: skip
    """The tiny run in as many processes as there are devices."""
    order = {
        "training": to_json(how), "module": module, "fault": fault,
        "checkpoints": str(folder / "checkpoints"),
    }  # fmt: skip
    launch = Launch((sys.executable, "-m", "tests.support.following"), order, folder / "ranks")
    with leading(how.devices, launch) as ranks:
        return fit(folder / "checkpoints", how=how, watch=watch, build=MODULES[module], ranks=ranks)


class StopsAfter(Watch):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def should_stop(self) -> str:
        self.left -= 1
        return "" if self.left else "asked to"


@given(rows=st.integers(0, 500), size=st.integers(1, 9))
def test_shares_are_even_and_cover_every_row_once(rows: int, size: int) -> None:
    parts = [share(rows, rank=rank, size=size) for rank in range(size)]
    assert [parts[0][0], *(last for _, last in parts)] == [
        0, *(first for first, _ in parts[1:]), rows
    ]  # fmt: skip
    lengths = {last - first for first, last in parts}
    assert max(lengths) - min(lengths) <= 1


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(8, 200), batch=st.integers(1, 40), devices=st.integers(1, 4))
def test_every_device_has_rows_of_every_batch(rows: int, batch: int, devices: int) -> None:
    devices = min(devices, batch)
    how = Training(batch_size=batch, devices=devices)
    table = examples(rows)
    sizes = batch_sizes(rows, batch, devices)
    batches = list(epoch_batches(table, how, 1, 0, devices))
    assert [one.rows for one in batches] == sizes
    assert sum(sizes) == rows
    if len(sizes) > 1:
        assert min(sizes) // devices >= min(2, batch // devices)
    again = list(epoch_batches(table, how, 1, len(sizes) // 2, devices))
    assert [one.rows for one in again] == sizes[len(sizes) // 2 :]


@pytest.mark.parametrize("devices", [2, 3])
def test_the_mean_over_devices_is_that_of_the_whole_batch(devices: int) -> None:
    """Also where parts differ by a row, and where each is computed in parts of its own."""
    how = Training(
        clip_norm=None, accumulate=2, optimizer="sgd", weight_decay=0.0, learning_rate=1.0,
        schedule="constant",
    )  # fmt: skip
    batch = examples(31)

    def learnt(first: int, last: int, even: float | None) -> tuple[float, torch.Tensor]:
        torch.manual_seed(1)
        module = Plain()
        learner = Learner(Fabric(accelerator="cpu", devices=1), module, how, 10)
        before = module.state_dict()["layers.0.weight"].clone()
        loss = learner.step(batch.read(first, last), "here", even=even)
        return float(loss), module.state_dict()["layers.0.weight"] - before

    whole_loss, whole_change = learnt(0, 31, None)
    parts = [
        learnt(*share(31, rank=rank, size=devices), 31 / devices) for rank in range(devices)
    ]  # fmt: skip
    assert sum(loss for loss, _ in parts) / devices == pytest.approx(whole_loss, rel=1e-6)
    mean = torch.stack([change for _, change in parts]).mean(0)
    assert torch.allclose(mean, whole_change, rtol=1e-4, atol=1e-6)


def test_a_part_of_a_table_in_files_is_read_from_its_rows(tmp_path: Path) -> None:
    x, y = np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10) % 3
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    table = StoredExamples.open({"x": tmp_path / "x.npy"}, tmp_path / "y.npy")
    for first, last in ((0, 10), (3, 7), (9, 10), (4, 4)):
        part = part_of(table, first, last)
        assert part.rows == last - first
        assert part.truth().tolist() == y[first:last].tolist()
        rows = part.read(0, part.rows)
        assert rows.tensors["x"].tolist() == x[first:last].tolist()


@contextmanager
def group_of_one(folder: Path) -> Iterator[Together]:
    store = distributed.FileStore(str(folder / "meeting"), 1)  # type: ignore[attr-defined]
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield Together(0, 1, torch.device("cpu"))
    finally:
        distributed.destroy_process_group()


def test_a_group_of_one_says_what_one_alone_says(tmp_path: Path) -> None:
    state = {"a": (1, None, "text"), 2: torch.arange(5), "b": np.arange(3)}
    alone: Ranks = ALONE
    with group_of_one(tmp_path) as group:
        for ranks in (alone, group):
            assert ranks.agree(7) == 7
            assert ranks.weighted_mean(0.1, 3) == pytest.approx(0.1, rel=1e-15)
            assert ranks.mean(torch.tensor([0.1, 2.0]).double()).tolist() == pytest.approx(
                [0.1, 2.0], rel=1e-7
            )
            (again,) = ranks.gather(state)
            assert again["a"] == state["a"]
            assert torch.equal(again[2], torch.arange(5))
            assert again["b"].tolist() == [0, 1, 2]


def test_one_process_does_not_train_for_two(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=r"one process, and devices=2; .* torchyard train"):
        fit(tmp_path, how=TWO)


def test_threads_are_divided_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchyard.train.rank._cores", lambda: 8)
    monkeypatch.setattr("torchyard.train.rank._threads_now", lambda: 8)
    assert [threads_each(devices) for devices in (2, 3, 16)] == [4, 2, 1]
    monkeypatch.setattr("torchyard.train.rank._threads_now", lambda: 2)
    assert threads_each(2) == 2


def test_fewer_gpus_than_devices_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    launch = Launch(("false",), {}, tmp_path / "ranks")
    said = r"found 4 devices asked for; expected at most 2, the GPUs .*CUDA_VISIBLE_DEVICES="
    with pytest.raises(Exception, match=said), leading(4, launch):
        pass
    assert not (tmp_path / "ranks").exists()


def test_a_process_that_ends_before_it_joins_is_told_of(tmp_path: Path) -> None:
    launch = Launch(("sh", "-c", "echo no such thing >&2; exit 3"), {}, tmp_path / "ranks")
    threads = torch.get_num_threads()
    said = r"device 2 of 2 \(process \d+\): found its end by status 3; it said last: no such thing"
    with pytest.raises(NotReady, match=said), leading(2, launch):
        pass
    assert torch.get_num_threads() == threads
    assert not distributed.is_initialized()


@pytest.mark.slow
def test_two_devices_give_what_one_gives_and_always_the_same(tmp_path: Path) -> None:
    one = fit(tmp_path / "one", build=Plain)
    two = joined(tmp_path / "two", module="plain")
    again = joined(tmp_path / "again", module="plain")
    assert result_of(two) == result_of(again)
    assert two.trace.losses == pytest.approx(one.trace.losses, rel=1e-5)
    assert [epoch.validation_loss for epoch in two.curve] == pytest.approx(
        [epoch.validation_loss for epoch in one.curve], rel=1e-5
    )
    assert predict_logits(two.module, examples(50)) == pytest.approx(
        predict_logits(one.module, examples(50)), abs=1e-4
    )
    assert any(note.startswith("devices: 2 processes") for note in two.notes)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 3])
def test_stopped_on_many_devices_it_goes_on_to_the_same_bits(tmp_path: Path, devices: int) -> None:
    """With chance, buffers and sums of three: where it is easiest to go astray."""
    how = dataclasses.replace(SETTINGS, devices=devices, accumulate=2)
    whole = joined(tmp_path / "whole", how=how)
    stops = 0
    while True:
        try:
            resumed = joined(tmp_path / "stopped", how=how, watch=StopsAfter(7))
        except Stopped:
            stops += 1
            continue
        break
    assert (stops, resumed.resumes) == (STEPS // 7, STEPS // 7)
    assert result_of(resumed) == result_of(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("killed", NotReady, r"device 2 of 2 .*its end by SIGKILL; it said last: the last words"),
        ("refuses", BadModel, r"device 2 of 2, step 3: found a whim; expected reason. Wait"),
        ("raises", NotReady, r"found its end by status 1; .*a fault of the program"),
        ("dies early", BadModel, r"device 2 of 2, the start: found a whim"),
    ],
)
def test_a_process_that_dies_ends_the_run_with_its_reason(
    tmp_path: Path, fault: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=f"(?s){said}"):
        joined(tmp_path, fault=fault)
    assert not distributed.is_initialized()
    if fault == "killed":
        whole = joined(tmp_path / "whole")
        assert result_of(joined(tmp_path)) == result_of(whole)


@pytest.mark.slow
def test_the_others_end_when_rank_0_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.train.test_ranks import joined;"
        "joined(Path(sys.argv[1]), fault='never joins')"
    )
    leader = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    alive = tmp_path / "alive"
    try:
        while not (alive.exists() and alive.read_text()):
            assert leader.poll() is None
            time.sleep(0.05)
    finally:
        leader.send_signal(signal.SIGKILL)
        leader.wait()
    follower = int(alive.read_text())
    while Path(f"/proc/{follower}").exists() and not _is_zombie(follower):
        time.sleep(0.05)  # the test runs for ever where it lives on


def _is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
