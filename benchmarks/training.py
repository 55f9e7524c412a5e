"""A training step against the bare network in a loop: images a second, in one run.

    python benchmarks/training.py [NAME ...]

The bare loop runs forward, cross-entropy, backward and Adam on ready-made batches. `training.fit`
starts from uint8 crops in memory and also draws balanced batches, augments them and adds the
triplet loss. Epochs of the two alternate, and the medians are compared.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from reidlib.model import embedding, networks, training

PEOPLE, EACH, BATCH, ROUNDS = 64, 16, 64, 21


def bare(network, optimiser, batches) -> None:
    """Train on ready batches, doing nothing else."""
    for batch, labels in batches:
        _, logits = network(batch)
        optimiser.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimiser.step()


def compare(name: str, crops: np.ndarray, pids: np.ndarray) -> dict:
    """Return images a second of the bare loop and of `training.fit`, and their ratio."""
    network = networks.SiameseNetwork(name, classes=PEOPLE).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad])
    ours = networks.SiameseNetwork(name, classes=PEOPLE)
    batches = [
        (embedding.to_input(crops[i : i + BATCH]), torch.from_numpy(pids[i : i + BATCH]))
        for i in range(0, len(crops), BATCH)
    ]
    loops = []

    def alternate(row: dict) -> None:
        start = time.perf_counter()
        bare(network, optimiser, batches)
        loops.append(time.perf_counter() - start)

    history = training.fit(
        ours, (crops, pids), epochs=ROUNDS, on_epoch=alternate, progress=False, device="cpu"
    )
    loop, fit = np.median(loops[1:]), history.seconds[1:].median()
    return {
        "network": name,
        "bare images/s": round(len(crops) / loop),
        "fit images/s": round(len(crops) / fit),
        "ratio": round(loop / fit, 2),
    }


def main() -> None:
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (PEOPLE * EACH, *networks.SIZE, 3), dtype=np.uint8)
    pids = rng.permutation(np.repeat(np.arange(PEOPLE), EACH))
    names = sys.argv[1:] or ["tiny", "mobilenet_v3_small"]
    print(f"{len(crops)} crops of 128x64, {torch.get_num_threads()} threads, batches of {BATCH}")
    print(pd.DataFrame([compare(name, crops, pids) for name in names]).to_string(index=False))


if __name__ == "__main__":
    main()
