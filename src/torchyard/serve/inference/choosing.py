"""What REST and gRPC share of the protocol: which release answers, what is wanted, what there is.

Not here: tensors and their bytes, routes, messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torchyard.core.digest import short
from torchyard.core.errors import BadData, NotFound, nearest
from torchyard.serve.engine import Engine
from torchyard.serve.follow import Served
from torchyard.serve.inference.tensors import datatypes_of, shape_of
from torchyard.serve.predictions import Output, outputs_of

PLATFORM = "onnx_onnxruntime"


class Described(NamedTuple):
    """A tensor as a model's metadata has it; -1 in its shape is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


def engine_of(served: Served, version: str) -> Engine:
    """The engine of a version, the champion's where none is asked for.

    Raises:
        NotFound: no release of that version is served.
    """
    if not version:
        return served.champion
    engines = {engine.version: engine for engine in served.engines.values()}
    if version not in engines:
        raise NotFound(
            where=f"model {served.state.model}",
            found="no such version",
            expected="the first 12 digits of a release that is served",
            remedy=nearest(version, engines),
        )
    return engines[version]


def split_engine(served: Served, key: str) -> Engine:
    """The engine that a key meets; the same one as long as the shares stay."""
    return served.engines[served.split.pick(key)]


def versions_of(served: Served) -> list[str]:
    """The versions that are served, the champion's first."""
    return [short(release) for release in reversed(served.split.releases)]


def inputs_of(engine: Engine) -> list[Described]:
    """The inputs of a release, one for each field, each with its field's own datatype."""
    return [
        Described(field.name, datatypes_of(field)[0], shape_of(field))
        for field in engine.schema.fields
    ]


def described_outputs(engine: Engine) -> list[Described]:
    """The outputs of a release."""
    return [
        Described(output.name, output.datatype, [-1, *output.shape])
        for output in outputs_of(engine.task, abstains=engine.abstains)
    ]


def wanted_outputs(engine: Engine, names: Sequence[str]) -> list[Output]:
    """The outputs that a client names, in its order; all of them when it names none.

    Raises:
        BadData: there is no such output.
    """
    known = {output.name: output for output in outputs_of(engine.task, abstains=engine.abstains)}
    for place, name in enumerate(names):
        if name not in known:
            raise BadData(
                where=f"$.outputs[{place}].name",
                found="no such output",
                expected=" or ".join(known),
                remedy=nearest(name, known),
            )
    return [known[name] for name in names or known]


def ids_of(name: str, rows: int) -> list[str]:
    """The ids that a request's rows are logged under: its own, or one for each of several."""
    return [name] if rows == 1 else [f"{name}-{row}" for row in range(rows)]


def answer_parameters(engine: Engine) -> dict[str, str]:
    """What an answer says beside its tensors: who answered, and the unit of a number."""
    parameters = {"release": engine.release, "variant": engine.variant}
    return {**parameters, "unit": engine.task.unit} if engine.task.unit else parameters
