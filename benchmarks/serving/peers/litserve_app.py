"""LitServe: batches, and its fast queue (ZeroMQ) between servers and workers."""

import litserve
from onnx_model import PORT, SETTINGS, OnnxModel


class Inference(litserve.LitAPI):
    """Rows in, probabilities out."""

    def setup(self, device):
        """Open the file."""
        self.model = OnnxModel()

    def decode_request(self, request):
        """The row as it is."""
        return request

    def batch(self, inputs):
        """Rows side by side."""
        return inputs

    def predict(self, batch):
        """Answer them together."""
        return self.model.answer(batch)

    def unbatch(self, output):
        """An answer for each."""
        return output

    def encode_response(self, output):
        """Named."""
        return {"probabilities": output}


if __name__ == "__main__":
    api = Inference(max_batch_size=SETTINGS["batch"], batch_timeout=SETTINGS["wait_ms"] / 1000)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=SETTINGS["workers"], timeout=60,
        fast_queue=SETTINGS["fast_queue"],
    )  # fmt: skip
    server.run(
        host="127.0.0.1", port=PORT, log_level="error", generate_client_file=False,
        num_api_servers=1, access_log=False,
    )  # fmt: skip
