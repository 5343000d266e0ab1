"""FastAPI on uvicorn with uvloop, httptools and orjson. No batching, no access log.

``declared`` validates the body by a pydantic model made of the file's inputs; otherwise the body is
read by orjson and trusted.
"""

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from onnx_model import PORT, SETTINGS, OnnxModel

app = FastAPI()
model = OnnxModel()
PYTHON_TYPES = {"tensor(double)": float, "tensor(string)": str}


async def predict_raw(request: Request) -> Response:
    """One row in, its probabilities out."""
    answer = model.answer([orjson.loads(await request.body())])[0]
    return Response(orjson.dumps({"probabilities": answer}), media_type="application/json")


def declare():
    """The same with a declared body and a declared answer."""
    from pydantic import BaseModel, create_model

    def kind(node):
        inner = int if node.type == "tensor(int64)" else float
        for _ in node.shape[1:]:
            inner = list[inner]
        return PYTHON_TYPES.get(node.type, inner)

    fields = {node.name: (kind(node), ...) for node in model.session.get_inputs()}
    row_type = create_model("Row", **fields)

    class Answer(BaseModel):
        probabilities: list[float]

    @app.post("/predict")
    async def predict(row: row_type) -> Answer:
        return Answer(probabilities=model.answer([row.model_dump()])[0])


if SETTINGS.get("declared"):
    declare()
else:
    app.post("/predict")(predict_raw)

if __name__ == "__main__":
    uvicorn.run(
        "fastapi_app:app", port=PORT, workers=SETTINGS["workers"], loop="uvloop", http="httptools",
        access_log=False, log_level="warning",
    )  # fmt: skip
