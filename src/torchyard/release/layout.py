"""What lies where in a release folder: ``write_contents`` puts it there, ``Release`` reads it.

Not here: the manifest, the seal, the signature and the rules of opening, see ``folder.py``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torchyard.core.digest import canonical_json, digest_file, short
from torchyard.core.errors import BadRecord, NotFound, nearest
from torchyard.core.files import write_atomically
from torchyard.core.record import Json, read_record, write_record
from torchyard.records.abstaining import Abstention
from torchyard.records.dataset import DatasetVersion, Profile
from torchyard.records.evidence import VARIANT_FILES, Evidence, Runtime, Variant
from torchyard.records.manifest import Manifest, Seal
from torchyard.records.schema import Schema, Task
from torchyard.records.training import FeatureGraph, Run
from torchyard.records.verdicts import Objective
from torchyard.release.contents import Contents
from torchyard.release.withheld import check_withheld

MANIFEST = "manifest.json"
SEAL = "seal.json"
SCHEMA = "schema.json"
TASK = "task.json"
ABSTENTION = "abstention.json"
OBJECTIVE = "objective.json"
FEATURES = "features.json"
FEATURES_GRAPH = "features.onnx"
REFERENCE = "reference/fields.json"
REFERENCE_ANSWERS = "reference/answers.json"
GOLDEN = "golden/golden.json"
GOLDEN_REQUESTS = "golden/requests.jsonl"
GOLDEN_ANSWERS = "golden/answers.jsonl"
EVIDENCE = "evidence/evidence.json"
DATASET = "evidence/dataset.json"
RUN = "evidence/run.json"
CARD = "card.md"
CARD_PAGE = "card.html"

_VARIANT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """How exactly the golden requests must be answered.

    ``tolerance`` is the largest difference: of a probability absolute, of a number relative.
    """

    rows: int
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Release:
    """A sealed folder whose every byte was checked when it was opened.

    Only ``open_release`` and ``seal`` make one. Its records are read on first use and kept, so
    opening stays quick. (Without slots: ``cached_property`` needs a ``__dict__``.)
    """

    folder: Path
    manifest: Manifest
    seal: Seal

    @property
    def id(self) -> str:
        """``sha256:`` and the digest of the manifest's bytes."""
        return self.seal.release

    @cached_property
    def schema(self) -> Schema:
        """The raw fields of a request."""
        return read_record(Schema, self.folder / SCHEMA)

    @cached_property
    def later(self) -> tuple[str, ...]:
        """Names of the data's fields that are known too late for a request."""
        return tuple(field.name for field in self.dataset.schema.fields if field.later)

    @cached_property
    def task(self) -> Task:
        """What is predicted."""
        return read_record(Task, self.folder / TASK)

    @cached_property
    def abstention(self) -> Abstention | None:
        """When it does not answer; None where it always does."""
        return read_record(Abstention, self.folder / ABSTENTION) if self._has(ABSTENTION) else None

    @cached_property
    def objective(self) -> Objective | None:
        """The service level that it was judged by; None where none was declared."""
        return read_record(Objective, self.folder / OBJECTIVE) if self._has(OBJECTIVE) else None

    @cached_property
    def features(self) -> FeatureGraph:
        """The fitted feature graph; its ONNX file is ``features.onnx``."""
        return read_record(FeatureGraph, self.folder / FEATURES)

    @cached_property
    def evidence(self) -> Evidence:
        """What was measured and judged before sealing."""
        return read_record(Evidence, self.folder / EVIDENCE)

    @cached_property
    def dataset(self) -> DatasetVersion:
        """The version of the data that was trained on."""
        return read_record(DatasetVersion, self.folder / DATASET)

    @cached_property
    def run(self) -> Run:
        """The training run."""
        return read_record(Run, self.folder / RUN)

    @cached_property
    def reference(self) -> Profile:
        """Input distributions to compare live rows with, in the schema's fields."""
        return read_record(Profile, self.folder / REFERENCE)

    @cached_property
    def reference_answers(self) -> Profile:
        """The answers that live ones are compared with, see ``data.profile.answers_schema``."""
        return read_record(Profile, self.folder / REFERENCE_ANSWERS)

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """The servable variants by name, in the ladder's order.

        Raises:
            BadRecord: a variant was judged with other bytes than its file has, or not at all.
        """
        judged = {variant.name: variant for variant in self.evidence.variants}
        listed = {entry.path: entry.sha256 for entry in self.manifest.files}
        for name in self.manifest.ladder:
            variant = judged.get(name)
            if variant is None or variant.sha256 != listed.get(
                variant_model(name, variant.runtime)
            ):
                raise _not_judged(name, f"release {short(self.id)}")
        return {name: judged[name] for name in self.manifest.ladder}

    def variant_path(self, name: str) -> Path:
        """The file of a servable variant.

        Raises:
            NotFound: the ladder has no variant of that name.
            BadRecord: a variant was judged with other bytes than its file has, or not at all.
        """
        if name not in self.manifest.ladder:
            raise NotFound(
                where=f"release {short(self.id)}",
                found=f"no variant '{name}'",
                expected="a variant of its ladder",
                remedy=nearest(name, self.manifest.ladder),
            )
        return self.folder / variant_model(name, self.variants[name].runtime)

    @property
    def features_path(self) -> Path:
        """The feature graph, which stands before every variant that is not whole."""
        return self.folder / FEATURES_GRAPH

    def golden_requests(self) -> list[dict[str, Json]]:
        """Rows as a client sends them, in the order of ``golden_answers``."""
        return [json.loads(line) for line in _lines(self.folder / GOLDEN_REQUESTS)]

    def golden_answers(self) -> list[list[float]]:
        """For each golden request the answer, in the order of the task's outputs."""
        return [json.loads(line) for line in _lines(self.folder / GOLDEN_ANSWERS)]

    @cached_property
    def golden_tolerance(self) -> float:
        """The largest difference of a replay: of a probability absolute, of a number relative."""
        return read_record(Golden, self.folder / GOLDEN).tolerance

    def _has(self, path: str) -> bool:
        return any(entry.path == path for entry in self.manifest.files)


