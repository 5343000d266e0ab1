"""What a project asks of its rows beyond the schema: rules over several fields, and of the table.

These are declarations; ``check`` holds rows against them. Importing this loads no library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchyard.core.errors import BadProject

if TYPE_CHECKING:
    import polars as pl

    Predicate = Callable[[pl.DataFrame], pl.Series | pl.Expr]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A user's rule: rows where ``check`` says false break it (missing counts as kept)."""

    name: str
    check: Predicate
    fields: tuple[str, ...]
    required: bool
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What must hold for a dataset version to be trained on.

    Attributes:
        rules: the user's rules; rows that break a required one are set aside.
        unique: sets of fields whose values together occur once; later repeats are set aside.
        fresh: a timestamp field whose newest value must be recent.
        fresh_within_days: how recent, in days before now.
        quarantine_at_most: the largest share of rows that may be set aside, 0 to 1.
        predicts_alone_at_most: the largest AUROC that one field alone may reach on the label before
            it is reported as a leak, 0.5 to 1.
        leaks: whether leaks stop training or are only reported.
    """

    rules: tuple[Rule, ...] | list[Rule] = ()
    unique: tuple[tuple[str, ...], ...] | list[tuple[str, ...]] = ()
    fresh: str | None = None
    fresh_within_days: float = 30.0
    quarantine_at_most: float = 0.05
    predicts_alone_at_most: float = 0.98
    leaks: str = "fail"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "unique", tuple(_together(names) for names in self.unique))
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise BadProject(
                where="ty.Checks(...)",
                found=f"two rules of one name among {', '.join(names)}",
                expected="rules that a finding can name",
                remedy="Give each ty.rule a name of its own.",
            )
        for name, value, low in (
            ("quarantine_at_most", self.quarantine_at_most, 0.0),
            ("predicts_alone_at_most", self.predicts_alone_at_most, 0.5),
        ):
            if not low <= value <= 1:
                raise BadProject(
                    where="ty.Checks(...)",
                    found=f"{name}={value}",
                    expected=f"a number from {low:g} to 1",
                    remedy="Leave it out for the default.",
                )
        if self.leaks not in ("fail", "warn"):
            raise BadProject(
                where="ty.Checks(...)",
                found=f"leaks={self.leaks!r}",
                expected="'fail' or 'warn'",
                remedy="Leave it out to refuse training on data that leaks.",
            )


def _together(names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise BadProject(
            where="ty.Checks(...)",
            found=f"unique=[{names!r}]",
            expected="sets of one field or more",
            remedy="For example unique=[('tail_number', 'departs')].",
        )
    return tuple(names)


def rule(
    name: str,
    check: Predicate,
    *,
    fields: Sequence[str] = (),
    required: bool = True,
    meaning: str = "The project's own rule.",
) -> Rule:
    """A rule over rows, for example between two fields.

    Args:
        name: what a row that breaks it does, as in "arrives before it departs".
        check: takes a frame with the schema's fields and the label; returns a boolean series or
            polars expression, true where a row is fine. It must look at each row alone: it sees
            the data in chunks.
        fields: what the rule is about, for the report.
        required: False reports and keeps the rows.
        meaning: one sentence: what a broken row tells.

    Example:
        >>> rule("arrives before it departs", lambda rows: rows["arrives"] >= rows["departs"],
        ...      fields=("departs", "arrives")).required
        True
    """
    return Rule(name=name, check=check, fields=tuple(fields), required=required, meaning=meaning)
