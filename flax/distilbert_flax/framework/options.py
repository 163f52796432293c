"""What a model is made with: its config, and the options of its constructor."""

from __future__ import annotations

from typing import Any, TypedDict

from flax import nnx
from jax.typing import DTypeLike

from distilbert_common import DistilBertConfig
from distilbert_common.config_fields import RULES
from distilbert_flax.framework.changes import count_change

__all__ = ["Options", "StaticConfig"]


class StaticConfig(DistilBertConfig):
    """A model's own copy of its config: hashable, as NNX wants of what is static in a module, its changes counted.

    As with all that is static in JAX, code of a user that is compiled already does not see a field that is set later.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        count_change()

    def __eq__(self, other: object) -> bool:
        is_equal = self is other or super().__eq__(other)
        return is_equal and self.attn_implementation == getattr(other, "attn_implementation", None)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.attn_implementation, *(str(getattr(self, name)) for name in RULES)))


class Options(TypedDict, total=False):
    """The options of every model's constructor; see `FlaxDistilBertPreTrainedModel`."""

    input_shape: tuple[int, ...]
    seed: int
    dtype: DTypeLike
    param_dtype: DTypeLike
    rngs: nnx.Rngs | None
    _do_init: bool
    _is_inner: bool
