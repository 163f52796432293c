"""What a model is made with: its config, and the options of its constructor."""

from __future__ import annotations

from typing import TypedDict

from flax import nnx
from jax.typing import DTypeLike

from distilbert_common import DistilBertConfig
from distilbert_common.config_fields import RULES


class StaticConfig(DistilBertConfig):
    """A model's own copy of its config: hashable, as NNX wants of what is static in a module.

    As with all that is static in JAX, code that is compiled already does not see a field that is set later.
    """

    def __eq__(self, other: object) -> bool:
        same = self is other or super().__eq__(other)
        return same and self.attn_implementation == getattr(other, "attn_implementation", None)

    def __hash__(self) -> int:
        return hash((self.attn_implementation, *(str(getattr(self, name)) for name in RULES)))


class Options(TypedDict, total=False):
    """The options of every model's constructor; see `FlaxDistilBertPreTrainedModel`."""

    input_shape: tuple[int, ...]
    seed: int
    dtype: DTypeLike
    param_dtype: DTypeLike
    rngs: nnx.Rngs | None
    _do_init: bool
