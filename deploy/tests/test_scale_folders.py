"""The folder of a run or a search: what a kill left there goes, and what somebody else put there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_deploy.scale.parts import Parts
from distilbert_deploy.scale.search import Search

RUN = {"resume": False, "overwrite": False}


def open_both(folder: Path, **options: bool) -> list[str]:
    """Return what is said of a folder, as that of a run and of a search."""
    messages = []
    for open_folder in (
        lambda: Parts(folder).open({"rows": 1}, folder / "absent.csv", **RUN | options),
        lambda: Search(folder, "loss", ()).open({"task": "x"}, **RUN | options),
    ):
        with pytest.raises((InputError, OutputExistsError)) as caught:
            open_folder()
        messages.append(str(caught.value))
    return messages


def test_a_hidden_file_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".settings").touch()
    run, search = open_both(tmp_path, overwrite=True)
    assert run == f"{tmp_path} is not empty, and holds no run; give the output another name"
    assert search == f"{tmp_path} is not empty, and holds no search; give another folder"
    assert (tmp_path / ".settings").exists()


def test_a_file_is_no_folder_and_one_thing_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert all("is a file; give" in message for message in open_both(tmp_path / "file"))
    assert all("give one of them" in message for message in open_both(tmp_path, resume=True, overwrite=True))


def test_what_a_kill_left_is_in_nobody_s_way_and_a_run_goes_on_as_it_was_begun(tmp_path: Path) -> None:
    (tmp_path / ".run.json.a1b2c3d4").touch()
    parts, output = Parts(tmp_path), tmp_path / "absent.csv"
    parts.open({"rows": (1, 2)}, output, **RUN)
    parts.open({"rows": (1, 2)}, output, resume=True, overwrite=False)
    with pytest.raises(InputError, match=r"begun otherwise: columns was None and is 'a'; rows was \[1, 2\] and is 3"):
        parts.open({"rows": 3, "columns": "a"}, output, resume=True, overwrite=False)
    parts.open({"rows": 3}, output, resume=False, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
