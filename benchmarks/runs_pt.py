"""What is measured in PyTorch, ours and the baselines'."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import runs
from runs import Batch, Run


def tensors(batch: Batch) -> dict[str, Tensor]:
    """Return a batch as PyTorch's tensors."""
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def forward(implementation: str, folder: Path, workload: str, *, packed: bool = False) -> Run:
    """Return what runs batches, without gradients; our matrices as they are, or laid out for inference."""
    if implementation == "onnxruntime-pt":
        return forward_onnx(folder)
    half = {"dtype": torch.bfloat16} if "bfloat16" in workload else {}
    model = runs.load(implementation, folder, runs.head_of(workload), **half).eval()
    if packed and runs.is_ours(implementation):
        model.prepack_weights()

    def run(batches: list[Batch]) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([model(**tensors(batch)).logits.float() for batch in batches]).numpy()

    return run


def prepacked(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches, ours after `prepack_weights`."""
    return forward(implementation, folder, workload, packed=True)


def forward_onnx(folder: Path) -> Run:
    """Return what runs batches in ONNX Runtime, exported from transformers' model."""
    import onnxruntime

    model = runs.load("transformers-pt", folder, runs.head_of(""), attn_implementation="eager").eval()
    sizes = {0: torch.export.Dim("batch", min=1, max=512), 1: torch.export.Dim("seq", min=2, max=512)}
    example = {name: torch.ones(2, 7, dtype=torch.long) for name in ("input_ids", "attention_mask")}
    program = torch.onnx.export(
        model, (), kwargs=example, dynamo=True, dynamic_shapes=dict.fromkeys(example, sizes), output_names=["logits"]
    )
    program.save(str(folder / "model.onnx"))
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return lambda batches: np.concatenate([session.run(["logits"], batch)[0] for batch in batches])


def step(implementation: str, folder: Path, workload: str) -> Run:
    """Return what takes a step of training: forward, backward, AdamW; without dropout, to be compared.

    AdamW is the fused one on both sides, as transformers' `Trainer` takes it.
    """
    model = runs.load(implementation, folder, runs.head_of(workload), **runs.NO_DROPOUT).train()
    if "checkpointed" in workload and runs.is_ours(implementation):
        model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-7, fused=True)
    options = {"loss_only": True} if "masked" in workload and runs.is_ours(implementation) else {}

    def run(batches: list[Batch]) -> np.ndarray:
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = model(**tensors(batch), **options).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        return np.array(losses)

    return run


def encode(implementation: str, folder: Path, _: str) -> Run:
    """Return what makes a vector of each sentence: packed rows, or sentence-transformers' `encode`."""
    if runs.is_ours(implementation):
        model = runs.load(implementation, folder, "Model").eval()

        def call(rows: Batch) -> np.ndarray:
            with torch.inference_mode():
                return model(**tensors(rows)).last_hidden_state.numpy()

        return runs.encode_packed(call, folder)
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    parts = [modules.Transformer(str(folder / "pt" / runs.head_of(""))), modules.Pooling(768, pooling_mode="mean")]
    encoder, texts = SentenceTransformer(modules=parts, device="cpu"), runs.read_texts(folder)[: runs.SENTENCES]
    return lambda _: encoder.encode(texts, batch_size=32)


def tokenize(implementation: str, folder: Path, _: str) -> Run:
    """Return what tokenizes sentences into padded arrays."""
    module: Any = importlib.import_module("distilbert_common" if runs.is_ours(implementation) else "transformers")
    tokenizer, texts = (
        module.DistilBertTokenizerFast.from_pretrained(folder / "pt" / runs.head_of("")),
        runs.read_texts(folder),
    )

    def run(_: list[Batch]) -> np.ndarray:
        return tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="np")["input_ids"].sum(1)

    return run


def matrix(implementation: str, folder: Path, workload: str) -> Run:
    """Return what multiplies two matrices once: ours by oneDNN where the models do so, the baseline as PyTorch does."""
    tokens, dim, hidden_dim = runs.MATRIX
    dtype = torch.bfloat16 if "bfloat16" in workload else torch.float32
    x, weight = torch.ones(tokens, dim, dtype=dtype), torch.ones(hidden_dim, dim, dtype=dtype)
    if runs.is_ours(implementation):
        from distilbert_pt.fast.onednn import multiply
    else:
        multiply = torch.nn.functional.linear

    def run(_: list[Batch]) -> np.ndarray:
        with torch.inference_mode():
            return multiply(x, weight)[:1, :1].float().numpy()

    return run


def products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one call alone, by oneDNN as the models do, each with a matrix of its own."""
    from distilbert_pt.fast.onednn import multiply

    dtype = torch.bfloat16 if "bfloat16" in workload else torch.float32
    weights = [torch.ones(out, width, dtype=dtype) for width, out in runs.SHAPES]
    rows = {width: torch.ones(runs.tokens_of(workload), width, dtype=dtype) for width, _ in runs.SHAPES}

    def run(_: list[Batch]) -> np.ndarray:
        with torch.inference_mode():
            products = [multiply(rows[weight.shape[1]], weight) for weight in weights]
        return products[-1][:1, :1].float().numpy()

    return run


def step_products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one step alone: each layer's own, and those of its two gradients."""
    from distilbert_pt.fast.onednn import multiply

    shapes = runs.step_shapes(folder, workload, packed=False)
    parts = [(torch.ones(n, width), torch.ones(out, width), torch.ones(n, out)) for n, width, out in shapes]

    def run(_: list[Batch]) -> np.ndarray:
        with torch.inference_mode():
            for x, weight, d in parts:
                products = multiply(x, weight), multiply(d, weight.t()), multiply(d.t(), x.t())
        return products[0][:1, :1].numpy()

    return run
