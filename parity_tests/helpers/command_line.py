"""The command `distilbert` as tests call it: in this process, or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

from typer.testing import CliRunner

from distilbert_cli.main import app

__all__ = ["COMMAND", "Ended", "assert_refused", "run", "run_process"]

COMMAND = [sys.executable, "-c", "from distilbert_cli.main import main; main()"]
"""What starts the command in a process of its own."""


class Ended(NamedTuple):
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object, stdin: str | None = None, environment: dict[str, str] | None = None) -> Ended:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # which a user would see as a traceback
    return Ended(result.exit_code, result.stdout, result.stderr)


def run_process(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def assert_refused(ended: Ended, message: str) -> None:
    """Assert that a command printed nothing, said in one sentence at the end what is wrong, and ended with 2."""
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("distilbert: ")
