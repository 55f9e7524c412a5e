"""How good is a ranking: CMC, mAP and mINP, by a protocol that says what counts.

The protocol is Market-1501's (Zheng et al., 2015). Gallery images of the query's identity from the
query's own camera, and all with pid -1, are junk: removed before ranking. Distractors (pid 0) stay.
Camera -1 means unknown and is never "the same camera". A query without a true match, among them any
with pid 0 or -1, is left out and counted. Equal distances rank in gallery order.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib.model.distances import centred, features, in_blocks, squares, unit

Nearness = Callable[[int, int, np.ndarray], None]


@dataclass(frozen=True)
class Result:
    """Scores of a ranking; per-query arrays have shape (Q,) and NaN where a query is left out."""

    cmc: np.ndarray  # (max_rank,): share of queries with a true match up to rank 1, 2, ...
    mAP: float
    mINP: float  # mean inverse negative penalty (Ye et al., 2021)
    ap: np.ndarray  # average precision of each query
    inp: np.ndarray  # number of true matches / rank of the last one
    first: np.ndarray  # rank of the first true match, from 1
    pids: np.ndarray
    notes: tuple[str, ...] = ()  # what a reader of the numbers should know

    @property
    def valid(self) -> int:
        """Number of queries that count."""
        return int(np.isfinite(self.ap).sum())

    @property
    def skipped(self) -> int:
        """Number of queries left out."""
        return len(self.ap) - self.valid

    def interval(
        self, metric: str = "rank1", confidence: float = 0.95, samples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Return a bootstrap interval of "mAP", "mINP" or "rank<k>", such as "rank1".

        Identities are resampled, not queries: images of one person fail together (Efron, 1979).
        """
        values, counted = self._values(metric), np.isfinite(self.ap)
        return _bootstrap(values[counted], self.pids[counted], confidence, samples, seed)

    def difference(
        self,
        other: "Result",
        metric: str = "mAP",
        confidence: float = 0.95,
        samples: int = 1000,
        seed: int = 0,
    ) -> tuple[float, float]:
        """Return the bootstrap interval of this score minus that of `other`, for the same queries.

        It is paired: each draw takes the same people for both, so what makes a person hard for
        both cancels out, and the interval is narrower than those of the two scores let expect.
        Raises ValueError when the two rankings are not of the same queries.
        """
        counted = np.isfinite(self.ap)
        alike = np.array_equal(self.pids, other.pids)
        if not alike or not np.array_equal(counted, np.isfinite(other.ap)):
            raise ValueError(
                f"the rankings are of {len(self.pids)} and {len(other.pids)} queries, and not of "
                "the same ones; score both with the same query and gallery tables"
            )
        change = (self._values(metric) - other._values(metric))[counted]
        return _bootstrap(change, self.pids[counted], confidence, samples, seed)

    def _values(self, metric: str) -> np.ndarray:
        """Return what each query adds to a score, (Q,)."""
        if metric.startswith("rank") and metric[4:].isdigit():
            return (self.first <= int(metric[4:])).astype(float)
        if metric not in ("mAP", "mINP"):
            raise ValueError(f"metric is {metric!r}; expected 'mAP', 'mINP' or 'rank1', 'rank2' ..")
        return self.ap if metric == "mAP" else self.inp

    def summary(self) -> pd.Series:
        """Return the usual numbers as one row of a table."""
        ranks = {f"rank-{k}": self.cmc[k - 1] for k in (1, 5, 10) if k <= len(self.cmc)}
        counts = {"queries": self.valid, "left out": self.skipped}
        return pd.Series({**ranks, "mAP": self.mAP, "mINP": self.mINP, **counts}, dtype=object)


def _bootstrap(
    values: np.ndarray, pids: np.ndarray, confidence: float, samples: int, seed: int
) -> tuple[float, float]:
    """Return the interval of the mean of values (Q,), drawing people with all their queries."""
    people, person = np.unique(pids, return_inverse=True)
    sums, counts = np.bincount(person, values), np.bincount(person)
    # How often each person is drawn, when as many are drawn with repetition as there are.
    equal = np.full(len(people), 1 / len(people))
    draws = np.random.default_rng(seed).multinomial(len(people), equal, size=samples)
    means = draws @ sums / (draws @ counts)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


