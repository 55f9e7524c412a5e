"""Feature extraction against the bare network in a loop: images a second, in one run.

    python benchmarks/features.py [NAME ...]

The bare network is given ready-made normalised batches, of 32 and of 64, whichever is faster; the
extractor starts from uint8 crops in memory, as cut from a frame. Runs alternate, and the medians
are compared.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pandas as pd
import torch

from reidlib.features import extractors
from reidlib.model import embedding, networks

COUNT, BATCHES, ROUNDS = 1024, (32, 64), 15


def bare(network, batches) -> None:
    """Run the network over ready batches, doing nothing else."""
    with torch.inference_mode():
        for batch in batches:
            network(batch)


def seconds(function, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def compare(name: str, crops: np.ndarray) -> dict:
    """Return images a second of the bare network and of the extractor, and their ratio."""
    extractor = extractors.load(name, pretrained=False)
    network = networks.backbone(name).eval().to(memory_format=torch.channels_last)
    every = [embedding.to_input(crops).split(size) for size in BATCHES]
    rounds = [
        [*(seconds(bare, network, batches) for batches in every), seconds(extractor, crops)]
        for _ in range(ROUNDS)
    ]
    *loops, ours = np.median(rounds[1:], axis=0)
    loop = min(loops)
    return {
        "network": name,
        "bare images/s": round(len(crops) / loop),
        "extractor images/s": round(len(crops) / ours),
        "ratio": round(loop / ours, 2),
    }


def main() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    crops = np.random.default_rng(0).integers(0, 256, (COUNT, *networks.SIZE, 3), dtype=np.uint8)
    names = sys.argv[1:] or ["tiny", "mobilenet_v3_small", "resnet18"]
    print(f"{COUNT} crops of 128x64, {torch.get_num_threads()} threads, bare batches of {BATCHES}")
    print(pd.DataFrame([compare(name, crops) for name in names]).to_string(index=False))


if __name__ == "__main__":
    main()
