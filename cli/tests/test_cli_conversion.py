"""`distilbert convert` and `distilbert inspect` as a user runs them: output, errors, exit status."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from distilbert_conversion import open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all, safetensors_bytes
from parity_tests.helpers.command_line import COMMAND, Ended, assert_refused, run, run_process

HOSTILE = "evil\x1b[31m\x07\r\n[bold red]:boom:[/bold red]\u202e\udc80"


def refused(ended: Ended, message: str) -> None:
    """Assert that a command says one sentence and nothing else."""
    assert_refused(ended, message)
    assert ended.stderr.count("\n") == 1


class TestConvert:
    def test_there_and_back(self, tmp_path: Path) -> None:
        result = run("convert", MLM, tmp_path / "tf", "--to", "tf")
        assert result.exit_code == 0
        assert result.stderr == ""  # no progress bar where nobody looks
        assert result.stdout.startswith(
            "pt-safetensors -> tf-h5: DistilBertForMaskedLM, 41 tensors, 3,284 parameters, 0.1 MB in "
        )
        options = ("--format", "bin", "--max-shard-size", "4KB", "--dtype", "float16")
        assert run("convert", tmp_path / "tf", tmp_path / "pt", "--to", "pt", *options).exit_code == 0
        with open_checkpoint(tmp_path / "pt") as checkpoint:
            assert (checkpoint.dialect, checkpoint.sharded, checkpoint.dtype) == ("pt-bin", True, "float16")

    def test_overwrite(self, tmp_path: Path) -> None:
        assert run("convert", MLM, tmp_path / "out", "--to", "pt").exit_code == 0
        refused(run("convert", MLM, tmp_path / "out", "--to", "tf"), "is not empty; give another place, or --overwrite")
        assert run("convert", MLM, tmp_path / "out", "--to", "tf", "--overwrite").exit_code == 0
        assert open_checkpoint(tmp_path / "out").dialect == "tf-h5"

    def test_head(self, tmp_path: Path) -> None:
        result = run("convert", MLM, tmp_path / "out", "--to", "flax", "--head", "Model")
        assert "DistilBertModel, 36 tensors" in result.stdout
        assert "left out: vocab_layer_norm.bias" in result.stdout

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--to", "onnx"), "'onnx'; expected one of pt, tf, flax"),
            (("--to", "pt", "--format", "h5"), "'h5'; for pt expected one of safetensors, bin"),
            (("--to", "pt", "--dtype", "int4"), "'int4'; expected one of float64, float32, float16, bfloat16"),
            (("--to", "tf", "--dtype", "bfloat16"), "use format safetensors or keras"),
            (("--to", "pt", "--max-shard-size", "huge"), "the shard size is 'huge'"),
        ],
    )
    def test_wrong_options(self, options: Sequence[str], message: str, tmp_path: Path) -> None:
        refused(run("convert", MLM, tmp_path / "out", *options), message)
        assert list(tmp_path.iterdir()) == []

    def test_wrong_usage(self) -> None:
        for arguments in (("convert",), ("convert", "a", "b"), ("convrt",), ("inspect", "a", "--jsn")):
            assert run(*arguments).exit_code == 2

    @pytest.mark.parametrize("name", ["~nobody-of-that-name/model", "no/such/model"])
    def test_a_name_of_nothing(self, name: str, tmp_path: Path) -> None:
        refused(run("convert", name, tmp_path / "out", "--to", "pt"), "is neither a directory nor a hub id")

    def test_no_such_source(self, tmp_path: Path) -> None:
        refused(run("convert", tmp_path / "absent", tmp_path / "out", "--to", "pt"), "absent' is neither a directory")

    def test_an_empty_source(self, tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        refused(
            run("convert", tmp_path / "source", tmp_path / "out", "--to", "pt"),
            "has no weights; expected model.safetensors, ",
        )

    def test_a_damaged_source(self, tmp_path: Path) -> None:
        source = Path(shutil.copytree(MLM, tmp_path / "source"))
        content = (source / "model.safetensors").read_bytes()
        (source / "model.safetensors").write_bytes(content[:-1])
        refused(run("convert", source, tmp_path / "out", "--to", "pt"), "model.safetensors is not a whole safetensors")
        assert [path.name for path in tmp_path.iterdir()] == ["source"]

    def test_a_destination_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        refused(
            run("convert", MLM, tmp_path / "file" / "out", "--to", "pt"), f"{tmp_path / 'file'} is a file, in which"
        )


class TestInspect:
    @pytest.mark.parametrize("folder", ["pt", "pt_bin", "pt_sharded", "tf_h5", "tf_safetensors", "flax_msgpack"])
    def test_json(self, folder: str) -> None:
        result = run("inspect", MICRO / "ForMaskedLM" / folder, "--json")
        assert result.exit_code == 0
        facts = json.loads(result.stdout)
        with open_checkpoint(MICRO / "ForMaskedLM" / folder) as checkpoint:
            assert facts["dialect"] == checkpoint.dialect
            assert {entry["name"]: tuple(entry["shape"]) for entry in facts["tensors"]} == {
                name: tensor.shape for name, tensor in checkpoint.file_tensors.items()
            }
        assert (facts["head"], facts["dtype"], facts["parameters"]) == ("ForMaskedLM", "float32", 3284)
        assert facts["sharded"] == (folder == "pt_sharded")
        assert len(facts["files"]) == (4 if folder == "pt_sharded" else 1)
        assert facts["extras"] == facts["ignored"] == []

    def test_table(self) -> None:
        result = run("inspect", MICRO / "ForSequenceClassification" / "tf_safetensors")
        assert result.exit_code == 0
        lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
        assert ["distilbert/transformer/layer_._0/ffn/lin1/kernel:0", "12 x 20", "float32", "960"] in lines
        assert ["classifier/bias:0", "5", "float32", "20"] in lines
        text = result.stdout.splitlines()
        assert "file         model.safetensors" in text
        assert "dialect      tf-safetensors" in text
        assert "model        DistilBertForSequenceClassification" in text
        assert "parameters   3,285" in text

    def test_without_a_config(self, tmp_path: Path) -> None:
        shutil.copy(MLM / "model.safetensors", tmp_path)
        assert json.loads(run("inspect", tmp_path / "model.safetensors", "--json").stdout)["head"] == "ForMaskedLM"

    def test_bad_input(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(b"")
        for options in ((), ("--json",)):
            refused(run("inspect", tmp_path, *options), "is not a whole safetensors file")


class TestHostileNames:
    """Names from a file reach the terminal escaped: no control characters, no markup."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        source = Path(shutil.copytree(MLM, tmp_path / "source"))
        tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
        name = HOSTILE.replace("\udc80", "")  # JSON in UTF-8 cannot hold half a character
        tensors[name] = np.zeros(1, np.float32)
        (source / "model.safetensors").write_bytes(safetensors_bytes(tensors, {"format": HOSTILE[:-1]}))
        return source

    def safe(self, text: str) -> None:
        assert "evil\\x1b[31m\\x07\\r\\n[bold red]:boom:[/bold red]\\u202e" in text.replace("\\\\", "\\")
        assert all(char.isprintable() or char == "\n" for char in text)

    def test_in_the_table(self, source: Path) -> None:
        self.safe(run("inspect", source).stdout)

    def test_in_json(self, source: Path) -> None:
        text = run("inspect", source, "--json").stdout
        assert all(char.isprintable() or char == "\n" for char in text)
        assert json.loads(text)["extras"] == [HOSTILE[:-1]]

    def test_in_errors(self, source: Path, tmp_path: Path) -> None:
        result = run("convert", source, tmp_path / "out", "--to", "tf", "--format", "keras-hub")
        refused(result, "cannot hold")
        self.safe(result.stderr)

    def test_in_the_summary(self, source: Path, tmp_path: Path) -> None:
        self.safe(run("convert", source, tmp_path / "out", "--to", "pt", "--head", "ForMaskedLM").stdout)

    def test_in_paths(self, tmp_path: Path) -> None:
        source = tmp_path / HOSTILE.replace("/", "_")
        shutil.copytree(MLM, source)
        (source / "model.safetensors").write_bytes(b"")
        result = run("inspect", source)
        assert result.exit_code == 2
        assert all(char.isprintable() or char == "\n" for char in result.stderr)


