"""Distances between feature vectors, the nearest of them, and k-reciprocal re-ranking."""

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
    # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: one matrix product, where differences would take (N, M, D).
    squared = squares(a)[:, None] + squares(b) - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squared, 0, out=squared), out=squared)


def top(query, gallery, k: int = 10, *, metric: str = "cosine", junk=None):
    """Return the `k` nearest gallery rows of each query: indices and distances, (Q, k) each.

    Nearest first, equal distances in gallery order. `junk` is a mask (Q, G) of what to leave out,
    as `ranking.junk` gives it; where fewer than `k` remain, the index is -1 and the distance inf.
    """
    query, gallery = features(query, gallery, metric)
    if k < 1:
        raise ValueError(f"k is {k}; expected 1 or more")
    k = min(k, len(gallery))
    indices, nearest = np.empty((len(query), k), np.int64), np.empty((len(query), k), query.dtype)
    for start in range(0, len(query), 128):
        rows = slice(start, start + 128)
        block = distances(query[rows], gallery, metric)
        if junk is not None:
            block[junk[rows]] = np.inf
        # A partition finds the k nearest without sorting the rest.
        best = np.argpartition(block, k - 1, axis=1)[:, :k]
        # Of equals at the border it takes any, where gallery order is promised.
        border = np.take_along_axis(block, best, axis=1).max(axis=1, keepdims=True)
        for row in np.flatnonzero((block <= border).sum(axis=1) > k):
            best[row] = np.argsort(block[row], kind="stable")[:k]
        best.sort(axis=1)  # gallery order, which a stable sort by distance keeps among equals
        order = np.argsort(np.take_along_axis(block, best, axis=1), axis=1, kind="stable")
        indices[rows] = np.take_along_axis(best, order, axis=1)
        nearest[rows] = np.take_along_axis(block, indices[rows], axis=1)
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
    width = min(max(k1 + 1, k2), len(x))
    neighbours, furthest, original = _neighbourhoods(x, len(query), width, threads)
    sets = _reciprocal_sets(x, neighbours, furthest, k1)
    # An image takes the mean of its neighbours' sets: what one of them missed, another has.
    sets = (_towards(neighbours, k2) @ sets / min(k2, len(x))).tocsr()
    original /= furthest[: len(query), None]
    return _blended(sets[: len(query)], sets[len(query) :].tocsc(), original, weight)


