"""Holding back what native libraries write to standard error."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from distilbert_common.errors import DistilBertError

__all__ = ["capture_stderr"]


@contextmanager
def capture_stderr() -> Iterator[None]:
    """Keep back what C++ code writes to standard error; show it after all if an unexpected error is raised.

    TensorFlow reports its build, its CPU and missing GPUs there on every start, and listens to no log level
    before its logging is set up. What Python writes, such as warnings and bars, is shown as ever.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured, _python_to(saved):
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, (DistilBertError, KeyboardInterrupt)):  # whose sentences say it all
                captured.seek(0)
                os.write(saved, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
    os.close(saved)


@contextmanager
def _python_to(descriptor: int) -> Iterator[None]:
    """Let Python's standard error be a copy of itself, unless somebody has put something in its place."""
    python_stderr = sys.__stderr__
    if python_stderr is None or python_stderr is not sys.stderr:
        yield
        return
    with (
        open(descriptor, "w", 1, encoding=python_stderr.encoding, errors=python_stderr.errors, closefd=False) as stream,
        redirect_stderr(stream),
    ):
        yield
