"""Models of a user's own: a head added, replaced or invented is saved, loaded and reported under its own names."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from distilbert_common.errors import CheckpointError, InputError
from distilbert_conversion import convert
from distilbert_pt import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertPreTrainedModel,
)
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
CLASSIFIER, BODY, MASKED_LM = (MICRO / head / "pt" for head in ("ForSequenceClassification", "Model", "ForMaskedLM"))
IDS = torch.tensor([[1, 2, 3, 4]])


class WithLayers(DistilBertForSequenceClassification):
    """One of the six with more modules: a norm, a recurrent layer, counters, a table of constants."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.norm = nn.LayerNorm(config.dim)
        self.batch_norm = nn.BatchNorm1d(config.dim)
        self.rnn = nn.GRU(config.dim, 5)
        self.scale = nn.Parameter(torch.full((3,), 2.0))
        self.register_buffer("costs", torch.tensor([1.0, 2.0, 4.0]))
        self.register_buffer("scratch", torch.arange(4), persistent=False)
        self.loss = nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.5]))
        self.post_init()


class OwnHead(DistilBertPreTrainedModel):
    """The documented way to build a head of one's own, with names that tutorials use."""

    def __init__(self, config: DistilBertConfig, width: int = 3, act: str = "relu") -> None:
        super().__init__(config)
        self.distilbert = DistilBertModel(config)
        self.head = nn.Sequential(nn.Linear(config.dim, width), nn.ReLU())
        self.output = nn.Linear(width, config.num_labels)
        self.act = act
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return (batch, num_labels)."""
        x = self.distilbert(input_ids, attention_mask).last_hidden_state.mean(dim=1)  # (batch, dim)
        return self.output(self.head(x))


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, others = one.state_dict(), other.state_dict()
    return mine.keys() == others.keys() and all(torch.equal(mine[name], others[name]) for name in mine)


def randomized(model: nn.Module) -> Any:
    """Give every tensor of a model values that no constructor gives."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randint(1, 99, tensor.shape) / 64 if tensor.is_floating_point() else tensor + 7)
    return model


