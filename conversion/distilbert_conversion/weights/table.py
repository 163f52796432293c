"""The weight table: every parameter of DistilBERT, its name in each framework, its layout, its owners.

Everything else about names derives from `WEIGHTS`, in both directions. The canonical name is PyTorch's, bare:
without the prefix `distilbert.` that models with a head put before their backbone. The names are those of
transformers' classes; the Keras 3 names are the paths that `keras.Model.save_weights` gives the same modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from distilbert_common.config import DistilBertConfig
from distilbert_common.pruning import attention_dim

__all__ = [
    "BLOCK",
    "HEADS",
    "PREFIX",
    "TIED",
    "WEIGHTS",
    "Head",
    "Weight",
    "bare_name",
    "block_start",
    "canonical_name",
    "expected",
    "full_name",
    "in_layer",
    "is_backbone",
    "is_known",
    "is_transposed",
    "layer_of",
    "name_in",
    "names",
    "owners",
    "weight_row",
]


@dataclass(frozen=True)
class Head:
    """What an `h5` file of transformers' TF class records about a model besides its weights.

    Attributes:
        scope: The first part of every weight name.
        layers: The Keras layers in the order of their creation; `{n}` stands for a running number.
    """

    scope: str
    layers: tuple[str, ...]


HEADS: dict[str, Head] = {
    "Model": Head("tf_distil_bert_model", ("distilbert",)),
    "ForMaskedLM": Head(
        "tf_distil_bert_for_masked_lm", ("distilbert", "vocab_transform", "vocab_layer_norm", "vocab_projector")
    ),
    "ForSequenceClassification": Head(
        "tf_distil_bert_for_sequence_classification", ("distilbert", "pre_classifier", "classifier", "dropout_{n}")
    ),
    "ForMultipleChoice": Head(
        "tf_distil_bert_for_multiple_choice", ("distilbert", "dropout_{n}", "pre_classifier", "classifier")
    ),
    "ForTokenClassification": Head(
        "tf_distil_bert_for_token_classification", ("distilbert", "dropout_{n}", "classifier")
    ),
    "ForQuestionAnswering": Head("tf_distil_bert_for_question_answering", ("distilbert", "qa_outputs", "dropout_{n}")),
}
"""The six models, by what follows `DistilBert` in their class names."""

PREFIX = "distilbert"
"""The attribute that holds the backbone in a model with a head."""

BLOCK = {
    "canonical": "layer.{i}",
    "tf": "layer_._{i}",
    "flax": "layer/{i}",
    "keras": "layer/transformer_block{_i}",
}
"""How each framework spells block i; Keras 3 numbers them from the second: transformer_block, transformer_block_1."""


@dataclass(frozen=True)
class Weight:
    """One row of the table.

    Attributes:
        canonical: Bare PyTorch name, `{i}` for the layer, as in the three names that follow.
        tf: Name of transformers' TF variable.
        flax: Path in transformers' Flax parameters.
        keras: Path in a Keras 3 weights file.
        transform: "transpose" where every framework but PyTorch stores the transposed matrix, else "none".
        shape: PyTorch's shape, in config field names and whole numbers.
        heads: The models that own it.
        tied_to: The weight that it equals when `tie_word_embeddings` is set, and is then not stored.
    """

    canonical: str
    tf: str
    flax: str
    keras: str
    transform: str
    shape: tuple[str | int, ...]
    heads: tuple[str, ...]
    tied_to: str | None = None

    @property
    def backbone(self) -> bool:
        """Whether every model owns it."""
        return len(self.heads) == len(HEADS)

    @property
    def per_layer(self) -> bool:
        """Whether each block has one of it."""
        return "{i}" in self.canonical

    def name(self, column: str, layer: int = 0) -> str:
        """Return its name in a column ("canonical", "tf", "flax", "keras") for one layer."""
        return str(getattr(self, column)).format(i=layer, _i=f"_{layer}" if layer else "")


V, P, D, H, N = "vocab_size", "max_position_embeddings", "dim", "hidden_dim", "num_labels"
A = "attention_dim"  # dim, less what pruned heads took of it in this layer
SAME, FLIP = "none", "transpose"
ALL = tuple(HEADS)
MLM = ("ForMaskedLM",)
PRE = ("ForSequenceClassification", "ForMultipleChoice")
CLS = ("ForSequenceClassification", "ForTokenClassification")
MC = ("ForMultipleChoice",)
QA = ("ForQuestionAnswering",)

# fmt: off
# PyTorch    TF              Flax         Keras 3   store
LINEAR = (
    ("weight", "kernel:0",     "kernel",    "vars/0", FLIP),
    ("bias",   "bias:0",       "bias",      "vars/1", SAME),
)
NORM = (
    ("weight", "gamma:0",      "scale",     "vars/0", SAME),
    ("bias",   "beta:0",       "bias",      "vars/1", SAME),
)
WORDS = (
    ("weight", "weight:0",     "embedding", "vars/0", SAME),
)
POSITIONS = (
    ("weight", "embeddings:0", "embedding", "vars/0", SAME),
)
PROJECTOR = (
    ("weight", "kernel:0",     "kernel",    "vars/1", FLIP),
    ("bias",   "bias:0",       "bias",      "vars/0", SAME),
)
_MODULES = (
    # module                                   weights    shape   heads
    ("embeddings.word_embeddings",              WORDS,     (V, D), ALL),
    ("embeddings.position_embeddings",          POSITIONS, (P, D), ALL),
    ("embeddings.LayerNorm",                    NORM,      (D,),   ALL),
    ("transformer.layer.{i}.attention.q_lin",   LINEAR,    (A, D), ALL),
    ("transformer.layer.{i}.attention.k_lin",   LINEAR,    (A, D), ALL),
    ("transformer.layer.{i}.attention.v_lin",   LINEAR,    (A, D), ALL),
    ("transformer.layer.{i}.attention.out_lin", LINEAR,    (D, A), ALL),
    ("transformer.layer.{i}.sa_layer_norm",     NORM,      (D,),   ALL),
    ("transformer.layer.{i}.ffn.lin1",          LINEAR,    (H, D), ALL),
    ("transformer.layer.{i}.ffn.lin2",          LINEAR,    (D, H), ALL),
    ("transformer.layer.{i}.output_layer_norm", NORM,      (D,),   ALL),
    ("vocab_transform",                         LINEAR,    (D, D), MLM),
    ("vocab_layer_norm",                        NORM,      (D,),   MLM),
    ("vocab_projector",                         PROJECTOR, (V, D), MLM),
    ("pre_classifier",                          LINEAR,    (D, D), PRE),
    ("classifier",                              LINEAR,    (N, D), CLS),
    ("classifier",                              LINEAR,    (1, D), MC),
    ("qa_outputs",                              LINEAR,    (N, D), QA),
)
# fmt: on
"""The modules in PyTorch's order; the shape is that of `weight`, whose first number is the length of `bias`."""
TIED = {"vocab_projector.weight": "embeddings.word_embeddings.weight"}
"""Weights that equal another one where `tie_word_embeddings` is set, and are then not stored."""


