"""PEFT's adapters on our models: they train, are saved and loaded, and are merged into the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    OFTConfig,
    PeftConfig,
    PeftModel,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)

from parity_tests.helpers.ecosystem import TEXTS, load, tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")
TASK = "SEQ_CLS"
SIZES = {"num_virtual_tokens": 3, "token_dim": 128, "num_layers": 3, "num_attention_heads": 4}
ADAPTERS = {
    "lora": LoraConfig(task_type=TASK, target_modules=["q_lin", "v_lin", "out_lin", "lin1", "lin2"]),
    "lora on embeddings": LoraConfig(task_type=TASK, target_modules=["word_embeddings", "q_lin"]),
    "dora": LoraConfig(task_type=TASK, target_modules=["q_lin", "lin1"], use_dora=True),
    "ia3": IA3Config(task_type=TASK, target_modules=["k_lin", "v_lin", "lin2"], feedforward_modules=["lin2"]),
    "adalora": AdaLoraConfig(task_type=TASK, target_modules=["q_lin"], total_step=10),
    "oft": OFTConfig(task_type=TASK, target_modules=["lin1"], oft_block_size=8),
    "layer norms": LNTuningConfig(task_type=TASK, target_modules=["sa_layer_norm"]),
    "prompt": PromptTuningConfig(task_type=TASK, **SIZES),
    "p-tuning": PromptEncoderConfig(task_type=TASK, encoder_hidden_size=128, **SIZES),
}


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    return dict(tokenizer()(TEXTS[:4], padding=True, return_tensors="pt"))


@pytest.mark.parametrize("config", ADAPTERS.values(), ids=ADAPTERS)
def test_adapters(config: PeftConfig, batch: dict[str, torch.Tensor], tmp_path: Path) -> None:
    model = get_peft_model(load("ForSequenceClassification"), config)
    model.train()(**batch, labels=torch.arange(4)).loss.backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    with torch.no_grad():
        for parameter in trained:
            parameter.add_(0.01 * torch.randn_like(parameter))
        expected = model.eval()(**batch).logits
        model.save_pretrained(tmp_path)
        again = PeftModel.from_pretrained(load("ForSequenceClassification"), tmp_path).eval()
        assert torch.allclose(again(**batch).logits, expected, atol=1e-6)
        if hasattr(again.base_model, "merge_and_unload"):
            assert torch.allclose(again.merge_and_unload()(**batch).logits, expected, atol=1e-4)


def test_an_adapter_of_the_masked_lm_head_without_logits(batch: dict[str, torch.Tensor]) -> None:
    """The loss in parts multiplies by the projector's weight; where the projector is an adapter it is called."""
    torch.manual_seed(0)
    model = get_peft_model(load("ForMaskedLM"), LoraConfig(target_modules=["vocab_projector"], init_lora_weights=False))
    labels = batch["input_ids"].where(batch["attention_mask"] == 1, -100)
    losses = [model.eval()(**batch, labels=labels, loss_only=loss_only).loss for loss_only in (False, True)]
    assert torch.allclose(*losses, atol=1e-5)
