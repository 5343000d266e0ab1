"""MLServer with a runtime of our own: its adaptive batching, parallel workers where told."""

import json
import os
import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_model import NAME, PORT, SETTINGS, OnnxModel

HERE = Path(__file__).resolve().parent


class OnnxRuntime(MLModel):
    """Tensors in, probabilities out."""

    async def load(self) -> bool:
        """Open the file."""
        self.model = OnnxModel()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the rows of several requests together."""
        tensors = {item.name: item for item in payload.inputs}
        feed = {}
        for name, dtype, _ in self.model.inputs:
            tensor = tensors[name]
            data = getattr(tensor.data, "root", tensor.data)
            if dtype is object:
                data = [text.decode() if isinstance(text, bytes) else text for text in data]
            feed[name] = np.array(data, dtype).reshape(tensor.shape)
        answers = self.model.run(feed)
        outputs = [NumpyCodec.encode_output("probabilities", answers)]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def main():
    """Write the two settings files, then become the server."""
    first, second, third = PORT, PORT + 1, PORT + 2
    Path("settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1", "http_port": first, "grpc_port": second,
                "metrics_port": third, "metrics_endpoint": None, "debug": False,
                "parallel_workers": SETTINGS["workers"],
                "logging_settings": quiet(),
            }
        )
    )  # fmt: skip
    Path("model-settings.json").write_text(
        json.dumps(
            {
                "name": NAME, "implementation": "mlserver_app.OnnxRuntime",
                "max_batch_size": SETTINGS["batch"], "max_batch_time": SETTINGS["wait_ms"] / 1000,
            }
        )
    )  # fmt: skip
    os.environ["PYTHONPATH"] = str(HERE)
    command = str(Path(sys.executable).parent / "mlserver")
    os.execv(command, [command, "start", "."])


def quiet():
    """No line for every request."""
    return {"version": 1, "disable_existing_loggers": False, "root": {"level": "ERROR"}}


if __name__ == "__main__":
    main()
