"""Conversions that are killed at any moment, and two to one place at the same time: always a whole model, or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from parity_tests.helpers import crash_injection

MOMENTS = 60
RACES = 30


def seen(what: str, folder: Path, count: int) -> Any:
    """Return what was seen in processes of their own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, crash_injection.__file__, what, str(folder), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_kill_leaves_the_old_model_or_the_new_one(tmp_path: Path) -> None:
    """Between the two renames of a replacement there is none, until the next conversion brings the old one back."""
    outcomes = seen("kill", tmp_path, MOMENTS)
    new, overwrite = outcomes["new"], outcomes["overwrite"]
    assert min(new.pop("moments"), overwrite.pop("moments")) >= 50
    assert min(new.pop("steps"), overwrite.pop("steps")) >= 80
    assert set(new) == {"absent", "new"}
    assert set(overwrite) == {"old", "absent", "new"}
    assert overwrite["absent"] <= 2


def test_of_two_conversions_to_one_place_one_wins(tmp_path: Path) -> None:
    """Status 3 says that the place is taken; with --overwrite the later one may also replace the earlier one."""
    outcomes = seen("race", tmp_path, RACES)
    assert set(outcomes["new"]) <= {"[0, 3] new ['out']", "[0, 3] other ['out']"}
    assert set(outcomes["overwrite"]) <= {
        f"[0, {status}] {state} ['out']" for status in (0, 3) for state in ("new", "other")
    }
    assert sum(outcomes["new"].values()) == sum(outcomes["overwrite"].values()) == RACES
