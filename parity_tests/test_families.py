"""The three families are one book: the same files with the same classes, methods, arguments and order.

Read from the syntax trees. Whatever stands in one or two families only is named in `ALONE`, with its reason.
"""

from __future__ import annotations

import ast
import re
from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FAMILIES = {name: ROOT / name / f"distilbert_{name}" for name in ("pt", "tf", "flax")}
BOOK = (
    "attention", "auto", "distillation", "heads", "layout", "losses", "modeling", "resizing", "segments",
    "soft_targets", "teachers",
)  # fmt: skip
"""The files that read alike, line by line."""

Definitions = dict[str, list[str]]

NO_INT8 = "Flax has no layers of 8 bits"
FILES_ALONE = {
    "pt": {
        "loading": "files are mapped into memory, and read when a weight is first used",
        "quantization": NO_INT8,
        "saving": "a state_dict of any kind may be given to be saved",
    },
    "tf": {
        "layers": "Keras' layers take their names, dtypes and configs from the layer around them",
        "loading": "each tensor is copied as its variable is made",
        "quantization": NO_INT8,
    },
    "flax": {
        "layers": "NNX's layers are made with random streams and dtypes, which one factory knows",
    },
}
"""The modules that are not in all three families, and why."""

BUILD = "Keras makes weights when a layer is built"
CHECKED_BEFORE = "a compiled call cannot look at its labels: they are checked before it"
KERAS_LOSSES = "`fit` weighs each example, so that losses come as a sum and a count"
MEANS = (
    "binary_cross_entropy", "classification_cross_entropy", "mean_squared_error", "packed_question_answering_loss",
)  # fmt: skip

ALONE: dict[tuple[str, str], dict[str, str]] = {
    ("pt", "attention"): {
        "check_implementation": "transformers' PyTorch class alone has several implementations",
        **dict.fromkeys(("flash_attention", "varlen_attention", "varlen_kernel"), "the kernels are PyTorch's"),
        "warn_once": "for implementations that stand in for another",
    },
    ("tf", "attention"): {"is_bool": "Keras' backends name their dtypes differently"},
    ("flax", "attention"): {"masked_scores": "both attentions are written here, as JAX has no fused one on a CPU"},
    ("tf", "distillation"): {
        "Distillation.teacher_variables": "a compiled step is told which variables it reads",
        "rows_of": "the sizes of a batch may be unknown to the graph",
    },
    ("flax", "distillation"): {
        "Distillation.bound": "JAX differentiates a pure function of the teacher's values and the projection",
        "Distillation.teacher_values": "of that function",
        "projection_of": "a tied projector has no weight of its own",
    },
    ("pt", "heads"): dict.fromkeys(
        ("DistilBertForMaskedLM.get_output_embeddings", "DistilBertForMaskedLM.set_output_embeddings"),
        "Keras and Flax tie inside the projector",
    ),
    ("tf", "heads"): {
        **dict.fromkeys(
            (
                "DistilBertForMaskedLM.classes_of",
                "DistilBertForMultipleChoice.check",
                "DistilBertForQuestionAnswering.reads",
                "DistilBertForSequenceClassification.classes_of",
                "DistilBertForSequenceClassification.reads",
                "DistilBertForTokenClassification.classes_of",
            ),
            CHECKED_BEFORE,
        ),
        **dict.fromkeys(
            (
                "DistilBertForMaskedLM.task_losses",
                "DistilBertForMultipleChoice.task_losses",
                "DistilBertForQuestionAnswering.task_losses",
                "DistilBertForSequenceClassification.task_losses",
                "DistilBertForTokenClassification.task_losses",
            ),
            KERAS_LOSSES,
        ),
    },
    ("flax", "heads"): dict.fromkeys(
        (
            "DistilBertForMaskedLM.check_labels",
            "DistilBertForMultipleChoice.check_labels",
            "DistilBertForSequenceClassification.check_labels",
            "DistilBertForSequenceClassification.reads",
            "DistilBertForTokenClassification.check_labels",
        ),
        CHECKED_BEFORE,
    ),
    ("pt", "layout"): dict.fromkeys(
        (
            "Packed.attend",
            "Packed.gather",
            "Padded.attend",
            "Padded.gather",
            "Padded.positions",
            "Padded.segment_ids",
            "Unpadded.padding",
        ),
        "the others have it from `distilbert_common.layout`, whose subclasses an older `torch.compile` does not follow",
    ),
    ("pt", "losses"): dict.fromkeys(MEANS, "Keras has it as a sum and a count"),
    ("tf", "losses"): {
        **dict.fromkeys(
            (
                "Losses",
                "as_counted",
                "binary_cross_entropies",
                "classification_cross_entropies",
                "cross_entropies",
                "mean_loss",
                "mean_per_example",
                "packed_position_losses",
                "position_losses",
                "sequence_classification_losses",
                "squared_errors",
                "with_axes",
            ),
            KERAS_LOSSES,
        ),
    },
    ("flax", "losses"): {
        **dict.fromkeys(MEANS, "Keras has it as a sum and a count"),
        "mean_where": "one program serves batches with and without labels that count",
    },
    ("pt", "modeling"): {"DistilBertModel.layout_of": "padding is left out inside a call, and not before it"},
    ("tf", "modeling"): {
        "DistilBertMainLayer": "transformers' TensorFlow models hold the bare model as a layer",
        "DistilBertMainLayer.__init__": "of that layer",
        "DistilBertMainLayer.build": BUILD,
        "DistilBertMainLayer.forward": "of that layer",
        "Embeddings.build": BUILD,
        "FFN.build": BUILD,
        "MultiHeadSelfAttention.build": BUILD,
        "Transformer.build": BUILD,
        "TransformerBlock.build": BUILD,
    },
    ("pt", "resizing"): {"resized_bias": "a bias is a parameter of the projector, and tied apart from its matrix"},
    ("tf", "resizing"): {
        "replace_layer": "a Keras variable has one shape for ever: a layer of the new size takes the old one's place",
        "resize_projector": "a Keras variable has one shape for ever",
    },
    ("pt", "segments"): {"is_first": "what a head reads is known when it is called; the others say it before the call"},
    ("flax", "segments"): {"segment_ids_of": CHECKED_BEFORE},
    ("pt", "teachers"): {"frozen": "PyTorch alone records gradients unless told otherwise"},
    ("tf", "teachers"): {
        "detached": "gradients are stopped at tensors",
        "encode": "`training` is an argument of each call",
        **dict.fromkeys(("logits_of", "projection_of"), "a tied projector has no matrix of its own"),
    },
    ("flax", "teachers"): {"place_teacher": "arrays are put on each of the devices"},
    ("flax", "resizing"): {"change_config": "a config is part of what a compiled call is found by"},
}
"""What is not in all three families, by family and module, and why."""