class Matches(NamedTuple):
    """Which cells (query, gallery) of a ranking count as true matches, and which do not count."""

    query_pids: np.ndarray  # (Q,)
    rows: np.ndarray  # (M,) the query of each true match, ascending
    columns: np.ndarray  # (M,) its gallery image
    junk_rows: np.ndarray  # images of the query's person from the query's own camera
    junk_columns: np.ndarray
    unlabelled: np.ndarray  # gallery images with pid -1: junk for every query
    notes: tuple[str, ...]


def evaluate(
    query,
    query_pids,
    query_camids,
    gallery,
    gallery_pids,
    gallery_camids,
    *,
    metric: str = "cosine",
    ap: str = "mean",
    max_rank: int = 50,
    block: int = 512,
    threads: int = 2,
) -> Result:
    """Rank the gallery (G, D) for each query (Q, D) and score it by the protocol above.

    `metric` is "cosine" or "euclidean". `ap` is "mean", the mean of the precision at the true
    matches, or "trapezoid", the area that Market-1501's own code computes. Camera ids may be None:
    matches from the query's own camera then count, which flatters; the result's notes say so.
    A thread holds at most `block` queries at a time. Raises ValueError for NaN, lengths or
    dimensions that do not fit, and when no query has a true match.

    >>> result = evaluate([[1.0, 0.0]], [7], [1], [[0.0, 1.0], [1.0, 0.1]], [3, 7], [2, 2])
    >>> float(result.cmc[0]), result.mAP
    (1.0, 1.0)
    """
    _check_ap(ap)
    query, gallery = features(query, gallery, metric)
    shape = len(query), len(gallery)
    # Within a row only the order counts, so the length of a query need not be divided by, and of
    # |q - g|^2 = |q|^2 - 2 qg + |g|^2 the query's own square may be left out.
    if metric == "cosine":
        gallery, offset = unit(gallery), 0.0
    else:
        offset = squares(gallery) / 2
    # Copies of one image tie by the protocol, but their products may differ in the last digits,
    # depending on where they stand: in float64 the last 12 or so of 52 bits are rounded away.
    exact = query.dtype == np.float64
    if exact:
        largest = np.sqrt(squares(query) * squares(gallery).max()) + np.max(offset)
        scale = 2.0**40 / np.maximum(largest, 1e-300)[:, None]

    def nearness(start: int, stop: int, out: np.ndarray) -> None:
        np.matmul(query[start:stop], gallery.T, out=out)
        if metric == "euclidean":
            out -= offset
        if exact:
            out *= scale[start:stop]
            np.rint(out, out=out)

    found = true_matches(query_pids, query_camids, gallery_pids, gallery_camids, shape)
    ranks = _ranks_in_blocks(nearness, found, shape, query.dtype, block, threads)
    return _result(ranks, found, ap, max_rank)


def score(query, gallery, split, *, centre: bool = False, **options) -> Result:
    """Rank the gallery of a data set for its queries by ready features of both; see `evaluate`.

    `split` has the tables query and gallery, as datasets.load gives it. With `centre` each camera's
    mean is taken off first, see `distances.centred`.
    """
    query_pids, query_camids, gallery_pids, gallery_camids = split.labels
    if centre:
        both = centred(
            np.concatenate([query, gallery]), np.concatenate([query_camids, gallery_camids])
        )
        query, gallery = both[: len(query)], both[len(query) :]
    return evaluate(
        query, query_pids, query_camids, gallery, gallery_pids, gallery_camids, **options
    )


def evaluate_distances(
    matrix,
    query_pids,
    query_camids,
    gallery_pids,
    gallery_camids,
    *,
    ap: str = "mean",
    max_rank: int = 50,
    threads: int = 2,
) -> Result:
    """Score a ready matrix of distances (Q, G), for example from `rerank`, as `evaluate` does."""
    _check_ap(ap)
    matrix = np.asarray(matrix)
    matrix = matrix if matrix.dtype == np.float32 else matrix.astype(np.float64, copy=False)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(
            f"distances have shape {matrix.shape}; expected (queries, gallery) without NaN or inf"
        )

    def nearness(start: int, stop: int, out: np.ndarray) -> None:
        np.negative(matrix[start:stop], out=out)

    found = true_matches(query_pids, query_camids, gallery_pids, gallery_camids, matrix.shape)
    ranks = _ranks_in_blocks(nearness, found, matrix.shape, matrix.dtype, 512, threads)
    return _result(ranks, found, ap, max_rank)


