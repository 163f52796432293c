from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest

from distilbert_flax.fast.programs import program


@pytest.fixture(autouse=True, scope="module")
def compile_fast() -> Iterator[None]:
    """These tests compile much and run little: JAX's own switch for that saves two thirds of their time.

    What a file compiled is dropped after it: no other file's models need it, and it would fill the worker's memory.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    program.cache_clear()
    jax.clear_caches()
