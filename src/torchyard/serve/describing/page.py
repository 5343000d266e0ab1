"""A page by which somebody who writes a client can work: fields, an example, answers, refusals."""

from __future__ import annotations

from functools import lru_cache
from shlex import quote

import msgspec

from torchyard.core.digest import short
from torchyard.pages import Code, Details, Page, Section, Table, Text, render_html
from torchyard.records.schema import Field
from torchyard.serve.describing.answering import REASONS, REFUSALS, meaning
from torchyard.serve.describing.deployed import Deployed, Described, example_row
from torchyard.serve.describing.fields import kind_in_words

_SHOWN_VALUES = 12


@lru_cache(maxsize=1)
def docs_page(server: Described) -> str:
    """The page as HTML that asks nothing of the network."""
    return render_html(
        Page(
            title=f"{server.project}: how to ask",
            summary=(
                "The models that this server answers for. For programs: /openapi.json."
                if server.models
                else "No model is deployed."
            ),
            sections=(
                *(_section(server, model) for model in server.models),
                _refusals(),
            ),
            metadata={},
        )
    )


def _section(server: Described, model: Deployed) -> Section:
    rows = tuple(
        (field.name, kind_in_words(field), _rules(field), field.unit or "", field.description)
        for field in model.schema.fields
    )
    blocks = [
        Text(f"POST /v1/models/{model.name}/predict, release {short(model.release)}"),
        Table("A row has", ("Field", "Kind", "Rules", "Unit", "What it is"), rows),
        *_example(server, model),
        Table("Of each row the answer says", ("Name", "Meaning"), meaning(model.task)),
    ]
    if model.abstains:
        lead = "A row may be left without an answer: all of that is null then, and abstained says"
        blocks.append(Table(lead, ("abstained", "Why"), tuple(REASONS.items())))
    return Section(title=model.name, blocks=tuple(blocks))


def _example(server: Described, model: Deployed) -> list[Text | Code | Details]:
    row = example_row(model)
    if row is None:
        return [Text("Its rows are too large to show one here.")]
    key = ' -H "Authorization: Bearer $KEY"' if server.needs_keys else ""
    body = msgspec.json.encode({"rows": [row]}).decode()
    call = f'curl{key} "$SERVER/v1/models/{model.name}/predict" \\\n  -d {quote(body)}'
    lines = [f"SERVER={server.address}", *(["KEY=ty_..."] if server.needs_keys else []), call]
    return [Text("Ask it from a shell:"), Code("\n".join(lines))]


def _rules(field: Field) -> str:
    rules = ["may be left out or null"] if field.optional else []
    if field.ge is not None:
        rules.append(f"at least {field.ge:g}")
    if field.le is not None:
        rules.append(f"at most {field.le:g}")
    if field.values:
        more = len(field.values) - _SHOWN_VALUES
        rules.append(
            "one of "
            + ", ".join(field.values[:_SHOWN_VALUES])
            + (f" and {more} more" if more > 0 else "")
        )
    if field.min_length is not None:
        rules.append(f"at least {field.min_length} characters")
    if field.max_length is not None:
        rules.append(f"at most {field.max_length} characters")
    if field.pattern is not None:
        rules.append(f"matches {field.pattern}")
    return "; ".join(rules)


def _refusals() -> Section:
    return Section(
        title="Refusals",
        blocks=(
            Text(
                "A refusal is JSON with error, a code that programs may rely on, and where, found, "
                "expected and remedy. It repeats nothing that was sent."
            ),
            Table("", ("Status", "Meaning"), tuple((str(s), said) for s, said in REFUSALS.items())),
        ),
    )
