"""The features stage: rows parted, checked for leaks, and encoded, all of it chunk by chunk.

In the stage's folder, per part: its record, its labelled raw rows (Parquet), their labels
(``.npy``; of a regression once more as the module learns them), and a folder with one such file per
feature tensor; besides those the feature graph, its
record, and the leaks that were found.
"""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchyard.core.errors import BadData
from torchyard.core.record import Json, to_json, write_record
from torchyard.records.dataset import DatasetVersion, Finding
from torchyard.records.schema import Schema, Task
from torchyard.records.training import FeatureGraph
from torchyard.yard.found import severity
from torchyard.yard.results import LEAKS, SPLITS, Featured, OpenProject
from torchyard.yard.rowfile import RowWriter, read_chunks
from torchyard.yard.sources import module_source

if TYPE_CHECKING:
    import polars as pl

    from torchyard.data.split import Splitter

    Chunks = Callable[[], Iterator[pl.DataFrame]]

_CHUNK_ROWS = 65_536
# what the tensors of one call of the feature graph may take
_ENCODED_BYTES = 64 << 20


def fit_features(opened: OpenProject, version: DatasetVersion) -> Featured:
    """Part the rows, look for leaks, fit on the training part, encode every part.

    Rows stream, so memory grows with them only in what compares them: 8 bytes a row each for whole
    rows, rounded rows and every ``id`` field while leaks are looked for, 16 for the label's ranks
    of a stratified split, and a lookup's or tokenizer's different words. Rows without a label, and
    those in no part, are counted and left out.

    Raises:
        BadData: the parts leak into each other or the label into a field, and ``ty.Checks`` does
            not let that pass; a part lacks a class; a transform has nothing to learn from; the disk
            is full.
    """

    def make(folder: Path) -> None:
        from torchyard.data.versions import Dataset

        dataset = Dataset(opened.workspace.data, version.name)
        chunks = partial(dataset.chunks, version, rows=_CHUNK_ROWS)
        splitter = _splitter(opened, chunks)
        leaks = _leaks(opened, chunks, splitter)
        (folder / LEAKS).write_text(json.dumps(to_json(leaks), indent=2, ensure_ascii=False))
        part_rows(opened, chunks, splitter, folder)
        graph = fit_training(opened, folder)
        for name in SPLITS:
            encode_part(opened.project.schema, graph, folder, name)

    def summarize(folder: Path) -> str:
        featured = Featured(folder, version)
        width = sum(tensor.width for tensor in featured.graph.tensors)
        parts = ", ".join(f"{part.name} {part.labelled:,}" for part in featured.splits)
        return f"{len(featured.graph.tensors)} tensors, {width} columns; labelled rows: {parts}"

    with _room_on_disk(opened.workspace.stages):
        folder = opened.stages.run("features", _inputs(opened, version), make, summarize)
    return Featured(folder, version)


@contextmanager
def _room_on_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise BadData(
            where=str(folder),
            found=f"{error.strerror or error}",
            expected="a disk that takes the rows and their tensors",
            remedy="Make room and run it again; nothing half written was kept.",
        ) from error


def _inputs(opened: OpenProject, version: DatasetVersion) -> Json:
    project = opened.project
    return {
        "data": version.digest,
        "split": to_json(project.split),
        "transforms": to_json(tuple(project.features)),
        "modules": {
            name: module_source(opened.loaded, module)
            for name, module in project.features.modules.items()
        },
        "label": project.task.label,
        "classes": list(project.task.classes),
        **_learnt(project.task),
        "leaks": [project.checks.leaks, project.checks.predicts_alone_at_most],
    }


def _learnt(task: Task) -> dict[str, Json]:
    """What else decides what the module learns of a label."""
    if task.is_regression:
        return {"standardized": task.standardized}
    return {"separator": task.separator} if task.is_multilabel else {}


def _splitter(opened: OpenProject, chunks: Chunks) -> Splitter:
    from torchyard.data.split import fit_splitter

    project = opened.project
    return fit_splitter(project.split, project.task, project.schema, chunks)


