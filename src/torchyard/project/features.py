"""The features of a project file: tensors by name, and transforms of times, texts and pictures."""

from __future__ import annotations

import dataclasses
import json
import keyword
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from torchyard.core.errors import BadProject
from torchyard.project.needs import (
    Numbers,
    list_of_numbers,
    need_at_least,
    need_at_most,
    need_between,
    need_parts,
    need_types,
    numeric,
)
from torchyard.records.sizes import LARGEST_TOKENIZER_BYTES, MOST_CODES, MOST_TOKENS, MOST_VALUES
from torchyard.records.training import Transform

if TYPE_CHECKING:
    from torch import nn

TIME_PARTS = ("hour", "weekday", "month")


class FeatureSet(Sequence[Transform]):
    """The declared features in order; ``modules`` holds those of ``ty.custom`` by output."""

    def __init__(
        self, transforms: Sequence[Transform] = (), modules: Mapping[str, nn.Module] | None = None
    ) -> None:
        self._transforms = tuple(transforms)
        self.modules = dict(modules or {})

    @overload
    def __getitem__(self, place: int) -> Transform: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Transform]: ...
    def __getitem__(self, place: int | slice) -> Transform | Sequence[Transform]:
        return self._transforms[place]

    def __len__(self) -> int:
        return len(self._transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self._transforms)


@dataclasses.dataclass(frozen=True)
class Custom:
    """A user's module as a transform, until ``Features`` gives it its name."""

    transform: Transform
    module: nn.Module


def Features(**transforms: Transform | Custom) -> FeatureSet:  # noqa: N802 - see Schema
    """The tensors a model takes, by the name of ``forward``'s parameter.

    Example:
        >>> from torchyard.project import lookup, standardize
        >>> features = Features(numbers=standardize("distance"), carrier=lookup("carrier"))
        >>> [transform.output for transform in features]
        ['numbers', 'carrier']

    Raises:
        BadProject: a name cannot be a parameter's, or something is no transform or holds values of
            other types than it takes.
    """
    named = []
    for name, item in transforms.items():
        _check_feature(name, item)
        plain = item.transform if isinstance(item, Custom) else item
        named.append(need_types(dataclasses.replace(plain, output=name), where=f"features: {name}"))
    return FeatureSet(
        named, {name: item.module for name, item in transforms.items() if isinstance(item, Custom)}
    )


def cyclic_time(field: str, *parts: Literal["hour", "weekday", "month"]) -> Transform:
    """Points on a circle for recurring times, so that 23:59 lies next to 00:00.

    Makes ``float32 [rows, 2 * parts]``: cosine and sine per part, at the resolution of a minute
    (``hour``), a day (``weekday``) or a month (``month``); all 0 where the time is missing.
    """
    need_parts(f"ty.cyclic_time({field!r}, ...)", parts, TIME_PARTS)
    return Transform(
        output="", operation="cyclic_time", inputs=(field,), options={"parts": list(parts)}
    )


def tokenize(
    field: str, *, length: int, vocabulary: int | None = None, file: str | Path | None = None
) -> Transform:
    """Text as token numbers, cut and padded to ``length``.

    Makes ``int64 [rows, length]``; padding has a number of its own (0 for a learnt vocabulary, the
    file's own otherwise). A missing or empty text is all padding for a learnt vocabulary, and what
    the file makes of an empty text otherwise. It runs as a host step.

    Args:
        field: a text field.
        length: tokens per row, special ones included; 1 to 131,072.
        vocabulary: learn the most frequent so many lower-cased words of the training split, 1 to
            100,000,000: 0 padding, 1 unknown, from 2 on the words ...
        file: ... or use a Hugging Face ``tokenizers`` file (``tokenizer.json``), at most 64 MiB.

    Raises:
        BadProject: not exactly one of ``vocabulary`` and ``file`` is given, the file is absent or
            too large, or a number is out of its range.
    """
    where = f"ty.tokenize({field!r}, ...)"
    need_between(length, 1, MOST_TOKENS, where=where, name="length")
    if (vocabulary is None) == (file is None):
        raise BadProject(
            where=where,
            found=f"vocabulary={vocabulary}, file={file}",
            expected="one of the two",
            remedy="For example vocabulary=10_000.",
        )
    if vocabulary is not None:
        need_between(vocabulary, 1, MOST_CODES, where=where, name="vocabulary")
    content = None if file is None else _read_tokenizer(Path(file), where)
    return Transform(
        output="", operation="tokenize", inputs=(field,),
        options={"length": length, "vocabulary": vocabulary, "tokenizer": content},
    )  # fmt: skip


