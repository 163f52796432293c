"""Hub ids as source, from a cache that the test builds: no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from distilbert_conversion import convert
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all
from parity_tests.helpers.command_line import run_process
from parity_tests.helpers.golden import GOLDEN

SOURCES = {
    "someone/plain": MLM,
    "someone/sharded": MICRO / "ForMaskedLM" / "pt_sharded",
    "someone/keras": MICRO / "ForMaskedLM" / "tf_h5",
    "someone/bert": GOLDEN.parent / "bert" / "pt",
    "someone/preset": GOLDEN.parent / "keras_hub" / "ForMaskedLM",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache as huggingface_hub keeps it: a folder of references, and the files of each commit."""
    root = tmp_path_factory.mktemp("cache")
    for name, source in SOURCES.items():
        repository = root / f"models--{name.replace('/', '--')}"
        shutil.copytree(source, repository / "snapshots" / ("0" * 40))
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
    return root


def run(cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    return run_process(*arguments, environment=environment)


@pytest.mark.parametrize("name", SOURCES)
def test_convert(name: str, cache: Path, tmp_path: Path) -> None:
    done = run(cache, "convert", name, tmp_path / "out", "--to", "flax")
    assert (done.returncode, done.stderr) == (0, "")
    convert(SOURCES[name], tmp_path / "local", to="flax")
    assert_same(read_all(tmp_path / "out"), read_all(tmp_path / "local"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {path.name for path in (tmp_path / "local").iterdir()}  # the tokenizer too


def test_inspect_and_diff(cache: Path) -> None:
    assert "dialect      tf-h5" in run(cache, "inspect", "someone/keras").stdout
    done = run(cache, "diff", "someone/plain", "someone/sharded")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "41 of 41 tensors equal")


def test_an_id_that_is_not_cached(cache: Path, tmp_path: Path) -> None:
    done = run(cache, "convert", "someone/else", tmp_path / "out", "--to", "pt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "of that hub id is not in the cache and cannot be fetched" in done.stderr
    assert list(tmp_path.iterdir()) == []
