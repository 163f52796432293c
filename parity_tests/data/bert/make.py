"""Write the BERT checkpoints of this folder and what transformers computes with them; needs transformers 4.57.6.

Usage: python make.py, with PyTorch, TensorFlow, tf-keras and Flax installed beside transformers
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    FlaxBertForPreTraining,
    TFBertForPreTraining,
)

HERE = Path(__file__).resolve().parent
CONFIG = {
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}
LAYERS = [0, 2, 3]


def fill(model: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter values that are easy to tell apart, LayerNorm's too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.uniform_(-0.5, 0.5, generator=generator)
            if "LayerNorm.weight" in name:
                parameter.add_(1.0)
    return model.eval()


def legacy(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a state dict as of 2019: LayerNorm's parameters are gamma and beta."""
    state = {name.removeprefix("bert."): tensor for name, tensor in model.state_dict().items()}
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in state.items()
        if not name.startswith("cls.")
    }


def hidden(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """Return the last hidden state."""
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True).hidden_states[-1].numpy()


def main() -> None:
    """Write everything."""
    config = BertConfig(**CONFIG)
    model = fill(BertForPreTraining(config))
    model.save_pretrained(HERE / "pt")
    for source, cls, name in (("pt", TFBertForPreTraining, "tf"), ("pt", FlaxBertForPreTraining, "flax")):
        converted = cls.from_pretrained(HERE / source, from_pt=True)
        for folder, safe in ((f"{name}_safetensors", True), (f"{name}_h5" if name == "tf" else "flax_msgpack", False)):
            converted.save_pretrained(HERE / folder, safe_serialization=safe)
    (HERE / "pt_bin_2019").mkdir(exist_ok=True)
    torch.save(legacy(model), HERE / "pt_bin_2019" / "pytorch_model.bin")
    shutil.copy(HERE / "pt" / "config.json", HERE / "pt_bin_2019")

    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 40, (3, 16), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 11:] = mask[2, 5:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    with torch.no_grad():
        arrays["last_hidden_state"] = hidden(model, inputs)
        arrays["ForMaskedLM"] = model(**inputs).prediction_logits.numpy()
    for cls in (BertForTokenClassification, BertForQuestionAnswering, BertForSequenceClassification):
        head = cls.__name__.removeprefix("Bert")
        labels = 2 if head == "ForQuestionAnswering" else 5
        task = fill(cls(BertConfig(**{**CONFIG, "num_labels": labels})))
        task.save_pretrained(HERE / head)
        with torch.no_grad():
            output = task(**inputs)
        arrays[head] = getattr(output, "logits", getattr(output, "start_logits", None)).numpy()
        arrays[f"{head}/last_hidden_state"] = hidden(task, inputs)
    chosen = BertModel.from_pretrained(HERE / "pt").eval()
    chosen.encoder.layer = torch.nn.ModuleList(chosen.encoder.layer[layer] for layer in LAYERS)
    arrays["layers"], arrays["layers/last_hidden_state"] = np.array(LAYERS), hidden(chosen, inputs)
    unfolded = BertModel.from_pretrained(HERE / "pt").eval()
    torch.nn.init.zeros_(unfolded.embeddings.token_type_embeddings.weight)
    arrays["unfolded/last_hidden_state"] = hidden(unfolded, inputs)
    np.savez_compressed(HERE / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