def pixels(
    field: str,
    *,
    size: tuple[int, int],
    channels: Literal[1, 3] = 3,
    resize: Literal["stretch", "crop", "pad"] = "stretch",
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
) -> Transform:
    """A picture as ``float32 [rows, channels, height, width]``, normalized per channel.

    Decoding and resizing run as a host step; scaling to 0..1 and normalizing are part of the graph.
    A missing picture becomes all 0 after normalizing, and so does, where the field is optional, one
    that is black all over. Pictures are turned as their EXIF data says; what is transparent in them
    is white.

    Args:
        field: an image field.
        size: height and width in pixels; times the channels at most 16,777,216.
        channels: 1 for grey, 3 for red, green and blue.
        resize: ``stretch`` to the size; ``crop`` the middle, or ``pad`` with black, to keep the
            proportions.
        mean: per channel, in 0..1; the training split's when left out.
        deviation: per channel; the training split's when left out.

    Raises:
        BadProject: sizes, channels or statistics that do not fit each other.
    """
    where = f"ty.pixels({field!r}, ...)"
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise BadProject(
            where=where,
            found=f"size={size!r}",
            expected="a height and a width in pixels",
            remedy="For example size=(28, 28).",
        )
    for number, name in zip(size, ("height", "width"), strict=True):
        need_at_least(number, 1, where=where, name=name)
    need_at_least(channels, 1, where=where, name="channels")
    if channels not in (1, 3) or resize not in ("stretch", "crop", "pad"):
        raise BadProject(
            where=where,
            found=f"channels={channels}, resize={resize!r}",
            expected="1 or 3 channels; resize 'stretch', 'crop' or 'pad'",
            remedy="Leave them out for 3 channels and 'stretch'.",
        )
    need_at_most(
        math.prod(size) * channels, MOST_VALUES, where=where, name="height * width * channels"
    )
    return Transform(
        output="", operation="pixels", inputs=(field,),
        options={
            "size": list(size), "channels": channels, "resize": resize,
            "mean": _statistics(mean, channels, where=where, name="mean"),
            "deviation": _statistics(deviation, channels, where=where, name="deviation"),
        },
    )  # fmt: skip


def passthrough(field: str) -> Transform:
    """A tensor field as it is: ``dtype [rows, *shape]``."""
    return Transform(output="", operation="passthrough", inputs=(field,))


def custom(module: nn.Module, *inputs: Numbers) -> Custom:
    """Your own module over numbers, exported into the feature graph with its weights.

    It takes ``float32 [rows, width]``, what ``ty.numbers(*inputs)`` makes, and returns ``float32
    [rows, any]``. Only what gives a row the same bits in every batch is accepted: element-wise
    arithmetic, comparisons, look-ups. Matrix products belong into the model.

    Raises:
        BadProject: it is a class, or no module.
    """
    if isinstance(module, type) or not hasattr(module, "state_dict"):
        raise BadProject(
            where="ty.custom(...)",
            found=f"the class {module.__name__}" if isinstance(module, type) else repr(module),
            expected="an nn.Module, made",
            remedy="For example ty.custom(Ratio(), 'fare', 'distance').",
        )
    transform = numeric("custom", inputs, module=type(module).__qualname__)
    return Custom(transform, module)


def _check_feature(name: str, item: object) -> None:
    """Refuse what is no transform, and a name that no parameter of ``forward`` can have."""
    if not name.isidentifier() or keyword.iskeyword(name) or name == "self":
        raise BadProject(
            where="ty.Features(...)",
            found=f"a tensor named '{name}'",
            expected="a name that a parameter of forward can have",
            remedy="Use letters, digits and underscores, and no word of Python.",
        )
    if not isinstance(item, (Transform, Custom)):
        raise BadProject(
            where=f"ty.Features(..., {name}=)",
            found=repr(item),
            expected="a transform",
            remedy=f"For example {name}=ty.standardize('distance').",
        )


def _read_tokenizer(file: Path, where: str) -> str:
    """The text of a ``tokenizers`` file, as far as it can be told without that library."""
    try:
        need_at_most(
            file.stat().st_size, LARGEST_TOKENIZER_BYTES, where=where, name="bytes of file"
        )
        content = file.read_text(encoding="utf-8")
        json.loads(content)
    except (OSError, ValueError, RecursionError) as error:  # not there, not UTF-8, not JSON
        raise BadProject(
            where=where,
            found=f"{file}: {error}",
            expected="a tokenizers file",
            remedy="Give the path of a tokenizer.json.",
        ) from error
    return content


def _statistics(
    given: Sequence[float] | None, channels: int, *, where: str, name: str
) -> list[float] | None:
    """Means or deviations per channel; None where they are to be learnt."""
    if given is None:
        return None
    values = list_of_numbers(given, where=where, name=name)
    if len(values) != channels or (name == "deviation" and min(values) <= 0):
        raise BadProject(
            where=where,
            found=f"{name}={values} for {channels} channels",
            expected="one number per channel, deviations above 0",
            remedy="Leave it out to learn it from the training split.",
        )
    return values
