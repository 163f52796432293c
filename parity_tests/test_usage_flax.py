"""The usage that transformers documents for its Flax classes, with ours in their place."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from parity_tests.helpers import usage


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the loss as Flax users compute it, who have none in transformers' models."""
    counted = labels >= 0
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))
    return (losses * counted).sum() / counted.sum()


def test_masked_lm(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("flax", "ForMaskedLM", checkpoints)
    inputs = tokenizer(usage.MASKED, return_tensors="jax")

    logits = model(**inputs).logits
    mask_token_index = (inputs["input_ids"] == tokenizer.mask_token_id)[0].nonzero()[0]
    predicted_token_id = logits[0, mask_token_index].argmax(axis=-1)
    assert tokenizer.decode(predicted_token_id) == usage.WORD

    labels = tokenizer(usage.SENTENCE, return_tensors="jax")["input_ids"]
    labels = jnp.where(inputs["input_ids"] == tokenizer.mask_token_id, labels, -100)
    usage.assert_loss(cross_entropy(logits, labels), "ForMaskedLM")
    usage.assert_loss(model(**inputs, labels=labels).loss, "ForMaskedLM")  # not in transformers


def test_sequence_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("flax", "ForSequenceClassification", checkpoints)
    inputs = tokenizer(usage.SENTENCE, return_tensors="jax")

    logits = model(**inputs).logits
    predicted_class_id = logits.argmax().item()
    assert model.config.id2label[predicted_class_id] == usage.INTENT

    _, model = usage.load("flax", "ForSequenceClassification", checkpoints, num_labels=len(model.config.id2label))
    labels = jnp.array([1])
    usage.assert_loss(cross_entropy(model(**inputs).logits, labels), "ForSequenceClassification")
    usage.assert_loss(model(**inputs, labels=labels).loss, "ForSequenceClassification")  # not in transformers


def test_several_labels(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load(
        "flax", "ForSequenceClassification", checkpoints, problem_type="multi_label_classification"
    )
    inputs = tokenizer(usage.SENTENCE, return_tensors="jax")

    logits = model(**inputs).logits
    predicted_class_ids = jnp.arange(logits.shape[-1])[jax.nn.sigmoid(logits)[0] > 0.5]
    assert [model.config.id2label[i.item()] for i in predicted_class_ids] == usage.INTENTS

    labels = jax.nn.one_hot(predicted_class_ids, model.config.num_labels).sum(axis=0, keepdims=True)
    usage.assert_loss(optax.sigmoid_binary_cross_entropy(logits, labels).mean(), "several labels")
    usage.assert_loss(model(**inputs, labels=labels).loss, "several labels")  # not in transformers


def test_multiple_choice(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("flax", "ForMultipleChoice", checkpoints)
    encoding = tokenizer([usage.PROMPT, usage.PROMPT], list(usage.CHOICES), return_tensors="jax", padding=True)

    labels = jnp.array([0])  # the first choice
    inputs = {k: v[None, :] for k, v in encoding.items()}
    outputs = model(**inputs)
    assert outputs.logits.shape == (1, 2)
    assert outputs.logits.argmax().item() == usage.CHOICE
    usage.assert_loss(cross_entropy(outputs.logits, labels), "ForMultipleChoice")
    usage.assert_loss(model(**inputs, labels=labels).loss, "ForMultipleChoice")  # not in transformers


def test_token_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("flax", "ForTokenClassification", checkpoints)
    inputs = tokenizer(usage.WISH, add_special_tokens=False, return_tensors="jax")

    logits = model(**inputs).logits
    predicted_token_class_ids = logits.argmax(-1)
    assert [model.config.id2label[t.item()] for t in predicted_token_class_ids[0]] == usage.KINDS

    labels = predicted_token_class_ids
    usage.assert_loss(cross_entropy(logits, labels), "ForTokenClassification")
    usage.assert_loss(model(**inputs, labels=labels).loss, "ForTokenClassification")  # not in transformers


def test_question_answering(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("flax", "ForQuestionAnswering", checkpoints)
    inputs = tokenizer(usage.QUESTION, usage.TEXT, return_tensors="jax")

    outputs = model(**inputs)
    answer_start_index = outputs.start_logits.argmax()
    answer_end_index = outputs.end_logits.argmax()
    predict_answer_tokens = inputs["input_ids"][0, answer_start_index : answer_end_index + 1]
    assert tokenizer.decode(predict_answer_tokens, skip_special_tokens=True) == usage.ANSWER

    start = jnp.array([inputs.char_to_token(usage.TEXT.index("1 week"), sequence_index=1)])
    logits = (outputs.start_logits, outputs.end_logits)
    losses = [cross_entropy(one, position) for one, position in zip(logits, (start, start + 1), strict=True)]
    usage.assert_loss(sum(losses) / 2, "ForQuestionAnswering")
    outputs = model(**inputs, start_positions=start, end_positions=start + 1)  # not in transformers
    usage.assert_loss(outputs.loss, "ForQuestionAnswering")  # not in transformers
