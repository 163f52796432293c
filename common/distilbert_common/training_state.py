"""What the engines of the three families share: initial heads, random seeds, names in a state, checks of options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from distilbert_common.config import DistilBertConfig
from distilbert_common.distillation import check_distillation
from distilbert_common.errors import DeviceError, InputError, MisshapenWeightError
from distilbert_common.initialization import init_scheme, sinusoidal_table
from distilbert_common.training import Arrays, EngineOptions

__all__ = [
    "FIRST_LOSS_SCALE",
    "FIRST_MOMENTS",
    "GROWTH_INTERVAL",
    "LOSS_SCALE",
    "PARAMETERS",
    "SECOND_MOMENTS",
    "UPDATES",
    "OptimizerState",
    "check_float32",
    "check_loss_options",
    "check_options",
    "check_state",
    "device_name",
    "initial_loss_scale",
    "initial_weights",
    "new_weights",
    "part_of",
    "step_seed",
]

PARAMETERS, FIRST_MOMENTS, SECOND_MOMENTS = "parameters/", "first_moments/", "second_moments/"
"""What stands before a weight's canonical name in a state."""
UPDATES, LOSS_SCALE = "updates", "loss_scale"
"""The count of updates, an int64 scalar; and float32 (2,): the factor, and how many steps it has held."""

FIRST_LOSS_SCALE, GROWTH_INTERVAL = 2.0**16, 2000
"""The factor of float16 losses at the start, and after how many finite steps it doubles; as in PyTorch."""


def new_weights(model: Any, shapes: Mapping[str, tuple[int, ...]], seed: int) -> Arrays:
    """Return what those weights start with that a model did not get from its checkpoint: those of its head.

    Args:
        model: With its config, and its report of loading.
        shapes: The shape of each of its weights in PyTorch's layout, by canonical name.
        seed: As `initial_weights` takes it.

    Raises:
        MisshapenWeightError: A weight of the backbone has another shape in the checkpoint.
    """
    report = model.load_report
    misshapen = {name for name, _, _ in report.mismatched}
    if any(name.startswith(("embeddings.", "transformer.")) for name in misshapen):
        raise MisshapenWeightError(f"{report.message()}; give a config of the checkpoint's sizes, or none")
    new = misshapen | set(report.new_head)
    return initial_weights({name: shape for name, shape in shapes.items() if name in new}, model.config, seed)


def initial_weights(shapes: Mapping[str, tuple[int, ...]], config: DistilBertConfig, seed: int) -> Arrays:
    """Return the values that new weights start with, the same in every framework.

    Args:
        shapes: The shape of each in PyTorch's layout, by canonical name.
        config: What says the standard deviation, and the row of padding.
        seed: The values of a weight depend on this and its name alone.

    Returns:
        float32 arrays by the same names.
    """
    return {name: _initial_weight(name, shape, config, seed) for name, shape in shapes.items()}


def _initial_weight(name: str, shape: tuple[int, ...], config: DistilBertConfig, seed: int) -> NDArray[np.float32]:
    scheme = init_scheme(name, config)
    if scheme in ("zeros", "ones"):
        return np.full(shape, float(scheme == "ones"), np.float32)
    if scheme == "sinusoidal":
        return sinusoidal_table(*shape)
    random = np.random.default_rng((seed, crc32(name.encode())))
    values = random.standard_normal(shape, np.float32) * np.float32(config.initializer_range)
    if scheme == "word_table" and config.pad_token_id is not None:
        values[config.pad_token_id] = 0.0
    return values


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Return the seed of a step's random numbers, of 63 bits: another one for each seed, step and process."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)


def initial_loss_scale(options: EngineOptions) -> NDArray[np.float32]:
    """Return the scale of the loss before the first step: 1 where gradients cannot underflow."""
    return np.array([FIRST_LOSS_SCALE if options.precision == "float16" else 1.0, 0.0], np.float32)


