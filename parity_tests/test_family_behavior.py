"""What holds in each family alike: hub ids, keywords, configs, pruned checkpoints, uploads, freezing, copies."""

from __future__ import annotations

import copy
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distilbert_cli.frameworks import FRAMEWORKS, Framework
from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
PT = MICRO / "ForMaskedLM" / "pt"
INPUTS = {"input_ids": np.arange(1, 8)[None]}


def logits(framework: Framework, model: Any) -> np.ndarray:
    return framework.run(model, INPUTS, "cpu", {})["logits"]


def classifier(framework: Framework, model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (classes, dim) and the bias of a sequence classifier's last layer."""
    layer = model.classifier
    if framework.name == "pt":
        return layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return np.asarray(layer.kernel).T, np.asarray(layer.bias)


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


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_unknown_keywords_and_missing_checkpoints(framework: Framework, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'num_label'"):
        framework.load(MICRO / "Model" / "pt", "Model", num_label=3)
    with pytest.raises(CheckpointError, match=r"has no weights; expected model\.safetensors, "):
        framework.load(tmp_path, "Model")


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_given_config_replaces_the_checkpoints(framework: Framework) -> None:
    config = DistilBertConfig.from_pretrained(MICRO / "Model" / "pt", attention_dropout=0.5)
    model = framework.load(MICRO / "Model" / "pt", "Model", config=config, dropout=0.0)
    assert (model.config.attention_dropout, model.config.dropout, config.dropout) == (0.5, 0.0, 0.1)


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_new_head_on_a_backbone_is_expected_and_starts_fresh(framework: Framework) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, report = framework.load(
            MICRO / "Model" / "pt", "ForSequenceClassification", num_labels=3, output_loading_info=True
        )
    assert report.ok
    assert report.new_head == ("classifier.bias", "classifier.weight", "pre_classifier.bias", "pre_classifier.weight")
    matrix, bias = classifier(framework, model)
    assert matrix.shape == (3, 12)
    assert 0 < matrix.std() < 0.05
    assert not bias.any()
    assert model.config.initializer_range == 0.02


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_another_number_of_labels(framework: Framework) -> None:
    path, head = MICRO / "ForSequenceClassification" / "pt", "ForSequenceClassification"
    with pytest.raises(CheckpointError, match=r"classifier\.weight is \(5, 12\), expected \(3, 12\)"):
        framework.load(path, head, num_labels=3)
    with pytest.warns(UserWarning, match=r"classifier\.weight"):
        model = framework.load(path, head, num_labels=3, ignore_mismatched_sizes=True)
    matrix, _ = classifier(framework, model)
    assert matrix.shape == (3, 12)
    assert matrix.any(), "initial values, not zeros"
    assert np.isfinite(logits(framework, model)).all()


@pytest.mark.parametrize(
    ("name", "file", "holds_params", "passed_on"),
    [
        ("pt", "model.safetensors", True, {"token": None}),
        ("tf", "tf_model.h5", True, {"token": None}),
        ("flax", "flax_model.msgpack", True, {}),
        ("flax", "flax_model.msgpack", False, {}),
    ],
)
def test_pushing_uploads_what_saving_writes(
    name: str,
    file: str,
    holds_params: bool,
    passed_on: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pushed = {}

    def push(folder: Path | str, repo_id: str, **hub: object) -> str:
        pushed[repo_id] = (sorted(path.name for path in Path(folder).iterdir()), hub)
        return "address"

    monkeypatch.setattr("distilbert_common.pretrained.push_folder", push)
    loaded = FRAMEWORKS[name].load(MICRO / "Model" / "pt", "Model", **{} if holds_params else {"_do_init": False})
    model, *params = (loaded,) if holds_params else loaded
    model.save_pretrained(tmp_path / "mine", *params, push_to_hub=True, private=True)
    options = {"token": "t", "max_shard_size": "1GB", "variant": None, "use_temp_dir": True}
    assert model.push_to_hub("user/model", *params, **options) == "address"
    files = ["config.json", file]
    assert pushed == {
        "mine": (files, {**passed_on, "private": True, "patterns": files}),
        "user/model": (files, {"token": "t", "use_temp_dir": True}),
    }


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
