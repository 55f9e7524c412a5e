"""Is a clip fit for use? Measures of frames, and a verdict with reasons."""

from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib.collection import video

WORKING_HEIGHT = 360  # frames are measured at this many rows, so that numbers compare
FAULTS = {
    ("sharpness", "below"): "blurred",
    ("brightness", "below"): "too dark",
    ("brightness", "above"): "too bright",
    ("contrast", "below"): "flat",
    ("dark", "above"): "black in large parts",
    ("bright", "above"): "burnt out in large parts",
    ("change", "below"): "unchanged",
    ("person_height", "below"): "of people too small",
}


@dataclass(frozen=True)
class Thresholds:
    """What `judge` accepts; measures as in `frame_quality` and `Report`."""

    sharpness: float = 0.5  # at least
    brightness: tuple[float, float] = (30.0, 225.0)
    contrast: float = 15.0  # at least
    dark: float = 0.5  # share of black pixels, at most
    bright: float = 0.25  # share of white pixels, at most
    change: float = 4.0  # below this nothing has moved: the frame is frozen, a copy, or empty
    unchanged: float = 0.3  # share of frames that may be so
    person_height: float = 48.0  # pixels, at least
    failing: float = 0.1  # share of frames that may fail each of the other measures above
    rows: int = 240  # image height in pixels, at least
    fps: float = 5.0  # at least
    gap: float = 1.0  # seconds without a frame, at most
    interlaced: bool = False  # whether frames may hold two moments, in every other line

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """The accepted range of each column of the table."""
        least = ("sharpness", "contrast", "change", "person_height")
        ranges = {name: (getattr(self, name), np.inf) for name in least}
        ranges |= {name: (-np.inf, getattr(self, name)) for name in ("dark", "bright")}
        return ranges | {"brightness": self.brightness}


@dataclass(frozen=True)
class Report:
    """Measures of one clip: `table` has a row a frame, `clip` what holds for all of it."""

    table: pd.DataFrame
    clip: dict[str, float]
    verdict: str
    reasons: list[str]


def frame_quality(image: np.ndarray) -> dict[str, float]:
    """Return the quality measures of one (H, W, 3) uint8 RGB frame.

    ``sharpness`` 0 to 1 is one minus the blur effect (Crete et al., 2007): the share of the
    variation between neighbours that a further blur would remove. ``brightness`` (mean) and
    ``contrast`` (standard deviation) are in grey levels; ``dark`` and ``bright`` are the shares
    of pixels too close to black (below 8) and to white (above 247) to hold detail.
    """
    luma = _luma(image)
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(luma))
    return {
        "sharpness": min(_crispness(luma), _crispness(luma.T)),
        "brightness": mean,
        "contrast": deviation,
        "dark": float(np.mean(luma < 8)),
        "bright": float(np.mean(luma > 247)),
    }


def _luma(image: np.ndarray) -> np.ndarray:
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    if height <= WORKING_HEIGHT:
        return luma
    size = max(1, round(width * WORKING_HEIGHT / height)), WORKING_HEIGHT
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)


def _crispness(luma: np.ndarray) -> float:
    """Return the share of the variation along rows that a blur over 9 pixels removes."""
    values = np.ascontiguousarray(luma, np.float32)
    before = np.abs(np.diff(values, axis=1))
    before[before <= 1] = 0  # steps of one grey level are rounding, and would look like edges
    after = np.abs(np.diff(cv2.blur(values, (9, 1)), axis=1))
    return float(np.maximum(before - after, 0).sum() / max(before.sum(), 1.0))


