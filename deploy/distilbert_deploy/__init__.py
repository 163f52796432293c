"""Export, quantization and serving of trained DistilBERT models."""

from typing import TYPE_CHECKING

from distilbert_deploy.errors import ExportError

if TYPE_CHECKING:
    from distilbert_deploy.engine import OnnxEngine, OnnxModel, load_model
    from distilbert_deploy.exporting import export
    from distilbert_deploy.report import ExportReport
else:
    from distilbert_common.lazy_imports import lazy_exports

    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            **dict.fromkeys(("OnnxEngine", "OnnxModel", "load_model"), "distilbert_deploy.engine"),
            "ExportReport": "distilbert_deploy.report",
            "export": "distilbert_deploy.exporting",
        },
    )

__all__ = ["ExportError", "ExportReport", "OnnxEngine", "OnnxModel", "export", "load_model"]
