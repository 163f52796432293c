"""Names that are imported on first use are there all the same."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys

import pytest

import distilbert_common
from distilbert_common.lazy_imports import TOKENIZATION, TOKENIZERS, lazy_exports

PACKAGES = ("distilbert_common", "distilbert_pt", "distilbert_tf", "distilbert_flax")

LISTED = """
import importlib, sys
package = importlib.import_module(sys.argv[1])
assert set(package.__all__) <= set(dir(package))
assert "tokenizers" not in sys.modules
exec(f"from {sys.argv[1]} import *")
for name in package.__all__:
    assert globals()[name] is getattr(package, name)
assert "tokenizers" in sys.modules
from distilbert_common.tokenization import DistilBertTokenizerFast as same
assert DistilBertTokenizerFast is same
"""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_listed_and_found_in_a_fresh_process(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", LISTED, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_names_are_those_of_the_module_that_has_them() -> None:
    tokenization = importlib.import_module("distilbert_common.tokenization")
    for name in TOKENIZATION:
        assert getattr(distilbert_common, name) is getattr(tokenization, name, tokenization)
    assert set(TOKENIZERS) == {name for name in tokenization.__all__ if name.startswith("DistilBert")}
    assert pickle.loads(pickle.dumps(distilbert_common.AddedToken)) is tokenization.AddedToken


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'distilbert_common' has no attribute 'DistilBertTokeniser'"):
        distilbert_common.DistilBertTokeniser  # noqa: B018
    with pytest.raises(ImportError, match="DistilBertTokeniser"):
        from distilbert_common import DistilBertTokeniser  # noqa: F401
    assert not hasattr(distilbert_common, "DistilBertTokeniser")


def test_a_name_is_looked_up_once() -> None:
    find, names = lazy_exports("distilbert_common", {"prod": "math"})
    assert "prod" in names()
    try:
        assert find("prod") is importlib.import_module("math").prod
        assert "prod" in vars(distilbert_common)
    finally:
        del distilbert_common.prod
