from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from distilbert_common.errors import CheckpointError
from distilbert_common.hub import push_folder


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
    found = push_folder(tmp_path, "user/model", token="t", private=True, commit_message="First")
    assert found == "address of the commit"
    assert FakeApi.calls == [
        ("token", "t"),
        ("create", ("user/model", {"repo_type": "model", "private": True, "exist_ok": True})),
        ("upload", {"repo_id": "user/model", "folder_path": str(tmp_path), "commit_message": "First"}),
    ]


def test_a_refusal_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    with pytest.raises(CheckpointError, match="repository 'not/mine': 403 Forbidden"):
        push_folder(tmp_path, "not/mine")
