"""Write the KerasHub presets of this folder and what KerasHub computes with them; needs keras-hub 0.32.

Usage: KERAS_BACKEND=jax python make.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import keras_hub
import numpy as np

HERE = Path(__file__).resolve().parent
SIZES = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
    "max_sequence_length": 16,
}


def filled(model: keras.Model) -> keras.Model:
    """Give every weight values that are easy to tell apart, LayerNorm's scales near 1."""
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        values = random.uniform(-0.5, 0.5, weight.shape)
        weight.assign(values + 1.0 if weight.name == "gamma" else values)
    return model


def outputs(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return what a model computes from token ids, without its preprocessor."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def main() -> None:
    """Write everything."""
    models = keras_hub.models
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *"012345678"]
    tokenizer = models.DistilBertTokenizer(vocabulary=vocabulary, lowercase=True)
    random = np.random.default_rng(1)
    ids = random.integers(1, 40, (3, 16))
    mask = np.ones_like(ids)
    mask[1, 11:] = mask[2, 5:] = 0
    arrays = {"input_ids": ids, "attention_mask": mask}
    inputs = {"token_ids": ids, "padding_mask": mask}

    backbone = models.DistilBertBackbone(**SIZES)
    preprocessor = models.DistilBertMaskedLMPreprocessor(tokenizer, sequence_length=16)
    masked_lm = filled(models.DistilBertMaskedLM(backbone=backbone, preprocessor=preprocessor))
    masked_lm.save_to_preset(str(HERE / "ForMaskedLM"))
    positions = np.tile(np.arange(16), (3, 1))
    arrays["last_hidden_state"] = outputs(backbone, inputs)
    arrays["ForMaskedLM"] = outputs(masked_lm, {**inputs, "mask_positions": positions})

    backbone = models.DistilBertBackbone(**SIZES)
    preprocessor = models.DistilBertTextClassifierPreprocessor(tokenizer, sequence_length=16)
    classifier = filled(models.DistilBertTextClassifier(backbone=backbone, num_classes=5, preprocessor=preprocessor))
    classifier.save_to_preset(str(HERE / "ForSequenceClassification"))
    arrays["ForSequenceClassification"] = outputs(classifier, inputs)
    np.savez_compressed(HERE / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
