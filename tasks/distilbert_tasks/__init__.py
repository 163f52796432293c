"""Fine-tune, distil, evaluate and predict: five tasks, the same in PyTorch, Keras and Flax."""

from typing import TYPE_CHECKING

from distilbert_tasks.task import TASKS, Task, find_task

if TYPE_CHECKING:
    from distilbert_tasks.comparison import Comparison, compare
    from distilbert_tasks.corpus import CorpusOptions
    from distilbert_tasks.data import DataOptions, TaskData, load_data
    from distilbert_tasks.distillation import AheadOptions, DistilResult, distil
    from distilbert_tasks.evaluation import evaluate
    from distilbert_tasks.features import FeatureOptions
    from distilbert_tasks.finetuning import FinetuneResult, finetune
    from distilbert_tasks.pipelines import Pipeline, pipeline
    from distilbert_tasks.prediction.predict import predict
    from distilbert_tasks.training.options import TrainingOptions
else:
    from distilbert_common.lazy_imports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            **dict.fromkeys(("DataOptions", "TaskData", "load_data"), "distilbert_tasks.data"),
            **dict.fromkeys(("Comparison", "compare"), "distilbert_tasks.comparison"),
            **dict.fromkeys(("AheadOptions", "DistilResult", "distil"), "distilbert_tasks.distillation"),
            **dict.fromkeys(("FinetuneResult", "finetune"), "distilbert_tasks.finetuning"),
            **dict.fromkeys(("Pipeline", "pipeline"), "distilbert_tasks.pipelines"),
            "CorpusOptions": "distilbert_tasks.corpus",
            "FeatureOptions": "distilbert_tasks.features",
            "TrainingOptions": "distilbert_tasks.training.options",
            "evaluate": "distilbert_tasks.evaluation",
            "predict": "distilbert_tasks.prediction.predict",
        },
    )

__all__ = [
    "TASKS",
    "AheadOptions",
    "Comparison",
    "CorpusOptions",
    "DataOptions",
    "DistilResult",
    "FeatureOptions",
    "FinetuneResult",
    "Pipeline",
    "Task",
    "TaskData",
    "TrainingOptions",
    "compare",
    "distil",
    "evaluate",
    "find_task",
    "finetune",
    "load_data",
    "pipeline",
    "predict",
]
