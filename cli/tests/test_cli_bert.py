"""`distilbert convert` of a BERT, and what the other commands say of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilbert_conversion import open_checkpoint
from parity_tests.helpers.checkpoints import MLM
from parity_tests.helpers.command_line import assert_refused, run
from parity_tests.helpers.golden import GOLDEN

BERT = GOLDEN.parent / "bert" / "pt"


def test_a_student(tmp_path: Path) -> None:
    result = run("convert", BERT, tmp_path / "out", "--to", "flax", "--layers", "0,2,3")
    assert result.exit_code == 0
    assert "verified; a BERT: token type 0 is folded" in result.stdout
    assert "; layers 0, 2, 3; left out: bert.embeddings.token_type_embeddings.weight, " in result.stdout
    assert open_checkpoint(tmp_path / "out").config().n_layers == 3


def test_without_token_types(tmp_path: Path) -> None:
    result = run("convert", BERT, tmp_path / "out", "--to", "pt", "--no-fold-token-type", "--no-verify")
    assert "; not verified; a BERT: token types are left out" in result.stdout


@pytest.mark.parametrize(("layers", "message"), [("0,x", "expected numbers with commas"), ("9", "from 0 to 3")])
def test_wrong_layers(layers: str, message: str, tmp_path: Path) -> None:
    assert_refused(run("convert", BERT, tmp_path / "out", "--to", "pt", "--layers", layers), message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("inspect", BERT), ("diff", MLM, BERT)])
def test_other_commands_name_the_way(command: tuple[object, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "is a BERT; make a DistilBERT of it with: distilbert convert SRC DST --to pt" in result.stderr
