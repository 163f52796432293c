"""The usage that transformers documents for its TensorFlow classes, with ours in their place."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from parity_tests.helpers import usage


def test_masked_lm(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("tf", "ForMaskedLM", checkpoints)
    inputs = tokenizer(usage.MASKED, return_tensors="tf")

    logits = model(**inputs).logits
    mask_token_index = tf.where((inputs.input_ids == tokenizer.mask_token_id)[0])
    selected_logits = tf.gather_nd(logits[0], indices=mask_token_index)
    predicted_token_id = tf.math.argmax(selected_logits, axis=-1)
    assert tokenizer.decode(predicted_token_id) == usage.WORD

    labels = tokenizer(usage.SENTENCE, return_tensors="tf")["input_ids"]
    labels = tf.where(inputs.input_ids == tokenizer.mask_token_id, labels, -100)
    usage.assert_loss(tf.math.reduce_mean(model(**inputs, labels=labels).loss), "ForMaskedLM")


def test_sequence_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("tf", "ForSequenceClassification", checkpoints)
    inputs = tokenizer(usage.SENTENCE, return_tensors="tf")

    logits = model(**inputs).logits
    predicted_class_id = int(tf.math.argmax(logits, axis=-1)[0])
    assert model.config.id2label[predicted_class_id] == usage.INTENT

    _, model = usage.load("tf", "ForSequenceClassification", checkpoints, num_labels=len(model.config.id2label))
    labels = tf.constant(1)
    usage.assert_loss(tf.math.reduce_mean(model(**inputs, labels=labels).loss), "ForSequenceClassification")


def test_several_labels(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load(
        "tf", "ForSequenceClassification", checkpoints, problem_type="multi_label_classification"
    )
    inputs = tokenizer(usage.SENTENCE, return_tensors="tf")

    logits = model(**inputs).logits
    predicted_class_ids = tf.where(tf.math.sigmoid(logits)[0] > 0.5)[:, 0]
    assert [model.config.id2label[i] for i in predicted_class_ids.numpy().tolist()] == usage.INTENTS

    labels = tf.reduce_sum(tf.one_hot(predicted_class_ids, model.config.num_labels), axis=0, keepdims=True)
    usage.assert_loss(tf.math.reduce_mean(model(**inputs, labels=labels).loss), "several labels")  # not in transformers


def test_multiple_choice(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("tf", "ForMultipleChoice", checkpoints)
    encoding = tokenizer([usage.PROMPT, usage.PROMPT], list(usage.CHOICES), return_tensors="tf", padding=True)

    labels = tf.constant([0])  # the first choice
    inputs = {k: tf.expand_dims(v, 0) for k, v in encoding.items()}
    outputs = model(inputs)
    assert outputs.logits.shape == (1, 2)
    assert int(tf.math.argmax(outputs.logits, axis=-1)[0]) == usage.CHOICE
    usage.assert_loss(tf.math.reduce_mean(model(inputs, labels=labels).loss), "ForMultipleChoice")


def test_token_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("tf", "ForTokenClassification", checkpoints)
    inputs = tokenizer(usage.WISH, add_special_tokens=False, return_tensors="tf")

    logits = model(**inputs).logits
    predicted_token_class_ids = tf.math.argmax(logits, axis=-1)
    assert [model.config.id2label[t] for t in predicted_token_class_ids[0].numpy().tolist()] == usage.KINDS

    labels = predicted_token_class_ids
    usage.assert_loss(tf.math.reduce_mean(model(**inputs, labels=labels).loss), "ForTokenClassification")


def test_question_answering(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("tf", "ForQuestionAnswering", checkpoints)
    inputs = tokenizer(usage.QUESTION, usage.TEXT, return_tensors="tf")

    outputs = model(**inputs)
    answer_start_index = int(tf.math.argmax(outputs.start_logits, axis=-1)[0])
    answer_end_index = int(tf.math.argmax(outputs.end_logits, axis=-1)[0])
    predict_answer_tokens = inputs.input_ids[0, answer_start_index : answer_end_index + 1]
    assert tokenizer.decode(predict_answer_tokens, skip_special_tokens=True) == usage.ANSWER

    target_start_index = tf.constant([inputs.char_to_token(usage.TEXT.index("1 week"), sequence_index=1)])
    target_end_index = target_start_index + 1
    outputs = model(**inputs, start_positions=target_start_index, end_positions=target_end_index)
    usage.assert_loss(tf.math.reduce_mean(outputs.loss), "ForQuestionAnswering")
