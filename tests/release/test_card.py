"""The model card: every sentence from evidence, and no name in the data can break out of it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.releases import measured, sample_contents, sample_release, sample_report
from torchyard.records.dataset import FieldProfile, Profile
from torchyard.records.evidence import Evidence, GroupResult, Report
from torchyard.records.schema import FieldKind
from torchyard.records.verdicts import Verdict, Waiver
from torchyard.release import Contents
from torchyard.release.card import card_html, compose_card, model_card, serving_report
from torchyard.release.card_rows import training_rows
from torchyard.release.limits import find_limits

TITLES = [
    "In plain words", "What it predicts", "Intended use", "Data", "Quality", "Calibration",
    "Abstaining", "Fairness", "Slices", "Fields", "Ageing", "Behaviours", "Variants", "Gates",
    "Limits", "Lineage",
]  # fmt: skip
NASTY = '<script>alert(1)</script> | `x` [y](javascript:z) "quoted" & *bold*\n# heading'


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return sample_contents(tmp_path)


def with_report(contents: Contents, **changes: Any) -> Contents:
    report: Report = replace(serving_report(contents), **changes)
    return with_evidence(contents, reports=(report,))


def with_evidence(contents: Contents, **changes: Any) -> Contents:
    evidence: Evidence = replace(contents.evidence, **changes)
    return replace(contents, evidence=evidence)


def group(value: str, *, rows: int = 500, auroc: float = 0.8, spread: float = 0.02) -> GroupResult:
    return GroupResult(
        field="carrier", value=value, rows=rows,
        classes=(rows - rows // 2, rows // 2),
        metrics={"auroc": measured(auroc, spread=spread)},
    )  # fmt: skip


def limits(contents: Contents) -> str:
    return "\n".join(find_limits(contents, serving_report(contents)))


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n")[1].split("\n## ", maxsplit=1)[0]


class Page(HTMLParser):
    """The tags that are open, all that were seen, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [name for name, _ in attrs if name in {"src", "href"} or name[:2] == "on"]
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_front_matter_is_yaml_that_hugging_face_reads(contents: Contents) -> None:
    front = model_card(contents).split("---\n")[1]
    found = yaml.safe_load(front)
    assert found["library_name"] == "torchyard"
    assert found["pipeline_tag"] == "tabular-classification"
    assert found["license"] == "apache-2.0"
    (result,) = found["model-index"][0]["results"]
    assert result["task"]["type"] == "tabular-classification"
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "auroc": 0.81,
        "log_loss": 0.55,
    }
    assert "license" not in yaml.safe_load(
        model_card(replace(contents, license=None)).split("---\n")[1]
    )


def test_both_forms_have_the_same_sections(contents: Contents) -> None:
    assert re.findall(r"^## (.+)$", model_card(contents), re.MULTILINE) == TITLES
    assert re.findall(r"<h2>(.+?)</h2>", card_html(contents)) == TITLES


def test_the_card_is_about_the_variant_that_serves_beside_the_baselines(contents: Contents) -> None:
    quality = section(model_card(contents), "Quality")
    assert "| metric | onnx-fp32 | majority | linear | interval |" in quality
    assert "| auroc | 0.81 (0.79 to 0.83) | 0.5 (0.48 to 0.52) | 0.74 (0.72 to 0.76) |" in quality
    plain = section(model_card(contents), "In plain words")
    assert "There its auroc is 0.81 (0.79 to 0.83) (majority: 0.5 (0.48 to 0.52); linear" in plain


def test_data_and_findings_are_told(contents: Contents) -> None:
    data = section(model_card(contents), "Data")
    assert "| accepted rows | 1,000 |" in data
    assert "| quarantined rows | 7 |" in data
    assert "| distance | at most 5000 | quarantine | 7 of 1,007 |" in data
    assert "| distance | 1.0% | middle 80 % from 300 to 3500 km, median 1200 |" in data
    assert "| carrier | 0.0% | UA 50%, AA 38%, DL 12% |" in data
    clean = replace(contents, dataset=replace(contents.dataset, findings=()))
    assert "Validation found nothing to report." in section(model_card(clean), "Data")


