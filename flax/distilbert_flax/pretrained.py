"""The base class of all models: loading, saving, initialisation, and what holds for every head."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from distilbert_common import DistilBertConfig, ModelOutput
from distilbert_common.errors import ConfigError
from distilbert_common.files import HUB_OPTIONS
from distilbert_common.hub import check_push_options, push_folder
from distilbert_common.initial import initial_kind, sinusoidal_table
from distilbert_flax.arrays import as_dtype, to_jax
from distilbert_flax.functional import WEIGHTS, FunctionalModule, Params, is_shape, shape_of
from distilbert_flax.layers import Layers
from distilbert_flax.options import StaticConfig
from distilbert_flax.resizing import prune, resize_positions, resize_tokens

if TYPE_CHECKING:  # the converter is imported where names or files are needed: the classes alone need none of it
    from distilbert_conversion import LoadReport

ATTENTION_IMPLEMENTATIONS = ("eager", "sdpa")


class FlaxDistilBertPreTrainedModel(FunctionalModule):
    """What all DistilBERT models share.

    A model is an NNX module: `nnx.split`, `nnx.jit`, `nnx.grad`, `nnx.Optimizer`, `train()` and `eval()` work on it.
    It also keeps the calling convention of transformers' Flax models: `model(ids, mask, params=p, dropout_rng=key,
    train=True)` is a pure function of `p`, a nested dict in the names of `flax_model.msgpack`.

    Args:
        config: The sizes; the model keeps a copy.
        seed: The seed of initial values and dropout, where `rngs` is not given.
        dtype: What the layers compute in; the parameters keep their own dtype.
        param_dtype: The dtype of the parameters.
        rngs: The random streams of initial values ("params") and dropout ("dropout").
        _do_init: Whether to hold parameters; without them, each call must be given `params`.
    """

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    main_input_name: ClassVar[str] = "input_ids"
    head: ClassVar[str]
    load_report: LoadReport | None = None

    def begin(
        self,
        config: DistilBertConfig,
        *,
        seed: int = 0,
        dtype: DTypeLike = "float32",
        param_dtype: DTypeLike = "float32",
        rngs: nnx.Rngs | None = None,
        _do_init: bool = True,
    ) -> Layers:
        """Set what holds for every head, and return the layers to build of; the first line of every constructor."""
        if not isinstance(config, DistilBertConfig):
            raise TypeError(f"config is a {type(config).__name__}; expected a DistilBertConfig")
        implementation = config.attn_implementation or "sdpa"
        if implementation not in ATTENTION_IMPLEMENTATIONS:
            raise ConfigError(
                f"attn_implementation is {implementation!r}; it must be one of {', '.join(ATTENTION_IMPLEMENTATIONS)}"
            )
        if not isinstance(config, StaticConfig):
            kept = {"attn_implementation": implementation, "name_or_path": config.name_or_path}
            config = StaticConfig.from_dict(config.to_dict(), **kept)
        self.config = config
        self.dtype = as_dtype(dtype, "float32")
        return Layers(self.dtype, as_dtype(param_dtype, "float32"), rngs or nnx.Rngs(seed), _do_init)

    @property
    def base_model(self) -> nnx.Module:
        """The bare model inside, or the model itself."""
        return getattr(self, self.base_model_prefix, self)

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Count parameters; a tied one counts once."""
        variables = self.flat_variables(nnx.Param if only_trainable else WEIGHTS)
        return sum(shape_of(variable).size for variable in variables.values())

    def output(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """Return the output as it is, or as a tuple where the call or the config asks for one."""
        return output if (self.config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    # Initialisation.

    def post_init(self, make: Layers) -> None:
        """Give all parameters their initial values, where wanted; the last line of every constructor."""
        if make.fill:
            self.fill(make.rngs.params())

    def fill(self, key: Array) -> None:
        """Give the parameters that have no values yet their initial ones."""
        for place, (name, variable) in enumerate(self.named_variables().items()):
            if is_shape(variable):
                variable.set_value(self.initial_value(name, shape_of(variable), jax.random.fold_in(key, place)))

    def initial_value(self, name: str, like: jax.ShapeDtypeStruct, key: Array) -> Array:
        """Return the initial value of one parameter, by `initial_kind`."""
        kind = initial_kind(name, self.config)
        if kind in ("zeros", "ones"):
            return jnp.full(like.shape, float(kind == "ones"), like.dtype)
        if kind == "sinusoidal":
            return jnp.asarray(sinusoidal_table(*like.shape), like.dtype)
        values = self.config.initializer_range * jax.random.normal(key, like.shape)
        if kind == "word_table" and self.config.pad_token_id is not None:
            values = values.at[self.config.pad_token_id].set(0)
        return values.astype(like.dtype)

    def init_weights(
        self, rng: Array, input_shape: tuple[int, ...] = (1, 1), params: Params | None = None
    ) -> dict[str, Any]:
        """Return a tree of initial parameters; the model's own stay as they are.

        Args:
            rng: The key.
            input_shape: Plays no part, as the config gives all shapes; transformers' callers give it.
            params: Parameters to keep: only what is missing is new.
        """
        model = nnx.clone(self)
        variables = model.flat_variables()
        given = {} if params is None else self.flat_params(params, variables, complete=False)
        for path, variable in variables.items():
            variable.set_value(given.get(path, shape_of(variable)))
        model.fill(rng)
        return model.params

    def named_variables(self) -> dict[str, nnx.Variable[Array]]:
        """Return the stored variables by bare canonical name: PyTorch's, without the prefix of the backbone."""
        from distilbert_conversion import DIALECTS, expected

        variables, path_of = self.flat_variables(), DIALECTS["flax-msgpack"].full_name
        return {name: variables[path_of(name, self.head)] for name in expected(self.config, self.head)}

    def get_input_embeddings(self) -> nnx.Embed:
        """Return the word embeddings."""
        return self.base_model.embeddings.word_embeddings

    def get_output_embeddings(self) -> nnx.Module | None:
        """Return the masked-LM projector, or None for a model without one."""
        return getattr(self, "vocab_projector", None)

    def set_input_embeddings(self, embeddings: nnx.Embed) -> None:
        """Replace the word embeddings; the projector and its bias follow."""
        self.base_model.embeddings.word_embeddings = embeddings
        resize_tokens(self, embeddings.num_embeddings, multiple=1, mean_resizing=False)

    def get_position_embeddings(self) -> nnx.Embed:
        """Return the position table."""
        return self.base_model.embeddings.position_embeddings

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nnx.Embed:
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

    # Loading and saving.

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        config: DistilBertConfig | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike | None = None,
        torch_dtype: DTypeLike | None = None,
        seed: int = 0,
        rngs: nnx.Rngs | None = None,
        _do_init: bool = True,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        from_pt: bool = False,
        from_tf: bool = False,
        from_flax: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Args:
            name_or_path: A directory, a weights file, or a hub id.
            config: The config to use instead of the checkpoint's.
            dtype: What the layers compute in, float32 when None, as in transformers' Flax models.
            param_dtype: The dtype of the parameters; the checkpoint's own when None or "auto".
            torch_dtype: The name of `param_dtype` in PyTorch.
            seed: The seed of a new head and of dropout, where `rngs` is not given.
            rngs: The random streams of a new head ("params") and dropout ("dropout").
            _do_init: Whether the model holds the parameters; else they are returned beside it.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            from_pt: Not needed: the dialect is found out.
            from_tf: Not needed: the dialect is found out.
            from_flax: Not needed: the dialect is found out.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub;
                `attn_implementation`; any config field, which replaces the checkpoint's.

        Returns:
            The model in eval mode, with its `load_report`; the parameters where `_do_init` is False; the report
            where it was asked for.

        Raises:
            CheckpointError: There is no checkpoint, or it is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field.
        """
        from distilbert_conversion import load_weights, open_checkpoint

        hub = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        with open_checkpoint(name_or_path, **hub) as checkpoint:
            config = (config or checkpoint.config()).updated(**kwargs)
            rngs, target = rngs or nnx.Rngs(seed), as_dtype(param_dtype or torch_dtype, checkpoint.dtype)
            model = cls(config, dtype=dtype or "float32", param_dtype=target, rngs=rngs, _do_init=False)
            variables = model.named_variables()

            def assign(name: str, array: np.ndarray) -> None:
                variables[name].set_value(to_jax(in_layout(name, array), target))

            report = load_weights(checkpoint, config, cls.head, assign, ignore_mismatched_sizes=ignore_mismatched_sizes)
        model.fill(rngs.params())  # a new head, or a weight of another shape
        model.load_report = report
        model.config.dtype = str(target)
        if report.message():
            warnings.warn(report.message(), stacklevel=2)
        result = (model,) if _do_init else model.without_params()
        return (*result, report) if output_loading_info else result if len(result) > 1 else model

    def without_params(self) -> tuple[Self, dict[str, Any]]:
        """Return a model that holds no parameters, and the parameters."""
        model = nnx.clone(self)
        for variable in model.flat_variables().values():
            variable.set_value(shape_of(variable))
        return model, self.params

    def save_pretrained(
        self,
        save_directory: str | Path,
        params: Params | None = None,
        *,
        max_shard_size: int | str | None = "5GB",
        safe_serialization: bool = False,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write config and weights, as files that transformers opens.

        Args:
            save_directory: Made where it is missing.
            params: The parameters to write instead of the model's own.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            safe_serialization: Whether to write safetensors, or else `flax_model.msgpack`.
            push_to_hub: Whether to upload the directory.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `token`, `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
        """
        from distilbert_conversion import save_checkpoint

        check_push_options(hub)
        model = self.bound(params, None, None)
        stored = {name: np.asarray(variable.get_raw_value()) for name, variable in model.named_variables().items()}
        arrays = {name: in_layout(name, array) for name, array in stored.items()}
        dialect = "flax-safetensors" if safe_serialization else "flax-msgpack"
        dtype = str(arrays["embeddings.word_embeddings.weight"].dtype)
        config = self.config.updated(architectures=[type(self).__name__.removeprefix("Flax")], dtype=dtype)
        config.save_pretrained(save_directory)
        save_checkpoint(save_directory, arrays, config, self.head, dialect=dialect, max_shard_size=max_shard_size)
        if push_to_hub:
            push_folder(save_directory, repo_id or Path(save_directory).name, **hub)

    def push_to_hub(self, repo_id: str, params: Params | None = None, **hub: Any) -> str:
        """Upload config and weights, `params` or the model's own; `token` and the like as in `push_folder`."""
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory, params)
            return push_folder(directory, repo_id, **hub)


def in_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn a weight from PyTorch's layout into Flax's, or back."""
    from distilbert_conversion.table import is_transposed

    return array.T if is_transposed(name) else array
