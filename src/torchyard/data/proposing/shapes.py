"""The shape of short texts: what codes such as ``N123AB`` have in common, as a pattern.

A shape writes every capital as A, every small letter as a and every digit as 9. Runs of one kind
collapse into a skeleton, so that codes of different lengths share one. The idea is that of
potter's wheel and of spreadsheet column profilers; letters beyond a-z have no shape.
"""

from __future__ import annotations

import re
from itertools import groupby, takewhile

import polars as pl

MOST_SHAPES = 200
_MOST_SKELETONS = 3
_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": r"\d"}


class Shapes:
    r"""The shapes of texts, chunk by chunk, until there are too many to be a code.

    Example:
        >>> shapes = Shapes()
        >>> shapes.see(pl.Series(["N123AB", "N4567C"]))
        >>> shapes.pattern
        'N\\d{3,4}[A-Z]{1,2}'
    """

    def __init__(self) -> None:
        self._shapes: set[str] | None = set()
        self._prefix: str | None = None

    def see(self, values: pl.Series) -> None:
        """Add texts, none missing."""
        if self._shapes is None or values.is_empty():
            return
        different = values.unique()
        for value in (str(different.min()), str(different.max())):
            self._prefix = value if self._prefix is None else _common_start(self._prefix, value)
        shaped = (
            different.str.replace_all("[A-Z]", "A")
            .str.replace_all("[a-z]", "a")
            .str.replace_all("[0-9]", "9")
        )
        self._shapes |= set(shaped.unique())
        if len(self._shapes) > MOST_SHAPES:
            self._shapes = None

    def merge(self, other: Shapes) -> None:
        """Add what another one has seen."""
        if self._shapes is None or other._shapes is None:
            self._shapes = None
            return
        self._shapes |= other._shapes
        if self._prefix is None or other._prefix is None:
            self._prefix = self._prefix or other._prefix
        else:
            self._prefix = _common_start(self._prefix, other._prefix)

    @property
    def pattern(self) -> str | None:
        """A regular expression that all of them match; None where they have no regular shape."""
        if not self._shapes or not all(_is_regular(shape) for shape in self._shapes):
            return None
        fixed = re.match(r"[^0-9]*", self._prefix or "")
        prefix = "" if fixed is None else fixed.group()
        skeletons: dict[str, list[list[int]]] = {}
        for shape in sorted(self._shapes):
            runs = [(sign, len(list(run))) for sign, run in groupby(shape[len(prefix) :])]
            skeleton = "".join(sign for sign, _ in runs)
            skeletons.setdefault(skeleton, []).append([length for _, length in runs])
        if len(skeletons) > _MOST_SKELETONS:
            return None
        bodies = [_body(skeleton, lengths) for skeleton, lengths in skeletons.items()]
        body = bodies[0] if len(bodies) == 1 else f"(?:{'|'.join(bodies)})"
        return _literal(prefix) + body


def _common_start(a: str, b: str) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    return "".join(sign for sign, _ in pairs)


def _is_regular(shape: str) -> bool:
    """Short, with a digit, and of plain signs alone: words and sentences have no shape."""
    return len(shape) <= 40 and "9" in shape and re.fullmatch(r"[Aa9._:/+#-]+", shape) is not None


def _literal(text: str) -> str:
    """Escaped as little as a pattern needs."""
    return re.escape(text).replace(r"\-", "-").replace(r"\#", "#")


def _body(skeleton: str, lengths: list[list[int]]) -> str:
    parts = []
    for place, sign in enumerate(skeleton):
        counts = [some[place] for some in lengths]
        least, most = min(counts), max(counts)
        size = f"{{{least}}}" if least == most else f"{{{least},{most}}}"
        parts.append(_CLASSES.get(sign, _literal(sign)) + ("" if least == most == 1 else size))
    return "".join(parts)
