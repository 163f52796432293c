from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError, ConfigError
from parity_tests.helpers import golden

DEFAULTS = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "sinusoidal_pos_embds": False,
    "n_layers": 6,
    "n_heads": 12,
    "dim": 768,
    "hidden_dim": 3072,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation": "gelu",
    "initializer_range": 0.02,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "pad_token_id": 0,
}


def test_defaults_are_those_of_transformers() -> None:
    config = DistilBertConfig()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS
    assert config.num_labels == 2
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1}
    assert (config.tie_word_embeddings, config.return_dict, config.use_return_dict) == (True, True, True)
    assert (config.output_attentions, config.output_hidden_states, config.problem_type) == (False, False, None)


@pytest.mark.parametrize(("config", "head"), golden.cases(), ids=golden.case_id)
def test_files_of_transformers_survive_reading_and_writing(config: Path, head: str, tmp_path: Path) -> None:
    for folder in golden.folders(config, head).values():
        DistilBertConfig.from_pretrained(folder).save_pretrained(tmp_path)
        written, original = tmp_path / "config.json", folder / "config.json"
        assert json.loads(written.read_text()) == json.loads(original.read_text())


def test_aliases_read_and_write_the_same_field() -> None:
    config = DistilBertConfig(hidden_size=24, num_attention_heads=3, num_hidden_layers=1, torch_dtype="float16")
    assert (config.dim, config.n_heads, config.n_layers, config.dtype) == (24, 3, 1, "float16")
    config.hidden_size = 48
    assert (config.dim, config.hidden_size) == (48, 48)
    assert "hidden_size" not in config.to_dict()


def test_unknown_keys_are_kept_and_written_back() -> None:
    config_fields = {
        "model_type": "distilbert",
        "tie_weights_": True,
        "my_field": {"a": [1]},
        "transformers_version": "2.0",
    }
    config = DistilBertConfig.from_dict(config_fields)
    assert config.my_field == {"a": [1]}
    assert config_fields.items() <= json.loads(config.to_json_string()).items()
    config_fields["my_field"]["a"].append(2)
    assert DistilBertConfig.from_dict(config_fields).to_dict()["my_field"] == {"a": [1, 2]}


def test_labels() -> None:
    assert DistilBertConfig(num_labels=3).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    named = DistilBertConfig(id2label={"0": "no", "1": "yes", "2": "maybe"})
    assert (named.num_labels, named.id2label[2], named.label2id["maybe"]) == (3, "maybe", 2)
    assert DistilBertConfig(label2id={"no": 0, "yes": 1, "maybe": 2}).id2label == {0: "no", 1: "yes", 2: "maybe"}
    named.num_labels = 3
    assert named.id2label[2] == "maybe", "an equal count keeps the names"
    named.num_labels = 2
    assert named.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert DistilBertConfig.from_dict({"id2label": {"0": "a", "1": "b"}}, num_labels=4).num_labels == 4
    assert DistilBertConfig.from_dict({"num_labels": 7}, id2label={0: "x"}).num_labels == 1


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("vocab_size", 0, "a whole number of at least 1"),
        ("vocab_size", "30522", "a whole number of at least 1"),
        ("n_layers", True, "a whole number of at least 1"),
        ("n_heads", 1.5, "a whole number of at least 1"),
        ("dropout", 1.1, "a number from 0 to 1"),
        ("attention_dropout", -0.1, "a number from 0 to 1"),
        ("activation", "geluu", "one of gelu"),
        ("initializer_range", -1, "a number of at least 0"),
        ("pad_token_id", -1, "null or a whole number of at least 0"),
        ("sinusoidal_pos_embds", 1, "true or false"),
        ("tie_word_embeddings", "yes", "true or false"),
        ("problem_type", "ranking", "one of None, regression"),
    ],
)
def test_a_broken_rule_names_field_value_and_rule(field: str, value: object, rule: str) -> None:
    with pytest.raises(ConfigError) as raised:
        DistilBertConfig(**{field: value})
    message = str(raised.value)
    assert field in message
    assert repr(value) in message
    assert rule in message
    config = DistilBertConfig()
    with pytest.raises(ConfigError, match=field):
        setattr(config, field, value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": 10, "n_heads": 3}, "'dim' is 10; it must be a multiple of n_heads"),
        ({"vocab_size": 5, "pad_token_id": 5}, "'pad_token_id' is 5; it must be below vocab_size"),
        ({"num_labels": 3, "id2label": {0: "a"}}, "'num_labels' is 3, but 'id2label' names 1"),
        ({"id2label": {"a": "b"}}, "its keys must be whole numbers"),
        ({"num_labels": 0}, "'num_labels' is 0"),
        ({"num_labels": 10**12}, "'num_labels' is 1000000000000; it must be a whole number from 1 to 1,000,000"),
        ({"id2label": {"0": ["a"]}}, "its labels must be text"),
        ({"label2id": {"a": [0]}}, "'label2id' is .* its values must be whole numbers"),
        ({"label2id": ["a", "b"]}, "'label2id' is .* its values must be whole numbers"),
        ({"label2id": {"a": float("inf"), "b": 1}}, "its values must be whole numbers"),
    ],
)
def test_rules_across_fields(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DistilBertConfig(**fields)


def test_updated_replaces_fields_and_refuses_unknown_ones() -> None:
    config = DistilBertConfig(dim=24, n_heads=2, attn_implementation="eager")
    changed = config.updated(n_layers=2, hidden_size=48)
    assert (changed.n_layers, changed.dim, changed.attn_implementation) == (2, 48, "eager")
    assert (config.n_layers, config.dim) == (6, 24)
    with pytest.raises(TypeError, match="'n_layer'"):
        config.updated(n_layer=2)


def test_other_models_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'bert'; expected 'distilbert'"):
        DistilBertConfig.from_dict({"model_type": "bert"})
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        DistilBertConfig.from_pretrained(tmp_path)
    for text in ("{", "[]", "\udcff"):
        (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CheckpointError, match=r"config\.json"):
            DistilBertConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "name", ["self", "__class__", "__dict__", "validate", "to_dict", "use_return_dict", "_field_names"]
)
def test_a_file_cannot_replace_parts_of_the_class(name: str) -> None:
    with pytest.raises(ConfigError, match=f"a field '{name}', which cannot be one"):
        DistilBertConfig.from_dict({name: 1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": ' * 65 + "1" + "}" * 65, "nested more than 64 deep"),
        ('{"a": ' * 100_000, "cannot be read as JSON"),
        ('{"a": "\\ud800"}', "cannot be read as JSON: .*surrogates"),
        ('{"dim": ' + "9" * 5000 + "}", "cannot be read as JSON: Exceeds the limit"),
    ],
)
def test_hostile_json(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=words):
        DistilBertConfig.from_pretrained(tmp_path)


