"""Where a conversion writes: what is refused, and that nothing is ever half there."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distilbert_common.errors import CheckpointNotFoundError, OutputExistsError
from distilbert_conversion import FORMATS, convert
from distilbert_conversion.output.atomic_directory import atomic_directory, check_target
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint folder that a test may change."""
    return Path(shutil.copytree(MLM, tmp_path / "source"))


class TestDestination:
    """Where the result may go."""

    def test_parents_are_made_and_nothing_is_left_beside(self, tmp_path: Path) -> None:
        convert(MLM, tmp_path / "a" / "b" / "out", to="pt")
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out"]

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        convert(MLM, tmp_path / "out", to="pt")
        assert_same(read_all(tmp_path / "out"), read_all(MLM))

    def test_a_full_folder_needs_overwrite(self, tmp_path: Path) -> None:
        convert(MLM, tmp_path / "out", to="pt")
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        with pytest.raises(OutputExistsError, match="is not empty; give another place, or --overwrite"):
            convert(MLM, tmp_path / "out", to="tf")
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
        convert(MLM, tmp_path / "out", to="tf", overwrite=True)
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"config.json", "tf_model.h5"}
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("entry", ["notes.txt", "folder/model.safetensors"])
    def test_what_is_no_saved_model_is_never_replaced(self, entry: str, tmp_path: Path) -> None:
        path = tmp_path / "out" / entry
        path.parent.mkdir(parents=True)
        path.write_text("precious")
        with pytest.raises(OutputExistsError, match="holds more than a saved model, and is not replaced"):
            convert(MLM, tmp_path / "out", to="pt", overwrite=True)
        assert path.read_text() == "precious"

    def test_a_place_that_cannot_be_written_is_named_as_it_was_given(self, tmp_path: Path) -> None:
        target = tmp_path / ("x" * 250)  # to which the name of the hidden folder adds too much
        with pytest.raises(OSError, match="name too long") as caught:
            convert(MLM, target, to="pt")
        assert caught.value.filename == str(target)

    @pytest.mark.parametrize("target", ["source", "source/../source", "link", "."])
    def test_the_source_is_never_replaced(self, source: Path, target: str, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(source)
        for named in (source, source / "model.safetensors"):
            with pytest.raises(OutputExistsError, match="holds the checkpoint to convert"):
                convert(named, tmp_path / target, to="tf", overwrite=True)
        assert_same(read_all(source), read_all(MLM))

    def test_a_source_that_only_links_to_the_target_is_refused(self, source: Path, tmp_path: Path) -> None:
        convert(MLM, tmp_path / "out", to="pt")
        (source / "model.safetensors").unlink()
        (source / "model.safetensors").symlink_to(tmp_path / "out" / "model.safetensors")
        with pytest.raises(OutputExistsError, match="holds the checkpoint to convert"):
            convert(source, tmp_path / "out", to="tf", overwrite=True)
        assert_same(read_all(tmp_path / "out"), read_all(MLM))

    def test_a_file_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("precious")
        with pytest.raises(OutputExistsError, match="is a file; give a directory"):
            convert(MLM, tmp_path / "out", to="pt", overwrite=True)
        assert (tmp_path / "out").read_text() == "precious"

    def test_a_link_to_a_folder_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        convert(MLM, tmp_path / "link", to="pt")
        assert (tmp_path / "link").is_symlink()
        assert_same(read_all(tmp_path / "real"), read_all(MLM))

    def test_permissions_are_the_usual_ones(self, tmp_path: Path) -> None:
        (tmp_path / "usual").mkdir()
        convert(MLM, tmp_path / "out", to="pt")
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode
        assert (tmp_path / "out" / "model.safetensors").stat().st_mode & 0o777 == 0o644


class TestLeftovers:
    """What conversions that were killed left beside the place."""

    def test_a_model_that_was_moved_away_is_brought_back(self, tmp_path: Path) -> None:
        convert(MLM, tmp_path / ".out.0123abcd.old", to="pt")
        with pytest.raises(OutputExistsError, match="is not empty"):
            convert(MLM, tmp_path / "out", to="tf")
        assert_same(read_all(tmp_path / "out"), read_all(MLM))
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_what_is_half_written_is_removed(self, tmp_path: Path) -> None:
        (tmp_path / ".out.0123abcd.new").mkdir()
        (tmp_path / ".out.0123abcd.new" / "model.safetensors").write_text("half")
        convert(MLM, tmp_path / "out", to="pt")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_what_is_in_use_or_of_another_name_stays(self, tmp_path: Path) -> None:
        names = [".out.0123abcd.new", ".out.old", ".other.0123abcd.new", ".out.0123abcd.new.x", "out.0123abcd.new"]
        for name in names:
            (tmp_path / name).mkdir()
        (tmp_path / ".out.4567abcd.new").symlink_to(tmp_path / ".out.old")
        descriptor = os.open(tmp_path / ".out.0123abcd.new", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        convert(MLM, tmp_path / "out", to="pt")
        assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.4567abcd.new", *names}
        os.close(descriptor)


def test_somebody_else_writes_there_meanwhile(tmp_path: Path) -> None:
    """What was free when it was checked is checked again before it is written."""

    def intrude(_done: int, _total: int) -> None:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "precious.txt").write_text("precious")

    for overwrite, message in ((False, "is not empty"), (True, "holds more than a saved model")):
        with pytest.raises(OutputExistsError, match=message):
            convert(MLM, tmp_path / "out", to="pt", overwrite=overwrite, progress=intrude)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious.txt"]
        shutil.rmtree(tmp_path / "out")


KILL = """
import os, signal, sys
from distilbert_conversion import convert
count = 0
def progress(done, total):
    global count
    count += 1
    if count == int(sys.argv[4]):
        os.kill(os.getpid(), int(sys.argv[5]))
convert(sys.argv[1], sys.argv[2], to=sys.argv[3], overwrite=True, progress=progress)
"""


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("existing", [False, True])
def test_a_kill_leaves_the_destination_as_it_was(to: str, existing: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if existing:
        convert(MICRO / "Model" / "pt", out, to="pt")
    before = {path.name: path.read_bytes() for path in out.iterdir()} if existing else None
    command = [sys.executable, "-c", KILL, str(MLM), str(out), to, "20", str(int(signal.SIGKILL))]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert ({path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else None) == before
    convert(MLM, out, to=to, overwrite=True)
    assert_same(read_all(out), read_all(MLM))


@pytest.mark.parametrize("existing", [False, True])
def test_an_interruption_leaves_nothing_behind(existing: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if existing:
        convert(MICRO / "Model" / "pt", out, to="pt")
    before = {path.name: path.read_bytes() for path in out.iterdir()} if existing else None

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(MLM, out, to="tf", overwrite=True, progress=interrupt)
    assert ({path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if existing else [])


def test_a_rename_that_fails_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(MICRO / "Model" / "pt", tmp_path / "out", to="pt")
    rename = Path.rename

    def fail_once_at_the_end(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once_at_the_end)
    with pytest.raises(OSError, match="No space"):
        convert(MLM, tmp_path / "out", to="tf", overwrite=True)
    assert_same(read_all(tmp_path / "out"), read_all(MICRO / "Model" / "pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_of_our_own_keeps_its_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(CheckpointNotFoundError, match=r"^there is none$"),
        atomic_directory(tmp_path / "out", (), overwrite=False),
    ):
        raise CheckpointNotFoundError("there is none")  # an OSError too, whose file name would be said in its place


def test_a_target_that_another_process_moves_away_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    monkeypatch.setattr(Path, "is_dir", lambda path: path.rmdir() is None if path == target else path.exists())
    check_target(target, (), overwrite=True)
    assert not target.exists()
