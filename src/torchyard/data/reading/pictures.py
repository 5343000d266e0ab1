"""Folders of pictures: the name of the folder that a picture lies in is its label.

``<class>/*.png``, or ``train|validation|test/<class>/*.png`` (the convention of torchvision and of
Hugging Face ``datasets``), with any depth below the class. Pictures are read as they are wanted,
and not decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import polars as pl

from torchyard.core.errors import BadData
from torchyard.data.reading.chunks import CHUNK_BYTES, CHUNK_ROWS
from torchyard.data.reading.parts import PART_COLUMN, Part, part_name
from torchyard.data.reading.places import Place

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip


def is_picture(path: str) -> bool:
    """Whether a file's name says that it is a picture."""
    return PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES


def picture_parts(paths: Sequence[str], place: Place, *, name: str) -> list[Part]:
    """Pictures in folders as rows of ``image``, ``label``, ``path`` and, where split, ``part``.

    Args:
        paths: files below the place, in order; those that are no pictures by name are left out.
        place: the folder.
        name: how errors call it.

    Raises:
        BadData: a picture lies in no class folder.
    """
    table = _table([path for path in paths if is_picture(path)], name)
    return [Part(name, place, lambda rows: _frames(table, place, name, rows))]


def _table(paths: list[str], name: str) -> pl.DataFrame:
    parts = [path.split("/") for path in paths]
    tops = {part[0] for part in parts}
    split = [top for top in sorted(tops) if part_name(top) is not None]
    deep = {part[0] for part in parts if len(part) > 2}
    by_part = bool(split) and set(split) <= deep
    if by_part and len(split) < len(tops):
        raise BadData(
            where=name,
            found=f"the folders {', '.join(sorted(tops))}",
            expected="only classes, or only train, validation and test",
            remedy="Move the others elsewhere.",
        )
    depth = 2 if by_part else 1
    for path, part in zip(paths, parts, strict=True):
        if len(part) <= depth:
            raise BadData(
                where=f"{name}, '{path}'",
                found="a picture that lies in no class folder",
                expected="<class>/<picture>" if depth == 1 else "<part>/<class>/<picture>",
                remedy="Move it into its class's folder, or write a table with a column of paths "
                "beside the pictures.",
            )
    columns = {"label": [part[depth - 1] for part in parts], "path": paths}
    if by_part:
        columns[PART_COLUMN] = [part_name(part[0]) or part[0] for part in parts]
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def _frames(table: pl.DataFrame, place: Place, name: str, rows: int) -> Iterator[pl.DataFrame]:
    others = [column for column in table.columns if column != "path"]
    start = 0
    for images in read_pictures(table["path"], place, name, rows=rows):
        piece = table.slice(start, len(images))
        yield piece.select(images.alias("image"), *others, "path")
        start += len(images)


def read_pictures(
    paths: pl.Series, place: Place, name: str, *, before: int = 0, rows: int = CHUNK_ROWS
) -> Iterator[pl.Series]:
    """The files that a column of paths names, in order, at most 64 MiB of them at a time.

    Args:
        paths: relative to the place; a missing or empty one is a missing picture.
        place: where the files lie.
        name: how errors call the table.
        before: rows before these, for errors.
        rows: the most pictures at a time.

    Yields:
        ``Binary [some rows]``, that together are as many as the paths.

    Raises:
        BadData: a file cannot be read.
    """
    size, images = 0, list[bytes | None]()
    for row, path in enumerate(paths, before + 1):
        where = f"{name}, column '{paths.name}', row {row}"
        found = _read(place, path, where) if path else None
        weight = 0 if found is None else len(found)
        if images and (size + weight > CHUNK_BYTES or len(images) == rows):
            yield pl.Series(images, dtype=pl.Binary)
            size, images = 0, []
        size += weight
        images.append(found)
    if images:
        yield pl.Series(images, dtype=pl.Binary)


def _read(place: Place, path: str, where: str) -> bytes:
    try:
        content = place.read(path)
    except PermissionError as error:
        raise _refuse(
            where, f"{path!r}, which may not be read", "Give read access to it."
        ) from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        found = f"{path!r}, which is no file in {place.name}"
        raise _refuse(where, found, "Correct the path, or add the file.") from error
    except (OSError, ValueError) as error:
        raise _refuse(where, f"{path!r}: {error}", "Check that it can be read.") from error
    if not content:
        raise _refuse(where, f"{path!r}, which is empty", "Copy it again, or take the row out.")
    return content


def _refuse(where: str, found: str, remedy: str) -> BadData:
    return BadData(where=where, found=found, expected="a picture's file", remedy=remedy)
