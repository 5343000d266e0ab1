"""From what was seen of a column to the field that it looks like, with its rules.

The thresholds are choices, made to err on the side of fewer rules: a rule that is not proposed can
be added by hand, one that is wrong sets good rows aside.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

import polars as pl

from torchyard.data.proposing.evidence import Evidence
from torchyard.records.schema import Field

_EXACT, _LARGEST, _SMALLEST = 2**53, 1e300, 1e-300
_LISTED_VALUES = 50
_ROWS_PER_VALUE = 5
_TEXT_WORDS, _TEXT_CHARACTERS = 3.0, 40.0
_ID_SHARE, _UNIQUE_SHARE = 0.5, 0.97
_FEWEST_FOR_IDS = 30
_LONGEST_ID = 64
_NUMBER_IDS = ("id", "key", "number", "code", "uuid", "index", "no")
_WORDS = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"})


def infer_field(name: str, seen: Evidence) -> tuple[Field | None, list[str]]:
    """The field, and notes on it; no field where the column fits no kind."""
    if not seen.present:
        return None, ["holds no value at all: left out"]
    optional = seen.missing > 0
    dtype = seen.dtype
    if dtype == pl.String:
        return _of_texts(name, seen, optional)
    if dtype == pl.Boolean:
        return Field(name=name, kind="boolean", optional=optional), []
    if dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None):
        return Field(name=name, kind="timestamp", optional=optional), []
    if dtype.is_numeric():
        return _of_numbers(name, seen, optional)
    if dtype == pl.Binary and seen.are_pictures:
        return Field(name=name, kind="image", optional=optional), []
    if _is_image_struct(dtype):
        return Field(name=name, kind="image", optional=optional), []
    if isinstance(dtype, (pl.List, pl.Array)) and seen.shape and seen.are_one_shape:
        return _of_lists(name, seen, optional)
    return None, [_left_out(seen)]


def in_order(values: Iterable[object]) -> list[str]:
    """Texts by name, but numbers by size.

    Example:
        >>> in_order(["10", "9", "x"])
        ['9', '10', 'x']
    """
    texts = [str(value) for value in values]
    return sorted(texts, key=lambda t: (0, int(t), t) if _is_digits(t) else (1, 0, t))


def still_holds(field: Field, seen: Evidence) -> bool:
    """Whether more values of a column are of its field's kind."""
    if not seen.present:
        return True
    if field.kind == "timestamp" and seen.dtype == pl.String:
        return seen.are_times
    if field.kind == "image" and seen.dtype == pl.String:
        return seen.are_paths
    if field.kind == "image" and seen.dtype == pl.Binary:
        return seen.are_pictures
    if field.kind == "integer":
        return seen.are_whole and not _is_beyond_exact(seen)
    if field.kind == "tensor":
        return seen.are_one_shape and seen.shape == field.shape
    return True


def are_marked_numbers(seen: Evidence) -> bool:
    """Whether texts are numbers but for marks such as NA, or but for one in a hundred."""
    others = seen.present - seen.numbers
    rare = max(seen.marks, seen.present / 100)
    return seen.dtype == pl.String and seen.numbers > 0 and 0 < others <= rare


def may_be_unique(field: Field, seen: Evidence) -> bool:
    """Whether it is worth counting exactly if values repeat."""
    some = seen.present >= _FEWEST_FOR_IDS
    return some and field.kind == "id" and seen.distinct.estimate() >= _UNIQUE_SHARE * seen.present


