"""Finding a release by what a person types: its id, the start of it, or its number."""

from __future__ import annotations

import re
from pathlib import Path

from torchyard.core.digest import PREFIX, short
from torchyard.core.errors import BadRecord, BadUsage, NotFound, NotTrusted
from torchyard.records.manifest import Seal
from torchyard.release.layout import SEAL
from torchyard.release.rules import read_paper

_FOLDER = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_HEX = re.compile(r"[0-9a-f]{4,64}")


def list_releases(releases: Path) -> tuple[Path, ...]:
    """The release folders, oldest seal first. They are not opened, so nothing vouches for them.

    A folder whose seal cannot be read comes last: opening it says what is wrong.
    """
    if not releases.is_dir():
        return ()
    folders = [path for path in releases.iterdir() if _FOLDER.fullmatch(path.name)]
    return tuple(sorted(folders, key=_age))


def resolve(wanted: str, releases: Path) -> Path:
    """The folder of the one release that some text means.

    Args:
        wanted: an id (``sha256:...``), at least four hex digits that only one id starts with, or a
            number of at most three digits: 1 is the release that was sealed first.
        releases: the folder of sealed releases.

    Raises:
        BadUsage: the text is none of these, or several ids start with it.
        NotFound: no release is meant by it.
    """
    folders = list_releases(releases)
    if _NUMBER.fullmatch(wanted):
        if int(wanted) <= len(folders):
            return folders[int(wanted) - 1]
        raise _not_found(wanted, releases, folders)
    start = wanted.removeprefix(PREFIX).lower()
    if not _HEX.fullmatch(start):
        raise BadUsage(
            where="release",
            found=repr(wanted),
            expected="an id, at least four hex digits of one, or a release's number",
            remedy="The list of releases shows both.",
        )
    matches = [folder for folder in folders if folder.name.startswith(start)]
    if not matches:
        raise _not_found(wanted, releases, folders)
    if len(matches) > 1:
        raise BadUsage(
            where="release",
            found=f"'{wanted}', with which {len(matches)} ids start",
            expected="digits that only one id starts with",
            remedy=f"Type more of it: {', '.join(short(match.name) for match in matches[:5])}.",
        )
    return matches[0]


def _age(folder: Path) -> tuple[str, str]:
    try:
        return read_paper(Seal, folder / SEAL).sealed_at, folder.name
    except (BadRecord, NotTrusted):
        return "~", folder.name


def _not_found(wanted: str, releases: Path, folders: tuple[Path, ...]) -> NotFound:
    known = ", ".join(short(folder.name) for folder in folders[-5:])
    return NotFound(
        where=str(releases),
        found=f"no release '{wanted}'",
        expected="a sealed release",
        remedy=f"The latest are {known}." if known else "Nothing was sealed here yet.",
    )
