"""A gallery of a million vectors of 256: exact, FAISS and LanceDB, in time, memory, disk, recall.

    python benchmarks/gallery.py [--vectors 1000000] [--kinds exact faiss lance] [--random]

The vectors are of people seen a few times each, by cameras that shift all of their vectors a
little; --random takes vectors of no structure instead, which no index can do much for, and nobody
has. Building, and searching what was built, are processes of their own; memory is the peak of each
beyond what it held before, Linux' own count. Recall@10 is the share of the ten true nearest, over
queries that are not in the gallery, asked one at a time. It needs `pip install 'reidlib[gallery]'`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("LANCE_CPU_THREADS", "2")

import numpy as np
import pandas as pd
import psutil

from reidlib.demonstration import matching, stores
from reidlib.model.distances import unit

DIM, SEEN, QUERIES, K, BLOCK, CAMERAS = 256, 8, 200, 10, 20_000, 20


def people(count: int, random: bool, start: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Return vectors (N, D) from `start` on, the same whatever block they are asked in."""
    rng = np.random.default_rng([start, random])
    who = (np.arange(start, start + count) // SEEN) + 1
    camera = rng.integers(0, CAMERAS, count)
    vectors = rng.standard_normal((count, DIM), np.float32)
    if not random:
        styles = np.random.default_rng(7).standard_normal((2000, DIM), np.float32)  # clothes
        shifts = np.random.default_rng(8).standard_normal((CAMERAS, DIM), np.float32)
        own = np.random.default_rng(start + 1).standard_normal((count // SEEN + 2, DIM), np.float32)
        vectors *= 0.4
        vectors += styles[(who * 7919) % 2000] + 0.6 * own[who - who[0]] + 0.3 * shifts[camera]
    table = pd.DataFrame({"camera": [f"camera {i:02d}" for i in camera], "track": who})
    table["start"] = np.arange(start, start + count) * 0.1
    table["end"] = table["start"] + 10
    return unit(vectors), table


def queries(total: int, random: bool) -> np.ndarray:
    """Return vectors (QUERIES, D) of people who are in the gallery, seen once more."""
    rng = np.random.default_rng(1)
    picked, noise = [], 0.0 if random else 0.25
    for start in rng.integers(0, total // BLOCK, 4) * BLOCK:
        vectors, _ = people(BLOCK, random, int(start))
        picked.extend(vectors[rng.integers(0, BLOCK, QUERIES // 4)])
    fresh = rng.standard_normal((QUERIES, DIM), np.float32) / np.sqrt(DIM)
    return unit(fresh if random else np.array(picked) + noise * fresh)


def peak() -> float:
    """Return the most memory this process has held since `watch`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1e3


def watch() -> float:
    """Forget the peak so far; return the memory of now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return psutil.Process().memory_info().rss / 1e6


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def build(kind: str, folder: Path, total: int, random: bool) -> dict:
    """Build a gallery, block by block as tracks come in, and save it."""
    people(1000, random)
    gallery = matching.Gallery(kind, folder / "known" if kind == "lance" else None)
    before, seconds = watch(), 0.0
    for start in range(0, total, BLOCK):
        vectors, table = people(min(BLOCK, total - start), random, start)
        began = time.perf_counter()
        gallery.add(vectors, table)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    if kind != "lance":
        gallery.save(folder / "known.npz")
    save = time.perf_counter() - began
    return {"build": seconds, "save": save, "build MB": peak() - before, "disk": size(folder)}


def search(kind: str, folder: Path, total: int, random: bool) -> dict:
    """Open what was built, and look for each query."""
    wanted, before = np.load(folder.parent / "queries.npy"), watch()
    began = time.perf_counter()
    gallery = matching.Gallery.load(folder / ("known" if kind == "lance" else "known.npz"))
    opened = time.perf_counter() - began
    loaded, load_peak = watch(), peak()
    times, found = [], []
    for query in wanted[: 20 if kind == "exact" else QUERIES]:
        began = time.perf_counter()
        hits = gallery.search(query[None], K)
        times.append(time.perf_counter() - began)
        found.append((hits["start"] * 10).round().astype(int).to_numpy())
    figures = {"open": opened, "ms": 1e3 * float(np.median(times)), "slowest": 1e3 * max(times)}
    figures |= {"load MB": load_peak - before, "MB": max(load_peak, peak()) - before}
    figures["held MB"] = loaded - before
    np.save(folder.parent / f"{kind}.npy", np.array(found))
    began = time.perf_counter()
    for query in wanted[:10]:
        gallery.search(query[None], K, cameras=["camera 03"], between=(0, total * 0.05))
    figures["filtered ms"] = 1e3 * (time.perf_counter() - began) / 10
    return figures


def truth(total: int, random: bool, wanted: np.ndarray) -> np.ndarray:
    """Return the ten nearest of each query, in blocks, by matrix products alone."""
    best = np.full((len(wanted), K), -1)
    closest = np.full((len(wanted), K), np.inf, np.float32)
    for start in range(0, total, BLOCK):
        vectors, _ = people(min(BLOCK, total - start), random, start)
        found, apart = stores.nearest(wanted, vectors, K)
        both, rows = np.hstack([closest, apart]), np.hstack([best, found + start])
        order = np.argsort(both, axis=1, kind="stable")[:, :K]
        closest = np.take_along_axis(both, order, axis=1)
        best = np.take_along_axis(rows, order, axis=1)
    return best


def child(step: str, kind: str, folder: Path, total: int, random: bool) -> dict:
    command = [sys.executable, __file__, "--step", step, kind, str(folder), str(total)]
    done = subprocess.run(
        [*command, *(["--random"] if random else [])], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="*", default=["exact", "faiss", "lance"])
    parser.add_argument("--random", action="store_true", help="vectors without any structure")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, kind, folder, total = options.step
        run = {"build": build, "search": search}[step]
        print(json.dumps(run(kind, Path(folder), int(total), options.random)))
        return
    with tempfile.TemporaryDirectory() as name:
        base, total, random = Path(name), options.vectors, options.random
        wanted = queries(total, random)
        np.save(base / "queries.npy", wanted)
        expected = truth(total, random, wanted)
        columns = ["build s", "save s", "open s", "ms a query", "slowest", "ms filtered"]
        columns += ["recall@10", "disk MB", "MB to build", "MB to search", "MB held"]
        print(f"| {total:,} vectors | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for kind in options.kinds:
            folder = base / kind
            folder.mkdir()
            figures = child("build", kind, folder, total, random)
            figures |= child("search", kind, folder, total, random)
            found = np.load(base / f"{kind}.npy")
            same = [len(np.intersect1d(a, b)) for a, b in zip(found, expected)]
            row = [f"{figures[key]:.1f}" for key in ("build", "save", "open")]
            row += [f"{figures[key]:.1f}" for key in ("ms", "slowest", "filtered ms")]
            row += [f"{np.sum(same) / found.size:.3f}"]
            row += [f"{figures[key]:.0f}" for key in ("disk", "build MB", "MB", "held MB")]
            print(f"| {kind} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
