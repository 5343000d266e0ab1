"""From a path or URL to the rows there: a file, several, a folder of files or of pictures."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from torchyard.core.errors import BadData, nearest
from torchyard.data.reading.columnar import ARROW
from torchyard.data.reading.files import File
from torchyard.data.reading.lines import TEXT_LINES
from torchyard.data.reading.parts import Part, labelled
from torchyard.data.reading.pictures import is_picture, picture_parts
from torchyard.data.reading.places import LocalPlace, Place, RemotePlace, Scratch, open_store
from torchyard.data.reading.table_files import SUFFIXES, format_of, need_format, table_parts
from torchyard.data.reading.textual import declared_types, withheld_names
from torchyard.records.schema import Schema

_MAGIC = "*?["
_SAVED_SPLITS, _SAVED = "dataset_dict.json", "state.json"


def path_parts(value: str, *, folder: Path, schema: Schema | None, scratch: Scratch) -> list[Part]:
    """The parts that lie at a path or URL.

    Args:
        value: of a file, of several (with ``*``, ``?`` or ``[...]``), or of a folder.
        folder: what a relative path is relative to.
        schema: how columns of texts are read, and which values errors may show.
        scratch: keeps copies of remote files.

    Raises:
        BadData: there is nothing, nothing that holds rows, or it cannot be reached.
    """
    where = _remote(value) if _is_url(value) else _local(_without_scheme(value), folder, value)
    if isinstance(where, list):
        return _files(where, schema, scratch)
    return _folder(where, value, schema, scratch)


def _is_url(value: str) -> bool:
    return "://" in value and not value.startswith("file://")


def _without_scheme(value: str) -> str:
    return value.removeprefix("file://")


Found = list[tuple[Place, str, str]]  # place, path there, name for errors


def _local(value: str, folder: Path, name: str) -> Found | Place:
    path = folder / value
    try:
        if path.is_dir():
            os.listdir(path)
            return LocalPlace(path)
        if path.is_file():
            return [(LocalPlace(path.parent), path.name, name)]
    except OSError as error:
        raise _refuse_access(name, error) from error
    if any(sign in value for sign in _MAGIC):
        found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        files = [match for match in found if match.is_file()]
        if files:
            return [(LocalPlace(file.parent), file.name, _short(file, folder)) for file in files]
    raise _refuse_missing(name, folder, path)


def _short(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _remote(url: str) -> Found | Place:
    system, path = open_store(url)
    try:
        if any(sign in path for sign in _MAGIC):
            found = sorted(str(match) for match in system.glob(path))
            if not found:
                raise FileNotFoundError(url)
            return [_at(system, match) for match in found]
        if format_of(path) is None and system.isdir(path):
            return RemotePlace(system, path)
        if system.isfile(path):
            return [_at(system, path, url)]
        if system.isdir(path):
            return RemotePlace(system, path)
        raise FileNotFoundError(url)
    except Exception as error:  # the edge to a store: every backend has errors of its own
        raise BadData(
            where=url,
            found="nothing there" if isinstance(error, FileNotFoundError) else f"{error}",
            expected="a file, several or a folder that can be read",
            remedy="Check the URL and the access to it.",
        ) from error


def _at(system: Any, path: str, url: str | None = None) -> tuple[Place, str, str]:
    folder, _, name = path.rpartition("/")
    return RemotePlace(system, folder), name, url or str(system.unstrip_protocol(path))


def _files(found: Found, schema: Schema | None, scratch: Scratch) -> list[Part]:
    forms = {need_format(name).name: need_format(name) for _, _, name in found}
    if len(forms) > 1:
        raise BadData(
            where=f"{found[0][2]} and {len(found) - 1} more files",
            found=f"the formats {' and '.join(forms)}",
            expected="files of one format",
            remedy="Name one of them, for example with *.parquet.",
        )
    withheld = withheld_names(schema)
    files = [
        (File(name, place.here(path, scratch), withheld), place) for place, path, name in found
    ]
    for file, _ in files:
        _need_content(file)
    return table_parts(files, need_format(found[0][2]), declared_types(schema))


def _need_content(file: File) -> None:
    try:
        empty = file.path.stat().st_size == 0
        with file.path.open("rb"):
            pass
    except OSError as error:
        raise _refuse_access(file.name, error) from error
    if empty:
        raise BadData(
            where=file.name,
            found="an empty file",
            expected="a table with at least one row",
            remedy="Check how the file was made.",
        )


def _folder(place: Place, name: str, schema: Schema | None, scratch: Scratch) -> list[Part]:
    paths = place.files()
    base = name.rstrip("/")
    if _SAVED_SPLITS in paths:
        return _saved_splits(place, base, scratch)
    if _SAVED in paths:
        return _saved(place, "", base, scratch)
    tables = [path for path in paths if "/" not in path and format_of(path) is not None]
    pictures = any(is_picture(path) for path in paths)
    better = [path for path in tables if format_of(path) is not TEXT_LINES]
    if better or (tables and not pictures):
        chosen = better or tables
        return _files([(place, path, f"{base}/{path}") for path in chosen], schema, scratch)
    if pictures:
        return picture_parts(paths, place, name=base)
    raise BadData(
        where=name,
        found=f"a folder with {len(paths)} files, none a table or a picture",
        expected=f"files ending in {' '.join(SUFFIXES)}, or pictures in a folder per class",
        remedy="Check the path; tables in folders below are found with a pattern such as "
        f"{base}/**/*.parquet.",
    )


def _saved_splits(place: Place, name: str, scratch: Scratch) -> list[Part]:
    """A ``DatasetDict`` that Hugging Face ``datasets`` saved."""
    splits = _json(place, _SAVED_SPLITS, name)["splits"]
    return [
        labelled(part, split)
        for split in splits
        for part in _saved(place, f"{split}/", name, scratch)
    ]


def _saved(place: Place, below: str, name: str, scratch: Scratch) -> list[Part]:
    """A ``Dataset`` that Hugging Face ``datasets`` saved: Arrow streams, listed in a file."""
    state = _json(place, f"{below}{_SAVED}", name)
    paths = [f"{below}{item['filename']}" for item in state["_data_files"]]
    files = [(File(f"{name}/{path}", place.here(path, scratch)), place) for path in paths]
    for file, _ in files:
        _need_content(file)
    return table_parts(files, ARROW, {})


def _json(place: Place, path: str, name: str) -> Any:
    try:
        return json.loads(place.read(path))
    except (OSError, ValueError) as error:
        raise BadData(
            where=f"{name}/{path}",
            found=str(error),
            expected="a folder as datasets.save_to_disk writes it",
            remedy="Save the dataset again.",
        ) from error


def _refuse_missing(name: str, folder: Path, path: Path) -> BadData:
    siblings: Sequence[str] = []
    if path.parent.is_dir():
        siblings = [entry.name for entry in path.parent.iterdir() if entry.name[0] != "."]
    hint = nearest(path.name, siblings[:200]) if siblings else f"{path.parent} is not there either."
    return BadData(
        where=name,
        found="no such file or folder",
        expected="a file that can be read",
        remedy=f"Check the path; relative ones start at {folder}. {hint}",
    )


def _refuse_access(name: str, error: OSError) -> BadData:
    denied = isinstance(error, PermissionError)
    return BadData(
        where=name,
        found="permission denied" if denied else str(error),
        expected="a file or folder that this user may read",
        remedy=f"Give read access, for example: chmod u+rX {PurePosixPath(name)}"
        if denied
        else "Check the path.",
    )