def variant_model(name: str, runtime: Runtime) -> str:
    """Where a variant's file lies in a release."""
    return f"variants/{name}/{VARIANT_FILES[runtime]}"


def variant_models(name: str) -> frozenset[str]:
    """Where a variant's file may lie, one for each runtime."""
    return frozenset(variant_model(name, runtime) for runtime in VARIANT_FILES)


def variant_record(name: str) -> str:
    """Where a variant's measurements lie in a release."""
    return f"variants/{name}/variant.json"


def required_files(ladder: Iterable[str]) -> frozenset[str]:
    """The files without which a folder is no release, beside one of each variant's models."""
    always = (
        *(SCHEMA, TASK, FEATURES, FEATURES_GRAPH, REFERENCE, REFERENCE_ANSWERS),
        *(GOLDEN, GOLDEN_REQUESTS, GOLDEN_ANSWERS, EVIDENCE, DATASET, RUN, CARD, CARD_PAGE),
    )
    return frozenset(always).union(variant_record(name) for name in ladder)


def write_contents(stage: Path, contents: Contents) -> None:
    """Lay out a release in an empty folder, ready for ``seal``.

    A variant's ``file`` is set to where it lies in the release, and to None for one that is not
    shipped. Two calls with the same contents write the same bytes.

    Raises:
        BadRecord: a file is not the one that was judged, a variant of the ladder was not judged
            or cannot be served, golden requests and answers do not match in number, or values of
            personal fields are shown.
    """
    # whoever only reads releases, as a server does, needs no pages
    from torchyard.release.card import card_html, model_card

    _check_files(contents)
    check_withheld(contents)
    contents = replace(contents, evidence=_placed(contents.evidence, contents.ladder))
    for path, record in (
        (SCHEMA, contents.schema),
        (TASK, contents.task),
        (FEATURES, contents.features),
        (REFERENCE, contents.reference),
        (REFERENCE_ANSWERS, contents.reference_answers),
        (EVIDENCE, contents.evidence),
        (DATASET, contents.dataset),
        (RUN, contents.run),
        (GOLDEN, Golden(rows=len(contents.golden_requests), tolerance=contents.golden_tolerance)),
    ):
        write_record(stage / path, record)
    if contents.abstention is not None:
        write_record(stage / ABSTENTION, contents.abstention)
    if contents.objective is not None:
        write_record(stage / OBJECTIVE, contents.objective)
    shutil.copyfile(contents.features_graph, stage / FEATURES_GRAPH)
    for name in contents.ladder:
        variant = contents.variant(name)
        write_record(stage / variant_record(name), variant)
        shutil.copyfile(contents.variant_files[name], stage / variant_model(name, variant.runtime))
    _write_lines(stage / GOLDEN_REQUESTS, contents.golden_requests)
    _write_lines(stage / GOLDEN_ANSWERS, contents.golden_answers)
    write_atomically(stage / CARD, model_card(contents).encode())
    write_atomically(stage / CARD_PAGE, card_html(contents).encode())