def _check_ap(ap: str) -> None:
    if ap not in ("mean", "trapezoid"):
        raise ValueError(f"ap is {ap!r}; expected 'mean' or 'trapezoid'")


def _ranks_in_blocks(
    nearness: Nearness, found: Matches, shape: tuple[int, int], dtype, block: int, threads: int
) -> np.ndarray:
    """Return the rank, from 1, of every true match, ascending within each query.

    ``nearness(start, stop, out)`` fills in how near the queries from `start` to `stop` are to the
    gallery. They come in blocks because a whole matrix of Market-1501 takes 214 MB; in smaller ones
    the matrix product, which rearranges the gallery for each, takes longer.
    """
    ranks = np.empty(len(found.rows), np.int64)
    ends = np.searchsorted(found.rows, np.arange(shape[0] + 1))
    own = threading.local()

    def rank(start: int, stop: int) -> None:
        if not hasattr(own, "scores"):  # a thread fills the same memory block after block
            own.scores = np.empty((min(block, shape[0]), shape[1]), dtype)
            own.ordered = np.empty(shape[1], dtype)
        scores = own.scores[: stop - start]
        nearness(start, stop, scores)
        # What does not count goes to the end of its row, behind everything that does.
        scores[:, found.unlabelled] = -np.inf
        junk_cells = slice(*np.searchsorted(found.junk_rows, [start, stop]))
        scores[found.junk_rows[junk_cells] - start, found.junk_columns[junk_cells]] = -np.inf
        for query in range(start, stop):
            cells = slice(ends[query], ends[query + 1])
            ranks[cells] = _ranks(scores[query - start], found.columns[cells], own.ordered)

    in_blocks(rank, shape[0], block, threads)
    return ranks


