"""Predicting, training and tuning on a Ray cluster of two cores, which all tests of this file share."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from distilbert_cli.main import app
from distilbert_cli.training_progress import training_progress
from distilbert_common.errors import DistilBertError, InputError, OutputExistsError
from distilbert_deploy import export
from distilbert_deploy.scale import Cluster, SearchSpace, finetune, predict, tune
from distilbert_deploy.scale.cluster import connected
from distilbert_tasks import TrainingOptions
from distilbert_tasks import finetune as finetune_here
from distilbert_tasks.prediction import read_rows
from distilbert_tasks.run import check_world
from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.progress import Answering, Evaluation, Note
from parity_tests.helpers.small_tasks import DEMO, small_data, small_model

MODEL, FILE = DEMO / "model", DEMO / "data" / "banking77_test.csv"
TWO = Cluster(workers=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster that is used by whatever runs on Ray here, and ends with its processes."""
    mine = psutil.Process()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_worker_niceness", "0")  # as the tests themselves
        with connected(TWO, "the tests"):
            yield
    psutil.wait_procs(mine.children(recursive=True), timeout=20)
    assert [child for child in mine.children(recursive=True) if "ray" in " ".join(child.cmdline()[:3])] == []


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's model for ONNX Runtime, which starts in a fraction of the time of a framework."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    export(MODEL, folder)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with a file of 120 rows."""
    lines = FILE.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "rows.csv").write_text("".join(lines[:121]), encoding="utf-8")
    return tmp_path


