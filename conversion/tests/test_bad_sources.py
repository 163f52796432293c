"""Folders that are no checkpoint, do not fit their config, or do not hold together: all faults in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from distilbert_common.errors import CheckpointError, CheckpointNotFoundError, ConfigError
from distilbert_conversion import convert, open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all, safetensors_bytes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint folder that a test may change."""
    return Path(shutil.copytree(MLM, tmp_path / "source"))


class TestBadSource:
    """Folders that are no checkpoint, or one that does not fit its config."""

    def refused(self, source: Path, message: str, error: type[Exception] = CheckpointError) -> None:
        with pytest.raises(error, match=message):
            convert(source, source.parent / "out", to="tf")
        assert not (source.parent / "out").exists()

    def test_no_such_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "absent", "neither a directory nor a hub id")

    def test_no_weights(self, source: Path) -> None:
        (source / "model.safetensors").unlink()
        self.refused(source, r"has no weights; expected model\.safetensors, ")

    def test_no_config(self, source: Path) -> None:
        (source / "config.json").unlink()
        self.refused(source, r"no config\.json beside it", CheckpointNotFoundError)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"dim": "twelve"}', '{"model_type": "bert"}', "\0"])
    def test_bad_config(self, source: Path, content: str) -> None:
        (source / "config.json").write_text(content)
        self.refused(source, "config|JSON", (CheckpointError, ConfigError))  # type: ignore[arg-type]

    def test_an_unknown_kind_of_file(self, source: Path) -> None:
        self.refused(source / "config.json", r"is no weights file; expected a name ending in \.safetensors")

    def changed(self, source: Path, change: dict[str, np.ndarray | None]) -> None:
        tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
        tensors.update(change)
        present = {name: array for name, array in tensors.items() if array is not None}
        (source / "model.safetensors").write_bytes(safetensors_bytes(present))

    def test_missing_weights_are_all_listed(self, source: Path) -> None:
        names = ["vocab_transform.bias", "distilbert.transformer.layer.1.ffn.lin2.weight"]
        self.changed(source, dict.fromkeys(names))
        self.refused(source, r"2 missing: transformer\.layer\.1\.ffn\.lin2\.weight, vocab_transform\.bias$")

    def test_misshapen_weights_are_all_listed(self, source: Path) -> None:
        self.changed(
            source,
            {
                "distilbert.embeddings.LayerNorm.bias": np.zeros((13,), np.float32),
                "distilbert.transformer.layer.0.ffn.lin1.weight": np.zeros((12, 20), np.float32),
            },
        )
        self.refused(
            source,
            r"2 of the wrong shape: embeddings\.LayerNorm\.bias is \(13,\), expected \(12,\), "
            r"transformer\.layer\.0\.ffn\.lin1\.weight is \(12, 20\), expected \(20, 12\)$",
        )

    def test_a_tied_projector_with_other_values(self, source: Path) -> None:
        self.changed(source, {"vocab_projector.weight": np.zeros((40, 12), np.float32)})
        self.refused(source, "differs from embeddings.word_embeddings.weight.*set tie_word_embeddings=false")

    def test_an_untied_model_without_a_projector(self, source: Path) -> None:
        config = json.loads((source / "config.json").read_text())
        (source / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
        self.refused(source, r"missing: vocab_projector\.weight; set tie_word_embeddings=true")


class TestLinks:
    """Texts are copied as they are, so that a link must not lead to somebody's secrets; numbers may lie anywhere."""

    @pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "config.json"])
    def test_a_text_elsewhere_is_not_copied(self, name: str, source: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes((source / "config.json").read_bytes())
        (source / name).unlink(missing_ok=True)
        (source / name).symlink_to(secret)
        with pytest.raises(CheckpointError, match=rf"{name} is a link to .*secret, out of its folder"):
            convert(source, tmp_path / "out", to="tf")
        assert not (tmp_path / "out").exists()

    def test_links_within_the_folder_and_to_weights(self, source: Path, tmp_path: Path) -> None:
        (source / "words").write_text("[PAD]\n")
        (source / "vocab.txt").symlink_to("words")
        (source / "model.safetensors").rename(tmp_path / "weights")
        (source / "model.safetensors").symlink_to(tmp_path / "weights")
        (tmp_path / "folder").symlink_to(source)
        convert(tmp_path / "folder", tmp_path / "out", to="tf")
        assert not (tmp_path / "out" / "vocab.txt").is_symlink()
        assert (tmp_path / "out" / "vocab.txt").read_text() == "[PAD]\n"
        assert_same(read_all(tmp_path / "out"), read_all(MLM))

    def test_the_cache_of_the_hub(self, source: Path, tmp_path: Path) -> None:
        """There every file is a link to a folder beside the snapshots."""
        repository = tmp_path / "models--x--y"
        snapshot = repository / "snapshots" / "0123"
        snapshot.mkdir(parents=True)
        (repository / "blobs").mkdir()
        for number, file in enumerate(source.iterdir()):
            file.rename(repository / "blobs" / str(number))
            (snapshot / file.name).symlink_to(f"../../blobs/{number}")
        convert(snapshot, tmp_path / "out", to="tf")
        assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestShards:
    """Divided checkpoints that do not hold together."""

    @pytest.fixture
    def sharded(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(MICRO / "ForMaskedLM" / "pt_sharded", tmp_path / "sharded"))

    def index(self, sharded: Path, **change: object) -> dict[str, object]:
        path = sharded / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"].update(change)
        path.write_text(json.dumps(index))
        return dict(index)

    def test_absent_files_are_all_listed(self, sharded: Path) -> None:
        for number in (2, 4):
            (sharded / f"model-0000{number}-of-00004.safetensors").unlink()
        with pytest.raises(
            CheckpointError, match=r"not there: model-00002-of-00004\.safetensors, model-00004-of-00004\.safetensors"
        ):
            open_checkpoint(sharded)

    @pytest.mark.parametrize(
        "name",
        [
            "../secret.safetensors",
            "/etc/passwd",
            "a/b.safetensors",
            "..",
            "",
            "a\\b.safetensors",
            3,
            None,
            "x" * 256,
            "a\0b",
            "a\nb",
        ],
    )
    def test_files_elsewhere_are_refused(self, name: object, sharded: Path) -> None:
        shutil.copy(MLM / "model.safetensors", sharded.parent / "secret.safetensors")
        self.index(sharded, extra=name)
        with pytest.raises(CheckpointError, match=r"expected files in its own folder only"):
            open_checkpoint(sharded)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}'])
    def test_bad_index(self, content: str, sharded: Path) -> None:
        (sharded / "model.safetensors.index.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"index\.json"):
            open_checkpoint(sharded)

    def test_a_weight_that_is_not_where_the_index_says(self, sharded: Path) -> None:
        self.index(sharded, **{"pre_classifier.bias": "model-00001-of-00004.safetensors"})
        with pytest.raises(CheckpointError, match=r"says that 'pre_classifier\.bias' is in model-00001"):
            open_checkpoint(sharded)

    def test_a_weight_in_two_files(self, sharded: Path) -> None:
        first, second = (sharded / f"model-0000{number}-of-00004.safetensors" for number in (1, 2))
        name = "distilbert.embeddings.LayerNorm.bias"
        tensors = {key: np.array(tensor.read()) for key, tensor in open_checkpoint(second).file_tensors.items()}
        value = np.array(open_checkpoint(first).file_tensors[name].read())
        second.write_bytes(safetensors_bytes({**tensors, name: value}))
        assert_same(read_all(sharded), read_all(MLM))
        second.write_bytes(safetensors_bytes({**tensors, name: value + 1}))
        with pytest.raises(CheckpointError, match=r"different values for 'distilbert\.embeddings\.LayerNorm\.bias'"):
            open_checkpoint(sharded)
