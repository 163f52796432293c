"""What a model is without the values of its variables, read once and for as long as nobody changes it."""

from __future__ import annotations

from typing import Any

import keras

from distilbert_tf.fast.programs import SHARED, Programs
from distilbert_tf.framework.changes import count_changes_of, number_of_changes
from distilbert_tf.framework.structure import all_variables, is_per_token, structure, walk

__all__ = ["Snapshot", "snapshot_of"]


class Snapshot:
    """What a model was when it was last read, and where its graphs are.

    Attributes:
        number_of_changes: How often layers had been changed until then.
        stack: The list of the blocks.
        blocks: The blocks in it, as Keras tells nobody of what is put into a list.
        config: The config's fields.
        variables: Keras' variables, in the order of `all_variables`.
        values_of_variables: TensorFlow's variables in them.
        is_built: Whether all layers have their weights.
        is_distributed: Whether the variables are those of a distribution strategy, which have no one value.
        per_token: Whether all layers but attention treat each token by itself.
        structure: What models that share graphs have in common.
        programs: The graphs.
    """

    def __init__(self, model: Any) -> None:
        self.programs = SHARED
        self.read(model)

    def read(self, model: Any) -> None:
        """Remember what the model is, and have the changes of its layers counted from now on."""
        import tensorflow as tf

        layers = [layer for _, layer in walk(model)]
        for layer in layers:
            count_changes_of(layer)
        self.number_of_changes = number_of_changes()
        self.stack = model.base_model.transformer.layer
        self.blocks = tuple(self.stack)
        self.config = dict(vars(model.config))
        self.variables = all_variables(model)
        self.values_of_variables = [variable.value for variable in self.variables]
        self.is_built = all(layer.built for layer in layers)
        self.is_distributed = any(isinstance(v, tf.distribute.DistributedValues) for v in self.values_of_variables)
        self.per_token = all(map(is_per_token, layers[1:]))
        self.structure = structure(model)
        if self.structure is None and self.programs is SHARED:
            self.programs = Programs()

    def is_current(self, model: keras.Model) -> bool:
        """Whether the model still is what it was."""
        return (
            self.number_of_changes == number_of_changes()
            and tuple(self.stack) == self.blocks
            and vars(model.config) == self.config
        )


def snapshot_of(model: keras.Model) -> Snapshot:
    """Return what the model is: as remembered, or read again where something has changed."""
    snapshot: Snapshot | None = vars(model).get("_snapshot")
    if snapshot is None or not snapshot.is_current(model):
        snapshot = vars(model)["_snapshot"] = Snapshot(model)  # past Keras, which would track and store it
    return snapshot
