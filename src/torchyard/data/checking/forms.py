"""Patterns of one form, such as ``[A-Z]{2}[0-9]{6}``: a range of ASCII characters at each place.

Codes and ids mostly have one. Arrow keeps a text of up to 12 bytes in its 16-byte view (a length,
the bytes, padding; "Variable-size Binary View Layout" of the columnar format), so all values are
held against the form as one run of bytes: ten times faster than an automaton per value. What the
pattern means is said by the regular expression alone; this must agree with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

Array = np.ndarray[Any, np.dtype[Any]]
_VIEW, _HEAD = 16, 4  # bytes of a view, and of the length at its front
_BLOCK = 1 << 14  # views compared at a time: they stay in the cache
_PLACE = re.compile(
    r"(?:(?P<plain>[A-Za-z0-9_ /:@#=,;!-])"
    r"|\\(?P<escaped>[.+*?()|\[\]{}^$/-])"
    r"|\[(?P<low>[A-Za-z0-9])(?:-(?P<high>[A-Za-z0-9]))?\])"
    r"(?:\{(?P<times>[0-9]{1,2})\})?"
)


def form_breaker(pattern: str) -> Callable[[pl.Series], pl.Series] | None:
    """What finds the values that a pattern does not match as a whole, if it is of one form.

    Args:
        pattern: a regular expression; None is given back where it is more than single characters
            and single ranges in a row, or longer than 12 of them.

    Returns:
        From texts to Boolean ``[rows]``, true where one does not match; anything where one is
        missing.

    Example:
        >>> form_breaker("[A-Z][0-9]{2}")(pl.Series(["A17", "A1", "a17"])).to_list()
        [False, True, True]
        >>> form_breaker("[A-Z]+") is None
        True
    """
    places = _places(pattern)
    if places is None or not 0 < len(places) <= _VIEW - _HEAD:
        return None
    low, span = np.zeros(_VIEW, np.uint8), np.full(_VIEW, 255, np.uint8)
    low[:_HEAD], span[:_HEAD] = np.array([len(places)], np.uint32).view(np.uint8), 0
    for place, (first, last) in enumerate(places, _HEAD):
        low[place], span[place] = first, last - first
    lows, spans = np.tile(low, _BLOCK), np.tile(span, _BLOCK)
    return lambda texts: pl.Series(_outside(_views(texts), lows, spans))


def _places(pattern: str) -> list[tuple[int, int]] | None:
    """The first and the last character code allowed at each place."""
    places: list[tuple[int, int]] = []
    end = 0
    while end < len(pattern):
        found = _PLACE.match(pattern, end)
        if found is None:
            return None
        low = ord(found["plain"] or found["escaped"] or found["low"])
        high = ord(found["high"] or chr(low))
        if high < low:
            return None
        places += [(low, high)] * int(found["times"] or 1)
        end = found.end()
    return places


def _views(texts: pl.Series) -> Array:
    """The views of a column, ``uint8 [16 x rows]``; nothing is copied if it lies in one piece."""
    views = texts.to_arrow(compat_level=pl.CompatLevel.newest()).cast(pa.string_view())
    held = np.frombuffer(views.buffers()[1], np.uint8)
    return held[_VIEW * views.offset : _VIEW * (views.offset + len(views))]


def _outside(views: Array, lows: Array, spans: Array) -> Array:
    """Which views have a byte out of its range, ``bool [rows]``."""
    found = np.empty(len(views) // _VIEW, dtype=bool)
    above, out = np.empty(len(lows), np.uint8), np.empty(len(lows), dtype=bool)
    for start in range(0, len(found), _BLOCK):
        block = views[_VIEW * start : _VIEW * (start + _BLOCK)]
        size = len(block)
        # below the range it wraps around to large numbers: one comparison instead of two
        np.subtract(block, lows[:size], out=above[:size])
        np.greater(above[:size], spans[:size], out=out[:size])
        halves = out[:size].view(np.uint64)
        np.not_equal(halves[::2] | halves[1::2], 0, out=found[start : start + _BLOCK])
    return found
