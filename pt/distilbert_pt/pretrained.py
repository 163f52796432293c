"""The base class of all models: loading, saving, initialisation, and what holds for every head."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from distilbert_common import DistilBertConfig, ModelOutput
from distilbert_common.files import HUB_OPTIONS
from distilbert_common.hub import check_push_options, push_folder
from distilbert_common.initial import initial_kind, sinusoidal_table
from distilbert_pt.arrays import as_device, as_dtype, to_array, to_tensor
from distilbert_pt.attention import check_implementation
from distilbert_pt.fast.prepacked import prepack
from distilbert_pt.meta import NotFilled
from distilbert_pt.resizing import prune, resize_positions, resize_tokens

if TYPE_CHECKING:  # the converter is imported where files are read or written: a model alone needs none of it
    from distilbert_conversion import LoadReport


class DistilBertPreTrainedModel(nn.Module):
    """What all DistilBERT models share."""

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    main_input_name: ClassVar[str] = "input_ids"
    _table_head: ClassVar[str | None] = None
    load_report: LoadReport | None = None

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__()
        if not isinstance(config, DistilBertConfig):
            raise TypeError(f"config is a {type(config).__name__}; expected a DistilBertConfig")
        config.validate()
        check_implementation(config.attn_implementation)
        self.config = config

    @property
    def base_model(self) -> nn.Module:
        """The bare model inside, or the model itself."""
        return getattr(self, self.base_model_prefix, self)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Count parameters; a tied one counts once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def _as_output(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """Return the output as it is, or as a tuple where the call or the config asks for one."""
        return output if (self.config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    # Initialisation.

    def post_init(self) -> None:
        """Initialise what this class added, and tie; the last line of every constructor."""
        for name, parameter in self.named_parameters():
            if not name.startswith(f"{self.base_model_prefix}."):
                self.init_parameter(name, parameter)
        self.tie_weights()

    @torch.no_grad()
    def init_parameter(self, name: str, parameter: Tensor) -> None:
        """Give one parameter its initial value, by `initial_kind`."""
        kind = initial_kind(name, self.config)
        if kind == "zeros":
            parameter.zero_()
        elif kind == "ones":
            parameter.fill_(1.0)
        elif kind == "sinusoidal":
            parameter.copy_(torch.from_numpy(sinusoidal_table(*parameter.shape)))
        else:
            parameter.normal_(0.0, self.config.initializer_range)
        if kind == "word_table" and self.config.pad_token_id is not None:
            parameter[self.config.pad_token_id].zero_()

    def tie_weights(self) -> None:
        """Make the masked-LM projector share the word embeddings, where the config ties them."""
        projector = self.get_output_embeddings()
        if projector is not None and self.config.tie_word_embeddings:
            projector.weight = self.get_input_embeddings().weight

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the word embeddings."""
        return self.base_model.embeddings.word_embeddings

    def get_output_embeddings(self) -> nn.Linear | None:
        """Return the masked-LM projector, or None for a model without one."""
        return getattr(self, "vocab_projector", None)

    def set_input_embeddings(self, embeddings: nn.Embedding) -> None:
        """Replace the word embeddings; the projector and its bias follow."""
        self.base_model.embeddings.word_embeddings = embeddings
        resize_tokens(self, embeddings.num_embeddings, multiple=1, mean_resizing=False)

    def get_position_embeddings(self) -> nn.Embedding:
        """Return the position table."""
        return self.base_model.embeddings.position_embeddings

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Change the size of the vocabulary; a tied projector stays tied.

        Args:
            new_num_tokens: The new size; the present one when None.
            pad_to_multiple_of: Rounds the size up to a multiple.
            mean_resizing: Whether new rows start as the mean of the old ones, as in transformers 4.46 and later.

        Returns:
            The word embeddings.
        """
        size = self.config.vocab_size if new_num_tokens is None else new_num_tokens
        resize_tokens(self, size, pad_to_multiple_of or 1, mean_resizing)
        return self.get_input_embeddings()

    def resize_position_embeddings(self, new_num_position_embeddings: int) -> None:
        """Change the longest input; stored rows are kept, with `sinusoidal_pos_embds` new ones are the sinusoid's."""
        resize_positions(self, new_num_position_embeddings)

    def prune_heads(self, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
        """Remove attention heads.

        Args:
            heads_to_prune: For each layer the heads to remove, by their original numbers; those already gone are
                passed over.

        Raises:
            InputError: A layer or head does not exist, or a layer would have none left.
        """
        prune(self, heads_to_prune)

    def gradient_checkpointing_enable(self) -> None:
        """Keep only each block's input for the backward pass and compute the rest again: the same gradients."""
        self.base_model.transformer.gradient_checkpointing = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations for the backward pass again."""
        self.base_model.transformer.gradient_checkpointing = False

    def prepack_weights(self, wanted: bool = True) -> Self:
        """Keep each matrix a second time as oneDNN lays it out: faster inference on short inputs, twice the memory.

        It acts where oneDNN multiplies: on the CPU, without gradients; training goes on with the weights as they are.
        Weights that change are laid out anew, by PyTorch's count of their changes. What is written in place through
        `.data` is not counted: call this again after that.

        Args:
            wanted: False lets go of what is kept.

        Returns:
            The model.
        """
        prepack(self, wanted)
        return self

    # Loading and saving.

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        config: DistilBertConfig | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        device_map: torch.device | str | int | None = None,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        disable_mmap: bool | None = None,
        from_tf: bool = False,
        from_flax: bool = False,
        **kwargs: Any,
    ) -> Self | tuple[Self, LoadReport]:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Weights that a safetensors file has as PyTorch has them are mapped into memory, as in transformers: they are
        read when they are first used, and training leaves the file alone. The file may be deleted, moved or replaced,
        as `save_pretrained` replaces it; it must not be written or cut off in its place as long as the model lives.

        Args:
            name_or_path: A directory, a weights file, or a hub id.
            config: The config to use instead of the checkpoint's.
            dtype: The dtype of the parameters; the checkpoint's own when None or "auto".
            torch_dtype: The older name of `dtype`.
            device: Where to put the parameters.
            device_map: The same, under the name of transformers: one device, or "auto" for the GPU if there is one.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            disable_mmap: Whether all weights are copied to memory, where products of a few rows are some percent
                faster than from a file that aligns its tensors to 8 bytes only.
            from_tf: Not needed: the dialect is found out.
            from_flax: Not needed: the dialect is found out.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub;
                `attn_implementation`; any config field, which replaces the checkpoint's.

        Returns:
            The model in eval mode, with its `load_report`.

        Raises:
            CheckpointError: There is no checkpoint, or it is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field.
        """
        from distilbert_conversion import full_name, load_weights, open_checkpoint

        hub = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        with open_checkpoint(name_or_path, **hub) as checkpoint:
            config = (config or checkpoint.config()).updated(**kwargs)
            with torch.device("meta"), NotFilled():
                model = cls(config)
            target = as_dtype(dtype or torch_dtype, checkpoint.dtype)

            def assign(name: str, array: np.ndarray) -> None:
                model.replace_parameter(full_name(name, cls._table_head), to_tensor(array, target))

            report = load_weights(
                checkpoint,
                config,
                cls._table_head,
                assign,
                ignore_mismatched_sizes=ignore_mismatched_sizes,
                own=not disable_mmap,
            )
        model.tie_weights()
        for name, parameter in model.named_parameters():
            if parameter.is_meta:  # a new head, or a weight of another shape
                fresh = torch.empty(parameter.shape, dtype=target)
                model.init_parameter(name, fresh)
                model.replace_parameter(name, fresh)
        model.load_report = report
        model.config.dtype = str(target).removeprefix("torch.")
        model.to(as_device(device if device_map is None else device_map))
        if report.message():
            warnings.warn(report.message(), stacklevel=2)
        return (model.eval(), report) if output_loading_info else model.eval()

    def replace_parameter(self, name: str, values: Tensor) -> None:
        """Put new values in the place of a parameter; whether it is trained stays as it was."""
        module_name, _, leaf = name.rpartition(".")
        module = self.get_submodule(module_name)
        requires_grad = getattr(module, leaf).requires_grad
        setattr(module, leaf, nn.Parameter(values, requires_grad=requires_grad))

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        state_dict: Mapping[str, Tensor] | None = None,
        max_shard_size: int | str | None = "5GB",
        safe_serialization: bool = True,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write config and weights, as files that transformers opens.

        Args:
            save_directory: Made where it is missing.
            state_dict: The weights to write instead of the model's own.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            safe_serialization: Whether to write safetensors, or else `pytorch_model.bin`.
            push_to_hub: Whether to upload the directory.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `token`, `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
        """
        from distilbert_conversion import save_checkpoint

        check_push_options(hub)
        weights = self.state_dict() if state_dict is None else state_dict
        prefix = f"{self.base_model_prefix}."
        arrays = {name.removeprefix(prefix): to_array(tensor) for name, tensor in weights.items()}
        dialect = "pt-safetensors" if safe_serialization else "pt-bin"
        config = self.config.updated(architectures=[type(self).__name__], dtype=str(self.dtype).removeprefix("torch."))
        config.save_pretrained(save_directory)
        options = {"dialect": dialect, "max_shard_size": max_shard_size}
        save_checkpoint(save_directory, arrays, config, self._table_head, **options)
        if push_to_hub:
            push_folder(save_directory, repo_id or Path(save_directory).name, **hub)

    def push_to_hub(self, repo_id: str, **hub: Any) -> str:
        """Upload config and weights to the hub; `token`, `private` and `commit_message` as in `push_folder`."""
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory)
            return push_folder(directory, repo_id, **hub)
