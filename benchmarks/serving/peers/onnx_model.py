"""What every peer's application shares: its orders, and the model that it runs.

The file is opened as torchyard opens it. Orders come in the environment: ``BENCH_MODEL`` (the ONNX
file), ``BENCH_NAME``, ``BENCH_PORT`` and ``BENCH_SETTINGS`` (JSON: workers, threads, batch, ...).
"""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime

FILE = Path(os.environ["BENCH_MODEL"])
NAME = os.environ["BENCH_NAME"]
PORT = int(os.environ["BENCH_PORT"])
SETTINGS = json.loads(os.environ["BENCH_SETTINGS"])
DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64,
    "tensor(string)": object,
}  # fmt: skip


class OnnxModel:
    """Rows as JSON objects to probabilities. A field alone becomes ``[rows, 1]``."""

    def __init__(self, threads=None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or SETTINGS.get("threads", 1)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            str(FILE), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = [
            (node.name, DTYPES[node.type], len(node.shape)) for node in self.session.get_inputs()
        ]

    def feed(self, rows):
        """Arrays by name."""
        feed = {}
        for name, dtype, rank in self.inputs:
            column = np.array([row[name] for row in rows], dtype)
            feed[name] = column[:, None] if column.ndim < rank else column
        return feed

    def run(self, feed):
        """Probabilities ``float32 [rows, classes]`` of arrays."""
        return self.session.run(["probabilities"], feed)[0]

    def answer(self, rows):
        """A list of probabilities for every row."""
        return self.run(self.feed(rows)).tolist()
