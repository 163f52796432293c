"""What holds in each family alike: hub ids, keywords of saving, pruned checkpoints, freezing, copies."""

from __future__ import annotations

import copy
import importlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, Framework
from distilbert_common.errors import InputError
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX

PT = golden.GOLDEN / "micro" / "ForMaskedLM" / "pt"
INPUTS = {"input_ids": np.arange(1, 8)[None]}


def logits(framework: Framework, model: Any) -> np.ndarray:
    return framework.run(model, INPUTS, "cpu", {})["logits"]


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_hub_id_comes_from_the_cache(framework: Framework, tmp_path: Path) -> None:
    repository, commit = tmp_path / "models--someone--model", "0" * 40
    shutil.copytree(PT, repository / "snapshots" / commit / "inner")
    (repository / "refs").mkdir()
    for reference in ("main", "v1"):
        (repository / "refs" / reference).write_text(commit)
    options = {"cache_dir": tmp_path, "revision": "v1", "subfolder": "inner", "local_files_only": True}
    model = framework.load("someone/model", "ForMaskedLM", **options)
    assert np.array_equal(logits(framework, model), logits(framework, framework.load(PT, "ForMaskedLM")))


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_misspelt_keyword_of_saving_is_refused(framework: Framework, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_shard_sizes'"):
        framework.load(PT, "ForMaskedLM").save_pretrained(tmp_path / "out", max_shard_sizes=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_pruned_and_resized_model_goes_from_each_family_to_each(
    framework: Framework, other: Framework, tmp_path: Path
) -> None:
    model = framework.load(PT, "ForMaskedLM")
    model.prune_heads({0: [1]})
    model.resize_token_embeddings(44)
    model.save_pretrained(tmp_path)
    again = other.load(tmp_path, "ForMaskedLM")
    assert again.config.pruned_heads == {0: [1]}
    assert float(np.abs(logits(other, again) - logits(framework, model)).max()) <= MATRIX.value


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_copies_compute_the_same(framework: Framework, copied: Any) -> None:
    model = framework.load(PT, "ForMaskedLM")
    assert np.array_equal(logits(framework, copied(model)), logits(framework, model))


def test_keras_clones_a_model() -> None:
    import keras

    model = FRAMEWORKS["tf"].load(PT, "ForMaskedLM")
    clone = keras.models.clone_model(model)
    assert [weight.shape for weight in clone.weights] == [weight.shape for weight in model.weights]
    clone.set_weights(model.get_weights())
    assert np.array_equal(logits(FRAMEWORKS["tf"], clone), logits(FRAMEWORKS["tf"], model))


def test_a_frozen_backbone_stays_as_it_is_in_pytorch() -> None:
    import torch

    model = FRAMEWORKS["pt"].load(PT, "ForMaskedLM")
    for parameter in model.distilbert.parameters():
        parameter.requires_grad = False
    before = [parameter.detach().clone() for parameter in model.distilbert.parameters()]
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
    ids = torch.from_numpy(INPUTS["input_ids"])
    model.train()(ids, labels=ids).loss.backward()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, model.distilbert.parameters(), strict=True))
    assert model.vocab_transform.weight.grad.abs().max() > 0


def test_a_frozen_backbone_stays_as_it_is_in_flax() -> None:
    import jax
    import optax
    from flax import nnx

    model = FRAMEWORKS["flax"].load(PT, "ForMaskedLM")
    before = jax.tree.map(np.array, model.params)
    trained = nnx.All(nnx.Param, lambda path, _: path[0] != "distilbert")
    optimizer = nnx.Optimizer(model, optax.adamw(0.1), wrt=trained)
    ids = INPUTS["input_ids"]
    gradients = nnx.grad(lambda model: model(ids, labels=ids).loss, argnums=nnx.DiffState(0, trained))(model)
    optimizer.update(model, gradients)
    jax.tree.map(
        np.testing.assert_array_equal, before["distilbert"], jax.tree.map(np.array, model.params)["distilbert"]
    )
    assert (before["vocab_transform"]["kernel"] != np.array(model.params["vocab_transform"]["kernel"])).any()


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_an_unknown_word_on_padding_and_a_layout_beside_a_mask_are_refused(framework: Framework) -> None:
    mask = {"attention_mask": np.ones((1, 7), np.int64)}
    for head in ("Model", "ForTokenClassification"):
        model = framework.load(PT.parents[1] / head / "pt", head)
        with pytest.raises(InputError, match="unpad is 'yes'; expected"):
            framework.run(model, INPUTS | mask, "cpu", {"unpad": "yes"})
        layout = importlib.import_module(f"{framework.package}.layout").Padded()
        with pytest.raises(InputError, match="layout was given with attention_mask or segment_ids"):
            framework.run(model, INPUTS | mask, "cpu", {"layout": layout})


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_every_head_takes_embeddings_in_the_place_of_ids(framework: Framework) -> None:
    mask = np.array([[1, 1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0, 0]])
    for head in golden.HEADS:
        model = framework.load(PT.parents[1] / head / "pt", head)
        shape = (2, 1, 7) if head == "ForMultipleChoice" else (2, 7)
        x = np.random.default_rng(0).normal(size=(*shape, model.config.dim)).astype(np.float32)
        results = framework.run(model, {"inputs_embeds": x, "attention_mask": mask.reshape(shape)}, "cpu", {})
        assert all(np.isfinite(array).all() for array in results.values())


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_model_without_its_last_block_runs(framework: Framework) -> None:
    model = framework.load(PT, "ForMaskedLM")
    del model.distilbert.transformer.layer[-1]
    factors = np.ones((len(model.distilbert.transformer.layer), model.config.n_heads), np.float32)
    for flags in ({}, {"output_hidden_states": True}):
        results = framework.run(model, INPUTS | {"head_mask": factors}, "cpu", flags)
        assert np.allclose(results["logits"], framework.run(model, INPUTS, "cpu", {})["logits"], atol=MATRIX.value)
    assert len([name for name in results if name.startswith("hidden_states")]) == len(factors) + 1
