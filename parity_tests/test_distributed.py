"""Two processes train as one does, given the same global batch."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_tasks.training.history import read_history
from parity_tests.helpers import distributed_run
from parity_tests.helpers.engine_cases import FRAMEWORKS, save_backbone
from parity_tests.helpers.small_tasks import small_data, small_model

CLOSE = 1e-5
"""Relative, of each loss: two processes sum the gradients of a batch in another order than one."""


def run(framework: str, folder: Path, world: int, *more: str) -> tuple[list[int], list[str]]:
    """Train in so many processes, and return their exit statuses and what they wrote to stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, distributed_run.__file__, framework, str(folder), *more]
    shared = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path]),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            command, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE, text=True
        )
        for rank in range(world)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_processes_train_and_distil_as_one(framework: str, tmp_path: Path) -> None:
    save_backbone(tmp_path / "backbone")
    small_model(tmp_path / "teacher", "ForMaskedLM", n_layers=3, dropout=0.0, attention_dropout=0.0)
    small_data("fill-mask", tmp_path / "corpus", slice(0, 80))
    for world in (1, 2):
        statuses, errors = run(framework, tmp_path, world)
        assert statuses == [0] * world, "\n".join(errors)
    alone, first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    assert (alone["world"], first["world"]) == (1, 2)
    assert first == second, "all processes have the same loss, and the same weights after it"
    assert np.allclose(first["losses"], alone["losses"], rtol=CLOSE, atol=0)
    compare_distillations(*(read_history(tmp_path / f"distilled-{world}") for world in (1, 2)))


def compare_distillations(alone: list[dict[str, Any]], together: list[dict[str, Any]]) -> None:
    """Require that two processes, which both found no corpus, learned what one did."""
    assert [(line["kind"], line["step"]) for line in together] == [(line["kind"], line["step"]) for line in alone]
    for one, other in zip(alone, together, strict=True):
        for name in {"loss", "loss_ce", "loss_mlm", "loss_cos", "grad_norm"} & one.keys():
            assert np.isclose(other[name], one[name], rtol=10 * CLOSE, atol=0), (name, one["step"])


def test_a_killed_process_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    # in PyTorch alone: JAX and TensorFlow say the same, and then wait a minute and more before they give up
    save_backbone(tmp_path / "backbone")
    statuses, errors = run("pt", tmp_path, 2, "3")
    assert statuses[0] not in (0, -signal.SIGKILL)
    assert statuses[1] == -signal.SIGKILL
    assert "process 0 of 2 lost its connection to another one, which has ended" in errors[0]
