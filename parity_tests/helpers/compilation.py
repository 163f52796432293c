"""How tests compile: as users do, or fast, for those that compile much, run little, and prove other things."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

FAST = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": "True",
    "xla_cpu_use_fusion_emitters": "False",  # which write a module for each fused loop
    "xla_cpu_parallel_codegen_split_count": "1",
}
"""What XLA leaves out: a fifth of the time is left. Rounding differs as it does from one processor to another."""

FAST_ENVIRONMENT = {"XLA_FLAGS": " ".join(f"--{name}={value.lower()}" for name, value in FAST.items())}
"""The same for a program that a test starts."""


@contextmanager
def fast_compilation() -> Iterator[None]:
    """Compile what is compiled within fast; models compile anew afterwards, as users do.

    JAX's own switch has but two of the options, and those of `jax.jit` do not reach what the library compiles.
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


@contextmanager
def graphs_as_traced() -> Iterator[None]:
    """Run TensorFlow's graphs as they were traced: to rewrite them takes longer than to run them once."""
    from tensorflow.config import optimizer

    optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    optimizer.set_experimental_options({"disable_meta_optimizer": False})


def drop_model_programs() -> None:
    """Drop what the Flax models compiled."""
    programs = sys.modules.get("distilbert_flax.fast.programs")
    if programs is not None:
        programs.program.cache_clear()
