"""Prediction, training and tuning on many machines, with Ray, and prediction in Spark."""

from typing import TYPE_CHECKING

from distilbert_deploy.scale.cluster import Cluster

if TYPE_CHECKING:
    from distilbert_deploy.scale.predicting import PredictResult, predict
    from distilbert_deploy.scale.space import SearchSpace
    from distilbert_deploy.scale.spark import spark_udf
    from distilbert_deploy.scale.training import finetune
    from distilbert_deploy.scale.tuning import TuneResult, tune
else:
    from distilbert_common.lazy_imports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            **dict.fromkeys(("PredictResult", "predict"), "distilbert_deploy.scale.predicting"),
            **dict.fromkeys(("TuneResult", "tune"), "distilbert_deploy.scale.tuning"),
            "SearchSpace": "distilbert_deploy.scale.space",
            "finetune": "distilbert_deploy.scale.training",
            "spark_udf": "distilbert_deploy.scale.spark",
        },
    )

__all__ = ["Cluster", "PredictResult", "SearchSpace", "TuneResult", "finetune", "predict", "spark_udf", "tune"]
