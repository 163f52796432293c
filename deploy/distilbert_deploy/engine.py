"""Exported ONNX models behind the protocol of the families' engines: pipelines, `predict` and `evaluate` run on them.

`load_model` and `Engine` are what `distilbert_tasks.engines` asks a family for. Inputs are checked before ONNX Runtime
sees them, with the sentences of the families.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distilbert_common.checks import check_choices, check_inputs, check_one_mask
from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_deploy.onnx_files import copy_files, find_onnx
from distilbert_deploy.packed_inputs import packed_inputs
from distilbert_deploy.session import open_session

__all__ = ["Engine", "OnnxEngine", "OnnxModel", "load_model"]

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class OnnxModel:
    """An exported model that is ready to run.

    Attributes:
        config: The config of the model that was exported.
        head: Which of the six models, as "ForMaskedLM".
        path: The ONNX file.
        session: ONNX Runtime's session.
    """

    config: DistilBertConfig
    head: str
    path: Path
    session: Any
    load_report: ClassVar[None] = None

    @property
    def takes_packed_rows(self) -> bool:
        """Whether rows may hold several texts each; files that other programs exported do not say where texts start."""
        return any(one.name == "segment_starts" for one in self.session.get_overridable_initializers())

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Copy the ONNX file and the config to a folder."""
        copy_files(self.path, Path(save_directory), self.config)


def load_model(
    head: str | None,
    source: str | Path,
    *,
    config: DistilBertConfig | None = None,
    dtype: str | None = None,
    file_name: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    **hub: Any,
) -> OnnxModel:
    """Open an exported model.

    Args:
        head: Which of the six models it must be; None for the one that it is.
        source: The folder of an export, an ONNX file in one, or a hub id.
        config: The config to use instead of the one beside it.
        dtype: "float32" or None, as an exported model has the precision that it was exported in.
        file_name: Which ONNX file of the folder; None for `onnx/model.onnx` or the first one there is.
        device: "cpu", "gpu", or "auto" for the GPU if ONNX Runtime has one.
        threads: How many threads one call computes in; None for one to each core.
        **hub: Keywords of `distilbert_common.files.resolve`, as `revision`.

    Raises:
        CheckpointNotFoundError: There is no ONNX file.
        InputError: It is another model, or no ONNX model.
        MissingFrameworkError: ONNX Runtime is not installed.
    """
    if dtype not in (None, "float32"):
        raise InputError(f"dtype is {dtype!r}, and an exported model has its own; export with --dtype {dtype} instead")
    path, location = find_onnx(source, file_name, hub)
    config = config or DistilBertConfig.from_pretrained(location, **hub)
    session = open_session(path, device, threads)
    held = head_of(session, config)
    if head is not None and head != held:
        raise InputError(f"the task needs a DistilBert{head}, and {path} is a DistilBert{held}; export such a model")
    return OnnxModel(config, held, path, session)


def head_of(session: Any, config: DistilBertConfig) -> str:
    """Return which of the six models a session runs: as the file or, in those of others, the config says."""
    outputs = {one.name for one in session.get_outputs()}
    named = session.get_modelmeta().custom_metadata_map.get("architecture", "")
    architectures = [named, *map(str, config.architectures or ())]
    if "last_hidden_state" in outputs:
        return "Model"
    if "start_logits" in outputs:
        return "ForQuestionAnswering"
    return next((name.rpartition("DistilBert")[2] for name in architectures if "DistilBertFor" in name), "Model")


class OnnxEngine:
    """The half of a pipeline or an evaluation that needs ONNX Runtime; it trains nothing.

    Attributes:
        model: The exported model.
        rank: 0.
        world: 1.
    """

    rank, world = 0, 1

    def __init__(self, model: OnnxModel, options: None = None, device: str = "auto") -> None:
        """Take a model.

        Args:
            model: The exported model.
            options: None: an exported model cannot be trained.
            device: As the model was opened with; it stays where it is.

        Raises:
            InputError: Options of a training were given.
        """
        if options is not None:
            raise InputError("an exported model cannot be trained; train the model that it was exported from")
        self.model = model
        self._outputs = [one.name for one in model.session.get_outputs()]
        self._takes = {one.name for one in model.session.get_inputs()}

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, such as `logits`, as float32 arrays.

        Args:
            inputs: `input_ids` (batch, seq), or (batch, choices, seq) for multiple choice, with `attention_mask` of
                the same shape or without; or packed rows: `segment_ids` in place of the mask, and `num_segments`, as
                `Packed.inputs` has them.

        Returns:
            As the models of the families: for packed rows, outputs that are one per text are (batch, segments, …).

        Raises:
            InputError: An id is outside the vocabulary, a row is too long, or there is an input that cannot be used.
        """
        self._check(inputs)
        if inputs.get("segment_ids") is None:
            return self._run(self._padded(inputs))
        model = self.model
        if not model.takes_packed_rows:
            raise InputError(
                f"{model.path} takes one text in each row, and the batch holds rows of several; pass layout='padded', "
                "or export the model with distilbert export"
            )
        reads_first_token = model.head == "ForSequenceClassification"
        outputs = self._run(packed_inputs(inputs, reads_first_token=reads_first_token))
        if reads_first_token:
            rows = len(inputs["input_ids"])
            outputs = {name: x.reshape(rows, -1, x.shape[-1]) for name, x in outputs.items()}  # (batch, segments, …)
        return outputs

    def _padded(self, inputs: Mapping[str, Any]) -> Arrays:
        ids = np.asarray(inputs["input_ids"], np.int64)
        mask = inputs.get("attention_mask")
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids) if mask is None else np.asarray(mask)}
        return {name: values.astype(np.int64, copy=False) for name, values in arrays.items()}

    def _run(self, arrays: Arrays) -> Arrays:
        values = self.model.session.run(self._outputs, arrays)
        return {name: np.asarray(x, np.float32) for name, x in zip(self._outputs, values, strict=True)}

    def _check(self, inputs: Mapping[str, Any]) -> None:
        """Check one call before the runtime sees it."""
        config, mask, segments = self.model.config, inputs.get("attention_mask"), inputs.get("segment_ids")
        unknown = set(inputs) - {"input_ids", "attention_mask", "position_ids", "segment_ids", "num_segments"}
        if unknown:
            raise InputError(f"an exported model takes no {', '.join(sorted(unknown))}; leave it out")
        ids = np.asarray(inputs["input_ids"])
        check_one_mask(mask, segments)
        if self.model.head == "ForMultipleChoice":
            check_choices(ids.shape, 3)
        elif ids.ndim != 2:
            raise InputError(f"input_ids has shape {ids.shape}; expected (batch, seq)")
        for name, values in (("attention_mask", mask), ("segment_ids", segments)):
            if values is not None and np.shape(values) != ids.shape:
                raise InputError(f"{name} has shape {np.shape(values)}; expected that of input_ids, {ids.shape}")
        check_inputs(config, None if segments is not None else ids.shape[-1], ids, None, None, _value_range)
        if segments is not None:
            position_ids = inputs.get("position_ids")
            check_inputs(config, None, None, position_ids, None, _value_range)


def _value_range(values: Any) -> tuple[int, int] | None:
    """Return the lowest and the highest of integers."""
    if values is None or not np.size(values):
        return None
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise InputError(f"ids are of type {array.dtype}; expected integers")
    return int(array.min()), int(array.max())


Engine = OnnxEngine
"""The name by which engines are asked for."""
