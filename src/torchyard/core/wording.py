"""Lists in a sentence that stays readable however long they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def listed(words: Sequence[str], *, most: int = 5, show: Callable[[str], str] = str) -> str:
    """The first few of some words, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], most=2, show=repr)
        "'a', 'b' and 1 more"
    """
    more = len(words) - most
    return ", ".join(map(show, words[:most])) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, word: str) -> str:
    """A number and what it counts, in the plural but for one.

    Example:
        >>> counted(1, "gate"), counted(2_000, "gate")
        ('1 gate', '2,000 gates')
    """
    return f"{number:,} {word}" + ("" if number == 1 else "s")
