"""Where the golden checkpoints are: what transformers 4.57.6 wrote and computed for small random models.

`micro` lies in this repository. Three larger configs may lie in a folder `shared/golden` beside the repository;
tests use them where they are there, and need only `micro`.

A config folder holds one folder per head, and that holds one folder per dialect (`FOLDERS`), absent where
transformers itself gets that model wrong, and `inputs.npz`, `expected.npz` and (heads with a loss)
`grads.safetensors`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
"""The golden data of this repository."""

_BESIDE = GOLDEN.parents[3] / "shared" / "golden"
SHARED: Path | None = _BESIDE if _BESIDE.is_dir() else None
"""The larger golden data, or None where it is not there."""

HEADS = (
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForMultipleChoice",
    "ForTokenClassification",
    "ForQuestionAnswering",
)

FOLDERS = ("pt", "pt_bin", "pt_sharded", "tf_h5", "tf_safetensors", "flax_msgpack", "flax_safetensors")
"""The dialect folders; the `pt` ones are always there and hold the same weights."""


def configs() -> list[Path]:
    """Return the folder of every golden config at hand: `micro` first, then the shared ones."""
    shared = [] if SHARED is None else [path for path in SHARED.iterdir() if path.is_dir() and path.name != "micro"]
    return [GOLDEN / "micro", *sorted(shared)]


def folders(config: Path, head: str) -> dict[str, Path]:
    """Return the checkpoint folders of one model by name ("pt", "tf_h5", …), those that are there."""
    return {name: config / head / name for name in FOLDERS if (config / head / name).is_dir()}


def cases() -> list[tuple[Path, str]]:
    """Return every (config folder, head); give `case_id` to pytest as `ids`."""
    return [(config, head) for config in configs() for head in HEADS]


def case_id(value: object) -> str:
    """Name a parametrized value in a test's id: a path by its last part, a tuple by its values."""
    if isinstance(value, tuple):
        return "-".join(map(case_id, value))
    return value.name if isinstance(value, Path) else str(value)


def inputs(config: Path, head: str) -> dict[str, np.ndarray]:
    """Return the model's inputs by argument name: input_ids, attention_mask (batch, …, seq), labels."""
    with np.load(config / head / "inputs.npz") as arrays:
        return dict(arrays)


def expected(config: Path, head: str, precision: str = "f32") -> dict[str, np.ndarray]:
    """Return transformers' outputs by name: logits, last_hidden_state, `hidden_states/i`, `attentions/i`, loss.

    Args:
        config: A folder of `configs()`.
        head: A name of `HEADS`.
        precision: "f32" or "f64", the precision that the reference computed in.
    """
    with np.load(config / head / "expected.npz") as arrays:
        return {name.removeprefix(f"{precision}/"): arrays[name] for name in arrays if name.startswith(precision)}
