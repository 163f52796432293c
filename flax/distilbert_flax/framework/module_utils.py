"""What programs ask any model of transformers for: sizes, names, switches. Nothing here changes a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict
from jax import Array

from distilbert_common.pretrained import DUMMY_IDS, PreTrainedMixin
from distilbert_flax.framework.functional import FunctionalModule
from distilbert_flax.framework.variables import STORED, shape_of


class ModuleUtils(PreTrainedMixin, FunctionalModule):
    """The methods and facts of a model that need nothing of DistilBERT's inside but its config.

    Attributes:
        seed: The seed that the model was made with.
        input_shape: What the model was made with; it plays no part, as the config gives all shapes.
    """

    framework: ClassVar[str] = "flax"
    seed: int = 0
    input_shape: tuple[int, ...] = (1, 1)

    def _submodules(self) -> Iterator[nnx.Module]:
        return (module for _, module in nnx.iter_modules(self))

    @property
    def name_or_path(self) -> str:
        """Where the config comes from; "" for a model made of a new one."""
        return self.config.name_or_path

    @property
    def num_labels(self) -> int:
        """The number of labels, as the config has it."""
        return self.config.num_labels

    @property
    def key(self) -> Array:
        """The key that the seed makes."""
        return jax.random.PRNGKey(self.seed)

    @property
    def dummy_inputs(self) -> dict[str, Array]:
        """A small batch that any of the models takes."""
        return {"input_ids": jnp.array(DUMMY_IDS)}

    @property
    def required_params(self) -> set[tuple[str, ...]]:
        """The paths of all parameters, as `flatten_dict(params)` has them."""
        return set(flatten_dict(self.params_shape_tree))

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Count parameters; a tied one counts once.

        Args:
            only_trainable: Whether frozen ones are left out.
            exclude_embeddings: Whether the tables of words and positions are left out.
        """
        variables = self.flat_variables(nnx.Param if only_trainable else STORED)
        counted = (v for path, v in variables.items() if not (exclude_embeddings and path.endswith("/embedding")))
        return sum(shape_of(variable).size for variable in counted)

    def enable_gradient_checkpointing(self) -> None:
        """The name that transformers' Flax models give `gradient_checkpointing_enable`."""
        self.gradient_checkpointing_enable()
