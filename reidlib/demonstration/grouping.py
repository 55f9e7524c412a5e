"""How linking groups tracklets: average linkage, glimpses that join last, and all the results."""

import math
from collections.abc import Iterator

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

FORBIDDEN = 1e9  # the distance of two tracklets that cannot be one person
FARTHEST = 2.0  # the largest cosine distance: at a threshold beyond nothing changes any more


class Grouping:
    """Groups of the rows of a distance matrix (N, N), for any threshold.

    Groups form of the rows that last for `brief` seconds, by average linkage; each of the others
    joins the nearest group in the end. Where all are glimpses, the longest begin.
    """

    def __init__(self, pairwise: np.ndarray, seconds: np.ndarray, brief: float):
        self.pairwise, self.seconds = pairwise, seconds
        self.lasting = seconds >= min(brief, seconds.max(initial=0))
        several = self.lasting.sum() > 1
        between = pairwise[np.ix_(self.lasting, self.lasting)]
        # One forbidden pair lifts the average of two groups far above any threshold.
        self.tree = hierarchy.average(squareform(between, checks=False)) if several else None

    def at(self, threshold: float) -> tuple[np.ndarray, float]:
        """Return the group (N,) from 1 of each row, and what comes next.

        That is the lowest threshold above this one that might give other groups, inf without one.
        """
        groups, merging = np.zeros(len(self.pairwise), int), math.inf  # 0: not yet in a group
        groups[self.lasting] = 1
        if self.tree is not None:
            groups[self.lasting] = hierarchy.fcluster(self.tree, threshold, "distance")
            merges = hierarchy.maxdists(self.tree)
            merging = float(merges[merges > threshold].min(initial=math.inf))
        groups, joining = _join(groups, self.pairwise, self.seconds, threshold)
        return groups, min(merging, joining)

    def all(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield every result of `at`, after the lowest threshold from 0 that gives it."""
        threshold = 0.0
        while threshold <= FARTHEST:
            groups, following = self.at(threshold)
            yield threshold, groups
            threshold = following


def _join(
    groups: np.ndarray, pairwise: np.ndarray, seconds: np.ndarray, threshold: float
) -> tuple[np.ndarray, float]:
    """Return `groups` with those of 0 in the nearest one, the longest first, or in their own.

    Also returns the lowest distance that was too far: below it all would be decided alike.
    """
    groups, refused = groups.copy(), math.inf
    left = np.flatnonzero(groups == 0)
    for i in left[np.argsort(-seconds[left], kind="stable")]:
        placed = np.flatnonzero(groups > 0)
        sizes = np.bincount(groups[placed])
        total = np.bincount(groups[placed], pairwise[i, placed])
        mean = total / np.where(sizes > 0, sizes, np.nan)
        if np.nanmin(mean) <= threshold:
            groups[i] = np.nanargmin(mean)
        else:
            refused = min(refused, float(np.nanmin(mean)))
    alone = groups == 0
    groups[alone] = groups.max(initial=0) + 1 + np.arange(alone.sum())
    return groups, refused
