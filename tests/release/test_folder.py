"""Sealing and opening: what goes in comes out, the same evidence is the same release."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.support.releases import (
    GOLDEN,
    SCHEMA,
    SEALED_AT,
    TASK,
    sample_contents,
    sample_onnx,
    sample_release,
)
from torchyard.core.digest import digest_file
from torchyard.core.errors import BadRecord, NotFound, NotTrusted
from torchyard.core.files import staged_folder
from torchyard.release import Contents, Release, ensure_key, open_release, seal, write_contents


def test_a_release_gives_back_what_was_sealed(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    contents = sample_contents(tmp_path / "made")
    opened = open_release(release.folder, trusted=tmp_path / "keys" / "trusted")
    assert opened == release
    assert (opened.schema, opened.task) == (SCHEMA, TASK)
    assert (opened.dataset, opened.run) == (contents.dataset, contents.run)
    assert opened.features == contents.features
    assert opened.reference == contents.reference
    assert opened.reference_answers.fields[0].name == "probability"
    assert opened.golden_requests() == list(GOLDEN)
    assert opened.golden_answers() == [list(one) for one in contents.golden_answers]
    assert opened.golden_tolerance == contents.golden_tolerance
    assert opened.evidence.reports == contents.evidence.reports
    assert opened.manifest.lineage == contents.lineage


def test_variants_are_those_of_the_ladder_in_its_order(tmp_path: Path) -> None:
    release = sample_release(tmp_path, ladder=("int8", "fp32"))
    assert list(release.variants) == ["int8", "fp32"]
    assert release.variants["int8"].file == "variants/int8/model.onnx"
    assert release.variant_path("fp32").read_bytes() == sample_onnx()
    yardstick = next(one for one in release.evidence.variants if not one.servable)
    assert yardstick.file is None


def test_an_unknown_variant_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no variant 'onnx-fp23'.*Did you mean 'onnx-fp32'\?"):
        sample_release(tmp_path).variant_path("onnx-fp23")


def test_the_id_is_the_digest_of_the_manifest_and_names_the_folder(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    assert release.id == digest_file(release.folder / "manifest.json")
    assert release.folder == tmp_path / "releases" / release.id.removeprefix("sha256:")
    assert [path.name for path in (tmp_path / "releases").iterdir()] == [release.folder.name]


def test_the_same_evidence_has_the_same_id_at_any_time_place_and_under_any_key(
    tmp_path: Path,
) -> None:
    later = SEALED_AT + timedelta(days=1)
    here = sample_release(tmp_path / "here")
    there = sample_release(tmp_path / "there", clock=lambda: later)
    assert here.id == there.id
    assert here.seal.key != there.seal.key
    assert there.seal.sealed_at == "2026-03-02T12:00:00+00:00"


def test_sealing_twice_returns_the_first_release(tmp_path: Path) -> None:
    first = sample_release(tmp_path)
    again = sample_release(tmp_path, clock=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert again == first
    assert len(list((tmp_path / "releases").iterdir())) == 1


def test_any_difference_is_another_release(tmp_path: Path) -> None:
    def describe(contents: Contents) -> Contents:
        return replace(contents, description="Another use.")

    ids = {
        sample_release(tmp_path).id,
        sample_release(tmp_path, model="other").id,
        sample_release(tmp_path, change=describe).id,
        sample_release(tmp_path, onnx=b"other bytes").id,
    }
    assert len(ids) == 4


def test_records_are_read_on_first_use_only(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    assert release.schema is release.schema
    (release.folder / "schema.json").unlink()
    assert release.schema == SCHEMA
    (release.folder / "task.json").unlink()
    with pytest.raises(BadRecord, match=r"task\.json.*expected a Task record"):
        _ = release.task


def test_golden_requests_keep_every_character(tmp_path: Path) -> None:
    odd = {"carrier": 'A\u2028A\x85\n"é', "distance": 0.1 + 0.2}

    def change(contents: Contents) -> Contents:
        return replace(contents, golden_requests=(odd,), golden_answers=((0.1 + 0.2, 0.7),))

    release = sample_release(tmp_path, change=change)
    assert release.golden_requests() == [odd]
    assert release.golden_answers() == [[0.1 + 0.2, 0.7]]


def test_the_sample_model_answers_its_golden_requests(tmp_path: Path) -> None:
    import onnxruntime

    release = sample_release(tmp_path)
    session = onnxruntime.InferenceSession(release.variant_path("onnx-fp32"))
    distance = [row.get("distance") for row in release.golden_requests()]
    text = np.full((len(distance), 1), "", dtype=object)
    (found,) = session.run(
        ["probabilities"],
        {
            "distance": np.array(distance, dtype=np.float64).reshape(-1, 1),
            "carrier": text,
            "seat": text,
            "departs": np.zeros((len(distance), 1), dtype=np.int64),
        },
    )
    assert np.abs(found - np.array(release.golden_answers())).max() < release.golden_tolerance


def _other_bytes(contents: Contents) -> Contents:
    contents.variant_files["onnx-fp32"].write_bytes(b"not what was judged")
    return contents


def _other_features(contents: Contents) -> Contents:
    contents.features_graph.write_bytes(b"not what was fitted")
    return contents


def _fewer_answers(contents: Contents) -> Contents:
    return replace(contents, golden_answers=contents.golden_answers[1:])


def _without_golden(contents: Contents) -> Contents:
    return replace(contents, golden_answers=(), golden_requests=())


def _renamed(contents: Contents, name: str, *, servable: bool = True) -> Contents:
    variant = replace(contents.variant("onnx-fp32"), name=name, servable=servable)
    file = contents.variant_files["onnx-fp32"]
    evidence = replace(contents.evidence, variants=(variant,))
    return replace(contents, ladder=(name,), evidence=evidence, variant_files={name: file})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_other_bytes, "variant 'onnx-fp32': found a file with other bytes than those that were"),
        (_other_features, "found other bytes than the features record names"),
        (_fewer_answers, "golden requests: found 4 requests and 3 answers"),
        (_without_golden, "found 0 requests and 0 answers; expected at least one request"),
        (lambda old: replace(old, ladder=("int9",)), "variant 'int9': found a file with other"),
        (lambda old: _renamed(old, "../up"), "found a name that is no folder's name"),
        (lambda old: _renamed(old, "slow", servable=False), "'slow': found a yardstick"),
        (lambda old: replace(old, ladder=()), "found 0 variants, 2 reports; expected at least one"),
        (
            lambda old: replace(old, evidence=replace(old.evidence, reports=())),
            "found 1 variants, 0 reports",
        ),
    ],
)
def test_what_was_not_judged_is_not_sealed(
    tmp_path: Path, change: Callable[[Contents], Contents], text: str
) -> None:
    with pytest.raises(BadRecord, match=text):
        sample_release(tmp_path, change=change)
    assert not list((tmp_path / "releases").iterdir())


def _seal(stage: Path, contents: Contents, folder: Path) -> Release:
    return seal(
        stage,
        model=contents.model,
        ladder=contents.ladder,
        lineage=contents.lineage,
        key=ensure_key(folder / "keys"),
        releases=folder / "releases",
        clock=lambda: SEALED_AT,
    )


def test_a_stage_with_a_link_is_not_sealed(tmp_path: Path) -> None:
    contents = sample_contents(tmp_path / "made")
    with staged_folder(tmp_path / "releases") as stage:
        write_contents(stage, contents)
        (stage / "golden" / "more").symlink_to(tmp_path)
        with pytest.raises(NotTrusted, match="golden/more: found a symbolic link"):
            _seal(stage, contents, tmp_path)


def test_a_stage_that_lacks_a_part_is_not_sealed(tmp_path: Path) -> None:
    contents = sample_contents(tmp_path / "made")
    with staged_folder(tmp_path / "releases") as stage:
        write_contents(stage, contents)
        (stage / "task.json").unlink()
        with pytest.raises(BadRecord, match=r"found no 'task\.json' among the files"):
            _seal(stage, contents, tmp_path)


@pytest.mark.parametrize("name", ["NOTICE", ".gitattributes", ".git/config"])
def test_a_stage_may_hold_more_than_it_must(tmp_path: Path, name: str) -> None:
    contents = sample_contents(tmp_path / "made")
    with staged_folder(tmp_path / "releases") as stage:
        write_contents(stage, contents)
        (stage / name).parent.mkdir(exist_ok=True)
        (stage / name).write_text("by us")
        release = _seal(stage, contents, tmp_path)
    assert name in [entry.path for entry in release.manifest.files]
    assert (release.folder / name).read_text() == "by us"


def test_a_release_moves_to_another_machine_with_its_public_key(tmp_path: Path) -> None:
    release = sample_release(tmp_path / "here")
    there = tmp_path / "there" / release.folder.name
    shutil.copytree(release.folder, there)
    trusted = tmp_path / "there" / "trusted"
    with pytest.raises(NotTrusted, match=r"one of the 0 keys in .*put its .pub file there"):
        open_release(there, trusted=trusted)
    shutil.copytree(tmp_path / "here" / "keys" / "trusted", trusted)
    assert open_release(there, trusted=trusted).id == release.id


def test_a_verdict_on_other_bytes_is_refused_when_variants_are_read(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    path = release.folder / "evidence" / "evidence.json"
    file = release.folder / "variants" / "onnx-fp32" / "model.onnx"
    path.write_text(path.read_text().replace(digest_file(file), "x"))
    with pytest.raises(
        BadRecord, match="found a file with other bytes than those that were judged"
    ):
        _ = release.variants


def test_the_room_starts_without_torch_mlflow_or_numpy() -> None:
    heavy = ["torch", "mlflow", "numpy", "model_signing", "cryptography"]
    code = (
        "import json, sys, torchyard.release, torchyard.rollout; "
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
