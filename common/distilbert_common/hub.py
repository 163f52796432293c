"""Publishing a saved model on the hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distilbert_common.credentials import harmless, redacted
from distilbert_common.errors import HubError
from distilbert_common.user_warnings import warn_user

__all__ = ["PUSH_OPTIONS", "check_push_options", "push_folder", "take_saving_options"]

PUSH_OPTIONS = (
    "token", "use_auth_token", "private", "commit_message", "commit_description", "create_pr", "revision", "tags",
    "use_temp_dir",
)  # fmt: skip
"""The keywords of `push_folder` that `save_pretrained` and `push_to_hub` pass on."""

_SAVING_OPTIONS = ("max_shard_size", "safe_serialization", "variant")


def check_push_options(names: Iterable[str], method: str = "save_pretrained") -> None:
    """Require that the further keywords of a method are those for the hub.

    Raises:
        TypeError: One is not, such as a misspelt one of its own.
    """
    for name in names:
        if name not in PUSH_OPTIONS:
            raise TypeError(
                f"{method}() got an unexpected keyword argument {name!r}; for the hub it takes "
                f"{', '.join(PUSH_OPTIONS)}"
            )


def take_saving_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take those keywords of a model's `push_to_hub` out that its `save_pretrained` acts on, and return them.

    Raises:
        TypeError: One of the others is not for the hub.
    """
    saving = {name: options.pop(name) for name in _SAVING_OPTIONS if name in options}
    check_push_options(options, "push_to_hub")
    return saving


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    use_auth_token: str | bool | None = None,
    private: bool | None = None,
    commit_message: str | None = None,
    tags: Iterable[str] | None = None,
    use_temp_dir: bool | None = None,
    patterns: Iterable[str] | None = None,
    **commit: Any,
) -> str:
    """Upload files of a folder to a model repository, which is made where it is missing.

    Args:
        folder: What `save_pretrained` wrote.
        repo_id: Such as "user/model".
        token: Access token; the one of `hf auth login` when None.
        use_auth_token: The older name of `token`.
        private: Whether a new repository is private.
        commit_message: The message of the commit; "Upload model" when None.
        tags: Without effect, and said so: they belong into the README.md of the repository.
        use_temp_dir: Without effect: `push_to_hub` always writes to one.
        patterns: Which files to upload, by names or patterns: what was just saved, where others may lie beside it.
            All when None.
        **commit: `commit_description`, `create_pr`, `revision` of `HfApi.upload_folder`.

    Returns:
        The address of the commit.

    Raises:
        HubError: The hub cannot be reached, or refuses.
        TypeError: A keyword is none of these.
    """
    from huggingface_hub import HfApi

    check_push_options(commit)
    if tags:
        warn_user("tags have no effect: write them into the README.md of the repository")
    token = use_auth_token if token is None else token
    commit["commit_message"] = commit_message or "Upload model"
    if patterns is not None:
        commit["allow_patterns"] = [*patterns]
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, repo_type="model", private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=str(folder), **commit))
    except (OSError, ValueError) as error:  # no access, no network, no id, a token that is none
        reason = redacted(str(error), token)
        repository = redacted(repr(repo_id))
        raise HubError(f"cannot upload {folder} to the hub repository {repository}: {reason}") from harmless(
            error, token
        )
