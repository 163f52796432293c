from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distilbert_common import DistilBertConfig, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.errors import CheckpointError, CheckpointNotFoundError, InputError, TokenizerNotFoundError
from distilbert_common.files import replacing, resolve, write_text
from distilbert_conversion import open_checkpoint
from parity_tests.helpers import golden

MODEL = golden.GOLDEN / "micro" / "Model" / "pt"


@pytest.fixture
def hub_cache(tmp_path: Path) -> Path:
    """A hub cache with one repository, laid out as huggingface_hub does."""
    repository = tmp_path / "hub" / "models--someone--model"
    snapshot = repository / "snapshots" / ("a" * 40)
    (snapshot / "sub").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "sub" / "vocab.txt").write_text("x")
    return tmp_path / "hub"


def test_a_directory_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "config.json"
    file.write_text("{}")
    assert resolve(tmp_path / "sub", "config.json") == file
    assert resolve(str(tmp_path), "config.json", subfolder="sub") == file
    assert resolve(file, "anything") == file
    assert resolve(tmp_path, "config.json", required=False) is None
    with pytest.raises(CheckpointError, match=r"has no config\.json; expected the directory"):
        resolve(tmp_path, "config.json")


def test_a_hub_id_comes_from_the_cache(hub_cache: Path) -> None:
    cached_file = resolve("someone/model", "config.json", cache_dir=hub_cache)
    assert cached_file is not None
    assert cached_file.read_text() == "{}"
    assert resolve("someone/model", "vocab.txt", cache_dir=hub_cache, subfolder="sub") is not None
    assert resolve("someone/model", "absent.txt", cache_dir=hub_cache, required=False) is None
    with pytest.raises(CheckpointError, match=r"absent\.txt of that hub id is not in the cache"):
        resolve("someone/model", "absent.txt", cache_dir=hub_cache)


@pytest.mark.parametrize("name", ["vocab.txt", "sub/vocab.txt", "README.md"])
def test_a_cache_with_any_file_of_a_repository_knows_it(name: str, tmp_path: Path, hub_cache: Path) -> None:
    snapshot = hub_cache / "models--someone--model" / "snapshots" / ("a" * 40)
    shutil.rmtree(snapshot)
    (snapshot / name).parent.mkdir(parents=True)
    (snapshot / name).write_text("x")
    assert resolve("someone/model", "absent.txt", cache_dir=hub_cache, required=False) is None
    with pytest.raises(CheckpointNotFoundError, match="the cache has only other files of it"):
        resolve("someone/model", "absent.txt", cache_dir=hub_cache)
    (snapshot / name).unlink()
    with pytest.raises(CheckpointNotFoundError, match="check the path or id"):
        resolve("someone/model", "absent.txt", cache_dir=hub_cache, required=False)


def test_tokenizer_and_model_of_a_cache_with_little_in_it(hub_cache: Path) -> None:
    snapshot = hub_cache / "models--someone--model" / "snapshots" / ("a" * 40)
    shutil.rmtree(snapshot)
    shutil.copytree(MODEL, snapshot / "sub")
    vocabulary = "[PAD] [UNK] [CLS] [SEP] [MASK] a b".replace(" ", "\n")
    (snapshot / "vocab.txt").write_text(vocabulary)
    assert DistilBertTokenizerFast.from_pretrained("someone/model", cache_dir=hub_cache).vocab_size == 7
    assert DistilBertTokenizer.from_pretrained("someone/model", cache_dir=hub_cache).vocab_size == 7
    with pytest.raises(TokenizerNotFoundError, match=r"neither tokenizer\.json nor vocab.*network cannot be reached"):
        DistilBertTokenizer.from_pretrained("someone/model", cache_dir=hub_cache, subfolder="sub")
    assert DistilBertConfig.from_pretrained("someone/model", cache_dir=hub_cache, subfolder="sub").dim == 12
    with open_checkpoint("someone/model", cache_dir=hub_cache, subfolder="sub") as checkpoint:
        assert checkpoint.head == "Model"
    with pytest.raises(
        CheckpointNotFoundError, match=r"has no weights.*the network cannot be reached and its cache has"
    ):
        open_checkpoint("someone/model", cache_dir=hub_cache)


def test_a_name_that_is_nothing(hub_cache: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a directory nor a hub id"):
        resolve("./no/such/dir", "config.json", cache_dir=hub_cache)
    with pytest.raises(CheckpointError, match="is not a directory here"):
        resolve("no-such-model", "config.json", cache_dir=hub_cache, required=False)
    with pytest.raises(InputError, match="is empty"):  # as that of a variable that is not set
        resolve("", "config.json", cache_dir=hub_cache)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def stop_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_not_there_is_named_as_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_text(tmp_path / "no" / "file.json", "")
    assert caught.value.filename == str(tmp_path / "no" / "file.json")
