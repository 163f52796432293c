from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import distilbert_flax.fast.programs as programs
from distilbert_common.packing import pack
from distilbert_flax import FlaxDistilBertForTokenClassification, FlaxDistilBertModel
from distilbert_flax.fast.batch_chunks import CHUNK_TOKENS, map_chunks
from distilbert_flax.fast.snapshots import snapshot_of
from parity_tests.helpers.packing_cases import padded, save_model, token_lists
from parity_tests.helpers.tolerances import MATRIX


def close(one: jax.Array, other: jax.Array) -> bool:
    return one.shape == other.shape and float(jnp.abs(one - other).max()) <= MATRIX.value


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Chunks of 64 tokens."""
    monkeypatch.setattr(programs, "chunk_tokens", lambda: 64)
    programs.program.cache_clear()
    yield
    programs.program.cache_clear()


@pytest.mark.parametrize("batch", [1, 4, 6, 7])
@pytest.mark.parametrize("masks", [0, 1, None], ids=["no mask", "one mask", "masks"])
def test_chunks_give_what_the_whole_gives(batch: int, masks: int | None) -> None:
    x = jnp.arange(batch * 6.0).reshape(batch, 3, 2)
    mask = None if masks == 0 else jnp.arange(2, 2 + (masks or batch))[:, None, None]

    def run(x: jax.Array, mask: jax.Array | None) -> tuple:
        return x if mask is None else x * mask, x[:, 0], None

    for tokens in (None, 1, 9, 100):
        output, expected = map_chunks(run, x, mask, tokens), run(x, mask)
        assert all((one == other).all() for one, other in zip(output[:2], expected[:2], strict=True))


@pytest.mark.usefixtures("few_at_once")
@pytest.mark.parametrize("inputs", ["padded", "rows of a bucket's size and more", "packed", "a mask for all rows"])
def test_a_model_gives_the_same_chunk_after_chunk(tmp_path: Path, inputs: str) -> None:
    lists = token_lists(40)
    batch = padded(lists)
    if inputs == "packed":
        batch = pack(lists, 48).inputs
    if inputs == "a mask for all rows":
        seq = batch["input_ids"].shape[1]
        batch["attention_mask"] = np.tril(np.ones((1, 1, seq, seq), np.int32))
    if inputs.startswith("rows"):
        batch = {name: array[:37] for name, array in batch.items()}
    model = FlaxDistilBertForTokenClassification.from_pretrained(save_model(tmp_path, "ForTokenClassification"))
    asked = {"output_hidden_states": True, "unpad": False, "output_attentions": True}
    output, expected = model(**batch, **asked), model(**batch, **asked, jit=False)
    assert close(output.logits, expected.logits)
    for name in ("hidden_states", "attentions"):
        assert len(output[name]) == len(expected[name])
        assert all(close(one, other) for one, other in zip(output[name], expected[name], strict=True))


def loops(model: FlaxDistilBertModel, **options) -> int:
    """Return how many loops over chunks the program of a call of 16 x 128 tokens has."""
    snapshot = snapshot_of(model)
    arrays = {"input_ids": jnp.ones((16, 128), jnp.int32)}
    key = snapshot.description, (("return_dict", True),), options.get("train"), False, programs.shapes_of(arrays)
    return str(jax.make_jaxpr(programs.program(*key))(snapshot.values(), arrays, None)).count("scan[")


def test_large_batches_on_a_processor_run_in_chunks_but_not_in_training(tmp_path: Path) -> None:
    model = FlaxDistilBertModel.from_pretrained(save_model(tmp_path, "Model", max_position_embeddings=128))
    assert CHUNK_TOKENS < 16 * 128
    assert (loops(model) > 0) == (jax.default_backend() == "cpu")
    assert loops(model, train=True) == 0
