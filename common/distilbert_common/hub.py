"""Publishing a saved model on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distilbert_common.credentials import redacted
from distilbert_common.errors import HubError

PUSH_OPTIONS = ("token", "private", "commit_message")
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
    private: bool | None = None,
    commit_message: str = "Upload model",
) -> str:
    """Upload a folder to a model repository, which is made where it is missing.

    Args:
        folder: What `save_pretrained` wrote.
        repo_id: Such as "user/model".
        token: Access token; the one of `hf auth login` when None.
        private: Whether a new repository is private.
        commit_message: The message of the commit.

    Returns:
        The address of the commit.

    Raises:
        HubError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, repo_type="model", private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=str(folder), commit_message=commit_message))
    except (OSError, HFValidationError) as error:
        reason = redacted(str(error), token)
        raise HubError(f"cannot upload {folder} to the hub repository {repo_id!r}: {reason}") from error
