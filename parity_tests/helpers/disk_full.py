"""Conversions to disks that take no more: the command line in processes that may write only so much, or nothing.

    python -m parity_tests.helpers.disk_full FOLDER

prints one JSON object a conversion: how it ended, what it said, and what was left.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

from distilbert_cli.main import app
from distilbert_conversion import FORMATS, convert
from parity_tests.helpers.checkpoints import MLM

LIMITS = (0, 300, 5000, 10_000)
"""Bytes that a file may have: none is as large as the smallest golden file."""

_NOBODY = 65534


def run(prepare: Callable[[], None], *arguments: str) -> tuple[int, str]:
    """Run `distilbert convert` in a process of its own, prepared first; return its status and what it said."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        status = 70
        try:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            prepare()
            app(["convert", *arguments])
        except SystemExit as ending:
            status = int(ending.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), text


def limited(nbytes: int) -> None:
    """Allow this process files of so many bytes; writing more fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, nbytes))


def powerless() -> None:
    """Become a user who may write nowhere, since root may write everywhere."""
    if os.geteuid() == 0:
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def full(source: Path, results: Path) -> Iterator[dict[str, Any]]:
    """Convert to every format with every limit, over an old model and without one."""
    for to, format in ((to, format) for to, formats in FORMATS.items() for format in formats):
        for limit in LIMITS:
            old = limit == LIMITS[0]
            if old:
                convert(source, results / "out", to="pt")
            options = ("--to", to, "--format", format, "--overwrite")
            status, text = run(partial(limited, limit), str(source), str(results / "out"), *options)
            left = sorted(path.name for path in results.rglob("*"))
            yield {"case": f"{to}-{format}-{limit}", "status": status, "text": text, "left": left, "old": old}
            shutil.rmtree(results)
            results.mkdir()


def locked(source: Path, results: Path) -> Iterator[dict[str, Any]]:
    """Convert to a folder that nobody may write."""
    results.chmod(0o555)
    for target in (results / "out", results / "deeper" / "out"):
        status, text = run(powerless, str(source), str(target), "--to", "flax")
        yield {
            "case": f"locked {target.name}",
            "status": status,
            "text": text,
            "left": os.listdir(results),
            "old": False,
        }


def main() -> None:
    root = Path(sys.argv[1])
    shutil.copytree(MLM, root / "source")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for target in ("warm", "warm/config.json"):  # one that works and one that does not: all is imported then
            with suppress(SystemExit):
                app(["convert", str(root / "source"), str(root / target), "--to", "flax"])
    for name, work in (("results", full), ("locked", locked)):
        (root / name).mkdir()
        for fact in work(root / "source", root / name):
            print(json.dumps(fact))  # noqa: T201


if __name__ == "__main__":
    main()
