"""What the three usage tests share: a checkpoint for each class, real sentences, and the answers of transformers.

The checkpoints are the demo's trained backbone under a head; they are written without a framework, so that all three
load the same files. For sequence classification the head is the demo's own, elsewhere it is drawn from a fixed seed:
its answers mean nothing, but they are the same wherever the numbers are.

The usage tests keep to what the documentation of transformers shows. With the classes of transformers in `load` and
checkpoints in a dialect that it opens they pass there too, but for the lines that say "not in transformers".
"""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_conversion import HEADS, expected, open_checkpoint, save_checkpoint
from parity_tests.helpers.tolerances import MATRIX

MODEL = Path(__file__).resolve().parents[2] / "demo" / "model"
SEED, SCALE = 18, 0.2  # the seed gives an answer inside the text, and labels of most kinds
FIELDS: dict[str, dict[str, Any]] = {
    "ForTokenClassification": {"id2label": {0: "O", 1: "B-THING", 2: "I-THING", 3: "B-DEED", 4: "I-DEED"}},
    "ForQuestionAnswering": {"num_labels": 2},
}
"""Config fields of a head, where they are not the demo's."""

# Of the test set of BANKING77 in demo/data; in one a word is masked. Few lengths: so there is less to compile.
SENTENCE = "Why hasn't my card been delivered?"
MASKED = "Why hasn't my card been [MASK]?"
QUESTION, TEXT = "How long does a card delivery take?", "I am still waiting for my card after 1 week.  Is this ok?"
WISH = "Can I have my card delivered on a specific day?"
PROMPT, CHOICES = "My card has not arrived yet.", ("still waiting on that card", "How do I track my card?")

# What transformers 4.57.6 answers, in PyTorch.
HIDDEN = (0.392743, 1.317739, 1.120051)  # of [CLS], the first three
WORD = "my"
INTENT = "card_arrival"
INTENTS = [
    *("cancel_transfer", "card_about_to_expire", "card_arrival", "card_delivery_estimate", "card_not_working"),
    *("contactless_not_working", "declined_card_payment", "getting_virtual_card", "lost_or_stolen_card"),
    *("order_physical_card", "pending_card_payment", "transaction_charged_twice"),
]
CHOICE = 1
KINDS = [
    "I-DEED",
    "B-THING",
    "I-DEED",
    "I-DEED",
    "I-THING",
    "I-DEED",
    "I-DEED",
    "I-THING",
    "I-DEED",
    "I-DEED",
    "B-THING",
]
ANSWER = "for my card after"
LOSSES = {
    "ForMaskedLM": 7.692191,
    "ForSequenceClassification": 8.354718,
    "several labels": 0.107989,
    "ForMultipleChoice": 0.763244,
    "ForTokenClassification": 0.401753,
    "ForQuestionAnswering": 4.255448,
}


def make_checkpoints(folder: Path) -> dict[str, Path]:
    """Write a checkpoint of every head, with its vocabulary; return the directories by head."""
    return {head: make_checkpoint(folder / head, head) for head in HEADS}


def make_checkpoint(directory: Path, head: str) -> Path:
    """Write the demo's model under a head; the weights that the demo has not are drawn."""
    rng = np.random.default_rng(SEED)
    with open_checkpoint(MODEL) as demo:
        config = demo.config().updated(architectures=[f"DistilBert{head}"], **FIELDS.get(head, {}))
        arrays: dict[str, Any] = dict(demo.tensors)
        for name, shape in expected(config, head).items():
            if name not in arrays or arrays[name].shape != shape:
                arrays[name] = rng.normal(0.0, SCALE, shape).astype("float32")
        save_checkpoint(directory, arrays, config, head)
    config.save_pretrained(directory)
    shutil.copy(MODEL / "vocab.txt", directory)
    return directory


def load(family: str, head: str, checkpoints: dict[str, Path], **options: Any) -> tuple[Any, Any]:
    """Return tokenizer and model of a head from its checkpoint, of the classes that a family's package offers."""
    model_class = FRAMEWORKS[family].model_class(head)
    tokenizer_class = import_module(FRAMEWORKS[family].package).DistilBertTokenizerFast
    return (
        tokenizer_class.from_pretrained(checkpoints[head]),
        model_class.from_pretrained(checkpoints[head], **options),
    )


def assert_loss(loss: Any, task: str) -> None:
    """Assert that a loss, of any framework, is the one of transformers."""
    assert abs(float(loss) - LOSSES[task]) <= MATRIX.value
