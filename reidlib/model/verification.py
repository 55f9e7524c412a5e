"""Is this the same person: error rates and thresholds from genuine and impostor distances."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from reidlib import boxes
from reidlib.model import ranking
from reidlib.model.distances import distances as distances_between
from reidlib.words import counted


def roc(genuine, impostor) -> pd.DataFrame:
    """Return the ROC curve: columns threshold, fmr, tmr, a row per distinct genuine distance.

    A pair matches when its distance is at most the threshold. `fmr` is the share of impostor pairs
    that match (false match rate), `tmr` that of genuine pairs (ISO/IEC 19795-1). Between two rows
    only `fmr` grows, so these rows hold the best of what the distances can do.
    """
    genuine, impostor = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    threshold = np.unique(genuine)
    fmr = np.searchsorted(impostor, threshold, side="right") / len(impostor)
    tmr = np.searchsorted(genuine, threshold, side="right") / len(genuine)
    return pd.DataFrame({"threshold": threshold, "fmr": fmr, "tmr": tmr})


def equal_error_rate(genuine, impostor) -> tuple[float, float]:
    """Return the lowest rate that neither error exceeds, and the threshold that gives it.

    Between samples the two errors seldom meet exactly, so the larger of them is kept lowest.
    """
    curve = roc(genuine, impostor)
    error = np.maximum(curve.fmr, 1 - curve.tmr)
    return float(error.min()), float(curve.threshold[error.idxmin()])


def threshold_at(fmr: float, impostor, weights=None) -> float:
    """Return the largest threshold whose false match rate on `impostor` distances is at most `fmr`.

    Below 1 / len(impostor) it lies just under the smallest distance: too few pairs to tell more.
    `weights` (N,) say how many pairs each distance stands for, where they are a sample.
    """
    if not 0 <= fmr < 1:
        raise ValueError(f"fmr is {fmr}; expected a share from 0 to below 1, such as 0.001")
    order = slice(None) if weights is None else np.argsort(np.asarray(impostor), kind="stable")
    impostor = _sorted(impostor, "impostor")
    if weights is None:
        allowed = int(fmr * len(impostor) + 1e-9)  # as a float 0.29 * 100 is 28.999...
    else:
        matching = np.cumsum(np.asarray(weights, float)[order])
        allowed = np.searchsorted(matching, fmr * matching[-1] * (1 + 1e-12), side="right")
    # Just under the first distance that may not match, since equal ones would match with it.
    return float(np.nextafter(impostor[allowed], -np.inf, dtype=impostor.dtype))


def _sorted(values, name: str) -> np.ndarray:
    values = np.sort(np.asarray(values), axis=None)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name} distances are empty or hold NaN; expected one or more numbers")
    return values if values.dtype == np.float32 else values.astype(np.float64)


def verification(
    query, query_pids, query_camids, gallery, gallery_pids, gallery_camids, *, metric="cosine"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of all pairs of one person and of all pairs of two, junk left out.

    Distractors (pid 0) count as other people; queries without an identity (pid 0, -1) do not count.
    """
    distances = distances_between(query, gallery, metric)
    query_pids, query_camids = ranking.as_labels(query_pids, query_camids, "query", len(distances))
    gallery_pids, gallery_camids = ranking.as_labels(
        gallery_pids, gallery_camids, "gallery", distances.shape[1]
    )
    counts = ~ranking.junk(query_pids, query_camids, gallery_pids, gallery_camids)
    counts &= query_pids[:, None] > 0
    same = query_pids[:, None] == gallery_pids
    return distances[counts & same], distances[counts & ~same]


# Rates of pairs that somebody labelled, with intervals


@dataclass(frozen=True)
class Rates:
    """What a threshold does: both error rates with 95 % intervals, and the pairs behind them."""

    threshold: float
    fmr: float  # share of the pairs of different people that match
    fmr_interval: tuple[float, float]
    fnmr: float  # share of the pairs of one person that do not match
    fnmr_interval: tuple[float, float]
    different: int  # labelled pairs of different people
    same: int  # labelled pairs of one person

    def __str__(self) -> str:
        wrong, missed = self.fmr_interval, self.fnmr_interval
        return (
            f"threshold {self.threshold:.3f}: false match rate {self.fmr:.2%} "
            f"({wrong[0]:.2%} to {wrong[1]:.2%}, "
            f"{counted(self.different, 'pair')} of different people), "
            f"false non-match rate {self.fnmr:.1%} "
            f"({missed[0]:.1%} to {missed[1]:.1%}, {counted(self.same, 'pair')} of one person)"
        )


