"""How weights start, for the project's own layers and for those that users add, and which weights are one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
from torch import nn

from distilbert_common import DistilBertConfig
from distilbert_pt.framework.module_utils import ModuleUtils
from distilbert_pt.loading import tie_declared
from distilbert_pt.resizing import resized_bias

__all__ = ["InitializedModel", "has_values", "initialize"]


@torch.no_grad()
def initialize(module: nn.Module, initializer_range: float) -> None:
    """Give a layer's own parameters their initial values; those that have no memory yet are passed over.

    Args:
        module: A linear layer, an embedding table or a LayerNorm; any other keeps what its constructor gave it.
        initializer_range: The standard deviation of weights. Biases start at 0, and so does the row of padding.
    """
    parameters = {name: p for name, p in module.named_parameters(recurse=False) if not p.is_meta}
    if isinstance(module, (nn.Linear, nn.Embedding)) and "weight" in parameters:
        parameters["weight"].normal_(0.0, initializer_range)
    elif isinstance(module, nn.LayerNorm) and "weight" in parameters:
        parameters["weight"].fill_(1.0)
    if isinstance(module, (nn.Linear, nn.LayerNorm)) and "bias" in parameters:
        parameters["bias"].zero_()
    if isinstance(module, nn.Embedding) and module.padding_idx is not None and "weight" in parameters:
        parameters["weight"][module.padding_idx].zero_()


def has_values(module: nn.Module) -> bool:
    """Whether there is anything to fill: not where a model is built without values."""
    parameters = list(module.parameters())
    return not parameters or any(not parameter.is_meta for parameter in parameters)


class InitializedModel(ModuleUtils):
    """How a model's weights start, and which of them are one."""

    _tied_weights_keys: ClassVar[Iterable[str] | None] = None

    def post_init(self) -> None:
        """Initialize what this class added, and tie; the last line of every constructor."""
        self.share_config()
        self.init_weights()
        if getattr(self.config, "gradient_checkpointing", False):  # as configs said it before transformers 4.11
            self.gradient_checkpointing_enable()

    def share_config(self) -> None:
        """Let all modules whose config equals the model's hold that one object, so that a change reaches all."""
        for module in self.modules():
            config = getattr(module, "config", None)
            if (
                isinstance(config, DistilBertConfig)
                and config is not self.config
                and config == self.config
                and config.attn_implementation == self.config.attn_implementation
            ):
                module.config = self.config

    def init_weights(self) -> None:
        """Give every module that has none yet its initial values, and tie."""
        self.initialize_weights()
        self.tie_weights()

    def initialize_weights(self, modules: set[nn.Module] | None = None) -> None:
        """Initialize modules, each once, the inner before the outer, each by the model that it is part of.

        Args:
            modules: Which ones; all when None. A module whose `_is_hf_initialized` is true is left as it is.
        """
        for owner, module in self._owned_modules():
            done = getattr(module, "_is_hf_initialized", False)
            if not done and (modules is None or module in modules) and has_values(module):
                owner._init_weights(module)
                module._is_hf_initialized = True

    def _init_weights(self, module: nn.Module) -> None:
        """Give one module's own parameters their initial values; a model with other rules overrides it."""
        initialize(module, self.config.initializer_range)

    def _owned_modules(self) -> Iterator[tuple[InitializedModel, nn.Module]]:
        """Yield each module with the model next above it, the inner before the outer."""
        stack: list[tuple[InitializedModel, nn.Module]] = [(self, self)]
        ordered = []
        while stack:
            owner, module = stack.pop()
            ordered.append((owner, module))
            inner = module if isinstance(module, InitializedModel) else owner
            stack.extend((inner, child) for child in module.children())
        return reversed(ordered)

    def tie_weights(self) -> None:
        """Make projectors share the word embeddings where the config ties them, in this model and in those inside."""
        for module in self.modules():
            if isinstance(module, InitializedModel) and module.config.tie_word_embeddings:
                module._tie_projector()
                tie_declared(module)
            if callable(getattr(module, "_tie_weights", None)):  # what transformers calls a user's own rule
                module._tie_weights()

    def _tie_projector(self) -> None:
        projector = self.get_output_embeddings()
        if projector is not None and "weight" in dict(projector.named_parameters(recurse=False)):
            table = self.get_input_embeddings().weight
            projector.weight = table
            projector.out_features = len(table)
            if projector.bias is not None and len(projector.bias) != len(table):
                projector.bias = resized_bias(projector.bias, len(table))
