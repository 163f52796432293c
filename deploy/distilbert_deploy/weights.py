"""All weights of a model in memory, by their names in the weight table: what graphs are built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilbert_common.config import DistilBertConfig
from distilbert_common.pruning import heads_left
from distilbert_conversion import Checkpoint, load_weights
from distilbert_conversion.weights.table import TIED
from distilbert_deploy.errors import ExportError

__all__ = ["Floats", "ModelWeights", "read_weights"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ModelWeights:
    """A model as numbers.

    Attributes:
        config: Its sizes, its activation, its labels.
        head: Which of the six models, as "ForMaskedLM".
        arrays: The weights by bare canonical name, float32, in PyTorch's layout; a tied projector is not among them.
    """

    config: DistilBertConfig
    head: str
    arrays: Mapping[str, Floats]

    def __getitem__(self, name: str) -> Floats:
        """Return a weight; that of a tied projector is the one that it is tied to."""
        return self.arrays[name] if name in self.arrays else self.arrays[TIED[name]]

    @property
    def head_dim(self) -> int:
        """The width of an attention head."""
        return self.config.dim // self.config.n_heads

    def heads(self, layer: int) -> int:
        """Return how many attention heads a layer has, which may have been pruned."""
        return len(heads_left(self.config, layer))

    @property
    def is_multiple_choice(self) -> bool:
        """Whether inputs are (batch, choices, seq)."""
        return self.head == "ForMultipleChoice"

    @property
    def reads_first_token(self) -> bool:
        """Whether the head looks at the first token of a text only."""
        return self.head in ("ForSequenceClassification", "ForMultipleChoice")


def read_weights(checkpoint: Checkpoint) -> ModelWeights:
    """Read the weights of one of the six models.

    Raises:
        ExportError: The checkpoint holds modules of a user's own, which no graph is known for.
        CheckpointError: Weights are missing or misshapen.
    """
    config, head = checkpoint.config(), checkpoint.head
    if getattr(config, "quantization_config", None):  # of weights that are read as float32 here
        config = config.updated(quantization_config=None)
    arrays: dict[str, Floats] = {}

    def assign(name: str, array: NDArray[np.generic]) -> None:
        arrays[name] = np.ascontiguousarray(array, np.float32)

    report = load_weights(checkpoint, config, head, assign)
    if report.unexpected:
        raise ExportError(
            f"{checkpoint.path} holds weights that are not a DistilBert{head}'s: {', '.join(report.unexpected)}; only "
            "the six models can be exported: leave these weights out with distilbert convert --head, or export the "
            "model by its framework's own means"
        )
    if head == "ForQuestionAnswering" and config.num_labels != 2:
        raise ExportError(f"num_labels is {config.num_labels}; question answering needs 2: start and end")
    return ModelWeights(config, head, arrays)
