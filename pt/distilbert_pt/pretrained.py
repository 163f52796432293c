"""The base class of all models: loading and saving, and what holds for every head."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_config
from distilbert_common.errors import InputError
from distilbert_common.hub import check_push_options
from distilbert_common.load_report import LoadReport
from distilbert_common.loading_options import split_options
from distilbert_common.pretrained import push_saved
from distilbert_common.quantization import skipped_modules
from distilbert_pt.arrays import as_device, as_dtype
from distilbert_pt.attention import check_implementation
from distilbert_pt.fast.prepacked import pack_weights
from distilbert_pt.initialization import InitializedModel
from distilbert_pt.loading import (
    build,
    cast_others,
    constructor_arguments,
    fill,
    open_weights,
    read_config,
)
from distilbert_pt.quantization import quantize_model
from distilbert_pt.resizing import prune, resize_positions, resize_tokens
from distilbert_pt.saving import call_save_function, fitting_config, weights_to_save

__all__ = ["DistilBertPreTrainedModel"]


class DistilBertPreTrainedModel(InitializedModel):
    """What all DistilBERT models share.

    A model of your own is a subclass: a DistilBERT as the attribute that `base_model_prefix` names, any other modules,
    `post_init()` at the end of the constructor. All of it is saved and loaded, each weight under its own name.
    """

    _table_head: ClassVar[str | None] = None
    _no_split_modules: ClassVar[list[str]] = ["TransformerBlock"]
    _keep_in_fp32_modules: ClassVar[Iterable[str] | None] = None
    _keys_to_ignore_on_save: ClassVar[Iterable[str] | None] = None
    _keys_to_ignore_on_load_missing: ClassVar[Iterable[str] | None] = None
    _keys_to_ignore_on_load_unexpected: ClassVar[Iterable[str] | None] = None

    _resize_tokens = resize_tokens
    _resize_positions = resize_positions
    _prune = prune

    def __init__(self, config: DistilBertConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__()
        check_config(config)
        check_implementation(config.attn_implementation)
        self.config = copy.deepcopy(config)
        self.num_labels = config.num_labels
        self.name_or_path = config.name_or_path
        self.warnings_issued: dict[str, bool] = {}

    def get_output_embeddings(self) -> nn.Linear | None:
        """Return what projects to the vocabulary, or None: as in transformers a class with a projector says so."""
        return None

    def set_output_embeddings(self, embeddings: nn.Linear) -> None:
        """Replace what projects to the vocabulary; call `tie_weights` where it is to be tied.

        Raises:
            InputError: The model has no such layer.
        """
        raise InputError(f"{type(self).__name__} has no projector to the vocabulary that could be replaced")

    def prepack_weights(self, enabled: bool = True) -> Self:
        """Keep each matrix a second time as oneDNN lays it out: faster inference on short inputs, twice the memory.

        It acts where oneDNN multiplies: on the CPU, without gradients; training goes on with the weights as they are.
        Weights that change are laid out anew, by PyTorch's count of their changes. What is written in place through
        `.data` is not counted: call this again after that.

        Args:
            enabled: False drops the second copies.

        Returns:
            The model.
        """
        pack_weights(self, enabled)
        return self

    def quantize(self, mode: str = "int8", *, skip: Iterable[str] = ()) -> Self:
        """Keep the linear layers of the blocks as whole numbers of 8 bits, for inference.

        Each output of a layer has a scale, and each token one that is taken when it comes; embeddings, LayerNorms and
        the head stay as they are. `save_pretrained` writes the 8 bits, and `from_pretrained` loads them; the
        converter, and the other families, read them as the float32 numbers that they stand for. Where the processor
        has no product of int8, the same numbers are computed in float32.

        Args:
            mode: "int8".
            skip: Ends of the names of layers that stay as they are, as "lin2" or "0.attention.q_lin".

        Returns:
            The model.

        Raises:
            InputError: There is no such mode, or no such layer.
        """
        quantize_model(self, mode, skip)
        return self

    # Loading and saving.

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path | None,
        *model_args: Any,
        config: DistilBertConfig | str | Path | None = None,
        state_dict: Mapping[str, Tensor] | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        device_map: torch.device | str | int | Mapping[str, Any] | None = None,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        disable_mmap: bool | None = None,
        **kwargs: Any,
    ) -> Self | tuple[Self, LoadReport]:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Weights that a safetensors file has as PyTorch has them are mapped into memory, as in transformers: they are
        read when they are first used, and training leaves the file alone. The file may be deleted, moved or replaced,
        as `save_pretrained` replaces it; it must not be written or cut off in its place as long as the model lives.

        Args:
            pretrained_model_name_or_path: A directory, a weights file, or a hub id; None with `config` and
                `state_dict`.
            *model_args: Passed on to the constructor, after the config.
            config: The config to use instead of the checkpoint's, or where it is.
            state_dict: The weights to use instead of the checkpoint's.
            dtype: The dtype of the parameters; the checkpoint's own when None or "auto".
            torch_dtype: The older name of `dtype`.
            device: Where to put the parameters; PyTorch's default device when None.
            device_map: The same, under the name of transformers: one device, also as `{"": device}`, or "auto" for the
                GPU if there is one.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            disable_mmap: Whether all weights are copied to memory, where products of a few rows are some percent
                faster than from a file that aligns its tensors to 8 bytes only.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub; `variant`,
                `use_safetensors`; `attn_implementation`; any config field, which replaces the checkpoint's; whatever
                else the constructor takes. Other options of transformers are accepted, with a warning where they would
                have an effect there.

        Returns:
            The model in eval mode, with its `load_report`.

        Raises:
            CheckpointNotFoundError: There is no checkpoint.
            CheckpointError: It is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field nor the constructor's.
        """
        hub, handled, fields = split_options(kwargs, "pt")
        chosen = config is not None
        target_device = as_device(device if device_map is None else device_map)
        prefix, where = f"{cls.base_model_prefix}.", {**hub, **handled}
        with open_weights(pretrained_model_name_or_path, state_dict, prefix, where) as checkpoint:
            if not isinstance(config, DistilBertConfig):
                config = read_config(cls.config_class, config, pretrained_model_name_or_path, checkpoint, hub)
            arguments = {name: fields.pop(name) for name in constructor_arguments(cls, fields, config, chosen)}
            model = build(cls, config.updated(**fields), model_args, arguments)
            target = as_dtype(dtype or torch_dtype, checkpoint.dtype)
            skip = skipped_modules(model.config)
            options = {"ignore_mismatched_sizes": ignore_mismatched_sizes, "map_private": not disable_mmap}
            model.load_report = fill(model, checkpoint, target if skip is None else torch.float32, **options)
        model.config.dtype = str(target).removeprefix("torch.")
        model.tie_weights()
        if skip is not None:
            quantize_model(model, "int8", skip, is_saved=True)
        cast_others(model, target)
        model.to(device=target_device)
        if device_map is not None:
            model.hf_device_map = {"": target_device}
        if model.load_report.message():
            warnings.warn(model.load_report.message(), stacklevel=2)
        return (model.eval(), model.load_report) if output_loading_info else model.eval()

    @classmethod
    def _from_config(cls, config: DistilBertConfig, **kwargs: Any) -> Self:
        """Return a new model, as `AutoModel.from_config` makes it.

        Args:
            config: The config.
            **kwargs: `dtype` or `torch_dtype`, `attn_implementation`; others go to the constructor.
        """
        dtype = kwargs.pop("dtype", None) or kwargs.pop("torch_dtype", None) or config.dtype
        if "attn_implementation" in kwargs:
            config = copy.deepcopy(config)
            config.attn_implementation = kwargs.pop("attn_implementation")
        return cls(config, **kwargs).to(as_dtype(dtype, "float32"))

    def save_pretrained(
        self,
        save_directory: str | Path,
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        save_function: Callable[..., Any] | None = None,
        push_to_hub: bool = False,
        max_shard_size: int | str | None = "5GB",
        safe_serialization: bool = True,
        variant: str | None = None,
        token: str | bool | None = None,
        save_peft_format: bool = True,
        *,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write config and weights, as files that transformers opens.

        Args:
            save_directory: Made where it is missing.
            is_main_process: Whether anything is written: of several processes that hold the model, one writes.
            state_dict: The weights to write instead of the model's own.
            save_function: Writes a file of `torch.save` in a way of its own; called as `torch.save` is, where
                `safe_serialization` is False.
            push_to_hub: Whether to upload what is written.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            safe_serialization: Whether to write safetensors, or else `pytorch_model.bin`.
            variant: Goes into the file names, as "fp16" in `model.fp16.safetensors`.
            token: Access token for the hub.
            save_peft_format: Of no effect: adapters are PEFT's to save.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
            InputError: The state_dict holds what cannot be written.
            CheckpointError: Weights are missing or misshapen; nothing is written.
        """
        from distilbert_conversion.save import save_model

        check_push_options(hub)
        if not is_main_process:
            return
        arrays, config = weights_to_save(self, state_dict), fitting_config(self)
        dialect = "pt-safetensors" if safe_serialization else "pt-bin"
        files = save_model(save_directory, arrays, config, self._table_head, dialect, max_shard_size, variant)
        if save_function not in (None, torch.save):
            call_save_function(files, save_function)
        if push_to_hub:
            push_saved(save_directory, repo_id, [file.name for file in files], {"token": token, **hub})
