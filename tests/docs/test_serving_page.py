"""The page about running a server names every setting, with its default, and no other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from torchyard.runtimes.devices import STEPS
from torchyard.serve.configured import read_settings
from torchyard.serve.settings import default_of, settable
from torchyard.serve.tuning.warming import SIZES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "serving.md").read_text()
LIMITS = (DOCS / "http.md").read_text() + (DOCS / "grpc.md").read_text()


def test_every_setting_is_on_its_page() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE + LIMITS, flags=re.MULTILINE))
    assert set(settable()) <= told


def test_the_settings_of_the_table_exist_with_these_defaults() -> None:
    table = PAGE.partition("| Setting | Default |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, flags=re.MULTILINE)
    assert len(rows) > 5
    for name, default in rows:
        assert name in settable()
        if name != "project_name":  # the yard gives the folder's
            written = tomllib.loads(f"x = {default.strip('`')}")["x"]
            found = tuple(written) if isinstance(written, list) else written
            assert found == default_of(name), name


def test_how_far_answers_may_be_off_on_a_gpu_is_told() -> None:
    part = PAGE.partition("## GPUs")[2].partition("\n## ")[0]
    told = re.findall(r"([\d.]+) in (\w+)", part)
    assert {name: float(step) for step, name in told} == STEPS
    assert str(max(SIZES)) in part


def test_the_files_on_the_page_can_be_read(tmp_path: Path) -> None:
    shown = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert shown
    for text in shown:
        path = tmp_path / "torchyard.toml"
        path.write_text(text)
        assert read_settings(path)
