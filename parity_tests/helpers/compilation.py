"""How tests compile: fast, as most compile much and run little; or as users do, where what is optimized is tested."""

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
}
"""What XLA leaves out: a fifth of the time is left. Rounding differs as it does from one processor to another."""

FAST_ENVIRONMENT = {
    "XLA_FLAGS": " ".join(
        f"--{name}={value.lower()}" for name, value in {**FAST, "xla_cpu_parallel_codegen_split_count": "1"}.items()
    )
}
"""What makes XLA compile fast, for JAX and for TensorFlow, here and in the programs that a test starts."""

OPTIMIZED = {
    "xla_backend_optimization_level": "3",
    "xla_llvm_disable_expensive_passes": "False",
    "xla_cpu_use_fusion_emitters": "True",
}
"""XLA's own defaults of what `FAST` leaves out."""


@contextmanager
def optimized_compilation() -> Iterator[None]:
    """Compile what is compiled within as users do, and what was compiled before anew.

    JAX's own switch has but two of the options, and those of `jax.jit` do not reach what the library compiles.
    """
    from jax._src import compiler

    options_of = compiler.get_compile_options

    def with_all(*args: Any, **kwargs: Any) -> Any:
        options = options_of(*args, **kwargs)
        options.env_option_overrides = [*OPTIMIZED.items(), *options.env_option_overrides]
        return options

    drop_model_programs()
    _rewrite_graphs(True)
    with mock.patch.object(compiler, "get_compile_options", with_all):
        yield
    _rewrite_graphs(False)


@contextmanager
def graphs_as_traced() -> Iterator[None]:
    """Run TensorFlow's graphs as they were traced: to rewrite them takes longer than to run them once."""
    _rewrite_graphs(False)
    yield
    _rewrite_graphs(True)


def _rewrite_graphs(rewrite: bool) -> None:
    if "tensorflow" in sys.modules:
        options = sys.modules["tensorflow"].config.optimizer
        options.set_experimental_options({"disable_meta_optimizer": not rewrite})


def drop_model_programs() -> None:
    """Drop what the Flax models compiled, and the graphs of Keras models."""
    if "distilbert_flax.fast.programs" in sys.modules:
        sys.modules["distilbert_flax.fast.programs"].program.cache_clear()
    if "distilbert_tf.fast.programs" in sys.modules:
        sys.modules["distilbert_tf.fast.programs"].SHARED.graphs.clear()
