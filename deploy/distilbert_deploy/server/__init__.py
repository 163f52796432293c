"""The server: a model behind HTTP, for SageMaker, Vertex AI, Kubernetes or a machine of one's own."""

from distilbert_deploy.server.app import create_app
from distilbert_deploy.server.process import serve
from distilbert_deploy.server.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
