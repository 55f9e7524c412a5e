"""Stretches of tracks, and which of them are one person: by motion, and by appearance.

Times are in seconds, distances in heights of the person.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reidlib.detection.association import FASTEST, FORBIDDEN, REACH, Appearance, assign, centre_size
from reidlib.detection.streaming import BLOCK

WINDOW = 0.6  # seconds of a track that tell its speed, and how the person looks
LONGEST, LONGEST_ALIKE = 2.0, 15.0  # gaps bridged by motion alone, and by appearance
GROWTH = 0.3  # share by which a track may go on taller or smaller
ALIKE = 0.3  # distance of `Appearance` up to which it is one person


class Piece(NamedTuple):
    """A stretch of a track without a gap or change, and where it comes from and leads."""

    rows: np.ndarray  # of the table, in the order of time
    times: np.ndarray  # (2,) when it begins and ends, seconds
    places: np.ndarray  # (2, 2) centres there, pixels
    speeds: np.ndarray  # (2, 2) pixels a second
    heights: np.ndarray  # (2,) pixels


def blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Return rows in parts that memory has room for: somebody may be there for hours."""
    return np.split(rows, range(BLOCK, len(rows), BLOCK))


def mean(vectors, rows: np.ndarray) -> np.ndarray:
    """Return the mean direction (D,) of some rows, NaN if none is known."""
    total, count = np.zeros(vectors.shape[1]), 0
    for part in blocks(rows):
        part = vectors[part]
        part = part[np.isfinite(part).all(axis=1)].astype(float)
        total, count = total + part.sum(axis=0), count + len(part)
    if not count:
        return np.full(vectors.shape[1], np.nan)
    direction = total / count
    return direction / max(np.linalg.norm(direction), 1e-12)


def followers(begin, after, until) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs (i, j), two arrays of P: all whose j begins in the time `after` to `until` of i.

    All times (N,) are in seconds, ends included. Of a long recording these are few of all pairs.
    """
    order = np.argsort(begin, kind="stable")
    first = np.searchsorted(begin[order], after)
    counts = np.maximum(np.searchsorted(begin[order], until, side="right") - first, 0)
    rows = np.repeat(np.arange(len(begin)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[first[rows] + within]


def piece(rows: np.ndarray, times: np.ndarray, corners: np.ndarray) -> Piece:
    """Return some rows of a table as a piece; `times` (N,) and `corners` (N, 4) are the table's."""
    span = times[rows[[0, -1]]]
    near = [rows[times[rows] <= span[0] + WINDOW], rows[times[rows] >= span[1] - WINDOW]]
    fits = [_line(times[part] - at, _states(corners, part)[:, :2]) for part, at in zip(near, span)]
    ends = [_states(corners, part) for part in (rows[:5], rows[-5:])]
    heights = np.array([np.median(state[:, 3]) for state in ends])
    places, speeds = (np.array([fit[i] for fit in fits]) for i in (0, 1))
    return Piece(rows, span, places, speeds, np.maximum(heights, 1))


def _states(corners, rows) -> np.ndarray:
    """Return the centres and sizes (N, 4) of some of the boxes."""
    return centre_size(corners[rows].astype(float))


def _line(times: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a straight walk to N places (N, 2); return the place at time 0 and the speed."""
    if len(times) < 3:  # too few for a speed
        return places[np.abs(times).argmin()], np.zeros(2)
    design = np.column_stack([np.ones(len(times)), times])
    fit = np.linalg.lstsq(design, places, rcond=None)[0]
    return fit[0], fit[1]


def join(pieces, vectors, scale: Appearance, size) -> list[np.ndarray]:
    """Chain pieces that are one person; return the rows of each chain, in the order of time."""
    if not pieces:
        return []
    begin, end = np.array([piece.times for piece in pieces]).T
    before, after = followers(begin, end, end + LONGEST_ALIKE + 1e-6)
    cost, again = _cost_of_motion(pieces, before, after, size)
    if vectors is not None:
        means = np.array([mean(vectors, p.rows) for p in pieces])
        pairs = zip(before.tolist(), after.tolist())
        distance = np.array([scale.between(means[i], means[j]) for i, j in pairs])
        unknown = np.isnan(distance)
        cost = np.where(unknown | (distance < ALIKE), cost, FORBIDDEN)
        both = np.where(cost < FORBIDDEN, (cost + np.nan_to_num(distance)) / 2, 1 + distance)
        allowed = (cost < FORBIDDEN) | (again & (distance < ALIKE))
        cost = np.where(unknown, cost, np.where(allowed, both, FORBIDDEN))
    chains = {i: [i] for i in range(len(pieces))}
    pairs = assign_sparse(cost, before, after, len(pieces))
    head = list(range(len(pieces)))
    for first, then in sorted(pairs, key=lambda pair: pieces[pair[1]].times[0]):
        head[then] = head[first]
        chains[head[first]] += chains.pop(then)
    return [np.concatenate([pieces[i].rows for i in chain]) for chain in chains.values()]


def assign_sparse(cost, before, after, count: int) -> list[tuple[int, int]]:
    """Return what `assign` would for a matrix (N, N) of which only P costs are given.

    Rows and columns that no allowed pair connects do not compete: each group is assigned by itself.
    """
    allowed = cost < FORBIDDEN
    cost, before, after = cost[allowed], before[allowed], after[allowed]
    links = coo_array((np.ones(len(cost)), (before, count + after)), (2 * count, 2 * count))
    group = connected_components(links, directed=False)[1][before]
    pairs = []
    for members in pd.Series(group).groupby(group).indices.values():
        rows, i = np.unique(before[members], return_inverse=True)
        columns, j = np.unique(after[members], return_inverse=True)
        matrix = np.full((len(rows), len(columns)), FORBIDDEN)
        matrix[i, j] = cost[members]
        pairs += [(int(rows[r]), int(columns[c])) for r, c in assign(matrix)]
    return pairs


def _cost_of_motion(pieces, before, after, size) -> tuple[np.ndarray, np.ndarray]:
    """Say of P pairs how badly motion carries the end of one piece to the beginning of the other.

    Costs (P,) are from 0 to 1, or FORBIDDEN. Also returns, bool (P,), which of the pairs can be one
    person who went any way.
    """
    times, places, speeds, heights = (np.array([p[i] for p in pieces]) for i in range(1, 5))
    gap = times[after, 0] - times[before, 1]
    ends, begins = heights[before, 1], heights[after, 0]
    height = (begins + ends) / 2
    walk = np.clip(gap, 0, 1)[:, None]  # nobody keeps a speed for longer
    ahead = places[before, 1] + speeds[before, 1] * walk
    back = places[after, 0] - speeds[after, 0] * walk
    miss = np.linalg.norm(ahead - places[after, 0], axis=1)
    miss = (miss + np.linalg.norm(back - places[before, 1], axis=1)) / (2 * height)
    possible = (np.abs(np.log(begins / ends)) < GROWTH) & (gap > 0)
    if size is not None:
        leaving = places[before, 1] + speeds[before, 1] * np.clip(gap, 0, 5)[:, None] / 2
        possible &= ((leaving >= 0) & (leaving <= size)).all(axis=1)
    miss /= 0.5 + 0.3 * np.maximum(gap, 0)
    cost = np.where(possible & (gap <= LONGEST) & (miss < 1), miss, FORBIDDEN)
    far = np.linalg.norm(places[before, 1] - places[after, 0], axis=1) / height
    return cost, possible & (gap <= LONGEST_ALIKE) & (far < REACH + FASTEST * np.maximum(gap, 0))
