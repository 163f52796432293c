"""What a training run tells the engine of a family, and what the engine gives back.

An engine is the half of a training run that needs a framework: `distilbert_pt.engine`, `distilbert_tf.engine` and
`distilbert_flax.engine` have the same `Engine`, which takes and returns NumPy arrays, so that the loop needs none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol, SupportsFloat

from numpy.typing import NDArray

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError

__all__ = [
    "ALPHAS",
    "Arrays",
    "DistillationOptions",
    "Engine",
    "EngineOptions",
    "LoadModel",
    "MicroBatch",
    "Parameter",
    "Precision",
    "StepResult",
    "parameter_rules",
]

Arrays = dict[str, NDArray[Any]]
Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class DistillationOptions:
    """How a student learns from a teacher (Sanh et al., arXiv 1910.01108, section 2).

    Attributes:
        alpha_ce: Weight of the loss against the teacher's softened predictions, times the temperature's square.
        alpha_task: Weight of the loss against the labels: masked LM's, the paper's alpha_mlm, or that of a task.
        alpha_cos: Weight of 1 minus the cosine between the last hidden states.
        temperature: What both logits are divided by before they are compared.
        restrict_ce_to_mask: Whether predictions are compared at labeled tokens only.
        project_hidden: Whether a projection is learned along that takes the student's hidden states to the teacher's
            width; it is no part of the model.
        teacher_dim: That width, where a projection is learned and the teacher was asked ahead of time; otherwise the
            teacher itself tells it.
        teacher_precision: What the teacher computes in.
    """

    alpha_ce: float = 5.0
    alpha_task: float = 2.0
    alpha_cos: float = 1.0
    temperature: float = 2.0
    restrict_ce_to_mask: bool = False
    project_hidden: bool = False
    teacher_dim: int | None = None
    teacher_precision: Precision = "float32"


ALPHAS = tuple(field.name for field in fields(DistillationOptions) if field.name.startswith("alpha_"))
"""The options that are weights of the terms of the loss."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How weights are trained: AdamW with decoupled weight decay, as `torch.optim.AdamW` computes it.

    Attributes:
        weight_decay: Of every weight but biases and LayerNorms.
        betas: The decay rates of the two moments.
        epsilon: Added to the root of the second moment, after its bias is corrected.
        max_grad_norm: The norm that gradients are clipped to, all parameters together; None for none.
        label_smoothing: The share of a label's probability that all classes divide evenly.
        class_weights: What each class counts in the loss; None for one each.
        precision: What is computed in; parameters and moments stay float32.
        gradient_checkpointing: Whether activations are computed again in the backward pass.
        frozen: Parts of the model that stay as they are, as "embeddings" or "layer.0".
        layer_decay: The learning rate of each layer is that of the layer above it times this.
        compile: Whether the step is compiled, where the framework leaves a choice; None for its own habit.
        seed: Random numbers of a step depend on this and the number of the step alone.
        distillation: How the model learns from a teacher; None where it learns from labels alone.
    """

    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    max_grad_norm: float | None = 1.0
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    precision: Precision = "float32"
    gradient_checkpointing: bool = False
    frozen: tuple[str, ...] = ()
    layer_decay: float = 1.0
    compile: bool | None = None
    seed: int = 0
    distillation: DistillationOptions | None = None


@dataclass(frozen=True)
class MicroBatch:
    """What one forward and backward pass takes.

    Attributes:
        inputs: The model's arguments, such as those of `Packed.inputs`, without labels.
        labels: The model's arguments that are labels: `labels`, or `start_positions` and `end_positions`.
        share: The share of its loss, a mean, in the loss of the step; those of a step add up to 1.
        teacher: What a teacher gave for these inputs, where it was asked ahead of time: `indices` and `logits`
            (batch, seq, k) of its k most likely tokens, `hidden` (batch, seq, dim).
        token_share: The share of its tokens in those of the step: the same for losses that are means over all tokens,
            labeled or not, as of distillation.
    """

    inputs: Mapping[str, Any]
    labels: Mapping[str, NDArray[Any]]
    share: float = 1.0
    teacher: Mapping[str, NDArray[Any]] | None = None
    token_share: float = 1.0


@dataclass(frozen=True)
class StepResult:
    """What a training step reports; `float` waits for the device.

    Attributes:
        loss: The loss before the step.
        grad_norm: The norm of the gradients before they are clipped.
        terms: The parts of the loss, where it has several.
    """

    loss: SupportsFloat
    grad_norm: SupportsFloat
    terms: Mapping[str, SupportsFloat] | None = None


class LoadModel(Protocol):
    """Loads a model to be trained or used: `load_model` of each family's engine."""

    def __call__(
        self,
        head: str,
        source: str | Path,
        *,
        config: DistilBertConfig | None = None,
        dtype: str | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Any:
        """Load a checkpoint of any dialect, with its head or a new one.

        Args:
            head: The end of the class name, as "ForSequenceClassification"; "Model" for the bare model.
            source: A directory, a weights file, or a hub id.
            config: The config to use instead of the checkpoint's, such as one with other labels; a head of another
                size is then new.
            dtype: The dtype of the parameters, such as "float32"; the checkpoint's own when None.
            seed: What the values of a new head depend on; they are the same in every framework.
            **options: Further ones of `from_pretrained`.

        Raises:
            CheckpointError: There is no such checkpoint, or its backbone does not fit.
        """
        ...


class Engine(Protocol):
    """The framework half of a training run.

    Attributes:
        model: The model of the family; with options its parameters are float32.
        options: How it is trained; None where it is only evaluated.
        rank: The number of this process.
        world: How many processes train together.
    """

    model: Any
    options: EngineOptions | None
    rank: int
    world: int

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        """Change the weights once; a step whose gradients are not finite changes nothing but the scale of the loss.

        Args:
            micro_batches: Those of this process; the shares of all processes' add up to 1.
            step: The number of the step, from 0, which random numbers depend on.
            learning_rate: That of the head's parameters.

        Returns:
            The loss of the step and its terms, over all processes, and the norm of its gradients.

        Raises:
            InputError: The engine was made without options, or an id or a label is outside its range.
        """
        ...

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, such as `logits`, as float32 arrays, without dropout.

        Args:
            inputs: The model's arguments; with labels among them, the outputs hold `loss`.
        """
        ...

    def teacher_outputs(self, inputs: Mapping[str, Any], top_k: int) -> Arrays:
        """Return what a masked LM predicts as a teacher, to be stored and given as `MicroBatch.teacher`.

        Args:
            inputs: The model's arguments without labels.
            top_k: How many tokens, the most likely ones.

        Returns:
            `indices` int32 and `logits` (batch, seq, top_k), the most likely first, and the last hidden states
            `hidden` (batch, seq, dim); float32, and 0 at padding.

        Raises:
            InputError: The model is no masked LM, or its vocabulary is smaller.
        """
        ...

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework, so that the next step is the same.

        Raises:
            InputError: The state is not one of such a model with such options.
        """
        ...


@dataclass(frozen=True)
class Parameter:
    """How one parameter is trained.

    Attributes:
        rate: Its learning rate, as a share of the step's; 0 for one that is frozen.
        decay: Its weight decay.
    """

    rate: float
    decay: float


def parameter_rules(names: Sequence[str], options: EngineOptions) -> dict[str, Parameter]:
    """Return how each parameter is trained.

    Args:
        names: The converter's names, as "transformer.layer.0.ffn.lin1.weight"; with "distilbert." in front or without.
        options: Weight decay, frozen parts, and the decay of the learning rate from layer to layer.

    Raises:
        InputError: A part to be frozen is in no name.
    """
    dotted = {name: f".{name}." for name in names}
    for part in options.frozen:
        if not any(f".{part}." in name for name in dotted.values()):
            raise InputError(f"there is no parameter in {part!r} to freeze; name a part of names such as {names[0]!r}")
    depths = {name: _depth(dotted[name]) for name in names}
    head = 1 + max((depth for depth in depths.values() if depth is not None), default=0)
    below = {name: 0 if depth is None else head - depth for name, depth in depths.items()}
    return {name: _rule(dotted[name], below[name], options) for name in names}


def _rule(dotted: str, below: int, options: EngineOptions) -> Parameter:
    """Return the rule of a parameter that is so many layers below the head."""
    frozen = any(f".{part}." in dotted for part in options.frozen)
    decays = not (dotted.endswith(".bias.") or "layernorm" in dotted.lower().replace("_", ""))
    return Parameter(0.0 if frozen else options.layer_decay**below, options.weight_decay if decays else 0.0)


def _depth(dotted: str) -> int | None:
    """Return 0 for the embeddings, 1 and up for the layers, None for the head."""
    if ".embeddings." in dotted:
        return 0
    _, in_layer, after = dotted.partition(".transformer.layer.")
    return int(after.partition(".")[0]) + 1 if in_layer else None
