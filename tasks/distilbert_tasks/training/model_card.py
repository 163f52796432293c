"""The model card: README.md in the folder of a run: its data, its options, what it measured, and how to repeat it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from distilbert_common.training import ALPHAS, DistillationOptions
from distilbert_tasks.corpus import CorpusOptions
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.task import find_task
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.record import RunRecord

__all__ = ["model_card"]

_FRAMEWORKS = {"pt": "PyTorch", "tf": "Keras", "flax": "Flax"}
_CLASSES = {
    "pt": ("distilbert_pt", "DistilBert"),
    "tf": ("distilbert_tf", "TFDistilBert"),
    "flax": ("distilbert_flax", "FlaxDistilBert"),
}


def model_card(name: str, record: RunRecord, class_table: str, pictures: Iterable[str], command: str | None) -> str:
    """Return the text of a model card.

    Args:
        name: What the model is called.
        record: What the run was, and measured.
        class_table: The scores of each class as a table; "" where there are none.
        pictures: The names of the picture files in the folder.
        command: What repeats the run; None where that is not known.
    """
    parts = [
        _front_matter(name, record),
        f"# {name}",
        _origin(record),
        _measured(record),
        *([f"### Classes\n\n{class_table}"] if class_table else []),
        *(f"![{picture.partition('.')[0].replace('_', ' ')}]({picture})" for picture in pictures),
        _use(name, record),
        *([f"## Teacher\n\n{_table(('what', ''), _teacher(record.teacher))}"] if record.teacher else []),
        f"## Data\n\n{_data(record)}",
        f"## Hyper-parameters\n\n{_table(('option', 'value'), _options(record))}",
        f"## Versions\n\n{_table(('library', 'version'), record.versions.items())}",
        *([f"## Repeat it\n\n```\n{command}\n```"] if command else []),
    ]
    return "\n\n".join(parts) + "\n"


def _origin(record: RunRecord) -> str:
    """Return in a sentence what the model was made of."""
    framework, teacher = _FRAMEWORKS[record.framework], record.teacher
    if teacher is None:
        return f"A DistilBERT for {record.task}, fine-tuned from `{record.model}` in {framework}."
    if "student" in teacher:
        return f"A DistilBERT for {record.task}, distilled from `{teacher['teacher']}` in {framework}."
    return (
        f"A DistilBERT for {record.task}, fine-tuned from `{record.model}` in {framework}, with `{teacher['teacher']}` "
        "as its teacher."
    )


def _teacher(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what is said of a teacher and its student, in words."""
    words = {
        "teacher": "teacher",
        "teacher_layers": "its layers",
        "teacher_dim": "its width",
        "student": "the student began with",
        "cache_epochs": "epochs it was asked for ahead of time",
        "top_k": "tokens it told for each position",
    }
    return [(words[name], facts[name]) for name in words if facts.get(name) is not None]


def _front_matter(name: str, record: RunRecord) -> str:
    """Return the facts that the hub reads, as YAML; JSON is YAML."""
    results = [
        {"type": metric, "value": value, "name": f"{metric} ({split})"}
        for split, metrics in (record.metrics or {}).items()
        for metric, value in metrics.items()
    ]
    task = {"type": record.task}
    facts = {
        "library_name": "transformers",
        "pipeline_tag": record.task,
        "base_model": record.model,
        "tags": ["distilbert"],
        "model-index": [{"name": name, "results": [{"task": task, "metrics": results}]}],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _measured(record: RunRecord) -> str:
    metrics = record.metrics or {}
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = [(name, *(f"{values[name]:.4f}" if name in values else "" for values in metrics.values())) for name in names]
    weights = f"The weights are those after step {record.best_step}; the run took {record.seconds:.0f} s."
    table = (
        f"{_table(('metric', *metrics), rows)}\n\n" if rows else "Nothing was measured: there was no other data.\n\n"
    )
    return f"## Measured\n\n{table}{weights}"


def _use(name: str, record: RunRecord) -> str:
    module, prefix = _CLASSES[record.framework]
    head = find_task(record.task).head
    return f"""## Use

```python
from {module} import {prefix}{head}

model = {prefix}{head}.from_pretrained("{name}")
```

or `distilbert predict {name} "…"`; the other frameworks, and transformers, open it too."""


def _data(record: RunRecord) -> str:
    rows = [(split, facts["source"], facts["examples"], facts["rows"]) for split, facts in record.data.items()]
    labels = f"\n\nLabels: {', '.join(record.labels)}." if record.labels else ""
    return _table(("split", "source", "examples", "rows of tokens"), rows) + labels


def _options(record: RunRecord) -> list[tuple[str, Any]]:
    """Return the options that somebody changed, and those that most depends on."""
    always = {"learning_rate", "epochs", "batch_size", "schedule", "weight_decay", "precision", "seed"}
    always |= {*ALPHAS, "temperature"}
    texts = CorpusOptions if "student" in (record.teacher or {}) else FeatureOptions
    groups = (TrainingOptions, DistillationOptions, texts)
    defaults = {field.name: field.default for group in groups for field in fields(group)}
    chosen = {**record.options, **record.features}
    return [(name, value) for name, value in chosen.items() if name in always or value != defaults[name]]


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table in Markdown."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