def choose_threshold(labels: pd.DataFrame, fmr: float = 0.01) -> Rates:
    """Return the largest threshold whose false match rate on labelled pairs is at most `fmr`.

    `labels` has a row a pair: distance, same (one person?), weight (how many pairs it stands for),
    and a and b, the two tracks. The rates that come back are those of the pairs that it was chosen
    on, and flatter it a little: `try_threshold` on another recording says what it is worth.
    """
    impostor = labels[~_checked(labels)]
    threshold = threshold_at(fmr, impostor["distance"], impostor["weight"])
    # As it will be written down; downwards, so that the rate is not exceeded.
    return try_threshold(labels, math.floor(threshold * 1e4) / 1e4)


def try_threshold(labels: pd.DataFrame, threshold: float) -> Rates:
    """Return the error rates of a threshold on labelled pairs, as for `choose_threshold`.

    Raises ValueError where pairs of one person, or those of different people, are missing.
    """
    same, matches = _checked(labels), labels["distance"] <= threshold
    # The most that a pair not yet seen could stand for, on either side of the threshold.
    near, far = (labels["weight"][side].max() for side in (matches, ~matches))
    near, far = np.nan_to_num([near, far], nan=labels["weight"].min())
    fmr, fmr_interval = error_rate(matches[~same], labels[~same], near, far)
    fnmr, fnmr_interval = error_rate(~matches[same], labels[same], far, near)
    counts = int((~same).sum()), int(same.sum())
    return Rates(float(threshold), fmr, fmr_interval, fnmr, fnmr_interval, *counts)


def error_rate(
    wrong, pairs: pd.DataFrame, unseen_wrong: float = 1.0, unseen_right: float = 1.0
) -> tuple[float, tuple[float, float]]:
    """Return the share of pairs that are wrong (N,), and its 95 % interval.

    `pairs` has columns weight, a and b. The interval of Clopper and Pearson asks what one more
    wrong pair, or one more right one, would change. Here pairs weigh differently, so that one gets
    the largest weight it could have (as in Fay and Feuer, 1997); and pairs with a track in common
    are right or wrong together, so they count as so many independent pairs as would vary as much
    (Korn and Graubard, 1998).

    >>> pairs = pd.DataFrame({"weight": 1.0, "a": range(0, 200, 2), "b": range(1, 201, 2)})
    >>> rate, (low, high) = error_rate([False] * 98 + [True] * 2, pairs)
    >>> print(f"{rate:.3f}, {low:.3f} to {high:.3f}")
    0.020, 0.002 to 0.070
    """
    wrong, weight = np.asarray(wrong, float), pairs["weight"].to_numpy(float)
    a, b = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    low, high = 0.0, 1.0
    if wrong.any():
        low = stats.beta.ppf(0.025, *_evidence(wrong, weight, a, b, 0, unseen_right))
    if not wrong.all():
        high = stats.beta.ppf(0.975, *_evidence(wrong, weight, a, b, 1, unseen_wrong))
    return float(weight @ wrong / weight.sum()), (float(low), float(high))


def _evidence(wrong, weight, a, b, more: int, unseen: float) -> tuple[float, float]:
    """Return how many independent pairs, wrong and right, tell as much, with one `more` pair.

    The variance adds up the errors of each track, not of each pair (Aronow, Samii and Assenova,
    2015).
    """
    wrong, weight = np.append(wrong, more), np.append(weight, unseen)
    rate = weight @ wrong / weight.sum()
    error = weight / weight.sum() * (wrong - rate)
    tracks = pd.factorize(np.concatenate([a, b]))[0]
    of_tracks = np.bincount(tracks, np.tile(error[:-1], 2))
    # A pair is in the sums of both its tracks, and would count twice. The last shares no track.
    together = of_tracks @ of_tracks - 2 * error[:-1] @ error[:-1]
    variance = error @ error + max(together, 0)
    pairs_worth = rate * (1 - rate) / variance
    return rate * pairs_worth, (1 - rate) * pairs_worth


def _checked(labels: pd.DataFrame) -> pd.Series:
    """Return which pairs are of one person; ValueError unless there are pairs of both kinds."""
    boxes.require(labels, ["distance", "same", "weight", "a", "b"], "the table of labelled pairs")
    same = labels["same"].astype(bool)
    if same.all() or not same.any():
        raise ValueError(
            f"{same.sum()} labelled pairs of one person and {(~same).sum()} of different people; "
            "expected some of both: label more pairs, in a longer recording if this one has no more"
        )
    return same
