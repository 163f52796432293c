"""The page and the picture of the conversion benchmark: text kept here, figures given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from distilbert_conversion import DIALECTS

Facts = dict[str, Any]
SPARE = 64 * 2**20  # bytes of memory that a conversion may take beside one and a half times the largest tensor

TEXT = """# Conversion

`distilbert convert SRC DST --to pt|tf|flax` reads any dialect below and writes any other, with no framework
installed. Written by `make conversion-matrix`, from `benchmarks/conversion_page.py`.

## What each dialect holds

| dialect | file | all six models | bfloat16 | in several files | remarks |
|---|---|---|---|---|---|
| `pt-safetensors` | `model.safetensors` | yes | yes | yes | a tied projector is not stored, see `--materialize-tied` |
| `pt-bin` | `pytorch_model.bin` | yes | yes | yes | read without running code from the file |
| `tf-h5` | `tf_model.h5` | yes | no | yes | transformers' TF class ties an untied projector again |
| `tf-safetensors` | `model.safetensors` | yes | yes | yes | the same remark |
| `keras` | `model.weights.h5` | yes | yes | no | what this project's Keras classes save |
| `keras-hub` | preset directory | three | yes | no | see below |
| `flax-msgpack` | `flax_model.msgpack` | yes | yes | yes | transformers' Flax class computes a sinusoidal table anew |
| `flax-safetensors` | `model.safetensors` | yes | yes | yes | transformers' Flax class opens one file only |
| `flax-orbax` | checkpoint directory | yes | yes | no | see below |

`--dtype` rounds to nearest, and the summary says by how much at most. A finite value beyond float16's range is an
error that names the tensor and the value; bfloat16 has float32's range. What was written is read again and compared
bit for bit before the directory appears (`--no-verify` leaves that out). `distilbert diff A B` compares any two.

## BERT becomes DistilBERT

A BERT of transformers, in PyTorch, TensorFlow or Flax files, is recognised by its names and config. Query, key, value
and the rest keep their values under DistilBERT's names. The row of token type 0 is added to every row of the position
table: exact for single segments, as BERT adds both to every token (`--no-fold-token-type` leaves it out). Token type 1,
the pooler, next-sentence prediction and classifiers on the pooled state have no place in a DistilBERT; the summary
lists them. The masked-LM, token-classification and question-answering heads are kept. `--layers 0,2,4,7,9,11` takes
those layers, as the first weights of a student (arXiv 1910.01108); it works on a DistilBERT too.

A `layer_norm_eps` other than 1e-12 is refused, as DistilBERT has no such field. Measured on all-MiniLM-L6-v2 with 100
sentences of SST-2: converted, PyTorch, Keras and Flax are within 4e-6, 5e-6 and 4e-6 of transformers' BERT in the last
hidden state; the BERT itself moves by 4e-4 with an epsilon of 1e-6 and by 4e-3 with 1e-5 (`parity_tests/minilm.py`).

Google's original TensorFlow checkpoints (`bert_model.ckpt.index` and `.data`) are not read: they need TensorFlow, and
no maintained reader without it was found (one on PyPI has had no release since February 2023). Convert them first
with transformers' `convert_bert_original_tf_checkpoint_to_pytorch.py`.

## KerasHub presets

`--to tf --format keras-hub` writes what `keras_hub.models.DistilBertBackbone.from_preset` (or `DistilBertMaskedLM`,
`DistilBertTextClassifier`) opens, tokenizer included; presets are read as any source. KerasHub 0.32 computes bit for
bit the same from what comes back. It differs from DistilBERT in this:

- The masked-LM head's LayerNorm has an epsilon of 1e-5, not 1e-12: with random weights logits differ by 1.3e-4.
- In training it has one more dropout, after `out_lin`, and one rate for all: `attention_dropout` is not kept.
- It has no question answering, token classification or multiple choice, no other activation than GELU, no pruned
  heads and no untied projector: these are refused, `--head Model` writes the backbone.
- `initializer_range`, `pad_token_id`, label names, and whether the position table is frozen are not kept.

## Orbax checkpoints

