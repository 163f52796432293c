from __future__ import annotations

import pickle

import pytest

from distilbert_flax.activations import ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_they_can_be_pickled(name: str) -> None:
    assert pickle.loads(pickle.dumps(ACTIVATIONS[name])) is ACTIVATIONS[name]
