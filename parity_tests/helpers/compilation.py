"""How tests compile with JAX: as users do, or fast, for those that compile much and run little."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

FAST = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": "True",
    "xla_cpu_use_fusion_emitters": "False",  # they write a module of their own for each fused loop
}
"""What XLA leaves out: a sixth of the time is left, and the numbers differ as those of two processors do."""


@contextmanager
def fast_compilation() -> Iterator[None]:
    """Compile what is compiled within with `FAST`; models compile anew afterwards, as users do.

    JAX's own switch has but two of these options, and those of `jax.jit` do not reach what the library compiles.
    """
    from jax._src import compiler

    options_of = compiler.get_compile_options

    def with_fast(*args: Any, **kwargs: Any) -> Any:
        options = options_of(*args, **kwargs)
        options.env_option_overrides = [*FAST.items(), *options.env_option_overrides]
        return options

    with mock.patch.object(compiler, "get_compile_options", with_fast):
        yield
    drop_model_programs()


def drop_model_programs() -> None:
    """Drop what the Flax models compiled."""
    programs = sys.modules.get("distilbert_flax.fast.programs")
    if programs is not None:
        programs.program.cache_clear()
