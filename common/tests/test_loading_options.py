"""transformers' loading keywords: what each means here, and that none becomes a field or shows a secret."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.credentials import credential_names, is_credential, redacted, without_credentials
from distilbert_common.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    InputError,
    MisshapenWeightError,
    TokenizerNotFoundError,
    UnreadableFileError,
)
from distilbert_common.loading_options import CALLERS, LOADING_OPTIONS, split_options
from parity_tests.helpers import golden

MODEL = golden.GOLDEN / "micro" / "Model" / "pt"
SECRET = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345"


class TestSplitting:
    def test_each_keyword_goes_where_it_belongs(self) -> None:
        kwargs = {"cache_dir": "c", "use_auth_token": SECRET, "variant": "fp16", "num_labels": 3, "from_tf": True}
        split = split_options(kwargs, "pt")
        assert split.hub == {"cache_dir": "c", "token": SECRET}
        assert split.handled == {"variant": "fp16"}
        assert split.fields == {"num_labels": 3}

    @pytest.mark.parametrize("caller", CALLERS)
    def test_nothing_is_said_of_what_asks_for_nothing(self, caller: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name, option in LOADING_OPTIONS.items():
                split_options({name: None if ... in option.neutral else option.neutral[0]}, caller)

    def test_what_has_no_effect_is_named_without_its_value(self) -> None:
        kwargs = {"proxies": {"https": "http://me:secret@proxy"}, "trust_remote_code": True, "hub_token": SECRET}
        with pytest.warns(UserWarning, match=r"no effect has proxies .*, trust_remote_code .*, hub_token") as said:
            assert split_options(kwargs, "tf") == ({}, {}, {})
        assert all(secret not in str(said[0].message) for secret in ("me:secret", SECRET))

    @pytest.mark.parametrize("name", ["load_in_8bit", "quantization_config", "gguf_file", "key_mapping"])
    def test_what_would_change_the_weights_is_refused(self, name: str) -> None:
        with pytest.raises(InputError, match=f"cannot honor {name}: "):
            split_options({name: "something"}, "pt")

    def test_a_keyword_that_is_none_of_these_is_left_to_the_caller(self) -> None:
        assert split_options({"nlayers": 3}, "flax").fields == {"nlayers": 3}


class TestConfig:
    @pytest.mark.parametrize("name", [name for name, option in LOADING_OPTIONS.items() if option.kind != "field"])
    @pytest.mark.filterwarnings("ignore:.*secret")
    def test_no_loading_option_becomes_a_field(self, name: str, tmp_path: Path) -> None:
        before = json.loads((MODEL / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**before, name: "x"}))
        config = DistilBertConfig.from_pretrained(tmp_path)
        config.save_pretrained(tmp_path)
        assert json.loads((tmp_path / "config.json").read_text()) == before
        assert not hasattr(DistilBertConfig(**{name: "x"}), name) or name == "_commit_hash"

    @pytest.mark.parametrize(
        "name",
        [
            "token",
            "use_auth_token",
            "hub_token",
            "api_key",
            "HF_TOKEN",
            "wandb_api_key",
            "password",
            "PWD",
            "openai_key",
            "AWS_ACCESS_KEY_ID",
            "bearer",
            "oauthToken",
            "sas_token",
            "cookies",
            "db_connection_string",
            "my_field",
        ],
    )
    @pytest.mark.filterwarnings("ignore:.*(secret|no effect)")
    def test_no_secret_is_written_or_shown(self, name: str, tmp_path: Path) -> None:
        content = json.loads((MODEL / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**content, name: SECRET, "own": {"deep": [{name: SECRET}]}}))
        loaded = DistilBertConfig.from_pretrained(tmp_path, **{name: SECRET})
        made, updated, later = DistilBertConfig(**{name: SECRET}), DistilBertConfig(), DistilBertConfig()
        updated.update({name: SECRET})
        setattr(later, name, SECRET)
        for config in (loaded, made, updated, later, DistilBertConfig.from_json_file(tmp_path / "config.json")):
            config.save_pretrained(tmp_path / "saved")
            texts = [repr(config), str(config.to_dict()), (tmp_path / "saved" / "config.json").read_text()]
            assert not any(SECRET in text for text in texts)

    def test_a_secret_in_a_file_is_told_of(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "distilbert", "use_auth_token": SECRET}))
        with pytest.warns(UserWarning, match=r"config\.json has a secret under use_auth_token") as said:
            DistilBertConfig.from_pretrained(tmp_path)
        assert SECRET not in str(said[0].message)

    def test_labels_may_have_the_names_of_secrets(self) -> None:
        names = {0: "PASSWORD", 1: "api_key", 2: "token"}
        config = DistilBertConfig(id2label=names)
        assert DistilBertConfig.from_dict(config.to_dict()).label2id == {label: i for i, label in names.items()}


@pytest.mark.parametrize("name", ["pad_token", "sep_token_id", "mask_token", "tokens", "tokenizer_class", "token_dim"])
def test_no_secrets(name: str) -> None:
    assert not is_credential(name, "x")


def test_redaction() -> None:
    assert is_credential("_name_or_path", "https://me:pw@hub/x")
    text = f"401 for https://me:pw@hub/x with Bearer {SECRET} and b'my-own-token\\n'"
    assert redacted(text, "my-own-token\n") == (
        "401 for https://<redacted>@hub/x with Bearer <redacted> and b'<redacted>\\n'"
    )
    assert without_credentials({"a": [{"secret": "x", "b": 1}], "c": (SECRET, "d")}) == {"a": [{"b": 1}], "c": ("d",)}


@pytest.mark.parametrize(
    ("error", "others"),
    [
        (CheckpointNotFoundError, (CheckpointError, OSError, FileNotFoundError, ValueError)),
        (UnreadableFileError, (CheckpointError, OSError, ValueError)),
        (MisshapenWeightError, (CheckpointError, RuntimeError)),
        (TokenizerNotFoundError, (OSError, FileNotFoundError, ValueError)),
    ],
)
def test_errors_are_caught_as_with_transformers(error: type[Exception], others: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(error, other) for other in others)
    assert str(error("a sentence")) == "a sentence"


def test_a_missing_config_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="has no config"):
        DistilBertConfig.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(OSError, match="cannot be read as JSON"):
        DistilBertConfig.from_pretrained(tmp_path)


def test_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(UnreadableFileError, match=r"config\.json is only a pointer .* git lfs pull"):
        DistilBertConfig.from_pretrained(tmp_path)


def returned(**kwargs: Any) -> tuple[DistilBertConfig, dict[str, Any]]:
    result: tuple[DistilBertConfig, dict[str, Any]] = DistilBertConfig.from_pretrained(
        MODEL, return_unused_kwargs=True, **kwargs
    )
    return result


def test_unused_keywords_are_returned() -> None:
    config, unused = returned(dropout=0.3, hidden_size=12, foo=1, output_loading_info=True, cache_dir=None)
    assert (config.dropout, config.dim) == (0.3, 12)
    assert unused == {"foo": 1, "output_loading_info": True}


def test_a_keyword_that_is_no_field_becomes_none(tmp_path: Path) -> None:
    """As in transformers, where the constructor alone takes fields of one's own."""
    DistilBertConfig(my_field=1).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="no effect has hub_pass_phrase"):
        config = DistilBertConfig.from_pretrained(tmp_path, hub_pass_phrase="abc", my_field=2, dim=48)
    assert (config.my_field, config.dim) == (2, 48)
    assert "hub_pass_phrase" not in config.to_dict()


@pytest.mark.parametrize("fields", [{"rate": float("nan")}, {"rates": [float("nan")]}, {"model_type": []}])
def test_odd_values_are_no_secrets(fields: dict[str, Any]) -> None:
    assert credential_names(fields) == []
