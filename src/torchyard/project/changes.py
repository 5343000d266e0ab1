"""How a behaviour changes a row: one way, in words, as options for whoever does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchyard.core.errors import BadProject
from torchyard.core.record import Json
from torchyard.core.wording import listed
from torchyard.project.needs import need_between, need_numbers, need_texts

EVERY_OPTIONAL = "every optional field"
_MOST_TYPOS = 100
_LARGEST_BLUR = 100.0


@dataclass(frozen=True, kw_only=True)
class Change:
    """A way to change rows: ``short`` in a name, ``says`` in a sentence, what it needs, where."""

    short: str
    says: str
    options: dict[str, Json] = field(default_factory=dict)
    fields: tuple[str, ...] = ()


def one_change(where: str, field: str | None, **given: Any) -> Change:
    """The one change among keyword arguments of a word of the project file.

    Raises:
        BadProject: none or several are given, its field is missing, or its value is out of range.
    """
    ways = {name: value for name, value in given.items() if name in _WAYS and value is not None}
    if len(ways) != 1:
        raise BadProject(
            where=where,
            found=" and ".join(f"{name}=" for name in ways) or "nothing that is changed",
            expected=f"one of {', '.join(f'{name}=' for name in given if name in _WAYS)}",
            remedy="Declare one behaviour for each change.",
        )
    ((name, value),) = ways.items()
    if (field is None) != (name in ("missing", "unit")):
        raise BadProject(
            where=where,
            found=f"{name}= " + ("without a field" if field is None else f"beside '{field}'"),
            expected="the field first, but for missing= and unit=, which name it themselves",
            remedy="For example ty.robust('temp', factor=1.8) or ty.robust(missing='temp').",
        )
    return _WAYS[name](where, field, value, given)


def _shift(where: str, field: Any, by: Any, _: Mapping[str, Any]) -> Change:
    _need_size(where, "change", by)
    return _of(field, f"{by:+g}", f"{field} changes by {by:+g}", "shift", by=float(by))


def _scale(where: str, field: Any, by: Any, _: Mapping[str, Any]) -> Change:
    _need_size(where, "factor", by)
    return _of(field, f"x{by:g}", f"{field} is multiplied by {by:g}", "scale", by=float(by))


def _swap(where: str, field: Any, values: Any, _: Mapping[str, Any]) -> Change:
    texts = need_texts(values, where=where, name="swap")
    if len(texts) < 2 or len(set(texts)) < len(texts) or "" in texts:
        raise BadProject(
            where=where, found=f"swap={list(texts)}", expected="two or more different texts",
            remedy="Each becomes the next one, the last the first.",
        )  # fmt: skip
    told = listed(texts, most=3)
    says = f"{listed(texts, most=5, show=repr)} are exchanged in {field}"
    return _of(field, f"swap {told}", says, "swap", values=list(texts))


def _typos(where: str, field: Any, number: Any, _: Mapping[str, Any]) -> Change:
    need_between(number, 1, _MOST_TYPOS, where=where, name="typos")
    says = f"{number} pair{'s' * (number > 1)} of neighbouring letters of {field} change places"
    return _of(field, f"typos {number}", says, "typos", by=number)


def _noise(where: str, field: Any, deviation: Any, _: Mapping[str, Any]) -> Change:
    _need_within(where, "noise", deviation, 0.0, 10.0)
    return _of(field, f"noise {deviation:g}", f"noise of {deviation:g} is added to {field}",
               "noise", by=float(deviation))  # fmt: skip


def _rotate(where: str, field: Any, degrees: Any, _: Mapping[str, Any]) -> Change:
    _need_within(where, "rotate", degrees, -360.0, 360.0)
    return _of(field, f"rotate {degrees:g}", f"{field} is turned by {degrees:g} degrees",
               "rotate", by=float(degrees))  # fmt: skip


def _brightness(where: str, field: Any, share: Any, _: Mapping[str, Any]) -> Change:
    _need_within(where, "brightness", share, -1.0, 1.0)
    return _of(field, f"brightness {share:+g}", f"the brightness of {field} changes by {share:+g}",
               "brightness", by=float(share))  # fmt: skip


def _blur(where: str, field: Any, radius: Any, _: Mapping[str, Any]) -> Change:
    _need_within(where, "blur", radius, 0.0, _LARGEST_BLUR)
    return _of(field, f"blur {radius:g}", f"{field} is blurred with radius {radius:g}",
               "blur", by=float(radius))  # fmt: skip


def _jpeg(where: str, field: Any, quality: Any, _: Mapping[str, Any]) -> Change:
    need_between(quality, 1, 95, where=where, name="jpeg")
    return _of(field, f"jpeg {quality}", f"{field} is compressed as JPEG of quality {quality}",
               "jpeg", by=quality)  # fmt: skip


def _corruption(where: str, field: Any, name: Any, given: Mapping[str, Any]) -> Change:
    severity = given["severity"]
    return _of(field, f"{name} {severity}", f"{field} is corrupted: {name}, severity {severity}",
               "corruption", by=severity, name=name)  # fmt: skip


def _missing(where: str, _: Any, names: Any, __: Mapping[str, Any]) -> Change:
    fields = need_texts([names] if isinstance(names, str) else names, where=where, name="missing")
    if not fields or len(set(fields)) < len(fields):
        raise BadProject(
            where=where, found=f"missing={list(fields)}", expected="different optional fields",
            remedy=f"Name them, or write missing='{EVERY_OPTIONAL}'.",
        )  # fmt: skip
    told = listed(fields, most=4)
    each = len(fields) > 1 or fields == (EVERY_OPTIONAL,)
    says = f"one of {told} is missing" if len(fields) > 1 else f"{told} is missing"
    says += ", each alone" if each else ""
    if fields == (EVERY_OPTIONAL,):
        return Change(short=f"missing {told}", says=says, options={"change": "missing"})
    return Change(short=f"missing {told}", says=says, options={"change": "missing"}, fields=fields)


def _unit(where: str, _: Any, name: Any, given: Mapping[str, Any]) -> Change:
    need_texts([name], where=where, name="unit")
    sent_in = given["sent_in"]
    other = "another unit" if sent_in is None else sent_in
    short = f"unit {name}" + ("" if sent_in is None else f" in {sent_in}")
    return _of(name, short, f"{name} is sent in {other}", "unit", sent_in=sent_in)


def _of(field: str, short: str, says: str, change: str, **options: Json) -> Change:
    return Change(short=short, says=says, options={"change": change, **options}, fields=(field,))


_WAYS: dict[str, Callable[[str, Any, Any, Mapping[str, Any]], Change]] = {
    "change": _shift,
    "factor": _scale,
    "swap": _swap,
    "typos": _typos,
    "noise": _noise,
    "rotate": _rotate,
    "brightness": _brightness,
    "blur": _blur,
    "jpeg": _jpeg,
    "missing": _missing,
    "unit": _unit,
    "corruption": _corruption,
}


def _need_size(where: str, name: str, value: Any) -> None:
    need_numbers(where, **{name: value})
    if value == (1 if name == "factor" else 0):
        raise BadProject(
            where=where, found=f"{name}={value}", expected="something that changes the field",
            remedy="A row that stays as it is says nothing.",
        )  # fmt: skip


def _need_within(where: str, name: str, value: Any, low: float, high: float) -> None:
    need_numbers(where, **{name: value})
    if not low <= value <= high or value == 0:
        raise BadProject(
            where=where, found=f"{name}={value}",
            expected=f"a number from {low:g} to {high:g}, not 0",
            remedy=f"Choose another {name}.",
        )  # fmt: skip


def need_one_of(where: str, name: str, word: object, known: Sequence[str]) -> None:
    """Refuse a word that is none of some, and name the nearest."""
    from torchyard.core.errors import nearest

    if word not in known:
        raise BadProject(
            where=where, found=f"{name}={word!r}", expected=f"one of {list(known)}",
            remedy=nearest(str(word), known),
        )  # fmt: skip
