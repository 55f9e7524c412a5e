"""Video in and out: files, folders of frames, webcams and network streams behind one ``read``.

A source is given by name, or opened once with `open` and passed on, so that what was found out
about it is not looked for again.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets
from reidlib.collection import capture, sequences
from reidlib.collection.capture import DEFAULT_FPS, Source, display_name
from reidlib.collection.encoding import (
    SLOWEST,
    Writer,
    claimed_size,
    read_image,
    write,
    write_image,
)
from reidlib.collection.sequences import INDEX

if TYPE_CHECKING:
    from reidlib.collection import decoding


@dataclass(frozen=True)
class Probe:
    """What a video is: pixels, frames a second, frames, seconds (the last two None when live).

    Width and height are those of the images that `read` gives: upright, with square pixels. A
    video that was filmed `interlaced` is not so when it is read.
    """

    width: int
    height: int
    fps: float
    frames: int | None
    duration: float | None
    interlaced: bool = False


class Video:
    """A source that was looked at once; `open` makes it, and it is taken wherever a name is.

    `name` is what to call it and `kind` "file", "folder", "camera" or "stream". What a walk
    through it finds, `about` and `times`, is kept; each `read` begins at the first frame.
    """

    def __init__(self, source: Source, fps: float | None = None):
        if fps is not None and not SLOWEST <= fps <= 1000:
            raise ValueError(f"fps={fps!r}; expected {SLOWEST} to 1000 frames a second")
        self.source, self.fps = source, fps
        self.kind, self.name = capture.kind_of(source), display_name(source)
        self.live = self.kind in capture.LIVE
        self._said: set[str] = set()
        self._size: tuple[int, int] | None = None  # of the first image of a folder that was read

    def __str__(self) -> str:
        return self.name

    @property
    def notes(self) -> list[str]:
        """What was said about the video so far: damage, frames of another size, and the like."""
        return sorted(self._said)

    @functools.cached_property
    def about(self) -> Probe:
        """Size, rate and length, as `probe` returns them."""
        if self.kind == "camera":
            return _probe_webcam(self.source)
        if self.kind == "stream":
            recording = self._recording()
            width, height = recording.glance()
            return Probe(width, height, recording.rate, None, None, recording.interlaced)
        if self.kind == "folder":
            table, rate = self._frames
            height, width = read_image(table.path.iloc[0]).shape[:2]
            interlaced = False
        else:
            found = self._survey
            width, height, rate = found.width, found.height, found.rate
            interlaced = found.interlaced
        rate = _true_rate(rate, self.times)
        return Probe(width, height, rate, len(self.times), len(self.times) / rate, interlaced)

    @property
    def times(self) -> np.ndarray:
        """The time of every frame that can be decoded, in seconds from the beginning.

        Raises ValueError for a live source, whose frames have no times before they come.
        """
        if self.live:
            raise ValueError(f"{self.name} is live; its frames have no times before they come")
        if self.kind == "folder":
            seconds = self._frames[0].time.to_numpy(float)
            return seconds - seconds[:1]
        return self._survey.times

    def read(
        self, every: int | str = 1, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, float, np.ndarray]]:
        """Yield ``(index, seconds, image)``, as the function `read` does."""
        step = parse_every(every)
        if self.kind == "folder":
            table, _ = self._frames
            rows = zip(table.frame.tolist(), table.time.tolist(), table.path)
            frames = ((i, t, functools.partial(self._image, path)) for i, t, path in rows)
        elif self.kind == "camera":
            webcam = capture.open_webcam(self.source)
            frames = capture.webcam_frames(webcam, self.name, self._say)
        else:
            frames = self._recording().frames()
        return _sample(frames, step, start, stop)

    @functools.cached_property
    def _survey(self) -> decoding.Survey:
        return self._recording().survey()

    @functools.cached_property
    def _frames(self) -> tuple[pd.DataFrame, float]:
        return sequences.read(Path(self.source), self.fps, self._say)

    def _image(self, path: str) -> np.ndarray:
        """Return an image of a folder, as it is; say, once, that one has another size."""
        image = read_image(path)
        height, width = image.shape[:2]
        self._size = self._size or (width, height)
        if self._size != (width, height) and not any("another size" in text for text in self._said):
            self._say(
                f"{self.name} holds images of another size than the first, "
                f"{self._size[0]}x{self._size[1]}: {Path(path).name} is {width}x{height}; boxes "
                "are those of each image, so bring all to one size, or divide the folder"
            )
        return image

    def film(self, path: str | Path | None):
        """Return a `Writer` at the rate of this video for a with-block, or None in one for no path.

        Raises ValueError as `require_one_size`.
        """
        if path is None:
            return contextlib.nullcontext()
        self.require_one_size()
        return Writer(path, max(self.about.fps, SLOWEST))

    def require_one_size(self) -> None:
        """Raise ValueError for a folder of images of several sizes, which no film can hold."""
        paths = self._frames[0].path if self.kind == "folder" else []
        claimed = {claimed_size(Path(path)): path for path in reversed(paths)}  # the first of each
        shapes = {read_image(path).shape[1::-1]: path for path in claimed.values()}
        if len(shapes) > 1:
            sizes = ", ".join(f"{Path(p).name} {w}x{h}" for (w, h), p in [*shapes.items()][:4])
            raise ValueError(
                f"{self.name} holds images of several sizes ({sizes}), and a film has one; bring "
                "all to one size, or divide the folder"
            )

    def _recording(self) -> decoding.Recording:
        # Loads FFmpeg, which a folder or a webcam does not need.
        from reidlib.collection import decoding

        return decoding.open_recording(self.source, self.kind, self._say, self.fps)

    def _say(self, text: str) -> None:
        """Warn of something about this video, but not twice."""
        if text not in self._said:
            self._said.add(text)
            capture.say(text)


def open(source: Source | Video, fps: float | None = None) -> Video:
    """Return an opened source, to be read several times or passed on; an opened one as it is.

    `fps` is the rate of a source that has no times: a folder of images, a raw stream (.h264,
    .mjpeg). Raises FileNotFoundError or ValueError for a name that is no source.

    >>> clip = open("clip.mp4")  # doctest: +SKIP
    >>> clip.about.frames == len(clip.times) == len(list(clip.read()))  # doctest: +SKIP
    True
    """
    if isinstance(source, Video):
        return source if fps in (None, source.fps) else Video(source.source, fps)
    return Video(source, fps)


def probe(source: Source | Video, fps: float | None = None) -> Probe:
    """Return the size, rate and length of a video; `fps` is as for `open`.

    Frames are counted by walking through the file's packets, without decoding more than the first:
    headers lie, above all in files cut short. Only frames that can be decoded count; a warning
    says how many before them cannot. Raises FileNotFoundError, ValueError for what is no video,
    OSError for a dead camera or stream.
    """
    return open(source, fps).about


def times(source: Source | Video) -> np.ndarray:
    """Return the time of every frame in seconds, as `read` gives them.

    Time begins with the first frame of the file, which can be one that does not decode.
    """
    return open(source).times


def read(
    source: Source | Video,
    every: int | str = 1,
    start: int = 0,
    stop: int | None = None,
    fps: float | None = None,
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield ``(index, seconds, image)`` for the frames of a video; image is (H, W, 3) uint8 RGB.

    `source` is a file, a folder of frames (.jpg, .png, in natural order), a webcam (``0`` or
    ``"0"``), an address (``rtsp://``, ``http://``) or what `open` returned. `every` is a step in
    frames (``25``) or in time (``"1s"``); `start` and `stop` are frame numbers from 0, `stop` left
    out; `fps` is as for `open`. Memory is constant. Interlaced pictures are deinterlaced, turned
    ones turned back, pixels made square, and a warning says so. A file that ends before its header
    promised gives all it holds, then a warning; where part of it is damaged, frames are missing,
    which `seconds` shows and `index` does not. Raises FileNotFoundError, ValueError for what is no
    video, OSError for a dead camera or stream.

    >>> for index, seconds, image in read("clip.mp4", every="1s"):  # doctest: +SKIP
    ...     print(index, seconds, image.shape)
    """
    return open(source, fps).read(every, start, stop)


