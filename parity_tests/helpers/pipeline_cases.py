"""The calls of pipelines whose results transformers 4.57.6 gave: at least sixty of each task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["CASES", "MIXED", "Case", "arguments"]

SENTENCE = "I am still waiting for my card after 1 week."
TEXTS = {
    "sentence": SENTENCE,
    "one word": "card",
    "one letter": "x",
    "empty": "",
    "spaces": "   ",
    "line ends": "my\ncard\r\nwas\tdeclined\n",
    "capitals": "WHY WAS MY CARD DECLINED?!",
    "accents": "Où est ma carte? Crédit à découvert, naïve İstanbul Straße",
    "unknown": "☃ ☂ ♞",
    "emoji": "my card 😀 was 👩‍👩‍👧 declined 🇪🇺 twice 😀😀",
    "Chinese": "我的卡 card 在哪里?",
    "Arabic": "أين بطاقتي card ؟",
    "mixed scripts": "карта card καρτα ﷺ ﬁne",
    "combining": "cafe\u0301 e\u0301\u0301 a\u030a",
    "invisible": "my\u200bcard\u00a0was\ufeff decl\u00adined",
    "control": "my\x00card\x07 was\x1f declined",
    "numbers": "I paid 1,234.56 EUR on 2024-02-30 at 10:15",
    "address": "see https://bank.example/cards?id=7&x=y#top or mail me@bank.example",
    "punctuation": "...!!! (card) [money] {top-up} 'it''s' \"ok\" -- ~",
    "special tokens": "[CLS] my [MASK] card [SEP] was [PAD] declined [UNK]",
    "long word": "card" * 60,
}
"""Texts of every kind."""

_SEED = (
    "where is my card and why was the transfer to my account in London declined after the top up of 20 pounds failed "
    "while John waited for a refund"
)
_WORDS = _SEED.split()
LONG = " ".join(_WORDS[i * 7 % len(_WORDS)] for i in range(2000))
"""A text of 2,000 words."""
MIDDLE = " ".join(_WORDS[i * 5 % len(_WORDS)] for i in range(300))
PARAGRAPH = (
    "John Smith opened an account in London in 2019. His card was lost in Paris after a week, and the bank declined "
    "the transfer to Mary. A new card arrived in Berlin on Monday; the refund did not show up until March."
)
MIXED = [SENTENCE, "", MIDDLE, "card", TEXTS["emoji"], PARAGRAPH, TEXTS["unknown"], "my card", LONG[:1500]]
"""Texts of very different lengths."""


class Case(NamedTuple):
    """One call.

    Attributes:
        name: What is special about it.
        model: A key of `MODELS`.
        inputs: The arguments by position; a tuple ("generator", […]) stands for a generator.
        options: Those by name.
        defaults: Options of making the pipeline.
    """

    name: str
    model: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    defaults: dict[str, Any]


def case(name: str, model: str, *inputs: Any, _defaults: dict[str, Any] | None = None, **options: Any) -> Case:
    return Case(name, model, inputs, options, _defaults or {})


def arguments(one: Case) -> tuple[Any, ...]:
    """Return the arguments by position, a generator where one is meant."""
    return tuple((x for x in item[1]) if _is_stream(item) else item for item in one.inputs)


def _is_stream(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and item[0] == "generator"


def text_classification() -> Iterator[Case]:
    for name, text in TEXTS.items():
        yield case(name, "three", text)
        yield case(f"{name}, all labels", "three", text, top_k=None)
    for model in ("three", "one", "several", "regression"):
        yield case(f"{model}: a list", model, [SENTENCE, PARAGRAPH])
        for function in ("softmax", "sigmoid", "none"):
            yield case(f"{model}: {function}", model, PARAGRAPH, top_k=None, function_to_apply=function)
    for top_k in (1, 2, 3, 10):
        yield case(f"top {top_k}", "three", SENTENCE, top_k=top_k)
        yield case(f"top {top_k} of a list", "three", [SENTENCE, PARAGRAPH], top_k=top_k)
    yield case("top 2 as default", "three", SENTENCE, _defaults={"top_k": 2})
    yield case("top 2 of a list as default", "three", [SENTENCE], _defaults={"top_k": 2})
    yield case("function as default", "three", SENTENCE, _defaults={"function_to_apply": "sigmoid"})
    yield case("all scores, the old way", "three", SENTENCE, return_all_scores=True)
    yield case("best score, the old way", "three", [SENTENCE], return_all_scores=False)
    yield case("a pair", "three", {"text": SENTENCE, "text_pair": "My card has not arrived."})
    yield case("a pair with top_k", "three", {"text": SENTENCE, "text_pair": "My card has not arrived."}, top_k=2)
    yield case("a dict without pair", "three", {"text": SENTENCE})
    yield case("an empty pair", "three", {"text": SENTENCE, "text_pair": ""})
    yield case("an empty text with a pair", "three", {"text": "", "text_pair": SENTENCE})
    yield case("pairs", "three", [{"text": SENTENCE, "text_pair": text} for text in ("card", "", PARAGRAPH)])
    yield case("a pair as nested lists", "three", [[[SENTENCE, "card"]]])
    yield case("a pair as a list", "three", [[SENTENCE, "card"]])
    yield case("too long", "three", LONG)
    yield case("truncated", "three", LONG, truncation=True)
    yield case("truncated to 12", "three", [LONG, SENTENCE, ""], truncation=True, max_length=12)
    yield case("truncated by default", "three", LONG, _defaults={"truncation": True, "max_length": 40})
    yield case("a long pair", "three", {"text": LONG, "text_pair": SENTENCE}, truncation="only_first")
    yield case("padded", "three", [SENTENCE, "card"], padding="max_length", max_length=64)
    yield case("without special tokens", "three", SENTENCE, add_special_tokens=False)
    yield case("a mixed list", "three", MIXED)
    yield case("a generator", "three", ("generator", MIXED))
    yield case("a generator with top_k", "three", ("generator", MIXED[:4]), top_k=2)
    yield case("an empty list", "three", [])
    yield case("no text", "three", None)
    yield case("a number", "three", 5)
    yield case("a list with None", "three", [SENTENCE, None])
    yield case("no such function", "three", SENTENCE, function_to_apply="tanh")


def token_classification() -> Iterator[Case]:
    strategies = ("none", "simple", "first", "average", "max")
    for name, text in TEXTS.items():
        yield case(name, "entities", text)
        yield case(f"{name}, first", "entities", text, aggregation_strategy="first")
    for strategy in strategies:
        yield case(f"{strategy}: a paragraph", "entities", PARAGRAPH, aggregation_strategy=strategy)
        yield case(f"{strategy}: without prefixes", "kinds", PARAGRAPH, aggregation_strategy=strategy)
        yield case(f"{strategy}: all labels", "entities", PARAGRAPH, aggregation_strategy=strategy, ignore_labels=[])
        yield case(f"{strategy}: a mixed list", "entities", MIXED[:7], aggregation_strategy=strategy)
        yield case(f"{strategy}: cut off", "short", PARAGRAPH, aggregation_strategy=strategy)
    for strategy in strategies[1:]:
        for stride in (0, 4, 9):
            options = {"aggregation_strategy": strategy, "stride": stride}
            yield case(f"{strategy}: windows that share {stride}", "short", PARAGRAPH, **options)
    yield case("windows of a long text", "entities", LONG, aggregation_strategy="average", stride=64)
    yield case("windows of texts", "short", [PARAGRAPH, "card", "", MIDDLE], aggregation_strategy="first", stride=5)
    yield case("windows of an emoji", "short", TEXTS["emoji"] * 3, aggregation_strategy="simple", stride=3)
    yield case("windows without strategy", "short", PARAGRAPH, stride=4)
    yield case("windows, none", "short", PARAGRAPH, aggregation_strategy="none", stride=4)
    yield case("windows by default", "short", PARAGRAPH, _defaults={"aggregation_strategy": "max", "stride": 6})
    yield case("a stride too long", "short", PARAGRAPH, aggregation_strategy="simple", stride=16)
    yield case("a stride as long as a window", "short", PARAGRAPH, aggregation_strategy="simple", stride=14)
    yield case("a long text", "entities", LONG, aggregation_strategy="simple")
    yield case("kinds are ignored", "entities", PARAGRAPH, aggregation_strategy="simple", ignore_labels=["PER", "O"])
    yield case("labels are ignored", "entities", PARAGRAPH, ignore_labels=["B-PER", "I-PER"])
    yield case("words", "entities", ["John", "Smith", "lost", "his", "card"], is_split_into_words=True)
    words = [PARAGRAPH.split(), ["card"], ["top-up", "", "İstanbul", "😀"]]
    for strategy in strategies:
        yield case(
            f"{strategy}: lists of words", "entities", words, is_split_into_words=True, aggregation_strategy=strategy
        )
    yield case("words with a delimiter", "entities", [PARAGRAPH.split()], is_split_into_words=True, delimiter="__")
    options = {"is_split_into_words": True, "aggregation_strategy": "max", "stride": 5}
    yield case("windows of words", "short", [PARAGRAPH.split()], **options)
    yield case("the old way: grouped", "entities", PARAGRAPH, grouped_entities=True)
    yield case("the old way: words", "entities", PARAGRAPH, grouped_entities=True, ignore_subwords=True)
    yield case("the old way: tokens", "entities", PARAGRAPH, grouped_entities=False)
    yield case("a generator", "entities", ("generator", MIXED[:6]), aggregation_strategy="simple")
    yield case("one text in a list", "entities", [SENTENCE])
    yield case("an empty list", "entities", [])
    yield case("no text", "entities", None)
    yield case("a list with a number", "entities", [SENTENCE, 5])
    yield case("no such strategy", "entities", SENTENCE, aggregation_strategy="median")


def question_answering() -> Iterator[Case]:
    ask = {"question": "Where was the card lost?", "context": PARAGRAPH}
    for name, text in TEXTS.items():
        yield case(f"context: {name}", "answers", question="Where is my card?", context=text)
    for name in ("one letter", "emoji", "Chinese", "special tokens", "unknown", "punctuation"):
        yield case(f"question: {name}", "answers", question=TEXTS[name], context=PARAGRAPH, top_k=2)
    for top_k in (1, 2, 3, 5, 20):
        for impossible in (False, True):
            options = {"top_k": top_k, "handle_impossible_answer": impossible}
            yield case(f"top {top_k}, impossible {impossible}", "answers", **ask, **options)
    for length in (1, 2, 5, 60):
        yield case(f"answers of {length} tokens", "answers", **ask, top_k=3, max_answer_len=length)
        yield case(
            f"tokens: answers of {length}", "answers", **ask, top_k=3, max_answer_len=length, align_to_words=False
        )
    yield case("one token", "answers", **ask, align_to_words=False, max_answer_len=1)
    for length, stride in ((24, 4), (32, 8), (32, 20), (48, 0), (40, None), (64, None)):
        options = {"max_seq_len": length, "doc_stride": stride}
        yield case(f"windows of {length}, {stride}", "answers", **ask, **options)
        yield case(f"windows of {length}, {stride}: top 4", "answers", **ask, **options, top_k=4)
        options |= {"handle_impossible_answer": True, "top_k": 2}
        yield case(f"windows of {length}, {stride}: impossible", "answers", **ask, **options)
    for options in ({}, {"top_k": 3}, {"handle_impossible_answer": True}, {"max_seq_len": 512, "doc_stride": 200}):
        yield case(f"a long context, {options}", "answers", question="Who waited?", context=LONG, **options)
    yield case("a dict", "answers", ask)
    yield case("by position", "answers", *ask.values())
    yield case("a list of one", "answers", [ask])
    yield case(
        "a list", "answers", [ask, {"question": "Who?", "context": MIDDLE}, {"question": "What?", "context": "card"}]
    )
    yield case("a list with top_k", "answers", [ask, {"question": "Who?", "context": "John"}], top_k=2)
    yield case("questions", "answers", question=["Where?", "Who?"], context=PARAGRAPH)
    yield case("questions and contexts", "answers", question=["Where?", "Who?"], context=[PARAGRAPH, SENTENCE])
    yield case("one question in a list", "answers", question=["Where?"], context=[PARAGRAPH])
    yield case("a dict of lists", "answers", {"question": ["Where?", "Who?"], "context": [PARAGRAPH, SENTENCE]})
    yield case("a generator", "answers", ("generator", [ask, {"question": "Who?", "context": MIDDLE}]))
    yield case("top_k by default", "answers", **ask, _defaults={"top_k": 2, "max_answer_len": 4})
    yield case("topk, the old way", "answers", **ask, topk=2)
    yield case("padded", "answers", **ask, padding="max_length", top_k=2)
    yield case("a question as long as it may be", "answers", **ask, max_question_len=64)
    yield case("a question too long", "answers", question=MIDDLE + MIDDLE, context=PARAGRAPH)
    yield case("a stride too long", "answers", **ask, max_seq_len=32, doc_stride=33)
    yield case("a stride with no room", "answers", **ask, max_seq_len=32, doc_stride=30)
    yield case("an empty question", "answers", question="", context=PARAGRAPH)
    yield case("no context", "answers", question="Where?")
    yield case("context None", "answers", {"question": "Where?", "context": None})
    yield case("a question and contexts", "answers", question="Where?", context=[PARAGRAPH])
    yield case("different numbers", "answers", question=["Where?", "Who?"], context=[PARAGRAPH])
    yield case("top 0", "answers", **ask, top_k=0)
    yield case("answers of 0", "answers", **ask, max_answer_len=0)
    yield case("nothing", "answers")


def fill_mask() -> Iterator[Case]:
    for name, text in TEXTS.items():
        yield case(name, "mlm", f"{text} [MASK]")
    yield case("mask first", "mlm", "[MASK] is my card", top_k=3)
    yield case("mask alone", "mlm", "[MASK]")
    yield case("mask in a word", "mlm", "my car[MASK]d")
    yield case("mask in small letters", "mlm", "my [mask] card")
    for top_k in (1, 2, 10, 50):
        yield case(f"top {top_k}", "mlm", "my [MASK] was declined", top_k=top_k)
        yield case(f"top {top_k} of two masks", "mlm", "my [MASK] was [MASK]", top_k=top_k)
    yield case("three masks", "mlm", "[MASK] my [MASK] card [MASK]", top_k=2)
    yield case("masks side by side", "mlm", "my [MASK][MASK] card", top_k=2)
    targets = {
        "one word": "card",
        "words": ["card", "money", "account"],
        "twice": ["card", "card", "money"],
        "unknown words": ["card", "İstanbul", "cardholder"],
        "capitals": ["Card", "card"],
        "a piece": ["##s", "card"],
        "two words": ["my card"],
        "an emoji": ["😀", "card"],
        "an empty word": ["", "card"],
        "special": ["[SEP]", "card"],
    }
    for name, words in targets.items():
        yield case(f"targets: {name}", "mlm", "my [MASK] was declined", targets=words)
        yield case(f"targets: {name}, top 2", "mlm", "my [MASK] was declined", targets=words, top_k=2)
    yield case("targets and two masks", "mlm", "my [MASK] was [MASK]", targets=["card", "declined"])
    yield case("targets by default", "mlm", "my [MASK]", _defaults={"targets": ["card", "money"], "top_k": 1})
    yield case("no targets", "mlm", "my [MASK]", targets=[])
    yield case("targets without a token", "mlm", "my [MASK]", targets=[""])
    yield case("a list of one", "mlm", ["my [MASK] was declined"], top_k=2)
    yield case("a list", "mlm", ["my [MASK] was declined", "[MASK]", f"{PARAGRAPH} [MASK]"], top_k=2)
    yield case("a list with several masks", "mlm", ["my [MASK] [MASK]", "a [MASK]"], top_k=2)
    yield case("a generator", "mlm", ("generator", [f"{text} [MASK]" for text in MIXED[:5]]), top_k=2)
    yield case("a long text", "mlm", f"{LONG} [MASK]")
    yield case("a long text, cut", "mlm", f"[MASK] {LONG}", tokenizer_kwargs={"truncation": True}, top_k=2)
    yield case("the mask is cut off", "mlm", f"{LONG} [MASK]", tokenizer_kwargs={"truncation": True})
    yield case("cut to 8", "mlm", f"[MASK] {SENTENCE}", tokenizer_kwargs={"truncation": True, "max_length": 8}, top_k=2)
    padded = {"padding": "max_length", "max_length": 32}
    yield case("padded", "mlm", "my [MASK] card", tokenizer_kwargs=padded, top_k=2)
    yield case(
        "without special tokens", "mlm", "my [MASK] card", tokenizer_kwargs={"add_special_tokens": False}, top_k=2
    )
    yield case("no mask", "mlm", SENTENCE)
    yield case("a list, one without mask", "mlm", ["a [MASK]", "b"])
    yield case("more than there are", "mlm", "my [MASK]", top_k=5000)
    yield case("an empty list", "mlm", [])
    yield case("no text", "mlm", None)


def feature_extraction() -> Iterator[Case]:
    for name, text in TEXTS.items():
        yield case(name, "base", text)
        yield case(f"{name}, in a list", "base", [text])
    for length in (3, 5, 8, 12, 64):
        cut = {"truncation": True, "max_length": length}
        yield case(f"cut to {length}", "base", PARAGRAPH, tokenize_kwargs=cut)
        yield case(f"texts cut to {length}", "base", MIXED, tokenize_kwargs=cut)
    yield case("cut", "base", LONG, truncation=True)
    yield case("cut by default", "base", LONG, _defaults={"tokenize_kwargs": {"truncation": True, "max_length": 20}})
    yield case("a list", "base", [SENTENCE, "card", ""])
    yield case("a mixed list", "base", MIXED)
    yield case("a generator", "base", ("generator", MIXED))
    yield case("without special tokens", "base", SENTENCE, tokenize_kwargs={"add_special_tokens": False})
    yield case("middle", "base", MIDDLE)
    yield case("a paragraph", "base", PARAGRAPH)
    yield case("too long", "base", LONG)
    yield case("cut twice", "base", LONG, truncation=True, tokenize_kwargs={"truncation": True})
    yield case("an empty list", "base", [])
    yield case("no text", "base", None)
    yield case("a number", "base", [SENTENCE, 5])


def zero_shot_classification() -> Iterator[Case]:
    labels = ["card", "transfer", "refund"]
    for name, text in TEXTS.items():
        yield case(name, "entailment", text, labels)
        yield case(f"{name}, each for itself", "entailment", text, candidate_labels=labels, multi_label=True)
    for model in ("entailment", "entailment-first", "no-entailment"):
        for several in (False, True):
            yield case(f"{model}: {several}", model, PARAGRAPH, labels, multi_label=several)
            yield case(f"{model}: {several}, one label", model, PARAGRAPH, ["card"], multi_label=several)
    template = "The customer asks for {}."
    yield case("a template", "entailment", PARAGRAPH, labels, hypothesis_template=template)
    yield case("a template by default", "entailment", PARAGRAPH, labels, _defaults={"hypothesis_template": template})
    yield case("a template of a label alone", "entailment", PARAGRAPH, labels, hypothesis_template="{}")
    yield case("labels with commas", "entailment", PARAGRAPH, "card, transfer ,refund,,")
    yield case("labels by default", "entailment", PARAGRAPH, _defaults={"candidate_labels": labels})
    yield case("one label as text", "entailment", PARAGRAPH, "card")
    yield case("odd labels", "entailment", PARAGRAPH, ["", "😀", "[SEP]", "a very long label of many words", "CARD"])
    yield case("a label twice", "entailment", PARAGRAPH, ["card", "refund", "card"])
    yield case("twelve labels", "entailment", PARAGRAPH, [f"{label} {i}" for i in range(4) for label in labels])
    yield case("a list", "entailment", [SENTENCE, PARAGRAPH], labels)
    yield case("a list of one", "entailment", [SENTENCE], labels)
    yield case("a mixed list", "entailment", [text for text in MIXED if text], labels, multi_label=True)
    yield case("a generator", "entailment", ("generator", [SENTENCE, PARAGRAPH]), labels)
    yield case("a long text", "entailment", LONG, labels)
    yield case("a long label", "entailment", "my card", ["card", LONG])
    yield case("an empty list", "entailment", [], labels)
    yield case("no labels", "entailment", SENTENCE, [])
    yield case("labels left out", "entailment", SENTENCE)
    yield case("a template without place", "entailment", SENTENCE, labels, hypothesis_template="This is it.")
    yield case("no text", "entailment", None, labels)


CASES: dict[str, list[Case]] = {
    "text-classification": list(text_classification()),
    "token-classification": list(token_classification()),
    "question-answering": list(question_answering()),
    "fill-mask": list(fill_mask()),
    "feature-extraction": list(feature_extraction()),
    "zero-shot-classification": list(zero_shot_classification()),
}
"""The calls of each task."""
