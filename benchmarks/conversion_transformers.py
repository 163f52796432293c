"""How long transformers' own ways between frameworks take; needs transformers 4.57 with all three frameworks.

Each way loads a model in the target's framework from the source's file, and saves it. Imports are not counted.

Usage: python conversion_transformers.py DIALECT=FOLDER …, printing one line of JSON: seconds or the error by way
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import transformers

WAYS = {
    # source, target, and the class that reads the one and writes the other
    "pt-safetensors tf-h5": ("TFDistilBertForMaskedLM", {"from_pt": True}),
    "pt-safetensors flax-msgpack": ("FlaxDistilBertForMaskedLM", {"from_pt": True}),
    "pt-bin tf-h5": ("TFDistilBertForMaskedLM", {"from_pt": True}),
    "tf-h5 pt-safetensors": ("DistilBertForMaskedLM", {"from_tf": True}),
    "flax-msgpack pt-safetensors": ("DistilBertForMaskedLM", {"from_flax": True}),
    "tf-safetensors pt-safetensors": ("DistilBertForMaskedLM", {}),
    "flax-safetensors pt-safetensors": ("DistilBertForMaskedLM", {}),
    "tf-h5 flax-msgpack": ("FlaxDistilBertForMaskedLM", {"from_tf": True}),
}


def seconds(source: str, model_class: str, loading: dict[str, bool]) -> float | str:
    """Return the time of one way, or why it does not work."""
    cls = getattr(transformers, model_class)
    with tempfile.TemporaryDirectory() as directory:
        started = perf_counter()
        try:
            cls.from_pretrained(source, **loading).save_pretrained(directory)
        except Exception as error:
            return f"{type(error).__name__}: {error}".splitlines()[0][:160]
        return perf_counter() - started


def main() -> None:
    """Print the figures."""
    sources = dict(argument.split("=", 1) for argument in sys.argv[1:])
    transformers.logging.set_verbosity_error()
    results = {}
    for way, (model_class, loading) in WAYS.items():
        source = way.split()[0]
        if Path(sources[source]).is_dir():
            seconds(sources[source], model_class, loading)  # the first one imports
            results[way] = seconds(sources[source], model_class, loading)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
