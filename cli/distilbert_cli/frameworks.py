"""One way to load and run a model in any of the three families, with NumPy arrays on both sides.

Each family is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_cli.stderr import capture_stderr
from distilbert_common.errors import InputError
from distilbert_common.frameworks import is_installed, require
from distilbert_common.outputs import per_token_outputs

__all__ = ["DEVICES", "FRAMEWORKS", "Arrays", "Framework", "choose", "flatten", "full_float32", "zero_at_padding"]

Arrays = dict[str, np.ndarray[Any, Any]]
DEVICES = ("cpu", "gpu")


def flatten(output: Mapping[str, Any], to_array: Callable[[Any], Any]) -> Arrays:
    """Turn a `ModelOutput` into arrays by name: `logits`, `hidden_states/0`, `attentions/0` and so on."""
    arrays: Arrays = {}
    for name, value in output.items():
        parts = {f"{name}/{i}": part for i, part in enumerate(value)} if isinstance(value, (list, tuple)) else {}
        arrays.update({key: to_array(part) for key, part in (parts or {name: value}).items()})
    return arrays


def zero_at_padding(arrays: Arrays, head: str, attention_mask: np.ndarray[Any, Any]) -> Arrays:
    """Return outputs with 0 at padding, which the default path leaves out where that pays, and nothing depends on.

    Args:
        arrays: A model's outputs.
        head: Which model, as "ForMaskedLM".
        attention_mask: (batch, seq), or (batch, choices, seq).
    """
    attends = attention_mask.reshape(-1, attention_mask.shape[-1]) != 0  # (batch or batch * choices, seq)
    names = per_token_outputs(head)
    return {
        name: array * attends.reshape(attends.shape + (1,) * (array.ndim - 2)) if name.split("/")[0] in names else array
        for name, array in arrays.items()
    }


@contextmanager
def full_float32(framework: str) -> Iterator[None]:
    """Multiply float32 in full where a GPU would round to TensorFloat-32; PyTorch does so by itself."""
    if framework == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif framework == "tensorflow":
        from tensorflow.config import experimental

        before = experimental.tensor_float_32_execution_enabled()
        experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            experimental.enable_tensor_float_32_execution(before)
    else:
        yield


def _run_pt(model: Any, inputs: Arrays, device: str, flags: dict[str, Any]) -> Arrays:
    import torch

    device = "cuda" if device == "gpu" else "cpu"
    with torch.no_grad():
        tensors = {name: torch.as_tensor(array, device=device) for name, array in inputs.items()}
        return flatten(model.to(device)(**tensors, **flags), lambda x: x.float().cpu().numpy())


def _run_tf(model: Any, inputs: Arrays, device: str, flags: dict[str, Any]) -> Arrays:
    import keras

    with keras.device(f"{device}:0"), full_float32(keras.backend.backend()):
        return flatten(
            model(inputs, training=False, **flags), lambda x: keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))
        )


def _run_flax(model: Any, inputs: Arrays, device: str, flags: dict[str, Any]) -> Arrays:
    import jax
    import jax.numpy as jnp

    with jax.default_device(jax.devices(device)[0]), full_float32("jax"):
        return flatten(model(**inputs, **flags), lambda x: np.asarray(x.astype(jnp.float32)))


@dataclass(frozen=True)
class Framework:
    """One family.

    Attributes:
        name: As users name it: "pt", "tf", "flax".
        title: The framework's own name.
        package: Our package.
        prefix: What stands before `DistilBert` in its class names.
        run: Calls a model on arrays.
    """

    name: str
    title: str
    package: str
    prefix: str
    run: Callable[[Any, Arrays, str, dict[str, Any]], Arrays]

    def installed(self) -> bool:
        """Whether the framework can be imported."""
        return is_installed(self.name)

    def model_class(self, head: str) -> Any:
        """Return the class for a head such as "ForMaskedLM".

        Raises:
            MissingFrameworkError: The framework is not installed.
        """
        with capture_stderr():
            require(self.name)
            return getattr(importlib.import_module(self.package), f"{self.prefix}DistilBert{head}")

    def load(self, name_or_path: str | Path, head: str, **kwargs: Any) -> Any:
        """Load a checkpoint of any dialect with `from_pretrained`."""
        model_class = self.model_class(head)
        with capture_stderr():
            return model_class.from_pretrained(name_or_path, **kwargs)


FRAMEWORKS: dict[str, Framework] = {
    framework.name: framework
    for framework in (
        Framework("pt", "PyTorch", "distilbert_pt", "", _run_pt),
        Framework("tf", "Keras", "distilbert_tf", "TF", _run_tf),
        Framework("flax", "Flax", "distilbert_flax", "Flax", _run_flax),
    )
}
"""The three families by name."""


def choose(names: list[str] | None) -> list[Framework]:
    """Return the frameworks named, or all that are installed.

    Raises:
        InputError: A name is unknown, or none is installed.
        MissingFrameworkError: One that was named is not installed.
    """
    for name in names or ():
        if name not in FRAMEWORKS:
            raise InputError(f"{name!r} is not a framework; choose from {', '.join(FRAMEWORKS)}")
        FRAMEWORKS[name].model_class("Model")
    chosen = [FRAMEWORKS[name] for name in names] if names else [f for f in FRAMEWORKS.values() if f.installed()]
    if not chosen:
        raise InputError("no framework is installed; install one with: pip install 'distilbert[pt]' (or tf, flax, all)")
    return chosen
