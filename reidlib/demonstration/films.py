"""Annotated films: every camera by itself, and all of them side by side."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import drawing
from reidlib.boxes import BOX
from reidlib.collection import encoding, privacy, video

TOGETHER = "side_by_side"
WIDEST, TALLEST = 1920, 360  # pixels of all cameras side by side
BLURRED = 0.4  # seconds before and after a box for which it hides a head
SOON = 1e-6  # seconds by which two equal times may differ after rounding


def write(clips: Sequence, table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write one annotated film a camera and, of several, one side by side; returns their paths.

    `clips` are as from pipeline.clips, `table` has a row a box with its camera and identity, of
    which -1 is drawn in grey. Side by side, all run by the common clock, at the rate of the first
    clip: a camera keeps its latest picture until the next is due, and goes dark when it is over.
    """
    with contextlib.ExitStack() as stack:
        total = sum(clip.about.frames for clip in clips)
        bar = stack.enter_context(tqdm(total=total, desc="films", unit="frame", leave=False))
        paths, streams = [folder / f"{clip.camera}.mp4" for clip in clips], []
        for clip, path in zip(clips, paths):
            film = stack.enter_context(encoding.Writer(path, rate(clip), crf=27))
            streams.append(recorded(annotated(clip, table), film, bar))
        if len(clips) == 1:
            for _ in streams[0]:
                pass
            return paths
        together, height = folder / f"{TOGETHER}.mp4", common_height(clips)
        joined = stack.enter_context(encoding.Writer(together, rate(clips[0]), crf=27))
        screens = [Screen(stream, dark(clip)) for stream, clip in zip(streams, clips)]
        for pictures in on_one_clock(screens, rate(clips[0])):
            joined.write(drawing.side_by_side(pictures, height))
    return [together, *paths]


def annotated(clip, table: pd.DataFrame) -> Iterator[tuple[float, np.ndarray]]:
    """Yield a clip's frames with their boxes and numbers, at seconds of the common clock."""
    mine = table[table["camera"] == clip.camera]
    rows_of = mine.groupby("frame").indices  # a table a frame would take 200 MB an hour
    blur = _blur(clip, mine) if clip.blur else None
    for index, seconds, image in video.read(clip.path, stop=clip.about.frames):
        now = clip.start + seconds
        if blur:
            image = blur(index, image)
        image = drawing.banner(image, f"{clip.camera}   {now:.1f} s")
        yield now, drawing.draw_tracks(image, mine.iloc[rows_of.get(index, [])], "identity")


def _blur(clip, mine: pd.DataFrame) -> Callable[[int, np.ndarray], np.ndarray]:
    """Return a function that blurs the heads in a clip's frames, whether followed or only seen."""
    everybody = pd.concat([mine[["frame", *BOX]], clip.heads])
    hold = max(privacy.HOLD, round(BLURRED * clip.about.fps))
    return privacy.head_blur(everybody, clip.blur, hold=hold)


def recorded(frames: Iterator, film: encoding.Writer, bar: tqdm) -> Iterator:
    """Pass frames on, writing each to a film on its way."""
    for seconds, image in frames:
        film.write(image)
        bar.update()
        yield seconds, image


def rate(clip) -> float:
    """Return the frames a second of a clip's film: its own, or the slowest that a film can have."""
    return max(clip.about.fps, encoding.SLOWEST)


def common_height(clips: Sequence) -> int:
    """Return the height in pixels at which all cameras fit into one film side by side."""
    return min(TALLEST, round(WIDEST / sum(clip.about.width / clip.about.height for clip in clips)))


def dark(clip) -> np.ndarray:
    """Return a black picture of a clip's size, (H, W, 3)."""
    return np.zeros((clip.about.height, clip.about.width, 3), np.uint8)


class Screen:
    """What one camera shows while the common clock runs.

    `frames` are pairs of seconds on that clock and an image (H, W, 3); `picture` is shown before
    the first of them.
    """

    def __init__(self, frames: Iterator[tuple[float, np.ndarray]], picture: np.ndarray):
        self.frames, self.picture = frames, picture
        self.coming = next(frames, None)

    @property
    def due(self) -> float:
        """When the next frame is shown, in seconds; infinity after the last one."""
        return self.coming[0] if self.coming else math.inf

    def show(self, now: float) -> np.ndarray:
        """Return the latest picture (H, W, 3) at `now`, in seconds; dark when the clip is over."""
        if self.coming is None:
            return self.picture // 4
        while self.due <= now + SOON:
            _, self.picture = self.coming
            self.coming = next(self.frames, None)
        return self.picture


def on_one_clock(screens: Sequence[Screen], fps: float) -> Iterator[list[np.ndarray]]:
    """Yield the pictures of all cameras at each tick of a common clock, `fps` ticks a second.

    Where no camera runs for a second or more, and at the beginning, the clock leaps to the next
    frame.
    """
    tick = -math.inf
    due = min(screen.due for screen in screens)
    while due < math.inf:
        if due * fps > tick + fps:
            tick = math.floor(due * fps)
        yield [screen.show(tick / fps) for screen in screens]
        tick += 1
        due = min(screen.due for screen in screens)
