"""What is measured in JAX: ours on Flax NNX, transformers' on Flax Linen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import runs
from runs import Batch, Run


def forward(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches: our default call, transformers' under `jax.jit` or, if asked for, as it is."""
    options = {"dtype": jnp.bfloat16} if "bfloat16" in workload else {}
    model = runs.load(implementation.replace("unjitted", "transformers"), folder, runs.head_of(workload), **options)
    if runs.is_ours(implementation) and options:
        model.params = model.to_bf16(model.params)
    jitted = jax.jit(lambda params, batch: model(**batch, params=params).logits)

    def run(batches: list[Batch]) -> np.ndarray:
        if runs.is_ours(implementation) or implementation.startswith("unjitted"):
            return np.concatenate([np.asarray(model(**batch).logits, np.float32) for batch in batches])
        return np.concatenate([np.asarray(jitted(model.params, batch), np.float32) for batch in batches])

    return run


def step(implementation: str, folder: Path, workload: str) -> Run:
    """Return what takes a step of training under `jax.jit`; ours on packed sentences, whose shapes are fixed.

    The parameters and the optimizer's state are donated, as loops in JAX do: a step holds them once.
    """
    model, params = runs.load(implementation, folder, runs.head_of(workload), _do_init=False, **runs.NO_DROPOUT)
    optimizer = optax.adamw(1e-7)
    mine = runs.is_ours(implementation)
    options = {"loss_only": True} if mine and "masked" in workload else {}

    def loss_of(params: Any, batch: Batch) -> Any:
        if mine:
            return model(**batch, params=params, **options).loss
        labels = batch.pop("labels")
        logits, real = model(**batch, params=params).logits, labels >= 0
        each = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(real, labels, 0))
        return jnp.where(real, each, 0).sum() / real.sum()

    @partial(jax.jit, donate_argnums=(0, 1))
    def one(params: Any, state: Any, batch: Batch) -> tuple[Any, Any, Any]:
        loss, gradients = jax.value_and_grad(loss_of)(params, dict(batch))
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    now = {"params": params, "state": optimizer.init(params)}

    def run(batches: list[Batch]) -> np.ndarray:
        if mine and "masked" not in workload:
            batches = [runs.packed_step(batch) for batch in batches]
        losses = []
        for batch in batches:
            now["params"], now["state"], loss = one(now["params"], now["state"], batch)
            losses.append(float(loss))
        return np.array(losses)

    return run


def encode(implementation: str, folder: Path, _: str) -> Run:
    """Return what makes a vector of each sentence from packed rows."""
    model = runs.load(implementation, folder, "Model")
    return runs.encode_packed(lambda rows: np.asarray(model(**rows).last_hidden_state), folder)


def matrix(implementation: str, folder: Path, workload: str) -> Run:
    """Return what multiplies two matrices once."""
    tokens, dim, hidden_dim = runs.MATRIX
    dtype = jnp.bfloat16 if "bfloat16" in workload else jnp.float32
    x, weight = jnp.ones((tokens, dim), dtype), jnp.ones((dim, hidden_dim), dtype)
    call = jax.jit(lambda x, weight: x @ weight)
    return lambda _: np.asarray(call(x, weight)[:1, :1], np.float32)


def products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one call alone, each with a matrix of its own."""
    dtype = jnp.bfloat16 if "bfloat16" in workload else jnp.float32
    weights = [jnp.ones(shape, dtype) for shape in runs.SHAPES]
    rows = {width: jnp.ones((runs.tokens_of(workload), width), dtype) for width, _ in runs.SHAPES}
    call = jax.jit(lambda rows, weights: [rows[weight.shape[0]] @ weight for weight in weights])
    return lambda _: np.asarray(call(rows, weights)[-1][:1, :1], np.float32)


def step_products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one step alone: each layer's own, and those of its two gradients."""
    shapes = runs.step_shapes(folder, workload, packed=True)
    parts = [(jnp.ones((n, width)), jnp.ones((width, out)), jnp.ones((n, out))) for n, width, out in shapes]
    call = jax.jit(lambda parts: [(x @ weight, d @ weight.T, x.T @ d) for x, weight, d in parts])
    return lambda _: np.asarray(call(parts)[-1][0][:1, :1])
