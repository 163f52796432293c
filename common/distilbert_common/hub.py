"""Publishing a saved model on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distilbert_common.credentials import harmless, redacted
from distilbert_common.errors import HubError

PUSH_OPTIONS = ("token", "use_auth_token", "private", "commit_message", "commit_description", "create_pr", "revision")
"""The keywords of `push_folder` that `save_pretrained` passes on."""


def check_push_options(names: Iterable[str]) -> None:
    """Require that the further keywords of `save_pretrained` are those for the hub.

    Raises:
        TypeError: One is not, such as a misspelt one of its own.
    """
    for name in names:
        if name not in PUSH_OPTIONS:
            raise TypeError(
                f"save_pretrained() got an unexpected keyword argument {name!r}; for the hub it takes "
                f"{', '.join(PUSH_OPTIONS)}"
            )


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    use_auth_token: str | bool | None = None,
    private: bool | None = None,
    commit_message: str | None = None,
    **commit: Any,
) -> str:
    """Upload a folder to a model repository, which is made where it is missing.

    Args:
        folder: What `save_pretrained` wrote.
        repo_id: Such as "user/model".
        token: Access token; the one of `hf auth login` when None.
        use_auth_token: The older name of `token`.
        private: Whether a new repository is private.
        commit_message: The message of the commit; "Upload model" when None.
        **commit: `commit_description`, `create_pr`, `revision` of `HfApi.upload_folder`.

    Returns:
        The address of the commit.

    Raises:
        HubError: The hub cannot be reached, or refuses.
        TypeError: A keyword is none of these.
    """
    from huggingface_hub import HfApi

    check_push_options(commit)
    token = use_auth_token if token is None else token
    commit["commit_message"] = commit_message or "Upload model"
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, repo_type="model", private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=str(folder), **commit))
    except (OSError, ValueError) as error:  # no access, no network, no id, a token that is none
        reason = redacted(str(error), token)
        place = redacted(repr(repo_id))
        raise HubError(f"cannot upload {folder} to the hub repository {place}: {reason}") from harmless(error, token)
