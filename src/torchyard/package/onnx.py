"""A release as one ONNX file, from raw fields to calibrated answer, for plain ONNX Runtime.

The file is the variant that serves first, byte for byte: what was judged is what is handed out.
What has no ONNX form (splitting texts, decoding pictures) stays outside it: the file's metadata
says under ``torchyard.host_steps`` how each of those inputs is made of its raw field.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchyard.core.digest import digest_bytes
from torchyard.core.errors import BadUsage
from torchyard.core.files import write_atomically
from torchyard.features.host import read_steps
from torchyard.features.session import open_session
from torchyard.records.training import HostStep
from torchyard.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxValue:
    """An input or output: its name, its ONNX type, its sizes (``rows`` is any number of rows)."""

    name: str
    type: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxPackage:
    """The file that was written.

    ``inputs`` are raw columns (see ARCHITECTURE.md), but for those named as a host step's
    ``output``. ``columns`` are those of the output: a probability of each class, or value, low and
    high, in ``unit``.
    """

    release: str
    model: str
    variant: str
    file: Path
    sha256: str
    size_bytes: int
    inputs: tuple[OnnxValue, ...]
    output: OnnxValue
    columns: tuple[str, ...]
    unit: str | None
    host_steps: tuple[HostStep, ...]


def package_onnx(release: Release, path: Path, *, force: bool = False) -> OnnxPackage:
    """Write the first variant's graph of a release, from raw fields to calibrated answer.

    Args:
        release: opened, and so verified.
        path: where the file goes; it is whole or absent.
        force: replace a file that is there.

    Raises:
        BadUsage: something is at ``path`` already.
        BadRecord: the variant is no ONNX file.
    """
    if path.is_dir() or (path.exists() and not force):
        raise BadUsage(
            where=str(path),
            found="a folder" if path.is_dir() else "a file",
            expected="a new file's path",
            remedy="Give another path." if path.is_dir() else "Replace it with --force.",
        )
    variant = release.manifest.ladder[0]
    content = release.variant_path(variant).read_bytes()
    session = open_session(content, where=f"variant '{variant}'")
    steps = read_steps(session, where=f"variant '{variant}'")
    write_atomically(path, content)
    (output,) = (_value(node) for node in session.get_outputs())
    return OnnxPackage(
        release=release.id,
        model=release.manifest.model,
        variant=variant,
        file=path,
        sha256=digest_bytes(content),
        size_bytes=len(content),
        inputs=tuple(_value(node) for node in session.get_inputs()),
        output=output,
        columns=release.task.outputs,
        unit=release.task.unit,
        host_steps=steps,
    )


def _value(node: object) -> OnnxValue:
    name, kind, shape = (getattr(node, word) for word in ("name", "type", "shape"))
    return OnnxValue(name=name, type=kind, shape=tuple("rows" if s is None else s for s in shape))
