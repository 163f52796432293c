"""Keras draws from generators that its layers hold, whose states are variables that no file of weights has."""

from __future__ import annotations

import keras
import numpy as np

from distilbert_tf.framework.structure import named_variables, walk

__all__ = ["set_seeds"]


def set_seeds(model: keras.Model, *numbers: int) -> None:
    """Give all generators of a model states that depend on numbers alone, each another one."""
    states = [v for _, layer in walk(model) for _, v in named_variables(layer) if v.name == "seed_generator_state"]
    seeds = np.random.SeedSequence(numbers).generate_state(len(states), np.uint32) >> 1  # some backends have int32
    for state, seed in zip(states, seeds, strict=True):
        state.assign(np.array([seed, 0], np.uint32))