Orbax' own directories (packed OCDBT, Zarr 2 or 3) are read through `tensorstore`, without JAX; `pip install
'distilbert[flax]'` brings it. Put a `config.json` into the directory. The parameters may lie below `params`, and NNX's
`value` leaves are known. Of a `CheckpointManager`, give the item's folder, as `STEP/default`. Written is Orbax' plain
layout, one folder for each array, uncompressed; `StandardCheckpointer().restore` opens it as NumPy arrays, or as JAX
arrays given a target. Neither `--overwrite` of such a directory, or of a preset with a tokenizer, nor a hub id as
source of one is supported: both hold folders.

## Wrapped, nested and Google's checkpoints

What a wrapper puts before every name is taken off, and the summary says so: `_orig_mod.` of `torch.compile`, `module.`
of `DataParallel` (also twice), `model.` of Lightning and FARM, `params/params/` of Flax. The layers' names tell where a
model's own names begin, so that any prefix will do; with two models under different prefixes the message asks for the
state_dict of one. A training checkpoint (`.ckpt`, `.pt`) is read where one of its entries alone is a state_dict.

Google's `bert_model.ckpt.index` with its data file and `bert_config.json` is read as the BERT that it is, without
TensorFlow; the optimizer's state is left out. It is not written.

## Files from strangers

No file can run code: pickles are read by a machine that knows tensors only. Sizes, offsets, shapes, types and names
are checked before memory is taken; links, external data sets and names that lead out of the directory are refused;
two values for one weight are an error. What a file says reaches the terminal escaped. The result appears as a whole,
by one rename, or not at all, also when the process is killed; nothing but a saved model is ever replaced.
"""


def write_page(facts: Facts, path: Path) -> None:
    """Write docs/conversion.md."""
    cells, limit = facts["cells"], 1.5 * facts["largest"] + SPARE
    over = [f"`{cell['source']}` to `{cell['target']}`" for cell in cells if cell["peak"] > limit]
    differing = [f"`{cell['source']}` to `{cell['target']}`" for cell in cells if not cell["identical"]]
    ratio = sorted(cell["seconds"] / cell["copy"] for cell in cells)
    lines = [
        TEXT,
        "## Measured\n",
        "The full-size masked-LM model (6 layers, 768 wide, 30,522 words) in float32,",
        f"{cells[0]['nbytes'] / 1e6:.0f} MB, on {facts['machine']};",
        f"{facts['repeats']} run(s) of each pair, each in its own process, imports not counted, `cp` of the source",
        "(synced) just before. Other work ran on the machine: compare within a row.\n",
        f"- Bit-identical: {len(cells) - len(differing)} of {len(cells)} pairs"
        + (f"; not: {', '.join(differing)}." if differing else "."),
        f"- Time with verification: {ratio[0]:.1f} to {ratio[-1]:.1f} times `cp`, median {ratio[len(ratio) // 2]:.1f}.",
        f"- Peak memory above the imports': at most {max(cell['peak'] for cell in cells) / 1e6:.0f} MB; the limit is "
        f"1.5 times the largest tensor and 64 MiB, {limit / 1e6:.0f} MB; "
        + (f"over it: {', '.join(over)}." if over else "every pair keeps it."),
        "",
        "![seconds and peak memory of every pair](conversion.png)\n",
        "| from | to | identical | seconds | without verification | MB/s | `cp` | peak MB |",
        "|---|---|---|---|---|---|---|---|",
        *map(_row, cells),
        "",
        *_others(facts["transformers"], cells),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _row(cell: Facts) -> str:
    speed = cell["nbytes"] / cell["seconds"] / 1e6
    identical = "yes" if cell["identical"] else "no"
    return (
        f"| `{cell['source']}` | `{cell['target']}` | {identical} | {cell['seconds']:.2f} | {cell['unverified']:.2f} | "
        f"{speed:.0f} | {cell['copy']:.2f} | {cell['peak'] / 1e6:.0f} |"
    )


def _others(ways: Facts, cells: list[Facts]) -> list[str]:
    """Return the table of transformers' own ways, where they were measured."""
    if not ways:
        return []
    ours = {f"{cell['source']} {cell['target']}": cell["seconds"] for cell in cells}
    rows = []
    for way, found in ways.items():
        source, target = way.split()
        result = f"{found:.2f}" if isinstance(found, float) else f"fails: {_plain(found)}"
        rows.append(f"| `{source}` | `{target}` | {result} | {ours[way]:.2f} |")
    return [
        "transformers 4.57.6, which builds the model in the framework on the way (seconds, imports not counted):\n",
        "| from | to | transformers | `distilbert convert` |",
        "|---|---|---|---|",
        *rows,
    ]


def _plain(error: str) -> str:
    """Return an error without what would break a table or name a folder of this machine."""
    return re.sub(r"(?<=\s)/\S+", "its folder", error.replace("|", "/")).rstrip(".")


def write_picture(facts: Facts, path: Path) -> None:
    """Write docs/conversion.png: seconds, and peak memory, of every pair."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sources, targets = list(DIALECTS), list(dict.fromkeys(cell["target"] for cell in facts["cells"]))
    figure, axes = plt.subplots(1, 2, figsize=(15, 6.2), layout="constrained")
    shown = (("seconds", "seconds, with verification", 1.0, ".1f"), ("peak", "peak memory, MB", 1e6, ".0f"))
    for axis, (key, title, unit, form) in zip(axes, shown, strict=True):
        table = {(cell["source"], cell["target"]): cell[key] / unit for cell in facts["cells"]}
        grid = [[table[source, target] for target in targets] for source in sources]
        image = axis.imshow(grid, cmap="YlGnBu", vmin=0)
        figure.colorbar(image, ax=axis, shrink=0.8)
        axis.set_xticks(range(len(targets)), targets, rotation=40, ha="right")
        axis.set_yticks(range(len(sources)), sources)
        axis.set(title=title, xlabel="to", ylabel="from")
        middle = max(map(max, grid)) / 2
        for row, line in enumerate(grid):
            for column, value in enumerate(line):
                color = "white" if value > middle else "black"
                axis.text(column, row, format(value, form), ha="center", va="center", color=color, fontsize=9)
    figure.suptitle("Converting a DistilBERT of 268 MB from every dialect to every other")
    figure.savefig(path, dpi=110)