class TestProcess:
    """What only a process of its own shows."""

    def test_version_and_help(self) -> None:
        assert run_process("--version").stdout.startswith("distilbert ")
        assert {"convert", "inspect"} <= set(run_process("--help").stdout.split())

    def test_no_traceback(self, tmp_path: Path) -> None:
        done = run_process("convert", tmp_path, tmp_path / "out", "--to", "pt")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"distilbert: {tmp_path} has no weights")

    def test_no_framework_is_imported(self, tmp_path: Path) -> None:
        script = (
            "import sys\nfrom distilbert_cli.main import app\n"
            f"app(['convert', {str(MLM)!r}, {str(tmp_path / 'out')!r}, '--to', 'flax'], standalone_mode=False)\n"
            "print(sorted({'torch', 'tensorflow', 'keras', 'jax', 'flax', 'transformers'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.stdout.splitlines()[-1] == "[]", done.stderr

    def test_a_pipe_that_closes_early(self) -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([*COMMAND, "inspect", str(MLM)], stdout=write_end, stderr=subprocess.PIPE, check=False)
        os.close(write_end)
        assert b"Traceback" not in done.stderr

    def test_an_interruption_ends_with_130_and_leaves_nothing(self, tmp_path: Path) -> None:
        slow = (
            "import signal, time, distilbert_conversion.save as save\nwrite = save._write\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
            "def slow(*arguments):\n    print('started', flush=True)\n    time.sleep(30)\nsave._write = slow\n"
        )
        command = [sys.executable, "-c", slow + COMMAND[-1], "convert", str(MLM), str(tmp_path / "out"), "--to", "pt"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "started\n"
            assert [path.suffix for path in tmp_path.iterdir()] == [".new"]
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=20)
        assert running.returncode == 130
        assert "Traceback" not in errors
        assert list(tmp_path.iterdir()) == []

    def test_a_progress_bar_on_a_terminal(self, tmp_path: Path) -> None:
        ours, theirs = pty.openpty()
        arguments = ["convert", str(MLM), str(tmp_path / "out"), "--to", "flax"]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=theirs, text=True, check=False, env=environment
        )
        os.close(theirs)
        time.sleep(0.05)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
        assert done.returncode == 0
        assert "━" in shown
        assert "━" not in done.stdout
        assert_same(read_all(tmp_path / "out"), read_all(MLM))


@pytest.mark.filterwarnings("always:.*two different models")
def test_two_models_in_one_folder_are_told_of(tmp_path: Path) -> None:
    shutil.copytree(MLM, tmp_path / "source")
    tensors = {name: array + np.float32(1) for name, array in read_all(MLM).items()}
    (tmp_path / "source" / "pytorch_model.bin").write_bytes(b"nothing that can be read")
    assert run("inspect", tmp_path / "source").stderr == ""
    other = open_checkpoint(MLM)
    save_checkpoint(tmp_path / "other", tensors, other.config(), other.head, dialect="pt-bin")
    shutil.copy(tmp_path / "other" / "pytorch_model.bin", tmp_path / "source")
    result = run("inspect", tmp_path / "source")
    assert result.exit_code == 0
    assert result.stderr.startswith("distilbert: warning: ")
    assert "holds two different models: model.safetensors is read, and pytorch_model.bin" in result.stderr
    assert result.stderr.count("\n") == 1
