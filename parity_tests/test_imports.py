"""What an import brings in, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {"distilbert_pt", "distilbert_tf", "distilbert_flax"}
HEAVY = {"torch", "tensorflow", "keras", "jax", "flax", "transformers"}
OWN = {
    "distilbert_common": (),
    "distilbert_conversion": (),
    "distilbert_tasks.pipelines": (),
    "distilbert_cli.main": (),
    "distilbert_pt": ("torch",),
    "distilbert_tf": ("keras", "tensorflow"),
    "distilbert_flax": ("jax", "flax.nnx"),
}
UNNEEDED = {
    "distilbert_common.tokenization", "distilbert_conversion", "h5py", "huggingface_hub", "jinja2", "matplotlib",
    "ml_dtypes", "msgpack", "optax", "orbax", "rich", "safetensors", "sympy", "tensorstore", "tokenizers",
    "torch._dynamo", "torch._inductor", "torch.onnx", "typer",
}  # fmt: skip
"""What is needed only once a checkpoint is read, a text is tokenized or a model is compiled, if at all."""


def python(code: str, cwd: Path) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    finished = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_flax_is_the_real_flax_at_the_root_of_the_repository(repository: Path) -> None:
    code = "import flax, flax.nnx, distilbert_flax; print(flax.__file__); print(distilbert_flax.__file__)"
    real, ours = python(code, repository).splitlines()
    assert "site-packages" in real
    assert ours == str(repository / "flax" / "distilbert_flax" / "__init__.py")


def test_no_top_level_folder_is_a_package(repository: Path) -> None:
    assert [path.name for path in repository.glob("*/__init__.py")] == []


@cache
def loaded(modules: tuple[str, ...]) -> frozenset[str]:
    """Return which modules are loaded after some were imported; one process tells all tests."""
    imports = "".join(f"import {module}\n" for module in modules)
    return frozenset(python(f"{imports}import sys; print(*sys.modules, sep='\\n')", ROOT).splitlines())


@pytest.mark.parametrize("package", OWN)
def test_a_package_imports_its_own_framework_only(package: str) -> None:
    brought_along = loaded(OWN[package])  # Keras itself imports JAX where it is installed
    assert loaded((package,)) & HEAVY == brought_along & HEAVY


@pytest.mark.parametrize("package", ["distilbert_common", "distilbert_pt", "distilbert_tf", "distilbert_flax"])
def test_a_package_imports_nothing_that_its_framework_does_not_import_anyway(package: str) -> None:
    assert loaded((package,)) & UNNEEDED == loaded(OWN[package]) & UNNEEDED


@pytest.mark.parametrize("package", sorted(FAMILIES))
def test_no_family_imports_another(package: str) -> None:
    assert loaded((package,)) & FAMILIES == {package}


@pytest.mark.parametrize(
    ("framework", "blocked"),
    [("pt", "torch"), ("tf", "keras"), ("tf", "tensorflow"), ("flax", "jax"), ("flax", "flax")],
)
def test_a_missing_framework_is_named_with_the_command_that_installs_it(
    framework: str, blocked: str, repository: Path
) -> None:
    source = repository / "parity_tests" / "data" / "golden" / "micro" / "Model" / "pt"
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from distilbert_cli.main import main
sys.argv = ["distilbert", "parity", {str(source)!r}, "--frameworks", {framework!r}]
try:
    main()
except SystemExit as stop:
    print(stop.code, file=sys.stdout)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert finished.stdout.strip() == "2"
    assert f"pip install 'distilbert[{framework}]'" in " ".join(finished.stderr.split())
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("packages", [("distilbert_tf", "distilbert_flax"), ("distilbert_flax", "distilbert_tf")])
def test_keras_on_jax_and_flax_live_in_one_process(packages: tuple[str, str], repository: Path) -> None:
    code = (
        f"import {packages[0]}, {packages[1]}, jax; from distilbert_common import BaseModelOutput; "
        "tree = jax.tree.map(lambda x: x + 1, BaseModelOutput(1, (2, 3))); print(tree.to_tuple())"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True, env=environment
    )
    assert finished.stdout.strip() == "(2, (3, 4))"
