r"""Columns that look personal, by their names and by what their values look like.

A guess, and one that errs on the side of privacy: what it marks can be opened by hand, what is
printed cannot be taken back. Names of persons are known by the column's name alone, and what stands
inside of longer texts is not looked for. Of a column that looks personal nothing is proposed that
would tell its values: neither lists, nor patterns, nor bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from torchyard.records.schema import Field

_ROAD = (
    r"street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|way|court|square|stra(?:ß|ss)e|"
    r"str|weg|platz|allee|gasse|rue|via|calle|plaza"
)
_SHORT = ".{0,60}"
# the first that most values match
_FORMS = {
    "e-mail address": r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    "network address": r"^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$",
    "identity number": r"^(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}"
    r"(?: ?[A-Z0-9]{1,3})?|[0-9]{4}(?:[ -][0-9]{4}){3})$",
    "phone number": r"^(?:\+[0-9]{8,15}|[+(]?[0-9]{1,5}(?:[ ()/.-]{1,2}[0-9]{2,5}){2,})$",
    "postal address": rf"(?i)^[0-9]+[a-z]?,? {_SHORT}\b(?:{_ROAD})\b|"
    rf"^\S{_SHORT}(?:{_ROAD})\.? [0-9]+\b",
}
_DATE = r"^(?:[0-9]{4}[./-][0-9]{1,2}[./-]|[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{2})?)[0-9]{1,2}$"
_WHOSE = (
    r"full|first|last|middle|sur|fore|given|family|maiden|nick|legal|user|person|contact|customer|"
    r"client|patient|employee|member|student|guest|owner|holder|author|sender|recipient"
)
_NAMES = {
    "e-mail address": r"(?:^|_)e_?mail(?:_?addr(?:ess)?)?$",
    "phone number": r"(?:^|_)(?:tele|cell|mobile)?_?(?:phone|mobile|tel|fax)"
    r"(?:_?(?:no|nr|number))?$",
    "network address": r"(?:^|_)ip$|(?:^|_)(?:ip|mac)_?addr(?:ess)?$",
    "name": rf"^(?:(?:{_WHOSE})_?)*names?$",
    "postal address": r"(?:^|_)(?:addr(?:ess)?|street)(?:$|_)|(?:^|_)zip(?:$|_?code)|"
    r"post(?:al)?_?code",
    "date of birth": r"birth_?(?:date|day|year|place)?$|of_?birth$|(?:^|_)dob$",
    "identity number": r"(?:^|_)(?:ssn|iban)(?:$|_)|social_?security|passport|"
    r"national_?(?:id|insurance)|tax_?(?:id|number)|driv(?:er|ing)s?_?licen[cs]e|"
    r"(?:^|_)(?:identity|id|credit)_?card(?:$|_)|(?:^|_)(?:id|card|account)_?number$",
}
_PLACE = r"latitude|longitude|^lat$|^lon$|^lng$"
_FLAGS = r"^(?:is|has|was)_"
_SNAKE = r"(?<=[a-z])(?=[A-Z])|[\s-]+"


def count_forms(texts: pl.Series) -> dict[str, int]:
    """How many of some texts look like an address, a number of a person, and so on, by word.

    Example:
        >>> count_forms(pl.Series(["ada@example.org", "n/a"]))["e-mail address"]
        1
    """
    are_dates = texts.str.contains(_DATE)
    found = {word: texts.str.contains(form) for word, form in _FORMS.items()}
    return {word: int((matches & ~are_dates).sum()) for word, matches in found.items()}


def what_is_personal(name: str, kind: str, forms: Mapping[str, int], present: int) -> str | None:
    """What a column says of a person; None where it does not look personal.

    Args:
        name: of the column.
        kind: of its field.
        forms: what ``count_forms`` found among its values.
        present: how many values there were.

    Example:
        >>> what_is_personal("lastName", "text", {}, 9), what_is_personal("carrier", "text", {}, 9)
        ('name', None)
    """
    snake = _snake(name)
    if kind == "boolean" or re.search(_FLAGS, snake):
        return None
    if kind in ("id", "category", "text"):
        for word, count in forms.items():
            if count > present / 2:
                return word
    return next((word for word, form in _NAMES.items() if re.search(form, snake)), None)


def is_place(name: str) -> bool:
    """Whether a column is called as a coordinate, which may be that of a home or of a station."""
    return re.search(_PLACE, _snake(name)) is not None


def withheld(field: Field) -> Field:
    """The field as a personal one, without the rules that would tell its values."""
    return replace(field, personal=True, values=(), pattern=None, ge=None, le=None)


def _snake(name: str) -> str:
    return re.sub(_SNAKE, "_", name).lower()