def _neighbourhoods(
    x: np.ndarray, queries: int, width: int, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what re-ranking needs of all distances between the rows of `x`, block by block.

    That is the `width` nearest of each row, nearest first (as indices), its largest squared
    distance, and the squared distances of the first `queries` rows to those after them.
    """
    neighbours = np.empty((len(x), width), np.int64)
    furthest = np.empty(len(x), np.float32)
    original = np.empty((queries, len(x) - queries), np.float32)

    def look(start: int, stop: int) -> None:
        squared = x[start:stop] @ x.T  # |a - b|^2 is 2 - 2 ab between unit rows
        squared *= -2
        squared += 2
        furthest[start:stop] = squared.max(axis=1)
        asked = max(0, min(stop, queries) - start)
        original[start : start + asked] = squared[:asked, queries:]
        best = np.argpartition(squared, width - 1, axis=1)[:, :width]
        order = np.argsort(np.take_along_axis(squared, best, axis=1), axis=1)
        neighbours[start:stop] = np.take_along_axis(best, order, axis=1)

    in_blocks(look, len(x), 128, threads)
    return neighbours, np.maximum(furthest, np.finfo(np.float32).tiny), original  # 0 if all alike


def _towards(neighbours: np.ndarray, k: int) -> sparse.csr_array:
    """Return a matrix of zeros and ones whose row i marks the `k` first neighbours of image i."""
    size, chosen = len(neighbours), neighbours[:, :k]
    starts = np.arange(size + 1) * chosen.shape[1]
    ones = np.ones(chosen.size, np.float32)
    return sparse.csr_array((ones, chosen.ravel(), starts), shape=(size, size))


def _reciprocal(neighbours: np.ndarray, k: int) -> sparse.csr_array:
    """Return a matrix whose row i marks those of its `k` neighbours that have i among theirs.

    Everybody may be near to a popular image; that it is near to them in turn says more.
    """
    forward = _towards(neighbours, k + 1)  # the nearest of all is the image itself
    return (forward * forward.T).tocsr()


def _reciprocal_sets(
    x: np.ndarray, neighbours: np.ndarray, furthest: np.ndarray, k1: int
) -> sparse.csr_array:
    """Return each image's set of k-reciprocal neighbours as weights that fall with distance, sum 1.

    A neighbour brings its own set of half the width if more than 2/3 of it lies in the image's set
    already: friends of friends are let in where most of them are friends (Zhong et al., 2017).
    """
    wide, narrow = _reciprocal(neighbours, k1), _reciprocal(neighbours, int(np.around(k1 / 2)))
    shared = (wide @ narrow.T) * wide
    needed = wide.multiply(narrow.sum(axis=1)).tocsr()
    friends = (3 * shared > 2 * needed).astype(np.float32)
    sets = (wide + friends @ narrow).tocsr()
    for i in range(len(x)):
        cells = slice(sets.indptr[i], sets.indptr[i + 1])
        members = sets.indices[cells]
        weights = np.exp((2 * (x[members] @ x[i]) - 2) / furthest[i])
        sets.data[cells] = weights / weights.sum()
    return sets


def _blended(queries, gallery, original: np.ndarray, weight: float) -> np.ndarray:
    """Return the Jaccard distances between weighted sets, blended with the original distances.

    `queries` are sparse rows, `gallery` sparse columns, one column an image that may be a member.
    The Jaccard distance is 1 - |A and B| / |A or B|, where "and" adds up the smaller weights; as
    all weights of a set add up to 1, "or" is 2 minus that.
    """
    for i in range(len(original)):
        own = slice(queries.indptr[i], queries.indptr[i + 1])
        # Only images that share a member with the query are visited: the others have distance 1.
        holders = gallery[:, queries.indices[own]]
        smaller = np.minimum(holders.data, np.repeat(queries.data[own], np.diff(holders.indptr)))
        common = np.bincount(holders.indices, smaller, original.shape[1])
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
    kind = np.float64 if np.float64 in (a.dtype, b.dtype) else np.float32
    a, b = a.astype(kind, copy=False), b.astype(kind, copy=False)
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


def centred(vectors, cameras, few: int = 10) -> np.ndarray:
    """Return vectors (N, D) without what those of one camera have in common, at unit length.

    `cameras` (N,) says where each was taken. A camera's light and background shift all its vectors
    alike, so that strangers before it look alike; its mean, which needs no labels, is taken off.
    Of `few` vectors half the mean is their camera's own and half that of all, for the mean of a
    handful of people is mostly these people. Distances grow, to about 1 between strangers: a
    threshold must be chosen anew. Where each camera sees other people their differences go too.
    Raises ValueError for NaN, and for lengths that differ.

    >>> centred([[1.0, 0.2], [1.0, -0.2], [0.2, 1.0], [-0.2, 1.0]], [1, 1, 2, 2], few=0).round(2)
    array([[ 0.,  1.],
           [ 0., -1.],
           [ 1.,  0.],
           [-1.,  0.]])
    """
    vectors, _ = features(vectors, vectors[:1])
    cameras = np.asarray(cameras)
    if cameras.shape != vectors.shape[:1]:
        raise ValueError(f"{len(vectors)} vectors, cameras of shape {cameras.shape}; expected (N,)")
    rows = unit(vectors)
    everywhere, result = rows.mean(axis=0), np.empty_like(rows)
    for camera in np.unique(cameras):
        own = cameras == camera
        share = own.sum() / (own.sum() + few)
        result[own] = rows[own] - share * rows[own].mean(axis=0) - (1 - share) * everywhere
    return unit(result)


def in_blocks(work: Callable[[int, int], None], total: int, block: int, threads: int) -> None:
    """Call ``work(start, stop)`` for consecutive blocks of at most `block`, several at a time.

    Each thread does its matrix products alone: products that share all cores leave the other
    threads waiting.
    """
    # As many blocks for each thread, all of one size: one more would keep the others waiting.
    rounds = -(-total // (block * threads))
    edges = np.linspace(0, total, rounds * threads + 1).astype(int).tolist()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))  # to the end, so that an error in one is raised
