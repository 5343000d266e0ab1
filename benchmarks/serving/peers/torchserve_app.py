"""TorchServe with a handler of our own: its batches, one Java front."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from onnx_model import FILE, NAME, PORT, SETTINGS

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent


def main():
    """Pack an archive, write the configuration, then become the server."""
    Path("store").mkdir()
    archiver = [
        str(BIN / "torch-model-archiver"), "--model-name", NAME, "--version", "1.0",
        "--handler", str(HERE / "torchserve_handler.py"), "--extra-files",
        f"{FILE},{HERE / 'onnx_model.py'}", "--export-path", "store",
    ]  # fmt: skip
    subprocess.run(archiver, check=True)
    wait, batch, workers = SETTINGS["wait_ms"], SETTINGS["batch"], SETTINGS["workers"]
    Path("config.properties").write_text(
        f"inference_address=http://127.0.0.1:{PORT}\n"
        f"management_address=http://127.0.0.1:{PORT + 1}\n"
        f"metrics_address=http://127.0.0.1:{PORT + 2}\n"
        f"grpc_inference_port={PORT + 3}\ngrpc_management_port={PORT + 4}\n"
        f"model_store={Path('store').absolute()}\n"
        "disable_token_authorization=true\nenable_envvars_config=false\nasync_logging=true\n"
        "disable_system_metrics=true\njob_queue_size=1000\n"
        'models={"%s":{"1.0":{"defaultVersion":true,"marName":"%s.mar","minWorkers":%d,'
        '"maxWorkers":%d,"batchSize":%d,"maxBatchDelay":%d,"responseTimeout":60}}}\n'
        % (NAME, NAME, workers, workers, batch, wait)
    )
    Path("log4j2.xml").write_text(
        '<Configuration><Loggers><Root level="error"/></Loggers></Configuration>'
    )
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    os.environ["TEMP"] = str(Path().absolute())
    command = shutil.which("torchserve", path=str(BIN))
    os.execv(
        command,
        [
            command, "--start", "--foreground", "--ncs", "--ts-config", "config.properties",
            "--model-store", "store", "--models", "all", "--log-config", "log4j2.xml",
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
