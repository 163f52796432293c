"""`tf.distribute`: two replicas train, evaluate and predict as one does with the same global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tensorflow as tf
from tf_models import TASKS, small

from distilbert_tf import TFDistilBertModel
from distilbert_tf.framework import replicas


def test_two_replicas_do_what_one_does(repository: Path) -> None:
    paths = [repository, Path(__file__).parent, *map(Path, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, Path(__file__).parent / "replicated.py"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    names = [*TASKS, "a Keras loss", "a custom loop", "a loaded model", "one worker"]
    assert finished.stdout.splitlines() == [f"{name} equal" for name in names], finished.stderr[-2000:]


def test_outside_a_replica_a_mean_is_a_mean() -> None:
    assert float(replicas.mean(tf.constant(6.0), tf.constant(4))) == 1.5
    assert float(replicas.mean(tf.constant(0.0), tf.constant(0))) == 0
    assert float(replicas.share(tf.constant(3.0))) == 3


def test_the_embedding_takes_ids_of_any_dtype_as_keras_own_does() -> None:
    table = TFDistilBertModel(small()).get_input_embeddings()
    ids = tf.constant([[1.0, 2.0]])
    assert tf.reduce_all(table(ids) == table(tf.cast(ids, "int32")))
