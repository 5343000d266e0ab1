"""The words of a project file for what is predicted and how rows are parted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from torchyard.core.errors import BadProject
from torchyard.project.needs import need_numbers, need_texts, need_types
from torchyard.records.dataset import SplitRule
from torchyard.records.schema import FIELD_NAME, OperatingRule, Task, may_be_named


def binary_classification(
    label: str,
    *,
    classes: tuple[str, str] | None = None,
    threshold: float | OperatingRule = 0.5,
) -> Task:
    """Predict a boolean column.

    Args:
        label: the boolean column of the data; rows where it is missing are not trained on.
        classes: what answers call its false and its true value; ``("not <label>", "<label>")``
            when left out.
        threshold: the calibrated probability from which the answer is the second class; or how it
            is chosen on the validation rows: ``ty.cheapest(...)`` or ``ty.best(...)``.

    Raises:
        BadProject: the threshold is not between 0 and 1, or the classes are not two names.

    Example:
        >>> binary_classification("late", threshold=0.3).classes
        ('not late', 'late')
    """
    where = "ty.binary_classification(...)"
    _check_label(label, where)
    operating = threshold if isinstance(threshold, OperatingRule) else None
    fixed = 0.5 if isinstance(threshold, OperatingRule) else threshold
    _check_threshold(fixed, where, or_rule=", ty.cheapest(...) or ty.best(...)")
    given = (f"not {label}", label) if classes is None else classes
    names = need_texts(given, where=where, name="classes")
    if len(names) != 2 or names[0] == names[1] or "" in names:
        raise BadProject(
            where=where,
            found=f"classes={names}",
            expected="two different names, not empty",
            remedy="Name the false class first, then the true one.",
        )
    return Task(
        kind="binary_classification", label=label, classes=names, threshold=fixed,
        operating=operating,
    )  # fmt: skip


def multiclass_classification(label: str, *, classes: Sequence[str]) -> Task:
    """Predict which one of three or more classes a row belongs to.

    Args:
        label: a column of texts or whole numbers that, as text, are among ``classes``; rows where
            it is missing are not trained on.
        classes: in the order of the model's logits.

    Raises:
        BadProject: fewer than three classes, one is no text (numbers are written as texts:
            ``["0", "1", "2"]``), or is empty or repeated.

    Example:
        >>> multiclass_classification("species", classes=["cat", "dog", "owl"]).classes
        ('cat', 'dog', 'owl')
    """
    where = "ty.multiclass_classification(...)"
    _check_label(label, where)
    names = need_texts(classes, where=where, name="classes")
    if len(names) < 3 or len(set(names)) != len(names) or "" in names:
        raise BadProject(
            where=where,
            found=f"classes={list(names)}",
            expected="three or more different, non-empty names",
            remedy="For two classes use ty.binary_classification.",
        )
    return Task(kind="multiclass_classification", label=label, classes=names)


def multilabel_classification(
    label: str, *, classes: Sequence[str], threshold: float = 0.5, separator: str = "|"
) -> Task:
    """Predict which of some classes a row has: any number of them, or none.

    Args:
        label: a column of texts, each the names of a row's classes joined by ``separator``, in any
            order, or of lists of texts. The empty text, one that holds only separators and the
            empty list mean none of them (an empty cell of a CSV file is missing: write the
            separator there). Rows where it is missing are not trained on.
        classes: in the order of the model's logits.
        threshold: the calibrated probability from which a row is answered with a class.
        separator: a text that no class contains.

    Raises:
        BadProject: fewer than two classes, one is no text, empty, repeated, has the separator in it
            or blanks around it; the threshold is not between 0 and 1; the separator is empty.

    Example:
        >>> task = multilabel_classification("topics", classes=["sport", "politics", "money"])
        >>> task.outputs
        ('sport', 'politics', 'money')
    """
    where = "ty.multilabel_classification(...)"
    _check_label(label, where)
    _check_threshold(threshold, where)
    if not isinstance(separator, str) or not separator.strip():
        raise BadProject(
            where=where,
            found=f"separator={separator!r}",
            expected="a text that stands between the classes of a row, and is not blank",
            remedy="Leave it out for '|'.",
        )
    names = need_texts(classes, where=where, name="classes")
    if len(names) < 2 or len(set(names)) != len(names) or "" in names:
        raise BadProject(
            where=where,
            found=f"classes={list(names)}",
            expected="two or more different, non-empty names",
            remedy="For one thing that is so or not use ty.binary_classification.",
        )
    for name in names:
        if separator in name or name != name.strip():
            raise BadProject(
                where=where,
                found=f"the class {name!r}",
                expected=f"names without {separator!r} and without blanks around them",
                remedy="Rename the class, or choose another separator=.",
            )
    return Task(
        kind="multilabel_classification", label=label, classes=names, threshold=threshold,
        separator=separator,
    )  # fmt: skip


def regression(
    label: str,
    *,
    unit: str | None = None,
    coverage: float = 0.9,
    standardized: bool = True,
    ge: float | None = None,
    le: float | None = None,
) -> Task:
    """Predict a number, and an interval that holds it in a stated share of rows.

    Args:
        label: a column of numbers; rows where it is missing are not trained on.
        unit: of the number, for answers and pages, for example ``"minutes"``.
        coverage: the share of rows whose interval is to hold the truth.
        standardized: whether the module learns, and gives, numbers of mean 0 and deviation 1 over
            the training rows; its answers are put back into the unit. False when the module gives
            numbers in the unit itself.
        ge: the least value that can come true, in the unit. A served value below it is an error
            with an incident's number, not an answer; a row of the data below it is set aside.
        le: the greatest; both are inclusive.

    Raises:
        BadProject: the coverage is not between 0 and 1, ``ge`` is above ``le``, or an argument is
            of another type.

    Example:
        >>> regression("delay", unit="minutes").outputs
        ('value', 'low', 'high')
    """
    where = "ty.regression(...)"
    _check_label(label, where)
    need_numbers(where, coverage=coverage, ge=ge, le=le)
    if not 0 < coverage < 1:
        raise BadProject(
            where=where,
            found=f"coverage={coverage}",
            expected="a share of rows between 0 and 1",
            remedy="Leave it out for 0.9.",
        )
    if ge is not None and le is not None and ge > le:
        raise BadProject(
            where=where,
            found=f"ge={ge:g}, le={le:g}",
            expected="ge at most le",
            remedy="ge is the least value that can come true, le the greatest.",
        )
    task = Task(
        kind="regression", label=label, classes=(), unit=unit, coverage=coverage,
        standardized=standardized, ge=ge, le=le,
    )  # fmt: skip
    return need_types(task, where=where)


def split_by_time(field: str, *, validation: str, test: str) -> SplitRule:
    """Train on rows before ``validation``, validate on rows before ``test``, test on the rest.

    Args:
        field: a timestamp of the schema.
        validation: ISO date or time where the validation part begins.
        test: ISO date or time where the test part begins.

    Raises:
        BadProject: the two are not local ISO times, or not in that order.
    """
    rule = SplitRule(by="time", fields=(field,), validation=validation, test=test)
    need_types(rule, where="ty.split_by_time(...)")
    try:
        first, second = datetime.fromisoformat(validation), datetime.fromisoformat(test)
        ordered = first.tzinfo is second.tzinfo is None and first < second
    except ValueError:
        ordered = False
    if not ordered:
        raise BadProject(
            where="ty.split_by_time(...)",
            found=f"validation={validation!r}, test={test!r}",
            expected="two ISO times, validation before test",
            remedy="Write them like '2013-08-01', without an offset.",
        )
    return rule


def split_by_hash(*fields: str, validation: float = 0.15, test: float = 0.15) -> SplitRule:
    """Part rows by a digest of ``fields`` (all of them when none is named).

    A row keeps its part when the data grows, and equal rows land in the same part.

    Args:
        fields: name an entity's key to keep all its rows in one part.
        validation: share of rows, 0 to 1.
        test: share of rows, 0 to 1.

    Raises:
        BadProject: the shares leave nothing to train on.
    """
    return _shares("hash", fields, validation, test)


def split_by_group(*fields: str, validation: float = 0.15, test: float = 0.15) -> SplitRule:
    """Part entities, not rows: all rows with the same values of ``fields`` land in one part.

    Use it when one person, machine or place has many rows. An entity keeps its part when the data
    grows. The shares are of entities.

    Args:
        fields: what names an entity; at least one.
        validation: share of entities, 0 to 1.
        test: share of entities, 0 to 1.

    Raises:
        BadProject: no field is named, or the shares leave nothing to train on.
    """
    if not fields:
        raise BadProject(
            where="ty.split_by_group(...)",
            found="no fields",
            expected="the field that names an entity",
            remedy="For example ty.split_by_group('customer').",
        )
    return _shares("group", fields, validation, test)


def split_stratified(*, validation: float = 0.15, test: float = 0.15) -> SplitRule:
    """Part rows so that every class of the label has the same shares in each part.

    For rare classes. Of several classes a row counts for the rarest one that it has; numbers are
    parted within ten ranges. Rows are ranked by a digest within their class, so the parts do not
    depend on the order of rows; unlike ``split_by_hash`` a few rows may change part when the data
    grows.

    Raises:
        BadProject: the shares leave nothing to train on.
    """
    return _shares("stratified", (), validation, test)


def split_by_column(field: str) -> SplitRule:
    """Part rows as the data says: ``field`` holds train, validation or test; others are left out.

    Declare the field as ``ty.category(["train", "validation", "test"], later=True)``.
    """
    rule = SplitRule(by="given", fields=(field,), validation="", test="")
    return need_types(rule, where="ty.split_by_column(...)")


def _check_label(label: str, where: str) -> None:
    if not isinstance(label, str) or not may_be_named(label):
        raise BadProject(
            where=where,
            found=f"label={label!r}",
            expected=f"the name of a column: {FIELD_NAME}",
            remedy="Name the column of the data that holds what came true.",
        )


def _check_threshold(threshold: float, where: str, *, or_rule: str = "") -> None:
    need_numbers(where, threshold=threshold)
    if not 0 < threshold < 1:
        raise BadProject(
            where=where,
            found=f"threshold={threshold}",
            expected=f"a probability between 0 and 1{or_rule}",
            remedy="Leave it out for 0.5.",
        )


def _shares(
    by: Literal["hash", "group", "stratified"],
    fields: tuple[str, ...],
    validation: float,
    test: float,
) -> SplitRule:
    where = f"ty.split_{by if by == 'stratified' else f'by_{by}'}(...)"
    need_numbers(where, validation=validation, test=test)
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise BadProject(
            where=where,
            found=f"validation={validation}, test={test}",
            expected="two shares above 0 that add up to less than 1",
            remedy="Leave them out for 0.15 each.",
        )
    rule = SplitRule(by=by, fields=fields, validation=str(validation), test=str(test))
    return need_types(rule, where=where)
