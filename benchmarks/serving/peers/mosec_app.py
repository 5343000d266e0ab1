"""mosec: Rust in front, Python workers behind, dynamic batches."""

import sys

import orjson
from mosec import Server, Worker
from onnx_model import PORT, SETTINGS, OnnxModel


class Inference(Worker):
    """Batches of rows; orjson both ways, as its documentation advises for speed."""

    def __init__(self):
        super().__init__()
        self.model = OnnxModel()

    def deserialize(self, data):
        """From JSON."""
        return orjson.loads(data)

    def serialize(self, data):
        """To JSON."""
        return orjson.dumps(data)

    def forward(self, data):
        """Answer one row, or a batch of them."""
        if SETTINGS["batch"] == 1:
            return {"probabilities": self.model.answer([data])[0]}
        return [{"probabilities": one} for one in self.model.answer(data)]


if __name__ == "__main__":
    sys.argv[1:] = [
        "--address", "127.0.0.1", "--port", str(PORT), "--timeout", "30000", "--capacity", "1024",
        "--log-level", "error",
    ]  # fmt: skip
    server = Server()
    server.append_worker(
        Inference, num=SETTINGS["workers"], max_batch_size=SETTINGS["batch"],
        max_wait_time=SETTINGS["wait_ms"],
    )  # fmt: skip
    server.run()
