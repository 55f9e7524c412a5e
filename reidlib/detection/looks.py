"""Which frames a detector looks at: where nothing moves it would find what it found before.

A detector takes most of the time of a frame, and most cameras show nobody most of the day. Two
ways to look less: wait until something moves (a motion gate, as old as surveillance: Haritaoglu et
al., W4, 2000), and look at every n-th frame only, while tracks go on where they were heading.
"""

import cv2
import numpy as np
import pandas as pd

from reidlib.boxes import BOX
from reidlib.detection.association import corners, predict_motion
from reidlib.detection.tracker import Tracker
from reidlib.detection.tracks import stack

SIDE = 160  # least pixels of the small picture's longer side
CHANGE, PIXELS = 12, 2  # grey levels by which so many of its pixels differ when something moves
FORCED = 2.0  # seconds after which the detector looks anyway


class Looks:
    """Says of each frame in turn whether the detector looks at it; by default at all of them.

    With `every` n it is at least the n-th since the last look. With `gate` something must have
    changed since the last look as well, or `forced` seconds gone by, or somebody be followed: who
    stands still is not forgotten. Raises ValueError for a step below 1.
    """

    def __init__(self, gate: bool = False, every: int = 1, forced: float = FORCED):
        if every < 1:
            raise ValueError(f"detection at every frame number {every}; expected 1 or more")
        self.gate, self.every, self.forced = gate, every, forced
        self._since, self._time = every - 1, -np.inf  # frames since the last look; when it was
        self._seen = None  # what the last look saw, small

    def __call__(self, seconds: float, image: np.ndarray, followed: bool = False) -> bool:
        """Take a frame (H, W, 3) and its time; `followed` says that there are tracks."""
        self._since += 1
        if self._since < self.every:
            return False
        if self.gate:
            picture = small(image)
            due = followed or seconds - self._time >= self.forced
            if not due and not moved(self._seen, picture):
                return False
            self._seen, self._time = picture, seconds
        self._since = 0
        return True


def check_blur(blur, gate: bool, every: int) -> None:
    """Raise ValueError if heads are to be blurred in frames in which nobody looked for them."""
    if blur and (gate or every > 1):
        raise ValueError(
            "heads are blurred where people are seen, so every frame has to be looked at; leave "
            "out --blur, or --gate and --detect-every"
        )


def small(image: np.ndarray) -> np.ndarray:
    """Return an RGB image (H, W, 3) as a small grey one, in which noise is averaged away."""
    height, width = image.shape[:2]
    factor = max(1, max(height, width) // SIDE)  # whole: OpenCV is four times faster then
    size = max(1, width // factor), max(1, height // factor)
    image = image[: size[1] * factor, : size[0] * factor]
    return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)


def moved(before: np.ndarray | None, now: np.ndarray) -> bool:
    """Return whether something differs between two small grey pictures (h, w).

    What all pixels share, as when a cloud passes or the exposure adapts, is no motion.
    """
    if before is None or before.shape != now.shape:
        return True
    difference = now.astype(np.int16) - before
    difference -= np.int16(np.median(difference))
    return np.count_nonzero(np.abs(difference) >= CHANGE) >= PIXELS


def expected(tracker: Tracker, seconds: float) -> pd.DataFrame:
    """Return where a tracker's people should be at a time after its last frame.

    A table track x1 y1 x2 y2 confidence, as from `Tracker.update`, of those seen in that frame.
    """
    tracks = [track for track in tracker.tracks if track.id and not track.missed]
    table = pd.DataFrame(np.empty((len(tracks), 5), np.float32), columns=[*BOX, "confidence"])
    if tracks:
        means, _ = predict_motion(*stack(tracks), seconds - tracker.time)
        table[BOX] = corners(means[:, :, 0]).astype(np.float32)
        table["confidence"] = np.float32([track.history[-1].confidence for track in tracks])
    table.insert(0, "track", np.array([track.id for track in tracks], int))
    return table
