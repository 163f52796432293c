"""What the engines of the three families share: how a model is loaded, and how an engine is made of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.training import Engine, EngineOptions

__all__ = ["BaseEngine", "Flags"]

Optimizer = TypeVar("Optimizer")

Flags = tuple[tuple[str, Any], ...]
"""Arguments that are no arrays, by name."""


class BaseEngine(Engine, Generic[Optimizer]):
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it."""

    @classmethod
    def load_model(
        cls, head: str, source: str | Path, *, config: DistilBertConfig | None = None, dtype: str | None = None,
        seed: int = 0, **options: Any,
    ) -> Any:  # fmt: skip
        """Load a model to be trained or used, as `distilbert_common.training.LoadModel` describes it."""
        if config is not None:
            options["config"] = config
        return cls._load(head, source, dtype, seed, {**options, "ignore_mismatched_sizes": config is not None})

    @staticmethod
    @abstractmethod
    def _load(head: str, source: str | Path, dtype: str | None, seed: int, options: Mapping[str, Any]) -> Any:
        """Return what `from_pretrained` of the head's class returns, with `new_weights`."""

    def __init__(
        self, model: Any, options: EngineOptions | None = None, device: str = "auto", *, teacher: Any = None
    ) -> None:
        """Place a model, and make what its training needs.

        Args:
            model: One of the six, or the user's own with a DistilBERT in it. Where arrays cannot be overwritten, as in
                Flax, those that were read of its parameters before are gone after a step.
            options: How to train it; None to evaluate it only.
            device: "cpu", "gpu", or "auto" for the GPU if there is one; in Flax for JAX's default.
            teacher: The model that it learns from, with `options.distillation`: of the same class, and taken over, as
                it is made to compute in another dtype; None where there is none, or where it was asked ahead of time.

        Raises:
            DeviceError: There is no such device.
            InputError: Options do not fit the model, or its parameters are not float32, or the teacher does not fit,
                or Keras has another backend than TensorFlow and JAX.
        """
        self.model, self.options = model, options
        self._distillation: Any = None
        self._place(device)
        self._optimizer = None if options is None else self._prepare(options, teacher)
        self._make_steps()

    @abstractmethod
    def _place(self, device: str) -> None:
        """Find the device and the other processes, and put the model there."""

    @abstractmethod
    def _prepare(self, options: EngineOptions, teacher: Any) -> Optimizer:
        """Get the model ready for training, and return what changes its parameters."""

    @abstractmethod
    def _make_steps(self) -> None:
        """Make the functions that a step and an evaluation call."""

    def _training(self) -> tuple[EngineOptions, Optimizer]:
        """Return what only training needs."""
        if self.options is None or self._optimizer is None:
            raise InputError("the engine was made to evaluate; give Engine(model, options) to train")
        return self.options, self._optimizer
