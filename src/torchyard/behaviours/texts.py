"""Changes of a text: words that are exchanged, and letters that change places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np


def exchange_words(text: str, following: Mapping[str, str]) -> str:
    """Each of some words replaced by another, where it stands alone.

    Example:
        >>> exchange_words("he said he saw Hessen", {"he": "she", "she": "he"})
        'she said she saw Hessen'
    """
    longest_first = sorted(following, key=lambda word: (-len(word), word))
    words = "|".join(map(re.escape, longest_first))
    return re.sub(rf"(?<!\w)(?:{words})(?!\w)", lambda found: following[found[0]], text)


def mistype(text: str, typos: int, draw: np.random.Generator) -> str:
    """So many pairs of neighbouring, different letters change places; fewer where there are not.

    Pairs do not overlap, so that no typo undoes another (as the typos of CheckList, whose letters
    may be any).

    Example:
        >>> mistype("aaab", 5, np.random.default_rng(0))
        'aaba'
    """
    letters = list(text)
    pairs = [
        place for place, (one, other) in enumerate(pairwise(text))
        if one != other and one.isalnum() and other.isalnum()
    ]  # fmt: skip
    for _ in range(typos):
        if not pairs:
            break
        place = pairs[int(draw.integers(len(pairs)))]
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
        pairs = [other for other in pairs if abs(other - place) > 1]
    return "".join(letters)