def test_an_address_where_nobody_listens_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with (
        pytest.raises(InputError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"),
        connected(Cluster(address="127.0.0.1:1"), "the tests"),
    ):
        pass
    with pytest.raises(InputError, match="workers is 0"):
        Cluster(workers=0)


def test_processes_that_train_apart_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_world(2)
    with pytest.raises(DistilBertError, match="2 processes were started"):
        check_world(1)


def workers() -> list[int]:
    """Return the processes that hold a model."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "MapWorker" in " ".join(child.cmdline())]


class Killer:
    """Kills one of the workers once, when some rows are there."""

    def __init__(self) -> None:
        self.pid, self.rows = 0, 0

    def __call__(self, event: Any) -> None:
        if isinstance(event, Answering):
            self.rows = event.rows
            if not self.pid:
                self.pid = workers()[0]
                os.kill(self.pid, signal.SIGKILL)


@pytest.mark.usefixtures("cluster")
def test_each_row_has_one_answer_though_a_worker_is_killed(exported: Path, small: Path) -> None:
    killer = Killer()
    run: dict[str, Any] = {"file": small / "rows.csv", "output": small / "on_ray.csv", "top_k": 2}
    result = predict(exported, **run, cluster=TWO, rows_per_part=4, on_progress=killer)
    assert (result.rows, result.computed, killer.rows) == (120, 120, 120)
    assert not psutil.pid_exists(killer.pid)
    rows = list(read_rows(small / "rows.csv"))
    answered = list(read_rows(small / "on_ray.csv"))
    assert [row["text"] for row in answered] == [row["text"] for row in rows]
    assert all(len(json.loads(row["labels"])) == 2 for row in answered)
    assert [path.name for path in small.glob("*.parts")] == []


@pytest.mark.usefixtures("cluster")
def test_a_run_that_goes_on_computes_what_is_missing_and_what_has_changed(exported: Path, small: Path) -> None:
    def stop(event: Any) -> None:
        if isinstance(event, Answering):
            raise KeyboardInterrupt

    run: dict[str, Any] = {"file": small / "rows.csv", "output": small / "answers.jsonl", "rows_per_part": 40}
    with pytest.raises(KeyboardInterrupt, match="stopped after 40 of 120 rows"):
        predict(exported, **run, cluster=Cluster(workers=1), on_progress=stop)
    assert not (small / "answers.jsonl").exists()
    with pytest.raises(OutputExistsError, match="holds a run"):
        predict(exported, **run)
    with pytest.raises(InputError, match="begun otherwise: rows_per_part was 40 and is 30"):
        predict(exported, **run | {"rows_per_part": 30}, resume=True)
    lines = (small / "rows.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (small / "rows.csv").write_text("".join([lines[0], "Where is it?,x\n", *lines[2:]]), encoding="utf-8")
    notes: list[Any] = []
    there = [int(path.stem.partition("-")[2]) for path in (small / "answers.jsonl.parts").glob("part-*")]
    result = predict(exported, **run, cluster=Cluster(workers=1), resume=True, on_progress=notes.append)
    assert (result.rows, result.computed) == (120, 120 if there == [0] else 80)
    assert [row["text"] for row in read_rows(small / "answers.jsonl")][:1] == ["Where is it?"]
    with pytest.raises(OutputExistsError, match="is there already"):
        predict(exported, **run, resume=True)


@pytest.mark.usefixtures("cluster")
def test_a_row_that_cannot_be_used_is_named(exported: Path, small: Path) -> None:
    (small / "bad.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n{"txt": "c"}\n')
    with pytest.raises(InputError, match="example 3 has no 'text'"):
        predict(exported, file=small / "bad.jsonl", output=small / "a.csv", cluster=Cluster(workers=1))
    assert not (small / "a.csv.parts").exists()


@pytest.mark.usefixtures("cluster")
def test_two_processes_train_as_one_and_go_on_after_one_was_killed(tmp_path: Path) -> None:
    small_model(tmp_path / "model", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    data = small_data("text-classification", tmp_path / "train", slice(0, 40))
    run: dict[str, Any] = {"train": data, "framework": "pt", "device": "cpu"}
    run["options"] = TrainingOptions(epochs=3, batch_size=8, learning_rate=1e-3, log_every=1, save_every=1)
    alone = finetune_here("text-classification", tmp_path / "model", out=tmp_path / "one", **run)
    killed: list[int] = []

    def kill(event: Any) -> None:
        if isinstance(event, Evaluation) and not killed:
            children = psutil.Process().children(recursive=True)
            killed.append(next(one.pid for one in children if "RayTrainWorker" in " ".join(one.cmdline())))
            os.kill(killed[0], signal.SIGKILL)

    result = finetune(
        "text-classification", tmp_path / "model", out=tmp_path / "two", cluster=TWO, on_progress=kill, **run
    )
    assert killed
    assert not psutil.pid_exists(killed[0])
    steps = [line for line in alone.history if line["kind"] == "train"]
    together = [line for line in result.history if line["kind"] == "train"]
    assert [line["step"] for line in together] == [line["step"] for line in steps]
    assert [line["loss"] for line in together] == pytest.approx([line["loss"] for line in steps], rel=1e-4)
    assert result.metrics["validation"].keys() == alone.metrics["validation"].keys()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("cluster")
def test_what_no_training_takes_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    small_model(tmp_path / "model")
    (tmp_path / "no.jsonl").write_text('{"text": "a", "label": 0}\n{"text": null, "label": 1}\n')
    with pytest.raises(InputError, match=r"no\.jsonl, line 2, column 'text'"):
        finetune("text-classification", tmp_path / "model", train=tmp_path / "no.jsonl", out=tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "no.jsonl"}


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray does not run, and may not be started."""
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray starts"))
    monkeypatch.setattr("ray.is_initialized", lambda: False)


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("kind", ["model", "teacher", "train", "validation"])
def test_what_is_not_there_is_said_before_ray_starts(kind: str, tmp_path: Path) -> None:
    (tmp_path / "no model").mkdir()
    missing = tmp_path / ("no model" if kind in ("model", "teacher") else "no.csv")
    arguments: dict[str, Any] = {"model": MODEL, "train": FILE, "out": tmp_path / "out"} | {kind: missing}
    with pytest.raises(DistilBertError, match=r"no file|has no weights"):
        finetune("text-classification", **arguments)
    if kind != "teacher":
        with pytest.raises(DistilBertError, match=r"no file|has no weights"):
            tune("text-classification", **arguments, space=SearchSpace(space={"epochs": 1}))
    assert [path.name for path in tmp_path.iterdir()] == ["no model"]


@pytest.mark.usefixtures("no_ray")
def test_a_column_that_is_not_there_is_said_before_ray_starts(tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text('{"txt": "a"}\n')
    arguments: dict[str, Any] = {"model": MODEL, "train": tmp_path / "no.jsonl", "out": tmp_path / "out"}
    with pytest.raises(InputError, match=r"no\.jsonl: no column"):
        finetune("text-classification", **arguments)
    with pytest.raises(InputError, match=r"no\.jsonl: no column"):
        tune("text-classification", **arguments, space=SearchSpace(space={"epochs": 1}))
    assert [path.name for path in tmp_path.iterdir()] == ["no.jsonl"]


@pytest.mark.usefixtures("cluster")
def test_bad_trials_stop_early_and_a_search_goes_on(tmp_path: Path) -> None:
    data = small_data("text-classification", tmp_path / "data", slice(0, 60))
    space = SearchSpace(
        trials=1, space={"learning_rate": {"grid": [1e-4, 1e-9]}, "epochs": 4, "batch_size": 16}, metric="loss"
    )
    small_model(tmp_path / "model", dropout=0.0, attention_dropout=0.0)

    def stop(event: Any) -> None:
        if isinstance(event, Note) and "trial 1" in event.text:
            raise KeyboardInterrupt

    run: dict[str, Any] = {"train": data, "out": tmp_path / "out", "framework": "pt", "device": "cpu"}
    run |= {"cluster": Cluster(workers=1)}
    with pytest.raises(KeyboardInterrupt, match="resume the search"):
        tune("text-classification", tmp_path / "model", space, **run, on_progress=stop)
    before = read_history(tmp_path / "out" / "trials" / "000")
    with pytest.raises(OutputExistsError, match="holds a search"):
        tune("text-classification", tmp_path / "model", space, **run)
    with training_progress() as tell:  # as the command does, which holds a lock
        result = tune("text-classification", tmp_path / "model", space, **run, resume=True, on_progress=tell)
    statuses = {one.number: one.status for one in result.outcomes}
    assert statuses == {0: "finished", 1: "stopped early"}
    assert result.best == tmp_path / "out" / "trials" / "000"
    assert read_history(result.best) == before
    assert {"tune.json", "tune.png", "trials", "features"} == {path.name for path in (tmp_path / "out").iterdir()}
    facts = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert facts["results"][0]["trial"] == 0
    assert list(tmp_path.glob("out/trials/*/checkpoints")) == []


@pytest.mark.parametrize("command", ["predict", "finetune", "tune"])
def test_without_ray_the_command_that_installs_it_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distilbert_deploy.scale.cluster.find_spec", lambda name: None)
    (tmp_path / "space.yaml").write_text("space: {epochs: 1}")
    training = ["--task", "text-classification", "--train", FILE, "--out", tmp_path / "out"]
    arguments = {
        "predict": ["--ray", "--file", FILE, "--output", tmp_path / "a.csv"],
        "finetune": ["--ray", *training],
        "tune": [tmp_path / "space.yaml", *training],
    }
    result = CliRunner().invoke(app, [command, str(MODEL), *map(str, arguments[command])])
    assert result.exit_code == 2
    assert "pip install 'distilbert[ray]'" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]
