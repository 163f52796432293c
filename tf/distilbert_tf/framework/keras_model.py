"""What Keras itself asks of a model: its config, `compile`, low-rank training, `export`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

import keras

from distilbert_common import DistilBertConfig
from distilbert_tf.framework.adapting import change_layers, changed_layers, enable_lora
from distilbert_tf.framework.export import check_format, export_saved_model, ids_and_mask
from distilbert_tf.framework.optimizers import leave_out_reduction
from distilbert_tf.loading import build

__all__ = ["KerasModel"]


class KerasModel(keras.Model):
    """The methods of `keras.Model` that these models add to; a base before it."""

    config_class: ClassVar[type[DistilBertConfig]]
    input_axes: ClassVar[int]

    def __dir__(self) -> list[str]:
        # Keras stores a part under the first of its names here: not these, which come before the part's own
        return [name for name in super().__dir__() if name not in ("base_model", "layers")]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for `fit` and `evaluate`, as in Keras; what it traces is freed with the model."""
        super().compile(*args, **kwargs)
        leave_out_reduction(self.optimizer)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as values for JSON, and what Keras has done to layers since."""
        changes = changed_layers(self)
        return {**super().get_config(), **({"changed_layers": changes} if changes else {})}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None, **kwargs: Any) -> Self:
        """Build a new model from what `get_config` returned, or from a DistilBertConfig or its fields."""
        if isinstance(config, DistilBertConfig):
            return cls(config, **kwargs)
        if "config" not in config:
            return cls(cls.config_class.from_dict(config), **kwargs)
        arguments = {**config, **kwargs}
        fields, changes = arguments.pop("config"), arguments.pop("changed_layers", {})
        model: Self = build(cls, cls.config_class.from_dict(fields), (), arguments, arguments.pop("dtype", None))
        model.build_all()  # Keras fills the weights that there are
        change_layers(model, changes)
        return model

    @classmethod
    def _from_config(cls, config: DistilBertConfig, **kwargs: Any) -> Self:
        """Build a new model, under the name that transformers' auto classes call."""
        return cls.from_config(config, **kwargs)

    def enable_lora(
        self, rank: int, target_layer_names: Iterable[str] = ("q_lin", "v_lin"), lora_alpha: float | None = None
    ) -> None:
        """Train low-rank changes of some layers, and nothing else; `save_pretrained` merges them in.

        Args:
            rank: The rank of each change.
            target_layer_names: The names of the layers, which are dense layers or embeddings.
            lora_alpha: The change is scaled by lora_alpha / rank; `rank` when None.

        Raises:
            InputError: There are no such layers.
        """
        enable_lora(self, rank, target_layer_names, lora_alpha)

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
                `serve_int64`; or "litert".
            verbose: Whether Keras prints what it writes; its own choice when None.
            input_signature: Other inputs, as `keras.Model.export` takes them.
            **kwargs: Further options of `keras.Model.export`.

        Raises:
            InputError: The format is unknown, or Keras would write a file in it that does not work.
        """
        check_format(format)
        if format == "tf_saved_model" and input_signature is None:
            export_saved_model(self, self.input_axes, filepath, verbose)
            return
        signature = [ids_and_mask(self.input_axes, "int32")] if input_signature is None else input_signature
        super().export(filepath, format, verbose, signature, **kwargs)
