"""The engine against the plain loop of PyTorch's users: AdamW in groups, clipped gradients, whole batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distilbert_common.training import EngineOptions, MicroBatch
from distilbert_pt.engine import Engine, load_model
from parity_tests.helpers.engine_cases import NO_DROPOUT, batch_of, config_of, save_backbone

HEAD, STEPS, RATE = "ForSequenceClassification", 20, 2e-3
OPTIONS = EngineOptions(weight_decay=0.1, betas=(0.9, 0.98), epsilon=1e-6, layer_decay=0.7, frozen=("word_embeddings",))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_backbone(tmp_path_factory.mktemp("backbone"))


def model_of(source: Path) -> Any:
    return load_model(HEAD, source, config=config_of(HEAD, **NO_DROPOUT))


def plain_loop(model: Any) -> list[float]:
    """Train as transformers' users do, and return the losses."""
    powers = {"distilbert.embeddings": 2, "distilbert.transformer.layer.0": 1}
    groups = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("word_embeddings" not in name)
        power = next((power for start, power in powers.items() if name.startswith(start)), 0)
        decays = not name.endswith("bias") and "norm" not in name.lower()
        groups.append({"params": [parameter], "lr": RATE * 0.7**power, "weight_decay": 0.1 if decays else 0.0})
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)
    model.train()
    losses = []
    for step in range(STEPS):
        batch = batch_of(HEAD, step)
        arrays = {**batch.inputs, **batch.labels}
        loss = model(**{name: torch.from_numpy(array) for name, array in arrays.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def in_parts(batch: MicroBatch) -> list[MicroBatch]:
    """Return three and five rows of eight, each part with its share."""
    return [
        MicroBatch(
            {name: array[rows] for name, array in batch.inputs.items()},
            {name: array[rows] for name, array in batch.labels.items()},
            share,
        )
        for rows, share in ((slice(0, 3), 3 / 8), (slice(3, 8), 5 / 8))
    ]


def test_the_engine_is_the_plain_loop(source: Path) -> None:
    expected = model_of(source)
    losses = plain_loop(expected)
    engine = Engine(model_of(source), OPTIONS, "cpu")
    results = [engine.train_step(in_parts(batch_of(HEAD, step)), step, RATE) for step in range(STEPS)]
    assert [float(result.loss) for result in results] == pytest.approx(losses, rel=1e-5)
    for (name, actual), (_, parameter) in zip(
        engine.model.named_parameters(), expected.named_parameters(), strict=True
    ):
        # Rounding of a gradient that is nearly 0 is all of an entry's first step, of the size of the rate; those of the
        # keys' biases are 0 by symmetry, so that all of their steps are.
        limit = 1e-4 if name.endswith("k_lin.bias") else 1e-5
        assert (actual - parameter).abs().mean() < limit, name


def test_random_numbers_of_the_user_stay_as_they_are(source: Path) -> None:
    engine = Engine(load_model(HEAD, source, config=config_of(HEAD)), EngineOptions(), "cpu")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    engine.train_step([batch_of(HEAD, 0)], 0, RATE)
    assert torch.equal(torch.rand(3), expected)


def test_a_compiled_step_is_the_eager_one(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda model: torch._dynamo.optimize("eager")(model))
    eager, compiled = (Engine(model_of(source), EngineOptions(compile=on), "cpu") for on in (False, True))
    for step in range(3):
        batch = batch_of(HEAD, step, packed=step == 1)
        losses = [float(engine.train_step([batch], step, RATE).loss) for engine in (eager, compiled)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_gpu_that_is_not_there(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="PyTorch sees no GPU here; use device='cpu'"):
        Engine(model_of(source), None, "gpu")
    assert Engine(model_of(source)).eval_step({"input_ids": np.ones((1, 4), np.int32)})["logits"].shape == (1, 3)
