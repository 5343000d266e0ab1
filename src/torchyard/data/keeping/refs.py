"""How a person names a dataset version: latest, number, tag, or the start of a digest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torchyard.core.digest import PREFIX
from torchyard.core.errors import BadUsage, NotFound
from torchyard.records.dataset import DatasetVersion

_TAG = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_SHORTEST_DIGEST = 4


@dataclass(frozen=True, kw_only=True)
class Pointers:
    """Names that a person may move, kept beside the versions.

    ``tags`` map a name to a version's number. ``latest`` is the version that the last operation
    gave where that is an older one (its content came again), as long as ``newest`` is the newest.
    """

    tags: dict[str, int] = field(default_factory=dict)
    latest: int | None = None
    newest: int = 0

    def pointing_at(self, number: int, *, newest: int) -> Pointers:
        """With ``number`` as the latest."""
        return replace(self, latest=None if number == newest else number, newest=newest)

    def tagged(self, name: str, number: int, *, move: bool) -> Pointers:
        """With a tag on ``number``.

        Raises:
            BadUsage: the name cannot be a tag, or it is one already, elsewhere, and may not move.
        """
        if _TAG.fullmatch(name) is None or name == "latest":
            raise BadUsage(
                where=f"tag '{name}'",
                found="a name that cannot be a tag",
                expected="a letter, then lower-case letters, digits, '.', '_', '-'; not 'latest'",
                remedy="For example: torchyard data tag latest before-cleaning",
            )
        if self.tags.get(name, number) != number and not move:
            raise BadUsage(
                where=f"tag '{name}'",
                found=f"it is on version {self.tags[name]} already",
                expected="a tag that is not in use: what carries its name may have been published",
                remedy="Choose another name, or move it with --move.",
            )
        return replace(self, tags={**self.tags, name: number})


def resolve(
    name: str, versions: Sequence[DatasetVersion], pointers: Pointers, *, dataset: str
) -> DatasetVersion:
    """The version of that name.

    Raises:
        NotFound: no version, or more than one, answers to it.
    """
    matches = [version for version in versions if _answers(version, name, versions, pointers)]
    if len(matches) != 1:
        raise NotFound(
            where=f"dataset '{dataset}', version '{name}'",
            found=f"{len(matches) or 'none'} of {len(versions)} versions by that name",
            expected="a number, a tag, at least four digits of one digest, or 'latest'",
            remedy="List them with: torchyard data log",
        )
    return matches[0]


def _answers(
    version: DatasetVersion, name: str, versions: Sequence[DatasetVersion], pointers: Pointers
) -> bool:
    if name == "latest":
        moved = pointers.latest is not None and pointers.newest == versions[-1].number
        return version.number == (pointers.latest if moved else versions[-1].number)
    if name in pointers.tags:
        return version.number == pointers.tags[name]
    if re.fullmatch(r"\d{1,6}", name) and int(name) <= versions[-1].number:
        return version.number == int(name)
    digits = name.removeprefix(PREFIX)
    return len(digits) >= _SHORTEST_DIGEST and version.digest.removeprefix(PREFIX).startswith(
        digits
    )
