from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from distilbert_common import DistilBertConfig, DistilBertTokenizer
from distilbert_common.errors import CheckpointError, HubError
from distilbert_common.files import resolve
from distilbert_common.hub import push_folder

VOCAB = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}


class FakeApi:
    """Stands for the hub; remembers what it is asked."""

    calls: list[tuple[str, Any]]

    def __init__(self, token: str | None = None) -> None:
        FakeApi.calls = [("token", token)]

    def create_repo(self, repo_id: str, **options: Any) -> None:
        if repo_id == "not/mine":
            raise OSError("403 Forbidden")
        self.calls.append(("create", (repo_id, options)))

    def upload_folder(self, **options: Any) -> str:
        self.calls.append(("upload", options))
        return "address of the commit"


def test_a_repository_is_made_and_the_folder_uploaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    address = push_folder(tmp_path, "user/model", token="t", private=True, commit_message="First")
    assert address == "address of the commit"
    assert FakeApi.calls == [
        ("token", "t"),
        ("create", ("user/model", {"repo_type": "model", "private": True, "exist_ok": True})),
        ("upload", {"repo_id": "user/model", "folder_path": str(tmp_path), "commit_message": "First"}),
    ]


def test_what_lies_beside_the_saved_files_is_not_uploaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    (tmp_path / ".env").write_text("HF_TOKEN=secret")
    DistilBertConfig().save_pretrained(tmp_path, push_to_hub=True, repo_id="user/model")
    assert dict(FakeApi.calls)["upload"]["allow_patterns"] == ["config.json"]
    saved = DistilBertTokenizer(vocab=VOCAB).save_pretrained(tmp_path, push_to_hub=True, repo_id="user/model")
    assert dict(FakeApi.calls)["upload"]["allow_patterns"] == [Path(path).name for path in saved]


def test_the_keywords_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    for one in (DistilBertConfig(), DistilBertTokenizer(vocab=VOCAB)):
        one.push_to_hub("user/model", use_temp_dir=True, max_shard_size="1GB", safe_serialization=True, create_pr=True)
        assert dict(FakeApi.calls)["upload"]["create_pr"] is True
        with pytest.warns(UserWarning, match="tags have no effect"):
            one.push_to_hub("user/model", tags=["sentiment"])
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'privat'; for the hub it takes token"):
            one.push_to_hub("user/model", privat=True)


def test_a_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    with pytest.raises(CheckpointError, match="repository 'not/mine': 403 Forbidden"):
        push_folder(tmp_path, "not/mine")


def test_no_token_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = "my-secret\n"

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(f"401 for Bearer {secret} at https://me:password@hub/x")

    monkeypatch.setattr(FakeApi, "create_repo", refuse)
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    asked = [
        lambda: push_folder(tmp_path, "user/model", use_auth_token=secret),
        lambda: resolve("user/model", "config.json", token=secret),
        lambda: resolve("https://me:password@hub/user/model", "config.json", token=secret),
    ]
    for ask in asked:
        with pytest.raises(OSError, match="hub repository") as raised:
            ask()
        shown = "".join(traceback.format_exception(raised.value))
        assert "my-secret" not in str(raised.value)
        assert "Bearer my-secret" not in shown
        assert "me:password@hub" not in str(raised.value)


def test_a_download_that_cannot_be_forced(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="cannot fetch"):
        resolve("user/model", "config.json", force_download=True, cache_dir=tmp_path)
