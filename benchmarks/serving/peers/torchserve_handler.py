"""What TorchServe calls with the requests of a batch."""

from onnx_model import OnnxModel

OPENED = []


def handle(data, context):
    """Answer the rows of several requests together."""
    if not OPENED:
        OPENED.append(OnnxModel())
    if data is None:
        return None
    rows = [request.get("body") or request.get("data") for request in data]
    return [{"probabilities": one} for one in OPENED[0].answer(rows)]
