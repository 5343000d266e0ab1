"""Variants that are programs: opened only from keys that are trusted for code."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.releases import sample_release
from torchyard.core.errors import BadRecord, NotTrusted
from torchyard.records.evidence import Runtime
from torchyard.release import Contents, Release, open_release
from torchyard.release.rules import check_manifest


def of(runtime: Runtime, folder: Path) -> Release:
    """The sample release, its variant said to be of another runtime; its file is never opened."""

    def change(contents: Contents) -> Contents:
        (variant,) = (one for one in contents.evidence.variants if one.name == "onnx-fp32")
        others = tuple(one for one in contents.evidence.variants if one is not variant)
        variants = (*others, replace(variant, runtime=runtime))
        return replace(contents, evidence=replace(contents.evidence, variants=variants))

    return sample_release(folder, change=change)


@pytest.mark.parametrize("runtime", ["torch", "aotinductor"])
def test_a_program_needs_a_key_that_is_trusted_for_code(runtime: Runtime, tmp_path: Path) -> None:
    release = of(runtime, tmp_path)
    assert release.variant_path("onnx-fp32").name in ("model.pt2", "model.aoti")

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for key in (tmp_path / "keys" / "trusted").glob("*.pub"):
        shutil.copy(key, elsewhere)
    with pytest.raises(NotTrusted, match="trusted for code"):
        open_release(release.folder, trusted=elsewhere)

    (elsewhere / "code").mkdir()
    for key in elsewhere.glob("*.pub"):
        shutil.copy(key, elsewhere / "code")
    assert open_release(release.folder, trusted=elsewhere).id == release.id


def test_a_key_for_code_alone_is_not_trusted_at_all(tmp_path: Path) -> None:
    release = of("torch", tmp_path)
    trusted = tmp_path / "keys" / "trusted"
    for key in trusted.glob("*.pub"):
        key.unlink()
    with pytest.raises(NotTrusted, match="one of the 0 keys"):
        open_release(release.folder, trusted=trusted)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_what_is_no_program_needs_no_more_than_trust(runtime: Runtime, tmp_path: Path) -> None:
    release = of(runtime, tmp_path)
    shutil.rmtree(tmp_path / "keys" / "trusted" / "code")
    assert open_release(release.folder, trusted=tmp_path / "keys" / "trusted").id == release.id


def test_a_variant_of_two_models_is_refused(tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    twice = replace(release.manifest.files[-1], path="variants/onnx-fp32/model.pt2")
    files = tuple(sorted((*release.manifest.files, twice), key=lambda entry: entry.path))
    with pytest.raises(BadRecord, match="not one model of variant 'onnx-fp32'"):
        check_manifest(replace(release.manifest, files=files), where="here")
    none = tuple(entry for entry in files if "model." not in entry.path)
    with pytest.raises(BadRecord, match="not one model of variant 'onnx-fp32'"):
        check_manifest(replace(release.manifest, files=none), where="here")