def test_both_halves_of_a_character_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"0": "\\ud83d\\ude00"}}')
    assert DistilBertConfig.from_pretrained(tmp_path).id2label == {0: "\U0001f600"}


def test_copies_are_equal_and_independent() -> None:
    config = DistilBertConfig(num_labels=3, extra=[1])
    for twin in (
        copy.deepcopy(config),
        pickle.loads(pickle.dumps(config)),
        DistilBertConfig.from_dict(config.to_dict()),
    ):
        assert twin == config
        twin.id2label[0] = "changed"
        assert twin != config
        assert config.id2label[0] == "LABEL_0"
    assert "extra" in repr(config)


def test_what_programs_read_from_any_config() -> None:
    config = DistilBertConfig()
    assert (config.sep_token_id, config.bos_token_id, config.is_encoder_decoder, config._commit_hash) == (
        None, None, False, None,
    )  # fmt: skip
    config._attn_implementation = "eager"
    assert (config.attn_implementation, config._attn_implementation) == ("eager", "eager")
    assert config.get_text_config() is config
    config.sep_token_id = 102
    assert json.loads(config.to_json_string())["sep_token_id"] == 102
    assert "bos_token_id" not in config.to_dict()


def test_files_of_any_name(tmp_path: Path) -> None:
    config = DistilBertConfig(n_layers=2, my_field=3)
    config.to_json_file(tmp_path / "some.json", use_diff=False)
    assert DistilBertConfig.from_json_file(str(tmp_path / "some.json")) == config
    content, unused = DistilBertConfig.get_config_dict(tmp_path / "some.json", revision="main", my_field=4)
    assert (content["n_layers"], unused) == (2, {"my_field": 4})


def test_update() -> None:
    config = DistilBertConfig()
    config.update({"hidden_size": 24, "n_heads": 2, "use_auth_token": True})
    config.update_from_string("dropout=0.5,n_layers=1,sinusoidal_pos_embds=true,activation=relu")
    assert (config.dim, config.dropout, config.n_layers) == (24, 0.5, 1)
    assert (config.sinusoidal_pos_embds, config.activation, hasattr(config, "use_auth_token")) == (True, "relu", False)
    for text in ("no_field=1", "n_layers=many", "sinusoidal_pos_embds=maybe"):
        with pytest.raises(ConfigError):
            config.update_from_string(text)


@pytest.mark.parametrize("dtype", [np.float16, np.dtype("float16"), "torch.float16", "float16"])
def test_dtypes_are_written_by_name(dtype: Any) -> None:
    config = DistilBertConfig(torch_dtype=dtype, num_labels=np.int64(3), dim=np.int32(24), n_heads=2)
    fields = json.loads(config.to_json_string())
    assert (fields["dtype"], fields["dim"], config.num_labels) == ("float16", 24, 3)


def test_a_mapping_by_parts_gives_the_value_of_the_model_itself() -> None:
    config = DistilBertConfig(dtype={"": "float16", "text_config": "float32"}, attn_implementation={"": "eager"})
    assert (config.dtype, config.attn_implementation) == ("float16", "eager")
    with pytest.raises(ConfigError, match="give one value, or a mapping that has it under ''"):
        DistilBertConfig(dtype={"text_config": "float16"})