def _weights(
    module: str, weights: Iterable[tuple[str, ...]], shape: tuple[str | int, ...], heads: tuple[str, ...]
) -> Iterator[Weight]:
    path = module.replace(".", "/")
    paths = {column: path.replace("layer/{i}", spelling) for column, spelling in BLOCK.items()}
    for canonical, tf, flax, keras, transform in weights:
        name = f"{module}.{canonical}"
        yield Weight(
            canonical=name,
            tf=f"{paths['tf']}/{tf}",
            flax=f"{paths['flax']}/{flax}",
            keras=f"{paths['keras']}/{keras}",
            transform=transform,
            shape=shape[:1] if canonical == "bias" else shape,
            heads=heads,
            tied_to=TIED.get(name),
        )


WEIGHTS: tuple[Weight, ...] = tuple(weight for module in _MODULES for weight in _weights(*module))
"""The table, in the order of PyTorch's `state_dict`."""

_PATTERNS = {
    column: re.compile(
        re.escape(spelling).replace(r"\{i\}", "([0-9]{1,4})").replace(r"\{_i\}", "(?:_([0-9]{1,4}))?") + "(?=[./])"
    )
    for column, spelling in BLOCK.items()
}
_BLOCKS = {
    column: next(getattr(row, column) for row in WEIGHTS if row.per_layer).partition(spelling)[0]
    for column, spelling in BLOCK.items()
}
"""What stands before the block in a bare name: "transformer." or "transformer/"."""
_BY_NAME = {column: {getattr(row, column): row.canonical for row in WEIGHTS} for column in BLOCK}
_BY_HEAD = {(row.canonical, head): row for row in WEIGHTS for head in row.heads}
_OWNERS = {row.canonical: {head for name, head in _BY_HEAD if name == row.canonical} for row in WEIGHTS}
_TRANSPOSED = {row.canonical for row in WEIGHTS if row.transform == "transpose"}


