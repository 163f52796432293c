"""The most tokens a second that the paper's method allows on this processor: what its products alone take.

Whatever an implementation does, a token passes through all layers of the teacher and of the student, through both
projectors to the vocabulary, and through the student's twice again for gradients. Each product is measured by every way
that PyTorch and this project have, alone and with one thread; the fastest rate of any counts for all.

Usage: python benchmarks/distillation_bound.py [--layers N] [--dim N] [--tokens N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

VOCABULARY = 30_522
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure, and print a line for each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12, help="layers of the teacher; the student has half")
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--tokens", type=int, default=1280, help="tokens that are multiplied at once")
    parser.add_argument("--rounds", type=int, default=5, help="how often each product is measured; the best counts")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt")]
    torch.set_num_threads(1)
    teacher, student = weights(options.layers, options.dim), 3 * weights(options.layers // 2, options.dim)
    print(f"Multiplications a token: {(teacher + student) / 1e6:.0f} million, {student / 1e6:.0f} of the student.")
    for dtype in (torch.float32, torch.bfloat16):
        rate = max(rates(options.dim, options.tokens, dtype, options.rounds))
        both, alone = rate / (teacher + student), rate / student
        name = str(dtype).removeprefix("torch.")
        print(
            f"{name}: {rate / 1e9:.0f} thousand million a processor second; at most {both:.0f} tokens, "
            f"{alone:.0f} with a teacher that was asked ahead"
        )
    return 0


def weights(layers: int, dim: int) -> int:
    """Return how many weights of a masked LM multiply each token."""
    block = 4 * dim * dim + 2 * dim * 4 * dim  # attention, feed-forward network
    return layers * block + dim * dim + dim * VOCABULARY


def rates(dim: int, tokens: int, dtype: torch.dtype, rounds: int) -> Iterator[float]:
    """Yield multiplications a processor second, of each product by each way."""
    from distilbert_pt.fast.onednn import multiply

    with torch.inference_mode():
        for inner, columns in ((dim, dim), (dim, 4 * dim), (4 * dim, dim), (dim, VOCABULARY)):
            x, weight = torch.randn(tokens, inner).to(dtype), torch.randn(columns, inner).to(dtype)
            for way in (F.linear, multiply):
                yield tokens * inner * columns / seconds(way, x, weight, rounds)


def seconds(way: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, rounds: int) -> float:
    """Return the least processor time of a product."""
    times = []
    for _ in range(rounds + 1):  # the first one prepares
        start = time.process_time()
        way(x, weight)
        times.append(time.process_time() - start)
    return min(times[1:])


if __name__ == "__main__":
    raise SystemExit(main())
