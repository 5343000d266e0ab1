"""KServe's Python server without a cluster: the Open Inference Protocol, no batching."""

from functools import cache

import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer
from onnx_model import NAME, PORT, SETTINGS, OnnxModel


@cache
def opened():
    """The model, once in each worker: a session cannot be handed to one."""
    return OnnxModel()


class Inference(Model):
    """Tensors in, probabilities out."""

    def __init__(self):
        super().__init__(NAME)
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        """Answer one request."""
        tensors = {item.name: item for item in payload.inputs}
        feed = {
            name: np.array(tensors[name].data, dtype).reshape(tensors[name].shape)
            for name, dtype, _ in opened().inputs
        }
        answers = opened().run(feed)
        output = InferOutput("probabilities", list(answers.shape), "FP32", answers.ravel().tolist())
        return InferResponse(payload.id or "0", NAME, [output])


if __name__ == "__main__":
    ModelServer(
        http_port=PORT, workers=SETTINGS["workers"], enable_grpc=False,
        enable_latency_logging=False, access_log_format=None, event_loop="uvloop",
    ).start([Inference()])  # fmt: skip
