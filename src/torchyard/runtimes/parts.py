"""A variant's file that holds several: a zip whose members are stored as they are, by fixed names.

Nothing of it is unpacked to disk, and no member is larger than the zip itself.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from torchyard.core.errors import BadRecord

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: the same parts, the same bytes


def write_parts(path: Path, parts: Mapping[str, bytes]) -> None:
    """Write named parts into one file; the same parts give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def read_parts(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read a file of exactly these parts.

    Raises:
        BadRecord: it cannot be read, is no such file, or has other members.
    """
    expected = f"a stored zip of {', '.join(names)}"
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = {member.filename: member for member in file.infolist()}
            if tuple(members) != names or len(file.infolist()) != len(names):
                raise damaged(path, f"members {', '.join(members) or 'none'}", expected)
            for member in members.values():
                # a stored member is no larger than what holds it; a packed one may be
                if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                    raise damaged(path, f"a packed member '{member.filename}'", expected)
            return {name: file.read(name) for name in names}
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        found = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise damaged(path, found, expected) from error


def damaged(path: Path, found: str, expected: str) -> BadRecord:
    """The refusal of a variant's file."""
    return BadRecord(
        where=str(path),
        found=found,
        expected=expected,
        remedy="Restore the file from its release, or export the variant again.",
    )
