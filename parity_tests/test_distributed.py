"""Two processes train as one does, given the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.helpers import distributed_run
from parity_tests.helpers.engine_cases import save_backbone

CLOSE = 1e-5
"""Relative, of each loss: two processes sum the gradients of a batch in another order than one."""


def losses_of(framework: str, source: Path, folder: Path, world: int) -> list[dict[str, Any]]:
    """Run the program in so many processes, and return what each wrote."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, distributed_run.__file__, framework, str(source), str(folder / f"{world}.json")]
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[1]), *sys.path])
    shared = os.environ | {
        "PYTHONPATH": paths,
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    processes = [
        subprocess.Popen(command, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(world)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * world, b"\n".join(errors).decode()
    return [json.loads((folder / f"{world}.{rank}").read_text()) for rank in range(world)]


@pytest.mark.parametrize("framework", ["pt", "flax"])
def test_two_processes_train_as_one(framework: str, tmp_path: Path) -> None:
    source = save_backbone(tmp_path / "backbone")
    (alone,) = losses_of(framework, source, tmp_path, 1)
    first, second = losses_of(framework, source, tmp_path, 2)
    assert (alone["world"], first["world"]) == (1, 2)
    assert first == second, "all processes have the same loss, and the same weights after it"
    assert np.allclose(first["losses"], alone["losses"], rtol=CLOSE, atol=0)
