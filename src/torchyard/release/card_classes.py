"""Part of the model card: how each class is answered, and what is mistaken for what."""

from __future__ import annotations

from collections.abc import Iterator

from torchyard.pages import Block, Table, Text
from torchyard.pages.numbers import shown
from torchyard.records.evidence import ClassResult, Report

_SHOWN_CLASSES = 20
_SHOWN_MISTAKES = 5
_MATRIX_CLASSES = 12


def per_class(report: Report) -> Iterator[Block]:
    """Each class alone, the worst first."""
    if report.per_class:
        ordered = sorted(report.per_class, key=_f1)
        rows = tuple(
            (
                one.name,
                f"{one.rows:,}",
                f"{one.answered:,}",
                *(shown(one.metrics.get(name)) for name in ("precision", "recall", "f1")),
            )
            for one in ordered[:_SHOWN_CLASSES]
        )
        lead = "Each class alone, the lowest F1 first"
        if len(ordered) > _SHOWN_CLASSES:
            lead += f"; {_SHOWN_CLASSES} of {len(ordered)}"
        header = ("class", "rows", "answered with it", "precision", "recall", "f1")
        yield Table(f"{lead}.", header, rows)


def _f1(one: ClassResult) -> float:
    """Classes without a number come last."""
    measured = one.metrics.get("f1")
    return 2.0 if measured is None else measured.value


def confusion(report: Report) -> Iterator[Block]:
    """What is mistaken for what: all of it where it fits on a page, and the largest mistakes."""
    names = report.task.classes
    if not report.per_class or not report.confusion:
        return
    if len(names) <= _MATRIX_CLASSES:
        yield Table(
            "Rows of each class (down) by the class they were answered with (across).",
            ("", *names),
            tuple(
                (name, *(f"{rows:,}" for rows in counts))
                for name, counts in zip(names, report.confusion, strict=True)
            ),
        )
    mistakes = sorted(
        (-rows, truth, answer)
        for truth, counts in enumerate(report.confusion)
        for answer, rows in enumerate(counts)
        if truth != answer and rows
    )
    if mistakes:
        told = "; ".join(
            f"'{names[truth]}' answered with '{names[answer]}' ({-rows:,} of "
            f"{report.classes[truth]:,})"
            for rows, truth, answer in mistakes[:_SHOWN_MISTAKES]
        )
        yield Text(f"Most often mistaken: {told}.")
