"""Where the yardstick is weak on the test rows: the worst slices, and errors that are alike.

Only the yardstick is searched, not every variant: variants answer almost every row alike (their
agreement is measured), and a search takes seconds. Their own metrics and declared slices are
measured one by one all the same.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from torchyard.records.evidence import Report
from torchyard.records.schema import Field
from torchyard.records.weaknesses import ErrorCluster, SliceSearch
from torchyard.yard.results import Array, Featured

if TYPE_CHECKING:
    from torchyard.evaluate import Sample

_SMALL = (16, 16, 3)  # pixels by which pictures are compared
_SHOWN = (48, 48, 3)


def with_weak_spots(report: Report, sample: Sample, featured: Featured, *, seed: int) -> Report:
    """A report on the test rows, with the worst slices and the error clusters found in them.

    Args:
        report: without them.
        sample: the test rows, and what was answered to them.
        featured: whose rows they are.
        seed: of the rows that are clustered, and of the clusters.
    """
    return dataclasses.replace(
        report,
        weaknesses=_worst_slices(sample, featured),
        clusters=tuple(_clusters(sample, featured, seed)),
    )


def _worst_slices(sample: Sample, featured: Featured) -> SliceSearch:
    from torchyard.evaluate.counting.losses import row_losses
    from torchyard.evaluate.weak.slice_conditions import may_be_searched, part_rows
    from torchyard.evaluate.weak.slice_search import least_rows, search_slices

    metric, losses = row_losses(sample)
    min_rows = least_rows(sample.rows)
    parted = [
        part
        for field in featured.version.schema.fields
        if may_be_searched(field)
        for part in part_rows(field, _column(featured, field), min_rows=min_rows)
    ]
    return search_slices(losses, parted, metric=metric, min_rows=min_rows)


def _clusters(sample: Sample, featured: Featured, seed: int) -> Iterator[ErrorCluster]:
    from torchyard.evaluate.counting.losses import wrong_rows
    from torchyard.evaluate.weak.clusters import MOST_ROWS

    fields = [
        field
        for field in featured.version.schema.request.fields
        if field.kind in ("text", "image") and not field.is_withheld
    ]
    if not fields:
        return
    places = featured.sample("test", MOST_ROWS, seed=seed)
    wrong = wrong_rows(sample)[places]
    for field in fields:
        column = featured.rows_at("test", places, [field.name])[field.name]
        values = {row: value for row, value in enumerate(column.to_list()) if value}
        cluster = _texts_alike if field.kind == "text" else _pictures_alike
        yield from cluster(
            field.name, list(values.values()), wrong[list(values)], seed=seed, fields=len(fields)
        )


def _texts_alike(
    field: str, texts: list[Any], wrong: Array, *, seed: int, fields: int
) -> tuple[ErrorCluster, ...]:
    from torchyard.evaluate.weak.clusters import cluster_texts

    return cluster_texts(field, texts, wrong, seed=seed, fields=fields)


def _pictures_alike(
    field: str, files: list[Any], wrong: Array, *, seed: int, fields: int
) -> tuple[ErrorCluster, ...]:
    from torchyard.evaluate.weak.clusters import cluster_pictures

    def show(rows: Array) -> tuple[str, ...]:
        return tuple(_small_file(files[row], field) for row in rows)

    pixels = np.empty((len(files), *_SMALL), dtype=np.uint8)
    for row, content in enumerate(files):
        pixels[row] = _pixels(content, _SMALL, field)
    return cluster_pictures(field, pixels, wrong, show=show, seed=seed, fields=fields)


def _column(featured: Featured, field: Field) -> Any:
    return featured.rows("test", [field.name])[field.name]


def _pixels(content: bytes, shape: tuple[int, ...], field: str) -> Array:
    from torchyard.features.pictures import decode

    return decode(content, shape, "stretch", where=f"field '{field}'")


def _small_file(content: bytes, field: str) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(_pixels(content, _SHOWN, field)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
