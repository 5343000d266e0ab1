"""What a model card says, every sentence of it from evidence (Mitchell et al. 2019).

Not here: how it looks, see ``page.py``; what to warn of, see ``limits.py``. The card holds no time
and no place, so the same evidence gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from torchyard.core.digest import short
from torchyard.core.record import Json
from torchyard.core.wording import listed
from torchyard.pages import (
    Block,
    Bullets,
    Page,
    Section,
    Table,
    Text,
    render_html,
    render_markdown,
)
from torchyard.pages.abstaining import abstaining_blocks
from torchyard.pages.calibration import calibration_blocks
from torchyard.pages.numbers import shown
from torchyard.pages.trade_offs import trade_offs
from torchyard.records.evidence import GroupResult, Report, Variant
from torchyard.records.measures import LESS_IS_BETTER, Measured
from torchyard.records.schema import Field, Schema, Task
from torchyard.records.verdicts import Verdict
from torchyard.release.card_ageing import ageing, fields_used
from torchyard.release.card_behaviours import behaviours
from torchyard.release.card_classes import confusion, per_class
from torchyard.release.card_gates import gates
from torchyard.release.card_rows import training_rows
from torchyard.release.card_search import searched
from torchyard.release.card_weaknesses import weaknesses
from torchyard.release.contents import Contents
from torchyard.release.limits import find_limits

_SHOWN_SLICES = 20
_SHOWN_VALUES = 8


def model_card(contents: Contents) -> str:
    """The card as Markdown with Hugging Face's metadata as YAML front matter."""
    return render_markdown(compose_card(contents))


def card_html(contents: Contents) -> str:
    """The card as one HTML page that needs nothing from the network."""
    return render_html(compose_card(contents))


def compose_card(contents: Contents) -> Page:
    """The card as a page of blocks, about the variant at the top of the ladder on the test rows."""
    report, evidence = serving_report(contents), contents.evidence
    sections = (
        Section(title="In plain words", blocks=_plain_words(contents, report)),
        Section(title="What it predicts", blocks=_prediction(contents)),
        Section(title="Intended use", blocks=_use(contents)),
        Section(title="Data", blocks=_data(contents, report)),
        Section(title="Quality", blocks=_quality(report, find_baselines(contents))),
        Section(title="Calibration", blocks=calibration_blocks(evidence.calibration, report)),
        Section(title="Abstaining", blocks=_abstaining(report)),
        Section(title="Fairness", blocks=_fairness(report)),
        Section(title="Slices", blocks=(*_slices(report), *weaknesses(contents))),
        Section(title="Fields", blocks=tuple(fields_used(evidence))),
        Section(title="Ageing", blocks=tuple(ageing(evidence))),
        Section(title="Behaviours", blocks=tuple(behaviours(report))),
        Section(title="Variants", blocks=_variants(contents)),
        Section(title="Gates", blocks=gates(evidence)),
        Section(title="Limits", blocks=(Bullets(find_limits(contents, report)),)),
        Section(title="Lineage", blocks=(_lineage(contents), *searched(contents.run))),
    )
    return Page(
        title=contents.model,
        summary=contents.description or f"Predicts {contents.task.label}.",
        metadata=_metadata(contents, report),
        sections=sections,
    )


def serving_report(contents: Contents) -> Report:
    """The report of the variant that serves first, or the first report there is."""
    reports = [one for one in contents.evidence.reports if one.split == "test"]
    reports = reports or list(contents.evidence.reports)
    return next((one for one in reports if one.model == contents.ladder[0]), reports[0])


def find_baselines(contents: Contents) -> Mapping[str, Mapping[str, Measured]]:
    """The simple models' metrics, from whichever report was made beside them."""
    return next((one.baselines for one in contents.evidence.reports if one.baselines), {})


def _metadata(contents: Contents, report: Report) -> dict[str, Json]:
    """Hugging Face model card metadata, with ``model-index`` for the measured numbers."""
    pipeline = _pipeline(contents.schema, contents.task)
    metrics = [
        {"type": name, "name": name, "value": measured.value}
        for name, measured in report.metrics.items()
    ]
    result = {
        "task": {"type": pipeline, "name": contents.task.kind.replace("_", " ")},
        "dataset": {
            "type": contents.model,
            "name": f"{contents.model}, version {contents.dataset.number}",
            "split": report.split,
        },
        "metrics": metrics,
    }
    return {
        **({"license": contents.license} if contents.license else {}),
        "library_name": "torchyard",
        "pipeline_tag": pipeline,
        "tags": [
            "torchyard",
            "onnx",
            pipeline.partition("-")[0],
            contents.task.kind.replace("_", "-"),
        ],
        "model-index": [{"name": contents.model, "results": [result]}],
    }


