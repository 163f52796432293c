from __future__ import annotations

from typing import Any

import pytest
import torch

from distilbert_common.errors import InputError
from distilbert_pt import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForQuestionAnswering,
    DistilBertForTokenClassification,
    DistilBertModel,
)
from distilbert_pt.attention import sdpa_attention
from distilbert_pt.fast.unpadding import unpadded_layout
from distilbert_pt.layout import Padded, Unpadded
from parity_tests.helpers.tolerances import GRADIENT, MATRIX

MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1]])
IDS = torch.arange(20).reshape(5, 4) + 1
CONFIG = DistilBertConfig(
    vocab_size=50, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64, initializer_range=0.2,
    dropout=0.0, attention_dropout=0.0, qa_dropout=0.0,
)  # fmt: skip


@pytest.fixture
def model() -> DistilBertModel:
    torch.manual_seed(0)
    return DistilBertModel(CONFIG.updated()).eval()


class TestUnpaddedLayout:
    def test_sequences_of_one_length_lie_together(self) -> None:
        layout = unpadded_layout(MASK)
        assert layout is not None
        assert layout.groups == ((1, 1), (3, 3))
        assert layout.indices.tolist() == [4, 0, 1, 2, 8, 9, 10, 16, 18, 19]

    def test_segments_are_sequences(self) -> None:
        layout = unpadded_layout(torch.tensor([[1, 1, 1, 2], [1, 2, 2, 0]]))
        assert layout is not None
        assert (layout.groups, layout.indices.tolist()) == (((2, 1), (1, 2), (1, 3)), [3, 4, 5, 6, 0, 1, 2])

    def test_what_was_gathered_is_scattered_back(self) -> None:
        layout = unpadded_layout(MASK)
        assert layout is not None
        x = layout.gather(IDS[..., None].float())
        assert torch.equal(layout.scatter(x)[..., 0], IDS * MASK)
        assert torch.equal(layout.scatter(x, -1.0)[..., 0], torch.where(MASK == 1, IDS, -1))
        assert torch.equal(layout.padding, MASK == 0)

    def test_the_mask_that_attention_does_not_need(self) -> None:
        layout, x = unpadded_layout(MASK), torch.randn(1, 2, 10, 4)
        assert layout is not None
        one, other = layout.attend(sdpa_attention, x, x, x, 0.0), sdpa_attention(x, x, x, layout.mask)
        assert torch.allclose(one, other, atol=1e-6)

    def test_padding_alone(self) -> None:
        assert unpadded_layout(torch.zeros(2, 3)) is None


class TestModel:
    def test_full_batches_and_the_eager_path_keep_all_places(self, model: DistilBertModel) -> None:
        assert model.layout_of(torch.ones(2, 4)) == Padded()
        assert isinstance(model.layout_of(MASK), Unpadded)
        assert isinstance(model.layout_of(MASK, unpad=False), Padded)
        model.config.attn_implementation = "eager"
        eager = model(IDS, MASK).last_hidden_state
        assert (eager[MASK == 0] != 0).any()

    @pytest.mark.usefixtures("fast_and_plain")
    def test_embeddings_and_positions_go_along(self, model: DistilBertModel) -> None:
        positions = torch.arange(4)[None] + 5
        words = model.get_input_embeddings()(IDS)
        output = model(inputs_embeds=words, attention_mask=MASK, position_ids=positions).last_hidden_state
        expected = model(IDS, MASK, position_ids=positions, unpad=False).last_hidden_state
        assert float((output - expected)[MASK == 1].abs().max()) <= MATRIX.value

    @pytest.mark.usefixtures("fast_and_plain")
    @pytest.mark.parametrize("checkpointing", [False, True])
    def test_gradients_in_training(self, model: DistilBertModel, checkpointing: bool) -> None:
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        output, expected = (
            torch.autograd.grad(
                model(IDS, MASK, unpad=unpad).last_hidden_state[MASK == 1].square().sum(), list(model.parameters())
            )
            for unpad in ("auto", False)
        )
        for one, other in zip(output, expected, strict=True):
            assert float((one - other).abs().max()) <= GRADIENT.value * max(1.0, float(other.abs().max()))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_finite(self, model: DistilBertModel, dtype: torch.dtype) -> None:
        output = model.to(dtype)(IDS, MASK).last_hidden_state
        assert bool(output.isfinite().all())
        assert (output[MASK == 0] == 0).all()

    @pytest.mark.usefixtures("fast_and_plain")
    def test_autocast(self, model: DistilBertModel) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(IDS, MASK).last_hidden_state
        assert float((output - model(IDS, MASK).last_hidden_state).abs().max()) < 0.1

    @pytest.mark.usefixtures("fast_and_plain")
    def test_dropout_acts(self, model: DistilBertModel) -> None:
        model.config.attention_dropout = 0.5
        model.train()
        assert not torch.equal(model(IDS, MASK).last_hidden_state, model(IDS, MASK).last_hidden_state)


@pytest.mark.usefixtures("fast_and_plain")
def test_the_loss_of_question_answering_counts_padding_as_transformers_does() -> None:
    torch.manual_seed(0)
    model = DistilBertForQuestionAnswering(CONFIG).eval()
    where = torch.zeros(5, dtype=torch.long)
    loss = model(IDS, MASK, start_positions=where, end_positions=where).loss
    assert torch.equal(loss, model(IDS, MASK, start_positions=where, end_positions=where, unpad=False).loss)
    assert not torch.equal(loss, model(IDS, MASK, start_positions=where, end_positions=where, unpad=True).loss)


