"""Holding back what native libraries write to standard error."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["capture_stderr"]


@contextmanager
def capture_stderr() -> Iterator[None]:
    """Keep back everything written to standard error, also by C++ code; show it after all if an error is raised.

    TensorFlow reports its build, its CPU and missing GPUs there on every start, and listens to no log level
    before its logging is set up.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(saved, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
