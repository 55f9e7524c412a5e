"""Distances between feature vectors, the nearest of them, and k-reciprocal re-ranking."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits


def distances(a, b, metric: str = "cosine") -> np.ndarray:
    """Return the distance of every row of `a` (N, D) to every row of `b` (M, D), shape (N, M).

    `metric` is "cosine" (1 - cosine similarity) or "euclidean". float64 features give float64.

    >>> distances([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]]).tolist()
    [[1.0, 0.0]]
    """
    a, b = features(a, b, metric)
    if metric == "cosine":
        return 1 - unit(a) @ unit(b).T
    squared = squares(a)[:, None] + squares(b) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squared, 0, out=squared), out=squared)


def top(query, gallery, k: int = 10, *, metric: str = "cosine", junk=None):
    """Return the `k` nearest gallery rows of each query: indices and distances, (Q, k) each.

    Nearest first, equal distances in gallery order. `junk` is a mask (Q, G) of what to leave out,
    as `ranking.junk` gives it; where fewer than `k` remain, the index is -1 and the distance inf.
    """
    query, gallery = features(query, gallery, metric)
    k = min(k, len(gallery))
    indices, nearest = np.empty((len(query), k), np.int64), np.empty((len(query), k), query.dtype)
    for start in range(0, len(query), 128):
        rows = slice(start, start + 128)
        away = distances(query[rows], gallery, metric)
        if junk is not None:
            away[junk[rows]] = np.inf
        best = np.argpartition(away, k - 1, axis=1)[:, :k]
        # Of equals at the border it takes any, where gallery order is promised.
        border = np.take_along_axis(away, best, axis=1).max(axis=1, keepdims=True)
        for row in np.flatnonzero((away <= border).sum(axis=1) > k):
            best[row] = np.argsort(away[row], kind="stable")[:k]
        best.sort(axis=1)
        order = np.argsort(np.take_along_axis(away, best, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(best, order, axis=1)
        nearest[rows] = np.take_along_axis(away, indices[rows], axis=1)
    indices[np.isinf(nearest)] = -1
    return indices, nearest


def rerank(query, gallery, k1: int = 20, k2: int = 6, weight: float = 0.3, *, threads: int = 2):
    """Return k-reciprocal re-ranked distances of queries to gallery, (Q, G) float32.

    Two images are near when they share nearest neighbours (Zhong et al., CVPR 2017). As in the
    authors' code, the original distance is the *squared* Euclidean distance of unit rows, divided
    by the largest of its row; `weight` is its share beside the Jaccard distance. `k1` is the size
    of a neighbourhood, `k2` how many neighbours' sets are averaged. Sparse matrices keep memory
    at a few times the result.
    """
    if min(k1, k2) < 1 or not 0 <= weight <= 1:
        raise ValueError(f"k1={k1}, k2={k2}, weight={weight}; expected 1 or more, weight 0 to 1")
    query, gallery = features(query, gallery)
    x = unit(np.concatenate([query, gallery]).astype(np.float32))
    size = len(x)
    neighbours = np.empty((size, min(max(k1 + 1, k2), size)), np.int64)
    furthest = np.empty(size, np.float32)
    original = np.empty((len(query), len(gallery)), np.float32)

    def nearest(start: int, stop: int) -> None:
        away = x[start:stop] @ x.T
        away *= -2
        away += 2
        furthest[start:stop] = away.max(axis=1)
        inside = max(0, min(stop, len(query)) - start)
        original[start : start + inside] = away[:inside, len(query) :]
        width = neighbours.shape[1]
        best = np.argpartition(away, width - 1, axis=1)[:, :width]
        order = np.argsort(np.take_along_axis(away, best, axis=1), axis=1)
        neighbours[start:stop] = np.take_along_axis(best, order, axis=1)

    in_blocks(nearest, size, 128, threads)
    furthest = np.maximum(furthest, np.finfo(np.float32).tiny)  # all images alike

    def towards(k: int) -> sparse.csr_array:
        """Row i marks its k first neighbours."""
        chosen = neighbours[:, :k]
        starts = np.arange(size + 1) * chosen.shape[1]
        ones = np.ones(chosen.size, np.float32)
        return sparse.csr_array((ones, chosen.ravel(), starts), shape=(size, size))

    def reciprocal(k: int) -> sparse.csr_array:
        """Row i marks those of its neighbours that have i among theirs."""
        forward = towards(k + 1)
        return (forward * forward.T).tocsr()

    wide, narrow = reciprocal(k1), reciprocal(int(np.around(k1 / 2)))
    # A neighbour brings its own narrow set if more than 2/3 of it lies in the wide set already.
    shared = (wide @ narrow.T) * wide
    needed = wide.multiply(narrow.sum(axis=1)).tocsr()
    shared = (3 * shared > 2 * needed).astype(np.float32)
    sets = (wide + shared @ narrow).tocsr()
    ends = sets.indptr
    for i in range(size):
        inside = sets.indices[ends[i] : ends[i + 1]]
        weights = np.exp((2 * (x[inside] @ x[i]) - 2) / furthest[i])
        sets.data[ends[i] : ends[i + 1]] = weights / weights.sum()
    sets = (towards(k2) @ sets / min(k2, size)).tocsr()

    queries, columns = sets[: len(query)], sets[len(query) :].tocsc()
    original /= furthest[: len(query), None]
    for i in range(len(query)):
        own = slice(queries.indptr[i], queries.indptr[i + 1])
        lists = columns[:, queries.indices[own]]
        smaller = np.minimum(lists.data, np.repeat(queries.data[own], np.diff(lists.indptr)))
        common = np.bincount(lists.indices, smaller, len(gallery))
        original[i] = (1 - common / (2 - common)) * (1 - weight) + original[i] * weight
    return original


def features(a, b, metric: str = "cosine") -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays of rows as floats of one type, float64 if either is; else ValueError."""
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"metric is {metric!r}; expected 'cosine' or 'euclidean'")
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a) or not len(b):
        raise ValueError(
            f"features have shapes {a.shape} and {b.shape}; expected (N, D) and (M, D), not empty, "
            "from the same extractor"
        )
    double = np.float64 in (a.dtype, b.dtype)
    a, b = (v.astype(np.float64 if double else np.float32, copy=False) for v in (a, b))
    for values in (a, b):
        broken = ~np.isfinite(squares(values))
        if broken.any():
            raise ValueError(
                f"{broken.sum()} of {len(values)} feature rows hold NaN or infinity, the first is "
                f"row {broken.argmax()}; drop these images or extract them again"
            )
    return a, b


def squares(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row, or of a single vector."""
    return np.einsum("...d,...d->...", rows, rows)


def unit(rows: np.ndarray) -> np.ndarray:
    """Return the rows, or a single vector, at unit length; zeros stay zeros."""
    lengths = np.sqrt(squares(rows))[..., None]
    return rows / np.where(lengths > 0, lengths, 1)


def in_blocks(work: Callable[[int, int], None], total: int, block: int, threads: int) -> None:
    """Call ``work(start, stop)`` for consecutive blocks, several at a time.

    Each thread does its matrix products alone: products that share all cores leave the other
    threads waiting.
    """
    starts = range(0, total, block)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: work(start, min(start + block, total)), starts))
