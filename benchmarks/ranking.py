"""Ranking and re-ranking at Market-1501 test size: 3,368 queries, 15,913 gallery images, 512-d.

    python benchmarks/ranking.py [--dense]

`--dense` also runs re-ranking on full matrices, which takes over a minute and about 9 GB.
Every figure comes from a process of its own; memory is its peak beyond the inputs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import psutil

from reidlib.model import distances, ranking

QUERIES, GALLERY, DIM, PEOPLE, CAMERAS, BLOCK = 3368, 15913, 512, 750, 6, 128
NOISE = {"well separated": 0.5, "hard": 3.0, "random": 1e4}  # beside centres of variance 1


def inputs(noise: float):
    """Return query and gallery features (float32 unit rows) with identities and cameras."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PEOPLE + 1, DIM), dtype=np.float32)
    sets = []
    for size in (QUERIES, GALLERY):
        pids, camids = rng.integers(1, PEOPLE + 1, size), rng.integers(1, CAMERAS + 1, size)
        features = rng.standard_normal((size, DIM), dtype=np.float32)
        features *= noise
        for row, pid in zip(features, pids):
            row += centres[pid]
            row /= np.linalg.norm(row)
        sets += [features, pids, camids]
    return sets


def product(query, gallery) -> None:
    """The float32 matrix product alone, in blocks of 128 queries, whatever `evaluate` takes."""
    scores = np.empty((BLOCK, len(gallery)), np.float32)
    for start in range(0, len(query), BLOCK):
        rows = query[start : start + BLOCK]
        np.matmul(rows, gallery.T, out=scores[: len(rows)])


def seconds(function, *arguments, repeats: int = 1, **options):
    """Return the shortest of a few runs in seconds, and the last result."""
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*arguments, **options)
        best = min(best, time.perf_counter() - start)
    return best, result


def dense_rerank(query, gallery, k1=20, k2=6, weight=0.3):
    """k-reciprocal re-ranking (Zhong et al., 2017) on full matrices, as first published."""
    x = np.concatenate([query, gallery])
    original = 2 - 2 * (x @ x.T)
    original /= original.max(axis=1, keepdims=True)
    rank = np.argsort(original, axis=1).astype(np.int32)
    weights = np.zeros_like(original)

    def reciprocal(i: int, k: int) -> np.ndarray:
        forward = rank[i, : k + 1]
        return forward[(rank[forward, : k + 1] == i).any(axis=1)]

    for i in range(len(x)):
        wide = reciprocal(i, k1)
        members = [wide]
        for j in wide:
            narrow = reciprocal(j, round(k1 / 2))
            if len(np.intersect1d(narrow, wide)) > 2 / 3 * len(narrow):
                members.append(narrow)
        members = np.unique(np.concatenate(members))
        weights[i, members] = np.exp(-original[i, members])
        weights[i] /= weights[i].sum()
    original = original[: len(query)]
    expanded = np.zeros_like(weights)
    for i in range(len(x)):
        expanded[i] = weights[rank[i, :k2]].mean(axis=0)
    del weights
    holders = [np.flatnonzero(column) for column in expanded.T]
    jaccard = np.zeros_like(original)
    for i in range(len(query)):
        common = np.zeros(len(x), np.float32)
        for j in np.flatnonzero(expanded[i]):
            common[holders[j]] += np.minimum(expanded[i, j], expanded[holders[j], j])
        jaccard[i] = 1 - common / (2 - common)
    return (jaccard * (1 - weight) + original * weight)[:, len(query) :]


def peak() -> int:
    """Return the most memory this process ever held, in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def measure(what: str, noise: str, folder: Path) -> dict:
    """Run one job in this process and return its figures."""
    query, *query_labels, gallery, gallery_pids, gallery_camids = inputs(NOISE[noise])
    before = psutil.Process().memory_info().rss
    figures = {}
    if what == "evaluate":
        labelled = query, *query_labels, gallery, gallery_pids, gallery_camids
        figures["seconds"], result = seconds(ranking.evaluate, *labelled)
        figures["MB"] = (peak() - before) / 1e6
        # In turns, so that a passing load on the machine falls on both.
        pairs = [
            (seconds(product, query, gallery)[0], seconds(ranking.evaluate, *labelled)[0])
            for _ in range(10)
        ]
        figures["product"], figures["seconds"] = np.median(pairs, axis=0).tolist()
        ratios = [ours / bare for bare, ours in pairs]
        figures["ratio"], figures["worst"] = float(np.median(ratios)), max(ratios)
        figures["rank-1"], figures["mAP"] = float(result.cmc[0]), result.mAP
    else:
        function = distances.rerank if what == "sparse" else dense_rerank
        figures["seconds"], result = seconds(function, query, gallery)
        figures["MB"] = (peak() - before) / 1e6
        labels = *query_labels, gallery_pids, gallery_camids
        figures["mAP"] = ranking.evaluate_distances(result, *labels).mAP
        np.save(folder / f"{what}.npy", result)
    return figures


def child(what: str, noise: str, folder: Path) -> dict:
    command = [sys.executable, __file__, "--measure", what, noise, str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense", action="store_true", help="also the dense re-ranking")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, noise, folder = options.measure
        print(json.dumps(measure(what, noise, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("Medians of ten runs in turns, and the worst ratio of them.\n")
        print("| evaluate | product alone, s | evaluate, s | ratio | worst | MB | rank-1 | mAP |")
        print("|---|---|---|---|---|---|---|---|")
        for noise in NOISE:
            f = child("evaluate", noise, folder)
            print(
                f"| {noise} features | {f['product']:.3f} | {f['seconds']:.3f} "
                f"| {f['ratio']:.2f} | {f['worst']:.2f} | {f['MB']:.0f} "
                f"| {f['rank-1']:.3f} | {f['mAP']:.3f} |",
                flush=True,
            )
        print("\n| rerank, hard features | s | extra MB | mAP |\n|---|---|---|---|")
        for what in ("sparse", "dense") if options.dense else ("sparse",):
            f = child(what, "hard", folder)
            print(f"| {what} | {f['seconds']:.1f} | {f['MB']:.0f} | {f['mAP']:.4f} |", flush=True)
        if options.dense:
            sparse, dense = (np.load(folder / f"{what}.npy") for what in ("sparse", "dense"))
            print(f"\nLargest difference between the two: {np.abs(sparse - dense).max():.1e}")


if __name__ == "__main__":
    main()
