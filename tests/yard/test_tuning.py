"""The search stage: what is recorded of trials, how it ends, and using what it chose."""

from __future__ import annotations

import dataclasses
import itertools
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.killing import begin
from tests.support.searching import PROJECT, search_project, tune_until
from tests.yard.test_featuring import Told
from torchyard.core.errors import BadModel, BadProject, BadUsage, NotFound, Stopped
from torchyard.core.record import read_record
from torchyard.records.search import Study, Trial
from torchyard.train import StoredExamples
from torchyard.train.history import History
from torchyard.train.preflight import Preflight
from torchyard.yard import Yard
from torchyard.yard.preflight import fly
from torchyard.yard.results import Featured, OpenProject
from torchyard.yard.trying import Limits
from torchyard.yard.workspace import Workspace

# MLflow's use of SQLAlchemy
pytestmark = pytest.mark.filterwarnings("ignore")

Make = Callable[..., Yard]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Open the project, some of its text replaced, in a folder of its own or an earlier one."""

    def make(*changes: tuple[str, str], again: bool = False, name: str = "demo") -> Yard:
        text = PROJECT
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        folder = tmp_path / name
        if again:
            (folder / "project.py").write_text(text)
        else:
            search_project(folder, text)
        return Yard(folder, progress=Told())

    return make


def told(yard: Yard) -> str:
    assert isinstance(yard._progress, Told)
    return "\n".join(yard._progress.notes)


def breaks(yard: Yard, how: str) -> None:
    (yard.workspace.folder / "breaks").write_text(how)


def timeless(study: Study) -> list[Trial]:
    return [dataclasses.replace(one, seconds=0.0, run="") for one in study.trials]


def history(workspace: Workspace) -> History:
    return History(workspace.tracking_url, workspace.tracking_files)


def test_trials_are_recorded_lightly_under_their_search(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    examples = Featured.examples

    def noted(self: Featured, part: str) -> StoredExamples:
        read.append(part)
        return examples(self, part)

    monkeypatch.setattr(Featured, "examples", noted)
    yard = make()
    study = yard.tune(trials=3)
    assert set(read) == {"train", "validation"}
    assert [one.outcome for one in study.trials] == ["complete"] * 3
    assert study.best == min(study.trials, key=lambda one: one.value or 0)
    assert read_record(Study, yard.workspace.studies / study.key / "study.json") == study
    assert (yard.workspace.studies / study.key / "history.png").exists()
    runs = {one.id: one for one in history(yard.workspace).newest()}
    parent = runs.pop(study.run)
    assert parent.tags["torchyard.study"] == study.key
    assert {"study.json", "pictures/history.png", "environment.json"} <= set(parent.files)
    assert set(runs) == {one.run for one in study.trials}
    for trial in study.trials:
        run = runs[trial.run]
        assert run.status == "FINISHED"
        assert run.tags["mlflow.parentRunId"] == study.run
        assert run.tags["torchyard.study"] == study.key
        assert run.tags["torchyard.trial"] == str(trial.number)
        assert run.parameters["model.hidden"] == str(trial.model["hidden"])
        assert run.metrics["best_validation_loss"] == trial.value
        assert list(run.files) == []
    assert [one.name for one in yard.workspace.runs.iterdir()] == []
    assert "trial 2 of 3: validation loss" in told(yard)
    assert "the lowest so far" in told(yard)


@pytest.mark.slow
def test_a_search_goes_on_where_it_was_stopped_and_finds_the_same(make: Make) -> None:
    whole = make(name="whole").tune(trials=3)
    yard = make()
    for stop in range(2):
        breaks(yard, "stop")
        with pytest.raises(Stopped, match=r"SIGTERM.*run the same command again"):
            yard.tune(trials=3)
        assert (yard.workspace.studies / "none").exists() is False, stop
        if stop == 0:
            yard.tune(trials=1)
    study = yard.tune(trials=3)
    assert timeless(study) == timeless(whole)
    assert len(list(history(yard.workspace).newest())) == 4
    again = yard.tune(trials=3)
    assert again == study
    assert isinstance(yard._progress, Told)
    assert yard._progress.skipped[-1]


@pytest.mark.slow
def test_killed_before_or_after_any_step_it_finds_the_same(make: Make) -> None:
    saving = ("preflight=False", "preflight=False, checkpoint_seconds=0")
    whole = make(saving, name="whole").tune(trials=7)
    assert whole.pruned
    yard = make(saving)
    search, trying = "torchyard.train.search", "torchyard.yard.trying"
    for module, name, count, after in (
        (search, "Search.ask", 2, True), (search, "Trying.report", 2, False),
        (search, "Trying.report", 5, True), (search, "Trying.end", 1, False),
        (search, "Trying.end", 1, True), (trying, "train_in", 1, True),
        (search, "Trying.is_hopeless", 1, True), (trying, "_record", 1, False),
    ):  # fmt: skip
        process = begin(
            tune_until, yard.workspace.folder, 7, module, name, count, after
        )  # fmt: skip
        process.join()
        assert process.exitcode == -signal.SIGKILL, name
    study = yard.tune()
    assert timeless(study) == timeless(whole)
    assert study.importance == whole.importance
    assert study.key == whole.key
    runs = list(history(yard.workspace).newest())
    assert {one.status for one in runs} == {"FINISHED"}
    assert len(runs) == 1 + 7


def test_trials_that_fail_are_recorded_with_their_reason_and_the_search_goes_on(
    make: Make,
) -> None:
    yard = make(("ty.whole(2, 8)", "ty.choice(4, 8)"))
    breaks(yard, "large")
    study = yard.tune(trials=4)
    large = [one for one in study.trials if one.model["hidden"] == 8]
    assert 0 < study.failed == len(large) < 4
    assert {one.outcome for one in study.trials if one not in large} <= {"complete", "pruned"}
    for one in large:
        assert one.reason.startswith("model Net(hidden=8")
        assert "found ValueError: 8 are too many" in one.reason
    assert "failed: model Net(hidden=8" in told(yard)
    failed = {one.id: one for one in history(yard.workspace).newest()}[large[0].run]
    assert failed.status == "FAILED"
    assert "ValueError: 8 are too many" in failed.tags["error"]
    assert study.tuned is not None
    assert (study.tuned.tried, study.tuned.failed) == (4, len(large))


@pytest.mark.parametrize(("how", "reason"), [("nan", "NaN"), ("memory", "MemoryError")])
def test_a_loss_that_is_not_finite_and_memory_that_runs_out_are_reasons(
    make: Make, how: str, reason: str
) -> None:
    yard = make(("hidden=ty.whole(2, 8)", "hidden=ty.choice(7, 8)"))
    breaks(yard, how)
    study = yard.tune(trials=1)
    assert study.failed == 1
    assert reason in study.trials[0].reason
    assert study.best is None


@pytest.mark.slow
def test_a_search_whose_every_trial_fails_ends(make: Make) -> None:
    yard = make()
    breaks(yard, "always")
    with pytest.raises(BadModel, match=r"found 5 trials, every one.*are too many.*; expected some"):
        yard.tune()
    with pytest.raises(NotFound, match=r"no trial that was trained to its end.*torchyard tune"):
        yard.train(tuned=True)


@pytest.mark.slow
def test_the_model_is_checked_once_before_the_first_trial(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    flown: list[OpenProject] = []

    def counted(opened: OpenProject, featured: Featured) -> Preflight:
        flown.append(opened)
        return fly(opened, featured)

    monkeypatch.setattr("torchyard.yard.tuning.fly", counted)
    yard = make((", preflight=False", ""))
    yard.tune(trials=1)
    yard.tune(trials=2)
    assert [one.arguments.keys() for one in flown] == [{"hidden", "dummy"}]
    breaks(yard, "always")
    other = make(
        (", preflight=False", ""), ("self.layers(x)", "(self.layers(x) * 0)"), name="other"
    )
    with pytest.raises(BadModel, match="pre-flight"):
        other.tune(trials=1)
    assert len(flown) == 2


@pytest.mark.slow
def test_when_the_time_is_over_the_trial_under_way_waits(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = make()
    study = yard.tune(minutes=1e-9)
    assert (study.trials, study.best) == ((), None)
    asked = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(Limits, "is_late", lambda self: next(asked) > 5)
        assert yard.tune(minutes=1.0).trials == ()
    kept = list(yard.workspace.runs.glob("*/checkpoints/*.safetensors"))
    assert len(kept) == 1
    study = yard.tune(trials=1)
    assert [one.outcome for one in study.trials] == ["complete"]
    whole = make(name="whole").tune(trials=1)
    assert timeless(study) == timeless(whole)


@pytest.mark.slow
def test_what_decides_the_trials_names_the_study(make: Make) -> None:
    first = make().tune(minutes=1e-9)
    same = make(("trials=7", "trials=9"), again=True).tune(minutes=1e-9)
    other = make(("ty.whole(2, 8)", "ty.whole(2, 9)"), again=True).tune(minutes=1e-9)
    seed = make(("seed=3", "seed=4"), again=True).tune(minutes=1e-9)
    assert same.key == first.key
    assert len({first.key, other.key, seed.key}) == 3


def test_a_project_without_a_search_is_told_how_to_declare_one(make: Make) -> None:
    at = PROJECT.index("    search=")
    yard = make((PROJECT[at:], ")\n"))
    with pytest.raises(BadProject, match=r"search=\): found no search.*ty.Search\(learning_rate="):
        yard.tune()
    with pytest.raises(NotFound, match=r"--tuned: found no search.*torchyard tune"):
        yard.train(tuned=True)


@pytest.mark.parametrize(
    ("given", "name"), [({"trials": 0}, "trials"), ({"minutes": 0}, "minutes")]
)
def test_limits_that_leave_nothing_to_do_are_refused(
    make: Make, given: dict[str, int], name: str
) -> None:
    with pytest.raises(BadUsage, match=f"--{name}: found 0; expected above 0"):
        make().tune(**given)  # type: ignore[arg-type]


def test_a_setting_that_is_searched_cannot_be_given(make: Make) -> None:
    with pytest.raises(BadUsage, match=r"found learning_rate, which ty.Search chooses.*Leave"):
        make().tune(training={"learning_rate": 0.1, "seed": 4})


@pytest.mark.slow
def test_a_run_takes_what_the_latest_fitting_search_chose(make: Make) -> None:
    yard = make()
    study = yard.tune(trials=2)
    trained = yard.train(tuned=True)
    best = study.best
    assert best is not None
    run = trained.run
    assert run.tuned == study.tuned
    assert run.training.learning_rate == best.settings["learning_rate"]
    assert run.best is not None
    assert run.best.validation_loss == best.value
    assert run.parameters == 3 * best.model["hidden"] + 1
    assert run.weights_sha256 != yard.train().run.weights_sha256
    assert yard.train().run.tuned is None
    recorded = {one.id: one for one in history(yard.workspace).newest()}[run.id]
    assert recorded.tags["torchyard.trial"] == str(best.number)
    assert json.loads((trained.folder / "run.json").read_text())["tuned"]["tried"] == 2
    with pytest.raises(BadUsage, match=r"found learning_rate, which search \w+ chose"):
        yard.train(tuned=True, training={"learning_rate": 0.1})
    with pytest.raises(NotFound, match=r"differs in seed \(3 then, 5 now\).*torchyard tune"):
        yard.train(tuned=True, training={"seed": 5})
    changed = make(("nn.ReLU", "nn.Tanh"), again=True)
    with pytest.raises(NotFound, match=r"none that fits: the latest one, .* differs in code"):
        changed.train(tuned=True)


LIGHTNING = (
    ("from torch import nn\n", "from torch import nn\nfrom lightning import LightningModule\n"),
    ("class Net(nn.Module)", "class Net(LightningModule)"),
    ("    def forward(", """    def training_step(self, batch, number):
        tensors, labels = batch
        logits = self(**tensors)
        return nn.functional.binary_cross_entropy_with_logits(logits, labels)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)

    def forward("""),
    ("dummy=0.0):", "dummy=0.0, rate=0.1):"),
    ("super().__init__()\n", "super().__init__()\n        self.rate = rate\n"),
)  # fmt: skip
FIT = (
    ("project = ty.Project(", """def fit(context):
    module = context.build()
    optimizer = torch.optim.SGD(module.parameters(), lr=context.settings.learning_rate)
    for epoch in range(1, context.settings.max_epochs + 1):
        for batch in context.batches(epoch):
            loss = context.loss(module, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        context.epoch(loss.item(), context.validation_loss(module))
    return module


project = ty.Project("""),
    ("model=Net,", "model=Net, fit=fit,"),
)  # fmt: skip


@pytest.mark.slow
def test_trials_of_a_projects_own_fit_are_pruned_too(make: Make) -> None:
    study = make(*FIT).tune(trials=10)
    assert study.pruned
    assert not study.failed
    assert study.pruned + len(study.ranked) == 10


@pytest.mark.slow
def test_trials_of_a_lightning_module_search_what_it_takes(make: Make) -> None:
    rate = ("learning_rate=ty.log_uniform(1e-4, 1e-1),", "batch_size=ty.choice(40, 80),")
    model = ("dummy=ty.uniform(0, 1)", "rate=ty.log_uniform(1e-4, 1.0)")
    study = make(*LIGHTNING, rate, model).tune(trials=10)
    assert study.pruned
    assert not study.failed
    assert next(iter(study.importance)) == "model.rate"
    with pytest.raises(BadModel, match="a setting that a LightningModule does not use"):
        make(*LIGHTNING, name="unused").tune()


@pytest.mark.slow
def test_every_process_of_a_shared_trial_has_the_arguments(make: Make) -> None:
    yard = make(
        ("preflight=False", "preflight=False, devices=2, batch_size=60"), ("batch_size=50, ", "")
    )
    study = yard.tune(trials=1)
    assert not study.failed, study.trials[0].reason
    run = yard.train(tuned=True).run
    assert run.best is not None
    assert run.best.validation_loss == study.trials[0].value
    assert run.parameters == 3 * study.trials[0].model["hidden"] + 1
