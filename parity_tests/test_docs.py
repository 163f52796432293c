"""The pages: generated ones are current, links lead somewhere, what docs/migrating.md says is there and runs."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from distilbert_conversion import HEADS
from distilbert_deploy.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from page_tables import fill_tables, markdown_table
from parity_tests.test_families import FILES_ALONE

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("demo/**/*.md")])
MIGRATING = ROOT / "docs" / "migrating.md"
HEADINGS = ("Config and tokenizers, in all three", "PyTorch", "TensorFlow: Keras 3", "Flax", "Pipelines")
"""The sections whose new lines run."""


def test_generated_tables_are_current() -> None:
    check = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    finished = subprocess.run(check, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_only_tables_are_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    prose = "# Title\n\nProse\nby hand.\n\n<!-- table a -->\n{}<!-- /table a -->\n\nMore prose.\n"
    page.write_text(prose.format(""))
    table = markdown_table(("what", "figure"), [("x", 1)])
    assert fill_tables(page, {"a": table}, check=True) == ["a"]
    assert page.read_text() == prose.format("")
    assert fill_tables(page, {"a": table}) == ["a"]
    assert page.read_text() == prose.format("| what | figure |\n| --- | --- |\n| x | 1 |\n")
    assert fill_tables(page, {"a": table}, check=True) == []
    with pytest.raises(ValueError, match=r"has marks for \['a'\], but the tables are \['b'\]"):
        fill_tables(page, {"b": table})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def paths_in(page: Path) -> list[str]:
    """Return what a page names in backticks that is a path of this repository, or the name of a file."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    pieces = [piece for piece in code(prose) if re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", piece)]
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    return [piece for piece in pieces if piece.split("/")[0] in folders or piece.endswith((".py", ".md", ".toml"))]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/hostile-files.md"])
def test_every_path_named_is_there(page: str) -> None:
    """A path from the root, or the bare name of a file that each of the three families has."""
    named = paths_in(ROOT / page)
    bases = [ROOT / family / f"distilbert_{family}" for family in ("pt", "tf", "flax")]
    absent = [path for path in named if "/" in path and not any(ROOT.glob(path))]
    absent += [path for path in named if "/" not in path and not all((base / path).exists() for base in bases)]
    assert named
    assert absent == []


def test_what_is_said_of_pytorch_holds_in_all_three_families() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    alone = {f"pt/distilbert_pt/{module}.py" for module in FILES_ALONE["pt"]}
    for path in dict.fromkeys(path for path in code(page) if path.startswith("pt/distilbert_pt/")):
        if path in alone:
            continue
        for family in ("tf", "flax"):
            twin = path.replace("pt/distilbert_pt", f"{family}/distilbert_{family}")
            assert (ROOT / twin).exists(), twin


def test_every_export_target_is_where_users_look_for_it() -> None:
    places = {
        "README.md": "|".join(TARGETS),
        "docs/deployment.md": "\n".join(f"| `{target}` |.*" for target in TARGETS),
        "cli/distilbert_cli/export.py": f"{', '.join([*TARGETS][:-1])} or {[*TARGETS][-1]}",
    }
    for place, listed in places.items():
        assert re.search(listed.replace("|", r"\|"), (ROOT / place).read_text(encoding="utf-8")), place


def tables(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of docs/migrating.md, each a list of cells."""
    section = MIGRATING.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def code(cell: str) -> list[str]:
    """Return the pieces of code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def names_in(file: Path) -> set[str]:
    """Return the test functions of a file, those of a class as Class::function."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        names |= {prefix + member.name for member in members if isinstance(member, ast.FunctionDef)}
    return names


def test_every_known_issue_has_a_line_and_every_test_named_exists() -> None:
    rows = tables("Known issues of transformers, and what happens here")
    assert [row[0] for row in rows] == [str(number) for number in range(1, 31)]
    for number, _, happens, shown in rows:
        tests = code(shown)
        assert tests or happens.startswith("Does not apply: "), number
        for test in tests:
            file, _, name = test.partition("::")
            assert name in names_in(ROOT / file), test


def test_the_page_names_all_classes() -> None:
    page = MIGRATING.read_text(encoding="utf-8")
    for prefix, package in (("", "distilbert_pt"), ("TF", "distilbert_tf"), ("Flax", "distilbert_flax")):
        for head in HEADS:
            name = f"{prefix}DistilBert{head}"
            assert hasattr(importlib.import_module(package), name)
            assert f"| `{name}` |" in page


def short_model(folder: Path) -> Path:
    """Write the demo's model with its first layer alone, which takes a third of the time to trace and compile."""
    shutil.copytree(ROOT / "demo" / "model", folder)
    config, weights = (folder / name for name in ("config.json", "model.safetensors"))
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | {"n_layers": 1}), encoding="utf-8")
    arrays = {name: array for name, array in load_file(weights).items() if not re.search(r"layer\.[12]\.", name)}
    save_file(arrays, weights, metadata={"format": "pt"})
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "heading", ["Config and tokenizers, in all three", "PyTorch", "TensorFlow: Keras 3", "Flax", "Pipelines"]
)
def test_new_lines_run(heading: str, tmp_path: Path) -> None:
    """Run the second column of a table from top to end; "the same" stands for the first."""
    names = {
        "path": str(short_model(tmp_path / "short")),
        "folder": str(tmp_path),
        "texts": ["I lost my phone!", "Why was I charged a fee when I took money out?"],
        "labels": [41, 12],
    }
    for old, new, _ in tables(heading):
        lines = code(old if new == "the same" else new)
        assert lines or new == "not here", new
        for line in lines:
            exec(line, names)