class OptimizerState(NamedTuple):
    """What the next update depends on beside parameters and gradients, as a state has it.

    Attributes:
        first: The first moments by canonical name, in PyTorch's layout.
        second: The second moments, likewise.
        updates: How many updates there were.
        loss_scale: float32 (2,): the factor, and how many steps it has held.
    """

    first: Arrays
    second: Arrays
    updates: int
    loss_scale: NDArray[Any]

    def arrays(self) -> Arrays:
        """Return copies by their names in a state."""
        moments = {FIRST_MOMENTS: self.first, SECOND_MOMENTS: self.second}
        state = {part + name: np.array(array) for part, arrays in moments.items() for name, array in arrays.items()}
        return state | {UPDATES: np.array(self.updates, np.int64), LOSS_SCALE: np.array(self.loss_scale)}

    @classmethod
    def of(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Return the arrays of a state that `arrays` returned; no copies."""
        return cls(
            part_of(state, FIRST_MOMENTS), part_of(state, SECOND_MOMENTS), int(state[UPDATES]), state[LOSS_SCALE]
        )


def part_of(state: Mapping[str, NDArray[np.generic]], part: str) -> Arrays:
    """Return the arrays of a state whose names start with a part, such as `PARAMETERS`, without it."""
    return {name.removeprefix(part): array for name, array in state.items() if name.startswith(part)}


def check_state(
    state: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, tuple[int, ...]], trained: Iterable[str]
) -> None:
    """Require a state that fits an engine.

    Args:
        state: What is to be restored.
        shapes: The shape of each of the model's weights in PyTorch's layout, by canonical name.
        trained: The names of those that are trained, and have moments.

    Raises:
        InputError: A name is missing or unexpected, or an array has another shape.
    """
    moments = {part + name: shapes[name] for part in (FIRST_MOMENTS, SECOND_MOMENTS) for name in trained}
    expected = {PARAMETERS + name: shape for name, shape in shapes.items()} | moments | {UPDATES: (), LOSS_SCALE: (2,)}
    names = sorted({*state, *expected})
    wrong = [name for name in names if name not in state or np.shape(state[name]) != expected.get(name)]
    if wrong:
        name = wrong[0]
        shape = np.shape(state[name]) if name in state else "missing"
        raise InputError(
            f"the state does not fit the engine: {len(wrong)} entries differ, first {name!r}, which is {shape} in the "
            f"state and {expected.get(name, 'not expected')} in the engine; use the model and the options that the "
            "state was made with"
        )


_OTHER_NAMES = {"None": "auto", "-1": "cpu", "0": "gpu", "cuda": "gpu", "cuda:0": "gpu", "gpu:0": "gpu"}
"""What transformers and PyTorch call devices."""


def device_name(device: Any) -> str:
    """Return "auto", "cpu" or "gpu".

    Args:
        device: One of these; or in transformers' words None, -1 for the CPU, 0 or "cuda" for the GPU, a torch.device.

    Raises:
        DeviceError: It is another one, or the second GPU, or a later one.
    """
    name = _OTHER_NAMES.get(str(device), str(device))
    kind, _, number = name.rpartition(":")
    if number.isdecimal() and kind in ("", "cuda", "gpu"):
        raise DeviceError(f"device is {device!r}; set CUDA_VISIBLE_DEVICES={number} and pass device='gpu'")
    if name not in ("auto", "cpu", "gpu"):
        raise DeviceError(f"device is {device!r}; expected 'auto', 'cpu' or 'gpu'")
    return name


def check_float32(dtype: str) -> None:
    """Require parameters that small updates do not vanish in.

    Raises:
        InputError: They are of another dtype.
    """
    if dtype != "float32":
        raise InputError(
            f'the model\'s parameters are {dtype}; training needs float32: load it with dtype="float32", and compute '
            f'in {dtype} by EngineOptions(precision="{dtype}")'
        )


def check_options(head: str, config: DistilBertConfig, options: EngineOptions, has_teacher: bool) -> None:
    """Require options that a model can be trained with; arguments as `check_distillation`.

    Raises:
        InputError: Options have no meaning for the model's loss, or for distillation.
    """
    check_loss_options(head, config, options)
    check_distillation(head, config, options, has_teacher)


def check_loss_options(head: str, config: DistilBertConfig, options: EngineOptions) -> None:
    """Require that label smoothing and class weights have a meaning for the model's loss.

    Args:
        head: The end of the model's class name, as "ForTokenClassification".
        config: The model's config.
        options: What was asked for.

    Raises:
        InputError: The loss is no cross-entropy over classes, or there is not one weight for each.
    """
    if not options.label_smoothing and options.class_weights is None:
        return
    single = config.problem_type in (None, "single_label_classification") and config.num_labels > 1
    if head == "ForQuestionAnswering" or (head == "ForSequenceClassification" and not single):
        raise InputError(
            "label_smoothing and class_weights share the probability of one label among classes; the loss of this "
            f"model ({head}, problem_type {config.problem_type}) has none: leave them out"
        )
    if not 0.0 <= options.label_smoothing <= 1.0:
        raise InputError(f"label_smoothing is {options.label_smoothing}; expected 0 to 1")
    if options.class_weights is None:
        return
    classes = config.vocab_size if head == "ForMaskedLM" else config.num_labels
    if head == "ForMultipleChoice":
        raise InputError("class_weights were given to a multiple-choice model, whose choices are no classes")
    if len(options.class_weights) != classes:
        raise InputError(f"{len(options.class_weights)} class_weights were given for {classes} classes; give one each")