def _template(name: str, column: str) -> tuple[str, int]:
    """Split a name into its template and its layer (0 where it has none)."""
    match = _PATTERNS[column].search(name)
    if match is None:
        return name, 0
    return name[: match.start()] + BLOCK[column] + name[match.end() :], int(match[1] or 0)


def canonical_name(name: str, column: str) -> str | None:
    """Return the bare canonical name of a bare name in another column, or None where no row has it."""
    template, layer = _template(name, column)
    canonical = None if "{" in name else _BY_NAME[column].get(template)
    return None if canonical is None else canonical.format(i=layer)


def block_start(name: str, column: str) -> int | None:
    """Return where the bare name of a transformer block's weight begins in a name that has more before it."""
    match = _PATTERNS[column].search(name)
    module = _BLOCKS[column]
    return None if match is None or not name.endswith(module, 0, match.start()) else match.start() - len(module)


def layer_of(name: str, column: str = "canonical") -> int | None:
    """Return the layer of a name in a column, prefixed or not, or None where it belongs to none."""
    match = _PATTERNS[column].search(name)
    return None if match is None or block_start(name, column) is None else int(match[1] or 0)


def in_layer(name: str, layer: int, column: str = "canonical") -> str:
    """Return the name of the same weight in another layer."""
    spelling = BLOCK[column].format(i=layer, _i=f"_{layer}" if layer else "")
    return _PATTERNS[column].sub(lambda _: spelling, name, count=1)


def weight_row(bare: str, head: str) -> Weight:
    """Return the row of a bare canonical name in one model.

    Raises:
        KeyError: The model has no such weight.
    """
    return _BY_HEAD[_template(bare, "canonical")[0], head]


def owners(bare: str) -> Set[str]:
    """Return the models that have a weight of a bare canonical name."""
    return _OWNERS.get(_template(bare, "canonical")[0], set()) if "{" not in bare else set()


def is_transposed(bare: str) -> bool:
    """Whether every framework but PyTorch stores the transposed matrix of a bare canonical name."""
    return _template(bare, "canonical")[0] in _TRANSPOSED


def name_in(bare: str, column: str) -> str:
    """Return the bare name in another column of a bare canonical name."""
    template, layer = _template(bare, "canonical")
    return next(row for row in WEIGHTS if row.canonical == template).name(column, layer)


def names(head: str, n_layers: int) -> Iterator[tuple[str, Weight]]:
    """Yield bare name and row of every weight that a model can have, in the order of PyTorch's `state_dict`."""
    rows = [row for row in WEIGHTS if head in row.heads]
    block = [row for row in rows if row.per_layer]
    first = rows.index(block[0])
    for row in rows[:first]:
        yield row.canonical, row
    for layer in range(n_layers):
        for row in block:
            yield row.name("canonical", layer), row
    for row in rows[first + len(block) :]:
        yield row.canonical, row


def expected(config: DistilBertConfig, head: str) -> dict[str, tuple[int, ...]]:
    """Return the canonical shape of every weight that a model stores, by bare canonical name.

    Args:
        config: The model's sizes; `vocab_projector.weight` is stored only if it is not tied.
        head: A key of `HEADS`.
    """
    return {
        bare: tuple(_size(size, config, _template(bare, "canonical")[1]) for size in row.shape)
        for bare, row in names(head, config.n_layers)
        if row.tied_to is None or not config.tie_word_embeddings
    }


def _size(size: str | int, config: DistilBertConfig, layer: int) -> int:
    """Return the number that an entry of a row's shape stands for."""
    if size == "attention_dim":
        return attention_dim(config, layer)
    return size if isinstance(size, int) else int(getattr(config, size))


def full_name(bare: str, head: str | None) -> str:
    """Return the name in the PyTorch model's `state_dict`: the backbone's prefixed, save in the bare model.

    Args:
        bare: Bare canonical name, or the full name of a weight that no row has, which comes back as it is.
        head: A key of `HEADS`; None for a model with a head of its own.
    """
    return f"{PREFIX}.{bare}" if head != "Model" and is_backbone(bare) else bare


def bare_name(full: str) -> str:
    """Return the bare canonical name of a name in a PyTorch model's `state_dict`; others come back as they are."""
    bare = full.removeprefix(f"{PREFIX}.")
    return bare if is_backbone(bare) else full


def is_backbone(bare: str) -> bool:
    """Whether a bare canonical name is that of a weight that every model has."""
    return len(owners(bare)) == len(HEADS)


def is_known(bare: str) -> bool:
    """Whether a row of the table has a bare canonical name; other weights are a user's own."""
    return bool(owners(bare))
