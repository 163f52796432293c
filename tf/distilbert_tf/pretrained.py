"""The base class of all models: loading and saving, and what holds for every head."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import keras

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_config
from distilbert_common.constants import ATTENTION_IMPLEMENTATIONS
from distilbert_common.errors import InputError
from distilbert_common.hub import check_push_options
from distilbert_common.load_report import LoadReport
from distilbert_common.loading_options import split_options
from distilbert_common.pretrained import push_saved
from distilbert_common.quantization import is_everywhere, recipe, skipped_modules
from distilbert_tf.arrays import as_policy, to_array
from distilbert_tf.framework.calling import takes_any_keyword
from distilbert_tf.framework.configured import Configured, ConfiguredLayer
from distilbert_tf.framework.export import ids_and_mask
from distilbert_tf.framework.garbage import count_weights, free_models
from distilbert_tf.framework.keras_model import KerasModel
from distilbert_tf.framework.model_calls import ModelCalls
from distilbert_tf.framework.model_utils import ModelUtils
from distilbert_tf.framework.structure import walk
from distilbert_tf.framework.training import TaskTraining
from distilbert_tf.inventory import arrays_to_save, named_weights
from distilbert_tf.loading import constructor_arguments, fill, read_config
from distilbert_tf.quantization import AXES, MatrixQuantizer, check_skip, is_default, layers_to_quantize
from distilbert_tf.resizing import prune, resize_positions, resize_tokens

__all__ = ["TFDistilBertPreTrainedModel"]

DIALECTS = {"h5": "tf-h5", "safetensors": "tf-safetensors", "keras": "keras"}
"""The formats of `save_pretrained`."""


class TFDistilBertPreTrainedModel(KerasModel, Configured, ModelCalls, ModelUtils, TaskTraining, keras.Model):
    """What all DistilBERT models share.

    A model of your own is a subclass: a `TFDistilBertMainLayer` as the attribute that `base_model_prefix` names, any
    other layers, and a `call`. All of it is saved and loaded, each weight under its own name.

    Args:
        config: The sizes; the model keeps a copy.
        *inputs: Of no effect, as in transformers.
        **kwargs: Keras' `name`, `trainable`, and `dtype`: a dtype or a policy such as "mixed_float16".
    """

    head: ClassVar[str | None] = None
    input_axes: ClassVar[int] = 2

    _resize_tokens = resize_tokens
    _resize_positions = resize_positions
    _prune = prune

    def __init__(self, config: DistilBertConfig, *inputs: Any, **kwargs: Any) -> None:
        free_models()
        super().__init__(autocast=False, **kwargs)
        if takes_any_keyword(self.call):  # and so `training`, as Keras 2 had it; Keras 3 asks for the name
            self._call_has_training_arg = self._call_has_context_arg["training"] = True
        check_config(config, ATTENTION_IMPLEMENTATIONS)
        self.config = config.updated(attn_implementation=config.attn_implementation or "sdpa")

    @property
    def base_model(self) -> keras.layers.Layer:
        """The bare model inside: the attribute of that name, or else the first one in any layer."""
        named = vars(self).get(self.base_model_prefix)
        if isinstance(named, TFDistilBertPreTrainedModel):  # a whole model as the body of another
            return named.base_model
        return named or next(layer for _, layer in walk(self) if hasattr(layer, "transformer"))

    def _submodules(self) -> Iterator[keras.layers.Layer]:
        return (layer for _, layer in walk(self))

    def _structure_changed(self) -> None:
        """Let go of the functions that Keras has traced for `fit`, `evaluate` and `predict`."""
        self.train_function = self.test_function = self.predict_function = None

    # Initialization.

    def post_init(self) -> None:
        """Create all weights, with their initial values; the last line of every constructor.

        Not by `build`, which Keras would let lock the model: a subclass adds layers after this. Nor within the
        model's name, another one for each model, of which TensorFlow keeps a trace for each variable.
        """
        for part in self.layers:
            if not part.built:
                part.build((None, None, self.config.dim))
        self.built = True
        count_weights(self.count_params())

    def build(self, input_shape: Any = None) -> None:
        """Create the weights of the DistilBERT inside; layers of a subclass make theirs when they are first called."""
        for part in self.layers:
            if isinstance(part, ConfiguredLayer) and not part.built:
                part.build(None)

    def build_all(self) -> None:
        """Create the weights of all layers, also of those that a subclass added: by a call without values."""
        TFDistilBertPreTrainedModel.build(self)
        if all(layer.built for _, layer in walk(self) if layer is not self):
            return
        names, specs = self.call_signature_names(), ids_and_mask(self.input_axes, "int32")
        super().__call__({n: keras.KerasTensor(x.shape, x.dtype, name=n) for n, x in specs.items() if n in names})

    build_in_name_scope = build_all

    def named_variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield every stored weight with its name: PyTorch's, without the prefix of the backbone, or its own."""
        self.build_all()
        return ((name, variable) for name, _, variable in named_weights(self))

    def set_input_embeddings(self, embeddings: keras.layers.Embedding) -> None:
        """Replace the word embeddings by the values of another layer; the projector and its bias follow."""
        values = to_array(embeddings.embeddings)  # (vocab, dim)
        self.resize_token_embeddings(len(values), mean_resizing=False)
        self.get_input_embeddings().embeddings.assign(values)

    def tie_weights(self) -> None:
        """Do nothing: a tied projector has no kernel of its own, it reads the word embeddings at each call."""

    def quantize(
        self,
        mode: str | None = None,
        config: Any = None,
        filters: Any = None,
        *,
        skip: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        """Keep dense layers and tables as whole numbers of 8 bits, for inference, as Keras does it.

        Each output of a layer and each row of a table has a scale, and each token one that is taken when it comes.
        `save_pretrained` writes the 8 bits, and `from_pretrained` loads them; PyTorch takes them in its blocks, and the
        converter reads them as the float32 numbers that they stand for.

        Args:
            mode: "int8", or another of Keras' modes, which `save` keeps and `save_pretrained` does not.
            config: Keras' own config of a mode, instead; `save` keeps it.
            filters: Which layers, as Keras takes it; `save` keeps it.
            skip: Ends of the names of layers that stay as they are, as "lin2" or "0.attention.q_lin".
            **kwargs: Further options of `keras.Model.quantize`.

        Raises:
            InputError: There are no such layers, or `skip` is given with another mode.
        """
        check_skip(self, skip := (skip,) if isinstance(skip, str) else tuple(skip))
        if is_default(config) and filters is None:
            self._quantize(skip, everywhere=True)
        elif skip:
            raise InputError("skip is for mode 'int8' alone; name the layers of other modes by filters")
        else:
            super().quantize(mode, config=config, filters=filters, **kwargs)

    def _quantize(self, skip: tuple[str, ...], *, everywhere: bool) -> None:
        for kind in AXES:
            layers = {id(layer) for layer in layers_to_quantize(self, kind, skip, everywhere)}
            super().quantize(
                config=MatrixQuantizer.config(kind), filters=lambda layer, layers=layers: id(layer) in layers
            )
        self.config.quantization_config = recipe(skip, everywhere)

    # Loading and saving.

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *model_args: Any,
        config: DistilBertConfig | str | Path | None = None,
        dtype: Any = None,
        torch_dtype: Any = None,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        **kwargs: Any,
    ) -> Self | tuple[Self, LoadReport]:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Args:
            pretrained_model_name_or_path: A directory, a weights file, or a hub id.
            *model_args: Passed on to the constructor, after the config.
            config: The config to use instead of the checkpoint's, or where it is.
            dtype: The dtype of the variables, or a policy such as "mixed_bfloat16"; the checkpoint's own dtype when
                None or "auto", with Keras' global policy where that has variables of this dtype.
            torch_dtype: Another name of `dtype`.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub; `variant`,
                `use_safetensors`; `attn_implementation`; any config field, which replaces the checkpoint's; Keras'
                `name` and `trainable`, and what else the constructor takes. Other options of transformers are
                accepted, with a warning where they would have an effect there.

        Returns:
            The model, with its `load_report`.

        Raises:
            CheckpointNotFoundError: There is no checkpoint.
            CheckpointError: It is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field nor the constructor's.
        """
        from distilbert_conversion import open_checkpoint

        hub, handled, fields = split_options(kwargs, "tf")
        arguments = {name: fields.pop(name) for name in constructor_arguments(cls, fields)}
        with open_checkpoint(pretrained_model_name_or_path, **hub, **handled) as checkpoint:
            config = read_config(cls.config_class, config, checkpoint, hub).updated(**fields)
            config.name_or_path = str(pretrained_model_name_or_path)
            skip = skipped_modules(config)
            policy = as_policy(dtype or torch_dtype, checkpoint.dtype if skip is None else "float32")
            if skip is not None and policy.variable_dtype != "float32":
                raise InputError(
                    f"the weights are quantized, which needs variables of float32; the dtype is {policy.name}: leave "
                    "it out, or take a policy such as 'mixed_bfloat16'"
                )
            model, report = fill(
                cls, checkpoint, config, model_args, arguments, policy, ignore_mismatched_sizes=ignore_mismatched_sizes
            )
        model.load_report = report
        if skip is not None:
            model._quantize(skip, everywhere=is_everywhere(config))
        if report.message():
            warnings.warn(report.message(), stacklevel=2)
        return (model, report) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: str | Path,
        saved_model: bool = False,
        version: int = 1,
        push_to_hub: bool = False,
        signatures: Any = None,
        max_shard_size: int | str | None = "5GB",
        create_pr: bool = False,
        safe_serialization: bool = False,
        token: str | bool | None = None,
        *,
        format: str | None = None,
        is_main_process: bool = True,
        state_dict: Any = None,
        save_function: Any = None,
        variant: str | None = None,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write config and weights, as files that transformers opens, or Keras.

        Args:
            save_directory: Made where it is missing.
            saved_model: Whether to write a SavedModel beside them, as `export` does: "saved_model/1".
            version: The name of that folder.
            push_to_hub: Whether to upload what is written.
            signatures: Not taken: the SavedModel has those of `export`.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            create_pr: Not taken: the directory is uploaded to the main branch.
            safe_serialization: Whether to write safetensors, or else `tf_model.h5`.
            token: Access token for the hub.
            format: "h5", "safetensors", or "keras" for the `model.weights.h5` of Keras' own `load_weights`; of a
                quantized model "safetensors" alone.
            is_main_process: Whether anything is written: of several processes that hold the model, one writes.
            state_dict: Of no effect, with a warning: the model's own weights are written.
            save_function: Of no effect, with a warning: it writes PyTorch's files.
            variant: Goes into the file names, as "fp16" in `model.fp16.safetensors`.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
            InputError: The format is unknown, layers are quantized, or signatures or a pull request are asked for.
        """
        from distilbert_conversion.save import save_model

        check_push_options(hub)
        is_quantized = skipped_modules(self.config) is not None
        if is_quantized and format not in (None, "safetensors"):
            raise InputError(f"format is {format!r}; a quantized model is written as safetensors alone")
        format = format or ("safetensors" if safe_serialization or is_quantized else "h5")
        if format not in DIALECTS:
            raise InputError(f"format is {format!r}; expected one of {', '.join(DIALECTS)}")
        if signatures is not None or create_pr:
            unknown = "create_pr" if create_pr else "signatures"
            raise InputError(f"{unknown} is not taken; leave it out, and use export() or huggingface_hub for it")
        if not is_main_process:
            return
        for name, option in {"state_dict": state_dict, "save_function": save_function}.items():
            if option is not None:
                warnings.warn(f"{name} has no effect in Keras: the model's own weights are written", stacklevel=2)
        self.build_all()
        arrays = arrays_to_save(self)
        architecture = type(self).__name__.removeprefix("TF")
        config = self.config.updated(architectures=[architecture], dtype=self.variable_dtype)
        dialect = "pt-safetensors" if is_quantized else DIALECTS[format]  # which says what 8 bits stand for
        files = save_model(save_directory, arrays, config, self.head, dialect, max_shard_size, variant)
        if saved_model:
            self.export(Path(save_directory) / "saved_model" / str(version), verbose=False)
        if push_to_hub:
            names = [*(file.name for file in files), *(["saved_model/*"] if saved_model else [])]
            push_saved(save_directory, repo_id, names, {"token": token, **hub})
