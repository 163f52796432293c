"""What a change of size does in each family alike: positions, the pad token, pruned heads, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, Framework
from distilbert_common.errors import ConfigError, InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_flax import Frozen
from parity_tests.helpers import golden

PT = golden.GOLDEN / "micro" / "ForMaskedLM" / "pt"
TABLE = {"pt": "weight", "tf": "embeddings", "flax": "embedding"}
"""What an embedding layer's table is called."""
IS_FROZEN = {
    "pt": lambda table: not table.requires_grad,
    "tf": lambda table: not table.trainable,
    "flax": lambda table: isinstance(table, Frozen),
}
IS_TIED = {
    "pt": lambda model: model.vocab_projector.weight is model.get_input_embeddings().weight,
    "tf": lambda model: model.vocab_projector.kernel is None,
    "flax": lambda model: set(model.params["vocab_projector"]) == {"bias"},
}

pytestmark = pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)


def masked_lm(framework: Framework, **fields: Any) -> Any:
    return framework.load(PT, "ForMaskedLM", **fields)


def logits(framework: Framework, model: Any, ids: np.ndarray, *, flags: Any = None, **inputs: Any) -> np.ndarray:
    return framework.run(model, {"input_ids": ids, **inputs}, "cpu", flags or {})["logits"]


def position_table(framework: Framework, model: Any) -> Any:
    return getattr(model.get_position_embeddings(), TABLE[framework.name])


def as_array(table: Any) -> np.ndarray:
    return np.array(table.detach().numpy() if hasattr(table, "detach") else np.asarray(table))


@pytest.mark.parametrize("size", [45, 40, 30])
def test_vocabulary(framework: Framework, size: int, tmp_path: Path) -> None:
    model, old, ids = masked_lm(framework), masked_lm(framework), np.arange(8)[None]
    embeddings = model.resize_token_embeddings(size)
    rows = min(size, 40)
    assert embeddings is model.get_input_embeddings()
    table, old_table = (as_array(getattr(x.get_input_embeddings(), TABLE[framework.name])) for x in (model, old))
    assert table.shape == (size, 12)
    assert np.array_equal(table[:rows], old_table[:rows])
    assert IS_TIED[framework.name](model)
    resized = logits(framework, model, ids)
    assert resized.shape == (1, 8, size)
    assert np.allclose(resized[..., :rows], logits(framework, old, ids)[..., :rows], atol=1e-6, rtol=0)
    model.save_pretrained(tmp_path)
    assert framework.load(tmp_path, "ForMaskedLM").config.vocab_size == size


@pytest.mark.parametrize("positions", [30, 9])
def test_learned_positions(framework: Framework, positions: int, tmp_path: Path) -> None:
    model, old = masked_lm(framework), masked_lm(framework)
    model.resize_position_embeddings(positions)
    ids = np.arange(9)[None]
    assert np.array_equal(logits(framework, model, ids), logits(framework, old, ids))
    longest = np.ones((1, positions), int)
    expected = logits(framework, model, longest)
    assert np.isfinite(expected).all()
    with pytest.raises(InputError, match=f"the model has {positions} positions"):
        logits(framework, model, np.ones((1, positions + 1), int))
    model.save_pretrained(tmp_path)
    assert np.array_equal(logits(framework, framework.load(tmp_path, "ForMaskedLM"), longest), expected)


def test_sinusoidal_positions_go_on_as_the_sinusoid_and_stay_frozen(framework: Framework) -> None:
    model = masked_lm(framework, sinusoidal_pos_embds=True)
    stored = as_array(position_table(framework, model)).copy()
    model.resize_position_embeddings(24)
    table = position_table(framework, model)
    assert np.array_equal(as_array(table)[:16], stored), "a stored table may have been trained"
    assert np.array_equal(as_array(table)[16:], sinusoidal_table(24, 12)[16:])
    assert IS_FROZEN[framework.name](table)
    assert np.isfinite(logits(framework, model, np.ones((1, 24), int))).all()


@pytest.mark.parametrize("size", [0, -3, 2.5, True])
def test_impossible_sizes(framework: Framework, size: object) -> None:
    model = masked_lm(framework)
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_position_embeddings(size)
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_token_embeddings(size)


def test_the_pad_token_stays_in_the_vocabulary(framework: Framework) -> None:
    model = masked_lm(framework, pad_token_id=5)
    with pytest.raises(ConfigError, match=r"'pad_token_id' is 5; it must be below vocab_size \(3\)"):
        model.resize_token_embeddings(3)
    assert logits(framework, model, np.arange(8)[None]).shape == (1, 8, 40), "as it was"


def test_pruned_heads_are_as_if_masked(framework: Framework, tmp_path: Path) -> None:
    model, unpruned, ids = masked_lm(framework), masked_lm(framework), np.arange(8)[None]
    model.prune_heads({0: [1]})
    model.prune_heads({1: [0], 0: [1]})
    q_lin = model.distilbert.transformer.layer[0].attention.q_lin
    assert tuple(q_lin.weight.shape if framework.name == "pt" else q_lin.kernel.shape[::-1]) == (6, 12)
    assert model.config.pruned_heads == {0: [1], 1: [0]}
    assert unpruned.num_parameters() - model.num_parameters() == 2 * (4 * 6 * 12 + 3 * 6)
    mask, none = np.array([[1, 0], [0, 1]], np.float32), np.ones((2, 2), np.float32)
    masked, pruned = logits(framework, unpruned, ids, head_mask=mask), logits(framework, model, ids)
    assert np.allclose(pruned, masked, atol=1e-5, rtol=0)
    with_attentions = logits(framework, model, ids, head_mask=none, flags={"output_attentions": True})
    assert np.allclose(with_attentions, masked, atol=1e-5, rtol=0)
    model.save_pretrained(tmp_path)
    again = framework.load(tmp_path, "ForMaskedLM")
    assert np.array_equal(logits(framework, again, ids), pruned)
    assert again.config.pruned_heads == {0: [1], 1: [0]}


@pytest.mark.parametrize(
    ("heads", "words"),
    [({5: [0]}, "no layer 5"), ({0: [2]}, "heads 0..1; asked to prune"), ({0: [0, 1]}, "leaves none in layer 0")],
)
def test_impossible_pruning(framework: Framework, heads: dict[int, list[int]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        masked_lm(framework).prune_heads(heads)
