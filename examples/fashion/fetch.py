"""Fashion-MNIST: 70,000 grey pictures of clothes, 28 x 28 pixels, ten kinds (Xiao et al., 2017).

From the Debian package dataset-fashion-mnist (MIT). The pictures become a folder per part and
class, as one's own pictures would lie: data/<part>/<class>/<number>.png. Run:

    python fetch.py
"""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from packages import debian

SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
VERSION = "0.0~git20200523.55506a9-1"
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
VALIDATION = 10_000  # the last of the 60,000 training pictures


def fetch(folder=HERE / "data"):
    """Write the pictures; the folder appears when it is whole."""
    if folder.exists():
        return
    package = debian("dataset-fashion-mnist", VERSION, SHA256)
    unpacked = package.parent / "unpacked"
    subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    source = unpacked / "usr/share/datasets/fashion-mnist"
    stage = folder.with_name(".data")
    shutil.rmtree(stage, ignore_errors=True)
    pictures, labels = read(source, "train")
    cut = len(labels) - VALIDATION
    write(stage / "train", pictures[:cut], labels[:cut])
    write(stage / "validation", pictures[cut:], labels[cut:])
    write(stage / "test", *read(source, "t10k"))
    stage.rename(folder)
    shutil.rmtree(package.parent)


def read(folder, name):
    """Pictures `uint8 [rows, 28, 28]` and labels `uint8 [rows]` of an IDX file pair."""
    import numpy as np

    pixels = gzip.decompress((folder / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
    return np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8)


def write(folder, pictures, labels):
    from PIL import Image

    for kind in CLASSES:
        (folder / kind).mkdir(parents=True)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture).save(folder / CLASSES[label] / f"{number:05d}.png")


if __name__ == "__main__":
    fetch()
    print("pictures are in", HERE / "data")