def round_up(length: int) -> int:
    """A longest length with half as much room again, as a round number.

    Example:
        >>> round_up(7), round_up(280)
        (10, 500)
    """
    room = max(int(length * 1.5), 10)
    step = int(10 ** floor(log10(room)))
    return -(-room // step) * step


def outward(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Bounds that sensible people would write around what was seen: a tenth wider, and round.

    Example:
        >>> outward(12.3, 987.6, whole=False)
        (0.0, 1100.0)
    """
    if low >= 0 and high <= 1 and not whole:
        return 0.0, 1.0
    if low >= 0 and 90 < high <= 100:
        return 0.0, 100.0
    span = high - low or abs(high) or 1.0
    step = max(10.0 ** floor(log10(span)), _SMALLEST)
    step = step / 2 if span < 3 * step else step
    if whole:
        step = max(step, 1.0)
    least, most = floor((low - span / 10) / step), -floor(-(high + span / 10) / step)
    digits = max(0, 1 - floor(log10(step)))
    bound = min(round(least * step, digits), low)
    top = max(round(most * step, digits), high)
    return (0.0 if low >= 0 > bound else bound) + 0.0, top + 0.0


def _of_numbers(name: str, seen: Evidence, optional: bool) -> tuple[Field, list[str]]:
    notes: list[str] = []
    if seen.dtype.is_integer() and (_is_beyond_exact(seen) or _names_entity(name, seen)):
        return Field(name=name, kind="id", optional=optional), ["whole numbers that name something"]
    gaps = seen.dtype.is_float() and optional and not _is_beyond_exact(seen)
    if not (seen.dtype.is_integer() or gaps) or not seen.are_whole or seen.minimum is None:
        low, high = _bounds(seen, whole=False)
        return Field(name=name, kind="number", optional=optional, ge=low, le=high), notes
    counts = seen.counts or {}
    if set(counts) == {0, 1}:
        notes.append(
            "only 0 and 1: if they mean false and true, convert them and declare ty.boolean() "
            "(which reads 0 and 1 in CSV as they are)"
        )
    elif 1 < len(counts) <= 20:
        notes.append(f"only {len(counts)} different whole numbers: codes are better as category")
    tight = _are_all_of_a_range(seen)
    low, high = (seen.minimum, seen.maximum) if tight else _bounds(seen, whole=True)
    return Field(name=name, kind="integer", optional=optional, ge=low, le=high), notes


def _bounds(seen: Evidence, *, whole: bool) -> tuple[float | None, float | None]:
    if seen.minimum is None or seen.maximum is None or seen.minimum == seen.maximum:
        return None, None
    if max(abs(seen.minimum), abs(seen.maximum)) > _LARGEST:
        return None, None
    return outward(seen.minimum, seen.maximum, whole=whole)


def _are_all_of_a_range(seen: Evidence) -> bool:
    """Months, weekdays, grades: every whole number between two occurs, and often."""
    if seen.counts is None or seen.minimum is None or seen.maximum is None:
        return False
    span = int(seen.maximum - seen.minimum) + 1
    return span > 1 and len(seen.counts) == span and seen.present >= 20 * span


def _is_beyond_exact(seen: Evidence) -> bool:
    return max(abs(seen.minimum or 0), abs(seen.maximum or 0)) > _EXACT


def _names_entity(name: str, seen: Evidence) -> bool:
    word = name.lower().replace("-", "_").rpartition("_")[2]
    named = word in _NUMBER_IDS or name.endswith("Id")
    return named and seen.distinct.estimate() >= _ID_SHARE * seen.present >= _FEWEST_FOR_IDS / 2


def _of_lists(name: str, seen: Evidence, optional: bool) -> tuple[Field | None, list[str]]:
    if optional:
        return None, ["lists of numbers, some missing: a tensor never is; left out"]
    dtype = seen.dtype
    while isinstance(dtype, (pl.List, pl.Array)):
        dtype = dtype.inner  # type: ignore[assignment]
    element = "int64" if dtype.is_integer() else "float32"
    shape = seen.shape or ()
    return Field(name=name, kind="tensor", shape=shape, dtype=element), []  # type: ignore[arg-type]


def _is_image_struct(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Struct) and {f.name for f in dtype.fields} == {"bytes", "path"}


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _left_out(seen: Evidence) -> str:
    dtype = seen.dtype
    if isinstance(dtype, pl.Datetime):
        return f"times of the zone {dtype.time_zone}: convert them to local ones; left out"
    if dtype == pl.Binary:
        return "bytes that are no picture: left out"
    if isinstance(dtype, (pl.List, pl.Array)):
        return "lists of different lengths, or not of numbers: left out"
    return f"{dtype} values, which fit no kind of field: left out"


def _of_texts(name: str, seen: Evidence, optional: bool) -> tuple[Field, list[str]]:
    if seen.are_times:
        return Field(name=name, kind="timestamp", optional=optional), []
    if seen.are_paths:
        notes = ["paths of pictures, relative to the table"]
        return Field(name=name, kind="image", optional=optional), notes
    different, counts = seen.distinct.estimate(), seen.counts
    values = in_order(counts or {})
    if are_marked_numbers(seen):
        return Field(name=name, kind="category", optional=optional), []
    if {value.lower() for value in values} in _WORDS:
        note = "true and false as words: ty.boolean() reads yes, no, true and false in CSV"
        return _category(name, values, optional), [note]
    if seen.present >= _FEWEST_FOR_IDS and _looks_like_ids(seen, different):
        pattern = seen.shapes.pattern
        return Field(name=name, kind="id", optional=optional, pattern=pattern), []
    repeated = seen.present >= _ROWS_PER_VALUE * different
    if counts is not None and different <= _LISTED_VALUES and repeated:
        return _category(name, values, optional), []
    many = different > _ID_SHARE * seen.present and seen.present >= _FEWEST_FOR_IDS
    if many or _is_prose(seen):
        longest = round_up(seen.longest)
        return Field(name=name, kind="text", optional=optional, max_length=longest), []
    pattern = seen.shapes.pattern
    most = round_up(seen.longest) if pattern is None else None
    return Field(
        name=name, kind="category", optional=optional, pattern=pattern, max_length=most
    ), []


def _category(name: str, values: list[str], optional: bool) -> Field:
    return Field(name=name, kind="category", optional=optional, values=tuple(values))


def _looks_like_ids(seen: Evidence, different: int) -> bool:
    """Mostly different, and one word each: of a regular shape, or nearly all different."""
    single = seen.words == seen.present and seen.longest <= _LONGEST_ID
    regular = seen.shapes.pattern is not None and different > _ID_SHARE * seen.present
    return single and (regular or different >= _UNIQUE_SHARE * seen.present)


def _is_prose(seen: Evidence) -> bool:
    words, characters = seen.words / seen.present, seen.characters / seen.present
    return words >= _TEXT_WORDS or characters > _TEXT_CHARACTERS
