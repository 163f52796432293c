"""What PyTorch offers beside a plain call: tracing, export, compilation, parallel and half-precision use."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.utils import _pytree as pytree

import distilbert_pt
from distilbert_common import OUTPUT_TYPES
from distilbert_pt import DistilBertForSequenceClassification
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
CLASSES = {head: getattr(distilbert_pt, f"DistilBert{head}") for head in golden.HEADS}


def load(head: str, **kwargs) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    inputs = {name: torch.from_numpy(array) for name, array in golden.inputs(MICRO, head).items()}
    selected = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    return CLASSES[head].from_pretrained(MICRO / head / "pt", **kwargs), selected


def other_inputs(head: str) -> dict[str, torch.Tensor]:
    """Inputs of another batch size and length, with padding."""
    shape = (5, 3, 11) if head == "ForMultipleChoice" else (5, 11)
    ids = torch.randint(0, 40, shape, generator=torch.Generator().manual_seed(3))
    return {"input_ids": ids, "attention_mask": (torch.arange(11) < 7).long().expand(shape).clone()}


@pytest.mark.parametrize("head", golden.HEADS)
def test_jit_trace_takes_other_batch_sizes_and_lengths(head: str) -> None:
    model, inputs = load(head, return_dict=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(model, tuple(inputs.values()))
    for arguments in (inputs, other_inputs(head)):
        expected = model(**arguments, unpad=False)  # traced code computes padding
        assert torch.allclose(traced(*arguments.values())[0], expected[0], atol=1e-6)


@pytest.mark.parametrize("head", golden.HEADS)
def test_export_with_dynamic_batch_and_sequence(head: str) -> None:
    model, inputs = load(head)
    batch, seq = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("seq", min=2, max=16)
    axes = {0: batch, inputs["input_ids"].dim() - 1: seq}
    exported = torch.export.export(model, (), inputs, dynamic_shapes=dict.fromkeys(inputs, axes))
    for arguments in (inputs, other_inputs(head)):
        if head == "ForMultipleChoice":
            arguments = {name: x[:, : inputs["input_ids"].size(1)] for name, x in arguments.items()}
        output, expected = exported.module()(**arguments), model(**arguments, unpad=False)  # it computes padding
        assert type(output) is type(expected)
        assert torch.allclose(output[0], expected[0], atol=1e-6)


def test_compiled_in_training_gives_the_same_gradients() -> None:
    plain, inputs = load("ForSequenceClassification", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    compiled, _ = load("ForSequenceClassification", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    labels = torch.tensor([1, 4])
    plain.train()(**inputs, labels=labels).loss.backward()
    torch.compile(compiled.train(), backend="aot_eager", fullgraph=True)(**inputs, labels=labels).loss.backward()
    for mine, other in zip(compiled.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)


def test_outputs_are_trees() -> None:
    for cls in OUTPUT_TYPES:
        output = cls(torch.ones(2), hidden_states=(torch.zeros(1), torch.ones(1)))
        leaves, structure = pytree.tree_flatten(output)
        assert len(leaves) == 3
        again = pytree.tree_unflatten([leaf + 1 for leaf in leaves], structure)
        assert type(again) is cls
        assert list(again) == list(output)
        assert torch.equal(again.hidden_states[1], torch.tensor([2.0]))


def test_data_parallel_gathers_outputs() -> None:
    model, inputs = load("ForSequenceClassification")
    assert torch.equal(torch.nn.DataParallel(model)(**inputs).logits, model(**inputs).logits)
    halves = [model(**{name: x[i : i + 1] for name, x in inputs.items()}) for i in range(2)]
    names = halves[0].keys()
    gathered = type(halves[0])((name, torch.cat([half[name] for half in halves])) for name in names)
    assert torch.allclose(gathered.logits, model(**inputs).logits, atol=1e-6)


@pytest.mark.parametrize("convert", [torch.nn.Module.half, torch.nn.Module.bfloat16, torch.nn.Module.double])
def test_conversion_of_the_module(convert) -> None:
    model, inputs = load("ForMaskedLM")
    expected = model(**inputs).logits
    converted = convert(load("ForMaskedLM")[0])
    output = converted(**inputs).logits
    assert output.dtype == converted.dtype
    assert torch.allclose(output.float(), expected, atol=0.1)
    assert converted.vocab_projector.weight is converted.get_input_embeddings().weight


def test_state_dict_of_transformers_style_names_loads_strictly() -> None:
    model, inputs = load("ForSequenceClassification")
    twin = DistilBertForSequenceClassification(model.config)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.eval()(**inputs).logits, model(**inputs).logits)
