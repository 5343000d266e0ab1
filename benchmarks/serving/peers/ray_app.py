"""Ray Serve on a cluster of this machine alone: its batching without a wait."""

import os
import signal
from pathlib import Path

import ray
from onnx_model import PORT, SETTINGS, OnnxModel
from ray import serve


@serve.deployment(
    num_replicas=SETTINGS["workers"], max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5}
)
class Inference:
    """Rows in, probabilities out."""

    def __init__(self):
        self.model = OnnxModel()

    @serve.batch(max_batch_size=SETTINGS["batch"], batch_wait_timeout_s=SETTINGS["wait_ms"] / 1000)
    async def answer(self, rows):
        """Answer rows together."""
        return self.model.answer(rows)

    async def __call__(self, request):
        """One request."""
        return {"probabilities": await self.answer(await request.json())}


if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    orders = {name: value for name, value in os.environ.items() if name.startswith("BENCH_")}
    paths = {"PYTHONPATH": str(Path(__file__).resolve().parent)}
    ray.init(
        num_cpus=4, include_dashboard=False, log_to_driver=False,
        runtime_env={"env_vars": orders | paths},
    )  # fmt: skip
    serve.start(http_options={"host": "127.0.0.1", "port": PORT, "access_log": False})
    serve.run(Inference.bind(), route_prefix="/predict")
    signal.sigwait([signal.SIGTERM])
    ray.shutdown()
