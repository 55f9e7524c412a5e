"""Clocks and overlap, as the footage itself suggests them.

Two cameras that see one place see one ground, and a plane is carried from one view to another by a
homography (Hartley and Zisserman, 2004, chapter 13). By the right clocks, the feet of all whom both
see fit one homography. Half a second off, people who walk in different directions do so no longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
import pandas as pd

from reidlib.model import distances

STEP, FINE = 0.2, 0.05  # seconds between the offsets that are tried, first and around the best
NEAR = 0.15  # of a person's height: as near as feet must be carried to where they stand
PEOPLE = 5  # must agree; a homography alone can be bent to suit the paths of two or three
CLEAR = 1.5  # times as many moments as any other offset, 2 s or more away
MOST = 4000  # moments that are looked at


@dataclass(frozen=True)
class Offset:
    """What two cameras' footage says of their clocks; `seconds` is None where it cannot tell.

    `seconds` belong to the start of the second camera, besides what it is. `people` of `compared`
    pairs of look-alikes agree on one ground, and `ratio` is how many moments agree by these clocks
    for one by the best others. Where it can tell, the cameras overlap.
    """

    seconds: float | None
    ratio: float
    people: int
    compared: int


def lookalikes(tracklets: pd.DataFrame, vectors, first: str, second: str) -> list[tuple[int, int]]:
    """Return pairs of tracks, one of each camera, that are nearest to each other both ways."""
    vectors, camera = np.asarray(vectors, float), tracklets["camera"].to_numpy()
    known = np.isfinite(vectors).all(axis=1)
    a, b = (np.flatnonzero(known & (camera == name)) for name in (first, second))
    if not len(a) or not len(b):
        return []
    apart = distances.distances(vectors[a], vectors[b])
    to_b, to_a = apart.argmin(axis=1), apart.argmin(axis=0)
    track = tracklets["track"].to_numpy()
    return [(track[a[i]], track[b[j]]) for i, j in enumerate(to_b) if to_a[j] == i]


def suggest_offset(
    first: pd.DataFrame,
    second: pd.DataFrame,
    pairs: Sequence[tuple[int, int]],
    within: float = 30.0,
) -> Offset:
    """Return by how much the clock of `second` is to be moved, up to `within` seconds either way.

    Both are tables of boxes with columns time, track, x1 y1 x2 y2; `pairs` as from `lookalikes`,
    a few of which may be wrong. People must walk in more than one direction, on level ground. On
    plaza, clocks of cameras 1 and 2 that were moved by up to 22 s are found within 0.1 s, and of
    cameras that see two places it never tells any.
    """
    paths = [(_path(first, a), _path(second, b)) for a, b in pairs]
    tried = np.arange(-within, within + STEP / 2, STEP)
    agreed = np.array([_agreement(paths, offset)[0] for offset in tried])
    best = tried[agreed.argmax()]
    other = agreed[np.abs(tried - best) >= 2].max(initial=0)
    fine = np.arange(best - 3 * STEP, best + 3 * STEP + FINE / 2, FINE)
    around = np.array([_agreement(paths, offset)[0] for offset in fine])
    best = float(fine[around >= 0.97 * around.max()].mean())  # the middle, if the top is flat
    moments, people, compared = _agreement(paths, best)
    ratio = float(moments / max(other, 1))
    sure = people >= PEOPLE and ratio >= CLEAR
    seconds = round(best, 2) + 0.0  # not -0.0
    return Offset(seconds if sure else None, ratio, people, compared)


def _path(table: pd.DataFrame, track: int) -> np.ndarray:
    """Return time, x and y of the feet, and the height of a track's boxes, a row each."""
    rows = table[table["track"] == track].sort_values("time")
    middle, height = (rows["x1"] + rows["x2"]) / 2, rows["y2"] - rows["y1"]
    return np.column_stack([rows["time"], middle, rows["y2"], height]).astype(float)


def _agreement(paths: Sequence[tuple], offset: float) -> tuple[int, int, int]:
    """Return how many moments fit one homography, of how many people mostly, and of how many."""
    spans = [(max(a[0, 0], b[0, 0] + offset), min(a[-1, 0], b[-1, 0] + offset)) for a, b in paths]
    step = max(0.4, sum(max(end - start, 0) for start, end in spans) / MOST)
    points, person = [], []
    for number, ((a, b), (start, end)) in enumerate(zip(paths, spans)):
        times = np.arange(start, end, step)
        if len(times) >= 4:
            seen = [np.interp(times, a[:, 0], a[:, column]) for column in (1, 2)]
            seen += [np.interp(times - offset, b[:, 0], b[:, column]) for column in (1, 2, 3)]
            points.append(np.column_stack(seen))
            person.append(np.full(len(times), number))
    if len(points) < PEOPLE:
        return 0, 0, len(points)
    points, person = np.concatenate(points), np.concatenate(person)
    here, there, height = points[:, :2], points[:, 2:4], points[:, 4]
    cv2.setRNGSeed(0)  # RANSAC draws four points at a time; the same ones every time
    near = NEAR * float(np.median(height))
    carry, _ = cv2.findHomography(here, there, cv2.RANSAC, near, maxIters=600)
    if carry is None:
        return 0, 0, len(np.unique(person))
    carried = np.column_stack([here, np.ones(len(here))]) @ carry.T
    carried = carried[:, :2] / np.where(carried[:, 2:] == 0, np.nan, carried[:, 2:])
    fits = np.linalg.norm(carried - there, axis=1) < NEAR * height
    share = pd.Series(fits).groupby(person).mean()
    return int(fits.sum()), int((share > 0.6).sum()), len(share)


def suggest(
    tables: Mapping[str, pd.DataFrame], tracklets: pd.DataFrame, vectors, within: float = 30.0
) -> dict[tuple[str, str], Offset]:
    """Return for each pair of cameras what `suggest_offset` says.

    `tables` holds a table of boxes a camera, `tracklets` and `vectors` (N, D) are as from
    matching.tracklets. Pairs whose offset is known see people at once: `overlap` of a site file.
    """
    found = {}
    for first, second in combinations(tables, 2):
        pairs = lookalikes(tracklets, vectors, first, second)
        found[first, second] = suggest_offset(tables[first], tables[second], pairs, within)
    return found


def sentence(pair: tuple[str, str], offset: Offset) -> str:
    """Return in words what was found for a pair of cameras."""
    first, second = pair
    agree = f"{offset.people} of {offset.compared} look-alikes agree on one ground"
    if offset.seconds is None:
        return f"{first} and {second}: cannot tell; no overlap is seen ({agree})"
    return (
        f"{first} and {second} overlap ({agree}, {offset.ratio:.1f} times as often as by other "
        f"clocks): add {offset.seconds:+.2f} s to the start of {second}"
    )
