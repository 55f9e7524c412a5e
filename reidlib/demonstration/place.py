"""What is known of the place: who cannot be whom, by clock and ground, and where nobody counts."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from reidlib.boxes import BOX

MOST = 20_000  # tracklets at a time: each pair of them takes 20 bytes to link, so 8 GB
ENDS = 1.0  # seconds at the ends of a path over which a place is averaged
CONVINCING = 1.0  # seconds of walking together after which place weighs half


@dataclass(frozen=True)
class Camera:
    """What is known of one camera; `start` is in seconds of the clock that all cameras share.

    `calibration` is as for `cameras.on_ground`, `masks` hold the corners (N, 2), in pixels, of
    regions that do not count.
    """

    video: Path | str
    start: float = 0.0
    truth: Path | None = None
    calibration: dict | None = None
    masks: Sequence[np.ndarray] = ()


@dataclass(frozen=True)
class Site:
    """What is known of the place: which cameras see it together, and how far others are away.

    `overlap` and `travel` are as for `matching.link`: pairs of cameras that may see a person at
    once (None: not known), and the least seconds from one camera to another. The rest is what a
    site file holds besides, as from `site_file.read`; `began` is when the common clock shows 0.
    """

    overlap: Sequence[tuple[str, str]] | None = None
    travel: Mapping[tuple[str, str], float] = field(default_factory=dict)
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    detector: str = "auto"
    classes: Sequence[str | int] | None = None
    features: str = "auto"
    threshold: float | None = None
    began: datetime | None = None


def known(names: Sequence[str], site: Site, overlap, travel) -> Site:
    """Return `site` with what is given in place of what was known; cameras must be in `names`."""
    if overlap is not None:
        site = replace(site, overlap=[tuple(pair) for pair in overlap])
    if travel is not None:
        site = replace(site, travel=dict(travel))
    for pair in [*(site.overlap or ()), *site.travel]:
        if len(pair) != 2 or not set(pair) <= set(names):
            raise ValueError(
                f"overlap and travel name the cameras {', '.join(map(str, pair))}; expected pairs "
                f"of {', '.join(names)}"
            )
    together = {frozenset(pair) for pair in site.overlap or ()}
    for pair, seconds in site.travel.items():
        if seconds > 0 and frozenset(pair) in together:
            raise ValueError(
                f"overlap says that {pair[0]} and {pair[1]} see a person at once, travel that it "
                f"takes {seconds:g} s from one to the other; leave one of them out"
            )
    return site


# Regions that do not count


def in_masks(boxes: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return which boxes (N, 4) stand in one of the masks, going by the middle of their feet.

    >>> in_masks(np.array([[4, 0, 6, 5], [20, 0, 24, 5]]), [[[0, 0], [9, 0], [9, 9], [0, 9]]])
    array([ True, False])
    """
    feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]]).astype(float)
    outlines = [np.asarray(mask, np.float32) for mask in masks]
    inside = [any(cv2.pointPolygonTest(o, foot, False) >= 0 for o in outlines) for foot in feet]
    return np.array(inside, bool)


def outside(detector: Callable, masks: Sequence[np.ndarray]) -> Callable:
    """Return a detector that does not see who stands in a mask.

    They are left out before tracking, not when people are counted: nobody there is followed,
    cropped, embedded or kept, so that a film of a public pavement or a poster leaves no trace.
    Somebody who walks through a mask is lost and found again by the tracker, as behind a pillar.
    """
    if not len(masks):
        return detector
    if hasattr(detector, "raw"):
        seeing = copy.copy(detector)
        seeing.raw = lambda images: [
            found[~in_masks(found[:, :4], masks)] for found in detector.raw(images)
        ]
        return seeing

    @functools.wraps(detector)
    def find(images):
        return [table[~in_masks(table[BOX].to_numpy(), masks)] for table in detector(images)]

    return find


# Who cannot be whom


