"""Refusals. Each one says where, what was found, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import ClassVar

_LONGEST = 600
_LONGEST_WORD = 200  # comparing words takes time, and one may be hostile


class YardError(Exception):
    """A refusal that a person can act on.

    Args:
        where: the file, field, stage, route or setting at fault, as the user wrote it.
        found: what was there, with its value.
        expected: what would have been accepted.
        remedy: what to do next, as an instruction.

    Example:
        >>> raise BadData(where="flights.csv, column 'dest'", found="3 empty cells",
        ...               expected="a value in every row", remedy="Declare it optional=True.")
        Traceback (most recent call last):
        torchyard.core.errors.BadData: flights.csv, column 'dest': found 3 empty cells; expected \
a value in every row. Declare it optional=True.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, *, where: str, found: str, expected: str, remedy: str) -> None:
        self.where = _bounded(where)
        self.found = _bounded(found)
        self.expected = _bounded(expected)
        self.remedy = remedy
        super().__init__(f"{self.where}: found {self.found}; expected {self.expected}. {remedy}")

    def as_dict(self) -> dict[str, str]:
        """The refusal for machines: its code and its four parts."""
        return {
            "error": self.code,
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "remedy": self.remedy,
        }

    @staticmethod
    def of_dict(parts: Mapping[str, str]) -> YardError:
        """The refusal that ``as_dict`` wrote, in this process or another.

        A code that is not known here, as another version may write, reads as ``NotReady``.
        """
        kinds = {kind.code: kind for kind in YardError.__subclasses__()}
        names = ("where", "found", "expected", "remedy")
        return kinds.get(parts["error"], NotReady)(**{name: parts[name] for name in names})


class BadUsage(YardError):
    """The command line or a Python call was worded wrongly."""

    code = "bad_usage"
    exit_status = 2


class BadProject(YardError):
    """The project file declares something impossible."""

    code = "bad_project"


class BadData(YardError):
    """Rows, files or tables do not fit the schema."""

    code = "bad_data"


class BadModel(YardError):
    """The user's module does something a release cannot carry."""

    code = "bad_model"


class BadRecord(YardError):
    """A stored record is damaged, from a later version, or not what it claims to be."""

    code = "bad_record"


class NotTrusted(YardError):
    """A release was changed after sealing, or was signed by a key that is not trusted."""

    code = "not_trusted"


class Refused(YardError):
    """A gate was missed."""

    code = "refused"


class NotFound(YardError):
    """Something was asked for by a name that nothing has."""

    code = "not_found"


class Unauthenticated(YardError):
    """A request came without a key, or with one that is none of the server's."""

    code = "unauthenticated"


class Forbidden(YardError):
    """A request came with a key for something else."""

    code = "forbidden"


class Quarantined(YardError):
    """A request killed workers before, and is not run again."""

    code = "quarantined"


class NotReady(YardError):
    """A worker or a release cannot answer yet."""

    code = "not_ready"


class Overloaded(YardError):
    """A request could not be answered in time and was not queued.

    Args:
        where: see ``YardError``, and so for ``found``, ``expected`` and ``remedy``.
        found: as there.
        expected: as there.
        remedy: as there.
        retry_after_s: whole seconds, at least 1, after which it is worth asking again.
    """

    code = "overloaded"

    def __init__(
        self, *, where: str, found: str, expected: str, remedy: str, retry_after_s: int = 1
    ) -> None:
        super().__init__(where=where, found=found, expected=expected, remedy=remedy)
        self.retry_after_s = retry_after_s


class Stopped(YardError):
    """Work was asked to stop, and saved where it stands."""

    code = "stopped"
    exit_status = 143  # 128 + SIGTERM, as shells say it


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the known word closest to a misspelt one, or lists them all.

    Example:
        >>> nearest("aurok", ["auroc", "brier"])
        "Did you mean 'auroc'?"
        >>> nearest("zzz", ["auroc", "brier"])
        'Known: auroc, brier.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word[:_LONGEST_WORD], names, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(names)}."


def _bounded(text: str) -> str:
    """Keep a message readable whatever the size of what went wrong."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