def _leaks(opened: OpenProject, chunks: Chunks, splitter: Splitter) -> tuple[Finding, ...]:
    """Every leak, told; those that stop training refused."""
    from torchyard.data.leaks import find_leaks

    project = opened.project
    leaks = find_leaks(
        chunks, splitter, project.schema, project.task, project.split, project.checks
    )
    for leak in leaks:
        opened.progress.note(f"{severity(leak)}: {_named(leak)}: {leak.meaning}")
    if project.checks.leaks == "warn":
        return tuple(dataclasses.replace(leak, severity="warn") for leak in leaks)
    failed = [leak for leak in leaks if leak.severity == "fail"]
    if failed:
        raise BadData(
            where="leaks between the parts",
            found="; ".join(_named(leak) for leak in failed),
            expected="parts that know nothing of each other, and fields that do not hold the label",
            remedy="Take such a field out of the features or declare it later=True, keep an entity "
            "in one part with ty.split_by_group, drop repeated rows; or, if it is meant so: "
            "checks=ty.Checks(leaks='warn').",
        )
    return leaks


def _named(leak: Finding) -> str:
    rows = f" in {leak.rows:,} of {leak.rows_checked:,} rows" if leak.rows else ""
    examples = f", for example {', '.join(leak.examples[:2])}" if leak.examples else ""
    return f"{leak.field} {leak.rule}{rows}{examples}".strip()


def part_rows(opened: OpenProject, chunks: Chunks, splitter: Splitter, folder: Path) -> None:
    """Write the records, the labelled rows and the labels of all parts, in one pass."""
    from torchyard.data.labels import truth_of
    from torchyard.data.split import SplitTally
    from torchyard.train import ArrayWriter

    task = opened.project.task
    tally = SplitTally(opened.project.split, task)
    unlabelled = 0
    with ExitStack() as stack:
        rows, labels = {}, {}
        for name in SPLITS:
            (folder / name).mkdir()
            rows[name] = stack.enter_context(RowWriter(folder / f"{name}.parquet"))
            labels[name] = stack.enter_context(ArrayWriter(folder / f"{name}.label.npy"))
        for frame in chunks():
            part = splitter.part(frame)
            tally.update(frame, part)
            known = frame[task.label].is_not_null()
            unlabelled += frame.height - int(known.sum())
            for name in SPLITS:
                labelled = frame.filter(known & (part == name))
                rows[name].append(labelled)
                labels[name].append(truth_of(labelled, task))
    if task.is_regression:
        _write_targets(task, folder)
    for record in tally.records():
        write_record(folder / f"{record.name}.json", record)
    if unlabelled or tally.left_out:
        opened.progress.note(
            f"left out: {unlabelled:,} rows without a label, {tally.left_out:,} rows in no part"
        )


def _write_targets(task: Task, folder: Path) -> None:
    """Write the numbers that a module learns, ``float32 [rows, 1]``, beside those of the label."""
    from torchyard.evaluate import label_scale

    labels = {name: np.load(folder / f"{name}.label.npy") for name in SPLITS}
    scale = label_scale(task, labels["train"])
    for name, numbers in labels.items():
        with np.errstate(over="ignore"):  # the first look at the module refuses such a number
            targets = ((numbers - scale.mean) / scale.deviation).astype(np.float32)
        np.save(folder / f"{name}.target.npy", targets[:, None])


def fit_training(opened: OpenProject, folder: Path) -> FeatureGraph:
    """Fit the transforms on the training rows that ``part_rows`` wrote; write graph and record."""
    from torchyard.features import fit_graph

    features = opened.project.features
    fields = dict.fromkeys(name for transform in features for name in transform.fields)
    graph = fit_graph(
        features, opened.project.schema.request,
        partial(read_chunks, folder / "train.parquet", tuple(fields)),
        path=folder / "features.onnx", modules=features.modules,
    )  # fmt: skip
    write_record(folder / "features.json", graph)
    return graph


def encode_part(schema: Schema, graph: FeatureGraph, folder: Path, name: str) -> None:
    """Write the feature tensors of one part."""
    from torchyard.features import Encoder, columns_from_frame
    from torchyard.train import ArrayWriter

    encoder = Encoder(folder / "features.onnx")
    read = Schema(fields=tuple(schema.field(field) for field in graph.inputs))
    row_bytes = sum(np.dtype(tensor.dtype).itemsize * tensor.width for tensor in graph.tensors)
    step = max(1, _ENCODED_BYTES // row_bytes)
    with ExitStack() as stack:
        writers = {
            tensor.name: stack.enter_context(ArrayWriter(folder / name / f"{tensor.name}.npy"))
            for tensor in graph.tensors
        }
        for frame in read_chunks(folder / f"{name}.parquet", graph.inputs, rows=step):
            tensors = encoder.encode(columns_from_frame(read, frame))
            for tensor, values in tensors.items():
                writers[tensor].append(values)