def _ranks(scores: np.ndarray, matches: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return the ranks, from 1 and ascending, of the `matches` in one query's scores (G,).

    `ordered` is memory of the size of `scores`. NumPy sorts numbers by vector instructions, but not
    what belongs to them: to sort the scores and look the matches up takes a tenth of the time of an
    argsort, and the same whatever the features, where counting what lies above each match does not.
    """
    np.copyto(ordered, scores)
    ordered.sort()
    targets = scores[matches]
    below = np.searchsorted(ordered, targets)
    ranks = len(scores) - below
    equal = np.searchsorted(ordered, targets, side="right") - below
    for i in np.flatnonzero(equal > 1):  # rare: equal scores rank in gallery order
        before = scores[: matches[i]]
        above = len(scores) - below[i] - equal[i]
        ranks[i] = above + np.count_nonzero(before == targets[i]) + 1
    ranks.sort()
    return ranks


def _result(ranks: np.ndarray, found: Matches, ap: str, max_rank: int) -> Result:
    """Turn the ranks of the true matches, ascending within each query, into a Result."""
    rows, pids = found.rows, found.query_pids
    count = np.bincount(rows, minlength=len(pids))
    end = np.cumsum(count)
    begin = end - count
    hits = np.arange(len(rows)) - begin[rows] + 1  # 1 for a query's first match, 2 for its second
    precision = hits / ranks
    if ap == "trapezoid":  # the mean with the precision one place before the match
        before = np.divide(hits - 1, ranks - 1, out=np.ones(len(ranks)), where=ranks > 1)
        precision = (precision + before) / 2
    first, last, average = (np.full(len(pids), np.nan) for _ in range(3))
    some = count > 0
    average[some] = np.bincount(rows, precision, len(pids))[some] / count[some]
    first[some], last[some] = ranks[begin[some]], ranks[end[some] - 1]
    inp = count / last
    cmc = (first[some, None] <= np.arange(1, max_rank + 1)).mean(axis=0)
    mean_ap, mean_inp = float(average[some].mean()), float(inp[some].mean())
    return Result(cmc, mean_ap, mean_inp, average, inp, first, pids, found.notes)


def true_matches(
    query_pids, query_camids, gallery_pids, gallery_camids, shape: tuple[int, int] | None = None
) -> Matches:
    """Return what counts in a ranking of these labels, without ranking anything.

    `shape` is (queries, gallery images), by default that of the labels. Raises ValueError for
    labels of other lengths, and, saying why, when no query has a true match.
    """
    query_pids, query_camids = as_labels(query_pids, query_camids, "query", shape and shape[0])
    gallery_pids, gallery_camids = as_labels(
        gallery_pids, gallery_camids, "gallery", shape and shape[1]
    )
    rows, columns = same_person(query_pids, gallery_pids)
    # A match from the query's own camera is mostly the frame before or after: finding it is easy,
    # and says nothing about recognising somebody elsewhere. Cameras may count from 0.
    own = (query_camids[rows] == gallery_camids[columns]) & (query_camids[rows] >= 0)
    if own.all():
        why = "no query identity is in the gallery; check both pids (0 and -1 are nobody)"
        if own.any():
            why = (
                "every image of their identities comes from the query's own camera (cameras "
                f"{np.unique(gallery_camids).tolist()}) and is left out; add a second camera, or "
                "give None as camera ids (a command: --same-camera) to count matches within one"
            )
        raise ValueError(f"none of the {len(query_pids)} queries has a true match: {why}")
    unlabelled = np.flatnonzero(gallery_pids == -1)
    said = notes(query_pids, np.concatenate([query_camids, gallery_camids]))
    return Matches(query_pids, rows[~own], columns[~own], rows[own], columns[own], unlabelled, said)


def as_labels(pids, camids, name: str, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return identities and cameras as whole numbers; cameras that are None become -1, unknown."""
    pids = np.asarray(pids)
    camids = np.full(len(pids), -1) if camids is None else np.asarray(camids)
    size = len(pids) if size is None else size
    for values, what in ((pids, "pids"), (camids, "camids")):
        if values.shape != (size,):
            raise ValueError(
                f"{name}_{what} have shape {values.shape}; expected ({size},), one an image"
            )
        if not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"{name}_{what} are {values.dtype}; expected whole numbers, with -1 for unknown"
            )
    return pids.astype(np.int64), camids.astype(np.int64)


def junk(query_pids, query_camids, gallery_pids, gallery_camids) -> np.ndarray:
    """Return which gallery images do not count for which query, a mask of shape (Q, G)."""
    query_pids, query_camids = as_labels(query_pids, query_camids, "query")
    gallery_pids, gallery_camids = as_labels(gallery_pids, gallery_camids, "gallery")
    same = (query_pids[:, None] == gallery_pids) & (query_camids[:, None] == gallery_camids)
    return (same & (gallery_camids >= 0)) | (gallery_pids == -1)


def same_person(query_pids, gallery_pids) -> tuple[np.ndarray, np.ndarray]:
    """Return the query and the gallery index of all pairs of one identity, ordered by query."""
    # With the gallery in the order of its identities, those of a query lie side by side, and two
    # searches find where they begin and end: a mask of all pairs would take 54 MB for Market-1501.
    order = np.argsort(gallery_pids, kind="stable")
    sorted_pids = gallery_pids[order]
    begin = np.searchsorted(sorted_pids, query_pids)
    end = np.searchsorted(sorted_pids, query_pids, side="right")
    count = np.where(query_pids > 0, end - begin, 0)
    rows = np.repeat(np.arange(len(count)), count)
    earlier = np.cumsum(count) - count  # pairs of the queries before
    places = begin[rows] + np.arange(len(rows)) - earlier[rows]
    return rows, order[places]


def notes(query_pids, camids) -> tuple[str, ...]:
    """Return what a reader of the scores should know about the labels."""
    found = []
    nobody = int((query_pids <= 0).sum())
    if nobody:
        found.append(
            f"{nobody} queries have pid 0 (distractor) or -1 (junk) and are left "
            "out; if your identities count from 0, add 1 to the pids of queries and gallery"
        )
    if (camids < 0).any():
        found.append(
            "camera ids are missing: matches from the query's own camera could not be left out, "
            "so the scores are higher than under the Market-1501 protocol"
        )
    return tuple(found)
