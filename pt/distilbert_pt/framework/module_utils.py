"""What programs ask any model of transformers for: sizes, masks, switches. Nothing here changes a weight."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle

from distilbert_common.errors import InputError
from distilbert_common.pretrained import DUMMY_IDS, PreTrainedMixin
from distilbert_pt.attention import check_implementation

__all__ = ["ModuleUtils", "offloaded_checkpoint"]


def offloaded_checkpoint(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Do as `torch.utils.checkpoint.checkpoint`, with the saved tensors in the memory of the CPU."""
    with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
        return checkpoint(function, *arguments, **options)


class ModuleUtils(PreTrainedMixin, nn.Module):
    """The methods and facts of a model that need nothing of DistilBERT's inside but its config."""

    framework: ClassVar[str] = "pt"
    input_modalities: ClassVar[str] = "text"
    is_parallelizable: ClassVar[bool] = False
    is_loaded_in_8bit: ClassVar[bool] = False
    is_loaded_in_4bit: ClassVar[bool] = False
    _supports_sdpa: ClassVar[bool] = True
    _supports_flash_attn: ClassVar[bool] = True
    _supports_flash_attn_2: ClassVar[bool] = True
    _supports_flex_attn: ClassVar[bool] = False
    _supports_attention_backend: ClassVar[bool] = False
    _is_stateful: ClassVar[bool] = False
    _hf_peft_config_loaded: bool = False
    _input_gradients: RemovableHandle | None = None

    def _submodules(self) -> Iterator[nn.Module]:
        return self.modules()

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters that hold numbers, as the first of them says."""
        return next(parameter.dtype for parameter in self.parameters() if parameter.is_floating_point())

    def get_parameter_or_buffer(self, target: str) -> Tensor:
        """Return a parameter or buffer by its name in `state_dict`.

        Raises:
            AttributeError: There is none.
        """
        path, _, leaf = target.rpartition(".")
        return getattr(self.get_submodule(path), leaf)

    @property
    def dummy_inputs(self) -> dict[str, Tensor]:
        """A small batch that any of the models takes."""
        return {"input_ids": torch.tensor(DUMMY_IDS)}

    # Sizes.

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Count parameters; a tied one counts once.

        Args:
            only_trainable: Whether frozen ones are left out.
            exclude_embeddings: Whether the tables of words and positions are left out.
        """
        tables = {id(m.weight) for m in self.modules() if isinstance(m, nn.Embedding)} if exclude_embeddings else set()
        counted = (p for p in self.parameters() if p.requires_grad or not only_trainable)
        return sum(p.numel() for p in counted if id(p) not in tables)

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Return the bytes of the parameters, and of the buffers unless told otherwise."""
        tensors = [*self.parameters(), *(self.buffers() if return_buffers else ())]
        return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)

    def estimate_tokens(self, input_dict: Mapping[str, Any]) -> int:
        """Return the number of tokens of a batch, padding included; 0 where it has no ids."""
        ids = input_dict.get(self.main_input_name)
        return 0 if ids is None else ids.numel()

    def floating_point_ops(self, input_dict: Mapping[str, Any], exclude_embeddings: bool = True) -> int:
        """Estimate the operations of a training step: six for each token and parameter (arXiv 2001.08361)."""
        return 6 * self.estimate_tokens(input_dict) * self.num_parameters(exclude_embeddings=exclude_embeddings)

    # Masks, for user's own layers.

    def invert_attention_mask(self, encoder_attention_mask: Tensor) -> Tensor:
        """Return what is added to scores: 0 where a mask is 1, the lowest finite value where it is 0.

        Args:
            encoder_attention_mask: (batch, seq) or (batch, seq, seq).

        Returns:
            In the model's dtype, (batch, 1, 1, seq) or (batch, 1, seq, seq).
        """
        return self.get_extended_attention_mask(encoder_attention_mask, tuple(encoder_attention_mask.shape))

    def get_extended_attention_mask(
        self,
        attention_mask: Tensor,
        input_shape: tuple[int, ...],
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return a mask as `invert_attention_mask` does.

        Args:
            attention_mask: (batch, seq) or (batch, seq, seq), 1 where a token is attended to, 0 where not.
            input_shape: The shape of the ids, for the message.
            device: Not needed: the result is on the mask's.
            dtype: Of the result; the model's when None.

        Raises:
            InputError: The mask has neither 2 nor 3 axes.
        """
        if attention_mask.dim() not in (2, 3):
            raise InputError(
                f"attention_mask has shape {tuple(attention_mask.shape)} for ids of {tuple(input_shape)}; "
                "expected (batch, seq) or (batch, seq, seq)"
            )
        dtype = dtype or self.dtype
        attends = attention_mask[:, None, None, :] if attention_mask.dim() == 2 else attention_mask[:, None]
        return (1.0 - attends.to(dtype)) * torch.finfo(dtype).min  # (batch, 1, 1 or seq, seq)

    def get_head_mask(
        self, head_mask: Tensor | None, num_hidden_layers: int, is_attention_chunked: bool = False
    ) -> Tensor | list[None]:
        """Return a factor for each layer's attention probabilities.

        Args:
            head_mask: (heads,) or (layers, heads), or None.
            num_hidden_layers: How many layers there are.
            is_attention_chunked: Whether one more axis is added at the end.

        Returns:
            (layers, 1, heads, 1, 1), or a None for each layer.
        """
        if head_mask is None:
            return [None] * num_hidden_layers
        factors = head_mask.to(self.dtype).expand(num_hidden_layers, -1)  # (layers, heads)
        factors = factors[:, None, :, None, None]  # (layers, 1, heads, 1, 1)
        return factors[..., None] if is_attention_chunked else factors

    def warn_if_padding_and_no_attention_mask(self, input_ids: Tensor, attention_mask: Tensor | None) -> None:
        """Warn where ids begin or end with padding and no mask says so."""
        pad = self.config.pad_token_id
        if attention_mask is None and pad is not None and bool((input_ids[:, [0, -1]] == pad).any()):
            warnings.warn(
                "the ids hold padding, but there is no attention_mask: padding is attended to; "
                "pass the attention_mask that the tokenizer returns",
                stacklevel=2,
            )

    # Switches.

    def set_attn_implementation(self, attn_implementation: str | Mapping[str, str]) -> None:
        """Choose how attention is computed from now on.

        Args:
            attn_implementation: "eager", "sdpa" or "flash_attention_2"; or a mapping with one of them under "".

        Raises:
            ConfigError: There is no such implementation, or it cannot run here.
        """
        name = attn_implementation if isinstance(attn_implementation, str) else attn_implementation.get("")
        check_implementation(name)
        for module in self.modules():
            if isinstance(module, ModuleUtils):
                module.config.attn_implementation = name

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        """Whether `set_attn_implementation` works, in transformers' words."""
        return True

    @property
    def is_activation_checkpointing(self) -> bool:
        """The newer name of `is_gradient_checkpointing` in transformers 5."""
        return self.is_gradient_checkpointing

    def gradient_checkpointing_enable(
        self,
        gradient_checkpointing_kwargs: Mapping[str, Any] | None = None,
        every_n_layers: int = 1,
        offload: bool = False,
    ) -> None:
        """Keep only each block's input for the backward pass and compute the rest again: the same gradients.

        Args:
            gradient_checkpointing_kwargs: Arguments of `torch.utils.checkpoint.checkpoint`; `use_reentrant` is False
                unless it says otherwise.
            every_n_layers: Only the first of so many blocks is computed again, the others keep their activations.
            offload: Whether the blocks' inputs wait for the backward pass in the memory of the CPU.
        """
        options = {"use_reentrant": False, **(gradient_checkpointing_kwargs or {})}
        function = functools.partial(offloaded_checkpoint if offload else checkpoint, **options)
        self._switch_gradient_checkpointing(True)
        for module in self.modules():
            if hasattr(module, "gradient_checkpointing"):
                module._checkpoint_every = every_n_layers
                module._gradient_checkpointing_func = function

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Do as `gradient_checkpointing_enable`, by its newer name in transformers 5."""
        self.gradient_checkpointing_enable(activation_checkpointing_kwargs, *args, **kwargs)

    def activation_checkpointing_disable(self) -> None:
        """Do as `gradient_checkpointing_disable`, by its newer name."""
        self.gradient_checkpointing_disable()

    def enable_input_require_grads(self) -> None:
        """Let gradients begin at the word embeddings' output, as adapters on a frozen model need with checkpointing."""
        self.disable_input_require_grads()
        self._input_gradients = self.get_input_embeddings().register_forward_hook(_require_gradient)

    def disable_input_require_grads(self) -> None:
        """Undo `enable_input_require_grads`."""
        if self._input_gradients is not None:
            self._input_gradients.remove()
            self._input_gradients = None


def _require_gradient(module: nn.Module, args: Any, output: Tensor) -> None:
    """Let gradients begin at a module's output; a hook."""
    output.requires_grad_(True)
