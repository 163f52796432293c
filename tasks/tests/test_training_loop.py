from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forks import killed_at_any_moment
from numpy.typing import NDArray

from distilbert_common.errors import InputError, UnreadableFileError
from distilbert_common.training import Arrays, MicroBatch, StepResult
from distilbert_tasks.training.checkpoints import Checkpoints
from distilbert_tasks.training.history import History, read_history
from distilbert_tasks.training.interruption import Interruption, interruptible
from distilbert_tasks.training.loop import Batches, Evaluator, TrainingRun
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.progress import Evaluation, Event, Progress
from distilbert_tasks.training.state import TrainingState

STEPS_PER_EPOCH = 4


class NoisyEngine:
    """Three weights with momentum, moved by the batch and by random numbers of the step."""

    rank, world, model = 0, 1, None

    def __init__(self, seed: int = 0, on_step: Callable[[int], None] = lambda step: None) -> None:
        self.seed, self.on_step = seed, on_step
        self.weights = np.zeros(3, np.float32)
        self.momentum = np.zeros(3, np.float32)
        self.updates = np.array(0)

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        self.on_step(step)
        noise = np.random.default_rng((self.seed, step)).standard_normal(3, np.float32)
        pull = sum(np.float32(batch.inputs["x"]) * np.float32(batch.share) for batch in micro_batches)
        self.updates = np.asarray(self.updates + 1)
        self.momentum = np.float32(0.9) * self.momentum + noise + pull
        self.weights = self.weights + np.float32(learning_rate) * self.momentum
        return StepResult(np.float32(np.square(self.weights).sum()), np.float32(np.abs(self.momentum).max()))

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        return {"logits": self.weights}

    def state(self) -> Arrays:
        return {"parameters/w": self.weights.copy(), "first_moments/w": self.momentum.copy(), "updates": self.updates}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.weights, self.momentum, self.updates = (state[name] for name in self.state())
        assert self.updates.shape == ()


def numbered(start: int, stop: int) -> Iterator[Sequence[MicroBatch]]:
    """Yield batches that hold the number of the step."""
    for step in range(start, stop):
        yield [MicroBatch({"x": part * step}, {}, 0.5) for part in (0, 1)]


def make_run(folder: Path, options: TrainingOptions, **changes: Any) -> TrainingRun:
    """Return a run that starts anew, or goes on where the newest checkpoint is."""
    engine, batches = changes.pop("engine", None) or NoisyEngine(options.seed), Batches(STEPS_PER_EPOCH, 2.0, numbered)
    checkpoints = Checkpoints(folder / "checkpoints", options.keep_last)
    state = checkpoints.newest() or TrainingState()
    if state.step:
        engine.restore(checkpoints.arrays(state.step))

    def evaluate() -> dict[str, float]:
        return {"score": float(engine.eval_step({})["logits"][0]), "steps": 1.0}

    def save_model(path: Path) -> None:
        (path / "weights.txt").write_text(str(engine.weights.tolist()))

    history = History(folder, state, tensorboard=False)
    evaluator = Evaluator(evaluate, "score", True, save_model)
    changes = {"evaluator": evaluator, **changes}
    return TrainingRun(engine, batches, options, checkpoints, history, state=state, **changes)


def outcome(folder: Path, run: TrainingRun) -> tuple[Any, ...]:
    """Return all that a run leaves, but for what depends on the clock."""
    lines = [{**line, "examples_per_second": 0} for line in read_history(folder)]
    best = run.checkpoints.best(run.state.best_step or 0)
    weights = (best / "weights.txt").read_text() if best.exists() else None
    arrays = {name: array.tobytes() for name, array in run.engine.state().items()}
    names = sorted(path.name for path in run.checkpoints.folder.iterdir())
    return run.state, arrays, lines, weights, names


OPTIONS = TrainingOptions(
    epochs=2, learning_rate=0.1, warmup_steps=3, eval_every=3, save_every=2, log_every=5, accumulation=2, seed=7
)


def train_in(folder: Path, tick: Callable[..., None]) -> None:
    """Train in a new folder, and tell each step of the engine."""
    folder.mkdir()
    make_run(folder, OPTIONS, engine=NoisyEngine(OPTIONS.seed, tick)).run()


def test_a_run_that_is_killed_at_any_moment_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what a loss of power leaves is not tested
    expected = uninterrupted(tmp_path / "expected")
    moments = 0
    for moment, folder in killed_at_any_moment(tmp_path, train_in, every=6):
        folder.mkdir(exist_ok=True)  # it may have been killed before
        run = make_run(folder, OPTIONS)
        run.run()
        assert outcome(folder, run) == expected, f"killed at moment {moment}"
        moments += 1
    assert moments > 30


def uninterrupted(folder: Path) -> tuple[Any, ...]:
    """Return what a run leaves that nothing stops."""
    folder.mkdir()
    run = make_run(folder, OPTIONS)
    run.run()
    return outcome(folder, run)


