"""The merged file: from raw fields to calibrated answer with onnxruntime and numpy alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import torchyard as ty
from tests.support.rows import frame
from tests.support.transforms import FEATURES, SCHEMA, training_rows
from torchyard.core.errors import BadData, BadRecord, BadUsage
from torchyard.features import Encoder, columns_from_frame, fit_graph
from torchyard.features.host import HOST_STEPS
from torchyard.optimize.export import export_module, merge
from torchyard.records.calibration import Calibration
from torchyard.records.training import FeatureGraph
from torchyard.runtimes import open_model

TASK = ty.binary_classification("late")
COLUMNS = columns_from_frame(SCHEMA, training_rows())

SCRIPT = """
import json, sys
import numpy as np
import onnxruntime

TYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(int64)": np.int64,
         "tensor(uint8)": np.uint8, "tensor(string)": object}
session = onnxruntime.InferenceSession(sys.argv[1])
given = json.load(open(sys.argv[2]))
feed = {node.name: np.array(given[node.name], dtype=TYPES[node.type])
        for node in session.get_inputs()}
answer = session.run(["probabilities"], feed)[0]
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "torchyard")]
print(answer.dtype, list(answer.shape), answer.tobytes().hex())
"""


class Net(nn.Module):
    """Every tensor, flattened, through one layer; whole numbers through an embedding."""

    def __init__(self, features: FeatureGraph) -> None:
        super().__init__()
        self.tables = nn.ModuleDict(
            {t.name: nn.Embedding(t.cardinality, 2) for t in features.tensors if t.cardinality}
        )
        width = sum(2 * t.width if t.cardinality else t.width for t in features.tensors)
        self.layer = nn.Linear(width, 1)

    def join(self, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        parts = [
            self.tables[name](tensor) if name in self.tables else tensor
            for name, tensor in tensors.items()
        ]
        logits: torch.Tensor = self.layer(torch.cat([p.flatten(1) for p in parts], dim=1))
        return logits.squeeze(1)


def named_forward(names: list[str]) -> Any:
    """A ``forward`` with a parameter for each tensor: the exporter follows no ``**tensors``."""
    space: dict[str, Any] = {}
    pairs = ", ".join(f"{name}={name}" for name in names)
    exec(f"def forward(self, {', '.join(names)}): return self.join(dict({pairs}))", space)
    return space["forward"]


@pytest.fixture(scope="module", name="merged")
def _merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of every transform there is."""
    folder = tmp_path_factory.mktemp("merged")
    features = folder / "features.onnx"
    graph = fit_graph(
        FEATURES, SCHEMA, lambda: [training_rows()], path=features, modules=FEATURES.modules
    )
    tensors = Encoder(features).encode(COLUMNS)
    sample = {name: torch.from_numpy(tensor[:2].copy()) for name, tensor in tensors.items()}
    torch.manual_seed(0)
    whole = type("Whole", (Net,), {"forward": named_forward(list(tensors))})
    export_module(whole(graph).eval(), sample, folder / "model.onnx")
    merge(
        features, folder / "model.onnx", task=TASK, path=folder / "whole.onnx",
        calibration=Calibration(method="temperature", temperature=1.3),
    )  # fmt: skip
    return folder / "whole.onnx"


def test_plain_onnxruntime_gives_the_same_bits_without_torchyard(
    merged: Path, tmp_path: Path
) -> None:
    model = open_model(merged)
    steps = Encoder(merged.parent / "features.onnx").steps
    feed = {name: values[:40] for name, values in COLUMNS.items()}
    made = steps.run(feed)
    raw = {name: values for name, values in feed.items() if name not in ("photo", "scan")}
    plain = {name: values.tolist() for name, values in {**raw, **made}.items()}
    given = tmp_path / "given.json"
    given.write_text(json.dumps(plain))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(merged), str(given)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = model.run(feed)
    assert done.stdout.split() == ["float32", "[40,", "2]", answer.tobytes().hex()]
    assert answer[:, 1].std() > 0


def test_the_model_reads_raw_fields_and_runs_its_host_steps(merged: Path) -> None:
    model = open_model(merged)
    assert set(model.inputs) == set(SCHEMA.names)
    whole = model.run(COLUMNS)
    assert whole.shape == (300, 2)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-6)
    with pytest.raises(BadUsage, match="no column 'photo'"):
        model.run({name: values for name, values in COLUMNS.items() if name != "photo"})


def test_host_steps_survive_merging_whole(merged: Path) -> None:
    properties = {item.key: item.value for item in onnx.load(merged).metadata_props}
    front = {
        item.key: item.value for item in onnx.load(merged.parent / "features.onnx").metadata_props
    }
    assert properties[HOST_STEPS] == front[HOST_STEPS]
    steps = json.loads(properties[HOST_STEPS])
    assert [step["field"] for step in steps] == ["note", "photo", "scan"]
    assert "it" in json.loads(steps[0]["options"]["tokenizer"])["model"]["vocab"]


def test_the_file_tells_no_path_of_this_machine(merged: Path) -> None:
    content = merged.read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b"stack_trace" not in content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "expected host steps as canonical JSON"),
        ("{}", "found dict; expected a list of host steps"),
        ("[{}]", "no field 'output'"),
        (lambda text: text.replace("tokenize", "translate", 1), "'translate'"),
        (lambda text: text.replace('"padding":0,', ""), "no field 'padding'"),
        (lambda text: text.replace('"length":6', '"length":7'), r"int64 \[6\] for 7 tokens"),
        (
            lambda text: text.replace('"resize":"stretch"', '"resize":"melt"'),
            "options.resize: found 'melt'",
        ),
        (
            lambda text: text.replace('\\"version\\":\\"1.0\\"', "", 1),
            "expected length, padding and",
        ),
    ],
)
def test_damaged_host_steps_are_refused(merged: Path, tmp_path: Path, text: Any, said: str) -> None:
    model = onnx.load(merged)
    properties = {item.key: item.value for item in model.metadata_props}
    changed = text if isinstance(text, str) else text(properties[HOST_STEPS])
    assert changed != properties[HOST_STEPS]
    onnx.helper.set_model_props(model, {HOST_STEPS: changed})
    onnx.save(model, tmp_path / "whole.onnx")
    with pytest.raises(BadRecord, match=said):
        open_model(tmp_path / "whole.onnx")


def test_a_broken_picture_names_its_field_and_row(merged: Path) -> None:
    photo = COLUMNS["photo"].copy()
    photo[3, 0] = b"\x89PNG\r\n\x1a\n but no more"
    with pytest.raises(BadData, match="field 'photo', row 4"):
        open_model(merged).run({**COLUMNS, "photo": photo})


def test_no_rows_give_no_answers(merged: Path) -> None:
    empty = columns_from_frame(SCHEMA, frame(SCHEMA, []))
    assert open_model(merged).run(empty).shape == (0, 2)