def _change(luma: np.ndarray, before: np.ndarray) -> float:
    """Return the largest mean absolute difference over blocks of about 20 x 20 pixels."""
    difference = cv2.absdiff(luma, before)
    blocks = [max(1, side // 20) for side in difference.shape[::-1]]
    return float(cv2.resize(difference, blocks, interpolation=cv2.INTER_AREA).max())


def report(
    source: video.Source | video.Video,
    every: int | str = "1s",
    boxes: pd.DataFrame | None = None,
    thresholds: Thresholds | None = None,
) -> Report:
    """Measure a clip and say whether to accept it, and why not.

    The table has frame, time, the measures of `frame_quality`, ``change`` and, with `boxes`
    (frame, x1 y1 x2 y2), ``person_height``: the median height of the people in pixels. Change is
    the difference from the frame measured before, in grey levels, where it is largest: movement
    shows in one place, and coding a frame twice alters little. `every` is as in `video.read`;
    single duplicated frames show only with ``every=1``.

    >>> result = report("clip.mp4")  # doctest: +SKIP
    >>> judge(result.table, result.clip, Thresholds(sharpness=0.6))  # doctest: +SKIP
    """
    source, meter = video.open(source), Meter()
    heights = None if boxes is None else (boxes.y2 - boxes.y1).groupby(boxes.frame).median()
    frames = tqdm(video.read(source, every), "quality", unit="frame", leave=False, delay=2)
    for index, seconds, image in frames:
        also = {} if heights is None else {"person_height": float(heights.get(index, np.nan))}
        meter(index, seconds, image, **also)
    return meter.report(source, thresholds)


class Meter:
    """Measures frames as they pass, for whoever reads a video anyway; `report` judges them."""

    def __init__(self):
        self.rows: list[dict] = []
        self._thumbnails: list[np.ndarray] = []
        self._histogram, self._before = np.zeros(32, np.int64), None

    def __call__(self, index: int, seconds: float, image: np.ndarray, **also: float) -> None:
        """Measure a frame (H, W, 3); `also` are measures that somebody else took of it."""
        luma, before = _luma(image), self._before
        alike = before is not None and before.shape == luma.shape  # folders may hold any sizes
        change = _change(luma, before) if alike else np.nan
        measures = {**frame_quality(image), "change": change, **also}
        self.rows.append({"frame": index, "time": seconds, **measures})
        self._histogram += np.bincount(luma.ravel() >> 3, minlength=32)
        if len(self.rows) % 10 == 1 and len(self._thumbnails) < 50:
            small = cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA)
            self._thumbnails.append(small)
        self._before = luma

    def report(self, source: video.Video, thresholds: Thresholds | None = None) -> Report:
        """Return the report on the video whose frames these were."""
        about, table = source.about, pd.DataFrame(self.rows)
        background = np.median(self._thumbnails, axis=0).astype(np.uint8)
        gaps = np.diff(table.time if about.frames is None else video.times(source))
        clip = {
            "width": about.width,
            "height": about.height,
            "fps": about.fps,
            "duration": about.duration or float(table.time.iloc[-1]),
            "gap": float(gaps.max(initial=0.0)),
            "interlaced": about.interlaced,
            "light": variety(self._histogram),
            "background": variety(_colours(background)),
        }
        return Report(table, clip, *judge(table, clip, thresholds))


def judge(
    table: pd.DataFrame, clip: dict[str, float], thresholds: Thresholds | None = None
) -> tuple[str, list[str]]:
    """Return ``("accept", [])``, or ``("reject", reasons)``, for the measures of a `Report`."""
    limit, reasons = thresholds or Thresholds(), []
    for (name, side), fault in FAULTS.items():
        if name not in table:
            continue
        bound = limit.limits[name][side == "above"]
        bad = table[name] > bound if side == "above" else table[name] < bound
        if bad.mean() > (limit.unchanged if name == "change" else limit.failing):
            why = f"{name.replace('_', ' ')} {side} {bound:g}"
            reasons.append(f"{bad.sum()} of {len(table)} frames are {fault} ({why})")
    if clip["height"] < limit.rows:
        reasons.append(f"the image has {clip['height']:g} rows, fewer than {limit.rows}")
    if clip["fps"] < limit.fps:
        reasons.append(f"{clip['fps']:g} frames a second are fewer than {limit.fps:g}")
    if clip["gap"] > limit.gap:
        reasons.append(f"{clip['gap']:.1f} s without a frame, more than {limit.gap:g} s")
    if clip.get("interlaced") and not limit.interlaced:
        reasons.append("the clip is interlaced: each frame holds two moments, in every other line")
    return ("reject" if reasons else "accept"), reasons


def variety(counts: np.ndarray) -> float:
    """Return how many bins a histogram fills in effect: the exponential of its entropy.

    >>> round(variety(np.array([5, 5, 5, 5])), 3), round(variety(np.array([20, 0, 0, 0])), 3)
    (4.0, 1.0)
    """
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _colours(image: np.ndarray) -> np.ndarray:
    """Count the pixels in each of 4 x 4 x 4 cells of RGB."""
    return np.bincount((image.reshape(-1, 3) >> 6).astype(int) @ [16, 4, 1], minlength=64)