TF_ORDER = "labels come after the flags, as in transformers' TensorFlow classes"

ARGUMENTS_DIFFER: dict[str, dict[str, str]] = {
    "distillation": {
        "Distillation.__init__": "where a student lies is PyTorch's device, Flax' sharding, Keras' own affair"
    },
    "heads": {
        "encode": "PyTorch is told here what a head reads; Keras checks token types before",
        "DistilBertForMaskedLM.forward": TF_ORDER,
        "DistilBertForMultipleChoice.forward": TF_ORDER,
        "DistilBertForQuestionAnswering.forward": TF_ORDER,
        "DistilBertForSequenceClassification.forward": TF_ORDER,
        "DistilBertForTokenClassification.forward": TF_ORDER,
    },
    "layout": {"fill_padding": "PyTorch alone can write into logits that are nobody else's"},
    "modeling": {},
    "resizing": {"resized": "Keras makes a layer of the new size, which has a name"},
}
"""The functions whose arguments are not the same in all three families, and why."""


def files_of(family: str) -> set[str]:
    """Return the names of the modules of a family, without fast/ and framework/."""
    return {path.stem for path in FAMILIES[family].glob("*.py")}


def plain(name: str) -> str:
    """Return a name as it would stand in PyTorch: without the prefix of the family, `forward` for what calls."""
    return {"call": "forward", "__call__": "forward"}.get(name, re.sub(r"^(TF|Flax)(?=DistilBert|AutoModel)", "", name))


def arguments_of(function: ast.FunctionDef) -> list[str]:
    """Return the names of a function's arguments, without `self` and Keras' and NNX's own."""
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return [name for name in arguments if name not in ("self", "cls", "training", "make", "rngs")]


def definitions(family: str, module: str) -> Definitions:
    """Return the classes, methods and functions of a module in order, each with its arguments."""
    signatures: Definitions = {}
    for node in ast.parse((FAMILIES[family] / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            signatures[node.name] = arguments_of(node)
        elif isinstance(node, ast.ClassDef):
            signatures[plain(node.name)] = []
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and (plain(member.name)[0] != "_" or member.name == "__init__"):
                    signatures[f"{plain(node.name)}.{plain(member.name)}"] = arguments_of(member)
    return signatures


def test_the_same_files() -> None:
    everywhere = set.intersection(*map(files_of, FAMILIES))
    alone = {family: files_of(family) - everywhere for family in FAMILIES}
    assert alone == {family: set(reasons) for family, reasons in FILES_ALONE.items()}
    assert everywhere >= {*BOOK, "activations", "arrays", "checks", "inventory", "pretrained"}
    assert all((path / part / "__init__.py").is_file() for path in FAMILIES.values() for part in ("fast", "framework"))


@pytest.mark.parametrize("module", BOOK)
def test_the_same_classes_functions_and_methods(module: str) -> None:
    names = {family: set(definitions(family, module)) for family in FAMILIES}
    everywhere = set.intersection(*names.values())
    alone = {family: sorted(names[family] - everywhere) for family in FAMILIES}
    assert alone == {family: sorted(ALONE.get((family, module), {})) for family in FAMILIES}


@pytest.mark.parametrize("module", BOOK)
def test_the_same_order_and_arguments(module: str) -> None:
    differ = set()
    for one, other in combinations((definitions(family, module) for family in FAMILIES), 2):
        shared = [name for name in one if name in other]
        assert shared == [name for name in other if name in one]
        differ |= {name for name in shared if one[name] != other[name]}
    assert differ == set(ARGUMENTS_DIFFER.get(module, {}))