def parse_every(every: int | str) -> int | float:
    """Return a step as an int, in frames, or as a float, in seconds.

    >>> parse_every("25"), parse_every("1s"), parse_every("500ms"), parse_every("2min")
    (25, 1.0, 0.5, 120.0)
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*(ms|s|min)", str(every).strip())
    if not match or float(match[1] or match[2]) < 1e-3:
        raise ValueError(
            f"every={every!r} is no step; give frames such as 25, or a time such as '1s' or '2min'"
        )
    if match[1]:
        return int(match[1])
    return float(match[2]) * {"ms": 0.001, "s": 1, "min": 60}[match[3]]


def extract(source: Source | Video, folder: str | Path, every: int | str = 1) -> pd.DataFrame:
    """Save frames as ``frame_000123.jpg`` and return their table: frame, time, path.

    Frames already there are kept, so that an interrupted run goes on where it stopped; the table
    is written last, to ``frames.csv``. Ctrl-C ends the recording of a webcam or a stream. Raises
    ValueError when `folder` holds other frames.
    """
    clip = open(source)
    folder, frames, rows = Path(folder), clip.read(every), []
    _claim(folder, clip)
    frames = tqdm(frames, "extract", unit="frame", leave=False, delay=2)
    try:
        for index, seconds, image in frames:
            path = folder / f"frame_{index:06d}.jpg"
            if path.exists():
                assets.note_write(path)
            else:
                write_image(path, image)
            rows.append((index, round(seconds, 6), path.name))
    except KeyboardInterrupt:
        if not rows or not clip.live:
            raise
    table = pd.DataFrame(rows, columns=["frame", "time", "path"])
    with assets.atomic(folder / INDEX) as temporary:
        table.to_csv(temporary, index=False)
    return sequences.read(folder, None, capture.say)[0]


def convert(source: Source | Video, target: str | Path, fps: float | None = None) -> int:
    """Turn a video or a folder of frames into a video, or into a folder if `target` has no ending.

    Every frame is kept, at the mean rate of the source unless `fps` says otherwise; sound is left
    out. Returns the number of frames.
    """
    clip = open(source)
    if not Path(target).suffix:
        return len(extract(clip, target))
    about = clip.about
    frames = tqdm(clip.read(), "convert", about.frames, unit="frame", leave=False, delay=2)
    return write(target, (image for _, _, image in frames), fps or max(about.fps, SLOWEST))


def _claim(folder: Path, clip: Video) -> None:
    """Note in `folder` whose frames it holds; refuse when they are of another source, or live."""
    note, path = folder / "source.txt", Path(str(clip.source))
    mine = clip.name if clip.live else path.name
    if clip.kind == "file":
        mine += f", {path.stat().st_size} bytes"
    if clip.kind == "folder" and path.resolve() == folder.resolve():
        raise ValueError(f"{folder} is the input; choose another folder to write to")
    found = None
    if any(folder.glob("frame_*.jpg")):
        found = note.read_text("utf-8") if note.exists() else "an unknown video"
    if found and (clip.live or found != mine):
        raise ValueError(f"{folder} already holds frames of {found}; choose a new folder")
    with assets.atomic(note) as temporary:
        temporary.write_text(mine, "utf-8")


def _probe_webcam(number: Source) -> Probe:
    webcam = capture.open_webcam(number)
    width = int(webcam.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(webcam.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate = webcam.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
    webcam.release()
    if min(width, height) < 1:
        raise ValueError(f"webcam {number} shows no picture; connect it again")
    return Probe(width, height, rate, None, None)


def _true_rate(said: float, seconds: np.ndarray) -> float:
    """Return the frames a second that a video has: what it says, unless its times contradict."""
    rate = said
    if len(seconds) > 1 and seconds[-1] > seconds[0]:
        measured = (len(seconds) - 1) / float(seconds[-1] - seconds[0])
        # A rate that the time stamps contradict is of no use; one that they round is.
        rate = said if abs(said - measured) < 0.01 * measured else measured
    return float(rate) if math.isfinite(rate) and rate > 0 else DEFAULT_FPS


def _sample(frames: capture.Frames, step: int | float, start: int, stop: int | None) -> Iterator:
    """Pick frames from `start` to before `stop`, a `step` in frames (int) or seconds apart."""
    position, due = 0, 0.0
    with contextlib.closing(frames):
        for index, seconds, decode in frames:
            if stop is not None and index >= stop:
                return
            if index < start:
                continue
            if isinstance(step, int):
                wanted = position % step == 0
            else:
                wanted = seconds > due - 1e-6
                due = (math.floor((seconds + 1e-6) / step) + 1) * step  # a grid never drifts
            position += 1
            image = decode() if wanted else None
            if image is not None:
                yield index, seconds, image