def _pipeline(schema: Schema, task: Task) -> str:
    """Hugging Face's name for the task: of pictures or texts where rows hold them."""
    kinds = {field.kind for field in schema.fields}
    medium = next((kind for kind in ("image", "text") if kind in kinds), "tabular")
    if task.is_regression:
        return "tabular-regression"  # the only one that there is
    return f"{medium}-classification"


def _plain_words(contents: Contents, report: Report) -> tuple[Block, ...]:
    sentences = list(_answers(contents.task, report))
    name = next((one for one in contents.task.headlines if one in report.metrics), None)
    if name is not None:
        rivals = {
            baseline: metrics[name]
            for baseline, metrics in find_baselines(contents).items()
            if name in metrics
        }
        beside = "; ".join(f"{rival}: {shown(found)}" for rival, found in rivals.items())
        sentences.append(
            f"There its {name} is {shown(report.metrics[name])}"
            + (f" ({beside})." if beside else ".")
        )
    return (Text(" ".join(sentences)), Text("Intervals in this card are 95 % intervals."))


def _answers(task: Task, report: Report) -> Iterator[str]:
    """What the model answers with, and what it was tried on."""
    tried = f"It was tried on {report.rows:,} rows it had not seen"
    if task.is_binary:
        no, yes = task.classes
        yield (
            f"Given a row, the model states the probability of '{yes}' against '{no}', and answers "
            f"'{yes}' from {task.threshold:g} on."
        )
        yield f"{tried}, of which {report.classes[1]:,} were '{yes}'."
        return
    if task.is_regression:
        unit = f", in {task.unit}" if task.unit else ""
        yield (
            f"Given a row, the model states {task.label}{unit}, and an interval that should hold "
            f"the truth in {task.coverage:.0%} of rows."
        )
        yield f"{tried}."
        return
    names = listed(task.classes, most=_SHOWN_VALUES)
    if task.is_multilabel:
        yield (
            f"Given a row, the model states the probability of each of {len(task.classes)} classes "
            f"({names}), and answers with all from {task.threshold:g} on."
        )
        yield f"{tried}, with {sum(report.classes) / report.rows:.2g} classes each on average."
        return
    yield (
        f"Given a row, the model states the probability of each of {len(task.classes)} classes "
        f"({names}), and answers with the most probable one."
    )
    most, least = (pick(range(len(report.classes)), key=report.classes.__getitem__)
                   for pick in (max, min))  # fmt: skip
    if report.classes[most] == report.classes[least]:
        yield f"{tried}, {report.classes[most]:,} of each class."
        return
    yield (
        f"{tried}: most were '{task.classes[most]}' ({report.classes[most]:,}), fewest "
        f"'{task.classes[least]}' ({report.classes[least]:,})."
    )


def _prediction(contents: Contents) -> tuple[Block, ...]:
    rows = tuple(
        (field.name, field.kind, _rule(field), _marks(field), field.description)
        for field in contents.schema.fields
    )
    lead = f"The label is '{contents.task.label}'. A row has these fields."
    return (Table(lead, ("field", "kind", "allowed", "notes", "meaning"), rows),)


def _use(contents: Contents) -> tuple[Block, ...]:
    return (
        Text(contents.description or "The project does not say what the answers are used for."),
        Text(
            "Rows that break a field's rule are refused. Nothing is known about rows from other "
            "sources than the data below, nor about uses other than the one above."
        ),
    )


def _data(contents: Contents, report: Report) -> tuple[Block, ...]:
    dataset, run = contents.dataset, contents.run
    facts = Table(
        "",
        ("fact", "value"),
        (
            ("version", f"{dataset.number} ({short(dataset.digest)})"),
            ("source", dataset.source),
            ("accepted rows", f"{dataset.rows:,}"),
            ("quarantined rows", f"{dataset.quarantined:,}"),
            ("training rows", f"{run.train_rows:,}"),
            ("validation rows", f"{run.validation_rows:,}"),
            (f"{report.split} rows", f"{report.rows:,}"),
        ),
    )
    held = training_rows(contents.reference)
    if not dataset.findings:
        return facts, held, Text("Validation found nothing to report.")
    rows = tuple(
        (found.field, found.rule, found.severity, f"{found.rows:,} of {found.rows_checked:,}",
         found.meaning)
        for found in dataset.findings
    )  # fmt: skip
    return facts, held, Table("Findings.", ("field", "rule", "severity", "rows", "meaning"), rows)


def _quality(report: Report, baselines: Mapping[str, Mapping[str, Measured]]) -> tuple[Block, ...]:
    return (_metrics(report, baselines), *per_class(report), *confusion(report))


def _metrics(report: Report, baselines: Mapping[str, Mapping[str, Measured]]) -> Table:
    rows = tuple(
        (
            name,
            shown(measured),
            *(shown(metrics.get(name)) for metrics in baselines.values()),
            measured.method,
        )
        for name, measured in report.metrics.items()
    )
    lead = f"'{report.model}' on {report.rows:,} {report.split} rows, beside other models."
    return Table(lead, ("metric", report.model, *baselines, "interval"), rows)


