"""What gradient checkpointing saves: the memory of one training step, with and without it, in each framework.

Each figure comes from a process of its own: it builds the model, takes one small step, so that the framework is warm,
and then one step whose peak is measured. The figures (Linux only):

- process: the peak of the process (VmHWM) during the step, less what it held before;
- saved: what JAX saves from the forward pass for the backward pass, weights included;
- XLA: what the compiled step says it needs for temporary values.

XLA's compiler for CPUs merges what is computed twice, and so undoes `jax.checkpoint`, also in the smallest program:
there, what is saved shows what checkpointing asks for.

Usage: python benchmarks/checkpointing_memory.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
os.environ |= QUIET | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("common", "conversion", "pt", "tf"))}
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax")]

import numpy as np

from distilbert_common import DistilBertConfig
from machine import forget_peak, kilobytes

BATCH, SEQ = 16, 256
SIZES = {
    "n_layers": 6,
    "dim": 256,
    "n_heads": 4,
    "hidden_dim": 1024,
    "vocab_size": 2000,
    "max_position_embeddings": SEQ,
}
SMALL = (1, 8)
TOLERANCE = 1e-5  # relative to the largest entry: a step computed twice, in float32

Arrays = dict[str, np.ndarray]
Step = Callable[[Arrays], Arrays]
Figures = dict[str, float]


def inputs(batch: int, seq: int) -> Arrays:
    """Return ids (batch, seq), mask and labels (batch,)."""
    ids = np.random.default_rng(0).integers(1, SIZES["vocab_size"], (batch, seq), dtype=np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": np.zeros(batch, np.int32)}


def step_pt(checkpointing: bool) -> tuple[Step, Figures]:
    """Return a function that takes a step and gives its gradients."""
    import torch

    from distilbert_pt import DistilBertForSequenceClassification

    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(DistilBertConfig(**SIZES)).train()
    if checkpointing:
        model.gradient_checkpointing_enable()

    def step(batch: Arrays) -> Arrays:
        torch.manual_seed(1)
        model.zero_grad()
        model(**{name: torch.from_numpy(array).long() for name, array in batch.items()}).loss.backward()
        return {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}

    return step, {}


def step_tf(checkpointing: bool) -> tuple[Step, Figures]:
    """Return a function that takes a compiled step and gives its gradients."""
    import keras
    import tensorflow as tf

    from distilbert_tf import TFDistilBertForSequenceClassification

    keras.utils.set_random_seed(0)
    model = TFDistilBertForSequenceClassification(DistilBertConfig(**SIZES))
    if checkpointing:
        model.gradient_checkpointing_enable()
    shapes = {"input_ids": (None, None), "attention_mask": (None, None), "labels": (None,)}

    @tf.function(input_signature=[{name: tf.TensorSpec(shape, tf.int32) for name, shape in shapes.items()}])
    def compiled(batch: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = model(batch, training=True).loss
        return tape.gradient(loss, model.trainable_variables)

    def step(batch: Arrays) -> Arrays:
        gradients = compiled({name: tf.constant(array) for name, array in batch.items()})
        return {v.path: gradient.numpy() for v, gradient in zip(model.trainable_variables, gradients, strict=True)}

    return step, {}


def step_flax(checkpointing: bool) -> tuple[Step, Figures]:
    """Return a function that takes a compiled step and gives its gradients, and the figures of JAX and XLA."""
    import jax
    from flax.traverse_util import flatten_dict

    from distilbert_flax import FlaxDistilBertForSequenceClassification

    model = FlaxDistilBertForSequenceClassification(DistilBertConfig(**SIZES), seed=0)
    if checkpointing:
        model.gradient_checkpointing_enable()

    def loss(params: dict, batch: Arrays) -> jax.Array:
        return model(**batch, params=params, dropout_rng=jax.random.key(1), train=True).loss

    compiled, batch = jax.jit(jax.grad(loss)), inputs(BATCH, SEQ)

    def step(batch: Arrays) -> Arrays:
        gradients = flatten_dict(compiled(model.params, batch), sep="/")
        return {name: np.asarray(gradient) for name, gradient in gradients.items()}

    backward = jax.eval_shape(lambda params: jax.vjp(partial(loss, batch=batch), params)[1], model.params)
    saved = sum(residual.size * residual.dtype.itemsize for residual in jax.tree.leaves(backward))
    plan = compiled.lower(model.params, batch).compile().memory_analysis()
    return step, {"saved": saved / 2**20, "XLA": plan.temp_size_in_bytes / 2**20}


STEPS = {"PyTorch": step_pt, "Keras": step_tf, "Flax": step_flax}


def measure(framework: str, checkpointing: bool, output: Path) -> None:
    """Take one step in this process; write its gradients, and print its figures in MB."""
    step, figures = STEPS[framework](checkpointing)
    step(inputs(*SMALL))
    before = kilobytes("VmRSS")
    forget_peak()
    gradients = step(inputs(BATCH, SEQ))
    figures = {"process": (kilobytes("VmHWM") - before) / 1024, **figures}
    np.savez(output, **gradients)
    print(json.dumps(figures))


def difference(one: Path, other: Path) -> float:
    """Return the largest difference of two files of gradients, relative to the largest entry of each tensor.

    Keys' biases are left out: softmax does not see them, their gradients are nothing but rounding.
    """
    with np.load(one) as a, np.load(other) as b:
        assert a.files == b.files
        names = [name for name in a.files if not re.search(r"k_lin.bias$", name)]
        return max(float(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max()) for name in names)


def main() -> int:
    """Measure all, print a table; return 1 where gradients differ or nothing is saved."""
    print(f"One training step, {BATCH} x {SEQ} tokens, {SIZES['n_layers']} layers of width {SIZES['dim']}, float32\n")
    print("| framework | figure | without | with | saved | gradients differ by |\n|---|---|---|---|---|---|")
    good = True
    for framework in STEPS:
        with tempfile.TemporaryDirectory() as directory:
            paths = [Path(directory) / f"{switch}.npz" for switch in ("off", "on")]
            commands = [[sys.executable, __file__, framework, path.stem, str(path)] for path in paths]
            off, on = (json.loads(subprocess.check_output(c, text=True, env=os.environ)) for c in commands)
            apart = difference(*paths)
        for figure in off:
            saved = 1 - on[figure] / off[figure]
            print(
                f"| {framework} | {figure} | {off[figure]:.0f} MB | {on[figure]:.0f} MB | {saved:.0%} | {apart:.0e} |"
            )
            good &= saved > 0 and apart <= TOLERANCE
    return 0 if good else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], sys.argv[2] == "on", Path(sys.argv[3]))
    else:
        raise SystemExit(main())
