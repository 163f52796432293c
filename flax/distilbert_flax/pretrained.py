"""The base class of all models: loading and saving, and what holds for every head."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

from flax import nnx
from jax.typing import DTypeLike

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_config
from distilbert_common.constants import ATTENTION_IMPLEMENTATIONS
from distilbert_common.errors import InputError
from distilbert_common.hub import check_push_options
from distilbert_common.loading_options import split_options
from distilbert_common.pretrained import push_saved
from distilbert_flax.arrays import as_dtype
from distilbert_flax.framework.options import StaticConfig
from distilbert_flax.framework.variables import Params, bind, shape_of
from distilbert_flax.initialization import InitializedModel
from distilbert_flax.inventory import arrays_of, build, fill, fitting_config, load, own_arguments
from distilbert_flax.layers import LayerFactory
from distilbert_flax.resizing import prune, resize_positions, resize_tokens

__all__ = ["FlaxDistilBertPreTrainedModel"]


class FlaxDistilBertPreTrainedModel(InitializedModel):
    """What all DistilBERT models share.

    A model is an NNX module: `nnx.split`, `nnx.jit`, `nnx.grad`, `nnx.Optimizer`, `train()` and `eval()` work on it.
    It also keeps the calling convention of transformers' Flax models: `model(ids, mask, params=p, dropout_rng=key,
    train=True)` is a pure function of `p`, a nested dict in the names of `flax_model.msgpack`.

    A model with a head of your own is a subclass, whose constructor begins and ends as these do, and whose `forward`
    calls `self.distilbert.forward`; layers of NNX and layers that `make` makes may be mixed::

        class Tagger(FlaxDistilBertPreTrainedModel):
            def __init__(self, config, **options):
                make = self.begin(config, **options)
                self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
                self.tags = make.linear(config.dim, 9)
                self.post_init(make)

            def forward(self, input_ids=None, attention_mask=None, **more):
                return self.tags(self.distilbert.forward(input_ids, attention_mask, **more).last_hidden_state)

    Its own weights, as those of layers added to one of the six models or replaced in it, are saved and loaded under
    their paths.

    Args:
        config: The sizes; the model keeps a copy.
        input_shape: Plays no part; transformers' callers give it.
        seed: The seed of initial values and dropout, where `rngs` is not given.
        dtype: What the layers compute in; the parameters keep their own dtype.
        param_dtype: The dtype of the parameters.
        rngs: The random streams of initial values ("params") and dropout ("dropout").
        _do_init: Whether to hold parameters; without them, each call must be given `params`.
        _is_inner: Whether the model is the body of another one, whose config it shares; `make.inner()` says so.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            raise TypeError(
                f"the constructor of {type(self).__name__} calls super().__init__ with arguments; let it begin with "
                "make = self.begin(config, **options) and end with self.post_init(make)"
            )

    _resize_tokens = resize_tokens
    _resize_positions = resize_positions
    _prune = prune

    def begin(
        self,
        config: DistilBertConfig,
        *,
        input_shape: tuple[int, ...] = (1, 1),
        seed: int = 0,
        dtype: DTypeLike = "float32",
        param_dtype: DTypeLike = "float32",
        rngs: nnx.Rngs | None = None,
        _do_init: bool = True,
        _is_inner: bool = False,
    ) -> LayerFactory:
        """Set what holds for every head, and return the layers to build of; the first line of every constructor."""
        check_config(config, ATTENTION_IMPLEMENTATIONS)
        if not (_is_inner and isinstance(config, StaticConfig)):
            unwritten: dict[str, Any] = {
                "attn_implementation": config.attn_implementation or "sdpa",
                "name_or_path": config.name_or_path,
            }
            config = StaticConfig.from_dict(config.to_dict(), **unwritten)
        self.config, self.seed, self.input_shape = config, seed, tuple(input_shape)
        self.dtype = as_dtype(dtype, "float32")
        return LayerFactory(self.dtype, as_dtype(param_dtype, "float32"), rngs or nnx.Rngs(seed), _do_init)

    # Loading and saving.

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path | None,
        dtype: DTypeLike | None = None,
        *model_args: Any,
        config: DistilBertConfig | str | Path | None = None,
        param_dtype: DTypeLike | None = None,
        torch_dtype: DTypeLike | None = None,
        seed: int = 0,
        rngs: nnx.Rngs | None = None,
        _do_init: bool = True,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Args:
            pretrained_model_name_or_path: A directory, a weights file, or a hub id.
            dtype: What the layers compute in, float32 when None, as in transformers' Flax models.
            *model_args: Passed on to the constructor, after the config.
            config: The config to use instead of the checkpoint's, or where it is.
            param_dtype: The dtype of the parameters; the checkpoint's own when None or "auto".
            torch_dtype: The name of `param_dtype` in PyTorch.
            seed: The seed of a new head and of dropout, where `rngs` is not given.
            rngs: The random streams of a new head ("params") and dropout ("dropout").
            _do_init: Whether the model holds the parameters; else they are returned beside it.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub; `variant`,
                `use_safetensors`; `attn_implementation`; any config field, which replaces the checkpoint's; whatever
                else the constructor names. Other options of transformers are accepted, with a warning where they would
                have an effect there.

        Returns:
            The model in eval mode, with its `load_report`; the parameters where `_do_init` is False; the report
            where it was asked for.

        Raises:
            CheckpointNotFoundError: There is no checkpoint.
            CheckpointError: It is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field nor the constructor's.
        """
        from distilbert_conversion import open_checkpoint

        if pretrained_model_name_or_path is None:
            raise InputError("pretrained_model_name_or_path is None; give a directory, a weights file or a hub id")
        hub, handled, fields = split_options(kwargs, "flax")
        options = {name: handled.pop(name) for name in ("input_shape",) if name in handled}
        with open_checkpoint(pretrained_model_name_or_path, **hub, **handled) as checkpoint:
            if isinstance(config, (str, Path)):
                own_config = cls.config_class.from_pretrained(config, **hub)
            else:
                own_config = config or checkpoint.config()
            options |= {name: fields.pop(name) for name in own_arguments(cls, fields, own_config)}
            rngs, target = rngs or nnx.Rngs(seed), as_dtype(param_dtype or torch_dtype, checkpoint.dtype)
            options |= {"dtype": dtype or "float32", "param_dtype": target, "rngs": rngs, "seed": seed}
            model = build(cls, own_config.updated(**fields), model_args, {**options, "_do_init": False})
            report = load(model, checkpoint, target, ignore_mismatched_sizes)
        fill(model, rngs.params())  # a new head, or a weight of another shape
        model.eval()
        model.load_report = report
        model.config.dtype = str(target)
        if report.message():
            warnings.warn(report.message(), stacklevel=2)
        result = (model,) if _do_init else model.without_params()
        return (*result, report) if output_loading_info else result if len(result) > 1 else model

    @classmethod
    def _from_config(cls, config: DistilBertConfig, **kwargs: Any) -> Self:
        """Return a new model, as `FlaxAutoModel.from_config` makes it; keywords are the constructor's."""
        return cls(config, **kwargs)

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
        push_to_hub: bool = False,
        max_shard_size: int | str | None = "5GB",
        token: str | bool | None = None,
        safe_serialization: bool = False,
        *,
        is_main_process: bool = True,
        state_dict: Params | None = None,
        save_function: Any = None,
        variant: str | None = None,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write weights and config, as files that transformers opens.

        Args:
            save_directory: Made where it is missing.
            params: The parameters to write instead of the model's own.
            push_to_hub: Whether to upload what is written.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            token: Access token for the hub.
            safe_serialization: Whether to write safetensors, or else `flax_model.msgpack`.
            is_main_process: Whether anything is written: of several processes that hold the model, one writes.
            state_dict: Another name of `params`.
            save_function: Of no effect, with a warning: it writes PyTorch's files.
            variant: Goes into the file names, as "fp16" in `flax_model.fp16.msgpack`.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
            CheckpointError: The weights do not fit the config; nothing is written.
        """
        from distilbert_conversion.save import save_model

        older = hub.pop("use_auth_token", None)
        if (token or older) is not None:
            hub["token"] = token or older
        check_push_options(hub)
        if not is_main_process:
            return
        if save_function is not None:
            warnings.warn("save_function has no effect: it writes PyTorch's files, and none is written", stacklevel=2)
        model = bind(self, state_dict if params is None else params, None, None)
        arrays, config = arrays_of(model), fitting_config(model)
        dialect = "flax-safetensors" if safe_serialization else "flax-msgpack"
        files = save_model(save_directory, arrays, config, self._table_head, dialect, max_shard_size, variant)
        if push_to_hub:
            push_saved(save_directory, repo_id, [file.name for file in files], hub)

    def push_to_hub(self, repo_id: str, params: Params | None = None, **hub: Any) -> str:
        """Upload config and weights, `params` or the model's own; `token` and the like as in `push_folder`."""
        return super(FlaxDistilBertPreTrainedModel, bind(self, params, None, None)).push_to_hub(repo_id, **hub)
