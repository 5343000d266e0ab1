"""BentoML: a batchable API in several workers."""

import os
import sys
from pathlib import Path

import bentoml
from onnx_model import PORT, SETTINGS, OnnxModel


@bentoml.service(workers=SETTINGS["workers"], traffic={"timeout": 60})
class Inference:
    """Rows in, probabilities out."""

    def __init__(self):
        self.model = OnnxModel()

    @bentoml.api(
        batchable=True, batch_dim=0, route="/predict", max_batch_size=SETTINGS["batch"],
        max_latency_ms=SETTINGS["most_latency_ms"],
    )  # fmt: skip
    def predict(self, rows: list[dict]) -> list[list[float]]:
        """Answer the rows of several requests together."""
        return self.model.answer(rows)


if __name__ == "__main__":
    os.environ |= {
        "BENTOML_HOME": str(Path("bentoml").absolute()),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": str(Path(__file__).resolve().parent),
    }
    bentoml_command = str(Path(sys.executable).parent / "bentoml")
    os.execv(
        bentoml_command,
        [
            bentoml_command, "serve", "bentoml_app:Inference", "--working-dir",
            str(Path(__file__).resolve().parent), "--host", "127.0.0.1", "--port", str(PORT),
        ],
    )  # fmt: skip
