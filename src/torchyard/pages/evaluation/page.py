"""An evaluation as one page: the first screen in plain words, then section by section."""

from __future__ import annotations

from dataclasses import dataclass

from torchyard.pages.abstaining import abstaining_blocks
from torchyard.pages.blocks import Block, Bullets, Mark, Page, Section, Text, Tile, Tiles
from torchyard.pages.evaluation import parts
from torchyard.pages.evaluation.plain import (
    against_simple,
    how_good,
    how_it_behaves,
    readiness,
    tried_on,
    where_weak,
)
from torchyard.pages.evaluation.trust import ageing, behaviours, gates, importance
from torchyard.pages.numbers import shown_number, title_of
from torchyard.records.ageing import Staleness
from torchyard.records.calibration import Calibration
from torchyard.records.evidence import Report
from torchyard.records.schema import Schema
from torchyard.records.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation's page is made from.

    Attributes:
        name: of the project.
        description: what the answers are for; may be empty.
        schema: the fields of a row, whose units conditions are told in.
        report: of the model on test rows.
        calibration: fitted on validation.
        verdicts: of the gates that could be judged.
        staleness: None where it was not measured.
    """

    name: str
    description: str
    schema: Schema
    report: Report
    calibration: Calibration
    verdicts: tuple[Verdict, ...]
    staleness: Staleness | None = None


def evaluation_page(paper: Evaluation) -> Page:
    """The page; sections about what was not measured say so or are left out."""
    report = paper.report
    sections = (
        Section(title="In plain words", blocks=_first_screen(paper)),
        Section(title="Quality", blocks=tuple(parts.quality(report))),
        Section(title="Simple models", blocks=tuple(parts.rivals(report))),
        Section(title="Calibration", blocks=tuple(parts.calibration(report, paper.calibration))),
        Section(title="Abstaining", blocks=abstaining_blocks(report)),
        Section(title="Groups", blocks=tuple(parts.groups(report))),
        Section(title="Slices", blocks=tuple(parts.slices(report))),
        Section(title="Where it is weak", blocks=tuple(parts.weaknesses(report, paper.schema))),
        Section(title="Behaviours", blocks=tuple(behaviours(report))),
        Section(title="What it looks at", blocks=tuple(importance(report))),
        Section(title="How it ages", blocks=tuple(ageing(paper.staleness))),
        Section(title="Gates", blocks=tuple(gates(paper.verdicts))),
    )
    return Page(
        title=f"{paper.name}: evaluation",
        summary=paper.description or f"Predicts {report.task.label}.",
        metadata={},
        sections=tuple(one for one in sections if one.blocks),
    )


def _first_screen(paper: Evaluation) -> tuple[Block, ...]:
    report = paper.report
    operating = "" if report.operating is None else report.operating.says
    sentences = (
        readiness(paper.verdicts),
        tried_on(report),
        *how_good(report),
        operating,
        against_simple(report),
        where_weak(report, paper.schema),
        how_it_behaves(report),
    )
    return (
        Tiles(tuple(_tiles(paper))),
        Bullets(tuple(one for one in sentences if one)),
        Text(
            "Numbers in brackets are 95 % intervals: where the true number lies, as far as so many "
            "rows can tell."
        ),
    )


def _tiles(paper: Evaluation) -> list[Tile]:
    report, tiles = paper.report, []
    headline = report.metrics.get(report.task.headline)
    if headline is not None:
        between = ""
        if headline.low is not None and headline.high is not None:
            between = f"{shown_number(headline.low)} to {shown_number(headline.high)}"
        tiles.append(Tile(title_of(report.task.headline), shown_number(headline.value),
                          between))  # fmt: skip
    required = [one for one in paper.verdicts if one.required]
    if required:
        passed = sum(one.outcome == "pass" for one in required)
        all_pass = passed == len(required)
        missed = any(one.outcome == "fail" and one.waiver is None for one in required)
        mark: Mark = "pass" if all_pass else "fail" if missed else "inconclusive"
        tiles.append(Tile("required gates", f"{passed} of {len(required)} pass", "", mark))
    if report.behaviours:
        clean = sum(one.failed == 0 and one.rows > 0 for one in report.behaviours)
        tiles.append(Tile("behaviours", f"{clean} of {len(report.behaviours)}", "without failure"))
    if report.weaknesses is not None:
        found = len(report.weaknesses.found)
        tiles.append(Tile("weak slices", f"{found}", f"of {report.weaknesses.tried:,} tried"))
    return tiles