def _abstaining(report: Report) -> tuple[Block, ...]:
    always = (Text("Every row that its schema allows is answered."),)
    return abstaining_blocks(report) if report.selective else (*always, *abstaining_blocks(report))


def _fairness(report: Report) -> tuple[Block, ...]:
    if not report.groups and not report.fairness:
        return (Text("No field is declared protected, so no groups were compared."),)
    differences = tuple(
        (field, name, shown(measured))
        for field, found in report.fairness.items()
        for name, measured in found.items()
    )
    return (
        *_groups_table("Each group of a protected field.", report.groups, report.task),
        Table("Largest differences between groups.", ("field", "measure", "value"), differences),
        *map(Text, trade_offs(report)),
    )


def _slices(report: Report) -> tuple[Block, ...]:
    if not report.slices:
        return (Text("No slices were declared."),)
    name = _common_metric(report.slices, report.task.headlines)
    ordered = sorted(report.slices, key=lambda one: _badness(one, name))
    lead = f"Worst first by {name}" if name else "In the order declared"
    if len(ordered) > _SHOWN_SLICES:
        lead += f"; {_SHOWN_SLICES} of {len(ordered)}"
    return _groups_table(f"{lead}.", ordered[:_SHOWN_SLICES], report.task)


def _groups_table(lead: str, groups: Iterable[GroupResult], task: Task) -> tuple[Block, ...]:
    groups, headlines = tuple(groups), task.headlines
    names = tuple(dict.fromkeys(chain.from_iterable(one.metrics for one in groups)))
    names = tuple(name for name in headlines if name in names) or names[:3]
    counted = ("positive",) if task.is_binary else ()
    rows = tuple(
        (
            f"{one.field} = {one.value}",
            f"{one.rows:,}",
            *(f"{one.classes[1]:,}" for _ in counted),
            *(shown(one.metrics.get(name)) for name in names),
        )
        for one in groups
    )
    return (Table(lead, ("rows where", "rows", *counted, *names), rows),)


def _variants(contents: Contents) -> tuple[Block, ...]:
    rows = tuple(
        (one.name, _role(one, contents.ladder), one.precision, f"{one.size_bytes / 1e6:.2f} MB",
         *(_speed(one, batch) for batch in (1, 32)), _outcome(one.name, contents.evidence.verdicts))
        for one in contents.evidence.variants
    )  # fmt: skip
    hardware = sorted({one.hardware for one in contents.evidence.variants if one.hardware})
    lead = f"p50 / p99 milliseconds in process, measured on {'; '.join(hardware) or 'no machine'}."
    return (
        Table(lead, ("variant", "role", "precision", "size", "1 row", "32 rows", "required"), rows),
    )


def _lineage(contents: Contents) -> Table:
    made = contents.lineage
    return Table(
        "Digests of what the release was made from.",
        ("what", "digest"),
        (
            ("dataset version", made.dataset),
            ("feature graph", made.features),
            ("run", made.run),
            ("weights", made.weights),
            ("model source", made.source),
            ("git commit", made.git_commit or "none"),
        ),
    )


def _rule(field: Field) -> str:
    if field.values:
        return listed(field.values, most=_SHOWN_VALUES)
    low = "" if field.ge is None else f"from {field.ge:g}"
    high = "" if field.le is None else f"to {field.le:g}"
    return " ".join(part for part in (low, high, field.unit or "") if part) or "any"


def _marks(field: Field) -> str:
    marks = {"optional": field.optional, "protected": field.protected, "personal": field.personal}
    return ", ".join(name for name, holds in marks.items() if holds)


def _common_metric(groups: Iterable[GroupResult], names: tuple[str, ...]) -> str | None:
    """The headline metric that most slices have."""
    counts = {name: sum(name in one.metrics for one in groups) for name in names}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None


def _badness(group: GroupResult, name: str | None) -> float:
    """Smaller is worse; slices without the metric come last."""
    if name is None:
        return 0.0
    measured = group.metrics.get(name)
    if measured is None:
        return float("inf")
    return -measured.value if name in LESS_IS_BETTER else measured.value


def _role(variant: Variant, ladder: tuple[str, ...]) -> str:
    if variant.name in ladder:
        return f"serves, rung {ladder.index(variant.name) + 1}"
    return variant.finding or ("not shipped" if variant.servable else "yardstick")


def _speed(variant: Variant, batch: int) -> str:
    found = next((one for one in variant.latency if one.batch == batch), None)
    return f"{found.p50_ms:.3f} / {found.p99_ms:.3f}" if found else "-"


def _outcome(variant: str, verdicts: Iterable[Verdict]) -> str:
    """The worst outcome of a variant's required gates."""
    found = {one.outcome for one in verdicts if one.variant == variant and one.required}
    return next((name for name in ("fail", "inconclusive", "pass") if name in found), "no gates")
