"""Transforms of texts, pictures and tensors: what enters the graph through a host step or as is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from torchyard.core.errors import BadProject
from torchyard.features.graph import Array, Finished, Path, Place
from torchyard.features.host import HostSteps
from torchyard.features.learn import Block, Learner, Nothing, Words
from torchyard.features.operation import Operation
from torchyard.records.schema import Schema
from torchyard.records.training import HostStep, Transform


def _passthrough(place: Place) -> Finished:
    field = place.field()
    whole = field.dtype == "int64" and field.ge is not None and field.ge >= 0
    cardinality = int(field.le) + 1 if whole and field.le is not None else 0
    return Finished(place.raw(), field.dtype, field.shape, cardinality)


def _tokenize(place: Place) -> Finished:
    from torchyard.features import tokens

    options = place.transform.options
    length, text = int(options["length"]), options["tokenizer"]
    try:
        if text is None:
            tokenizer, padding = tokens.learnt_tokenizer(place.learnt), 0
            text = tokenizer.to_str()
        else:
            tokenizer = tokens.open_tokenizer(text)
            padding = tokens.padding_of(tokenizer)
        tokens.set_length(tokenizer, length, padding)
        cardinality = tokens.count_numbers(tokenizer)
    except ValueError as error:
        raise BadProject(
            where=f"features: {place.path[0]} = ty.tokenize('{place.transform.inputs[0]}')",
            found=str(error),
            expected="a tokenizers file, and a length that holds more than its own marks",
            remedy="Give a tokenizer.json that tokenizers opens, or raise length.",
        ) from error
    step = HostStep(
        output=f"host/{place.path[0]}",
        field=str(place.transform.inputs[0]),
        operation="tokenize",
        dtype="int64",
        shape=(length,),
        options={"length": length, "padding": padding, "tokenizer": text},
    )
    place.writer.steps.append(step)
    return Finished(step.output, "int64", (length,), cardinality)


def _learn_tokenize(
    transform: Transform, path: Path, schema: Schema
) -> Learner[tuple[str, ...]] | None:
    from torchyard.features.tokens import counted_words

    most = transform.options["vocabulary"]
    if most is None:
        return None
    return Words(str(transform.inputs[0]), counted_words, most=int(most))


def _pixels(place: Place) -> Finished:
    """Grey values scaled to 0..1 and normalized; a picture that is black all over counts as missing
    where one may be missing.
    """
    step = _picture_step(place.transform, str(place.path[0]))
    place.writer.steps.append(step)
    height, width, channels = step.shape
    statistics = place.learnt or Statistics(np.zeros(channels), np.ones(channels))
    mean = place.transform.options["mean"] or statistics.mean
    deviation = place.transform.options["deviation"] or statistics.deviation
    first = place.node("Transpose", [step.output], "channels_first", perm=[0, 3, 1, 2])
    wide = place.node("Cast", [first], "wide", to=TensorProto.FLOAT)
    centre = _per_channel(place, "mean", 255 * np.asarray(mean, np.float64))
    spread = _per_channel(place, "deviation", 255 * np.asarray(deviation, np.float64))
    value = place.node("Div", [place.node("Sub", [wide, centre], "centred"), spread], "normalized")
    if place.field().optional:
        axes = place.constant("axes", [1, 2, 3], np.int64)
        brightest = place.node("ReduceMax", [first, axes], "brightest", keepdims=1)
        black = place.node("Equal", [brightest, place.constant("black", 0, np.uint8)], "is_black")
        value = place.node(
            "Where", [black, place.constant("nothing", 0, np.float32), value], "present"
        )
    return Finished(value, "float32", (channels, height, width))


def _per_channel(place: Place, what: str, values: Array) -> str:
    return place.constant(what, values.reshape(1, -1, 1, 1), np.float32)


def _picture_step(transform: Transform, output: str) -> HostStep:
    height, width = transform.options["size"]
    return HostStep(
        output=f"host/{output}",
        field=str(transform.inputs[0]),
        operation="decode_image",
        dtype="uint8",
        shape=(int(height), int(width), int(transform.options["channels"])),
        options={"resize": transform.options["resize"]},
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and deviation per channel, in 0..1."""

    mean: Array
    deviation: Array


class _Pixels:
    """Sums over all pixels, in whole numbers."""

    def __init__(self, step: HostStep) -> None:
        self._field = step.field
        self._steps = HostSteps([step], where="features")
        self._run: Callable[[Any], dict[str, Array]] = self._steps.run
        self._count = 0
        self._sums = np.zeros(step.shape[2], dtype=object)
        self._squares = np.zeros(step.shape[2], dtype=object)

    def add(self, block: Block) -> None:
        """Add the pictures of some rows; missing ones are passed over."""
        column = block.column(self._field)
        present = column[np.array([bool(content) for content in column[:, 0]], dtype=bool)]
        for first in range(0, len(present), 256):
            (pixels,) = self._run({self._field: present[first : first + 256]}).values()
            wide = pixels.reshape(-1, pixels.shape[-1]).astype(np.uint64)
            self._count += len(wide)
            self._sums += [int(total) for total in wide.sum(axis=0)]
            self._squares += [int(total) for total in np.square(wide).sum(axis=0)]

    def learn(self) -> Statistics:
        """Means and deviations; a constant channel has deviation 1."""
        if not self._count:
            raise Nothing
        pairs = zip(self._sums, self._squares, strict=True)
        # count * squares - sum ** 2 is exact: it is a whole number
        variances = [self._count * squares - total**2 for total, squares in pairs]
        deviations = [(v**0.5) / self._count / 255 if v else 1.0 for v in variances]
        means = [total / self._count / 255 for total in self._sums]
        return Statistics(np.array(means), np.array(deviations))


def _learn_pixels(transform: Transform, path: Path, schema: Schema) -> Learner[Statistics] | None:
    if None not in (transform.options["mean"], transform.options["deviation"]):
        return None
    return _Pixels(_picture_step(transform, str(path[0])))


MEDIA: dict[str, Operation] = {
    "tokenize": Operation(_tokenize, _learn_tokenize),
    "pixels": Operation(_pixels, _learn_pixels),
    "passthrough": Operation(_passthrough),
}