def test_a_stop_saves_the_step_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    expected = uninterrupted(tmp_path / "expected")
    for stop_at in (3, 5, 8):  # before an evaluation, elsewhere, and when all is done anyway
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        interruption = Interruption()

        def stop(event: Event, stop_at: int = stop_at, interruption: Interruption = interruption) -> None:
            if isinstance(event, Progress) and event.step == stop_at:
                interruption.request()

        run = make_run(folder, OPTIONS, interruption=interruption, on_progress=stop)
        if stop_at < 8:
            with pytest.raises(KeyboardInterrupt, match=f"stopped after step {stop_at} of 8, which is saved"):
                run.run()
            run = make_run(folder, OPTIONS)
        run.run()
        assert outcome(folder, run) == expected


def test_a_second_request_stops_at_once() -> None:
    interruption = Interruption()
    interruption.request()
    with pytest.raises(KeyboardInterrupt, match="at once"):
        interruption.request()


def test_signals_ask_for_the_end_and_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.is_requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_best_weights_are_kept_and_training_stops_when_they_stay_the_best(tmp_path: Path) -> None:
    scores = iter([0.5, 0.7, 0.7, 0.71, 0.6, 0.9])
    saved: list[str] = []
    evaluator = Evaluator(
        lambda: {"score": next(scores)}, "score", True, lambda path: saved.append(path.name.split(".")[1])
    )
    events: list[Event] = []
    options = TrainingOptions(max_steps=50, eval_every=2, patience=3, min_delta=0.05, log_every=1)
    run = make_run(tmp_path, options, evaluator=evaluator, on_progress=events.append)
    state = run.run()
    assert (state.step, state.best, state.best_step) == (10, 0.71, 8)
    assert saved == ["best-2", "best-4", "best-8"]
    assert sorted(path.name for path in run.checkpoints.folder.iterdir()) == ["best-8", "step-10"]
    best = [event.is_best for event in events if isinstance(event, Evaluation)]
    assert best == [True, True, False, True, False]


def test_less_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    scores = iter([3.0, 2.0, 2.5])
    evaluator = Evaluator(lambda: {"loss": next(scores)}, "loss", False, lambda path: None)
    state = make_run(tmp_path, TrainingOptions(max_steps=6, eval_every=2), evaluator=evaluator).run()
    assert (state.best, state.best_step) == (2.0, 4)


def test_without_validation_every_epoch_is_saved_and_none_is_best(tmp_path: Path) -> None:
    run = make_run(tmp_path, TrainingOptions(epochs=3, keep_last=2), evaluator=None)
    state = run.run()
    assert (state.step, state.best_step) == (12, None)
    assert sorted(path.name for path in run.checkpoints.folder.iterdir()) == ["step-12", "step-8"]


def test_the_record_holds_the_mean_of_the_steps_since_the_line_before(tmp_path: Path) -> None:
    losses: list[list[float]] = []
    for log_every in (1, 4):
        folder = tmp_path / str(log_every)
        folder.mkdir()
        make_run(folder, TrainingOptions(max_steps=6, log_every=log_every), evaluator=None).run()
        losses.append([line["loss"] for line in read_history(folder)])
    each, means = losses
    assert len(each) == 6
    assert means == [pytest.approx(np.mean(each[:4]), rel=1e-12), pytest.approx(np.mean(each[4:]), rel=1e-12)]


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    engine = NoisyEngine()

    def spoil(step: int) -> None:
        if step == 3:
            engine.weights = np.full(3, np.nan, np.float32)

    engine.on_step = spoil
    run = make_run(tmp_path, TrainingOptions(max_steps=8, save_every=2), evaluator=None, engine=engine)
    with pytest.raises(InputError, match=r"the loss became nan .* lower the learning rate"):
        run.run()
    assert [path.name for path in run.checkpoints.folder.iterdir()] == ["step-2"]


def test_an_unknown_metric_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    evaluator = Evaluator(lambda: {"f1": 1.0, "loss": 0.5}, "bleu", True, lambda path: None)
    with pytest.raises(InputError, match=r"no metric 'bleu' .* choose from f1, loss"):
        make_run(tmp_path, TrainingOptions(max_steps=1), evaluator=evaluator).run()


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    line = {"kind": "train", "step": 1, "loss": 0.5}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + '\n{"kind": "tra')
    assert read_history(tmp_path) == [line]


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path, TrainingOptions(max_steps=4, save_every=2, keep_last=2), evaluator=None)
    run.run()
    path = run.checkpoints.folder / "step-4" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UnreadableFileError, match=r"state.safetensors cannot be read.*remove .*step-4 to go on"):
        run.checkpoints.arrays(4)
    shutil.rmtree(path.parent)
    newest = run.checkpoints.newest()
    assert newest is not None
    assert newest.step == 2


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"metric_for_best": "f2"}, {"evaluator": Evaluator(lambda: {"f1": 0.0}, "f2", True, print)}, "from f1"),
        ({"metric_for_best": "f1"}, {"evaluator": None}, "validation data"),
        ({"patience": 2}, {"evaluator": None}, "validation data"),
    ],
    ids=["a metric that there is not", "a metric of no data", "patience with no data"],
)
def test_what_cannot_be_measured_is_refused_before_the_first_step(
    options: dict[str, Any], changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    steps: list[int] = []
    run = make_run(tmp_path, TrainingOptions(**options), engine=NoisyEngine(on_step=steps.append), **changes)
    with pytest.raises(InputError, match=message):
        run.run()
    assert not steps