def test_the_training_rows_are_told_in_a_line_each() -> None:
    def field(name: str, kind: FieldKind, **facts: Any) -> FieldProfile:
        return FieldProfile(name=name, kind=kind, rows=10, missing=2, **facts)

    fields = (
        field("express", "boolean", edges=(0.5,), counts=(6, 2), quantiles=(0.0,) * 9),
        field("departs", "timestamp", minimum=0.0, maximum=86_400.0 * 400, counts=(8,)),
        field("street", "category"),
        field("note", "text", parts=(field("word", "text", values=("a", "b"), counts=(4, 2)),)),
        field("point", "tensor", minimum=-1.0, maximum=3.0, mean=0.25),
    )
    assert training_rows(Profile(rows=10, fields=fields)).rows == (
        ("express", "20.0%", "true in 25%"),
        ("departs", "20.0%", "1970-01-01 to 1971-02-05"),
        ("street", "20.0%", ""),
        ("note", "20.0%", ""),
        ("note word", "20.0%", "a 50%, b 25%"),
        ("point", "20.0%", "from -1 to 3, mean 0.25"),
    )


def test_slices_come_worst_first_whatever_worse_means(contents: Contents) -> None:
    rising = with_report(contents, slices=(group("UA", auroc=0.9), group("DL", auroc=0.7)))
    told = section(model_card(rising), "Slices")
    assert "Worst first by auroc." in told
    assert told.index("carrier = DL") < told.index("carrier = UA")
    losses = {name: replace(group(name), metrics={"log_loss": measured(loss)})
              for name, loss in {"UA": 0.3, "DL": 0.6}.items()}  # fmt: skip
    falling = with_report(contents, slices=tuple(losses.values()))
    told = section(model_card(falling), "Slices")
    assert "Worst first by log" in told
    assert told.index("carrier = DL") < told.index("carrier = UA")


def test_what_was_not_declared_is_said(contents: Contents) -> None:
    bare = with_report(contents, slices=(), groups=(), fairness={}, reliability=())
    card = model_card(with_evidence(bare, verdicts=()))
    assert "No slices were declared." in card
    assert "No field is declared protected" in card
    assert "The project declares no gates." in card


def test_variants_show_speed_role_and_verdict(contents: Contents) -> None:
    told = section(model_card(contents), "Variants")
    assert re.search(r"\| torch-fp32 \| yardstick \| fp32 \|.*\| no gates \|", told)
    assert re.search(r"\| onnx-fp32 \| serves, rung 1 \|.*\| 0\.200 / 0\.600 \|.*\| pass \|", told)


def test_limits_name_parts_that_are_surely_worse_once(contents: Contents) -> None:
    weak, unsure = group("DL", auroc=0.7), group("UA", auroc=0.7, spread=0.2)
    told = limits(with_report(contents, groups=(weak,), slices=(weak, unsure)))
    sentence = "Where carrier is DL (500 rows), auroc is 0.7 against 0.81 on all rows."
    assert told.count(sentence) == 1
    assert "carrier is UA" not in told


def test_limits_name_parts_that_are_surely_worse_by_a_loss(contents: Contents) -> None:
    part = replace(group("DL"), metrics={"log_loss": measured(0.7)})
    told = limits(with_report(contents, slices=(part,), groups=()))
    assert "Where carrier is DL (500 rows), log_loss is 0.7 against 0.55 on all rows." in told


def test_limits_name_small_groups_open_gates_and_what_is_missing(contents: Contents) -> None:
    verdict = Verdict(
        gate="recall at least 0.5", variant="onnx-fp32", outcome="inconclusive", required=False,
        measured=None, limit=0.5, reason="too few rows",
    )  # fmt: skip
    broken = replace(contents.evidence.variants[0], name="int8", finding="the exporter broke")
    changed = with_evidence(contents, verdicts=(verdict,), variants=(broken,))
    told = limits(changed)
    assert "Too few test rows to say much about: carrier = UA (60 rows), carrier = DL" in told
    assert "Gate 'recall at least 0.5' is inconclusive for 'onnx-fp32': too few rows" in told
    assert "7 rows broke a rule and were set aside" in told
    assert "Variant 'int8' is not there: the exporter broke" in told