def loaded(cls: type[Any], path: Path, **options: Any) -> Any:
    """Load without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return cls.from_pretrained(path, **options)


@pytest.mark.parametrize("options", [{}, {"safe_serialization": False}, {"max_shard_size": 500}])
@pytest.mark.parametrize("cls", [WithLayers, OwnHead])
def test_all_modules_are_saved_and_loaded(cls: type[Any], options: dict[str, Any], tmp_path: Path) -> None:
    model = randomized(cls(DistilBertConfig.from_pretrained(CLASSIFIER)))
    model.save_pretrained(tmp_path, **options)
    again = loaded(cls, tmp_path)
    assert same(model, again)
    assert again.load_report.ok
    assert not again.load_report.new_head
    assert set(again.load_report.loaded) >= {name for name in model.state_dict() if not name.startswith("distilbert.")}
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [cls.__name__]


def test_names_in_the_file_are_those_of_the_state_dict(tmp_path: Path) -> None:
    for cls in (WithLayers, OwnHead):
        model = cls(DistilBertConfig.from_pretrained(CLASSIFIER))
        model.save_pretrained(tmp_path)
        assert load_file(tmp_path / "model.safetensors").keys() == model.state_dict().keys()


def test_what_a_checkpoint_lacks_starts_fresh_and_is_named() -> None:
    with pytest.warns(UserWarning, match=r"with initial values: .*head\.0\.weight.*output\.bias"):
        model, report = OwnHead.from_pretrained(CLASSIFIER, output_loading_info=True)
    assert report.new_head == ("head.0.bias", "head.0.weight", "output.bias", "output.weight")
    assert same(model.distilbert, DistilBertModel.from_pretrained(CLASSIFIER))
    assert not model.output.bias.any()
    assert 0 < model.head[0].weight.std() < 0.05, "the config's initializer_range"
    assert model(IDS).shape == (1, 5)


def test_values_that_the_constructor_chose_are_kept() -> None:
    with pytest.warns(UserWarning, match="batch_norm"):
        model = WithLayers.from_pretrained(CLASSIFIER)
    assert same(model.distilbert, DistilBertModel.from_pretrained(CLASSIFIER))
    assert model.costs.tolist() == [1, 2, 4]
    assert model.scratch.tolist() == [0, 1, 2, 3]
    assert model.scale.tolist() == [2, 2, 2]
    assert model.loss.weight.tolist() == [0.5, 1.5]
    assert torch.equal(model.norm.weight, torch.ones(12))
    assert model.rnn.weight_hh_l0.std() > 0.1, "a layer that the rule does not know keeps its own start"


def test_a_users_own_rule_for_initial_values_is_followed(tmp_path: Path) -> None:
    class Sevens(OwnHead):
        def _init_weights(self, module: nn.Module) -> None:
            if isinstance(module, nn.Linear):
                nn.init.constant_(module.weight, 7.0)

    class LaterSevens(DistilBertForSequenceClassification):
        _init_weights = Sevens._init_weights

    assert Sevens(DistilBertConfig.from_pretrained(BODY)).output.weight.eq(7).all()
    with pytest.warns(UserWarning, match="output"):
        model = Sevens.from_pretrained(BODY)
    assert model.output.weight.eq(7).all()
    assert same(model.distilbert, DistilBertModel.from_pretrained(BODY)), "the rule is for the model's own modules"
    assert LaterSevens.from_pretrained(BODY).classifier.weight.eq(7).all()
    model.save_pretrained(tmp_path)
    randomized(model).save_pretrained(tmp_path)
    assert same(loaded(Sevens, tmp_path), model), "never over what a file has"


def test_arguments_of_the_constructor(tmp_path: Path) -> None:
    config = DistilBertConfig.from_pretrained(BODY)
    with pytest.warns(UserWarning, match="initial values"):
        model = OwnHead.from_pretrained(BODY, 4, act="tanh", num_labels=6)
    assert (model.head[0].out_features, model.act, model.output.out_features) == (4, "tanh", 6)
    model.save_pretrained(tmp_path)
    assert same(loaded(OwnHead, tmp_path, width=4), model)
    with pytest.raises(CheckpointError, match=r"head\.0\.weight is \(4, 12\), expected \(3, 12\)"):
        OwnHead.from_pretrained(tmp_path)
    with pytest.raises(TypeError, match="'widht'"):
        OwnHead.from_pretrained(tmp_path, widht=4)
    with pytest.warns(UserWarning, match="initial values"):
        assert OwnHead.from_pretrained(BODY, config=config, width=2).head[0].out_features == 2


HEADS = {
    "sequential": lambda: nn.Sequential(nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 5)),
    "identity": nn.Identity,
    "wider": lambda: nn.Linear(12, 9),
    "without bias": lambda: nn.Linear(12, 5, bias=False),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(12, 5)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(12, 5)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(12, 5)),
    "pruned": lambda: prune.l1_unstructured(nn.Linear(12, 5), "weight", 0.5),
    "recurrent": lambda: nn.LSTM(12, 5),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_replaced_classifier(head: Any, tmp_path: Path) -> None:
    class Replaced(DistilBertForSequenceClassification):
        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.classifier = head()

    model = Replaced(DistilBertConfig.from_pretrained(CLASSIFIER))
    model.save_pretrained(tmp_path)
    assert same(loaded(Replaced, tmp_path), model)
    outside = DistilBertForSequenceClassification.from_pretrained(CLASSIFIER)
    outside.classifier = head()
    outside.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == outside.state_dict().keys()
    assert same(loaded(Replaced, tmp_path), outside)


def test_tied_modules_stay_tied(tmp_path: Path) -> None:
    class Tied(OwnHead):
        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.decoder = nn.Linear(config.dim, config.vocab_size)
            self.decoder.weight = self.distilbert.embeddings.word_embeddings.weight
            self.twin = self.output

    model = randomized(Tied(DistilBertConfig.from_pretrained(BODY)))
    model.save_pretrained(tmp_path)
    for path in (tmp_path, BODY):
        with warnings.catch_warnings(record=True):
            again = Tied.from_pretrained(path)
        assert again.decoder.weight is again.get_input_embeddings().weight
        assert again.twin is again.output
        assert "decoder.weight" not in again.load_report.new_head
    assert same(loaded(Tied, tmp_path), model)

    class Declared(Tied):
        _tied_weights_keys = (r"decoder\.weight", "twin")

    model = Declared(model.config)
    model.save_pretrained(tmp_path)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert set(model.state_dict()) - names == {"decoder.weight", "twin.weight", "twin.bias"}
    assert same(loaded(Declared, tmp_path), model)


def test_ties_that_a_class_declares_as_for_transformers_5(tmp_path: Path) -> None:
    class Declared(DistilBertPreTrainedModel):
        _tied_weights_keys = {"decoder.weight": "distilbert.embeddings.word_embeddings.weight"}  # noqa: RUF012

        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.distilbert = DistilBertModel(config)
            self.decoder = nn.Linear(config.dim, config.vocab_size)
            self.post_init()

    model = Declared(DistilBertConfig.from_pretrained(BODY))
    assert model.decoder.weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    assert "decoder.weight" not in load_file(tmp_path / "model.safetensors")
    again = loaded(Declared, tmp_path)
    assert same(again, model)
    assert again.decoder.weight is again.get_input_embeddings().weight


def test_a_projector_of_ones_own_is_tied_like_the_masked_lms(tmp_path: Path) -> None:
    class Own(DistilBertPreTrainedModel):
        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.distilbert = DistilBertModel(config)
            self.lm_head = nn.Linear(config.dim, config.vocab_size)
            self.post_init()

        def get_output_embeddings(self) -> nn.Linear:
            return self.lm_head

    with pytest.warns(UserWarning, match="initial values"):
        model = Own.from_pretrained(BODY)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.resize_token_embeddings(44)
    assert model.lm_head.bias.shape == (44,)
    model.save_pretrained(tmp_path)
    assert same(loaded(Own, tmp_path), model)


def test_an_untied_projector_is_never_lost(tmp_path: Path) -> None:
    model = DistilBertForMaskedLM.from_pretrained(MASKED_LM)
    model.set_output_embeddings(nn.Linear(12, 40))
    with pytest.warns(UserWarning, match="the saved config says tie_word_embeddings=false"):
        model.save_pretrained(tmp_path)
    assert same(loaded(DistilBertForMaskedLM, tmp_path), model)


def test_a_config_of_ones_own(tmp_path: Path) -> None:
    class OwnConfig(DistilBertConfig):
        model_type = "ranker"

        def __init__(self, margin: float = 0.5, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.margin = margin

    class Ranker(OwnHead):
        config_class = OwnConfig

    with pytest.warns(UserWarning, match="initial values"):
        model = Ranker.from_pretrained(BODY, margin=0.75)
    assert (type(model.config), model.config.margin) == (OwnConfig, 0.75)
    model.save_pretrained(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text())
    assert (fields["model_type"], fields["margin"]) == ("ranker", 0.75)
    again = loaded(Ranker, tmp_path)
    assert same(again, model)
    assert again.config.margin == 0.75


@pytest.mark.parametrize(("to", "form"), [("flax", "msgpack"), ("tf", "h5"), ("tf", "keras"), ("pt", "bin")])
@pytest.mark.parametrize("cls", [WithLayers, OwnHead])
def test_through_other_dialects_and_back(cls: type[Any], to: str, form: str, tmp_path: Path) -> None:
    model = randomized(cls(DistilBertConfig.from_pretrained(CLASSIFIER)))
    model.save_pretrained(tmp_path / "pt")
    convert(tmp_path / "pt", tmp_path / "other", to=to, format=form)
    assert same(loaded(cls, tmp_path / "other"), model)


class Encoder(DistilBertPreTrainedModel):
    """A backbone under another name."""

    base_model_prefix = "encoder"

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.encoder = DistilBertModel(config)
        self.encoder.adapter = nn.Linear(config.dim, 2)
        self.classifier = nn.Linear(config.dim, 2)
        self.post_init()


class Guessed(Encoder):
    base_model_prefix = "distilbert"


@pytest.mark.parametrize("cls", [Encoder, Guessed])
@pytest.mark.parametrize("path", [BODY, MASKED_LM, MICRO / "ForMaskedLM" / "tf_h5", MICRO / "Model" / "flax_msgpack"])
def test_a_backbone_under_another_name(cls: type[Any], path: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="4 not in the checkpoint, with initial values"):
        model = cls.from_pretrained(path)
    assert torch.equal(model.encoder(IDS).last_hidden_state, DistilBertModel.from_pretrained(path)(IDS)[0])
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == model.state_dict().keys()
    assert same(loaded(cls, tmp_path), model)


def test_two_backbones_in_one_model(tmp_path: Path) -> None:
    class Distilling(DistilBertPreTrainedModel):
        base_model_prefix = "student"

        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.student = DistilBertModel(config)
            self.teacher = DistilBertModel.from_pretrained(MASKED_LM)
            self.post_init()

    with pytest.warns(UserWarning, match=r"teacher\.embeddings"):
        model = Distilling.from_pretrained(BODY)
    assert same(model.student, DistilBertModel.from_pretrained(BODY))
    assert same(model.teacher, DistilBertModel.from_pretrained(MASKED_LM))
    randomized(model).save_pretrained(tmp_path)
    assert same(loaded(Distilling, tmp_path), model)


def test_a_model_as_a_part_of_any_module() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = DistilBertForSequenceClassification.from_pretrained(CLASSIFIER)
            self.extra = nn.Linear(5, 5)

    model, other = Part(), randomized(Part())
    assert other.load_state_dict(model.state_dict()).missing_keys == []
    assert same(model, other)
    assert same(copy.deepcopy(model), model)


def test_layers_that_were_taken_out(tmp_path: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(CLASSIFIER)
    model.distilbert.transformer.layer = model.distilbert.transformer.layer[:1]
    logits = model(IDS, head_mask=torch.ones(2)).logits
    model.save_pretrained(tmp_path)
    assert torch.allclose(loaded(DistilBertForSequenceClassification, tmp_path)(IDS).logits, logits, atol=1e-6)


def test_a_compiled_part_is_saved_under_its_own_names(tmp_path: Path) -> None:
    model = DistilBertForSequenceClassification.from_pretrained(CLASSIFIER)
    names = list(model.state_dict())
    model.distilbert = torch.compile(model.distilbert, backend="eager")
    model.save_pretrained(tmp_path)
    assert sorted(load_file(tmp_path / "model.safetensors")) == sorted(names)


def test_what_cannot_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    class Opaque(nn.Module):
        def get_extra_state(self) -> object:
            return "not a tensor"

        def set_extra_state(self, state: object) -> None:
            pass

    model = DistilBertForSequenceClassification.from_pretrained(CLASSIFIER)
    model.opaque = Opaque()
    model.lazy = nn.LazyLinear(3, bias=False)
    with pytest.raises(InputError, match=r"no values to write: lazy\.weight, opaque\._extra_state"):
        model.save_pretrained(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_buffer_named_like_one_that_old_files_had(tmp_path: Path) -> None:
    class Positions(OwnHead):
        def __init__(self, config: DistilBertConfig) -> None:
            super().__init__(config)
            self.register_buffer("position_ids", torch.arange(3))

    model = randomized(Positions(DistilBertConfig.from_pretrained(BODY)))
    model.save_pretrained(tmp_path)
    assert same(loaded(Positions, tmp_path), model)


def test_names_that_the_class_leaves_out(tmp_path: Path) -> None:
    class Quiet(OwnHead):
        _keys_to_ignore_on_save = ("output.bias",)
        _keys_to_ignore_on_load_missing = (r"output\.bias",)

    model = Quiet(DistilBertConfig.from_pretrained(BODY))
    model.save_pretrained(tmp_path)
    assert set(model.state_dict()) - set(load_file(tmp_path / "model.safetensors")) == {"output.bias"}
    assert same(loaded(Quiet, tmp_path), model)
    Quiet._keys_to_ignore_on_load_unexpected = (r"unexpected",)
    model.unexpected = nn.Linear(2, 2)
    model.save_pretrained(tmp_path)
    assert loaded(Quiet, tmp_path).load_report.ok
