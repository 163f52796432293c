"""The base class of all models: loading, saving, initialisation, and what holds for every head."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Self

import keras
import numpy as np

from distilbert_common import DistilBertConfig, ModelOutput
from distilbert_common.checks import check_one_input, check_one_mask
from distilbert_common.errors import ConfigError, InputError
from distilbert_common.files import HUB_OPTIONS
from distilbert_common.hub import check_push_options, push_folder
from distilbert_tf.arrays import as_policy, to_array
from distilbert_tf.calling import bind
from distilbert_tf.checks import check_inputs, check_labels
from distilbert_tf.compiled import call as compiled_call
from distilbert_tf.compiled import compiles
from distilbert_tf.export import export_saved_model, ids_and_mask
from distilbert_tf.layers import Configured
from distilbert_tf.loading import Stored, defer, finish
from distilbert_tf.losses import IGNORED
from distilbert_tf.optimizers import leave_out_reduction
from distilbert_tf.resizing import prune, resize_positions, resize_tokens
from distilbert_tf.training import TaskTraining

if TYPE_CHECKING:  # the converter is imported where names or files are needed: the classes alone need none of it
    from distilbert_conversion import LoadReport

ATTENTION_IMPLEMENTATIONS = ("eager", "sdpa")

DIALECTS = {"h5": "tf-h5", "safetensors": "tf-safetensors", "keras": "keras"}
"""The formats of `save_pretrained`."""

VARIABLES = {"weight": ("kernel", "embeddings", "gamma"), "bias": ("bias", "beta")}
"""The attributes of Keras layers that hold what PyTorch calls weight and bias."""


class TFDistilBertPreTrainedModel(Configured, TaskTraining, keras.Model):
    """What all DistilBERT models share.

    Args:
        config: The sizes; the model keeps a copy.
        **kwargs: Keras' `name`, `trainable`, and `dtype`: a dtype or a policy such as "mixed_float16".
    """

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    main_input_name: ClassVar[str] = "input_ids"
    head: ClassVar[str]
    input_axes: ClassVar[int] = 2
    load_report: LoadReport | None = None

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if not isinstance(config, DistilBertConfig):
            raise TypeError(f"config is a {type(config).__name__}; expected a DistilBertConfig")
        self.config = config.updated(attn_implementation=config.attn_implementation or "sdpa")
        if self.config.attn_implementation not in ATTENTION_IMPLEMENTATIONS:
            raise ConfigError(
                f"attn_implementation is {self.config.attn_implementation!r}; "
                f"it must be one of {', '.join(ATTENTION_IMPLEMENTATIONS)}"
            )

    @property
    def base_model(self) -> keras.layers.Layer:
        """The bare model inside."""
        return getattr(self, self.base_model_prefix)

    def __dir__(self) -> list[str]:
        # Keras stores a part under the first of its names here: not these, which come before the part's own
        return [name for name in super().__dir__() if name not in ("base_model", "layers")]

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Count parameters; a tied one counts once."""
        return sum(prod(v.shape) for v in self.weights if v.trainable or not only_trainable)

    def __call__(self, *args: Any, jit: bool = True, unpad: bool = True, **kwargs: Any) -> Any:
        """Check the arguments and call the model; on TensorFlow as a graph.

        Args:
            *args: Arguments of `call` in order, or one dict or list of them.
            jit: Whether to compile; see `distilbert_tf.compiled`. A call inside a graph becomes a part of it.
            unpad: Whether a compiled call may leave padding out where that pays; its hidden states are 0 then. False
                computes them as transformers does.
            **kwargs: Arguments of `call` by name.
        """
        arguments = bind(self.call, args, kwargs)
        self.check(**arguments)
        if jit and compiles(self, arguments):
            return compiled_call(self, arguments, unpad)
        return super().__call__(**arguments)

    def check(
        self,
        input_ids: Any = None,
        inputs_embeds: Any = None,
        position_ids: Any = None,
        token_type_ids: Any = None,
        attention_mask: Any = None,
        segment_ids: Any = None,
        labels: Any = None,
        **_: Any,
    ) -> None:
        """Check one call before any compute; see `check_inputs`."""
        check_one_input(input_ids, inputs_embeds)
        check_one_mask(attention_mask, segment_ids)
        check_inputs(self.config, input_ids, inputs_embeds, position_ids, token_type_ids)
        if labels is not None and segment_ids is None:
            check_labels(labels, self.classes_of(labels), IGNORED)

    def classes_of(self, labels: Any) -> int | None:
        """Return how many classes labels may name, or None where they are no classes."""
        return None

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for `fit` and `evaluate`, as in Keras; what it traces is freed with the model."""
        super().compile(*args, **kwargs)
        leave_out_reduction(self.optimizer)

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Call the model as a pure function of its variables, as Keras' JAX backend does."""
        arguments = bind(self.call, args, kwargs)
        return super().stateless_call(
            trainable_variables, non_trainable_variables, return_losses=return_losses, **arguments
        )

    def result(self, output: ModelOutput, return_dict: bool | None) -> Any:
        """Return the output as it is, or as a tuple where the call or the config asks for one."""
        return output if (self.config.return_dict if return_dict is None else return_dict) else output.to_tuple()

    # Initialisation.

    def post_init(self) -> None:
        """Create all weights, with their initial values; the last line of every constructor.

        Not by `build` itself, which Keras would let lock the model: a subclass adds layers after this. Nor within the
        model's name, another one for each model, of which TensorFlow keeps a trace for each variable.
        """
        TFDistilBertPreTrainedModel.build(self)
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Create the weights of the parts that have none; the constructor calls it."""
        for part in self.layers:
            if not part.built:
                part.build((None, None, self.config.dim))

    def named_variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield every stored weight with its bare canonical name: PyTorch's, without the prefix of the backbone."""
        from distilbert_conversion import expected, weight_row

        for name in expected(self.config, self.head):
            *path, leaf = name.split(".")
            part = self.base_model if weight_row(name, self.head).backbone else self
            for step in path:
                part = part[int(step)] if step.isdecimal() else getattr(part, step)
            yield name, next(getattr(part, variable) for variable in VARIABLES[leaf] if hasattr(part, variable))

    def get_input_embeddings(self) -> keras.layers.Embedding:
        """Return the word embeddings."""
        return self.base_model.embeddings.word_embeddings

    def get_output_embeddings(self) -> keras.layers.Layer | None:
        """Return the masked-LM projector, or None for a model without one."""
        return getattr(self, "vocab_projector", None)

    def set_input_embeddings(self, embeddings: keras.layers.Embedding) -> None:
        """Replace the word embeddings by the values of another layer; the projector and its bias follow."""
        values = to_array(embeddings.embeddings)  # (vocab, dim)
        resize_tokens(self, len(values), multiple=1, mean_resizing=False)
        self.get_input_embeddings().embeddings.assign(values)

    def get_position_embeddings(self) -> keras.layers.Embedding:
        """Return the position table."""
        return self.base_model.embeddings.position_embeddings

    def tie_weights(self) -> None:
        """Do nothing: a tied projector has no kernel of its own, it reads the word embeddings at each call."""

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> keras.layers.Embedding:
        """Change the size of the vocabulary; a tied projector stays tied. Compile anew before `fit`.

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
        dtype: Any = None,
        torch_dtype: Any = None,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        from_pt: bool = False,
        from_flax: bool = False,
        from_tf: bool = False,
        **kwargs: Any,
    ) -> Self | tuple[Self, LoadReport]:
        """Load a checkpoint of any dialect: PyTorch, TensorFlow or Flax names, safetensors, bin, h5 or msgpack.

        Args:
            name_or_path: A directory, a weights file, or a hub id.
            config: The config to use instead of the checkpoint's.
            dtype: The dtype of the variables, or a policy such as "mixed_bfloat16"; the checkpoint's own dtype when
                None or "auto", with Keras' global policy where that has variables of this dtype.
            torch_dtype: Another name of `dtype`.
            output_loading_info: Whether to return the LoadReport beside the model.
            ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.
            from_pt: Not needed: the dialect is found out.
            from_flax: Not needed: the dialect is found out.
            from_tf: Not needed: the dialect is found out.
            **kwargs: `cache_dir`, `revision`, `token`, `local_files_only`, `subfolder` for the hub;
                `attn_implementation`; any config field, which replaces the checkpoint's.

        Returns:
            The model, with its `load_report`.

        Raises:
            CheckpointError: There is no checkpoint, or it is damaged, or a backbone weight is missing or misshapen.
            TypeError: A keyword is neither an option nor a config field.
        """
        from distilbert_conversion import open_checkpoint
        from distilbert_conversion.report import check, compare
        from distilbert_conversion.table import is_transposed

        hub = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        with open_checkpoint(name_or_path, **hub) as checkpoint:
            config = (config or checkpoint.config()).updated(**kwargs)
            report = compare(checkpoint, config, cls.head)
            check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
            stored = {name: Stored(checkpoint.tensors[name], is_transposed(name)) for name in report.loaded}
            with keras.StatelessScope():  # where variables are made without values: they get them at its end
                model = cls(config, dtype=as_policy(dtype or torch_dtype, checkpoint.dtype))
                variables = dict(model.named_variables())
                defer(variables, stored)
            finish(variables, stored)
        model.load_report = report
        if report.message():
            warnings.warn(report.message(), stacklevel=2)
        return (model, report) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        max_shard_size: int | str | None = "5GB",
        safe_serialization: bool = False,
        format: str | None = None,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **hub: Any,
    ) -> None:
        """Write config and weights, as files that transformers opens, or Keras.

        Args:
            save_directory: Made where it is missing.
            max_shard_size: Largest size of one file, in bytes or as "2GB".
            safe_serialization: Whether to write safetensors, or else `tf_model.h5`.
            format: "h5", "safetensors", or "keras" for the `model.weights.h5` of Keras' own `load_weights`.
            push_to_hub: Whether to upload the directory.
            repo_id: The repository to upload to; the directory's own name when None.
            **hub: `token`, `private`, `commit_message`.

        Raises:
            TypeError: A keyword is none of these.
        """
        from distilbert_conversion import save_checkpoint

        check_push_options(hub)
        format = format or ("safetensors" if safe_serialization else "h5")
        if format not in DIALECTS:
            raise InputError(f"format is {format!r}; expected one of {', '.join(DIALECTS)}")
        arrays = {name: in_layout(name, to_array(v)) for name, v in self.named_variables()}
        architecture = type(self).__name__.removeprefix("TF")
        config = self.config.updated(architectures=[architecture], dtype=self.variable_dtype)
        config.save_pretrained(save_directory)
        save_checkpoint(
            save_directory, arrays, config, self.head, dialect=DIALECTS[format], max_shard_size=max_shard_size
        )
        if push_to_hub:
            push_folder(save_directory, repo_id or Path(save_directory).name, **hub)

    def push_to_hub(self, repo_id: str, **hub: Any) -> str:
        """Upload config and weights to the hub; `token`, `private` and `commit_message` as in `push_folder`."""
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory)
            return push_folder(directory, repo_id, **hub)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model for serving; it takes ids and mask by name, of any size, and gives its logits by name.

        Args:
            filepath: The directory, for other formats the file, to write.
            format: "tf_saved_model", with the signatures `serve` (which is also `serving_default`) for int32 ids and
                `serve_int64`; or another format of `keras.Model.export`: "litert", "onnx".
            verbose: Whether Keras prints what it writes; its own choice when None.
            input_signature: Other inputs, as `keras.Model.export` takes them.
            **kwargs: Further options of `keras.Model.export`.
        """
        if format == "tf_saved_model" and input_signature is None:
            export_saved_model(self, self.input_axes, filepath, verbose)
            return
        signature = [ids_and_mask(self.input_axes, "int32")] if input_signature is None else input_signature
        super().export(filepath, format, verbose, signature, **kwargs)


def in_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn a weight from PyTorch's layout into Keras', or back."""
    from distilbert_conversion.table import is_transposed

    return array.T if is_transposed(name) else array
