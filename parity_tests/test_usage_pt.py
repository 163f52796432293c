"""The usage that transformers documents for its PyTorch classes, with ours in their place."""

from __future__ import annotations

from pathlib import Path

import torch

from parity_tests.helpers import usage


def test_masked_lm(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("pt", "ForMaskedLM", checkpoints)
    inputs = tokenizer(usage.MASKED, return_tensors="pt")

    with torch.no_grad():
        logits = model(**inputs).logits
    mask_token_index = (inputs.input_ids == tokenizer.mask_token_id)[0].nonzero(as_tuple=True)[0]
    predicted_token_id = logits[0, mask_token_index].argmax(axis=-1)
    assert tokenizer.decode(predicted_token_id) == usage.WORD

    labels = tokenizer(usage.SENTENCE, return_tensors="pt")["input_ids"]
    labels = torch.where(inputs.input_ids == tokenizer.mask_token_id, labels, -100)
    usage.assert_loss(model(**inputs, labels=labels).loss.item(), "ForMaskedLM")


def test_sequence_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("pt", "ForSequenceClassification", checkpoints)
    inputs = tokenizer(usage.SENTENCE, return_tensors="pt")

    with torch.no_grad():
        logits = model(**inputs).logits
    predicted_class_id = logits.argmax().item()
    assert model.config.id2label[predicted_class_id] == usage.INTENT

    _, model = usage.load("pt", "ForSequenceClassification", checkpoints, num_labels=len(model.config.id2label))
    labels = torch.tensor([1])
    usage.assert_loss(model(**inputs, labels=labels).loss.item(), "ForSequenceClassification")


def test_several_labels(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load(
        "pt", "ForSequenceClassification", checkpoints, problem_type="multi_label_classification"
    )
    inputs = tokenizer(usage.SENTENCE, return_tensors="pt")

    with torch.no_grad():
        logits = model(**inputs).logits
    predicted_class_ids = torch.arange(0, logits.shape[-1])[torch.sigmoid(logits).squeeze(dim=0) > 0.5]
    assert [model.config.id2label[i.item()] for i in predicted_class_ids] == usage.INTENTS

    one_hot = torch.nn.functional.one_hot(predicted_class_ids, num_classes=model.config.num_labels)
    labels = one_hot.sum(dim=0, keepdim=True).to(torch.float)  # (1, num_labels)
    usage.assert_loss(model(**inputs, labels=labels).loss.item(), "several labels")


def test_multiple_choice(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("pt", "ForMultipleChoice", checkpoints)
    encoding = tokenizer([usage.PROMPT, usage.PROMPT], list(usage.CHOICES), return_tensors="pt", padding=True)

    labels = torch.tensor(0).unsqueeze(0)  # the first choice
    outputs = model(**{k: v.unsqueeze(0) for k, v in encoding.items()}, labels=labels)
    assert outputs.logits.shape == (1, 2)
    assert outputs.logits.argmax().item() == usage.CHOICE
    usage.assert_loss(outputs.loss.item(), "ForMultipleChoice")


def test_token_classification(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("pt", "ForTokenClassification", checkpoints)
    inputs = tokenizer(usage.WISH, add_special_tokens=False, return_tensors="pt")

    with torch.no_grad():
        logits = model(**inputs).logits
    predicted_token_class_ids = logits.argmax(-1)
    assert [model.config.id2label[t.item()] for t in predicted_token_class_ids[0]] == usage.KINDS

    labels = predicted_token_class_ids
    usage.assert_loss(model(**inputs, labels=labels).loss.item(), "ForTokenClassification")


def test_question_answering(checkpoints: dict[str, Path]) -> None:
    tokenizer, model = usage.load("pt", "ForQuestionAnswering", checkpoints)
    inputs = tokenizer(usage.QUESTION, usage.TEXT, return_tensors="pt")

    with torch.no_grad():
        outputs = model(**inputs)
    answer_start_index = outputs.start_logits.argmax()
    answer_end_index = outputs.end_logits.argmax()
    predict_answer_tokens = inputs.input_ids[0, answer_start_index : answer_end_index + 1]
    assert tokenizer.decode(predict_answer_tokens, skip_special_tokens=True) == usage.ANSWER

    target_start_index = torch.tensor([inputs.char_to_token(usage.TEXT.index("1 week"), sequence_index=1)])
    target_end_index = target_start_index + 1
    outputs = model(**inputs, start_positions=target_start_index, end_positions=target_end_index)
    usage.assert_loss(outputs.loss.item(), "ForQuestionAnswering")