def named(pairs) -> str:
    """Return pairs of cameras, with the seconds between them where these are given, as text."""
    if not pairs:
        return "not known" if pairs is None or isinstance(pairs, Mapping) else "none"
    if isinstance(pairs, Mapping):
        return ", ".join(f"{a} and {b}: {seconds:g}" for (a, b), seconds in pairs.items())
    return ", ".join(f"{a} and {b}" for a, b in pairs)


def apart_in_time(tracklets, overlap, travel) -> np.ndarray:
    """Return which pairs (N, N) cannot be one person, going by cameras and times.

    Raises ValueError for more than `MOST` tracklets.
    """
    if len(tracklets) > MOST:
        raise ValueError(
            f"{len(tracklets)} tracklets; each is compared with each, in 20 bytes a pair, so "
            f"{MOST} at a time are the most: give fewer hours, or fewer cameras, at a time"
        )
    camera = tracklets["camera"].to_numpy()
    start, end = tracklets["start"].to_numpy(float), tracklets["end"].to_numpy(float)
    gap = start[:, None] - end
    gap = np.maximum(gap, gap.T)  # negative: at the same time
    same = camera[:, None] == camera
    impossible = same & (gap <= 0)
    if overlap is not None:
        together = same.copy()
        for a, b in overlap:
            together |= _between(camera, a, b)
        impossible |= ~together & (gap <= 0)
    for (a, b), seconds in (travel or {}).items():
        impossible |= _between(camera, a, b) & (gap < seconds)
    np.fill_diagonal(impossible, False)
    return impossible


def _between(camera: np.ndarray, a, b) -> np.ndarray:
    pairs = (camera == a)[:, None] & (camera == b)
    return pairs | pairs.T


def on_the_ground(positions: Sequence, reach: float, speed: float) -> np.ndarray:
    """Return a factor (N, N) on the distance of appearance, inf for pairs in two places."""
    paths = [np.asarray(path, float).reshape(-1, 3) for path in positions]
    factor = np.ones((len(paths), len(paths)), np.float32)
    placed = np.flatnonzero([len(path) > 0 for path in paths])
    if not len(placed):
        return factor
    first = np.array([paths[i][0, 0] for i in placed])
    last = np.array([paths[i][-1, 0] for i in placed])
    entered = np.array([_place(paths[i], paths[i][:, 0] <= paths[i][0, 0] + ENDS) for i in placed])
    left = np.array([_place(paths[i], paths[i][:, 0] >= paths[i][-1, 0] - ENDS) for i in placed])

    # One after the other: how fast would the person have been?
    gap = first - last[:, None]
    way = np.linalg.norm(entered - left[:, None], axis=2) - reach
    too_fast = (gap > 0) & (way > speed * gap)
    factor[np.ix_(placed, placed)] = np.where(too_fast | too_fast.T, np.inf, 1)

    # At once: how far apart did they stand?
    for i, j in np.argwhere(np.triu((gap <= 0) & (gap.T <= 0), 1)):
        a, b = paths[placed[i]], paths[placed[j]]
        moments, apart = _apart(a, b)
        if not len(moments):  # b was seen only while a was out of sight
            moments, apart = _apart(b, a)
        if not len(moments):
            continue
        # Where legs are hidden, feet are guessed too far away: the best quarter of the moments
        # says more than the middle one.
        nearness = np.quantile(apart, 0.25) / reach
        seconds = moments[-1] - moments[0]
        weight = seconds / (seconds + CONVINCING)
        value = 1 - weight * (1 - nearness) if nearness <= 1 else np.inf
        factor[placed[i], placed[j]] = factor[placed[j], placed[i]] = value
    return factor


def _place(path: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.median(path[chosen, 1:], axis=0)


def _apart(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the moments of path `a` within the time of `b`, and metres between them then."""
    inside = a[(a[:, 0] >= b[0, 0]) & (a[:, 0] <= b[-1, 0])]
    x = np.interp(inside[:, 0], b[:, 0], b[:, 1])
    y = np.interp(inside[:, 0], b[:, 0], b[:, 2])
    return inside[:, 0], np.hypot(inside[:, 1] - x, inside[:, 2] - y)