def test_long_lists_are_cut_and_counted(contents: Contents) -> None:
    many = tuple(group(f"C{place}", rows=10, auroc=0.5) for place in range(30))
    changed = with_report(contents, slices=many, groups=())
    assert "22 more groups or slices are worse" in limits(changed)
    assert " and 22 more." in limits(changed)
    assert "Worst first by auroc; 20 of 30." in model_card(changed)


def test_the_html_is_well_formed_and_asks_nothing_of_the_network(contents: Contents) -> None:
    page = Page(card_html(contents))
    assert page.open == []
    assert {"section", "table", "svg", "circle"} <= set(page.seen)
    assert page.links == []
    assert not {"script", "img", "link", "iframe"} & set(page.seen)
    assert "http://" not in card_html(contents)
    assert "https://" not in card_html(contents)


def nasty(contents: Contents) -> Contents:
    """Contents with hostile text wherever text can stand."""
    fields = tuple(replace(one, description=NASTY, unit=NASTY) for one in contents.schema.fields)
    finding = replace(contents.dataset.findings[0], field=NASTY, rule=NASTY, meaning=NASTY)
    verdict = replace(contents.evidence.verdicts[0], gate=NASTY, reason=NASTY, outcome="fail")
    parts = (replace(group("x", auroc=0.1), field=NASTY, value=NASTY),)
    report = replace(sample_report("onnx-fp32"), groups=parts, slices=parts)
    report = replace(report, metrics={**report.metrics, NASTY: measured(0.5)})
    variants = tuple(replace(one, hardware=NASTY) for one in contents.evidence.variants)
    return replace(
        with_evidence(contents, reports=(report,), verdicts=(verdict,), variants=variants),
        description=NASTY,
        license=NASTY,
        schema=replace(contents.schema, fields=fields),
        task=replace(contents.task, label=NASTY, classes=(NASTY, NASTY)),
        dataset=replace(contents.dataset, source=NASTY, findings=(finding,)),
    )


def test_hostile_text_stays_text_in_html(contents: Contents) -> None:
    page = Page(card_html(nasty(contents)))
    assert "script" not in page.seen
    assert page.open == []
    assert page.words.count("<script>alert(1)</script>") > 10


def test_hostile_text_stays_text_in_markdown(contents: Contents) -> None:
    _, front, body = model_card(nasty(contents)).split("---\n", 2)
    assert yaml.safe_load(front)["license"] == NASTY
    assert "<script>" not in body
    assert "\n# heading" not in body
    assert "\\[y\\](javascript:z)" in body
    for table in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1


def test_the_same_evidence_gives_the_same_card_and_it_is_in_the_release(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    contents = sample_contents(tmp_path / "made")
    assert (release.folder / "card.md").read_text() == model_card(contents)
    assert (release.folder / "card.html").read_text() == card_html(contents)
    assert compose_card(contents) == compose_card(contents)


ADA = Waiver(by="Ada", reason="few rows of the new carrier yet", until="2027-01-31")
MISSED = Verdict(
    gate="auroc at least 0.90", variant="onnx-fp32", outcome="fail", required=True,
    measured=None, limit=0.9, reason="it misses", waiver=ADA,
)  # fmt: skip


def test_what_was_waived_stands_among_the_gates_and_the_limits(contents: Contents) -> None:
    plain = section(model_card(contents), "Gates")
    assert "waiver" not in plain
    missed = replace(MISSED, variant=contents.ladder[0])
    waived = with_evidence(contents, verdicts=(missed,))
    assert "Ada, until 2027-01-31: few rows of the new carrier yet" in section(
        model_card(waived), "Gates"
    )
    assert (
        f"'{contents.ladder[0]}' was let out: gate 'auroc at least 0.90' is fail, waived by Ada "
        "until 2027-01-31: few rows of the new carrier yet. it misses."
    ) in limits(waived)


def test_what_was_waived_before_stands_on_later_cards(contents: Contents) -> None:
    later = with_evidence(contents, waived=(MISSED,))
    assert "Waived in earlier releases of this model." in section(model_card(later), "Gates")
    assert (
        "In an earlier release, 'onnx-fp32': gate 'auroc at least 0.90' is fail, waived by Ada"
    ) in limits(later)
    none = with_evidence(contents, verdicts=(), waived=(MISSED,))
    said = section(model_card(none), "Gates")
    assert "The project declares no gates." in said
    assert "Waived in earlier releases of this model." in said
