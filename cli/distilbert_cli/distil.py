"""`distilbert distil`: a teacher and texts in, a smaller masked LM out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distilbert_cli import arguments as shared
from distilbert_cli import training_arguments as training
from distilbert_cli.arguments import DATA, FEATURES, numbers_of, option, options_of
from distilbert_cli.option_groups import with_options
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.training_progress import training_progress

__all__ = ["distil"]

STUDENT = "Student"


@with_options(
    training.training, batch_size=250, accumulation=10, learning_rate=5e-4, warmup_ratio=0.05, beta2=0.98,
    epsilon=1e-6, max_grad_norm=5.0,
)  # fmt: skip
def distil(
    teacher: Annotated[
        str, typer.Argument(metavar="TEACHER", help="Masked LM: directory, weights file or hub id; also of a BERT.")
    ],
    corpus: Annotated[
        list[str], typer.Argument(metavar="CORPUS...", help="Files, folders, patterns or data sets with texts.")
    ],
    out: training.Out,
    validation: training.Validation = None,
    framework: shared.FrameworkName = "pt",
    device: shared.Device = "auto",
    resume: training.Resume = False,
    overwrite: training.Overwrite = False,
    as_json: shared.Json = False,
    layers: Annotated[
        str, option(STUDENT, "Layers that the student takes, as 0,2,4,7,9,11; every second one if not given.")
    ] = "",
    student: Annotated[str, option(STUDENT, "Checkpoint that the student is instead.")] = "",
    random_init: Annotated[
        bool, option(STUDENT, "Random weights; of --student the config only.", "--random-init")
    ] = False,
    vocab_transform: Annotated[bool, option(STUDENT, "Take the teacher's layer before the vocabulary too.")] = True,
    alpha_ce: training.AlphaCe = 5.0,
    alpha_mlm: training.AlphaTask = 2.0,
    alpha_cos: training.AlphaCos = 1.0,
    temperature: training.Temperature = 2.0,
    restrict_ce_to_mask: Annotated[
        bool, option(training.TEACHER, "Compare predictions at masked tokens.", "--restrict-ce-to-mask")
    ] = False,
    project_hidden: training.ProjectHidden = False,
    teacher_precision: training.TeacherPrecision = "float32",
    cache: Annotated[
        Path | None, option(training.TEACHER, "Ask the teacher ahead of time, into this folder or out of it.")
    ] = None,
    cache_epochs: Annotated[int, option(training.TEACHER, "Epochs to ask for; a longer run repeats them.")] = 1,
    top_k: Annotated[int, option(training.TEACHER, "Tokens to store for each position, the most likely.")] = 32,
    corpus_dir: Annotated[Path | None, option(DATA, "Folder of the tokenized corpus; in --out if not given.")] = None,
    text_column: Annotated[str, option(DATA, "Column of the texts; looked for if not given.")] = "",
    file_format: shared.FileFormat = "",
    sample_by: Annotated[str, option(DATA, "What one text of a file is: line, paragraph or document.")] = "line",
    deduplicate: Annotated[bool, option(DATA, "Leave out texts that occur again.", "--deduplicate")] = False,
    max_documents: Annotated[int | None, option(DATA, "Most texts to read.", "--max-documents", "--max-rows")] = None,
    validation_share: training.ValidationShare = 0.05,
    streaming: training.Streaming = False,
    max_length: Annotated[int | None, option(FEATURES, "Most tokens in a row; 512, or what both models take.")] = None,
    min_length: Annotated[int, option(FEATURES, "Fewest; shorter rows are left out.")] = 12,
    max_unknown: Annotated[float, option(FEATURES, "Share of [UNK] from which a row is left out.")] = 0.5,
    mlm_probability: shared.MlmProbability = 0.15,
    mask_smoothing: Annotated[
        float, option(FEATURES, "How much more often rare tokens are masked; 0 for alike.")
    ] = 0.7,
    shard_tokens: Annotated[int, option(FEATURES, "Tokens in a file of the corpus.")] = 2**24,
    **options: Any,
) -> None:
    """Distil a masked LM: a student of half the layers learns from its teacher's predictions, the text and its states.

    The defaults are those of DistilBERT's authors. The folder that is written holds the best weights as a model that
    every framework and transformers open. Ctrl-C stops after the step and saves; --resume goes on from there, also
    where the corpus was being written.
    """
    arguments = locals() | options
    from distilbert_common.training import DistillationOptions
    from distilbert_tasks import AheadOptions
    from distilbert_tasks import distil as run
    from distilbert_tasks.corpus import CorpusOptions
    from distilbert_tasks.engines import engine_module

    arguments |= {"alpha_task": alpha_mlm, "mask_probability": mlm_probability}
    arguments |= {"text_column": text_column or None, "file_format": file_format or None}
    if max_length is None:
        del arguments["max_length"]
    with capture_stderr():
        engine_module(framework)
    with training_progress() as on_progress:
        result = run(
            teacher,
            training.one_or_list(corpus),
            layers=numbers_of(layers, int, "--layers", "0,2,4,7,9,11"),
            student=student or None,
            random_init=random_init,
            vocab_transform=vocab_transform,
            options=training.training_options(arguments),
            distillation=options_of(DistillationOptions, arguments),
            corpus_options=options_of(CorpusOptions, arguments),
            corpus_dir=corpus_dir,
            ahead=None if cache is None else AheadOptions(folder=cache, epochs=cache_epochs, top_k=top_k),
            validation=training.one_or_list(validation),
            validation_share=validation_share,
            **training.run_arguments(arguments),
            on_progress=on_progress,
        )
    training.show_result(result, as_json)
