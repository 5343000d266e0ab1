"""The report of an evaluation as files that people open: HTML, Markdown and JSON."""

from __future__ import annotations

from pathlib import Path

from torchyard.core.files import write_atomically
from torchyard.core.record import write_record
from torchyard.pages import render_html, render_markdown
from torchyard.pages.evaluation import Evaluation, evaluation_page
from torchyard.records.ageing import Staleness
from torchyard.records.verdicts import Verdict
from torchyard.yard.results import Evaluated
from torchyard.yard.workspace import LoadedProject


def write_report(
    loaded: LoadedProject,
    evaluated: Evaluated,
    verdicts: tuple[Verdict, ...],
    *,
    staleness: Staleness | None = None,
) -> Path:
    """Write ``<project>-evaluation.html`` to the reports, Markdown and JSON beside it.

    Returns:
        The HTML page.
    """
    project = loaded.project
    page = evaluation_page(
        Evaluation(
            name=project.name,
            description=project.description,
            schema=project.schema,
            report=evaluated.report,
            calibration=evaluated.calibration,
            verdicts=verdicts,
            staleness=staleness,
        )
    )
    path = loaded.workspace.reports / f"{project.name}-evaluation.html"
    write_record(path.with_suffix(".json"), evaluated.report)
    write_atomically(path.with_suffix(".md"), render_markdown(page).encode())
    write_atomically(path, render_html(page).encode())
    return path
