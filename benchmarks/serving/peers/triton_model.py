"""The model under Triton's Python backend: one ONNX Runtime call for all requests that wait."""

import numpy as np
import triton_python_backend_utils as pb_utils
from onnx_model import OnnxModel


class TritonPythonModel:
    """Named and shaped as the backend demands."""

    def initialize(self, args):
        """Open the file."""
        self.model = OnnxModel()

    def execute(self, requests):
        """Answer each request from one batch."""
        feed, counts = {}, []
        for name, dtype, _ in self.model.inputs:
            parts = [
                pb_utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests
            ]
            column = np.concatenate(parts) if len(parts) > 1 else parts[0]
            if dtype is object:
                column = np.array([[text.decode()] for text in column[:, 0]], object)
            feed[name] = column
            counts = [len(part) for part in parts]
        answers = np.split(self.model.run(feed), np.cumsum(counts)[:-1])
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("probabilities", np.ascontiguousarray(one))]
            )
            for one in answers
        ]
