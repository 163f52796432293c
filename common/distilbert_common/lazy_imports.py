"""Names of a package that are imported when they are first asked for, so that importing the package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["COLLATORS", "TOKENIZATION", "TOKENIZERS", "lazy_exports"]

_TOKENIZATION = "distilbert_common.tokenization"

TOKENIZERS = dict.fromkeys(("DistilBertTokenizer", "DistilBertTokenizerFast"), _TOKENIZATION)
"""The names that every family has too: tokenizers need a library of their own, and a model needs no tokenizer."""

COLLATORS = dict.fromkeys(
    (
        "DataCollatorForLanguageModeling",
        "DataCollatorForMultipleChoice",
        "DataCollatorForTokenClassification",
        "DataCollatorWithPadding",
        "DefaultDataCollator",
    ),
    "distilbert_common.collators",
)
"""The names of the collators, which transformers has for PyTorch and NumPy only since its version 5."""

TOKENIZATION = TOKENIZERS | dict.fromkeys(("AddedToken", "BatchEncoding", "tokenization"), _TOKENIZATION)
"""The names of this package that come with them."""


def lazy_exports(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` (PEP 562) of a package some of whose names are imported on first use.

    The package imports the same names under `TYPE_CHECKING`, for those who read it without running it.

    Args:
        package: The `__name__` of the package.
        modules: The module of each such name; a name that is its own module's is the module itself.

    Returns:
        The two functions, which the package takes as its own.
    """

    def find(name: str) -> Any:
        if name not in modules:
            here = sys.modules[package]
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=here)
        module = import_module(modules[name])
        value = module if module.__name__ == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return find, names
