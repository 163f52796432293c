"""`distilbert convert` to a full disk and to a folder that may not be written: one sentence, status 2, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from distilbert_conversion import FORMATS
from parity_tests.helpers import disk_full


def test_disks_that_take_no_more() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as root:  # pytest's own folders are root's alone
        Path(root).chmod(0o755)
        command = [sys.executable, disk_full.__file__, root]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        facts = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(facts) == len(disk_full.LIMITS) * sum(map(len, FORMATS.values())) + 2
        for fact in facts:
            folder, problem = (
                ("locked", "Permission denied") if "locked" in fact["case"] else ("results/out", "File too large")
            )
            assert fact["status"] == 2, fact
            assert fact["text"].startswith(f"distilbert: {root}/{folder}"), fact
            assert fact["text"].endswith(f": {problem}\n"), fact
            assert fact["text"].count("\n") == 1, fact
            assert fact["left"] == (["config.json", "model.safetensors", "out"] if fact["old"] else []), fact