HEADS = {
    DistilBertForTokenClassification: 0.0,
    DistilBertForMaskedLM: 0.0,
    DistilBertForQuestionAnswering: torch.finfo(torch.float32).min,
}


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("cls", HEADS)
def test_logits_where_padding_was_left_out(cls: type[torch.nn.Module], grad: bool, segments: bool) -> None:
    """Nothing that a user does over a row, an argmax or a softmax, finds an answer in padding."""
    torch.manual_seed(0)
    model, mask = cls(CONFIG).eval(), MASK[[0, 1, 2, 4]] if not segments else torch.tensor([[1, 1, 2, 0]] * 4)
    padded = {"segment_ids" if segments else "attention_mask": mask}
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    with torch.set_grad_enabled(grad):
        output, computed = model(IDS[:4], **padded), model(IDS[:4], **padded, unpad=False)
    for logits, expected in zip(output.to_tuple(), computed.to_tuple(), strict=True):
        assert (logits[mask == 0] == HEADS[cls]).all()
        assert torch.allclose(logits[mask != 0], expected[mask != 0], atol=1e-5)
        assert segments or (expected[mask == 0] != HEADS[cls]).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_start_and_end_at_padding_are_the_lowest_of_their_dtype(dtype: torch.dtype) -> None:
    output = DistilBertForQuestionAnswering(CONFIG).eval().to(dtype)(IDS, MASK)
    assert (output.start_logits[MASK == 0] == torch.finfo(dtype).min).all()
    assert (output.end_logits[MASK == 0] == torch.finfo(dtype).min).all()
    assert bool(output.start_logits.softmax(dim=-1).isfinite().all())


@pytest.mark.parametrize("options", [{"unpad": False}, {"output_attentions": True}], ids=str)
def test_start_and_end_at_padding_are_transformers_where_it_is_computed(options: dict[str, bool]) -> None:
    torch.manual_seed(0)
    output = DistilBertForQuestionAnswering(CONFIG).eval()(IDS, MASK, **options)
    assert (output.start_logits.abs() < 100).all()


def test_compiled_code_that_keeps_segments_apart_gives_the_lowest_too() -> None:
    model, segments = DistilBertForQuestionAnswering(CONFIG).eval(), torch.tensor([[1, 1, 2, 0]] * 5)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert (compiled(IDS, segment_ids=segments).end_logits[:, 3] == torch.finfo(torch.float32).min).all()


@pytest.mark.usefixtures("fast_and_plain")
def test_a_training_step_goes_through_the_filled_logits() -> None:
    torch.manual_seed(0)
    model, where = DistilBertForQuestionAnswering(CONFIG).train(), torch.zeros(5, dtype=torch.long)
    model(IDS, MASK, start_positions=where, end_positions=where, unpad=True).loss.backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    model = DistilBertForMaskedLM(CONFIG).train()
    model(IDS, MASK, labels=IDS.where(MASK == 1, -100), unpad=True).loss.backward()
    assert bool(model.vocab_projector.weight.grad.isfinite().all())


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("options", [{}, {"output_attentions": True}, {"head_mask": torch.ones(4)}], ids=str)
@pytest.mark.parametrize("cls", [DistilBertModel, *HEADS])
def test_padding_has_the_fill_value_wherever_unpad_is_true(cls: type[torch.nn.Module], options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, inputs = cls(CONFIG).eval(), {"input_ids": IDS, "attention_mask": MASK, **options}
    outputs, expected = model(**inputs, unpad=True), model(**inputs, unpad=False)
    for x, other in zip(outputs.to_tuple()[: 2 if "start_logits" in outputs else 1], expected.to_tuple(), strict=False):
        assert (x[MASK == 0] == HEADS.get(cls, 0.0)).all()
        assert torch.allclose(x[MASK == 1], other[MASK == 1], atol=1e-5)


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("inputs", [{"attention_mask": MASK}, {"segment_ids": MASK}], ids=["mask", "segments"])
def test_a_layout_worked_out_before_serves_instead_of_the_mask(model: DistilBertModel, inputs: dict[str, Any]) -> None:
    expected = model(IDS, **inputs).last_hidden_state
    for layout in (model.layout_of(**inputs), model.layout_of(**inputs, unpad=False)):
        x = model(IDS, layout=layout, num_segments=3).last_hidden_state
        assert torch.allclose(x[MASK == 1], expected[MASK == 1], atol=1e-5)
    with pytest.raises(InputError, match="layout"):
        model(IDS, **inputs, layout=model.layout_of(**inputs))


def test_padding_that_is_read_is_computed(model: DistilBertModel) -> None:
    assert isinstance(model.layout_of(MASK, reads=MASK == 1), Unpadded)
    for reads in (MASK == 0, torch.ones(1, 4, dtype=torch.bool), True):
        assert isinstance(model.layout_of(MASK, reads=reads), Padded)
    assert isinstance(model.layout_of(MASK, unpad=True, reads=True), Unpadded)


@pytest.mark.parametrize("unpad", ["auto", True])
def test_everything_is_computed_where_the_fast_paths_are_off(
    model: DistilBertModel, unpad: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILBERT_FAST", "0")
    layout = model.layout_of(MASK, unpad=unpad)
    assert isinstance(layout, Padded)
    assert (layout.padding is None) == (unpad == "auto")