def _check_files(contents: Contents) -> None:
    if digest_file(contents.features_graph) != contents.features.digest:
        raise BadRecord(
            where=str(contents.features_graph),
            found="other bytes than the features record names",
            expected=f"the file with digest {short(contents.features.digest)}",
            remedy="Fit the features again.",
        )
    if not contents.ladder or not contents.evidence.reports:
        raise BadRecord(
            where="evidence",
            found=f"{len(contents.ladder)} variants, {len(contents.evidence.reports)} reports",
            expected="at least one variant to serve, and a report on it",
            remedy="Build and judge the variants again, then seal.",
        )
    judged = {variant.name: variant for variant in contents.evidence.variants}
    for name in contents.ladder:
        file = contents.variant_files.get(name)
        variant = judged.get(name)
        if file is None or variant is None or digest_file(file) != variant.sha256:
            raise _not_judged(name, "ladder")
        if not variant.servable or not _VARIANT_NAME.fullmatch(name):
            raise BadRecord(
                where=f"ladder, variant '{name}'",
                found="a yardstick" if not variant.servable else "a name that is no folder's name",
                expected="a servable variant, named with lower-case letters, digits, '.', '_', '-'",
                remedy="Take it out of the ladder, or build it under another name.",
            )
    requests, answers = len(contents.golden_requests), len(contents.golden_answers)
    if requests != answers or not requests:
        raise BadRecord(
            where="golden requests",
            found=f"{requests} requests and {answers} answers",
            expected="at least one request, and an answer for each",
            remedy="Run the evaluation stage again.",
        )


def _placed(evidence: Evidence, ladder: tuple[str, ...]) -> Evidence:
    return replace(
        evidence,
        variants=tuple(
            replace(
                variant,
                file=variant_model(variant.name, variant.runtime)
                if variant.name in ladder
                else None,
            )
            for variant in evidence.variants
        ),
    )


def _not_judged(name: str, where: str) -> BadRecord:
    return BadRecord(
        where=f"{where}, variant '{name}'",
        found="a file with other bytes than those that were judged",
        expected="byte for byte the file that passed the gates",
        remedy="Build and judge the variants again, then seal.",
    )


def _lines(path: Path) -> list[bytes]:
    # Of bytes: text would also split at U+2028 and its like, which JSON leaves as they are.
    return path.read_bytes().splitlines()


def _write_lines(path: Path, values: Iterable[Json]) -> None:
    write_atomically(path, b"".join(canonical_json(value) + b"\n" for value in values))
